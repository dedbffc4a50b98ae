//! A source that writes down what it is asked, and does what it says it can.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{and_kleene, filter_record_batch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::datasource::MemTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;
use scrim_engine::RawTable;

use super::cell::batch;
use super::data::Data;
use super::place::Place;
use super::tables::Table;

/// What a source says of the predicates that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It keeps exactly the rows for which they hold, and a limit counts those.
    Exact,
    /// It makes nothing of them.
    Inexact,
}

/// One scan.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) table: Table,
    pub(crate) columns: Vec<String>,
    pub(crate) filters: Vec<Expr>,
    pub(crate) limit: Option<usize>,
}

/// What all sources of a world were asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    asked: Vec<Asked>,
    learned: Vec<(Table, Vec<String>)>,
    dropped: usize,
}

impl Record {
    /// The scans since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// The columns of the filters that were learned by a query and given to a source, since the
    /// last time.
    pub(crate) fn learned(&self) -> Vec<(Table, Vec<String>)> {
        std::mem::take(&mut self.0.lock().unwrap().learned)
    }

    /// Rows that learned filters have dropped so far.
    pub(crate) fn dropped(&self) -> usize {
        self.0.lock().unwrap().dropped
    }

    /// A table of a world whose source writes into this.
    pub(crate) fn table(&self, table: Table, data: &Data, claim: Claim) -> RawTable {
        let schema = table.schema(Place::Local, false);
        let rows = batch(&schema, data.rows(table));
        let rows = MemTable::try_new(schema, vec![vec![rows]]).unwrap();
        let source = Recording {
            table,
            rows,
            claim,
            record: self.clone(),
        };
        RawTable::new(Arc::new(source), "in memory")
    }
}

#[derive(Debug)]
struct Recording {
    table: Table,
    rows: MemTable,
    claim: Claim,
    record: Record,
}

#[async_trait]
impl TableProvider for Recording {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = match self.claim {
            Claim::Exact => TableProviderFilterPushDown::Exact,
            Claim::Inexact => TableProviderFilterPushDown::Inexact,
        };
        Ok(vec![answer; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let named = projection.iter().map(|i| schema.field(*i).name().clone());
        self.record.0.lock().unwrap().asked.push(Asked {
            table: self.table,
            columns: named.collect(),
            filters: filters.to_vec(),
            limit,
        });
        let mut plan = self.rows.scan(session, None, &[], None).await?;
        if let (Claim::Exact, Some(filter)) = (self.claim, conjunction(filters.to_vec())) {
            let filter = session.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
            let filter = FilterExecBuilder::new(filter, plan);
            let filter = filter.apply_projection(Some(projection.clone()))?;
            plan = Arc::new(filter.build()?);
        } else {
            plan = self.rows.scan(session, Some(projection), &[], None).await?;
        }
        if let Some(limit) = limit {
            plan = Arc::new(GlobalLimitExec::new(plan, 0, Some(limit)));
        }
        Ok(Arc::new(Scan {
            table: self.table,
            inner: plan,
            learned: Vec::new(),
            record: self.record.clone(),
        }))
    }
}

/// A scan that judges every row, hidden ones too, by whatever filter it is given on the way.
#[derive(Debug, Clone)]
struct Scan {
    table: Table,
    inner: Arc<dyn ExecutionPlan>,
    learned: Vec<Arc<dyn PhysicalExpr>>,
    record: Record,
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scan")
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &'static str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(
            &Arc<dyn PhysicalExpr>,
        ) -> Result<datafusion::common::tree_node::TreeNodeRecursion>,
    ) -> Result<datafusion::common::tree_node::TreeNodeRecursion> {
        datafusion::physical_plan::apply_expression_roots(&self.learned, visit)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        offer: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let answer = vec![PushedDown::No; offer.parent_filters.len()];
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(answer);
        if phase == FilterPushdownPhase::Pre {
            return Ok(answer);
        }
        let mut told = self.clone();
        for offered in offer.parent_filters {
            let columns = collect_columns(&offered.filter);
            let mut names: Vec<_> = columns.iter().map(|c| c.name().to_owned()).collect();
            names.sort();
            let learned = &mut self.record.0.lock().unwrap().learned;
            learned.push((self.table, names));
            told.learned.push(offered.filter);
        }
        Ok(answer.with_updated_node(Arc::new(told)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.inner.execute(partition, context)?;
        let (schema, told) = (rows.schema(), self.clone());
        let kept = rows.map(move |batch| told.keep(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, kept)))
    }
}

impl Scan {
    fn keep(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut kept = batch.clone();
        if batch.num_rows() > 0 {
            let mut all = None;
            for filter in &self.learned {
                let holds = filter.evaluate(batch)?.into_array(batch.num_rows())?;
                let holds = holds.as_boolean();
                all = Some(match all {
                    Some(before) => and_kleene(&before, holds)?,
                    None => holds.clone(),
                });
            }
            if let Some(all) = all {
                kept = filter_record_batch(batch, &all)?;
            }
        }
        self.record.0.lock().unwrap().dropped += batch.num_rows() - kept.num_rows();
        Ok(kept)
    }
}
