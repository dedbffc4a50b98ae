//! A table over files.
//!
//! Each scan asks which files there are. A listing alone would take a missing file for an empty
//! table and a missing column for NULL; both would be wrong answers, so both are errors here. What
//! a scan reads is pinned to what was listed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use object_store::path::Path;
use scrim_engine::{FaultKind, RawTable, SourceFault, Versioned};

use super::columns::{Columns, Present};
use super::facts::Facts;
use super::footers::Footers;
use super::format::Format;
use super::json_columns;
use super::listing::{DataFile, Listing};
use super::pin::Pinned;
use super::rows::RowSource;
use super::store::Store;
use super::{parquet, prune};
use crate::{Opened, SourceError, Wanted};

/// Files that are looked at at once.
const LOOKS_AT_ONCE: usize = 16;

/// What a table is opened from.
#[derive(Debug, Clone)]
pub(crate) struct FileSet {
    /// Where its files lie.
    pub(crate) store: Arc<Store>,
    /// What knows them.
    pub(crate) listing: Arc<dyn Listing>,
    /// How they are written.
    pub(crate) format: Format,
    /// Footers that all tables share.
    pub(crate) footers: Arc<Footers>,
    /// Where they lie, as the owner writes it.
    pub(crate) shown: String,
}

/// A table over files.
#[derive(Debug)]
pub(crate) struct FilesTable {
    set: FileSet,
    columns: Columns,
    /// What was found in each file, until it is another one.
    looked: Mutex<HashMap<Path, Look>>,
    /// The listing that was found right last.
    right: Mutex<Option<Arc<[DataFile]>>>,
}

/// What was found in a file.
#[derive(Debug, Clone)]
struct Look {
    meta: ObjectMeta,
    present: Present,
    rows: Option<u64>,
}

/// A table over files that was opened.
#[derive(Debug)]
pub(crate) struct OpenedFiles {
    pub(crate) table: Arc<FilesTable>,
    /// Columns of the files that nobody wanted.
    pub(crate) extra: Vec<String>,
    /// How many rows the files say that they have.
    pub(crate) rows: Option<u64>,
}

impl From<OpenedFiles> for Opened {
    fn from(opened: OpenedFiles) -> Self {
        let shown = opened.table.set.shown.clone();
        Self {
            table: RawTable::versioned(opened.table, shown),
            extra: opened.extra,
            rows: opened.rows,
        }
    }
}

impl FilesTable {
    /// Opens the wanted columns of files.
    ///
    /// # Errors
    /// When a file cannot be read, or the files do not fit each other or what is wanted.
    pub(crate) async fn open(
        set: FileSet,
        files: Arc<[DataFile]>,
        wanted: &Wanted,
    ) -> Result<OpenedFiles, SourceError> {
        let failed = |fault: SourceFault| SourceError::fault(&set.shown, &fault);
        let unreadable = |cause: String| SourceError::Unreadable {
            at: set.shown.clone(),
            cause,
        };
        let inspected = set.inspect(files.iter().cloned(), true).try_collect().await;
        let mut facts: Vec<(DataFile, Facts)> = inspected.map_err(failed)?;
        if !set.format.is_named() {
            for (_, facts) in &mut facts {
                json_columns(facts, wanted).map_err(unreadable)?;
            }
        }
        let chosen = Columns::choose(wanted, &facts, set.format.is_typed(), &|f| set.file(f));
        let chosen = chosen.map_err(unreadable)?;
        let table = Self {
            columns: chosen.columns,
            looked: Mutex::default(),
            right: Mutex::default(),
            set,
        };
        let failed = |fault: SourceFault| SourceError::fault(&table.set.shown, &fault);
        for (file, facts) in facts {
            let look = table.look(&file, &facts).map_err(failed)?;
            table.lock_looked().insert(file.meta.location, look);
        }
        table.check(&files).await.map_err(failed)?;
        Ok(OpenedFiles {
            rows: table.rows(&files),
            extra: chosen.extra,
            table: Arc::new(table),
        })
    }

    fn look(&self, file: &DataFile, facts: &Facts) -> Result<Look, SourceFault> {
        let invalid = |what: String| {
            let what = format!("{}: {what}", self.set.file(file));
            SourceFault::new(FaultKind::Invalid, what)
        };
        Ok(Look {
            meta: file.meta.clone(),
            present: self.columns.present(facts).map_err(invalid)?,
            rows: facts.rows,
        })
    }

    /// Looks at the files that are new since the last time, and whether all of them together still
    /// are the table.
    async fn check(&self, files: &Arc<[DataFile]>) -> Result<(), SourceFault> {
        if self.lock_right().as_ref() == Some(files) {
            return Ok(());
        }
        if self.set.format.is_named() {
            self.look_at_new(files).await?;
        }
        let looked = self.lock_looked();
        let known = files.iter().filter_map(|file| {
            let look = looked.get(&file.meta.location)?;
            Some((file, &look.present))
        });
        let checked = self.columns.check(known, &|file| self.set.file(file));
        drop(looked);
        checked.map_err(|what| {
            let what = format!("{}: {what}", self.set.shown);
            SourceFault::new(FaultKind::Invalid, what)
        })?;
        *self.lock_right() = Some(Arc::clone(files));
        Ok(())
    }

    async fn look_at_new(&self, files: &Arc<[DataFile]>) -> Result<(), SourceFault> {
        let new: Vec<DataFile> = {
            let looked = self.lock_looked();
            let is_new = |file: &&DataFile| {
                let look = looked.get(&file.meta.location);
                look.is_none_or(|look| look.meta != file.meta)
            };
            files.iter().filter(is_new).cloned().collect()
        };
        let mut facts = self.set.inspect(new.into_iter(), false);
        let mut looks = Vec::new();
        while let Some((file, facts)) = facts.try_next().await? {
            looks.push((file.meta.location.clone(), self.look(&file, &facts)?));
        }
        let mut looked = self.lock_looked();
        looked.extend(looks);
        if looked.len() > files.len() {
            let there = |path: &Path| {
                let found = files.binary_search_by(|file| file.meta.location.cmp(path));
                found.is_ok()
            };
            looked.retain(|path, _| there(path));
        }
        Ok(())
    }

    /// The rows of all files, if each counts its own.
    fn rows(&self, files: &[DataFile]) -> Option<u64> {
        let looked = self.lock_looked();
        let rows = files
            .iter()
            .map(|file| looked.get(&file.meta.location)?.rows);
        rows.sum()
    }

    /// What the planner may know: how much there is, about. It puts the smaller side of a join into
    /// memory by it. Nothing is told of any column.
    fn statistics(&self, files: &[DataFile]) -> Statistics {
        let about = |count: u64| Precision::Inexact(usize::try_from(count).unwrap_or(usize::MAX));
        let bytes = files.iter().map(|file| file.meta.size).sum();
        let mut statistics = Statistics::new_unknown(self.columns.scanned().table_schema());
        statistics.total_byte_size = about(bytes);
        statistics.num_rows = self.rows(files).map_or(Precision::Absent, about);
        statistics
    }

    fn source(&self) -> Arc<dyn FileSource> {
        let schema = self.columns.scanned().clone();
        let FileSet {
            store,
            listing,
            footers,
            ..
        } = &self.set;
        match self.set.format {
            Format::Parquet => parquet::source(schema, store, listing, footers),
            Format::Rows(format) => Arc::new(RowSource::new(format, schema, store, listing)),
        }
    }

    /// The files that the filters leave, with the values of their folders.
    fn pruned(
        &self,
        session: &dyn Session,
        files: &[DataFile],
        filters: &[Expr],
    ) -> Result<Vec<(DataFile, Vec<ScalarValue>)>> {
        let folders = self.columns.scanned().table_partition_cols();
        let values = |file: &DataFile| {
            self.columns.folder_values(file).map_err(|what| {
                let what = format!("{}: {what}", self.set.file(file));
                SourceFault::new(FaultKind::Invalid, what)
            })
        };
        let values: Vec<_> = files
            .iter()
            .map(values)
            .collect::<Result<_, SourceFault>>()?;
        let filters = filters.iter();
        let exact: Vec<&Expr> = filters
            .filter(|filter| prune::is_of_folders(filter, folders))
            .collect();
        let kept = prune::kept(session, folders, &values, &exact)?;
        let files = files.iter().cloned().zip(values).zip(kept);
        Ok(files
            .filter_map(|(file, kept)| kept.then_some(file))
            .collect())
    }

    fn lock_looked(&self) -> std::sync::MutexGuard<'_, HashMap<Path, Look>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_right(&self) -> std::sync::MutexGuard<'_, Option<Arc<[DataFile]>>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSet {
    fn file(&self, file: &DataFile) -> String {
        self.store.shown(file.meta.location.as_ref())
    }

    /// What files tell of themselves, in their order.
    fn inspect<'a>(
        &'a self,
        files: impl Iterator<Item = DataFile> + Send + 'a,
        guess: bool,
    ) -> stream::BoxStream<'a, Result<(DataFile, Facts), SourceFault>> {
        let facts = move |file: DataFile| async move {
            let (store, listing) = (Arc::clone(&self.store), Arc::clone(&self.listing));
            let pinned = Pinned::new(store, file.meta.clone(), listing);
            let facts = self.format.inspect(&pinned, &self.footers, guess).await?;
            Ok((file, facts))
        };
        stream::iter(files)
            .map(facts)
            .buffered(LOOKS_AT_ONCE)
            .boxed()
    }
}

#[async_trait]
impl Versioned for FilesTable {
    /// Which files there are, how large, of what time.
    async fn version(&self, _: &dyn Session) -> Result<String> {
        let files = self.set.listing.files().await?;
        let lines = files.iter().map(|DataFile { meta, .. }| {
            let tag = meta.e_tag.as_deref().unwrap_or_default();
            let time = meta.last_modified.timestamp_nanos_opt().unwrap_or_default();
            format!("{} {} {time} {tag}", meta.location, meta.size)
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let folders = self.columns.scanned().table_partition_cols();
        let support = |filter: &&Expr| {
            if prune::is_of_folders(filter, folders) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.set.listing.files().await?;
        self.check(&files).await?;
        let pruned = self.pruned(session, &files, filters)?;
        let projection = self.columns.projection(projection);
        if pruned.is_empty() {
            let schema = self.columns.scanned().table_schema().project(&projection)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        let all: Vec<DataFile> = pruned.iter().map(|(file, _)| file.clone()).collect();
        let files = pruned.into_iter().map(|(file, values)| {
            PartitionedFile::new_from_meta(file.meta).with_partition_values(values)
        });
        let partitions = session.config().target_partitions();
        let groups = FileGroup::new(files.collect()).split_files(partitions);
        // Files are read by their own stores; the address only has to be one that is known.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), self.source())
            .with_file_groups(groups)
            .with_statistics(self.statistics(&all))
            .with_projection_indices(Some(projection))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
