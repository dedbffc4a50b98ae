//! The channel of operators: one Flight action, whose body is a request and whose result is the
//! reply, both JSON.
//!
//! An operator is an account that `administrators` names, with an ordinary session, or whoever holds
//! the server's key file and seals a token with it. To everybody else the action does not exist.

mod answer;
mod status;
mod token;

use chrono::{DateTime, Utc};
use scrim_ledger::LoadCause;
use scrim_model::{Revocation, RevocationScope};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::revoke::Revoked;

pub use token::{Operator, operator_token};
pub(crate) use token::{Shown, Used, open_token};

/// The type of the action.
pub const ACTION: &str = "scrim.admin";

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminRequest {
    /// How the server is: a [`Status`].
    Status,
    /// To put in force what the folder of policies says now: a [`LoadReply`].
    Reload,
    /// To put an earlier version in force: a [`LoadReply`].
    Rollback {
        /// The beginning of the version.
        version: String,
    },
    /// The policies in force: a [`DocumentsReply`].
    Documents,
    /// To take access back: an [`AccessReply`].
    Revoke(AccessRequest),
    /// To give access again: an [`AccessReply`].
    Reinstate(AccessRequest),
}

/// Whose access is to change, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// What kind of thing.
    pub scope: RevocationScope,
    /// Which.
    pub id: String,
    /// Why, for the ledger.
    pub reason: String,
}

/// What came of changing access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AccessReply {
    /// It is taken back.
    Revoked(Revoked),
    /// It is given again; what had been taken.
    Reinstated(Revocation),
    /// Nothing has changed, or not for good.
    Refused {
        /// Why.
        problem: String,
        /// Whether the request was wrong, and not the server.
        mistake: bool,
    },
}

impl AdminRequest {
    /// The request as it is sent.
    ///
    /// # Errors
    /// Never, with requests as they are; the encoder can fail in general.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// What a reply can be read as.
pub trait Reply: DeserializeOwned {}

impl<R: DeserializeOwned> Reply for R {}

/// Reads a reply.
///
/// # Errors
/// When it is of another form than this version knows.
pub fn decode<R: Reply>(reply: &[u8]) -> serde_json::Result<R> {
    serde_json::from_slice(reply)
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the server.
    pub server: String,
    /// The policies in force.
    pub policies: PolicyStatus,
    /// Sessions that are open.
    pub sessions: usize,
    /// Results that are open, read or not.
    pub streams: usize,
    /// What is revoked.
    pub revocations: Vec<Revocation>,
    /// The end of the ledger.
    pub ledger: LedgerStatus,
}

/// The policies in force, and how they came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Their version.
    pub version: String,
    /// Since when they are in force.
    pub since: DateTime<Utc>,
    /// What caused it.
    pub cause: LoadCause,
    /// The operator who asked for it, if one did.
    pub by: Option<String>,
    /// While a rollback is in force: the version of the policies in the folder, which are not.
    pub folder: Option<String>,
    /// The tables that are served, as `schema.table`.
    pub tables: Vec<String>,
    /// The tables that are not served because of their sources.
    pub left_out: Vec<LeftOutTable>,
    /// The last attempt to load policies, if it was refused.
    pub refused: Option<RefusedLoad>,
}

/// A table that is not served because of its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutTable {
    /// Its name, as `schema.table`.
    pub table: String,
    /// Its contract.
    pub contract: String,
    /// Why, each with file, line and column.
    pub problems: Vec<String>,
}

/// An attempt to load policies that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLoad {
    /// When.
    pub at: DateTime<Utc>,
    /// The version of the policies, if they could be read.
    pub version: Option<String>,
    /// What caused the attempt.
    pub cause: LoadCause,
    /// The operator who asked for it, if one did.
    pub by: Option<String>,
    /// What is wrong, each with file, line and column.
    pub problems: Vec<String>,
}

/// The end of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// How many entries are durable.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
    /// Whether it takes more.
    pub healthy: bool,
}

/// How a load went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LoadReply {
    /// The policies are in force.
    Loaded(PolicyStatus),
    /// They are not, and what was in force stays.
    Refused(RefusedLoad),
}

/// The policies in force as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentsReply {
    /// Their version.
    pub version: String,
    /// Their files.
    pub files: Vec<Document>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its path from the folder of policies on.
    pub path: String,
    /// Its text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written_and_nothing_else_is() {
        for request in [
            AdminRequest::Status,
            AdminRequest::Reload,
            AdminRequest::Documents,
            AdminRequest::Rollback {
                version: "ab".to_owned(),
            },
            AdminRequest::Revoke(AccessRequest {
                scope: RevocationScope::Organisation,
                id: "harbor".to_owned(),
                reason: "the contract ended".to_owned(),
            }),
        ] {
            let body = request.encode().unwrap();
            assert_eq!(decode::<AdminRequest>(&body).unwrap(), request);
        }
        for body in [
            "",
            "{}",
            r#"{"ask":"stop"}"#,
            r#"{"ask":"rollback"}"#,
            r#"{"ask":"rollback","version":"a","force":true}"#,
            r#"{"ask":"revoke","scope":"planet","id":"a","reason":"b"}"#,
            r#"{"ask":"revoke","scope":"principal","id":"a"}"#,
        ] {
            assert!(decode::<AdminRequest>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
