//! The guard as the planner of a principal's query sees it.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use scrim_model::{QueryId, TableName};

use super::exec::GuardExec;
use super::leakproof::is_leakproof;
use super::lower::Lowered;
use crate::errors::inside_guard;
use crate::sessions::Vault;
use crate::share;

/// Rows that a row filter collects before it hands them on.
const FILTERED_ROWS: usize = 2_048;

type Inner = (Arc<dyn ExecutionPlan>, Arc<TaskContext>);

/// A governed table within one query: it scans only what its decision shows.
#[derive(Debug)]
pub(crate) struct GuardTable {
    pub(crate) query: QueryId,
    pub(crate) name: TableName,
    pub(crate) lowered: Arc<Lowered>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) partitions: usize,
    /// The one part of the source that is scanned, and of how many; all of it when there is none.
    pub(crate) share: Option<(u16, u16)>,
}

impl GuardTable {
    fn is_leakproof(&self, filter: &Expr) -> bool {
        is_leakproof(filter, &self.lowered.schema, &|name| {
            self.lowered.clear.contains(name)
        })
    }

    /// The inner plan: the lowered guard, narrowed by what the query asks of it.
    fn narrow(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<LogicalPlan> {
        let mut plan = LogicalPlanBuilder::from(self.lowered.plan.clone());
        // Checked again here: the planner's promise is not a fence.
        for filter in filters.iter().filter(|filter| self.is_leakproof(filter)) {
            plan = plan.filter(filter.clone())?;
        }
        if let Some(projection) = projection {
            let fields = self.lowered.schema.fields();
            let columns = projection
                .iter()
                .filter_map(|index| fields.get(*index))
                .map(|field| Expr::Column(Column::from_name(field.name())));
            plan = plan.project(columns)?;
        }
        // A limit beyond the planner's own range is none; the one above the guard still holds.
        if limit.is_some_and(|rows| i64::try_from(rows).is_ok()) {
            plan = plan.limit(0, limit)?;
        }
        plan.build()
    }

    /// What runs inside, and with which settings.
    async fn inner(&self, plan: LogicalPlan) -> Result<Inner> {
        let plan = self.vault.narrow(plan, self.now)?;
        let Some((_, of)) = self.share else {
            let inner = physical(&plan, &self.vault.session).await?;
            return Ok((prompt(inner)?, Arc::clone(&self.vault.task)));
        };
        let vault = share::vault(&self.vault.session, of);
        let inner = share::cut(physical(&plan, &vault).await?, &vault)?;
        Ok((inner, vault.task_ctx()))
    }
}

async fn physical(plan: &LogicalPlan, vault: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
    let planner = vault.query_planner();
    planner.create_physical_plan(plan, vault).await
}

/// Has the filters hand on their rows early: a filter that lets few rows pass would otherwise hold
/// back the first until it has a full batch of them.
fn prompt(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let prompt = plan.transform_up(|node| {
        let any: &dyn Any = node.as_ref();
        let Some(filter) = any.downcast_ref::<FilterExec>() else {
            return Ok(Transformed::no(node));
        };
        let prompt = filter.with_batch_size(FILTERED_ROWS)?;
        Ok(Transformed::yes(Arc::new(prompt) as _))
    })?;
    Ok(prompt.data)
}

#[async_trait]
impl TableProvider for GuardTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.lowered.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if self.is_leakproof(filter) {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.narrow(projection, filters, limit)?;
        let inner = self.inner(plan).await.map_err(|e| inside_guard(&e))?;
        let schema = match projection {
            Some(projection) => Arc::new(self.lowered.schema.project(projection)?),
            None => Arc::clone(&self.lowered.schema),
        };
        let limited = limit.is_some();
        Ok(Arc::new(GuardExec::new(self, inner, schema, limited)))
    }
}
