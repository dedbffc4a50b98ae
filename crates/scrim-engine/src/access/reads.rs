//! What a bound statement reads: its tables, and of each the columns that it uses.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerConfig};
use scrim_model::TableName;
use scrim_policy::Decision;

use crate::about::names;
use crate::directory::{DIRECTORY_SCHEMA, DirectoryTable};
use crate::stub::StubTable;

/// What is read of one table.
#[derive(Debug)]
pub(super) struct Read {
    /// Why it may be read; none for tables of `information_schema`.
    pub(super) decision: Option<Arc<Decision>>,
    /// All columns that the principal sees.
    pub(super) schema: SchemaRef,
    /// Those that are read, by position.
    pub(super) columns: BTreeSet<usize>,
}

/// The tables of a plan, with all columns that the principal sees of them.
pub(super) fn whole(plan: &LogicalPlan) -> Result<BTreeMap<TableName, Read>, DataFusionError> {
    let mut tables = BTreeMap::new();
    each_scan(plan, |scan| {
        if let Some((name, decision)) = governing(scan) {
            let schema = scan.source.schema();
            let columns = (0..schema.fields().len()).collect();
            let read = Read {
                decision,
                schema,
                columns,
            };
            tables.insert(name, read);
        }
    })?;
    Ok(tables)
}

/// The tables of a plan, with the columns that something in it needs.
pub(super) fn used(
    plan: &LogicalPlan,
    planning: &dyn OptimizerConfig,
) -> Result<BTreeMap<TableName, Read>, DataFusionError> {
    // Whatever the pruned plan no longer reads is still named.
    let mut tables = whole(plan)?;
    for read in tables.values_mut() {
        read.columns.clear();
    }
    // A subquery that looks at its surroundings is not pruned; there, names must do.
    let named = names(plan);
    let pruning = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
    let pruned = pruning.optimize(plan.clone(), planning, |_, _| {})?;
    each_scan(&pruned, |scan| {
        let read = governing(scan).and_then(|(name, _)| tables.get_mut(&name));
        if let Some(read) = read {
            if let Some(columns) = &scan.projection {
                read.columns.extend(columns);
            } else {
                let fields = read.schema.fields().iter().enumerate();
                let named = fields.filter(|(_, field)| named.contains(field.name()));
                read.columns.extend(named.map(|(index, _)| index));
            }
        }
    })?;
    Ok(tables)
}

fn each_scan(plan: &LogicalPlan, mut visit: impl FnMut(&TableScan)) -> Result<(), DataFusionError> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            visit(scan);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// A scan's table, with its decision; `None` when it is no table but a step of the statement.
fn governing(scan: &TableScan) -> Option<(TableName, Option<Arc<Decision>>)> {
    let provider = source_as_provider(&scan.source).ok()?;
    let any: &dyn Any = provider.as_ref();
    if let Some(stub) = any.downcast_ref::<StubTable>() {
        let decision = Arc::clone(&stub.decision);
        return Some((decision.table.clone(), Some(decision)));
    }
    let directory = any.is::<DirectoryTable>();
    directory.then(|| {
        (
            TableName::new(DIRECTORY_SCHEMA, scan.table_name.table()),
            None,
        )
    })
}
