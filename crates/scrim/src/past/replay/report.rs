//! What a replay found, grouped by organisation, principal and table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use scrim_ledger::Record;
use scrim_model::{QueryId, TableName};
use scrim_policy::compare::{Change, Width};
use serde_json::{Value as Json, json};

use super::How;
use super::run::Runs;
use crate::explain::Page;
use crate::local::Local;
use crate::past::count;
use crate::render::text::printable;

/// Principals with a table that are told apart; more are counted.
const GROUPS_MAX: usize = 10_000;
/// Different changes of one of them that are told apart; more are counted.
const CHANGES_MAX: usize = 16;

/// What stands above the names that would be other tables.
const MOVED: &str = "Names without a schema that would be another table";

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Text,
    Json,
    Markdown,
}

/// What becomes of a query; the worst of its tables counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is shown the same.
    Same,
    /// It is decided otherwise, in what it does not use.
    Unaffected,
    /// It cannot be decided: the source of a table is not there for the new policies.
    Undecided,
    /// Its result may change.
    Affected,
}

/// What a replay found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The folder of the proposed policies.
    with: String,
    /// Their version.
    version: String,
    since: Option<DateTime<Utc>>,
    /// Queries that are shown the same.
    same: u64,
    /// Queries whose results may change.
    affected: u64,
    /// Queries that are decided otherwise in what they do not use.
    unaffected: u64,
    /// Queries that cannot be decided, for want of a source.
    undecided: u64,
    /// Queries of an older version, whose records do not say what they were decided from.
    without_facts: u64,
    /// Decisions that show a table about which nobody outside was asked then.
    pub(super) not_asked: u64,
    /// How all that is shown now stands to what was.
    width: Width,
    groups: Vec<Group>,
    /// How often a name would be another table, and in which query first.
    moved: BTreeMap<Move, (u64, QueryId)>,
    /// Changes that are not told apart, for want of room.
    not_listed: u64,
    pub(super) runs: Option<Runs>,
    places: BTreeMap<(String, String, TableName), usize>,
}

/// A name without a schema that would be another table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Move {
    org: String,
    principal: String,
    from: TableName,
    to: TableName,
}

/// What changes for one principal and table.
#[derive(Debug)]
struct Group {
    org: String,
    principal: String,
    table: TableName,
    changes: Vec<Seen>,
}

/// One change, and how often it was met.
#[derive(Debug)]
struct Seen {
    change: Change,
    width: Width,
    by: How,
    /// Queries that it concerns.
    queries: u64,
    /// Of these the ones whose results may change.
    affected: u64,
    /// The first of them.
    example: QueryId,
}

impl Report {
    pub(super) fn new(new: &Local, since: Option<DateTime<Utc>>, runs: Option<Runs>) -> Self {
        Self {
            with: new.config.policies.display().to_string(),
            version: new.policy.version().to_owned(),
            since,
            same: 0,
            affected: 0,
            unaffected: 0,
            undecided: 0,
            without_facts: 0,
            not_asked: 0,
            width: Width::Equal,
            groups: Vec::new(),
            moved: BTreeMap::new(),
            not_listed: 0,
            runs,
            places: BTreeMap::new(),
        }
    }

    /// Counts a query whose record does not say what it was decided from.
    pub(super) fn count_without_facts(&mut self) {
        self.without_facts += 1;
        self.add_unknown();
    }

    /// Adds that something cannot be told.
    pub(super) fn add_unknown(&mut self) {
        self.width = self.width.and(Width::Unknown);
    }

    pub(super) fn count(&mut self, fate: Fate) {
        let count = match fate {
            Fate::Same => &mut self.same,
            Fate::Unaffected => &mut self.unaffected,
            Fate::Undecided => &mut self.undecided,
            Fate::Affected => &mut self.affected,
        };
        *count += 1;
    }

    /// Whether anything may be shown that was not; what cannot be told counts as such.
    pub(crate) fn widens(&self) -> bool {
        self.width.widens()
    }

    /// Whether anything may be shown otherwise than it was.
    pub(crate) fn differs(&self) -> bool {
        self.same < self.queries()
    }

    fn queries(&self) -> u64 {
        self.same + self.affected + self.unaffected + self.undecided + self.without_facts
    }

    /// Adds that a name in a query would be another table.
    pub(super) fn add_moved(&mut self, record: &Record, from: &TableName, to: &TableName) {
        self.add_unknown();
        let one = Move {
            org: record.org.clone(),
            principal: record.principal.clone(),
            from: from.clone(),
            to: to.clone(),
        };
        if let Some((queries, _)) = self.moved.get_mut(&one) {
            *queries += 1;
        } else if self.moved.len() < GROUPS_MAX {
            self.moved.insert(one, (1, record.query));
        } else {
            self.not_listed += 1;
        }
    }

    pub(super) fn add(&mut self, record: &Record, change: &Change, by: How, affects: bool) {
        self.width = self.width.and(change.width());
        let key = (
            record.org.clone(),
            record.principal.clone(),
            change.table.clone(),
        );
        let at = match self.places.get(&key) {
            Some(at) => *at,
            None if self.groups.len() >= GROUPS_MAX => {
                self.not_listed += 1;
                return;
            }
            None => {
                let (org, principal, table) = key.clone();
                self.groups.push(Group {
                    org,
                    principal,
                    table,
                    changes: Vec::new(),
                });
                self.places.insert(key, self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        let Some(group) = self.groups.get_mut(at) else {
            return;
        };
        let full = group.changes.len() >= CHANGES_MAX;
        let known = group
            .changes
            .iter_mut()
            .find(|seen| seen.change == *change && seen.by == by);
        match known {
            Some(seen) => {
                seen.queries += 1;
                seen.affected += u64::from(affects);
            }
            None if full => self.not_listed += 1,
            None => group.changes.push(Seen {
                width: change.width(),
                change: change.clone(),
                by,
                queries: 1,
                affected: u64::from(affects),
                example: record.query,
            }),
        }
    }

    /// Sorts the groups, which came in the order of the ledger.
    pub(crate) fn sorted(mut self) -> Self {
        let key = |group: &Group| {
            (
                group.org.clone(),
                group.principal.clone(),
                group.table.clone(),
            )
        };
        self.groups.sort_by_cached_key(key);
        self.places.clear();
        self
    }

    /// The report as it is printed.
    pub(crate) fn render(&self, style: Style) -> Result<String, serde_json::Error> {
        match style {
            Style::Text => Ok(self.text()),
            Style::Markdown => Ok(self.markdown()),
            Style::Json => serde_json::to_string_pretty(&self.json()),
        }
    }

    fn title(&self) -> String {
        let since = self.since.map_or_else(String::new, |since| {
            format!(
                " since {}",
                since.to_rfc3339_opts(SecondsFormat::Secs, true)
            )
        });
        format!(
            "{}{since} under {} (version {})",
            count(self.queries(), "query", "queries"),
            self.with,
            self.version
        )
    }

    /// What became of the queries, a line each.
    fn sums(&self) -> Vec<String> {
        let of = |number: u64, text: &str| (number > 0).then(|| format!("{number} {text}"));
        let logic = |by: How| -> u64 {
            let changes = self.groups.iter().flat_map(|group| &group.changes);
            let by = changes.filter(|seen| seen.by == by);
            by.map(|seen| seen.queries).sum()
        };
        [
            Some(format!("{} would be shown the same", self.same)),
            of(
                self.affected,
                "would be shown something else, so their results may change",
            ),
            of(
                self.unaffected,
                "would be decided otherwise, but not in the columns that they use",
            ),
            of(
                self.undecided,
                "cannot be decided: the source of a table is not there, or does not fit its \
                 proposed contract",
            ),
            of(
                self.without_facts,
                "cannot be decided again: an older version wrote them",
            ),
            of(
                self.not_asked,
                "decisions show a table that no decision point outside was asked about then: it \
                 may take it away; what it took away then is taken away here, too",
            ),
            of(
                logic(How::Words),
                "decisions were compared with the record alone, word by word: the policies of then \
                 are not kept, or decide otherwise over the sources of now; the others by logic",
            ),
            of(self.not_listed, "changes are not listed, for want of room"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn text(&self) -> String {
        let mut page = Page::default();
        page.line(0, &self.title());
        for sum in self.sums() {
            page.line(2, &sum);
        }
        let mut org_before = None;
        for group in &self.groups {
            if org_before != Some(&group.org) {
                page.blank();
                page.line(0, &group.org);
                org_before = Some(&group.org);
            }
            page.line(2, &group.title());
            for seen in &group.changes {
                page.line(4, &seen.title());
                for line in seen.change.lines() {
                    page.line(6, &line);
                }
            }
        }
        if !self.moved.is_empty() {
            page.blank();
            page.line(0, MOVED);
        }
        for (one, seen) in &self.moved {
            page.line(2, &one.title(*seen));
        }
        if let Some(runs) = &self.runs {
            page.blank();
            page.line(0, "Run on the data of today");
            for sum in runs.sums() {
                page.line(2, &sum);
            }
            for differs in &runs.named {
                page.line(2, &differs.title());
                page.line(4, &printable(&differs.sql));
            }
        }
        page.into_text()
    }

    fn json(&self) -> Json {
        let change = |seen: &Seen| {
            json!({
                "change": seen.change,
                "width": seen.width,
                "by": match seen.by {
                    How::Logic => "logic",
                    How::Words => "record",
                },
                "queries": seen.queries,
                "affected": seen.affected,
                "example": seen.example,
            })
        };
        let group = |group: &Group| {
            json!({
                "org": group.org,
                "principal": group.principal,
                "table": group.table,
                "changes": group.changes.iter().map(change).collect::<Vec<_>>(),
            })
        };
        let moved = |(one, (queries, example)): (&Move, &(u64, QueryId))| {
            json!({
                "org": one.org,
                "principal": one.principal,
                "from": one.from,
                "to": one.to,
                "queries": queries,
                "example": example,
            })
        };
        json!({
            "with": self.with,
            "version": self.version,
            "since": self.since,
            "same": self.same,
            "affected": self.affected,
            "unaffected": self.unaffected,
            "undecided": self.undecided,
            "without_facts": self.without_facts,
            "not_asked": self.not_asked,
            "not_listed": self.not_listed,
            "width": self.width,
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "moved": self.moved.iter().map(moved).collect::<Vec<_>>(),
            "runs": self.runs.as_ref().map(Runs::json),
        })
    }

    fn markdown(&self) -> String {
        let mut text = format!("### Replay: {}\n\n", escaped(&self.title()));
        for sum in self.sums() {
            push(&mut text, format_args!("- {}\n", escaped(&sum)));
        }
        if !self.groups.is_empty() {
            text.push_str("\n| organisation | principal | table | queries | change | by |\n");
            text.push_str("| --- | --- | --- | ---: | --- | --- |\n");
        }
        for group in &self.groups {
            for seen in &group.changes {
                let lines: Vec<_> = seen
                    .change
                    .lines()
                    .iter()
                    .map(|line| escaped(line))
                    .collect();
                let (org, principal) = (escaped(&group.org), escaped(&group.principal));
                let table = escaped(&group.name());
                let queries = format!("{} of {}", seen.affected, seen.queries);
                let lines = lines.join("<br>");
                let by = seen.by.as_str();
                push(
                    &mut text,
                    format_args!(
                        "| {org} | {principal} | {table} | {queries} | {lines} | {by} |\n"
                    ),
                );
            }
        }
        if !self.moved.is_empty() {
            push(&mut text, format_args!("\n{MOVED}:\n\n"));
        }
        for (one, seen) in &self.moved {
            push(
                &mut text,
                format_args!("- {}\n", escaped(&one.title(*seen))),
            );
        }
        if let Some(runs) = &self.runs {
            text.push_str("\nRun on the data of today:\n\n");
            for sum in runs.sums() {
                push(&mut text, format_args!("- {}\n", escaped(&sum)));
            }
            for differs in &runs.named {
                let (title, sql) = (escaped(&differs.title()), printable(&differs.sql));
                let sql = sql.replace('`', "'");
                push(&mut text, format_args!("- {title}: `{sql}`\n"));
            }
        }
        text
    }
}

impl Move {
    fn title(&self, (queries, example): (u64, QueryId)) -> String {
        let name = |table: &TableName| format!("{}.{}", table.schema, table.table);
        format!(
            "{} ({}): {} → {}, {}, the first {example}",
            self.principal,
            self.org,
            name(&self.from),
            name(&self.to),
            count(queries, "query", "queries")
        )
    }
}

impl Group {
    fn name(&self) -> String {
        format!("{}.{}", self.table.schema, self.table.table)
    }

    fn title(&self) -> String {
        format!("{} on {}", self.principal, self.name())
    }
}

impl Seen {
    fn title(&self) -> String {
        let queries = count(self.queries, "query", "queries");
        let affected = match self.affected {
            0 => ", which use nothing of what changes".to_owned(),
            all if all == self.queries => String::new(),
            some => format!(", of which {some} use what changes"),
        };
        format!(
            "{queries}{affected}, the first {} (by {}):",
            self.example,
            self.by.as_str()
        )
    }
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::Logic => "logic",
            Self::Words => "the record's words",
        }
    }
}

/// Text that Markdown takes as it is, in a cell of a table too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // writing to a string cannot fail
    let written = text.write_fmt(more);
    debug_assert!(written.is_ok());
}
