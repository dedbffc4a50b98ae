//! Which files a table has.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use scrim_engine::{FaultKind, SourceFault};

use super::fault::{fault, is_missing};
use super::glob::{Pattern, is_pattern};
use super::hive::partition;
use super::place::{Bucket, Place};
use super::store::Store;
use crate::SourceError;

/// Files that one table may have.
const FILES_MAX: usize = 100_000;

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// The file as it was when it was listed; reads are pinned to it.
    pub(crate) meta: ObjectMeta,
    /// Columns that all rows of the file have the same value of, and that are not in it.
    pub(crate) partition: Vec<(String, Option<String>)>,
    /// Rows of it that the table does not have.
    pub(crate) deleted: Option<Deleted>,
}

/// Rows of a file that its table does not have: runs of their numbers, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deleted(Arc<[Range<u64>]>);

impl Deleted {
    /// The rows of these numbers.
    pub(crate) fn new(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        let mut runs: Vec<Range<u64>> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some(run) if run.end == number => run.end += 1,
                Some(run) if run.end > number => {}
                _ => runs.push(number..number.saturating_add(1)),
            }
        }
        Self(runs.into())
    }

    /// In how many runs they lie.
    pub(crate) fn runs(&self) -> usize {
        self.0.len()
    }

    /// The other rows of a file of that many; none if it has not as many.
    pub(super) fn others(&self, rows: u64) -> Option<RowSelection> {
        let mut selectors = Vec::with_capacity(self.0.len() * 2 + 1);
        let mut at = 0;
        let length = |from: u64, to: u64| usize::try_from(to - from).ok();
        for run in &*self.0 {
            selectors.push(RowSelector::select(length(at, run.start)?));
            selectors.push(RowSelector::skip(length(run.start, run.end)?));
            at = run.end;
        }
        selectors.push(RowSelector::select(length(at, rows.max(at))?));
        (at <= rows).then(|| selectors.into())
    }
}

/// What knows the files of a table.
#[async_trait]
pub(crate) trait Listing: fmt::Debug + Send + Sync {
    /// The files as they are now, in the order of their paths; there is at least one.
    async fn files(&self) -> Result<Arc<[DataFile]>, SourceFault>;

    /// A text that differs when it is another version of the table; none if the files tell.
    async fn version(&self) -> Result<Option<String>, SourceFault> {
        Ok(None)
    }

    /// A listed file turned out to be another one by now: what is kept must not be used again.
    fn outdated(&self) {}
}

/// A file, or the files of a folder or pattern.
#[derive(Debug)]
pub(super) struct Found {
    store: Arc<Store>,
    shape: Shape,
    shown: String,
    /// How old a listing may be.
    age: Duration,
    kept: Mutex<Option<(Instant, Arc<[DataFile]>)>>,
}

#[derive(Debug)]
enum Shape {
    File(Path),
    Below {
        root: Path,
        pattern: Option<Pattern>,
        /// What names end in; none if the pattern says it.
        extensions: Option<&'static [&'static str]>,
    },
}

impl Found {
    /// Looks what is at a place: a file, a folder, or a pattern's files.
    ///
    /// # Errors
    /// When there is nothing, or the store cannot be asked.
    pub(super) async fn at(
        place: &Place,
        store: Arc<Store>,
        extensions: &'static [&'static str],
        age: Duration,
    ) -> Result<Self, SourceError> {
        let shape = shape(place, &store, extensions).await?;
        Ok(Self {
            // A folder of this machine is listed faster than it could become outdated.
            age: if store.is_local() {
                Duration::ZERO
            } else {
                age
            },
            store,
            shape,
            shown: place.shown.clone(),
            kept: Mutex::default(),
        })
    }

    /// The files when the table is opened.
    ///
    /// # Errors
    /// When there is none, or the store cannot be asked.
    pub(super) async fn first(&self) -> Result<Arc<[DataFile]>, SourceError> {
        let listed = async {
            let files = self.list().await?;
            if files.is_empty() {
                return Ok(None);
            }
            self.checked(files).map(Some)
        };
        match listed.await {
            Ok(Some(files)) => Ok(files.into()),
            Ok(None) => Err(SourceError::Missing(self.shown.clone())),
            Err(fault) => Err(SourceError::fault(&self.shown, &fault)),
        }
    }

    async fn list(&self) -> Result<Vec<DataFile>, SourceFault> {
        let (root, pattern, extensions) = match &self.shape {
            Shape::File(path) => {
                let meta = self.store.inner().head(path).await;
                let meta = meta.map_err(|e| self.missing_or(&e))?;
                let partition = Vec::new();
                return Ok(vec![DataFile {
                    meta,
                    partition,
                    deleted: None,
                }]);
            }
            Shape::Below {
                root,
                pattern,
                extensions,
            } => (root, pattern.as_ref(), *extensions),
        };
        let prefix = Some(root).filter(|root| !root.is_root());
        let mut listed = self.store.inner().list(prefix);
        let mut files = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(|e| self.missing_or(&e))? {
            let Some(names) = names_below(root, &meta.location) else {
                continue;
            };
            let ends = |ends: &[&str]| {
                let name = names.last().map(|name| name.to_ascii_lowercase());
                name.is_some_and(|name| ends.iter().any(|end| name.ends_with(end)))
            };
            let wanted = !names.iter().any(|name| is_hidden(name))
                && pattern.is_none_or(|pattern| pattern.matches(&names))
                && extensions.is_none_or(ends);
            if !wanted {
                continue;
            }
            if files.len() >= FILES_MAX {
                let what = format!("{} has more than {FILES_MAX} files", self.shown);
                return Err(SourceFault::new(FaultKind::Invalid, what));
            }
            let folders = names.split_last().map_or(&[][..], |(_, folders)| folders);
            let partition = partition(folders).map_err(|cause| {
                let at = self.store.shown(meta.location.as_ref());
                SourceFault::new(FaultKind::Invalid, format!("{at}: {cause}"))
            })?;
            files.push(DataFile {
                meta,
                partition,
                deleted: None,
            });
        }
        // Stores do not promise an order, and parts of results need one.
        files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        Ok(files)
    }

    fn checked(&self, files: Vec<DataFile>) -> Result<Vec<DataFile>, SourceFault> {
        if files.is_empty() {
            let what = format!("there is no file at {} any more", self.shown);
            return Err(SourceFault::new(FaultKind::Unavailable, what));
        }
        // A version that has neither tag nor time cannot be told from the next one.
        let unknown = |file: &&DataFile| {
            file.meta.e_tag.is_none() && file.meta.last_modified.timestamp_millis() == 0
        };
        if let Some(file) = files.iter().find(unknown) {
            let at = self.store.shown(file.meta.location.as_ref());
            let what = format!("{at}: the server tells neither a tag nor a time of the file");
            return Err(SourceFault::new(FaultKind::Unavailable, what));
        }
        Ok(files)
    }

    fn missing_or(&self, error: &object_store::Error) -> SourceFault {
        if is_missing(error) {
            let what = format!("there is no file at {} any more", self.shown);
            return SourceFault::new(FaultKind::Unavailable, what);
        }
        fault(&self.shown, error)
    }

    fn kept(&self) -> Option<Arc<[DataFile]>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, files) = kept.as_ref()?;
        (then.elapsed() < self.age).then(|| Arc::clone(files))
    }

    fn keep(&self, value: Option<(Instant, Arc<[DataFile]>)>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

#[async_trait]
impl Listing for Found {
    async fn files(&self) -> Result<Arc<[DataFile]>, SourceFault> {
        if let Some(files) = self.kept() {
            return Ok(files);
        }
        // The time from before the question: a file that comes meanwhile may be missing.
        let asked = Instant::now();
        let files: Arc<[DataFile]> = self.checked(self.list().await?)?.into();
        if !self.age.is_zero() {
            self.keep(Some((asked, Arc::clone(&files))));
        }
        Ok(files)
    }

    fn outdated(&self) {
        self.keep(None);
    }
}

/// The folder that a place is, which must be no pattern and no web server.
pub(super) fn folder(place: &Place) -> Result<Path, SourceError> {
    let unreadable = |cause: String| SourceError::Unreadable {
        at: place.shown.clone(),
        cause,
    };
    if matches!(place.bucket, Bucket::Http { .. }) || is_pattern(&place.path) {
        let cause = "a Delta table is a folder of this machine or of an object store";
        return Err(unreadable(cause.to_owned()));
    }
    Path::parse(&place.path).map_err(|e| unreadable(e.to_string()))
}

async fn shape(
    place: &Place,
    store: &Store,
    extensions: &'static [&'static str],
) -> Result<Shape, SourceError> {
    let unreadable = |cause: String| SourceError::Unreadable {
        at: place.shown.clone(),
        cause,
    };
    let parsed = |path: &str| Path::parse(path).map_err(|e| unreadable(e.to_string()));
    let missing = || SourceError::Missing(place.shown.clone());
    let below = |root: Path, pattern: Option<Pattern>| {
        let named = pattern.as_ref().is_some_and(|pattern| !pattern.is_open());
        Shape::Below {
            root,
            pattern,
            extensions: (!named).then_some(extensions),
        }
    };
    let has_pattern = is_pattern(&place.path);
    if matches!(place.bucket, Bucket::Http { .. }) {
        if has_pattern || place.path.ends_with('/') || place.path.is_empty() {
            let cause = "a web server has no folders and patterns; name one file";
            return Err(unreadable(cause.to_owned()));
        }
    } else if has_pattern {
        let names: Vec<&str> = place.path.trim_matches('/').split('/').collect();
        let first = names.iter().position(|name| is_pattern(name)).unwrap_or(0);
        let (fixed, pattern) = names.split_at(first);
        let pattern = Pattern::new(pattern.iter().copied());
        return Ok(below(parsed(&fixed.join("/"))?, Some(pattern)));
    }
    let path = parsed(&place.path)?;
    if store.is_local() {
        let metadata = tokio::fs::metadata(&place.shown).await;
        let metadata = metadata.map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => unreadable(e.to_string()),
        })?;
        return Ok(if metadata.is_dir() {
            below(path, None)
        } else {
            Shape::File(path)
        });
    }
    if place.path.is_empty() || place.path.ends_with('/') {
        return Ok(below(path, None));
    }
    match store.inner().head(&path).await {
        Ok(_) => Ok(Shape::File(path)),
        Err(e) if is_missing(&e) && matches!(place.bucket, Bucket::Http { .. }) => Err(missing()),
        Err(e) if is_missing(&e) => Ok(below(path, None)),
        Err(e) => Err(SourceError::fault(&place.shown, &fault(&place.shown, &e))),
    }
}

/// The names of a path below a root; none if it is the root itself.
fn names_below<'a>(root: &Path, path: &'a Path) -> Option<Vec<&'a str>> {
    let below = if root.is_root() {
        path.as_ref()
    } else {
        path.as_ref()
            .strip_prefix(root.as_ref())?
            .strip_prefix('/')?
    };
    (!below.is_empty()).then(|| below.split('/').collect())
}

/// Names that tools give to what is not data; a folder of a column may start with an underscore.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}
