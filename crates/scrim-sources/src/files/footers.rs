//! The footers of Parquet files, kept with a bound and shared by all tables.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::cache::{Cache, CacheKey, CacheValue};
use datafusion::parquet::arrow::async_reader::MetadataFetch;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use scrim_engine::{FaultKind, SourceFault};

use super::pin::Pinned;

/// Bytes of a file's end that are read at once; most footers are smaller.
const FIRST_READ: usize = 64 << 10;

/// Footers by the version of their file.
pub(crate) struct Footers(DefaultCache<Key, Footer>);

impl Footers {
    /// Footers of at most so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(DefaultCache::new(bytes).with_name("footers"))
    }

    /// A file's footer with its page index.
    pub(super) async fn of(&self, file: &Pinned) -> Result<Arc<ParquetMetaData>, SourceFault> {
        let key = Key::new(file);
        if let Some(Footer(kept)) = self.0.get(&key) {
            return Ok(kept);
        }
        let reader = ParquetMetaDataReader::new()
            .with_prefetch_hint(Some(FIRST_READ))
            // The page index is read here and kept; the reader would ask for it each time.
            .with_page_index_policy(PageIndexPolicy::Optional);
        let read = reader.load_and_finish(Fetch(file), file.size()).await;
        let footer = Arc::new(read.map_err(|error| unreadable(file, error))?);
        self.0.put(&key, Footer(Arc::clone(&footer)));
        Ok(footer)
    }
}

impl fmt::Debug for Footers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footers")
            .field("bytes", &self.0.memory_used())
            .finish()
    }
}

/// A fault of a store comes back as what it was; anything else is a file that is not Parquet.
fn unreadable(file: &Pinned, error: ParquetError) -> SourceFault {
    if let ParquetError::External(inner) = &error
        && let Some(fault) = inner.downcast_ref::<SourceFault>()
    {
        return fault.clone();
    }
    file.fault(FaultKind::Unavailable, error)
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    store: u64,
    path: String,
    tag: Option<String>,
    size: u64,
    time: DateTime<Utc>,
}

impl Key {
    fn new(file: &Pinned) -> Self {
        let meta = file.meta();
        Self {
            store: file.store().id(),
            path: meta.location.to_string(),
            tag: meta.e_tag.clone(),
            size: meta.size,
            time: meta.last_modified,
        }
    }
}

impl CacheKey for Key {
    fn size(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.tag.as_ref().map_or(0, String::len)
    }

    fn table_ref(&self) -> Option<&TableReference> {
        None
    }
}

#[derive(Debug, Clone)]
struct Footer(Arc<ParquetMetaData>);

impl CacheValue for Footer {
    fn size(&self) -> usize {
        self.0.memory_size()
    }
}

/// Reads the ranges that a footer's reader asks for.
struct Fetch<'a>(&'a Pinned);

impl MetadataFetch for Fetch<'_> {
    fn fetch(
        &mut self,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'_, Result<bytes::Bytes, ParquetError>> {
        let read = async move { self.0.range(range).await.map_err(external) };
        read.boxed()
    }
}

/// A fault as the Parquet reader carries it.
pub(super) fn external(fault: SourceFault) -> ParquetError {
    ParquetError::External(Box::new(fault))
}
