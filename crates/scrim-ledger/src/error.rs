//! What can go wrong with a ledger.

use std::{fmt, io, path::PathBuf};

use scrim_model::{Code, QueryId, Refusal};

/// The first line of a ledger that is not as it was written, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// The number of the line, from 1; 0 when it is the file as a whole.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, what } = self;
        match line {
            0 => f.write_str(what),
            line => write!(f, "line {line}: {what}"),
        }
    }
}

/// Why the ledger cannot be opened or did not take an entry.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process writes this ledger.
    #[error("the ledger {} is in use by another process: stop that one first, or give this server a ledger of its own", path.display())]
    Locked {
        /// The ledger's file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} the ledger {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The ledger's file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error("the ledger {} is damaged at {damage}; nothing is served with a ledger that was changed: restore the file from a copy, or keep it as evidence and start with an empty folder", path.display())]
    Damaged {
        /// The ledger's file.
        path: PathBuf,
        /// Where and how.
        damage: Damage,
    },
    /// A write failed; nothing is written until the server is started again.
    #[error(
        "the ledger stopped after a failed write ({reason}): see to the disk, then start the server again"
    )]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The ledger takes no more entries, because the server is stopping.
    #[error("the ledger takes no more entries, because the server is stopping")]
    Stopped,
    /// The entry is longer than a line may be.
    #[error(
        "an entry of {bytes} bytes is longer than the {max} bytes that a line of the ledger may have: send a shorter statement"
    )]
    TooLarge {
        /// The entry's length.
        bytes: usize,
        /// What a line may have.
        max: usize,
    },
    /// A query id was opened while a record of that id was open.
    #[error("a record of query {query} is open already")]
    AlreadyOpen {
        /// The id.
        query: QueryId,
    },
    /// An entry could not be written as JSON.
    #[error("an entry cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        let (code, message) = match &error {
            LedgerError::Stopped => (Code::Stopping, "the server is stopping"),
            LedgerError::TooLarge { .. } => (
                Code::SqlTooLarge,
                "the statement is too large to be recorded",
            ),
            LedgerError::Locked { .. }
            | LedgerError::Io { .. }
            | LedgerError::Damaged { .. }
            | LedgerError::Poisoned { .. } => (
                Code::LedgerUnavailable,
                "the ledger cannot be written, so nothing is served; tell the data owner",
            ),
            LedgerError::AlreadyOpen { .. } | LedgerError::Encode(_) => {
                (Code::Internal, "the query failed inside the server")
            }
        };
        let source = std::error::Error::source(&error);
        let detail = match source {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::new(code, message).with_detail(detail)
    }
}
