//! From a decision to the plan inside its guard: source → row filter → masks → projection.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue, internal_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, case};
use datafusion::physical_plan::collect;
use datafusion::prelude::lit;
use scrim_anonymize::{BoundTreatment, MaskError, MaskKeys, Show, parse_steps};
use scrim_policy::{Decision, RowRules, Showing, Table, Treatment};

use super::mask::masked;
use super::unpruned::unpruned;
use crate::sessions::Vault;
use crate::stub::{bare_type, visible_schema};
use crate::world::World;

/// Values that an inlined look-up may have; a larger one belongs under a single agreement, where it
/// stays a join.
const INLINE_MAX: usize = 100_000;

/// The column of a look-up within a guard's plan; contracts have no column of that name.
const LOOKED_UP: &str = "__looked_up";

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
    pub(crate) decision_hash: Arc<str>,
}

/// Lowers a decision.
///
/// # Errors
/// When the world lacks the table, or a mask cannot be bound; nothing is shown then.
pub(crate) async fn lower(
    world: &World,
    decision: &Decision,
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
    let rules = with_lookups(rules, world, &vault.session, decision).await?;

    let schema = visible_schema(table, decision);
    let mut plan = LogicalPlanBuilder::scan("source", provider_as_source(raw.unseal()), None)?
        .project(contract_columns(table))?;
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
        decision_hash: decision.hash.as_str().into(),
    })
}

/// The source's columns under the contract's names, without a qualifier, so that bare names in
/// rules mean exactly these.
fn contract_columns(table: &Table) -> Vec<Expr> {
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

/// Puts the real look-up tables into the rules. Where different rows get different columns, rules
/// also stand in projections, where a subquery cannot: its values are read and written in.
async fn with_lookups(
    mut rules: RowRules,
    world: &World,
    vault: &SessionState,
    decision: &Decision,
) -> Result<RowRules> {
    let uniform = decision.columns.iter().all(|column| {
        column
            .treatments
            .first()
            .is_none_or(|first| column.treatments.iter().all(|t| t == first))
    });
    for expr in rules
        .guards
        .iter_mut()
        .chain(rules.arms.iter_mut().flatten())
    {
        let opened = std::mem::replace(expr, lit(false))
            .transform_up(|e| open_lookup(e, world))?
            .data;
        *expr = if uniform {
            opened
        } else {
            inline(opened, vault).await?
        };
    }
    Ok(rules)
}

fn open_lookup(expr: Expr, world: &World) -> Result<Transformed<Expr>> {
    let Expr::InSubquery(mut membership) = expr else {
        return Ok(Transformed::no(expr));
    };
    let plan = Arc::unwrap_or_clone(membership.subquery.subquery);
    let opened = plan.transform_up(|node| {
        let scan = match node {
            LogicalPlan::TableScan(scan) => scan,
            LogicalPlan::Filter(mut filter) => {
                filter.predicate = unpruned(filter.predicate, filter.input.schema())?;
                return Ok(Transformed::yes(LogicalPlan::Filter(filter)));
            }
            other => return Ok(Transformed::no(other)),
        };
        let name = scan.table_name.table();
        let raw = world
            .lookups
            .get(name)
            .ok_or_else(|| internal_datafusion_err!("the world lacks the look-up table {name}"))?;
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
            source: provider_as_source(raw.unseal()),
            ..scan
        })))
    })?;
    // A name that no column of the table has: the join that the subquery becomes would find a name
    // of both sides ambiguous.
    let schema = opened.data.schema();
    let looked_up = schema
        .columns()
        .into_iter()
        .map(|c| Ok(unpruned(Expr::Column(c), schema)?.alias(LOOKED_UP)))
        .collect::<Result<Vec<_>>>()?;
    let named = LogicalPlanBuilder::from(opened.data.clone())
        .project(looked_up)?
        .build()?;
    membership.subquery.subquery = Arc::new(named);
    Ok(Transformed::yes(Expr::InSubquery(membership)))
}

async fn inline(expr: Expr, vault: &SessionState) -> Result<Expr> {
    let mut found: Vec<InSubquery> = Vec::new();
    expr.apply(|e| {
        if let Expr::InSubquery(membership) = e {
            found.push(membership.clone());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    let mut expr = expr;
    for membership in found {
        let values = lookup_values(&membership, vault).await?;
        let whole = Expr::InSubquery(membership.clone());
        let list = membership
            .expr
            .in_list(values.into_iter().map(lit).collect(), membership.negated);
        expr = expr
            .transform_up(|e| {
                Ok(if e == whole {
                    Transformed::yes(list.clone())
                } else {
                    Transformed::no(e)
                })
            })?
            .data;
    }
    Ok(expr)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a look-up table is read by the guard for itself"
)]
async fn lookup_values(membership: &InSubquery, vault: &SessionState) -> Result<Vec<ScalarValue>> {
    let plan = vault
        .create_physical_plan(&membership.subquery.subquery)
        .await?;
    let batches = collect(plan, vault.task_ctx()).await?;
    let mut values = BTreeSet::new();
    let mut out = Vec::new();
    for batch in &batches {
        let Some(column) = batch.columns().first() else {
            continue;
        };
        for row in 0..column.len() {
            let value = ScalarValue::try_from_array(column, row)?;
            // NULL in the list could only turn false into unknown, and both keep the row out.
            if !value.is_null() && values.insert(format!("{value:?}")) {
                out.push(value);
            }
            if out.len() > INLINE_MAX {
                return Err(internal_datafusion_err!(
                    "a look-up has more than {INLINE_MAX} values"
                ));
            }
        }
    }
    Ok(out)
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
            let at = |t: &Treatment| {
                t.nested
                    .iter()
                    .find(|(p, _)| p == path)
                    .map_or_else(|| t.root.clone(), |(_, s)| s.clone())
            };
            (path.clone(), most_open(&at).0)
        })
        .collect();
    (Treatment { root, nested }, keys)
}
