//! The log of a Delta table: which files a version of it has.
//!
//! Everything here waits for the store, so it is called where waiting is allowed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::RecordBatch;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};
use delta_kernel::scan::state::{DvInfo, ScanFile};
use delta_kernel::scan::{ScanMetadata, StatsOptions};
use delta_kernel::{EngineData, KernelResult, Snapshot, SnapshotRef};
use object_store::ObjectMeta;
use object_store::path::Path;
use scrim_engine::{FaultKind, SourceFault};
use scrim_policy::TableVersion;
use tokio::runtime::Handle;
use url::Url;

use super::columns::{Column, columns, not_understood};
use super::engine::{LogEngine, address_of};
use super::failure::Failure;
use crate::files::hive::percent_decoded;
use crate::files::listing::Deleted;
use crate::files::store::Store;

/// Files of one version.
const FILES_MAX: usize = 100_000;
/// Rows that one file's deletion vector may delete; they are held while it is read.
const DELETED_MAX: u64 = 8 << 20;
/// Runs of deleted rows that are kept for one version.
const RUNS_MAX: usize = 16 << 20;

const LOG: &str = "_delta_log";

/// The log of a table.
pub(super) struct Log {
    engine: LogEngine,
    root: Path,
    address: Url,
    which: Which,
}

/// Which version is read.
enum Which {
    Latest,
    Number(u64),
    /// The one that was current then, in milliseconds since 1970.
    AsOf(i64),
}

/// A version of the table.
pub(super) struct Version {
    snapshot: SnapshotRef,
    /// The newest one when this was read; none if it is this one for ever.
    newest: Option<Newest>,
    /// What the log says of the files, for reading later versions.
    rows: Vec<RecordBatch>,
    /// Its files, in the order of their paths.
    pub(super) files: Vec<LogFile>,
    /// Its columns.
    pub(super) columns: Vec<Column>,
}

#[derive(Clone)]
struct Newest {
    snapshot: SnapshotRef,
    /// Its commit, by which another table in the same folder is told.
    commit: ObjectMeta,
}

/// A file of a version.
pub(super) struct LogFile {
    pub(super) path: Path,
    pub(super) size: u64,
    /// Columns whose value is the same in all its rows, by their physical names.
    pub(super) partition: Vec<(String, Option<String>)>,
    vector: DvInfo,
    /// Rows of it that the version does not have.
    pub(super) deleted: Option<Deleted>,
}

/// What the log says of a version's files, as the library has it and as we do.
#[derive(Default)]
struct Scanned {
    rows: Vec<RecordBatch>,
    files: Vec<ScanFile>,
}

/// What happened since a version was read.
enum Since {
    Nothing,
    Commits,
    /// It is another table by now.
    Another,
}

impl Version {
    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.snapshot.version()
    }

    /// A text that differs when it is another version.
    pub(super) fn text(&self) -> String {
        let commit = self.newest.as_ref().map(|newest| &newest.commit);
        let commit = commit.map(|meta| (meta.size, meta.last_modified, &meta.e_tag));
        format!("{} {commit:?}", self.number())
    }
}

impl Log {
    /// The log of the table in a folder.
    ///
    /// # Errors
    /// When the wanted version is not written as one.
    pub(super) fn new(
        store: Arc<Store>,
        root: Path,
        which: &TableVersion,
        runtime: Handle,
    ) -> Result<Self, String> {
        let which = match which {
            TableVersion::Latest => Which::Latest,
            TableVersion::Number(number) => Which::Number(*number),
            TableVersion::AsOf(text) => {
                let time = DateTime::parse_from_rfc3339(text);
                let time = time.map_err(|_| "write `asOf` like 2026-03-02T10:00:00Z".to_owned())?;
                Which::AsOf(time.timestamp_millis())
            }
        };
        Ok(Self {
            engine: LogEngine::new(store, runtime),
            address: address_of(&root, true).map_err(|error| error.to_string())?,
            root,
            which,
        })
    }

    /// The folder of the log itself.
    pub(super) fn folder(&self) -> Path {
        self.root.clone().join(LOG)
    }

    /// Reads the version that is wanted now. What was read before is the start of it, and is the
    /// answer if nothing has happened since.
    ///
    /// # Errors
    /// When the log cannot be read, or something in it is not understood.
    pub(super) fn read(&self, before: Option<Arc<Version>>) -> Result<Arc<Version>, SourceFault> {
        // What failed before was told before.
        drop(self.engine.io().take_fault());
        let at = self.engine.io().shown(&self.root);
        self.attempt(before).map_err(|failure| match failure {
            Failure::Fault(fault) => fault,
            Failure::Kernel(error) => match self.engine.io().take_fault() {
                Some(fault) => fault,
                None => super::failure::fault(&at, &error),
            },
        })
    }

    fn attempt(&self, before: Option<Arc<Version>>) -> Result<Arc<Version>, Failure> {
        let kept = match before {
            None => None,
            Some(version) => match &version.newest {
                None => return Ok(version),
                Some(newest) => match self.since(newest)? {
                    Since::Nothing => return Ok(version),
                    Since::Commits => Some(version),
                    Since::Another => None,
                },
            },
        };
        let (snapshot, newest) = self.snapshot(kept.as_deref())?;
        if let Some(why) = not_understood(&snapshot) {
            return Err(self.invalid(&why).into());
        }
        let Scanned { rows, files } = self.scan(&snapshot, kept.as_deref())?;
        let files = self.files(files, kept.as_deref())?;
        let columns = columns(&snapshot);
        Ok(Arc::new(Version {
            snapshot,
            newest,
            rows,
            files,
            columns,
        }))
    }

    fn invalid(&self, what: &str) -> SourceFault {
        let at = self.engine.io().shown(&self.root);
        SourceFault::new(FaultKind::Invalid, format!("{at}: {what}"))
    }

    /// The wanted version and the newest one.
    fn snapshot(&self, kept: Option<&Version>) -> Result<(SnapshotRef, Option<Newest>), Failure> {
        let at = |number| {
            Snapshot::builder_for(&self.address)
                .at_version(number)
                .build(&self.engine)
        };
        if let Which::Number(number) = self.which {
            return Ok((at(number)?, None));
        }
        let newest = match kept.and_then(|kept| kept.newest.as_ref()) {
            Some(newest) => {
                let before = Arc::clone(&newest.snapshot);
                Snapshot::builder_from(before).build(&self.engine)?
            }
            None => Snapshot::builder_for(&self.address).build(&self.engine)?,
        };
        let snapshot = match self.which {
            Which::Latest | Which::Number(_) => Arc::clone(&newest),
            Which::AsOf(time) => {
                let found = HistoryCommitType::Recreatable;
                let number = latest_version_as_of(&newest, &self.engine, time, found)?.version;
                match kept {
                    _ if number == newest.version() => Arc::clone(&newest),
                    Some(kept) if number == kept.number() => Arc::clone(&kept.snapshot),
                    _ => at(number)?,
                }
            }
        };
        let commits = self.commits(newest.version())?;
        let commit = commits.into_iter().next().ok_or_else(|| {
            let what = format!("the commit of version {} is gone", newest.version());
            self.invalid(&what)
        })?;
        let newest = Newest {
            snapshot: newest,
            commit,
        };
        Ok((snapshot, Some(newest)))
    }

    fn since(&self, newest: &Newest) -> KernelResult<Since> {
        let commits = self.commits(newest.snapshot.version())?;
        let mut commits = commits.iter();
        Ok(match (commits.next(), commits.next()) {
            (Some(commit), None) if *commit == newest.commit => Since::Nothing,
            (Some(commit), Some(_)) if *commit == newest.commit => Since::Commits,
            _ => Since::Another,
        })
    }

    /// The commits from a version on.
    fn commits(&self, from: u64) -> KernelResult<Vec<ObjectMeta>> {
        let folder = self.folder();
        // Just before the commit itself.
        let before = folder.clone().join(format!("{from:020}."));
        let mut files = self.engine.io().list(&folder, Some(&before))?;
        files.retain(|file| file.location.filename().is_some_and(is_commit));
        let is_first = |file: &ObjectMeta| {
            let name = file.location.filename();
            name.is_some_and(|name| name == format!("{from:020}.json"))
        };
        if !files.first().is_some_and(is_first) {
            files.clear();
        }
        Ok(files)
    }

    /// What the log says of the files of a version.
    fn scan(&self, snapshot: &SnapshotRef, kept: Option<&Version>) -> Result<Scanned, Failure> {
        let scan = Arc::clone(snapshot).scan_builder();
        let scan = scan
            .without_row_transforms()
            .with_stats(StatsOptions::none())
            .build()?;
        match kept.filter(|kept| kept.number() <= snapshot.version()) {
            Some(kept) => {
                let batch = |rows: &RecordBatch| -> Box<dyn EngineData> {
                    Box::new(ArrowEngineData::new(rows.clone()))
                };
                let rows: Vec<_> = kept.rows.iter().map(batch).collect();
                self.gather(scan.scan_metadata_from(&self.engine, kept.number(), rows, None)?)
            }
            None => self.gather(scan.scan_metadata(&self.engine)?),
        }
    }

    fn gather(
        &self,
        found: impl Iterator<Item = KernelResult<ScanMetadata>>,
    ) -> Result<Scanned, Failure> {
        let mut scanned = Scanned::default();
        for found in found {
            let found = found?;
            scanned.files = found.visit_scan_files(scanned.files, Vec::push)?;
            if scanned.files.len() > FILES_MAX {
                let what = format!("the table has more than {FILES_MAX} files");
                return Err(self.invalid(&what).into());
            }
            let live = found.scan_files.apply_selection_vector()?;
            let live = ArrowEngineData::try_from_engine_data(live)?;
            scanned.rows.push(live.record_batch().clone());
        }
        Ok(scanned)
    }

    fn files(
        &self,
        scanned: Vec<ScanFile>,
        kept: Option<&Version>,
    ) -> Result<Vec<LogFile>, Failure> {
        let known: HashMap<&Path, &LogFile> = kept
            .iter()
            .flat_map(|kept| &kept.files)
            .map(|file| (&file.path, file))
            .collect();
        let mut runs = 0;
        let mut files = Vec::with_capacity(scanned.len());
        for file in scanned {
            let path = self.path(&file.path)?;
            let before = known
                .get(&path)
                .filter(|before| before.vector == file.dv_info);
            let deleted = match before {
                Some(before) => before.deleted.clone(),
                None => self.deleted(&path, &file.dv_info)?,
            };
            runs += deleted.as_ref().map_or(0, Deleted::runs);
            if runs > RUNS_MAX {
                let what =
                    "too many rows are deleted by deletion vectors; run OPTIMIZE on the table";
                return Err(self.invalid(what).into());
            }
            // The standard takes no text for no value.
            let value = |value: String| Some(value).filter(|value| !value.is_empty());
            let partition = file.partition_values.into_iter();
            let mut partition: Vec<_> = partition.map(|(name, text)| (name, value(text))).collect();
            partition.sort();
            files.push(LogFile {
                size: u64::try_from(file.size).unwrap_or_default(),
                path,
                partition,
                vector: file.dv_info,
                deleted,
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let twice = files
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.path == b.path));
        if twice {
            return Err(self.invalid("a file stands in the log twice").into());
        }
        Ok(files)
    }

    /// The path of a file that the log names. One that lies elsewhere belongs to another table,
    /// whose owner nobody has asked.
    fn path(&self, logged: &str) -> Result<Path, Failure> {
        let elsewhere = || self.invalid("a file of the table lies outside its folder");
        let decoded = percent_decoded(logged).ok_or_else(elsewhere)?;
        if logged.contains("://") || logged.starts_with('/') {
            return Err(elsewhere().into());
        }
        let path = Path::parse(format!("{}/{decoded}", self.root)).map_err(|_| elsewhere())?;
        Ok(path)
    }

    fn deleted(&self, path: &Path, vector: &DvInfo) -> Result<Option<Deleted>, Failure> {
        match vector.cardinality()? {
            None | Some(0) => Ok(None),
            Some(rows) if rows > DELETED_MAX => {
                let at = self.engine.io().shown(path);
                let what = format!("{at} has {rows} deleted rows; run OPTIMIZE on the table");
                Err(SourceFault::new(FaultKind::Invalid, what).into())
            }
            Some(rows) => {
                let numbers = vector.get_row_indexes(&self.engine, &self.address)?;
                let numbers = numbers.unwrap_or_default();
                if numbers.len() as u64 != rows {
                    let at = self.engine.io().shown(path);
                    let what =
                        format!("the deletion vector of {at} is not as long as the log says");
                    return Err(SourceFault::new(FaultKind::Invalid, what).into());
                }
                Ok(Some(Deleted::new(numbers)))
            }
        }
    }
}

/// `00000000000000000007.json`.
fn is_commit(name: &str) -> bool {
    let number = name.strip_suffix(".json");
    number.is_some_and(|number| number.len() == 20 && number.bytes().all(|c| c.is_ascii_digit()))
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.root.as_ref()).finish()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Version").field(&self.number()).finish()
    }
}
