//! What the queries of a ledger used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use scrim_ledger::{Facts, Filter, Outcome, Record};
use scrim_model::TableName;

use super::damaged;
use crate::outcome::Failure;

/// What the queries of a ledger used, by agreement.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(super) agreements: BTreeMap<String, Used>,
    /// Queries that were not refused.
    pub(super) queries: u64,
    /// Of these the ones whose records do not say which columns they use.
    pub(super) without_columns: u64,
    /// When the ledger begins.
    pub(super) begins: Option<DateTime<Utc>>,
}

/// What was used under one agreement.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) queries: u64,
    pub(super) last: DateTime<Utc>,
    pub(super) columns: BTreeSet<String>,
    /// Whether a query may have used any column.
    pub(super) any_column: bool,
    pub(super) table: TableName,
    /// Of the last query.
    pub(super) facts: Option<Facts>,
}

impl Usage {
    /// Reads a ledger; holds as much as there are agreements.
    pub(crate) fn read(ledger: &Path, filter: Filter) -> Result<Self, Failure> {
        let damaged = damaged(ledger);
        let mut usage = Self::default();
        let mut records = scrim_ledger::read(ledger, filter).map_err(&damaged)?;
        for record in records.by_ref() {
            usage.add(&record.map_err(&damaged)?);
        }
        usage.begins = records.begins();
        Ok(usage)
    }

    fn add(&mut self, record: &Record) {
        // A refused query was shown nothing, and who asks about access reads nothing.
        if record.outcome == Outcome::Refused || asks_about_access(&record.sql) {
            return;
        }
        self.queries += 1;
        self.without_columns += u64::from(record.uses.iter().any(|table| table.used.is_none()));
        for table in &record.uses {
            for agreement in &table.agreements {
                let used = self
                    .agreements
                    .entry(agreement.clone())
                    .or_insert_with(|| Used {
                        queries: 0,
                        last: record.at,
                        columns: BTreeSet::new(),
                        any_column: false,
                        table: table.table.clone(),
                        facts: None,
                    });
                used.queries += 1;
                used.last = used.last.max(record.at);
                used.table.clone_from(&table.table);
                match &table.used {
                    Some(columns) => used.columns.extend(columns.iter().cloned()),
                    None => used.any_column = true,
                }
                if record.facts.is_some() {
                    used.facts.clone_from(&record.facts);
                }
            }
        }
    }
}

/// Whether a statement is `SHOW ACCESS` or `EXPLAIN ACCESS`, or like them.
fn asks_about_access(sql: &str) -> bool {
    let mut words = sql.split_whitespace().map(str::to_lowercase);
    match words.next().as_deref() {
        Some("show") => true,
        Some("explain") => words.next().as_deref() == Some("access"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::asks_about_access;

    #[test]
    fn asking_about_access_is_no_use() {
        for (sql, about) in [
            ("SHOW ACCESS ON patients", true),
            (" explain\n access SELECT * FROM patients", true),
            ("EXPLAIN SELECT * FROM patients", false),
            ("SELECT 'show access'", false),
        ] {
            assert_eq!(asks_about_access(sql), about, "{sql}");
        }
    }
}
