//! What a decision point outside is asked about the tables of one request, and what its answer
//! takes away.
//!
//! An answer can only take away: [`Decision::narrowed`] has no way to add a row, a column or a
//! table, and nothing in a [`Narrowing`] says how a value is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike, Utc};
use datafusion_expr::{Expr, lit};
use scrim_model::{Context, Limits, Principal, SessionSettings, TableName, Value};
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::facts::Facts;
use crate::language::scope::{Scope, Use};
use crate::language::{Language, fold};
use crate::set::{Governed, PolicySet};
use crate::{Decision, Showing, Treatment, Verdict};

/// What a decision point outside takes away of one table; it can add nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowing {
    /// Who decided so, as the configuration names it.
    pub origin: Arc<str>,
    /// Whether the table stays. One that does not is, for the principal, no table at all.
    pub allow: bool,
    /// Columns that do not exist for the principal.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hide: BTreeSet<String>,
    /// A row filter beside all others, in the language of contracts, without members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Why, in its own words, for the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Decision {
    /// The decision without what a decision point outside takes away.
    ///
    /// What the contracts hide anyway stays as it is, whatever the narrowing says.
    #[must_use]
    pub fn narrowed(mut self, narrowing: &Arc<Narrowing>) -> Self {
        if self.verdict == Verdict::NoAgreement {
            return self;
        }
        let Narrowing {
            origin: _,
            allow,
            hide,
            rows,
            reason: _,
        } = narrowing.as_ref();
        let hidden: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| hide.contains(*name))
            .collect();
        let hash = digest::of_narrowing(&self.hash, *allow, &hidden, rows.as_deref());
        if *allow {
            self.columns.retain(|column| !hide.contains(&column.name));
        } else {
            self.verdict = Verdict::NoAgreement;
            self.purpose = None;
            self.arms.clear();
            self.guards.clear();
            self.columns.clear();
            self.limits = Limits::default();
        }
        self.hash = hash;
        self.narrowing = Some(Arc::clone(narrowing));
        self
    }

    /// The decision without what was taken away from another decision about the same request: what
    /// policies would show if the same were said outside.
    #[must_use]
    pub fn narrowed_like(self, other: &Self) -> Self {
        match &other.narrowing {
            Some(narrowing) => self.narrowed(narrowing),
            None => self,
        }
    }

    /// The row filter that a decision point outside adds.
    pub fn narrowing_rows(&self) -> Option<&str> {
        self.narrowing.as_ref()?.rows.as_deref()
    }
}

impl PolicySet {
    /// Checks what a narrowing says of a table: its columns are the contract's, and its row filter
    /// is a condition over them that cannot fail on any row.
    ///
    /// # Errors
    /// What is wrong with it, for the owner.
    pub fn check_narrowing(&self, table: &TableName, narrowing: &Narrowing) -> Result<(), String> {
        let governed = self
            .governed(table)
            .ok_or_else(|| format!("no contract governs {table}"))?;
        let columns = &governed.table.columns;
        let unknown = narrowing
            .hide
            .iter()
            .find(|name| !columns.iter().any(|column| column.name == **name));
        if let Some(name) = unknown {
            return Err(format!("{table} has no column `{name}` to hide"));
        }
        if let Some(text) = &narrowing.rows {
            self.narrowing_filter(governed, text)
                .map_err(|why| format!("the row filter for {table}: {why}"))?;
        }
        Ok(())
    }

    /// The row filter of a narrowing over a table's columns; `None` when it holds for every row.
    pub(crate) fn narrowing_filter(
        &self,
        governed: &Governed,
        text: &str,
    ) -> Result<Option<Expr>, String> {
        let nothing = BTreeMap::new();
        let schema = &governed.table.schema;
        let scope = Scope::new(Use::GuardRows, Some(schema), &nothing, &nothing)
            .ok_or("the columns of this table cannot be named unambiguously")?;
        let (lookups, unavailable, networks) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        // Of the world outside the table it knows nothing: no look-up table and no network.
        let language = Language {
            functions: Arc::clone(&self.functions),
            options: Arc::clone(&self.options),
            lookups: &lookups,
            unavailable: &unavailable,
            networks: &networks,
        };
        let checked = language.check(text, &scope).map_err(|faults| {
            let faults = faults.into_iter().map(|fault| match fault.help {
                Some(help) => format!("{} ({help})", fault.message),
                None => fault.message,
            });
            faults.collect::<Vec<_>>().join("; ")
        })?;
        if let Some(member) = checked.members.first() {
            return Err(format!(
                "`{member}` is not known here; the answer must hold its value"
            ));
        }
        let bound = fold::bind(
            &checked.expr,
            &BTreeMap::new(),
            &governed.schema,
            &self.options,
        );
        Ok((bound != lit(true)).then_some(bound))
    }
}

/// What a decision point outside is asked about the tables of one request. It holds no value of any
/// table and nothing of the statement but the tables' names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// The version of the policy set that decided before.
    pub policy_version: Arc<str>,
    /// Who asks.
    pub principal: Asker,
    /// In what circumstances.
    pub context: Circumstances,
    /// What the client set for its session.
    pub settings: SessionSettings,
    /// The tables that the contracts do not hide from it, sorted by name.
    pub tables: Vec<AskedTable>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    missing_docs,
    reason = "the members of `principal` in the policy language"
)]
pub struct Asker {
    pub id: String,
    pub org: String,
    pub groups: Vec<String>,
    pub roles: Vec<String>,
    pub kind: &'static str,
    pub acr: Option<String>,
    pub on_behalf_of: Option<String>,
    pub attributes: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_age: Option<Value>,
}

/// The circumstances of a request; those that differ with every request are only there when they
/// are wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    missing_docs,
    reason = "the members of `context` in the policy language"
)]
pub struct Circumstances {
    pub ip: Option<String>,
    pub country: Option<String>,
    pub network: Vec<String>,
    pub device: Option<String>,
    pub device_trusted: Option<bool>,
    pub risk: Option<i64>,
    pub client: Option<String>,
    #[serde(flatten)]
    pub volatile: Option<Volatile>,
}

/// The circumstances that differ with every request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    missing_docs,
    reason = "the members of `context` in the policy language"
)]
pub struct Volatile {
    pub time: DateTime<Utc>,
    pub hour: u32,
    pub weekday: u32,
    pub queries_last_hour: Option<i64>,
    pub rows_last_day: Option<i64>,
}

/// A table as the contracts decided about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AskedTable {
    /// The name by which an answer speaks of it: `schema.table`.
    pub name: String,
    /// The id of its contract.
    pub contract: String,
    /// What the contracts decided: `shown`, `closed` or `purpose_required`.
    pub verdict: &'static str,
    /// The ids of the matching agreements.
    pub agreements: Vec<String>,
    /// The purpose for which it is shown.
    pub purpose: Option<String>,
    /// The visible columns.
    pub columns: Vec<AskedColumn>,
}

/// A visible column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AskedColumn {
    /// Its name.
    pub name: String,
    /// `clear`, `hidden` and the names of masks: all that happens to it or to a field inside it.
    pub treatments: BTreeSet<&'static str>,
}

impl Question {
    /// What is to be asked about these decisions. Tables that the contracts hide are left out.
    pub fn new<'a>(
        set: &PolicySet,
        (principal, context, settings): (&Principal, &Context, &SessionSettings),
        volatile: bool,
        decisions: impl IntoIterator<Item = &'a Decision>,
    ) -> Self {
        let facts = Facts::at_once(principal, context, settings);
        let mut tables: Vec<_> = decisions.into_iter().filter_map(AskedTable::of).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            policy_version: Arc::clone(&set.version),
            principal: Asker {
                id: principal.id.clone(),
                org: principal.org.clone(),
                groups: principal.groups.clone(),
                roles: principal.roles.clone(),
                kind: principal.kind.as_str(),
                acr: principal.acr.clone(),
                on_behalf_of: principal.on_behalf_of.clone(),
                attributes: principal.attributes.clone(),
                auth_age: facts.value("principal.auth_age").filter(|_| volatile),
            },
            context: Circumstances {
                ip: context.ip.map(|ip| ip.to_canonical().to_string()),
                country: context.country.clone(),
                network: context.networks.clone(),
                device: context.device.clone(),
                device_trusted: context.device_trusted,
                risk: context.risk,
                client: context.client.clone(),
                volatile: volatile.then(|| Volatile {
                    time: context.time,
                    hour: context.time.hour(),
                    weekday: context.time.weekday().number_from_monday(),
                    queries_last_hour: context.queries_last_hour,
                    rows_last_day: context.rows_last_day,
                }),
            },
            settings: settings.clone(),
            tables,
        }
    }
}

impl AskedTable {
    fn of(decision: &Decision) -> Option<Self> {
        let verdict = match &decision.verdict {
            Verdict::NoAgreement => return None,
            Verdict::Shown => "shown",
            Verdict::PurposeRequired => "purpose_required",
            Verdict::Closed { .. } => "closed",
        };
        let column = |column: &crate::ColumnDecision| AskedColumn {
            name: column.name.clone(),
            treatments: column.treatments.iter().flat_map(words).collect(),
        };
        Some(Self {
            name: asked_name(&decision.table),
            contract: decision.contract.as_ref()?.id.clone(),
            verdict,
            agreements: decision
                .arms
                .iter()
                .map(|arm| arm.agreement.clone())
                .collect(),
            purpose: decision.purpose.clone(),
            columns: decision.columns.iter().map(column).collect(),
        })
    }
}

/// The name by which a question and its answer speak of a table. A part with a dot stands in quotes,
/// so that no two tables have one name.
pub fn asked_name(table: &TableName) -> String {
    let part = |text: &str| {
        if text.contains(['.', '"']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    format!("{}.{}", part(&table.schema), part(&table.table))
}

fn words(treatment: &Treatment) -> impl Iterator<Item = &'static str> {
    let nested = treatment.nested.iter().map(|(_, showing)| showing);
    std::iter::once(&treatment.root).chain(nested).map(word)
}

fn word(showing: &Showing) -> &'static str {
    match showing {
        Showing::Clear => "clear",
        Showing::Masked(mask) => mask.name(),
        Showing::Hidden => "hidden",
    }
}
