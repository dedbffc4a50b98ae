//! Tickets and prepared handles: sealed, bound to principal and session, and without any right of
//! their own. What they name is decided again when they come back.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use scrim_engine::TimeZone;
use scrim_model::{Code, Refusal, SessionSettings};
use tonic::Status;

use super::Flight;
use super::context::Caller;
use super::settings::{Settings, release, release_word};
use crate::status::{foreign, to_status};

/// How long a ticket can be redeemed.
const TICKET_TTL: TimeDelta = TimeDelta::hours(1);
/// Characters of a ticket or handle that are looked at.
const SEALED_CHARS_MAX: usize = 12 * 1024 * 1024;

/// What a sealed text is for; one can never pass as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One result of one statement.
    Ticket,
    /// A statement to be run.
    Prepared,
}

impl Kind {
    fn purpose(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Prepared => "prepared",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Prepared => "prepared statement",
        }
    }
}

/// A statement with everything that it needs to be run again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// The text.
    pub(crate) sql: String,
    /// One row of parameters, as an Arrow stream.
    pub(crate) params: Option<Bytes>,
    /// The settings under which it was announced.
    pub(crate) settings: Settings,
    /// The digest of the schema that was announced; empty for a prepared statement.
    pub(crate) schema_hash: Vec<u8>,
    /// Tells apart prepared statements with the same text.
    pub(crate) nonce: [u8; 16],
}

/// The sealed form; field numbers are never used again for something else.
#[derive(Clone, PartialEq, Message)]
struct Sealed {
    #[prost(string, tag = "1")]
    principal: String,
    #[prost(bytes = "vec", tag = "2")]
    session: Vec<u8>,
    #[prost(string, tag = "3")]
    sql: String,
    #[prost(bytes = "bytes", optional, tag = "4")]
    params: Option<Bytes>,
    #[prost(string, optional, tag = "5")]
    purpose: Option<String>,
    #[prost(string, optional, tag = "6")]
    agreement: Option<String>,
    #[prost(string, optional, tag = "7")]
    release: Option<String>,
    #[prost(string, optional, tag = "8")]
    schema: Option<String>,
    #[prost(bytes = "vec", tag = "9")]
    schema_hash: Vec<u8>,
    #[prost(int64, tag = "10")]
    issued_ms: i64,
    #[prost(int64, tag = "11")]
    expires_ms: i64,
    #[prost(bytes = "vec", tag = "12")]
    nonce: Vec<u8>,
    #[prost(string, optional, tag = "20")]
    time_zone: Option<String>,
    #[prost(bool, optional, tag = "21")]
    native_types: Option<bool>,
    #[prost(uint32, optional, tag = "22")]
    max_endpoints: Option<u32>,
}

impl Flight {
    /// Seals a statement for its caller.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        caller: &Caller,
        statement: Statement,
    ) -> Result<Bytes, Status> {
        let now = self.clock.now();
        let settings = statement.settings;
        let stated = settings.stated;
        let sealed = Sealed {
            principal: caller.principal().to_owned(),
            session: caller.session.id.0.as_bytes().to_vec(),
            sql: statement.sql,
            params: statement.params,
            purpose: stated.purpose,
            agreement: stated.agreement,
            release: stated
                .release
                .map(|release| release_word(release).to_owned()),
            schema: settings.schema,
            schema_hash: statement.schema_hash,
            issued_ms: now.timestamp_millis(),
            expires_ms: expiry(kind, caller, now).timestamp_millis(),
            nonce: statement.nonce.to_vec(),
            time_zone: settings.time_zone.map(|zone| zone.to_string()),
            native_types: settings.native_types,
            max_endpoints: settings.max_endpoints.map(u32::from),
        };
        let text = self.sealer.seal(kind.purpose(), &sealed.encode_to_vec());
        text.map(Bytes::from).map_err(|e| {
            to_status(
                &Refusal::internal(format!("seal a {}: {e}", kind.noun())),
                None,
            )
        })
    }

    /// Opens what a caller brings back.
    ///
    /// # Errors
    /// Tampered, foreign and expired ones each have their own status, never an internal one.
    pub(crate) fn open(
        &self,
        kind: Kind,
        caller: &Caller,
        text: &[u8],
    ) -> Result<Statement, Status> {
        let invalid = || {
            let message = format!("this is no {} of this server", kind.noun());
            to_status(&Refusal::new(Code::TicketInvalid, message), None)
        };
        if text.len() > SEALED_CHARS_MAX {
            return Err(invalid());
        }
        let text = std::str::from_utf8(text).map_err(|_| invalid())?;
        let bytes = self
            .sealer
            .open(kind.purpose(), text)
            .map_err(|_| invalid())?;
        let sealed = Sealed::decode(bytes.as_slice()).map_err(|_| invalid())?;
        if sealed.principal != caller.principal()
            || sealed.session != caller.session.id.0.as_bytes()
        {
            return Err(foreign(kind.noun()));
        }
        if sealed.expires_ms <= self.clock.now().timestamp_millis() {
            let message = format!("the {} has expired; run the statement again", kind.noun());
            return Err(to_status(&Refusal::new(Code::TicketExpired, message), None));
        }
        sealed.statement().ok_or_else(invalid)
    }
}

impl Sealed {
    /// What was sealed; `None` when another version of the server sealed something else.
    fn statement(self) -> Option<Statement> {
        let release = self.release.map(|word| release(&word)).transpose();
        let time_zone = self
            .time_zone
            .map(|zone| TimeZone::parse(&zone))
            .transpose();
        let max_endpoints = self.max_endpoints.map(u16::try_from).transpose();
        Some(Statement {
            sql: self.sql,
            params: self.params,
            settings: Settings {
                stated: SessionSettings {
                    purpose: self.purpose,
                    agreement: self.agreement,
                    release: release.ok()?,
                },
                schema: self.schema,
                time_zone: time_zone.ok()?,
                native_types: self.native_types,
                max_endpoints: max_endpoints.ok()?,
            },
            schema_hash: self.schema_hash,
            nonce: self.nonce.try_into().ok()?,
        })
    }
}

/// A ticket ends soon, a prepared statement with its session.
fn expiry(kind: Kind, caller: &Caller, now: DateTime<Utc>) -> DateTime<Utc> {
    match kind {
        Kind::Ticket => caller.session.expires.min(now + TICKET_TTL),
        Kind::Prepared => caller.session.expires,
    }
}
