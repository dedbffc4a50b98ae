//! Memberships of look-up tables, `x IN (SELECT y FROM lookup.t WHERE …)`, in a decision's rules:
//! a list of literals where the values are few, a join with what is in memory where they are many.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::physical_plan::collect;
use datafusion::prelude::lit;
use scrim_policy::{Decision, RowRules};

use super::leakproof::is_simple;
use super::unpruned::unpruned;
use crate::lookup::{Lookups, Snapshot};
use crate::sessions::Vault;

/// Values that a rule holds as literals: they prune files and can be asked of the source.
const LITERALS_MAX: usize = 1_000;

/// Values that a rule holds as literals where it cannot be a join; a look-up with more belongs
/// under a single agreement.
const LITERALS_FORCED_MAX: usize = 100_000;

/// Values of a list that files are pruned by one by one; a longer list needs its bounds beside it.
const LISTED_MAX: usize = 20;

/// The column of a look-up within a guard's plan; contracts have no column of that name.
const LOOKED_UP: &str = "__looked_up";

/// The rules with their look-ups settled, and the snapshots that they were settled with.
///
/// # Errors
/// When a look-up table cannot be had, or has too many values for a rule that cannot be a join.
pub(super) async fn settle(
    mut rules: RowRules,
    decision: &Decision,
    columns: &DFSchema,
    lookups: &mut Lookups<'_>,
    vault: &Vault,
) -> Result<(RowRules, BTreeMap<String, u64>)> {
    let mut rule = Settling {
        joins: uniform(decision),
        columns,
        lookups,
        vault,
        used: BTreeMap::new(),
    };
    let arms = rules.arms.iter_mut().flatten();
    for expr in rules.guards.iter_mut().chain(arms) {
        *expr = rule.settled(std::mem::replace(expr, lit(false))).await?;
    }
    let used = rule.used.into_iter();
    let ids = used.map(|(name, snapshot)| (name, snapshot.id)).collect();
    Ok((rules, ids))
}

/// Whether all rows get the same columns. Where they do not, rules also stand in projections, where
/// a subquery cannot.
fn uniform(decision: &Decision) -> bool {
    decision.columns.iter().all(|column| {
        let mut treatments = column.treatments.iter();
        let first = treatments.next();
        treatments.all(|treatment| Some(treatment) == first)
    })
}

struct Settling<'a, 'b> {
    joins: bool,
    /// The columns of the table that the rules are about.
    columns: &'a DFSchema,
    lookups: &'a mut Lookups<'b>,
    vault: &'a Vault,
    used: BTreeMap<String, Arc<Snapshot>>,
}

impl Settling<'_, '_> {
    async fn settled(&mut self, expr: Expr) -> Result<Expr> {
        let mut found: Vec<InSubquery> = Vec::new();
        expr.apply(|e| {
            if let Expr::InSubquery(membership) = e {
                found.push(membership.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut expr = expr;
        for membership in found {
            let whole = Expr::InSubquery(membership.clone());
            let settled = self.membership(membership).await?;
            let replaced = expr.transform_up(|e| {
                Ok(if e == whole {
                    Transformed::yes(settled.clone())
                } else {
                    Transformed::no(e)
                })
            })?;
            expr = replaced.data;
        }
        Ok(expr)
    }

    async fn membership(&mut self, mut membership: InSubquery) -> Result<Expr> {
        let asked = Arc::unwrap_or_clone(membership.subquery.subquery);
        for name in scanned(&asked)? {
            let snapshot = self.lookups.get(&name).await?;
            self.used.insert(name, snapshot);
        }
        let opened = open(asked, &self.used)?;
        // Floats are never pruned by, so literals would gain nothing over the join.
        let few = if self.joins && opened.schema().field(0).data_type().is_floating() {
            0
        } else if self.joins {
            LITERALS_MAX
        } else {
            LITERALS_FORCED_MAX
        };
        let negated = membership.negated;
        match values(&opened, negated, few, self.vault).await? {
            Some(values) => self.listed(*membership.expr, values, negated),
            None if self.joins => {
                membership.subquery.subquery = Arc::new(opened);
                Ok(Expr::InSubquery(membership))
            }
            None => Err(internal_datafusion_err!(
                "a look-up has more than {LITERALS_FORCED_MAX} values, and rows of the table get \
                 different columns"
            )),
        }
    }
}

impl Settling<'_, '_> {
    fn listed(&self, expr: Expr, values: Vec<ScalarValue>, negated: bool) -> Result<Expr> {
        let (Some(low), Some(high)) = (values.first().cloned(), values.last().cloned()) else {
            return Ok(lit(negated));
        };
        let long = values.len() > LISTED_MAX && !negated;
        // In another type they might come in another order.
        let (own, theirs) = (expr.get_type(self.columns)?, low.data_type());
        let ordered = is_simple(&own) && (own == theirs || own.is_string() && theirs.is_string());
        let list = expr.clone();
        let list = list.in_list(values.into_iter().map(lit).collect(), negated);
        Ok(if long && ordered {
            expr.between(lit(low), lit(high)).and(list)
        } else {
            list
        })
    }
}

/// The look-up tables that a membership asks.
fn scanned(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.insert(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}

/// Puts the snapshots in the place of the names.
fn open(plan: LogicalPlan, snapshots: &BTreeMap<String, Arc<Snapshot>>) -> Result<LogicalPlan> {
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
        let snapshot = snapshots
            .get(name)
            .ok_or_else(|| internal_datafusion_err!("the look-up table {name} was not opened"))?;
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
            source: provider_as_source(Arc::clone(snapshot) as _),
            ..scan
        })))
    })?;
    // A name that no column of the table has: the join that the subquery becomes would find a name
    // of both sides ambiguous.
    let schema = Arc::clone(opened.data.schema());
    let looked_up = schema
        .columns()
        .into_iter()
        .map(|c| Ok(unpruned(Expr::Column(c), &schema)?.alias(LOOKED_UP)))
        .collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(opened.data)
        .project(looked_up)?
        .build()
}

/// The values of a membership, in order and each once; `None` if there are more than `max`.
#[expect(
    clippy::disallowed_methods,
    reason = "a look-up table is read by the guard for itself, and only so many values of it"
)]
async fn values(
    plan: &LogicalPlan,
    negated: bool,
    max: usize,
    vault: &Vault,
) -> Result<Option<Vec<ScalarValue>>> {
    if max == 0 {
        return Ok(None);
    }
    let mut plan = LogicalPlanBuilder::from(plan.clone());
    // NULL in a list could only turn false into unknown, and both keep the row out; under NOT it
    // turns true into unknown.
    if !negated {
        plan = plan.filter(datafusion::prelude::col(LOOKED_UP).is_not_null())?;
    }
    let plan = plan.distinct()?.limit(0, Some(max + 1))?.build()?;
    let plan = vault.session.create_physical_plan(&plan).await?;
    let batches = collect(plan, Arc::clone(&vault.task)).await?;
    let mut values = Vec::new();
    for column in batches.iter().filter_map(|batch| batch.columns().first()) {
        for row in 0..column.len() {
            values.push(ScalarValue::try_from_array(column, row)?);
        }
    }
    if values.len() > max {
        return Ok(None);
    }
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    Ok(Some(values))
}
