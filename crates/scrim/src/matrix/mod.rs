//! Who sees what, in total: principals × purposes × places × tables, each decided as a server would.

mod pages;

use std::fmt::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use scrim_model::{Context, Limits, Principal, SessionSettings, TableName};
use scrim_policy::{Decision, PolicySet, Showing, Table, Treatment, Verdict};

pub use pages::{csv, json, markdown, text};

/// What to decide of everybody.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who asks.
    pub principals: Vec<Principal>,
    /// For which purposes; `None` states none.
    pub purposes: Vec<Option<String>>,
    /// From where and when.
    pub contexts: Vec<Context>,
    /// Only this table, as `schema.table`.
    pub table: Option<String>,
}

/// What one principal sees for one purpose from one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The principal.
    pub principal: String,
    /// Its organisation.
    pub organisation: String,
    /// The purpose that it states.
    pub purpose: Option<String>,
    /// Where it is.
    pub ip: Option<IpAddr>,
    /// When it asks.
    pub time: DateTime<Utc>,
    /// Each table.
    pub tables: Vec<Cell>,
}

/// How one table is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The table, as `schema.table`.
    pub table: String,
    /// Whether it is shown, or why not.
    pub shown: Shown,
}

/// Whether a table is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// For this principal, it does not exist.
    Denied,
    /// A purpose must be stated.
    PurposeRequired,
    /// A guard closes it.
    Closed {
        /// The guard.
        guard: String,
    },
    /// It is shown.
    Shown {
        /// The agreements by which it is.
        agreements: Vec<String>,
        /// How many agreements have a rule of rows.
        row_rules: usize,
        /// How many guards have one.
        row_guards: usize,
        /// Each visible column with what is done to it.
        columns: Vec<ColumnCell>,
        /// How many columns do not exist for the principal.
        hidden: usize,
        /// What one query or one principal may use.
        limits: Limits,
    },
}

/// How one column is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnCell {
    /// Its name.
    pub column: String,
    /// Clear, a mask, or what differs by agreement, in words.
    pub shown: String,
    /// Whether it is clear on every row.
    pub clear: bool,
}

/// Decides everything that was asked, in the order in which it was asked.
pub fn matrix(policy: &PolicySet, question: &Question) -> Vec<Row> {
    let wanted = |name: &TableName| {
        let table = question.table.as_ref();
        table.is_none_or(|wanted| *wanted == format!("{}.{}", name.schema, name.table))
    };
    let mut rows = Vec::new();
    for principal in &question.principals {
        for purpose in &question.purposes {
            let settings = SessionSettings {
                purpose: purpose.clone(),
                ..SessionSettings::default()
            };
            for context in &question.contexts {
                let tables = policy.tables().filter(|table| wanted(&table.name));
                let cells = tables.map(|table| {
                    let decision = policy.decide(principal, context, &settings, &table.name);
                    cell(table, &decision)
                });
                rows.push(Row {
                    principal: principal.id.clone(),
                    organisation: principal.org.clone(),
                    purpose: purpose.clone(),
                    ip: context.ip,
                    time: context.time,
                    tables: cells.collect(),
                });
            }
        }
    }
    rows
}

fn cell(table: &Table, decision: &Decision) -> Cell {
    let shown = match &decision.verdict {
        Verdict::NoAgreement => Shown::Denied,
        Verdict::PurposeRequired => Shown::PurposeRequired,
        Verdict::Closed { guard, .. } => Shown::Closed {
            guard: guard.clone(),
        },
        Verdict::Shown => shown(table, decision),
    };
    Cell {
        table: format!("{}.{}", table.name.schema, table.name.table),
        shown,
    }
}

fn shown(table: &Table, decision: &Decision) -> Shown {
    let arms = decision.arms.iter();
    let guards = decision.guards.iter();
    let columns = decision.columns.iter().map(|column| {
        let mut words: Vec<String> = column.treatments.iter().map(treatment).collect();
        words.dedup();
        ColumnCell {
            column: column.name.clone(),
            shown: words.join(" | "),
            clear: column.treatments.iter().all(Treatment::is_clear),
        }
    });
    Shown::Shown {
        agreements: arms.clone().map(|arm| arm.agreement.clone()).collect(),
        row_rules: arms.filter(|arm| arm.rows.is_some()).count(),
        row_guards: guards.filter(|guard| guard.rows.is_some()).count(),
        columns: columns.collect(),
        hidden: table.columns.len().saturating_sub(decision.columns.len()),
        limits: decision.limits,
    }
}

fn treatment(treatment: &Treatment) -> String {
    let mut text = showing(&treatment.root);
    for (path, nested) in &treatment.nested {
        // writing to a string cannot fail
        let written = write!(text, ", {path} {}", showing(nested));
        debug_assert!(written.is_ok());
    }
    text
}

fn showing(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => format!("masked:{mask}"),
        Showing::Hidden => "null".to_owned(),
    }
}
