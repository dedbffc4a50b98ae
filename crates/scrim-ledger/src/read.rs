//! Reading queries back: one record from the entries that opened and closed it.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::BufReader,
    net::IpAddr,
    path::Path,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use scrim_model::QueryId;
use scrim_policy::Decision;
use serde::{Deserialize, Serialize};

use crate::{
    Damage, Facts, Outcome, Reading, TableUse,
    decided::{Brief, Decided},
    facts::{Named, Rest},
    line::Line,
    replay::{Entries, Fold},
};

/// Which records to show; an empty filter shows all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this query, or the runs of this announced statement.
    pub query: Option<QueryId>,
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// The tables that were decided.
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
    /// What it was decided from; older versions did not write it down.
    pub facts: Option<Facts>,
    /// What it used of each table.
    pub uses: Vec<TableUse>,
    /// The entry that opened or refused it.
    #[serde(skip)]
    entry: Arc<[u8]>,
}

impl Record {
    /// The tables with their decisions, as the ledger holds them.
    pub fn readings(&self) -> Result<Vec<Reading>, Damage> {
        /// What older versions wrote.
        #[derive(Debug, Deserialize)]
        struct Older {
            #[serde(default)]
            decisions: Vec<Decision>,
        }
        let lacks = |error: serde_json::Error| damage(self.seq, &error);
        let decided: Decided = serde_json::from_slice(&self.entry).map_err(lacks)?;
        let version = self.policy_version.as_deref().unwrap_or_default().into();
        let mut readings = decided.readings(&version).map_err(|what| Damage {
            line: self.seq,
            what,
        })?;
        let older: Older = serde_json::from_slice(&self.entry).map_err(lacks)?;
        let older = older.decisions.into_iter();
        readings.extend(older.map(|decision| Reading::from(Arc::new(decision))));
        Ok(readings)
    }
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
        begins: None,
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
    begins: Option<DateTime<Utc>>,
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
    /// When the ledger was made, once its first entry was read.
    pub fn begins(&self) -> Option<DateTime<Utc>> {
        self.begins
    }

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
        self.begins.get_or_insert_with(|| line_time(&line));
        let lacks = |error: serde_json::Error| damage(number, &error);
        let kind: Kind = serde_json::from_slice(line.body).map_err(lacks)?;
        let record = match kind.entry {
            EntryKind::Opened => {
                if let Some(record) = asked(&self.filter, &line, Outcome::Open).map_err(lacks)? {
                    self.open.insert(record.query, record);
                }
                None
            }
            EntryKind::Closed => {
                let closed: Ended = serde_json::from_slice(line.body).map_err(lacks)?;
                let ended = self.open.remove(&closed.query);
                ended.map(|record| closed.end(record, line_time(&line)))
            }
            EntryKind::Refused => asked(&self.filter, &line, Outcome::Refused).map_err(lacks)?,
            EntryKind::Other => None,
        };
        Ok(record.filter(|record| {
            let outcome = self.filter.outcome;
            outcome.is_none_or(|outcome| outcome == record.outcome)
        }))
    }
}

fn asked(
    filter: &Filter,
    line: &Line<'_>,
    outcome: Outcome,
) -> Result<Option<Record>, serde_json::Error> {
    let asked: Asked = serde_json::from_slice(line.body)?;
    let record = asked.record(line, outcome);
    if !filter.wants(&record) {
        return Ok(None);
    }
    let brief: Brief = serde_json::from_slice(line.body)?;
    Ok(Some(record.with(brief)))
}

fn damage(line: u64, error: &serde_json::Error) -> Damage {
    let what = format!("the entry lacks something: {error}");
    Damage { line, what }
}

impl Filter {
    /// Whether a record passes, apart from its outcome, which may come later.
    fn wants(&self, record: &Record) -> bool {
        self.query
            .is_none_or(|query| record.query == query || record.statement == Some(query))
            && self
                .principal
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

/// Which entries make records.
#[derive(Debug, Deserialize)]
struct Kind {
    entry: EntryKind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EntryKind {
    Opened,
    Closed,
    Refused,
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
    facts: Option<Rest<'static>>,
    sql: String,
    policy_version: Option<String>,
    tables: Vec<String>,
    code: Option<String>,
    reason: Option<String>,
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
        let facts = self.facts.map(|rest| {
            rest.with(Named {
                principal: self.principal.clone(),
                org: self.org.clone(),
                address: self.address,
                client: self.client.clone(),
                purpose: self.purpose.clone(),
            })
        });
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
            tables: self.tables,
            agreements: Vec::new(),
            rows: None,
            bytes: None,
            code: self.code,
            reason: self.reason,
            facts,
            uses: Vec::new(),
            entry: line.body.into(),
        }
    }
}

impl Record {
    /// With what the entry says about its tables.
    fn with(self, brief: Brief) -> Self {
        let uses = brief.uses();
        let mut agreements: Vec<_> = uses
            .iter()
            .flat_map(|one| one.agreements.iter().cloned())
            .collect();
        agreements.sort();
        agreements.dedup();
        Self {
            agreements,
            uses,
            ..self
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
