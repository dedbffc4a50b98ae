//! Reading queries back: one record from the entries that opened and closed it.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::BufReader,
    net::IpAddr,
    path::Path,
};

use chrono::{DateTime, Utc};
use scrim_model::{QueryId, TableName};
use serde::{Deserialize, Serialize};

use crate::{
    Damage, Outcome,
    line::Line,
    replay::{Entries, Fold},
};

/// Which records to show; an empty filter shows all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this principal.
    pub principal: Option<String>,
    /// Only those that name this table: `scrim.schema.table`, `schema.table` or `table`.
    pub table: Option<String>,
    /// Only those opened or refused at this instant or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those opened or refused before this instant.
    pub until: Option<DateTime<Utc>>,
    /// Only those that ended this way.
    pub outcome: Option<Outcome>,
}

/// One query as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The number of the entry that opened or refused it, which is its line in the file.
    pub seq: u64,
    /// The query's id.
    pub query: QueryId,
    /// The announced statement that it ran.
    pub statement: Option<QueryId>,
    /// When it was opened or refused.
    pub at: DateTime<Utc>,
    /// When it was closed.
    pub closed: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked.
    pub principal: String,
    /// On whose behalf.
    pub org: String,
    /// The session in which it was asked.
    pub session: Option<String>,
    /// The address it was asked from.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub client: Option<String>,
    /// The purpose that was stated.
    pub purpose: Option<String>,
    /// The statement.
    pub sql: String,
    /// The policy set that decided.
    pub policy_version: Option<String>,
    /// The governed tables.
    pub tables: Vec<String>,
    /// The agreements under which they were shown.
    pub agreements: Vec<String>,
    /// The rows that were handed over; unknown after a crash.
    pub rows: Option<u64>,
    /// The bytes that were handed over; unknown after a crash.
    pub bytes: Option<u64>,
    /// The code that the client got, if it failed.
    pub code: Option<String>,
    /// Why it was refused, revoked or abandoned.
    pub reason: Option<String>,
}

/// Reads the records of a ledger that pass a filter, checking the chain on the way.
///
/// Records come in the order in which they ended, then those that are open, in the order in which
/// they were opened; so memory holds open records only. Damage ends the iteration.
pub fn read(path: &Path, filter: Filter) -> Result<Records, Damage> {
    Ok(Records {
        entries: Entries::of_live_file(path)?,
        fold: Fold::new(DateTime::<Utc>::MAX_UTC),
        filter,
        open: BTreeMap::new(),
        rest: None,
    })
}

/// The records of a ledger, one by one.
#[derive(Debug)]
pub struct Records {
    entries: Entries<BufReader<File>>,
    fold: Fold,
    filter: Filter,
    open: BTreeMap<QueryId, Record>,
    /// What is left after the last entry.
    rest: Option<VecDeque<Record>>,
}

impl Iterator for Records {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rest.is_none() {
            match self.advance() {
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => {}
                Err(damage) => {
                    self.open.clear();
                    self.rest = Some(VecDeque::new());
                    return Some(Err(damage));
                }
            }
        }
        self.rest.as_mut()?.pop_front().map(Ok)
    }
}

impl Records {
    /// Takes one entry; returns the record that it ends, if the filter wants it.
    fn advance(&mut self) -> Result<Option<Record>, Damage> {
        let Some((line, number)) = self.entries.next_whole()? else {
            let mut rest: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
            rest.retain(|record| self.filter.outcome.is_none_or(|o| o == record.outcome));
            rest.sort_by_key(|record| record.seq);
            self.rest = Some(rest.into());
            return Ok(None);
        };
        self.fold.apply(&line, number)?;
        let entry: Entry = serde_json::from_slice(line.body).map_err(|error| Damage {
            line: number,
            what: format!("the entry lacks something: {error}"),
        })?;
        Ok(match entry {
            Entry::Opened(opened) => {
                let record = opened.record(&line, Outcome::Open);
                if self.filter.wants(&record) {
                    self.open.insert(record.query, record);
                }
                None
            }
            Entry::Closed(closed) => {
                let ended = self.open.remove(&closed.query);
                ended.map(|record| closed.end(record, line_time(&line)))
            }
            Entry::Refused(refused) => {
                let record = refused.record(&line, Outcome::Refused);
                self.filter.wants(&record).then_some(record)
            }
            Entry::Other => None,
        }
        .filter(|record| {
            self.filter
                .outcome
                .is_none_or(|outcome| outcome == record.outcome)
        }))
    }
}

impl Filter {
    /// Whether a record passes, apart from its outcome, which may come later.
    fn wants(&self, record: &Record) -> bool {
        self.principal
            .as_ref()
            .is_none_or(|principal| *principal == record.principal)
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && self.table.as_ref().is_none_or(|table| {
                record.tables.iter().any(|name| {
                    name.strip_suffix(table.as_str())
                        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
                })
            })
    }
}

/// The entries that make records.
#[derive(Debug, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Opened(Asked),
    Closed(Ended),
    Refused(Asked),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Asked {
    query: QueryId,
    statement: Option<QueryId>,
    principal: String,
    org: String,
    session: Option<String>,
    address: Option<IpAddr>,
    client: Option<String>,
    purpose: Option<String>,
    sql: String,
    policy_version: Option<String>,
    tables: Vec<String>,
    #[serde(default)]
    decisions: Vec<Decided>,
    code: Option<String>,
    reason: Option<String>,
}

/// What a record tells of a decision; the entry holds all of it.
#[derive(Debug, Deserialize)]
struct Decided {
    table: TableName,
    #[serde(default)]
    arms: Vec<Arm>,
}

#[derive(Debug, Deserialize)]
struct Arm {
    agreement: String,
}

#[derive(Debug, Deserialize)]
struct Ended {
    query: QueryId,
    outcome: String,
    rows: Option<u64>,
    bytes: Option<u64>,
    code: Option<String>,
    reason: Option<String>,
}

impl Asked {
    fn record(self, line: &Line<'_>, outcome: Outcome) -> Record {
        let mut tables = self.tables;
        for decided in &self.decisions {
            let name = decided.table.to_string();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        let mut agreements: Vec<_> = self
            .decisions
            .into_iter()
            .flat_map(|decided| decided.arms)
            .map(|arm| arm.agreement)
            .collect();
        agreements.sort();
        agreements.dedup();
        Record {
            seq: line.seq,
            query: self.query,
            statement: self.statement,
            at: line_time(line),
            closed: None,
            outcome,
            principal: self.principal,
            org: self.org,
            session: self.session,
            address: self.address,
            client: self.client,
            purpose: self.purpose,
            sql: self.sql,
            policy_version: self.policy_version,
            tables,
            agreements,
            rows: None,
            bytes: None,
            code: self.code,
            reason: self.reason,
        }
    }
}

impl Ended {
    fn end(self, record: Record, at: DateTime<Utc>) -> Record {
        Record {
            closed: Some(at),
            // A word that this version does not know is shown as the worst it can be.
            outcome: self.outcome.parse().unwrap_or(Outcome::Failed),
            rows: self.rows,
            bytes: self.bytes,
            code: self.code,
            reason: self.reason,
            ..record
        }
    }
}

/// The time of a line that was checked already.
pub(crate) fn line_time(line: &Line<'_>) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(line.at).map_or(DateTime::UNIX_EPOCH, |at| at.to_utc())
}
