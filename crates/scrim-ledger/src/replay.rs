//! Reading a ledger back, line by line and in constant memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    thread,
    time::Duration,
};

use chrono::{DateTime, Utc};
use scrim_model::{QueryId, Revocation, RevocationScope, Revocations, SessionId};
use serde::Deserialize;

use crate::{
    Damage,
    entry::FORMAT,
    line::{self, Digest, LINE_BYTES_MAX, Line, NO_LINE},
    policies::LastLoads,
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// The hash of the last line; keep it elsewhere to notice later that lines were cut off.
    pub head: String,
    /// How many records are open: queries that run now, or ran when the server was killed.
    pub open: usize,
}

/// Checks a ledger from its first line to its last; works on a ledger that is being written.
pub fn verify(path: &Path) -> Result<Verified, Damage> {
    verify_entries(Entries::of_live_file(path)?)
}

pub(crate) fn verify_entries<R: BufRead>(mut entries: Entries<R>) -> Result<Verified, Damage> {
    let mut fold = Fold::new(DateTime::<Utc>::MAX_UTC);
    while let Some((line, number)) = entries.next_whole()? {
        fold.apply(&line, number)?;
    }
    Ok(Verified {
        entries: entries.seq,
        head: line::hex(&entries.head),
        open: fold.open.len(),
    })
}

/// One step through a ledger.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An entry whose place and hash are right.
    Entry(Line<'a>),
    /// The last line, incomplete.
    Torn(&'a [u8]),
    /// There are no more lines.
    End,
}

/// The lines of a ledger, each checked against its own hash and the line before.
#[derive(Debug)]
pub(crate) struct Entries<R> {
    input: R,
    buffer: Vec<u8>,
    /// The number of the line in the buffer.
    number: u64,
    /// The last good entry: its number, its hash, and the bytes up to its end.
    pub(crate) seq: u64,
    pub(crate) head: Digest,
    pub(crate) good_bytes: u64,
    /// How often to look again for the rest of a line that another process is writing.
    patience: u32,
}

impl Entries<BufReader<File>> {
    /// Opens a ledger that may be in use.
    pub(crate) fn of_live_file(path: &Path) -> Result<Self, Damage> {
        /// With the pause between two looks, a fifth of a second: far longer than one write.
        const LOOKS: u32 = 10;
        let file = File::open(path).map_err(|error| Damage {
            line: 0,
            what: format!("the file cannot be read: {error}"),
        })?;
        Ok(Self {
            patience: LOOKS,
            ..Self::new(BufReader::with_capacity(1 << 18, file))
        })
    }
}

impl<R: BufRead> Entries<R> {
    pub(crate) fn new(input: R) -> Self {
        let (seq, head, good_bytes) = (0, NO_LINE, 0);
        Self {
            input,
            buffer: Vec::new(),
            number: 0,
            seq,
            head,
            good_bytes,
            patience: 0,
        }
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        Damage {
            line: self.number,
            what: what.into(),
        }
    }

    /// The next entry, where a torn tail is damage like any other.
    pub(crate) fn next_whole(&mut self) -> Result<Option<(Line<'_>, u64)>, Damage> {
        let number = self.number + 1;
        match self.step()? {
            Step::Entry(line) => Ok(Some((line, number))),
            Step::End => Ok(None),
            Step::Torn(bytes) => {
                let what = format!(
                    "the last line is incomplete ({} bytes): a crash while it was written; the next start of the server cuts it off",
                    bytes.len()
                );
                Err(Damage { line: number, what })
            }
        }
    }

    /// The next line.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, Damage> {
        self.read_line()?;
        let read = self.buffer.len() as u64;
        if self.buffer.pop_if(|byte| *byte == b'\n').is_none() {
            return Ok(if self.buffer.is_empty() {
                Step::End
            } else {
                Step::Torn(&self.buffer)
            });
        }
        let number = self.number;
        let damage = |what: &str| Damage {
            line: number,
            what: what.to_owned(),
        };
        let line = match line::parse(&self.buffer) {
            Ok(line) => line,
            Err(what) => {
                let rest = self.input.fill_buf().map_err(|e| damage(&e.to_string()))?;
                return if rest.is_empty() {
                    Ok(Step::Torn(&self.buffer))
                } else {
                    Err(damage(what))
                };
            }
        };
        let hash = line.checked_hash().ok_or_else(|| {
            damage("the line does not have the hash that it states: it was changed")
        })?;
        if line.seq != self.seq + 1 {
            let (expected, seq) = (self.seq + 1, line.seq);
            return Err(damage(&format!(
                "entry {seq} stands where entry {expected} belongs: lines were removed, repeated or moved"
            )));
        }
        if line.prev != line::hex(&self.head).as_bytes() {
            return Err(damage(
                "the line does not follow the line before it: one of them was replaced",
            ));
        }
        if DateTime::parse_from_rfc3339(line.at).is_err() {
            return Err(damage("`at` is not an instant"));
        }
        self.seq = line.seq;
        self.head = hash;
        self.good_bytes += read;
        Ok(Step::Entry(line))
    }

    /// Fills the buffer with the next line and its newline, or with what there is of it.
    fn read_line(&mut self) -> Result<(), Damage> {
        const PAUSE: Duration = Duration::from_millis(20);
        self.buffer.clear();
        self.number += 1;
        loop {
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.buffer.len()) as u64;
            let mut limited = self.input.by_ref().take(room);
            if let Err(error) = limited.read_until(b'\n', &mut self.buffer) {
                return Err(self.damage(format!("the file cannot be read: {error}")));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(self.damage(format!("the line is longer than {LINE_BYTES_MAX} bytes")));
            }
            if self.buffer.is_empty() || self.buffer.ends_with(b"\n") || self.patience == 0 {
                return Ok(());
            }
            self.patience -= 1;
            thread::sleep(PAUSE);
        }
    }
}

/// The state that the entries add up to: which records are open, which sessions were closed, what
/// is revoked, which policies were loaded last.
#[derive(Debug)]
pub(crate) struct Fold {
    now: DateTime<Utc>,
    pub(crate) open: BTreeSet<QueryId>,
    pub(crate) closed_sessions: BTreeMap<SessionId, DateTime<Utc>>,
    pub(crate) revocations: Revocations,
    pub(crate) loads: LastLoads,
}

/// The fields that matter for the state; the rest of an entry is skipped, whatever its size.
#[derive(Debug, Deserialize)]
struct Fields {
    entry: String,
    format: Option<u64>,
    query: Option<QueryId>,
    #[serde(default, deserialize_with = "session_if_it_is_one")]
    session: Option<SessionId>,
    expires: Option<DateTime<Utc>>,
}

/// `session` is free text in the entries of queries and an id in those of sign-ins.
fn session_if_it_is_one<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SessionId>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()).map(SessionId))
}

impl Fold {
    /// `now`: sessions that ended before it need not be remembered.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            open: BTreeSet::new(),
            closed_sessions: BTreeMap::new(),
            revocations: Revocations::default(),
            loads: LastLoads::default(),
        }
    }

    /// Adds an entry, the one on line `number`.
    pub(crate) fn apply(&mut self, line: &Line<'_>, number: u64) -> Result<(), Damage> {
        self.add(line).map_err(|what| Damage { line: number, what })
    }

    fn add(&mut self, line: &Line<'_>) -> Result<(), String> {
        let fields: Fields = serde_json::from_slice(line.body)
            .map_err(|error| format!("the entry is not JSON that a ledger holds: {error}"))?;
        let query = || {
            fields
                .query
                .ok_or_else(|| "the entry names no query".to_owned())
        };
        let is_first = line.seq == 1;
        if is_first != (fields.entry == "created") {
            return Err("the first line, and no other, says `created`".to_owned());
        }
        match fields.entry.as_str() {
            "created" if fields.format == Some(FORMAT) => {}
            "opened" => {
                let query = query()?;
                if !self.open.insert(query) {
                    return Err(format!("query {query} is opened while it is open"));
                }
            }
            "closed" => {
                let query = query()?;
                if !self.open.remove(&query) {
                    return Err(format!("query {query} is closed but not open"));
                }
            }
            "session_closed" => {
                if let Some((id, end)) = fields.session.zip(fields.expires)
                    && end > self.now
                {
                    self.closed_sessions.insert(id, end);
                }
            }
            "revoked" | "reinstated" => fold_revocation(&mut self.revocations, line.body)?,
            "policy_loaded" => self.loads.loaded(line.body).map_err(|e| lacks(&e))?,
            "policy_refused" => self.loads.refused(line.body).map_err(|e| lacks(&e))?,
            "recovered" | "refused" | "server_started" | "server_stopped" | "signed_in"
            | "sign_in_refused" | "session_renewed" | "shadow_loaded" | "shadow_lost"
            | "shadow_differed" | "shadow_missed" => {}
            _ => return Err(newer()),
        }
        Ok(())
    }
}

/// An entry about a revocation.
#[derive(Debug, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Change {
    Revoked(Revocation),
    Reinstated {
        scope: RevocationScope,
        id: String,
        at: DateTime<Utc>,
    },
}

/// One that cannot be read must not be passed over: access would come back by it.
fn fold_revocation(revocations: &mut Revocations, body: &[u8]) -> Result<(), String> {
    let change: Change = serde_json::from_slice(body)
        .map_err(|error| format!("the entry is no revocation that this version knows: {error}"))?;
    match change {
        Change::Revoked(revocation) => revocations.revoke(revocation),
        Change::Reinstated { scope, id, at } => {
            revocations.reinstate(scope, &id, at);
        }
    }
    Ok(())
}

/// What is revoked by the entries of a ledger, which may be in use. Quick, since it looks only for
/// such entries: whether the ledger is whole is asked of [`verify`].
pub fn revocations(path: &Path) -> Result<Revocations, Damage> {
    const KINDS: [&[u8]; 2] = [b"{\"entry\":\"revoked\"", b"{\"entry\":\"reinstated\""];
    let mut entries = Entries::of_live_file(path)?;
    let mut revocations = Revocations::default();
    loop {
        entries.read_line()?;
        if entries.buffer.pop_if(|byte| *byte == b'\n').is_none() {
            return Ok(revocations);
        }
        let Ok(line) = line::parse(&entries.buffer) else {
            continue;
        };
        if KINDS.iter().any(|kind| line.body.starts_with(kind)) {
            let number = entries.number;
            fold_revocation(&mut revocations, line.body)
                .map_err(|what| Damage { line: number, what })?;
        }
    }
}

fn lacks(error: &serde_json::Error) -> String {
    format!("the entry lacks something: {error}")
}

fn newer() -> String {
    "the entry is of a kind that this version does not know: use the version that wrote it"
        .to_owned()
}
