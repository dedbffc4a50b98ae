//! Masks as a policy names them.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::timezone::Tz;
use arrow::datatypes::DataType;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bind::{BoundMask, bind};
use crate::date::Unit;
use crate::error::MaskError;
use crate::exact::Exact;
use crate::keys::MaskKeys;
use crate::params::{ParamValue, Reader};
use crate::shapes::{MASKS, MaskKind};
use crate::text::compile;

/// What one column shows instead of its values; parameters are checked, the column is not.
///
/// It serialises with every parameter, defaults included, because the ledger and the hash of a
/// decision must not change their meaning when a default does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Mask(pub(crate) Kind);

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "mask", rename_all = "snake_case")]
pub(crate) enum Kind {
    Null,
    Constant {
        value: ParamValue,
    },
    Partial {
        keep_first: u32,
        keep_last: u32,
        fill: String,
        min_masked: u32,
    },
    Prefix {
        length: u32,
    },
    Email {
        keep_local: u32,
        keep_domain: KeepDomain,
    },
    RegexReplace {
        pattern: String,
        replacement: String,
        on_no_match: NoMatch,
    },
    Pseudonymize {
        #[serde(skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
        scope: Scope,
        bits: u32,
    },
    TruncateDate {
        unit: Unit,
        zone: String,
    },
    Round {
        to: Exact,
    },
    Bucket {
        width: Exact,
        origin: Exact,
    },
    TopCode {
        limit: Exact,
    },
    BottomCode {
        limit: Exact,
    },
    Zip3,
    IpTruncate {
        v4: u32,
        v6: u32,
    },
}

/// How much of a mail address's domain is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeepDomain {
    Tld,
    Full,
    None,
}

impl KeepDomain {
    pub(crate) const ALL: [Self; 3] = [Self::Tld, Self::Full, Self::None];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tld => "tld",
            Self::Full => "full",
            Self::None => "none",
        }
    }
}

/// What a value shows in which a pattern found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoMatch {
    Redact,
    Keep,
}

impl NoMatch {
    pub(crate) const ALL: [Self; 2] = [Self::Redact, Self::Keep];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Keep => "keep",
        }
    }
}

/// Who can link a pseudonym: one recipient, or all recipients of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Recipient,
    Group(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recipient => f.write_str("recipient"),
            Self::Group(id) => write!(f, "group:{id}"),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads what [`Mask`] writes, by the reader of policies.
impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            mask: String,
            #[serde(flatten)]
            params: BTreeMap<String, ParamValue>,
        }
        let written = Written::deserialize(deserializer)?;
        Self::parse(&written.mask, &written.params).map_err(D::Error::custom)
    }
}

impl Mask {
    /// Checks a mask's name and parameters.
    pub fn parse(name: &str, params: &BTreeMap<String, ParamValue>) -> Result<Self, MaskError> {
        let Some(shape) = MASKS.iter().find(|shape| shape.name == name) else {
            let known: Vec<_> = MASKS.iter().map(|shape| shape.name).collect();
            return Err(MaskError::UnknownMask {
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        let reader = Reader::new(shape, params)?;
        let kind = match shape.kind {
            MaskKind::Null => Kind::Null,
            MaskKind::Constant => Kind::Constant {
                value: reader.required("value", reader.raw("value"))?.clone(),
            },
            MaskKind::Partial => Kind::Partial {
                keep_first: reader.count("keep_first")?,
                keep_last: reader.count("keep_last")?,
                fill: reader.some_text("fill")?,
                min_masked: reader.count("min_masked")?,
            },
            MaskKind::Prefix => Kind::Prefix {
                length: reader.count("length")?,
            },
            MaskKind::Email => Kind::Email {
                keep_local: reader.count("keep_local")?,
                keep_domain: reader
                    .one_of("keep_domain", &KeepDomain::ALL.map(|one| (one.name(), one)))?,
            },
            MaskKind::RegexReplace => regex_replace(&reader)?,
            MaskKind::Pseudonymize => pseudonymize(&reader)?,
            MaskKind::TruncateDate => truncate_date(&reader)?,
            MaskKind::Round => Kind::Round {
                to: reader.step("to")?,
            },
            MaskKind::Bucket => Kind::Bucket {
                width: reader.step("width")?,
                origin: reader.number("origin")?,
            },
            MaskKind::TopCode => Kind::TopCode {
                limit: reader.number("limit")?,
            },
            MaskKind::BottomCode => Kind::BottomCode {
                limit: reader.number("limit")?,
            },
            MaskKind::Zip3 => zip3(&reader)?,
            MaskKind::IpTruncate => Kind::IpTruncate {
                v4: reader.count("v4")?,
                v6: reader.count("v6")?,
            },
        };
        Ok(Self(kind))
    }

    /// The mask that shows NULL.
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// Refuses a column whose type the mask cannot keep.
    pub fn check(&self, column: &str, data_type: &DataType) -> Result<(), MaskError> {
        // A mask fits exactly when it binds; whose keys it would use is beside the point.
        let keys = MaskKeys::from_contract_key([0; 32], "check");
        bind(&self.0, column, data_type, &keys).map(|_| ())
    }

    /// Makes the mask ready for arrays of one column; `column` is its name, or its full path.
    pub fn bind(
        &self,
        column: &str,
        data_type: &DataType,
        keys: &MaskKeys,
    ) -> Result<BoundMask, MaskError> {
        bind(&self.0, column, data_type, keys)
    }

    /// The name a policy uses for it.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The mask for those who see what it gives: with the parameters that its results show anyway,
    /// and without those that could tell of values, columns or recipients behind it.
    pub fn told(&self) -> String {
        match &self.0 {
            // A pattern may spell out what it looks for; domain and scope name others.
            Kind::RegexReplace { .. } | Kind::Pseudonymize { .. } => self.name().to_owned(),
            Kind::Null
            | Kind::Constant { .. }
            | Kind::Partial { .. }
            | Kind::Prefix { .. }
            | Kind::Email { .. }
            | Kind::TruncateDate { .. }
            | Kind::Round { .. }
            | Kind::Bucket { .. }
            | Kind::TopCode { .. }
            | Kind::BottomCode { .. }
            | Kind::Zip3
            | Kind::IpTruncate { .. } => self.to_string(),
        }
    }

    /// The group whose recipients may link this mask's pseudonyms, if the scope names one.
    ///
    /// The contract must list it; that is for the policy to check.
    pub fn group(&self) -> Option<&str> {
        match &self.0 {
            Kind::Pseudonymize {
                scope: Scope::Group(id),
                ..
            } => Some(id),
            _ => None,
        }
    }
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Constant { .. } => "constant",
            Self::Partial { .. } => "partial",
            Self::Prefix { .. } => "prefix",
            Self::Email { .. } => "email",
            Self::RegexReplace { .. } => "regex_replace",
            Self::Pseudonymize { .. } => "pseudonymize",
            Self::TruncateDate { .. } => "truncate_date",
            Self::Round { .. } => "round",
            Self::Bucket { .. } => "bucket",
            Self::TopCode { .. } => "top_code",
            Self::BottomCode { .. } => "bottom_code",
            Self::Zip3 => "zip3",
            Self::IpTruncate { .. } => "ip_truncate",
        }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match &self.0 {
            Kind::Null | Kind::Zip3 => Ok(()),
            Kind::Constant { value } => write!(f, "(value={value})"),
            Kind::Partial {
                keep_first,
                keep_last,
                fill,
                min_masked,
            } => write!(
                f,
                "(keep_first={keep_first}, keep_last={keep_last}, fill={fill:?}, \
                 min_masked={min_masked})"
            ),
            Kind::Prefix { length } => write!(f, "(length={length})"),
            Kind::Email {
                keep_local,
                keep_domain,
            } => write!(
                f,
                "(keep_local={keep_local}, keep_domain={})",
                keep_domain.name()
            ),
            Kind::RegexReplace {
                pattern,
                replacement,
                on_no_match,
            } => {
                write!(f, "(pattern={pattern:?}, replacement={replacement:?}")?;
                match on_no_match {
                    NoMatch::Redact => f.write_str(")"),
                    NoMatch::Keep => f.write_str(", on_no_match=keep)"),
                }
            }
            Kind::Pseudonymize {
                domain,
                scope,
                bits,
            } => {
                f.write_str("(")?;
                if let Some(domain) = domain {
                    write!(f, "domain={domain}, ")?;
                }
                write!(f, "scope={scope}, bits={bits})")
            }
            Kind::TruncateDate { unit, zone } => write!(f, "(unit={}, zone={zone})", unit.name()),
            Kind::Round { to } => write!(f, "(to={to})"),
            Kind::Bucket { width, origin } => write!(f, "(width={width}, origin={origin})"),
            Kind::TopCode { limit } | Kind::BottomCode { limit } => write!(f, "(limit={limit})"),
            Kind::IpTruncate { v4, v6 } => write!(f, "(v4={v4}, v6={v6})"),
        }
    }
}

fn regex_replace(reader: &Reader<'_>) -> Result<Kind, MaskError> {
    let pattern = reader.some_text("pattern")?;
    compile(&pattern).map_err(|problem| reader.bad("pattern", problem))?;
    Ok(Kind::RegexReplace {
        pattern,
        replacement: reader.some_text("replacement")?,
        on_no_match: reader.one_of("on_no_match", &NoMatch::ALL.map(|one| (one.name(), one)))?,
    })
}

fn pseudonymize(reader: &Reader<'_>) -> Result<Kind, MaskError> {
    let domain = reader.text("domain")?;
    if domain.is_some_and(str::is_empty) {
        return Err(reader.bad("domain", "must not be empty"));
    }
    let scope = match reader.some_text("scope")?.as_str() {
        "recipient" => Scope::Recipient,
        text => match text.strip_prefix("group:").filter(|id| !id.is_empty()) {
            Some(id) => Scope::Group(id.to_owned()),
            None => return Err(reader.bad("scope", "must be `recipient` or `group:` and its id")),
        },
    };
    let bits = reader.count("bits")?;
    if ![64, 96, 128, 256].contains(&bits) {
        let problem = "must be 64, 96, 128 or 256; shorter tokens would make two people one";
        return Err(reader.bad("bits", problem));
    }
    Ok(Kind::Pseudonymize {
        domain: domain.map(str::to_owned),
        scope,
        bits,
    })
}

fn truncate_date(reader: &Reader<'_>) -> Result<Kind, MaskError> {
    let zone = reader.some_text("zone")?;
    if zone.parse::<Tz>().is_err() {
        return Err(reader.bad("zone", "must be a time zone such as UTC or Europe/Berlin"));
    }
    Ok(Kind::TruncateDate {
        unit: reader.one_of("unit", &Unit::ALL.map(|unit| (unit.name(), unit)))?,
        zone,
    })
}

fn zip3(reader: &Reader<'_>) -> Result<Kind, MaskError> {
    if reader.raw("population").is_none() {
        return Ok(Kind::Zip3);
    }
    let problem = "is not supported yet; leave it out to use the built-in list";
    Err(reader.bad("population", problem))
}

#[cfg(test)]
mod tests;
