//! What a result says about itself, so that no one puzzles over missing rows or odd values. It is
//! made from the decisions and the statement alone, never from data, and tells no hidden name.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::utils::quote_identifier;
use datafusion::logical_expr::{Expr, LogicalPlan};
use scrim_model::TableName;
use scrim_policy::{Decision, Treatment};

use crate::gate::Answer;
use crate::query::{Bound, Query};

/// What a result says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The contracts of the tables that the statement names, by id.
    pub contracts: Vec<String>,
    /// The agreements that matched, by id.
    pub agreements: Vec<String>,
    /// Stands for the decisions: equal exactly when the same is shown. Blinded, since a decision's
    /// own hash covers hidden names and could be guessed at. Empty when no governed table is named.
    pub decision: String,
    /// The masked columns that the statement names, as SQL writes them: `schema.table.column`.
    pub masked_columns: Vec<String>,
    /// Whether a row filter stands before any of the tables, whatever it does to the rows.
    pub row_filter: bool,
}

impl Query<Bound> {
    /// What the result will say about itself.
    pub fn about(&self) -> About {
        let decisions = || self.decisions().map(AsRef::as_ref);
        let named = names(self.plan());
        let contracts = decisions().filter_map(|d| Some(d.contract.as_ref()?.id.clone()));
        let agreements = decisions().flat_map(|d| d.arms.iter().map(|arm| arm.agreement.clone()));
        let hashes: Vec<&str> = decisions().map(|d| d.hash.as_str()).collect();
        let decision = match hashes.as_slice() {
            [] => String::new(),
            hashes => {
                let root_key = self.common.world.root_key.expose();
                scrim_anonymize::blinded(root_key, "scrim/decision/v1", hashes)
            }
        };
        About {
            contracts: contracts.collect::<BTreeSet<_>>().into_iter().collect(),
            agreements: agreements.collect::<BTreeSet<_>>().into_iter().collect(),
            decision,
            masked_columns: decisions().flat_map(|d| masked(d, &named)).collect(),
            row_filter: decisions().any(filters_rows),
        }
    }

    /// The visible columns that the statement uses of each table: what its result is made of, and
    /// what chooses, joins, groups or sorts rows.
    pub fn columns_used(&self) -> BTreeMap<TableName, BTreeSet<String>> {
        let readings = self.common.readings.iter();
        let used = readings.map(|reading| {
            let used = reading.used.iter().flatten().cloned();
            (reading.decision.table.clone(), used.collect())
        });
        used.collect()
    }

    /// Whether the rows come in an order that the statement asks for as a whole.
    pub fn is_ordered(&self) -> bool {
        self.common.answer == Answer::Rows && sorts(self.plan())
    }
}

fn sorts(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => sorts(&projection.input),
        LogicalPlan::Limit(limit) => sorts(&limit.input),
        LogicalPlan::SubqueryAlias(alias) => sorts(&alias.input),
        _ => false,
    }
}

/// Every column's name that stands anywhere in the statement; wildcards are written out by now.
pub(crate) fn names(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = e {
                    names.insert(column.name.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    // The closures above never fail, and what was found so far is as good as it gets.
    drop(walked);
    names
}

fn masked(decision: &Decision, named: &BTreeSet<String>) -> Vec<String> {
    let table = &decision.table;
    let columns = decision.columns.iter().filter(|column| {
        named.contains(&column.name) && !column.treatments.iter().all(Treatment::is_clear)
    });
    let parts = columns.map(|column| [&table.schema, &table.table, &column.name]);
    parts
        .map(|parts| parts.map(|part| quote_identifier(part)).join("."))
        .collect()
}

/// As the guard lowers it: any guard's rows, or those of a decision point outside, or no agreement
/// that admits every row.
pub(crate) fn filters_rows(decision: &Decision) -> bool {
    decision.narrowing_rows().is_some()
        || decision.guards.iter().any(|guard| guard.rows.is_some())
        || decision.arms.iter().all(|arm| arm.rows.is_some())
}
