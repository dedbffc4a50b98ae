//! Parquet as it is read here: the files' claims about floats and about order are not believed.
//!
//! Bounds of a float column leave out NaN. The reader takes a column whose bounds are equal for a
//! constant and would show a hidden row's number in the place of a visible NaN.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::ExecutionPlan;
use object_store::{ObjectMeta, ObjectStore};

/// The format, without bounds of floats and without any order.
pub(crate) struct Parquet {
    inner: ParquetFormat,
}

impl Parquet {
    pub(crate) fn new() -> Self {
        Self {
            // Plain strings: string views would be copied once more on their way to the wire.
            inner: ParquetFormat::default()
                .with_force_view_types(false)
                .with_skip_metadata(true),
        }
    }
}

impl fmt::Debug for Parquet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parquet")
    }
}

/// Every other method of the trait stays at its default: no order is inferred, nothing is written.
#[async_trait]
impl FileFormat for Parquet {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    async fn infer_schema(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        self.inner.infer_schema(session, store, objects).await
    }

    async fn infer_stats(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        let told = self
            .inner
            .infer_stats(session, store, Arc::clone(&schema), object);
        let mut statistics = told.await?;
        let columns = schema
            .fields()
            .iter()
            .zip(&mut statistics.column_statistics);
        for (_, column) in columns.filter(|(field, _)| field.data_type().is_floating()) {
            column.min_value = Precision::Absent;
            column.max_value = Precision::Absent;
            column.sum_value = Precision::Absent;
        }
        Ok(statistics)
    }

    async fn create_physical_plan(
        &self,
        session: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.create_physical_plan(session, config).await
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        self.inner.file_source(schema)
    }
}
