//! How Delta's library reads a table's log: through our own store, for it must open none itself.
//!
//! The library asks and waits; so each of these calls blocks, and is made on a thread that may.

use std::io::{BufReader, Cursor};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReaderBuilder,
};
use delta_kernel::engine::arrow_conversion::TryFromArrow as _;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_expression::ArrowEvaluationHandler;
use delta_kernel::engine::arrow_utils::{
    RowIndexBuilder, build_json_reorder_indices, fixup_json_read, fixup_parquet_read,
    json_arrow_schema, ordering_needs_row_indexes, parquet_read_plan,
};
use delta_kernel::engine::reader_options;
use delta_kernel::schema::{SchemaRef, StructType};
use delta_kernel::{
    Engine, EngineData, EvaluationHandler, FileDataReadResultIterator, FileMeta, FileSize,
    FileSlice, FilteredEngineData, JsonHandler, KernelError, KernelResult, KernelResultIterator,
    KernelResultIteratorStatic, ParquetFooter, ParquetHandler, PredicateRef, StorageHandler,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use scrim_engine::{FaultKind, SourceFault};
use tokio::runtime::Handle;
use url::Url;

use crate::files::fault::{fault, is_missing};
use crate::files::store::Store;

/// Bytes of one file of a log.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Files of one log.
const LISTED_MAX: usize = 1_000_000;
/// Files of a log that are on their way at once.
const AT_ONCE: usize = 4;

/// What the library reads a log with.
pub(super) struct LogEngine {
    io: Arc<Io>,
}

/// A store for those who wait.
pub(super) struct Io {
    store: Arc<Store>,
    runtime: Handle,
    /// Why a read failed last: the library keeps only a text of it.
    failed: Mutex<Option<SourceFault>>,
}

impl LogEngine {
    pub(super) fn new(store: Arc<Store>, runtime: Handle) -> Self {
        let failed = Mutex::default();
        Self {
            io: Arc::new(Io {
                store,
                runtime,
                failed,
            }),
        }
    }

    pub(super) fn io(&self) -> &Io {
        &self.io
    }
}

impl Io {
    /// The fault that made the library's last call fail, if it was one of the store.
    pub(super) fn take_fault(&self) -> Option<SourceFault> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take()
    }

    pub(super) fn shown(&self, path: &Path) -> String {
        self.store.shown(path.as_ref())
    }

    fn failed(&self, path: &Path, error: &object_store::Error) -> KernelError {
        let at = self.shown(path);
        if is_missing(error) {
            // The library may know what to do without the file.
            return KernelError::FileNotFound(at);
        }
        self.broken(fault(&at, error))
    }

    fn broken(&self, fault: SourceFault) -> KernelError {
        let error = KernelError::generic(&fault);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        error
    }

    /// The files of a folder whose paths come after one, in order.
    pub(super) fn list(
        &self,
        folder: &Path,
        after: Option<&Path>,
    ) -> KernelResult<Vec<ObjectMeta>> {
        let store = self.store.inner();
        let listed = match after {
            Some(after) => store.list_with_offset(Some(folder), after),
            None => store.list(Some(folder)),
        };
        let files = listed.take(LISTED_MAX + 1).try_collect::<Vec<_>>();
        let mut files = self
            .runtime
            .block_on(files)
            .map_err(|e| self.failed(folder, &e))?;
        if files.len() > LISTED_MAX {
            let what = format!("{} has more than {LISTED_MAX} files", self.shown(folder));
            return Err(self.broken(SourceFault::new(FaultKind::Invalid, what)));
        }
        files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(files)
    }

    pub(super) fn head(&self, path: &Path) -> KernelResult<ObjectMeta> {
        let head = self.runtime.block_on(self.store.inner().head(path));
        head.map_err(|e| self.failed(path, &e))
    }

    async fn bytes(&self, path: &Path, range: Option<std::ops::Range<u64>>) -> KernelResult<Bytes> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let failed = |e: &object_store::Error| self.failed(path, e);
        let got = self.store.inner().get_opts(path, options).await;
        let got = got.map_err(|e| failed(&e))?;
        let length = got.range.end.saturating_sub(got.range.start);
        if length > FILE_BYTES_MAX {
            let at = self.shown(path);
            let what = format!("{at} is larger than {} MiB", FILE_BYTES_MAX >> 20);
            return Err(self.broken(SourceFault::new(FaultKind::Invalid, what)));
        }
        got.bytes().await.map_err(|e| failed(&e))
    }
}

/// The path of an address that we gave the library.
pub(super) fn path_of(address: &Url) -> KernelResult<Path> {
    Ok(Path::from_url_path(address.path())?)
}

/// An address for the library. Nothing but its path means anything.
pub(super) fn address_of(path: &Path, is_folder: bool) -> KernelResult<Url> {
    let mut address = Url::parse("scrim://table/")?;
    if let Ok(mut names) = address.path_segments_mut() {
        names.clear();
        names.extend(path.parts().map(|part| part.as_ref().to_owned()));
        if is_folder {
            names.push("");
        }
    }
    Ok(address)
}

fn described(meta: &ObjectMeta) -> KernelResult<FileMeta> {
    let location = address_of(&meta.location, false)?;
    let time = meta.last_modified.timestamp_millis();
    Ok(FileMeta::new(location, time, meta.size))
}

/// A stream for those who wait.
struct Waiting<T> {
    stream: BoxStream<'static, T>,
    runtime: Handle,
}

impl<T> Iterator for Waiting<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.runtime.block_on(self.stream.next())
    }
}

fn reads_only<T>() -> KernelResult<T> {
    Err(KernelError::unsupported("tables are only read here"))
}

impl Engine for LogEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::new(ArrowEvaluationHandler {})
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::new(Storage(Arc::clone(&self.io)))
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::new(Json(Arc::clone(&self.io)))
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::new(Parquet(Arc::clone(&self.io)))
    }
}

struct Storage(Arc<Io>);

impl StorageHandler for Storage {
    fn list_from(&self, address: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        let path = path_of(address)?;
        let files = if address.path().ends_with('/') {
            self.0.list(&path, None)?
        } else {
            let folder: Vec<_> = path.parts().collect();
            let folder = folder.split_last().map_or(&[][..], |(_, folder)| folder);
            let folder: Path = folder.iter().cloned().collect();
            self.0.list(&folder, Some(&path))?
        };
        Ok(Box::new(files.into_iter().map(|meta| described(&meta))))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        let io = Arc::clone(&self.0);
        Ok(Box::new(files.into_iter().map(move |(address, range)| {
            io.runtime.block_on(io.bytes(&path_of(&address)?, range))
        })))
    }

    fn head(&self, address: &Url) -> KernelResult<FileMeta> {
        described(&self.0.head(&path_of(address)?)?)
    }

    fn copy_atomic(&self, _: &Url, _: &Url) -> KernelResult<()> {
        reads_only()
    }

    fn put(&self, _: &Url, _: Bytes, _: bool) -> KernelResult<()> {
        reads_only()
    }

    fn delete(&self, _: &Url) -> KernelResult<()> {
        reads_only()
    }
}

/// The files' bytes, in their order; the next ones are on their way while one is worked on.
fn read_ahead(
    io: &Arc<Io>,
    files: &[FileMeta],
) -> impl Iterator<Item = KernelResult<(Url, Bytes)>> + Send + use<> {
    let reader = Arc::clone(io);
    let read = stream::iter(files.to_vec()).map(move |file| {
        let io = Arc::clone(&reader);
        async move {
            let bytes = io.bytes(&path_of(&file.location)?, None).await?;
            Ok((file.location, bytes))
        }
    });
    Waiting {
        stream: read.buffered(AT_ONCE).boxed(),
        runtime: io.runtime.clone(),
    }
}

/// The batches of files, one file after the other.
fn batches<I>(
    io: &Arc<Io>,
    files: &[FileMeta],
    mut read: impl FnMut(Url, Bytes) -> KernelResult<I> + Send + 'static,
) -> FileDataReadResultIterator
where
    I: Iterator<Item = KernelResult<ArrowEngineData>> + Send + 'static,
{
    let files = read_ahead(io, files).map(move |file| file.and_then(|(at, bytes)| read(at, bytes)));
    Box::new(files.flat_map(|batches| -> FileDataReadResultIterator {
        match batches {
            Ok(batches) => Box::new(batches.map(|batch| Ok(Box::new(batch?) as _))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }))
}

struct Json(Arc<Io>);

impl JsonHandler for Json {
    fn parse_json(
        &self,
        texts: Box<dyn EngineData>,
        schema: SchemaRef,
    ) -> KernelResult<Box<dyn EngineData>> {
        delta_kernel::engine::parse_json(texts, schema)
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let columns = Arc::new(json_arrow_schema(&schema)?);
        let order = Arc::new(build_json_reorder_indices(&schema)?);
        Ok(batches(&self.0, files, move |at, bytes| {
            let order = Arc::clone(&order);
            let reader = ReaderBuilder::new(Arc::clone(&columns))
                .with_coerce_primitive(true)
                .build(BufReader::new(Cursor::new(bytes)))?;
            Ok(reader.map(move |batch| fixup_json_read(batch?, &order, at.as_str())))
        }))
    }

    fn write_json_file(
        &self,
        _: &Url,
        _: KernelResultIterator<'_, FilteredEngineData>,
        _: bool,
    ) -> KernelResult<FileSize> {
        reads_only()
    }
}

struct Parquet(Arc<Io>);

impl ParquetHandler for Parquet {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        Ok(batches(&self.0, files, move |at, bytes| {
            let schema = Arc::clone(&schema);
            let footer = ArrowReaderMetadata::load(&bytes, reader_options())?;
            let (order, mask) = parquet_read_plan(&schema, &footer)?;
            let row_groups = footer.metadata().row_groups();
            let numbers = ordering_needs_row_indexes(&order);
            let numbers = numbers.then(|| RowIndexBuilder::new(row_groups).build());
            let mut numbers = numbers.transpose()?;
            let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, footer);
            if let Some(mask) = mask {
                reader = reader.with_projection(mask);
            }
            let reader = reader.build()?;
            Ok(reader.map(move |batch| {
                let (at, schema) = (Some(at.as_str()), Some(&schema));
                fixup_parquet_read(batch?, &order, numbers.as_mut(), at, schema)
            }))
        }))
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        let path = path_of(&file.location)?;
        let bytes = self.0.runtime.block_on(self.0.bytes(&path, None))?;
        let footer = ArrowReaderMetadata::load(&bytes, reader_options())?;
        let schema = StructType::try_from_arrow(footer.schema().as_ref())?;
        Ok(ParquetFooter {
            schema: Arc::new(schema),
        })
    }

    fn write_parquet_file(
        &self,
        _: Url,
        _: KernelResultIteratorStatic<Box<dyn EngineData>>,
    ) -> KernelResult<FileSize> {
        reads_only()
    }
}
