//! The guard in a physical plan: a leaf that tells nothing of what is inside.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    apply_expression_roots,
};
use futures::{StreamExt, TryStreamExt, stream};
use scrim_model::{QueryId, TableName};

use super::leakproof::is_simple;
use super::learned::{Learned, Told, into_sources};
use super::lower::Lowered;
use super::table::GuardTable;
use crate::errors::inside_guard;

/// A governed table's own plan, sealed: no children, no statistics, no metrics, no ordering, a
/// fixed number of partitions; its batches are compacted before anything above sees them.
pub(crate) struct GuardExec {
    query: QueryId,
    name: TableName,
    lowered: Arc<Lowered>,
    /// The plan as the guard made it.
    inner: Arc<dyn ExecutionPlan>,
    inner_context: Arc<TaskContext>,
    /// Whether the plan inside counts its rows.
    limited: bool,
    told: Option<Told>,
    share: Option<(u16, u16)>,
    properties: Arc<PlanProperties>,
}

impl GuardExec {
    pub(crate) fn new(
        table: &GuardTable,
        (inner, inner_context): (Arc<dyn ExecutionPlan>, Arc<TaskContext>),
        schema: SchemaRef,
        limited: bool,
    ) -> Self {
        Self {
            query: table.query,
            name: table.name.clone(),
            lowered: Arc::clone(&table.lowered),
            inner,
            inner_context,
            limited,
            told: None,
            share: table.share,
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema),
                Partitioning::UnknownPartitioning(match table.share {
                    Some(_) => 1,
                    None => table.partitions,
                }),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
        }
    }

    /// Whether this guard was made for that query, and by which decision.
    pub(crate) fn made_for(&self, query: QueryId) -> Option<&str> {
        (self.query == query).then_some(&*self.lowered.decision_hash)
    }

    /// The guard with its sources told what the query has learned; `None` if there is nothing that
    /// they may know or can use.
    ///
    /// A source may know what is about clear columns alone, of types whose statistics are exact: it
    /// holds it against hidden rows, too.
    pub(super) fn told(&self, learned: Vec<Learned>) -> Result<Option<Self>> {
        let schema = self.schema();
        let open = |index: &usize| {
            schema.fields().get(*index).is_some_and(|field| {
                self.lowered.clear.contains(field.name()) && is_simple(field.data_type())
            })
        };
        let mut learned = learned;
        learned.retain(|one| one.columns.iter().all(open));
        if learned.is_empty() || self.limited {
            return Ok(None);
        }
        let options = self.inner_context.session_config().options();
        let told = into_sources(&self.inner, learned, options)?;
        Ok((!told.learned.is_empty()).then(|| self.with(Some(told))))
    }

    fn with(&self, told: Option<Told>) -> Self {
        Self {
            query: self.query,
            name: self.name.clone(),
            lowered: Arc::clone(&self.lowered),
            inner: Arc::clone(&self.inner),
            inner_context: Arc::clone(&self.inner_context),
            limited: self.limited,
            told,
            share: self.share,
            properties: Arc::clone(&self.properties),
        }
    }
}

impl fmt::Debug for GuardExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardExec")
            .field("table", &self.name)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(
            f,
            "GuardExec: table={}, columns=[{}]",
            self.name,
            columns.join(", ")
        )
    }
}

impl ExecutionPlan for GuardExec {
    fn name(&self) -> &'static str {
        "GuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    /// What is in use of what the query learns: an operator takes no trouble to learn what nobody
    /// uses.
    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let learned = self.told.iter().flat_map(|told| &told.learned);
        apply_expression_roots(learned, visit)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("a guard has no children")
        }
    }

    /// Recursive queries run a plan several times; filters that were learned in one run must not
    /// reach the next.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut reset = self.with(None);
        reset.inner = reset_plan_states(Arc::clone(&self.inner))?;
        Ok(Arc::new(reset))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let partitions = self.properties.partitioning.partition_count();
        // However many partitions the source has, the plan above sees the same number.
        let (first, step) = match self.share {
            Some((index, of)) => (usize::from(index), usize::from(of)),
            None => (partition, partitions),
        };
        let inner = self.told.as_ref().map_or(&self.inner, |told| &told.inner);
        let mine: Vec<usize> = (first..inner.output_partitioning().partition_count())
            .step_by(step)
            .collect();
        let (inner, context) = (Arc::clone(inner), Arc::clone(&self.inner_context));
        let batches = stream::iter(mine)
            .map(move |index| inner.execute(index, Arc::clone(&context)))
            .try_flatten();
        let (removes, out) = (self.lowered.removes, Arc::clone(&schema));
        let shown = batches.map(move |batch| {
            batch
                .and_then(|batch| edge(&batch, &out, removes))
                .map_err(|e| inside_guard(&e))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, shown)))
    }
}

/// The guard's upper edge: the visible schema, and no byte of what was removed. Casts and functions
/// of the query work on whole dictionary and view buffers, so this comes before any of them.
fn edge(batch: &RecordBatch, schema: &SchemaRef, removes: bool) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            let kept = if removes {
                scrim_anonymize::compact(column)?
            } else {
                Arc::clone(column)
            };
            // Only nested nullability and metadata can differ; no value changes here.
            if kept.data_type() == field.data_type() {
                Ok(kept)
            } else {
                cast(&kept, field.data_type())
            }
        });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
