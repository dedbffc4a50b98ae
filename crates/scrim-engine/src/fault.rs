//! How a source fails while it is read.

use std::error::Error;

use datafusion::error::DataFusionError;
use scrim_model::{Code, Refusal};

/// A source that failed while it was read. Its detail is for the owner's log and holds no value of
/// the data; whoever asked learns the kind alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SourceFault {
    kind: FaultKind,
    detail: String,
}

/// The kinds of failures that whoever asks can tell apart, since they can do something else about
/// each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The source cannot be reached, refuses us, or broke off.
    Unavailable,
    /// The source has no room for one more reader.
    Busy,
    /// The source was replaced while it was read.
    Changed,
    /// The source holds what its contract says it does not.
    Invalid,
}

impl SourceFault {
    /// A failure with what the owner should know: where, and what to mend, but no value.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The fault that an error stems from, however it was wrapped on its way.
    pub(crate) fn beneath(error: &DataFusionError) -> Option<&Self> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return Some(fault);
            }
            // A box tells of what its content stems from, not of the content.
            next = match error.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
                Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
                _ => error.source(),
            };
        }
        None
    }
}

/// A refusal for an error of a source, with the error as its detail.
pub(crate) fn refusal(error: &DataFusionError) -> Refusal {
    told(kind_of(error)).with_detail(error)
}

/// The kind of failure that an error stems from.
pub(crate) fn kind_of(error: &DataFusionError) -> FaultKind {
    SourceFault::beneath(error).map_or(FaultKind::Unavailable, SourceFault::kind)
}

impl From<SourceFault> for DataFusionError {
    fn from(fault: SourceFault) -> Self {
        Self::External(Box::new(fault))
    }
}

/// What whoever asked is told.
pub(crate) fn told(kind: FaultKind) -> Refusal {
    let (code, message) = match kind {
        FaultKind::Unavailable => (
            Code::SourceUnavailable,
            "a table of the query could not be read; try again later",
        ),
        FaultKind::Busy => (
            Code::SourceBusy,
            "the source of a table has no room for another reader; try again in a moment",
        ),
        FaultKind::Changed => (
            Code::SourceChanged,
            "a table of the query was replaced while it was read; run the statement again",
        ),
        FaultKind::Invalid => (
            Code::SourceInvalid,
            "the source of a table does not keep to its contract; tell its owner",
        ),
    };
    Refusal::new(code, message)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::error::ArrowError;

    use super::*;

    #[test]
    fn a_fault_is_found_however_it_is_wrapped() {
        let fault = SourceFault::new(FaultKind::Changed, "x");
        let plain = DataFusionError::from(fault.clone());
        let context = plain.context("while reading");
        let arrow = ArrowError::ExternalError(Box::new(context));
        let wrapped = DataFusionError::ArrowError(Box::new(arrow), None);
        assert_eq!(SourceFault::beneath(&wrapped), Some(&fault));
        let other = DataFusionError::Execution("x".to_owned());
        assert_eq!(SourceFault::beneath(&other), None);
    }
}
