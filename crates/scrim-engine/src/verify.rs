//! The pair of checks: every table of the logical plan is a guard of this query, and every leaf of
//! the physical plan is one or is free of data. Neither suffices alone; both run in every build.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::physical_plan::ExecutionPlan;
use scrim_ledger::Permit;
use scrim_model::{Code, QueryId, Refusal};

use crate::directory::DirectoryTable;
use crate::functions::{Functions, check_call};
use crate::guard::{GuardExec, GuardTable};
use crate::stub::StubTable;

/// Physical operators that a query may use; a new one is a visible change.
const OPERATORS: &[&str] = &[
    "AggregateExec",
    "BoundedWindowAggExec",
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "DataSourceExec",
    "EmptyExec",
    "FilterExec",
    "GlobalLimitExec",
    "GuardExec",
    "HashJoinExec",
    "InterleaveExec",
    "LocalLimitExec",
    "NestedLoopJoinExec",
    "PartialSortExec",
    "PartitionedTopKExec",
    "PiecewiseMergeJoinExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RecursiveQueryExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    // A sort with a limit goes by a name of its own.
    "SortExec(TopK)",
    "SortMergeJoinExec",
    "SortPreservingMergeExec",
    "UnionExec",
    "UnnestExec",
    "WindowAggExec",
    "WorkTableExec",
];

/// Checks a bound plan before anything else is done with it: kinds of nodes, functions, size.
///
/// # Errors
/// A refusal that depends on the statement alone.
pub(crate) fn admissible(
    plan: &LogicalPlan,
    functions: &Functions,
    nodes_max: usize,
) -> Result<(), Refusal> {
    let mut nodes = 0_usize;
    let mut refusal = None;
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        refusal = refusal
            .take()
            .or_else(|| node_refusal(node, functions).err());
        Ok(if refusal.is_some() {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    walked.map_err(|e| crate::errors::refusal(&e, crate::errors::Stage::Planning))?;
    if nodes > nodes_max {
        return Err(Refusal::new(
            Code::SqlTooLarge,
            format!("the statement needs more than {nodes_max} steps; split it"),
        ));
    }
    Ok(())
}

fn node_refusal(node: &LogicalPlan, functions: &Functions) -> Result<(), Refusal> {
    let refused = |what: &str| {
        Err(Refusal::new(
            Code::StatementRefused,
            format!("{what} is not served; send a query that reads"),
        ))
    };
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => {}
        LogicalPlan::TableScan(scan) if source_kind(&scan.source) != Kind::Foreign => {}
        LogicalPlan::TableScan(_) => return refused("this table"),
        LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) => {
            return refused("writing");
        }
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_) => return refused("this kind of statement"),
    }
    let mut refusal = None;
    let walked = node.apply_expressions(|expr| {
        expr.apply(|e| {
            refusal = refusal.take().or_else(|| check_call(e, functions).err());
            Ok(if refusal.is_some() {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })
    });
    match (refusal, walked) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(e)) => Err(crate::errors::refusal(&e, crate::errors::Stage::Planning)),
        (None, Ok(_)) => Ok(()),
    }
}

/// What stands behind a name of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Stub,
    Guard {
        query: QueryId,
        decision_hash: Arc<str>,
    },
    DataFree,
    Foreign,
}

fn source_kind(source: &Arc<dyn TableSource>) -> Kind {
    let Ok(provider) = source_as_provider(source) else {
        return Kind::Foreign;
    };
    let any: &dyn Any = provider.as_ref();
    if any.is::<StubTable>() {
        Kind::Stub
    } else if let Some(guard) = any.downcast_ref::<GuardTable>() {
        Kind::Guard {
            query: guard.query,
            decision_hash: Arc::clone(&guard.lowered.decision_hash),
        }
    } else if any.is::<DirectoryTable>() || any.is::<CteWorkTable>() {
        Kind::DataFree
    } else {
        Kind::Foreign
    }
}

fn breach(what: impl std::fmt::Display) -> Refusal {
    Refusal::internal(format!("verifier: {what}"))
}

/// The logical half: every scan, subqueries included, is a guard that this permit covers.
///
/// # Errors
/// A refusal; reaching it means a bug.
pub(crate) fn logical(plan: &LogicalPlan, permit: &Permit) -> Result<(), Refusal> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let fine = match source_kind(&scan.source) {
                Kind::Guard {
                    query,
                    decision_hash,
                } => query == permit.query() && permit.covers(&decision_hash),
                Kind::DataFree => true,
                Kind::Stub | Kind::Foreign => false,
            };
            if !fine {
                found = Some(scan.table_name.to_string());
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(breach)?;
    found.map_or(Ok(()), |name| {
        Err(breach(format!("{name} is not a guard of this query")))
    })
}

/// The physical half: every operator is known, and every leaf is a guard that this permit covers or
/// is free of data.
///
/// # Errors
/// A refusal; reaching it means a bug.
pub(crate) fn physical(plan: &Arc<dyn ExecutionPlan>, permit: &Permit) -> Result<(), Refusal> {
    let known: BTreeSet<&str> = OPERATORS.iter().copied().collect();
    let mut found = None;
    let walked = plan.apply(|node| {
        let is_leaf = node.children().is_empty();
        let fine = known.contains(node.name()) && (!is_leaf || leaf_is_fine(node, permit));
        let wrong = (!fine).then(|| node.name().to_owned());
        found = found.take().or(wrong);
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(breach)?;
    found.map_or(Ok(()), |name| {
        Err(breach(format!("operator {name} is not allowed here")))
    })
}

fn leaf_is_fine(leaf: &Arc<dyn ExecutionPlan>, permit: &Permit) -> bool {
    if let Some(guard) = leaf.downcast_ref::<GuardExec>() {
        return guard
            .made_for(permit.query())
            .is_some_and(|hash| permit.covers(hash));
    }
    if let Some(source) = leaf.downcast_ref::<DataSourceExec>() {
        let any: &dyn Any = source.data_source().as_ref();
        // VALUES and the directory live in memory; a file never does.
        return any.is::<MemorySourceConfig>();
    }
    matches!(
        leaf.name(),
        "EmptyExec" | "PlaceholderRowExec" | "WorkTableExec"
    )
}
