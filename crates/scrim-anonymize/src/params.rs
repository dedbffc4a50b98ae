//! Parameters as a policy writes them, and the reader that checks them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::MaskError;
use crate::exact::Exact;
use crate::shapes::{MaskShape, Parameter, ParameterKind, Unsaid};

/// A parameter of a mask as it was read from a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A list of the above.
    List(Vec<ParamValue>),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl From<bool> for ParamValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for ParamValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for ParamValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for ParamValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Reads the parameters of one mask; unknown ones are refused when it is made.
pub(crate) struct Reader<'a> {
    mask: &'static str,
    described: &'static [Parameter],
    params: &'a BTreeMap<String, ParamValue>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        shape: &'static MaskShape,
        params: &'a BTreeMap<String, ParamValue>,
    ) -> Result<Self, MaskError> {
        let known = || shape.parameters.iter().map(|parameter| parameter.name);
        match params.keys().find(|key| !known().any(|name| name == *key)) {
            None => Ok(Self {
                mask: shape.name,
                described: shape.parameters,
                params,
            }),
            Some(unknown) => Err(MaskError::UnknownParameter {
                mask: shape.name,
                parameter: unknown.clone(),
                known: if shape.parameters.is_empty() {
                    "it takes none".to_owned()
                } else {
                    format!("it takes {}", known().collect::<Vec<_>>().join(", "))
                },
            }),
        }
    }

    /// What is said of a parameter. What is not described has no default and no range.
    fn described(&self, parameter: &str) -> Option<&'static Parameter> {
        self.described.iter().find(|one| one.name == parameter)
    }

    fn unsaid(&self, parameter: &str) -> Option<&'static str> {
        match self.described(parameter)?.unsaid {
            Unsaid::Is(value) => Some(value),
            Unsaid::Needed | Unsaid::Left => None,
        }
    }

    pub(crate) fn bad(&self, parameter: &'static str, problem: impl Into<String>) -> MaskError {
        MaskError::BadParameter {
            mask: self.mask,
            parameter,
            problem: problem.into(),
        }
    }

    pub(crate) fn required<T>(
        &self,
        parameter: &'static str,
        value: Option<T>,
    ) -> Result<T, MaskError> {
        value.ok_or(MaskError::MissingParameter {
            mask: self.mask,
            parameter,
        })
    }

    pub(crate) fn raw(&self, parameter: &'static str) -> Option<&'a ParamValue> {
        self.params.get(parameter)
    }

    /// Text, or what holds when it is not said.
    pub(crate) fn text(&self, parameter: &'static str) -> Result<Option<&'a str>, MaskError> {
        match self.raw(parameter) {
            None => Ok(self.unsaid(parameter)),
            Some(ParamValue::Text(text)) => Ok(Some(text)),
            Some(
                ParamValue::Bool(_)
                | ParamValue::Int(_)
                | ParamValue::Float(_)
                | ParamValue::List(_),
            ) => Err(self.bad(parameter, "must be text")),
        }
    }

    /// Text that must be there unless something holds without it.
    pub(crate) fn some_text(&self, parameter: &'static str) -> Result<String, MaskError> {
        self.required(parameter, self.text(parameter)?)
            .map(str::to_owned)
    }

    /// A whole number in the range that the parameter's description gives.
    pub(crate) fn count(&self, parameter: &'static str) -> Result<u32, MaskError> {
        let (min, max) = match self.described(parameter).map(|one| one.holds) {
            Some(ParameterKind::Count { min, max }) => (min, max),
            Some(
                ParameterKind::Anything
                | ParameterKind::Text
                | ParameterKind::Number
                | ParameterKind::Step
                | ParameterKind::Words(_)
                | ParameterKind::Refused,
            )
            | None => (0, 0),
        };
        let problem = || {
            self.bad(
                parameter,
                format!("must be a whole number from {min} to {max}"),
            )
        };
        match self.raw(parameter) {
            None => {
                let unsaid = self.unsaid(parameter).and_then(|text| text.parse().ok());
                self.required(parameter, unsaid)
            }
            Some(ParamValue::Int(value)) => match u32::try_from(*value) {
                Ok(value) if (min..=max).contains(&value) => Ok(value),
                Ok(_) | Err(_) => Err(problem()),
            },
            Some(
                ParamValue::Bool(_)
                | ParamValue::Float(_)
                | ParamValue::Text(_)
                | ParamValue::List(_),
            ) => Err(problem()),
        }
    }

    /// A number, or what holds when it is not said.
    pub(crate) fn number(&self, parameter: &'static str) -> Result<Exact, MaskError> {
        let Some(value) = self.raw(parameter) else {
            let unsaid = self.unsaid(parameter).and_then(Exact::parse);
            return self.required(parameter, unsaid);
        };
        let exact = match value {
            ParamValue::Int(value) => Some(Exact::from(*value)),
            ParamValue::Float(value) => Exact::parse(&value.to_string()),
            ParamValue::Text(value) => Exact::parse(value),
            ParamValue::Bool(_) | ParamValue::List(_) => None,
        };
        let problem = "must be a number of at most 38 digits";
        exact.ok_or_else(|| self.bad(parameter, problem))
    }

    /// A number above zero.
    pub(crate) fn step(&self, parameter: &'static str) -> Result<Exact, MaskError> {
        let step = self.number(parameter)?;
        if step.is_positive() {
            Ok(step)
        } else {
            Err(self.bad(parameter, "must be above zero"))
        }
    }

    /// One of some words, each with what it means.
    pub(crate) fn one_of<T: Copy>(
        &self,
        parameter: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<T, MaskError> {
        let text = match self.raw(parameter) {
            None => Some(self.required(parameter, self.unsaid(parameter))?),
            Some(ParamValue::Text(text)) => Some(text.as_str()),
            Some(
                ParamValue::Bool(_)
                | ParamValue::Int(_)
                | ParamValue::Float(_)
                | ParamValue::List(_),
            ) => None,
        };
        let chosen = choices.iter().find(|(name, _)| Some(*name) == text);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.bad(parameter, format!("must be one of {}", names.join(", ")))
        })
    }
}
