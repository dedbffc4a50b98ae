//! What went wrong with a database, in words for its owner.
//!
//! The server's own messages may hold values of the data, so none of them is repeated: its code
//! says which of the failures below it is.

use std::error::Error;
use std::fmt::Write;

use scrim_engine::{FaultKind, SourceFault};
use tokio_postgres::error::SqlState;

use super::binary::Broken;
use crate::{SourceError, SourceSettings};

/// How the library says that a server wants no TLS.
const NO_TLS: &str = "server does not support TLS";
const WITHOUT_TLS: &str = "; turn it on there, or, on this machine, write `tls: off` in the \
                           contract's server, `sslmode=disable` in an address";

/// A failure that does not say yet where it happened.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FaultKind,
    pub(super) cause: String,
    /// Whether the connection broke, rather than the statement on it.
    pub(super) broken: bool,
}

impl Failure {
    pub(super) fn new(kind: FaultKind, cause: impl Into<String>) -> Self {
        Self {
            kind,
            cause: cause.into(),
            broken: false,
        }
    }

    /// Of an error while something is read.
    pub(super) fn of(error: &tokio_postgres::Error, settings: &SourceSettings) -> Self {
        let Some(code) = error.code() else {
            let mut cause = chain(error);
            if cause.ends_with(NO_TLS) {
                cause.push_str(WITHOUT_TLS);
            }
            return Self {
                broken: true,
                ..Self::new(FaultKind::Unavailable, cause)
            };
        };
        let (kind, cause) = told(code, settings);
        Self {
            kind,
            cause: format!("{cause} (SQLSTATE {})", code.code()),
            broken: code.code().starts_with("57P") || code.code().starts_with("08"),
        }
    }

    /// As the fault of a query.
    pub(super) fn fault(self, at: &str) -> SourceFault {
        SourceFault::new(self.kind, format!("{at}: {}", self.cause))
    }

    /// As the reason why a table could not be opened.
    pub(super) fn unreadable(self, at: &str) -> SourceError {
        SourceError::Unreadable {
            at: at.to_owned(),
            cause: self.cause,
        }
    }
}

impl From<Broken> for Failure {
    fn from(Broken(rule): Broken) -> Self {
        Self::new(
            FaultKind::Invalid,
            format!("it sent what cannot be read: {rule}"),
        )
    }
}

/// An error of the connection with all that it stems from; no value of the data is near.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            // Writing to a string cannot fail.
            write!(text, ": {cause_text}").unwrap_or_default();
        }
        next = cause.source();
    }
    text
}

fn told(code: &SqlState, settings: &SourceSettings) -> (FaultKind, String) {
    use FaultKind::{Busy, Invalid, Unavailable};
    let (kind, cause) = match code.code() {
        "28P01" | "28000" => (
            Unavailable,
            "it refused the user or the password of the credentials, or this machine",
        ),
        "3D000" => (Unavailable, "there is no such database"),
        "53300" => (Busy, "it has no connection left for us"),
        "57P01" => (Unavailable, "an administrator ended the connection"),
        "57P03" => (Unavailable, "it is starting or stopping"),
        "57014" => {
            let limit = settings.statement_timeout;
            let cause = format!(
                "it ended the statement: it took longer than statement_timeout ({limit:?}), or \
                 somebody cancelled it"
            );
            return (Unavailable, cause);
        }
        "55P03" => {
            let limit = settings.connect_timeout;
            return (
                Busy,
                format!("the table was locked for longer than {limit:?}"),
            );
        }
        "42501" => (
            Unavailable,
            "the user of the credentials may not read it; grant SELECT on its columns",
        ),
        "42P01" | "3F000" => (Invalid, "the table is gone"),
        "42703" => (Invalid, "a column is gone; load the contract anew"),
        other if other.starts_with("22") => (
            Invalid,
            "an expression of the view failed on a value; make the view total",
        ),
        _ => (Unavailable, "it could not run the statement"),
    };
    (kind, cause.to_owned())
}
