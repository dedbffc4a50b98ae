//! From a decision to the plan inside its guard: source → row filter → masks → projection.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, Result, ScalarValue, internal_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, case};
use datafusion::prelude::lit;
use scrim_anonymize::{BoundTreatment, MaskError, MaskKeys, Show, parse_steps};
use scrim_policy::{Decision, RowRules, Showing, Table, Treatment};

use super::lookups;
use super::mask::masked;
use super::unpruned::unpruned;
use crate::lookup::Lookups;
use crate::sessions::Vault;
use crate::stub::{bare_type, visible_schema};
use crate::world::World;

/// Agreements with different nested treatments that may meet on one row.
const NESTED_ARMS_MAX: usize = 5;

/// A decision as a plan, analysed and optimised, before a query narrows it.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) plan: LogicalPlan,
    /// The visible columns.
    pub(crate) schema: SchemaRef,
    /// The columns that every matching agreement shows clear.
    pub(crate) clear: BTreeSet<String>,
    /// Whether the plan keeps back anything of the columns it reads.
    pub(crate) removes: bool,
    /// The snapshots of look-up tables that its rules were settled with.
    pub(crate) lookups: BTreeMap<String, u64>,
    pub(crate) decision_hash: Arc<str>,
}

impl Lowered {
    /// Whether two lowered decisions were settled with the same look-up tables, as far as both ask
    /// the same.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let mut asked = self.lookups.iter();
        asked.all(|(name, id)| other.lookups.get(name).is_none_or(|its| its == id))
    }
}

/// Lowers a decision.
///
/// # Errors
/// When the world lacks the table, or a mask cannot be bound; nothing is shown then.
pub(crate) async fn lower(
    world: &World,
    decision: &Decision,
    lookups: &mut Lookups<'_>,
    vault: &Vault,
    now: DateTime<Utc>,
) -> Result<Lowered> {
    let missing = || internal_datafusion_err!("the world lacks {}", decision.table);
    let table = world.policy.table(&decision.table).ok_or_else(missing)?;
    let raw = world.tables.get(&decision.table).ok_or_else(missing)?;
    let rules = world
        .policy
        .rules(decision)
        .map_err(|e| internal_datafusion_err!("rules of {}: {e}", decision.table))?;

    let schema = visible_schema(table, decision);
    let mut plan = LogicalPlanBuilder::scan("source", provider_as_source(raw.unseal()), None)?
        .project(contract_columns(table))?;
    let (rules, lookups) = lookups::settle(rules, decision, plan.schema(), lookups, vault).await?;
    let filter = row_filter(&rules);
    let filtered = filter.is_some();
    if let Some(filter) = filter {
        let filter = unpruned(filter, plan.schema())?;
        plan = plan.filter(filter)?;
    }
    let shown = Columns {
        world,
        table,
        decision,
        rules: &rules,
    }
    .expressions()?;
    let clear: BTreeSet<String> = decision
        .columns
        .iter()
        .filter(|column| column.treatments.iter().all(Treatment::is_clear))
        .map(|column| column.name.clone())
        .collect();
    let removes = filtered || clear.len() < decision.columns.len();
    Ok(Lowered {
        plan: vault.prepare(plan.project(shown)?.build()?, now)?,
        schema,
        clear,
        removes,
        lookups,
        decision_hash: decision.hash.as_str().into(),
    })
}

/// The source's columns under the contract's names, without a qualifier, so that bare names in
/// rules mean exactly these.
pub(super) fn contract_columns(table: &Table) -> Vec<Expr> {
    table
        .columns
        .iter()
        .map(|column| {
            Expr::Column(Column::new(Some("source"), &column.physical_name)).alias(&column.name)
        })
        .collect()
}

/// (OR of the matching profiles' rows) AND (all guards); `None` if that is every row.
fn row_filter(rules: &RowRules) -> Option<Expr> {
    // One arm without a rule shows every row; no arm at all shows none.
    let every: Option<Vec<Expr>> = rules.arms.iter().cloned().collect();
    let arms = every.map(|arms| disjunction(arms).unwrap_or_else(|| lit(false)));
    conjunction(rules.guards.iter().cloned().chain(arms))
}

/// Builds the visible columns' expressions.
struct Columns<'a> {
    world: &'a World,
    table: &'a Table,
    decision: &'a Decision,
    rules: &'a RowRules,
}

impl Columns<'_> {
    fn expressions(&self) -> Result<Vec<Expr>> {
        self.decision
            .columns
            .iter()
            .map(|column| {
                let field = self.table.schema.field_with_name(&column.name)?;
                let shown = self.column(&column.name, field.data_type(), &column.treatments)?;
                Ok(shown.alias(&column.name))
            })
            .collect()
    }

    fn column(&self, name: &str, data_type: &DataType, treatments: &[Treatment]) -> Result<Expr> {
        let Some(first) = treatments.first() else {
            return typed_null(data_type);
        };
        if treatments.iter().all(|t| t == first) && self.same_keys(treatments) {
            return self.treat(name, data_type, first, 0);
        }
        let arms: Vec<usize> = (0..treatments.len()).collect();
        let subsets = if treatments.iter().any(|t| !t.nested.is_empty()) {
            subsets(&arms)?
        } else {
            by_openness(&arms, treatments)
        };
        let mut branches = Vec::new();
        for subset in subsets {
            let (treatment, keys) = merge(&subset, treatments);
            let rows = subset.iter().map(|arm| self.arm_rows(*arm));
            let when = conjunction(rows).unwrap_or_else(|| lit(false));
            branches.push((when, self.treat(name, data_type, &treatment, keys)?));
        }
        let mut branches = branches.into_iter();
        let Some((when, then)) = branches.next() else {
            return typed_null(data_type);
        };
        let mut cases = case(lit(true)).when(when_true(when), then);
        for (when, then) in branches {
            cases = cases.when(when_true(when), then);
        }
        cases.otherwise(typed_null(data_type)?)
    }

    /// Keyed masks of different recipients differ even when they read the same.
    fn same_keys(&self, treatments: &[Treatment]) -> bool {
        let masks = treatments.iter().any(|t| !t.is_clear());
        let recipients: BTreeSet<_> = self
            .decision
            .arms
            .iter()
            .map(|arm| &arm.recipient)
            .collect();
        !masks || recipients.len() <= 1
    }

    fn arm_rows(&self, arm: usize) -> Expr {
        self.rules
            .arms
            .get(arm)
            .cloned()
            .flatten()
            .unwrap_or_else(|| lit(true))
    }

    fn treat(
        &self,
        name: &str,
        data_type: &DataType,
        treatment: &Treatment,
        arm: usize,
    ) -> Result<Expr> {
        let column = Expr::Column(Column::from_name(name));
        // A nested column goes through its treatment even when clear, for the bare type.
        if treatment.is_clear() && !data_type.is_nested() {
            return Ok(column);
        }
        if matches!(treatment.root, Showing::Hidden) && treatment.nested.is_empty() {
            return typed_null(data_type);
        }
        let bad = |e: &dyn Display| internal_datafusion_err!("{}.{name}: {e}", self.decision.table);
        let arms = &self.decision.arms;
        let recipient = arms
            .get(arm)
            .map(|a| a.recipient.as_str())
            .ok_or_else(|| bad(&"no arm"))?;
        let contract = self
            .decision
            .contract
            .as_ref()
            .ok_or_else(|| bad(&"no contract"))?;
        let major = contract.version.split('.').next().unwrap_or_default();
        let root_key = self.world.root_key.expose();
        let keys = MaskKeys::for_contract(root_key, &contract.id, major, recipient);
        let bound = bind(name, data_type, treatment, &keys).map_err(|e| bad(&e))?;
        let shown = format!("{treatment:?}");
        let id = format!(
            "{}.{name}:{}:{recipient}:{shown}",
            self.decision.table, self.decision.hash
        );
        Ok(masked(column, id, bare_type(data_type), bound))
    }
}

fn bind(
    name: &str,
    data_type: &DataType,
    treatment: &Treatment,
    keys: &MaskKeys,
) -> Result<BoundTreatment, MaskError> {
    let nested = treatment
        .nested
        .iter()
        .map(|(path, showing)| Ok((parse_steps(path)?, show(showing))))
        .collect::<Result<Vec<_>, MaskError>>()?;
    BoundTreatment::bind(name, data_type, show(&treatment.root), &nested, keys)
}

fn show(showing: &Showing) -> Show<'_> {
    match showing {
        Showing::Clear => Show::Clear,
        Showing::Masked(mask) => Show::Masked(mask),
        Showing::Hidden => Show::Hidden,
    }
}

/// A rule that is NULL for a row does not admit it.
fn when_true(rule: Expr) -> Expr {
    Expr::IsTrue(Box::new(rule))
}

fn typed_null(data_type: &DataType) -> Result<Expr> {
    Ok(lit(ScalarValue::try_from(&bare_type(data_type))?))
}

/// One arm at a time, the most open first; among equals the agreement whose id sorts first, which
/// is the order of the arms.
fn by_openness(arms: &[usize], treatments: &[Treatment]) -> Vec<Vec<usize>> {
    let rank = |arm: &usize| Reverse(treatments.get(*arm).map_or(0, |t| t.root.openness()));
    let mut sorted = arms.to_vec();
    sorted.sort_by_key(|arm| (rank(arm), *arm));
    sorted.into_iter().map(|arm| vec![arm]).collect()
}

/// Every set of arms that can admit a row together, the largest first.
fn subsets(arms: &[usize]) -> Result<Vec<Vec<usize>>> {
    if arms.len() > NESTED_ARMS_MAX {
        return Err(internal_datafusion_err!(
            "more than {NESTED_ARMS_MAX} agreements treat the same nested column differently"
        ));
    }
    let mut all: Vec<Vec<usize>> = (1_u32..1 << arms.len())
        .map(|set| {
            arms.iter()
                .copied()
                .filter(|arm| set & (1 << arm) != 0)
                .collect()
        })
        .collect();
    all.sort_by(|a: &Vec<usize>, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    Ok(all)
}

/// The most open treatment at every path among a set of arms, and the arm whose keys serve.
fn merge(arms: &[usize], treatments: &[Treatment]) -> (Treatment, usize) {
    let chosen: Vec<(usize, &Treatment)> = arms
        .iter()
        .filter_map(|arm| treatments.get(*arm).map(|t| (*arm, t)))
        .collect();
    let most_open = |at: &dyn Fn(&Treatment) -> Showing| {
        chosen
            .iter()
            .map(|(arm, t)| (at(t), *arm))
            .min_by_key(|(showing, arm)| (Reverse(showing.openness()), *arm))
            .unwrap_or((Showing::Hidden, 0))
    };
    let (root, keys) = most_open(&|t| t.root.clone());
    let paths: BTreeSet<&String> = chosen
        .iter()
        .flat_map(|(_, t)| t.nested.iter().map(|(path, _)| path))
        .collect();
    let nested = paths
        .into_iter()
        .map(|path| {
            // Binding refuses a path that cannot be read.
            let steps = parse_steps(path).unwrap_or_default();
            (path.clone(), most_open(&|t| t.at(&steps).clone()).0)
        })
        .collect();
    (Treatment { root, nested }, keys)
}

#[cfg(test)]
mod tests {
    use scrim_policy::{Showing, Treatment};

    use super::merge;

    #[test]
    fn inv_06_what_surrounds_a_path_counts_before_the_column_does() {
        let treatment = |root: Showing, path: &str, showing: Showing| Treatment {
            root,
            nested: vec![(path.to_owned(), showing)],
        };
        // One agreement hides the address in a clear column, the other shows a part of it alone.
        let treatments = [
            treatment(Showing::Clear, "address", Showing::Hidden),
            treatment(Showing::Hidden, "address.note", Showing::Hidden),
        ];
        let (merged, _) = merge(&[0, 1], &treatments);
        let expected = ["address", "address.note"].map(|path| (path.to_owned(), Showing::Hidden));
        assert_eq!(
            (merged.root, merged.nested),
            (Showing::Clear, expected.into())
        );
    }
}
