//! Tickets and prepared handles: sealed, bound to principal and session, and without any right of
//! their own. What they name is decided again when they come back.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use scrim_engine::{Share, TimeZone};
use scrim_model::{Code, QueryId, Refusal, SessionSettings};
use tonic::Status;
use uuid::Uuid;

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

    /// A ticket ends soon, a prepared statement with its session.
    pub(crate) fn expiry(self, caller: &Caller, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Ticket => caller.session.ends.min(now + TICKET_TTL),
            Self::Prepared => caller.session.ends,
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
    /// What was announced; a prepared statement announces nothing.
    pub(crate) promise: Option<Promise>,
    /// Tells apart prepared statements with the same text.
    pub(crate) nonce: [u8; 16],
}

/// What a ticket was told to stand for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Promise {
    /// The announcement's id, common to all its tickets and all their runs.
    pub(crate) id: QueryId,
    /// The digest of the schema.
    pub(crate) schema_hash: [u8; 32],
    /// The version of the policy set that decided.
    pub(crate) policy_version: String,
    /// The part of the result that this ticket is for; all of it when there is none.
    pub(crate) share: Option<Share>,
}

/// What was sealed, before it is known whether it still holds.
#[derive(Debug)]
pub(crate) struct Unsealed {
    pub(crate) statement: Statement,
    expires_ms: i64,
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
    #[prost(bytes = "vec", tag = "20")]
    id: Vec<u8>,
    #[prost(string, tag = "21")]
    policy_version: String,
    #[prost(uint32, tag = "22")]
    share_index: u32,
    #[prost(uint32, tag = "23")]
    share_of: u32,
    #[prost(string, tag = "24")]
    source_version: String,
    #[prost(string, optional, tag = "25")]
    time_zone: Option<String>,
    #[prost(bool, optional, tag = "26")]
    native_types: Option<bool>,
    #[prost(uint32, optional, tag = "27")]
    max_endpoints: Option<u32>,
}

impl Sealed {
    /// `None` for what no ticket of ours holds.
    fn promise(&self) -> Option<Promise> {
        let share = match self.share_of {
            0 => None,
            of => Some(Share {
                index: self.share_index.try_into().ok()?,
                of: of.try_into().ok()?,
                version: self.source_version.clone(),
            }),
        };
        Some(Promise {
            id: QueryId(Uuid::from_slice(&self.id).ok()?),
            schema_hash: self.schema_hash.as_slice().try_into().ok()?,
            policy_version: self.policy_version.clone(),
            share,
        })
    }

    /// What was sealed; `None` when another version of the server sealed something else.
    fn statement(self, kind: Kind) -> Option<Statement> {
        let promise = match kind {
            Kind::Ticket => Some(self.promise()?),
            Kind::Prepared => None,
        };
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
            promise,
            nonce: self.nonce.try_into().ok()?,
        })
    }
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
        let promise = statement.promise;
        let share = promise.as_ref().and_then(|promise| promise.share.as_ref());
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
            schema_hash: promise
                .as_ref()
                .map(|promise| promise.schema_hash.to_vec())
                .unwrap_or_default(),
            issued_ms: now.timestamp_millis(),
            expires_ms: kind.expiry(caller, now).timestamp_millis(),
            nonce: statement.nonce.to_vec(),
            id: promise
                .as_ref()
                .map(|promise| promise.id.0.as_bytes().to_vec())
                .unwrap_or_default(),
            policy_version: promise
                .as_ref()
                .map(|promise| promise.policy_version.clone())
                .unwrap_or_default(),
            share_index: share.map_or(0, |share| share.index.into()),
            share_of: share.map_or(0, |share| share.of.into()),
            source_version: share.map(|share| share.version.clone()).unwrap_or_default(),
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
        let unsealed = self.unseal(kind, caller, text)?;
        if unsealed.expires_ms <= self.clock.now().timestamp_millis() {
            let message = format!("the {} has expired; run the statement again", kind.noun());
            return Err(to_status(&Refusal::new(Code::TicketExpired, message), None));
        }
        Ok(unsealed.statement)
    }

    /// The same, whether or not it has expired.
    pub(crate) fn unseal(
        &self,
        kind: Kind,
        caller: &Caller,
        text: &[u8],
    ) -> Result<Unsealed, Status> {
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
        let expires_ms = sealed.expires_ms;
        let statement = sealed.statement(kind).ok_or_else(invalid)?;
        Ok(Unsealed {
            statement,
            expires_ms,
        })
    }
}
