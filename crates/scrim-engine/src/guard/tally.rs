//! How many rows each row filter of a decision keeps: numbers for the owner's tests, and no values.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::lit;
use futures::TryStreamExt;
use scrim_policy::{Clause, Decision, RowRules};

use super::lookups;
use super::lower::contract_columns;
use super::unpruned::unpruned;
use crate::lookup::Lookups;
use crate::sessions::Vault;
use crate::world::World;

/// What one row filter does with the rows of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The filter, with what was bound to it.
    pub filter: Clause,
    /// The rows that the table has.
    pub rows: u64,
    /// The rows that the filter keeps.
    pub kept: u64,
}

/// Counts for each row filter of a decision, one by one.
///
/// # Errors
/// When the world lacks the table, or it cannot be read.
pub(crate) async fn tally(
    world: &World,
    decision: &Decision,
    lookups: &mut Lookups<'_>,
    vault: &Vault,
) -> Result<Vec<Tally>> {
    let missing = || internal_datafusion_err!("the world lacks {}", decision.table);
    let table = world.policy.table(&decision.table).ok_or_else(missing)?;
    let raw = world.tables.get(&decision.table).ok_or_else(missing)?;
    let rules = world.policy.rules(decision);
    let rules = rules.map_err(|e| internal_datafusion_err!("rules of {}: {e}", decision.table))?;
    let all = LogicalPlanBuilder::scan("source", provider_as_source(raw.unseal()), None)?
        .project(contract_columns(table))?
        .build()?;
    let (rules, _) = lookups::settle(rules, decision, all.schema(), lookups, vault).await?;
    let rows = counted(all.clone(), vault).await?;
    let mut tallies = Vec::new();
    for (clause, rule) in paired(decision, rules) {
        let kept = match rule {
            None => rows,
            Some(rule) => {
                let rule = unpruned(rule, all.schema())?;
                let kept = LogicalPlanBuilder::from(all.clone()).filter(rule)?;
                counted(kept.build()?, vault).await?
            }
        };
        let filter = clause.clone();
        tallies.push(Tally { filter, rows, kept });
    }
    Ok(tallies)
}

/// The row filters that a decision names, each with what it was lowered to; `None` keeps every row.
fn paired(decision: &Decision, rules: RowRules) -> Vec<(&Clause, Option<Expr>)> {
    let arms = decision.arms.iter().zip(rules.arms);
    let arms = arms.filter_map(|(arm, rule)| Some((arm.rows.as_ref()?, rule)));
    let guards = decision
        .guards
        .iter()
        .filter_map(|guard| guard.rows.as_ref());
    let guards: Vec<&Clause> = guards.collect();
    // Guards that keep every row are not among the lowered ones, and then it is not known which are.
    let known = guards.len() == rules.guards.len();
    let guards = guards.into_iter().zip(rules.guards).filter(|_| known);
    arms.chain(guards.map(|(clause, rule)| (clause, Some(rule))))
        .collect()
}

/// The rows of a plan; no value of them is looked at.
async fn counted(plan: LogicalPlan, vault: &Vault) -> Result<u64> {
    let rows = LogicalPlanBuilder::from(plan).project(vec![lit(true).alias("row")])?;
    let plan = vault.session.create_physical_plan(&rows.build()?).await?;
    let batches = execute_stream(plan, Arc::clone(&vault.task))?;
    let count = |rows: u64, batch: RecordBatch| async move { Ok(rows + batch.num_rows() as u64) };
    batches.try_fold(0, count).await
}
