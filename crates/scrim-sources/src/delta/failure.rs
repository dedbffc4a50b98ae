//! What went wrong with a log, in words for its owner.
//!
//! A log holds values of its table, and the library's messages quote what they do not understand:
//! only those that tell of the log's form are repeated.

use delta_kernel::KernelError;
use scrim_engine::{FaultKind, SourceFault};

/// A failure while a log is read.
#[derive(Debug)]
pub(super) enum Failure {
    /// We know what it is.
    Fault(SourceFault),
    /// The library says so.
    Kernel(KernelError),
}

impl From<SourceFault> for Failure {
    fn from(fault: SourceFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::Kernel(error)
    }
}

/// The fault that an error of the library is; `at` is where the table lies.
pub(super) fn fault(at: &str, error: &KernelError) -> SourceFault {
    let (kind, cause) = told(error);
    SourceFault::new(kind, format!("{at}: {cause}"))
}

fn told(error: &KernelError) -> (FaultKind, String) {
    let kind = match error {
        KernelError::Backtraced { source, .. } => return told(source),
        KernelError::FileNotFound(_)
        | KernelError::EmptyLog
        | KernelError::MissingVersion(_)
        | KernelError::StartVersionNotFound { .. } => FaultKind::Unavailable,
        KernelError::Unsupported(_)
        | KernelError::InvalidProtocol(_)
        | KernelError::InvalidCheckpoint(_)
        | KernelError::InvalidLogPath(_)
        | KernelError::InvalidLogSegment(_)
        | KernelError::InvalidColumnMappingMode(_)
        | KernelError::MissingMetadata
        | KernelError::MissingProtocol
        | KernelError::MissingMetadataAndProtocol
        | KernelError::DeletionVector(_)
        | KernelError::LogHistory(_) => FaultKind::Invalid,
        _ => {
            let what = "its log is broken, or written in a way that is not understood here";
            return (FaultKind::Invalid, what.to_owned());
        }
    };
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    (kind, format!("its log cannot be read: {line}"))
}

#[cfg(test)]
mod tests {
    use delta_kernel::schema::DataType;

    use super::*;

    #[test]
    fn inv_15_messages_that_may_quote_values_are_not_repeated() {
        for error in [
            KernelError::ParseError("canary".to_owned(), DataType::LONG),
            KernelError::generic("canary"),
            KernelError::invalid_partition_values("canary"),
            KernelError::internal_error("canary"),
        ] {
            let said = fault("s3://lake/visits", &error).to_string();
            assert!(
                said.starts_with("s3://lake/visits: ") && !said.contains("canary"),
                "{said}"
            );
        }
        let said = fault("x", &KernelError::unsupported("feature y")).to_string();
        assert_eq!(said, "x: its log cannot be read: Unsupported: feature y");
    }
}
