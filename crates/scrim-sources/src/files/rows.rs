//! Scans of files that are read from their start to their end.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;

use super::format::RowFormat;
use super::listing::Listing;
use super::pin::Pinned;
use super::store::Store;

/// Rows of a batch, unless the plan says otherwise.
const ROWS: usize = 8_192;

/// What scans files of a format; whole files are spread over partitions, none is cut.
#[derive(Debug, Clone)]
pub(super) struct RowSource {
    format: RowFormat,
    store: Arc<Store>,
    listing: Arc<dyn Listing>,
    schema: TableSchema,
    projection: SplitProjection,
    rows: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl RowSource {
    pub(super) fn new(
        format: RowFormat,
        schema: TableSchema,
        store: &Arc<Store>,
        listing: &Arc<dyn Listing>,
    ) -> Self {
        Self {
            format,
            store: Arc::clone(store),
            listing: Arc::clone(listing),
            projection: SplitProjection::unprojected(&schema),
            schema,
            rows: ROWS,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for RowSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let all = self.schema.file_schema();
        let columns = &self.projection.file_indices;
        let (schema, shown) = if self.format.reads_all() {
            (Arc::clone(all), Some(columns.clone()))
        } else {
            (Arc::new(all.project(columns)?), None)
        };
        let opener = Opener {
            format: self.format,
            store: Arc::clone(&self.store),
            listing: Arc::clone(&self.listing),
            schema,
            shown,
            rows: self.rows,
        };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), all)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, rows: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            rows,
            ..self.clone()
        })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self {
            projection,
            ..self.clone()
        })))
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        match self.format {
            RowFormat::Csv { .. } => "csv",
            RowFormat::JsonLines { .. } => "json",
            RowFormat::Arrow => "arrow",
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut next = TreeNodeRecursion::Continue;
        for projected in self.projection.source.iter() {
            next = f(&projected.expr)?;
            if next == TreeNodeRecursion::Stop {
                break;
            }
        }
        Ok(next)
    }
}

struct Opener {
    format: RowFormat,
    store: Arc<Store>,
    listing: Arc<dyn Listing>,
    /// The columns that are read.
    schema: SchemaRef,
    /// Which of them are shown, if not all.
    shown: Option<Vec<usize>>,
    rows: usize,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (store, listing) = (Arc::clone(&self.store), Arc::clone(&self.listing));
        let file = Pinned::new(store, file.object_meta, listing);
        let (format, schema, rows) = (self.format, Arc::clone(&self.schema), self.rows);
        let shown = self.shown.clone();
        let opened = async move {
            let batches = format.read(file, &schema, rows).await?;
            let shown = batches.map(move |batch| match &shown {
                Some(columns) => Ok(batch?.project(columns)?),
                None => batch,
            });
            Ok(shown.boxed())
        };
        Ok(opened.boxed())
    }
}
