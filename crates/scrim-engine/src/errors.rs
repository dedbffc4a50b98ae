//! What went wrong, as a code and a class; never a data value.
//!
//! Which visible value fails first depends on where hidden rows lie, so not even visible values may
//! be named. What went wrong inside a guard is one constant text.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use scrim_model::{Code, Refusal};

use crate::fault::{self, FaultKind};
use crate::gate::{clip, syntax};

/// An error from inside a guard on its way out; whatever it says stays in the log.
#[derive(Debug)]
pub(crate) struct InsideGuard {
    kind: FaultKind,
    detail: String,
}

impl fmt::Display for InsideGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a governed table could not be read")
    }
}

impl std::error::Error for InsideGuard {}

/// Wraps an error of a guard's inner plan.
pub(crate) fn inside_guard(error: &DataFusionError) -> DataFusionError {
    DataFusionError::External(Box::new(InsideGuard {
        kind: fault::kind_of(error),
        detail: error.to_string(),
    }))
}

/// Where in a query's life an error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before any data were read: messages speak of the statement and the visible names only.
    Planning,
    /// While data were read: messages may hold values and are replaced.
    Running,
}

/// Turns an engine's error into what the client may know, and what the log may know: an error of a
/// query over data quotes values in its text, so of that only the kind is kept.
pub(crate) fn refusal(error: &DataFusionError, stage: Stage) -> Refusal {
    let told = told(error, stage);
    // What came out of a guard carries its cause already, which its own text hides.
    match (told.detail(), stage) {
        (Some(_), _) => told,
        (None, Stage::Planning) => told.with_detail(error),
        (None, Stage::Running) => told.with_detail(kind(error)),
    }
}

/// The kind of an error, without its text.
fn kind(error: &DataFusionError) -> &'static str {
    match error {
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::CastError(_) => "cast error",
            ArrowError::ParseError(_) => "parse error",
            ArrowError::ComputeError(_) => "compute error",
            ArrowError::DivideByZero => "division by zero",
            ArrowError::ArithmeticOverflow(_) => "arithmetic overflow",
            ArrowError::InvalidArgumentError(_) => "invalid argument",
            ArrowError::OffsetOverflowError(_) => "offset overflow",
            _ => "other array error",
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => kind(inner),
        DataFusionError::Shared(inner) => kind(inner),
        DataFusionError::Execution(_) => "execution error",
        DataFusionError::ResourcesExhausted(_) => "resources exhausted",
        DataFusionError::External(_) => "external error",
        DataFusionError::Internal(_) => "internal error",
        DataFusionError::ExecutionJoin(_) => "task ended",
        _ => "other error",
    }
}

fn told(error: &DataFusionError, stage: Stage) -> Refusal {
    match error {
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            told(inner, stage)
        }
        DataFusionError::Shared(inner) => told(inner, stage),
        DataFusionError::Collection(all) => all
            .first()
            .map_or_else(|| Refusal::internal("no error"), |first| told(first, stage)),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::ResourcesExhausted(_) => Refusal::new(
            Code::MemoryLimit,
            "the query needs more memory than it may use; select fewer columns or rows, or aggregate first",
        ),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::Plan(text) if stage == Stage::Planning => plan(text),
        DataFusionError::SQL(error, _) if stage == Stage::Planning => {
            let text = error.to_string();
            syntax(text.strip_prefix("sql parser error: ").unwrap_or(&text))
        }
        DataFusionError::NotImplemented(text) if stage == Stage::Planning => {
            Refusal::new(Code::NotServed, clip(first_sentence(text)))
        }
        DataFusionError::Execution(_)
        | DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::NotImplemented(_) => Refusal::new(
            Code::ExpressionFailed,
            "an expression of the query failed; check its functions and their arguments",
        ),
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_)
            if stage == Stage::Running =>
        {
            Refusal::internal(kind(error))
        }
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_) => Refusal::internal(error),
    }
}

fn external(inner: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
    if let Some(refusal) = inner.downcast_ref::<Refusal>() {
        return refusal.clone();
    }
    if let Some(inside) = inner.downcast_ref::<InsideGuard>() {
        return fault::told(inside.kind).with_detail(&inside.detail);
    }
    if let Some(error) = inner.downcast_ref::<DataFusionError>() {
        return told(error, Stage::Running);
    }
    if let Some(error) = inner.downcast_ref::<ArrowError>() {
        return arrow(error);
    }
    Refusal::internal("external error")
}

fn arrow(error: &ArrowError) -> Refusal {
    match error {
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        ArrowError::DivideByZero => Refusal::new(
            Code::DivideByZero,
            "the query divides by zero; use NULLIF(divisor, 0)",
        ),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => Refusal::new(
            Code::CastInvalid,
            "a value could not be converted to the type that the query asks for; use TRY_CAST",
        ),
        ArrowError::ArithmeticOverflow(_) | ArrowError::OffsetOverflowError(_) => Refusal::new(
            Code::Overflow,
            "a number left the range of its type; cast to a wider type first",
        ),
        ArrowError::MemoryError(_) => Refusal::new(
            Code::MemoryLimit,
            "the query needs more memory than it may use",
        ),
        _ => Refusal::new(
            Code::ExpressionFailed,
            "an expression of the query failed; check its functions and their arguments",
        ),
    }
}

fn schema(error: &SchemaError) -> Refusal {
    match error {
        SchemaError::FieldNotFound { field, .. } => Refusal::new(
            Code::NameNotFound,
            format!("column {} does not exist", clip(&field.flat_name())),
        ),
        SchemaError::AmbiguousReference { field } => Refusal::new(
            Code::PlanInvalid,
            format!(
                "column {} is ambiguous; qualify it with its table",
                clip(&field.name)
            ),
        ),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => Refusal::new(
            Code::PlanInvalid,
            format!(
                "column {} appears twice; give one of them another name",
                clip(name)
            ),
        ),
    }
}

/// Suggestions come in random order and lists of valid names can be long: only the first sentence.
fn first_sentence(text: &str) -> &str {
    ["Did you mean", "Valid fields", "No function matches", "\n"]
        .iter()
        .filter_map(|stop| text.find(stop))
        .min()
        .and_then(|end| text.get(..end))
        .filter(|head| !head.trim().is_empty())
        .unwrap_or(text)
        .trim_end()
}

fn plan(text: &str) -> Refusal {
    if let Some(name) = text
        .strip_prefix("Invalid function '")
        .and_then(|rest| rest.split('\'').next())
    {
        return crate::functions::refused(name);
    }
    let text = clip(first_sentence(text).trim_end_matches('.'));
    let mut chars = text.chars();
    // Our messages begin in lower case, unless the first word is an SQL keyword or a name.
    let lowered = match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.clone(),
    };
    Refusal::new(Code::PlanInvalid, lowered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_07_errors_name_no_value() {
        let canary = "Cannot cast string 'CANARY' to value of Int64 type".to_owned();
        for error in [
            DataFusionError::ArrowError(Box::new(ArrowError::CastError(canary.clone())), None),
            DataFusionError::ArrowError(Box::new(ArrowError::ComputeError(canary.clone())), None),
            DataFusionError::Execution(canary.clone()),
            DataFusionError::Internal(canary.clone()),
            DataFusionError::Plan(canary.clone()),
            inside_guard(&DataFusionError::Execution(canary.clone())),
            DataFusionError::Context(
                canary.clone(),
                Box::new(DataFusionError::Execution(canary.clone())),
            ),
            DataFusionError::External(Box::new(std::io::Error::other(canary.clone()))),
        ] {
            let refusal = refusal(&error, Stage::Running);
            assert!(!refusal.to_string().contains("CANARY"), "{refusal}");
            assert!(!format!("{refusal:?}").contains("CANARY"), "{refusal:?}");
            let is_the_owners = refusal.code() == Code::SourceUnavailable;
            assert!(is_the_owners || !refusal.detail().unwrap_or_default().contains("CANARY"));
        }
    }
}
