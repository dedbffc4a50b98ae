//! A table of PostgreSQL as the engine scans it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::columns::PgColumn;
use super::connect::Database;
use super::push::push;
use super::scan::Scan;
use super::schema::Table;

/// Pages of a large table that one of its readers takes at once: 16 MiB.
const PART_PAGES: u64 = 2_048;

/// The wanted columns of a table.
#[derive(Debug)]
pub(super) struct PgTable {
    database: Arc<Database>,
    table: Arc<Table>,
    shown: Arc<str>,
    schema: SchemaRef,
    part_pages: u64,
}

impl PgTable {
    pub(super) fn new(database: Arc<Database>, table: Table, shown: &str) -> Self {
        let fields: Vec<_> = table.columns.iter().map(field).collect();
        Self {
            database,
            table: Arc::new(table),
            shown: Arc::from(shown),
            schema: Arc::new(Schema::new(fields)),
            part_pages: PART_PAGES,
        }
    }

    #[cfg(test)]
    pub(super) fn with_part_pages(self, part_pages: u64) -> Self {
        Self { part_pages, ..self }
    }

    /// Where it lies, for the owner.
    pub(super) fn shown(&self) -> &Arc<str> {
        &self.shown
    }

    /// Columns that nobody wanted.
    pub(super) fn extra(&self) -> &[String] {
        &self.table.extra
    }

    /// About how many rows it has.
    pub(super) fn rows(&self) -> Option<u64> {
        self.table.rows
    }
}

/// Every column may be NULL: of a view nobody knows, and of a table it could change.
fn field(column: &PgColumn) -> Field {
    Field::new(&column.name, column.data_type.clone(), true)
}

#[async_trait]
impl TableProvider for PgTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answers = filters
            .iter()
            .map(|filter| match push(filter, &self.table.columns) {
                Some(pushed) if pushed.exact => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            });
        Ok(answers.collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<&PgColumn> = self.table.columns.iter().collect();
        let columns: Vec<PgColumn> = match projection {
            Some(indices) => indices
                .iter()
                .filter_map(|index| columns.get(*index).copied().cloned())
                .collect(),
            None => columns.into_iter().cloned().collect(),
        };
        let mut conditions = Vec::with_capacity(filters.len());
        let mut is_exact = true;
        for filter in filters {
            let pushed = push(filter, &self.table.columns);
            is_exact &= pushed.as_ref().is_some_and(|pushed| pushed.exact);
            conditions.extend(pushed.map(|pushed| pushed.sql));
        }
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let scan = Scan {
            database: Arc::clone(&self.database),
            table: Arc::clone(&self.table),
            shown: Arc::clone(&self.shown),
            columns,
            schema,
            conditions,
            // A row that the server lets pass could still be dropped above.
            limit: limit.filter(|_| is_exact),
            batch_rows: session.config_options().execution.batch_size.get(),
            readers: session.config_options().execution.target_partitions,
            part_pages: self.part_pages,
        };
        Ok(Arc::new(ScanExec::new(scan)))
    }
}

/// A scan in a plan: one partition, whose rows are asked for when it is first polled.
struct ScanExec {
    scan: Arc<Scan>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    fn new(scan: Scan) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            scan: Arc::new(scan),
            properties: Arc::new(properties),
        }
    }
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresExec")
            .field(&self.scan.shown)
            .finish()
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresExec: {}", self.scan.shown)
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "PostgresExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("a scan has no children")
        }
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.scan.batches();
        let schema = Arc::clone(&self.scan.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
