//! The kinds of entries and how their bodies are written.

use std::{fmt, io, net::IpAddr, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use scrim_model::{Code, QueryId, Revocation, RevocationScope, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter};

use crate::decided::Decided;
use crate::facts;
use crate::{Facts, LedgerError, Reading, ShadowDifference, line};

/// The version of the format, in the first line.
pub(crate) const FORMAT: u64 = 1;

/// What is recorded before a query may read.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The query's id.
    pub query: QueryId,
    /// The announced statement that it runs, if it was announced: the id that clients were told.
    pub statement: Option<QueryId>,
    /// The session in which it asks.
    pub session: Option<String>,
    /// Who asks, how, and what for. The client's own name and the purpose are unverified.
    pub facts: Facts,
    /// The statement as the client sent it.
    pub sql: String,
    /// The policy set that decided.
    pub policy_version: String,
    /// The tables, each with its decision.
    pub readings: Arc<[Reading]>,
}

/// A query that was refused before it was opened.
#[derive(Debug, Clone)]
pub struct RefusedQuery {
    /// The query's id.
    pub query: QueryId,
    /// The announced statement that it was to run, if it was announced.
    pub statement: Option<QueryId>,
    /// The session in which it asked.
    pub session: Option<String>,
    /// Who asked, how, and what for.
    pub facts: Facts,
    /// The statement as the client sent it; shortened to what a line can hold.
    pub sql: String,
    /// The policy set that was in force, if there was one.
    pub policy_version: Option<String>,
    /// The tables that it named, as far as it could be read, each with what was decided about it.
    pub readings: Arc<[Reading]>,
    /// The code that the client got.
    pub code: Code,
    /// Why, for the data owner; never a value of the data. Shortened like the statement, parts of
    /// which it may repeat.
    pub reason: String,
}

/// What is recorded beside queries.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Event {
    /// A server started to serve.
    ServerStarted {
        /// Its version.
        version: String,
    },
    /// A server stopped serving, in order.
    ServerStopped,
    /// A policy set was loaded and decides from now on.
    PolicyLoaded {
        /// Its version.
        version: String,
        /// Its files, each with the SHA-256 of its text.
        files: Vec<(String, String)>,
        /// What caused it.
        cause: LoadCause,
        /// The operator who asked for it, if one did.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// While a rollback is in force: the version of the policies in the folder, which are not.
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// Policies could not be loaded; what was in force stays.
    PolicyRefused {
        /// Their version, if they could be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// What caused the attempt.
        cause: LoadCause,
        /// The operator who asked for it, if one did.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// What is wrong with them, shortened.
        #[serde(serialize_with = "serialize_head")]
        problems: String,
    },
    /// A session was opened.
    SignedIn {
        /// The account.
        principal: String,
        /// The account's organisation.
        org: String,
        /// The new session.
        session: SessionId,
        /// The address it came from.
        address: Option<IpAddr>,
        /// The SHA-256 of the client certificate that opened it, when no password did.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
        /// When the session ends unless it is renewed.
        expires: DateTime<Utc>,
    },
    /// An open session was prolonged.
    SessionRenewed {
        /// The account.
        principal: String,
        /// The session.
        session: SessionId,
        /// When the session ends unless it is renewed again.
        expires: DateTime<Utc>,
    },
    /// Somebody could not sign in.
    SignInRefused {
        /// The account's name as it was typed; unverified, so show it with care.
        account: String,
        /// The address it came from.
        address: Option<IpAddr>,
        /// The code that the client got.
        #[serde(serialize_with = "serialize_code")]
        code: Code,
    },
    /// A session was closed before its time; a start reads this, so that its token stays closed.
    SessionClosed {
        /// The account.
        principal: String,
        /// The session.
        session: SessionId,
        /// When the session would have ended at the latest.
        expires: DateTime<Utc>,
    },
    /// From here on queries are also decided under policies that are not enforced.
    ShadowLoaded {
        /// Their version.
        version: String,
    },
    /// These cannot be loaded any more: until they are again, no query is decided under them.
    ShadowLost,
    /// These would have decided otherwise about a query.
    ShadowDiffered(ShadowDifference),
    /// There was no time to decide queries under them.
    ShadowMissed {
        /// How many.
        queries: u64,
    },
    /// The owner took access back; a start reads this, so that it stays taken.
    Revoked(Revocation),
    /// The owner gave it again.
    Reinstated {
        /// What had been taken away.
        scope: RevocationScope,
        /// The id of the account, organisation or agreement.
        id: String,
        /// Why.
        reason: String,
        /// Who did it.
        by: String,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What caused policies to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadCause {
    /// The server started.
    Start,
    /// The folder of policies changed.
    Folder,
    /// The process was sent a signal.
    Signal,
    /// An operator asked for it.
    Command,
    /// An operator took an earlier version back.
    Rollback,
    /// A source that had been away, or did not fit its contract, is there.
    SourceHealed,
}

impl LoadCause {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Folder => "folder",
            Self::Signal => "signal",
            Self::Command => "command",
            Self::Rollback => "rollback",
            Self::SourceHealed => "source healed",
        }
    }
}

impl fmt::Display for LoadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is running, or the server was killed and not started since.
    Open,
    /// All of its result was handed over.
    Completed,
    /// It failed on the way.
    Failed,
    /// The right to the data ended on the way.
    Revoked,
    /// The client went away, or the server did.
    Abandoned,
    /// It was refused before it was opened.
    Refused,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Completed,
        Self::Failed,
        Self::Revoked,
        Self::Abandoned,
        Self::Refused,
    ];

    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::Abandoned => "abandoned",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("unknown outcome `{word}`: use one of {known}")
            })
    }
}

/// How a record is closed.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(crate) query: QueryId,
    pub(crate) outcome: Outcome,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) code: Option<Code>,
    pub(crate) reason: Option<String>,
}

/// An entry as it is written.
#[derive(Debug, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Body<'a> {
    Created { format: u64, id: uuid::Uuid },
    Recovered { bytes: u64, sha256: &'a str },
    Opened(Asked<'a>),
    Closed(Closed<'a>),
    Refused(Refused<'a>),
}

/// A query as it is written: fields that the fold and people look for, the other facts, and the
/// decisions.
#[derive(Debug, Serialize)]
pub(crate) struct Asked<'a> {
    query: QueryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<QueryId>,
    principal: &'a str,
    org: &'a str,
    session: Option<&'a str>,
    address: Option<IpAddr>,
    client: Option<&'a str>,
    purpose: Option<&'a str>,
    facts: facts::Rest<'a>,
    tables: Vec<String>,
    sql: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql_bytes: Option<usize>,
    policy_version: Option<&'a str>,
    #[serde(flatten)]
    decided: Decided,
}

#[derive(Debug, Serialize)]
pub(crate) struct Refused<'a> {
    #[serde(flatten)]
    asked: Asked<'a>,
    code: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Closed<'a> {
    query: QueryId,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn new(query: QueryId, session: Option<&'a str>, facts: &'a Facts, sql: &'a str) -> Self {
        let principal = &facts.principal;
        Self {
            query,
            statement: None,
            principal: &principal.id,
            org: &principal.org,
            session,
            address: facts.context.ip,
            client: facts.context.client.as_deref(),
            purpose: facts.settings.purpose.as_deref(),
            facts: facts.rest(),
            tables: Vec::new(),
            sql,
            sql_bytes: None,
            policy_version: None,
            decided: Decided::default(),
        }
    }

    fn with(self, readings: &[Reading]) -> Self {
        let tables = readings.iter();
        Self {
            tables: tables
                .map(|reading| reading.decision.table.to_string())
                .collect(),
            decided: Decided::of(readings),
            ..self
        }
    }
}

impl Opening {
    pub(crate) fn body(&self) -> Body<'_> {
        let session = self.session.as_deref();
        let asked = Asked::new(self.query, session, &self.facts, &self.sql).with(&self.readings);
        Body::Opened(Asked {
            statement: self.statement,
            policy_version: Some(&self.policy_version),
            ..asked
        })
    }
}

/// How much of a refused statement is kept: it may be refused *because* it is huge.
const REFUSED_SQL_BYTES_MAX: usize = 64 << 10;

/// How much of a reason is kept. A record that could not be closed, because no line holds its
/// reason, would stop the ledger.
const REASON_BYTES_MAX: usize = 4 << 10;

/// The beginning of a text, cut between characters.
fn head(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or_default()
}

impl RefusedQuery {
    pub(crate) fn body(&self) -> Body<'_> {
        let sql = head(&self.sql, REFUSED_SQL_BYTES_MAX);
        let session = self.session.as_deref();
        let asked = Asked::new(self.query, session, &self.facts, sql).with(&self.readings);
        Body::Refused(Refused {
            asked: Asked {
                statement: self.statement,
                sql_bytes: (sql.len() < self.sql.len()).then_some(self.sql.len()),
                policy_version: self.policy_version.as_deref(),
                ..asked
            },
            code: self.code.as_str(),
            reason: head(&self.reason, REASON_BYTES_MAX),
        })
    }
}

impl Closing {
    pub(crate) fn body(&self) -> Body<'_> {
        Body::Closed(Closed {
            query: self.query,
            outcome: self.outcome,
            rows: self.rows,
            bytes: self.bytes,
            code: self.code.map(Code::as_str),
            reason: self
                .reason
                .as_deref()
                .map(|reason| head(reason, REASON_BYTES_MAX)),
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn serialize_code<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

fn serialize_head<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(head(text, REASON_BYTES_MAX))
}

/// Writes a body as it goes into a line.
pub(crate) fn encode(body: &impl Serialize) -> Result<Vec<u8>, LedgerError> {
    let mut out = Vec::with_capacity(1024);
    body.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, Visible,
    ))?;
    if out.len() > line::BODY_BYTES_MAX {
        return Err(LedgerError::TooLarge {
            bytes: out.len(),
            max: line::BODY_BYTES_MAX,
        });
    }
    Ok(out)
}

/// Escapes, beyond what JSON asks for, whatever could play tricks on a terminal or an eye: a
/// statement is written by a stranger and read by the data owner with `cat` and `grep`.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Most statements are plain, and some are long.
        if fragment.bytes().all(|byte| byte.is_ascii() && byte != 0x7f) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        let mut rest = fragment;
        while let Some((at, tricky)) = rest.char_indices().find(|(_, c)| is_tricky(*c)) {
            let (before, from) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, before)?;
            let mut units = [0; 2];
            for unit in tricky.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = from.get(tricky.len_utf8()..).unwrap_or_default();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Control characters (JSON itself escapes those below U+0020 only), line separators, and
/// invisible or direction-changing format characters.
fn is_tricky(c: char) -> bool {
    !c.is_ascii()
        && (c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'))
        || c == '\u{7f}'
}

#[cfg(test)]
mod tests {
    use super::{Outcome, encode};

    #[test]
    fn what_could_fool_a_terminal_is_escaped_and_reads_back_equal() {
        let text = "select 'é漢😀'\n\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2066}\u{feff}\u{e0041}\"\\";
        let out = encode(&text).unwrap();
        let shown = String::from_utf8(out.clone()).unwrap();
        assert!(shown.contains("é漢😀"), "{shown}");
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(
            shown.contains("\\u202e") && shown.contains("\\udb40\\udc41"),
            "{shown}"
        );
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn outcomes_are_words_and_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        assert!("done".parse::<Outcome>().unwrap_err().contains("completed"));
    }
}
