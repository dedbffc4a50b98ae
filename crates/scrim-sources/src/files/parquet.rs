//! Parquet: files are read by the library, over pinned reads and kept footers.
//!
//! What a file claims of itself is not believed further than a row group's own bounds, which prune
//! what a rule or a query asks. No order is inferred. A file as a whole has no statistics but its
//! number of rows: its bounds leave out NaN, and the library takes a column whose bounds are equal
//! for a constant; it would show a hidden row's number in the place of a visible NaN.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use scrim_engine::{FaultKind, SourceFault};

use super::facts::Facts;
use super::footers::{Footers, external};
use super::listing::Listing;
use super::pin::Pinned;
use super::store::Store;

/// What a Parquet file has, by its footer.
pub(super) async fn inspect(file: &Pinned, footers: &Footers) -> Result<Facts, SourceFault> {
    let footer = footers.of(file).await?;
    let rows = u64::try_from(footer.file_metadata().num_rows()).ok();
    let reader = ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new());
    let reader = reader.map_err(|e| file.fault(FaultKind::Unavailable, e))?;
    Ok(Facts::new(reader.schema().fields(), rows))
}

/// What scans Parquet files of the schema.
pub(super) fn source(
    schema: TableSchema,
    store: &Arc<Store>,
    listing: &Arc<dyn Listing>,
    footers: &Arc<Footers>,
) -> Arc<dyn FileSource> {
    let readers = Readers {
        store: Arc::clone(store),
        listing: Arc::clone(listing),
        footers: Arc::clone(footers),
    };
    let source = ParquetSource::new(schema)
        .with_enable_page_index(true)
        .with_bloom_filter_on_read(true)
        .with_parquet_file_reader_factory(Arc::new(readers));
    Arc::new(source)
}

#[derive(Debug)]
struct Readers {
    store: Arc<Store>,
    listing: Arc<dyn Listing>,
    footers: Arc<Footers>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let (store, listing) = (Arc::clone(&self.store), Arc::clone(&self.listing));
        Ok(Box::new(Reader {
            file: Pinned::new(store, file.object_meta, listing),
            footers: Arc::clone(&self.footers),
        }))
    }
}

struct Reader {
    file: Pinned,
    footers: Arc<Footers>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.file.range(range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.file.ranges(&ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move { self.footers.of(&self.file).await.map_err(external) }.boxed()
    }
}
