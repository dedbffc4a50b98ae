//! The files of a Delta table as those of any other: what its log names, found in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use scrim_engine::{FaultKind, SourceFault};
use tokio::sync::Mutex;

use super::columns::Column;
use super::log::{Log, LogFile, Version};
use crate::files::fault::fault;
use crate::files::listing::{DataFile, Listing};
use crate::files::store::Store;

/// Files that are looked for at once.
const AT_ONCE: usize = 16;
/// So many files are found faster by a list of the whole folder.
const LISTED_FROM: usize = 200;

/// The files of the version that is wanted, as they are now.
#[derive(Debug)]
pub(super) struct DeltaListing {
    log: Arc<Log>,
    store: Arc<Store>,
    root: Path,
    /// The columns as they were when the table was opened.
    columns: Vec<Column>,
    /// One reader of the log at a time: who waits for it has the same answer.
    known: Mutex<Option<Known>>,
    is_outdated: AtomicBool,
}

#[derive(Debug, Clone)]
struct Known {
    version: Arc<Version>,
    files: Arc<[DataFile]>,
}

impl DeltaListing {
    /// The files of a table that was opened with these of its columns.
    pub(super) fn new(log: Arc<Log>, store: Arc<Store>, root: Path, columns: Vec<Column>) -> Self {
        Self {
            log,
            store,
            root,
            columns,
            known: Mutex::default(),
            is_outdated: AtomicBool::new(false),
        }
    }

    async fn current(&self) -> Result<Known, SourceFault> {
        let mut known = self.known.lock().await;
        if self.is_outdated.swap(false, Ordering::Relaxed) {
            *known = None;
        }
        let before = known.as_ref().map(|known| Arc::clone(&known.version));
        let version = read(&self.log, before).await?;
        if let Some(known) = known
            .as_ref()
            .filter(|known| Arc::ptr_eq(&known.version, &version))
        {
            return Ok(known.clone());
        }
        self.check(&version)?;
        let before = known.as_ref().map(|known| Arc::clone(&known.files));
        let files = self
            .located(&version, before.as_deref().unwrap_or_default())
            .await?;
        let now = Known { version, files };
        *known = Some(now.clone());
        Ok(now)
    }

    /// Whether the columns still are what they were when the table was opened.
    fn check(&self, version: &Version) -> Result<(), SourceFault> {
        let changed = self
            .columns
            .iter()
            .find(|column| !version.columns.contains(column));
        let Some(column) = changed else {
            return Ok(());
        };
        let what = format!(
            "{}: column `{}` is another one than when the table was opened",
            self.store.shown(self.root.as_ref()),
            column.name
        );
        Err(SourceFault::new(FaultKind::Invalid, what))
    }

    /// The files with what tells each of them from another one in its place.
    async fn located(
        &self,
        version: &Version,
        before: &[DataFile],
    ) -> Result<Arc<[DataFile]>, SourceFault> {
        let mut metas: HashMap<Path, ObjectMeta> = before
            .iter()
            .map(|file| (file.meta.location.clone(), file.meta.clone()))
            .collect();
        let new = version
            .files
            .iter()
            .filter(|file| !metas.contains_key(&file.path));
        let new: Vec<Path> = new.map(|file| file.path.clone()).collect();
        let found = if new.len() < LISTED_FROM {
            self.look_at(new).await?
        } else {
            self.list().await?
        };
        metas.extend(found.into_iter().map(|meta| (meta.location.clone(), meta)));
        let files = version
            .files
            .iter()
            .map(|file| self.found(version, file, &metas));
        files.collect()
    }

    async fn look_at(&self, paths: Vec<Path>) -> Result<Vec<ObjectMeta>, SourceFault> {
        let look = |path: Path| async move {
            let meta = self.store.inner().head(&path).await;
            meta.map_err(|e| fault(&self.store.shown(path.as_ref()), &e))
        };
        let looks = stream::iter(paths).map(look).buffered(AT_ONCE);
        looks.try_collect().await
    }

    async fn list(&self) -> Result<Vec<ObjectMeta>, SourceFault> {
        let listed = self
            .store
            .inner()
            .list(Some(&self.root))
            .try_collect()
            .await;
        listed.map_err(|e| fault(&self.store.shown(self.root.as_ref()), &e))
    }

    fn found(
        &self,
        version: &Version,
        file: &LogFile,
        metas: &HashMap<Path, ObjectMeta>,
    ) -> Result<DataFile, SourceFault> {
        let changed = |what: &str| {
            let at = self.store.shown(file.path.as_ref());
            let number = version.number();
            let what = format!("{at}: a file of version {number} {what}");
            SourceFault::new(FaultKind::Changed, what)
        };
        let meta = metas.get(&file.path);
        let meta = meta.ok_or_else(|| changed("is not there; it may have been vacuumed"))?;
        if meta.size != file.size {
            return Err(changed("is not as long as the log says"));
        }
        Ok(DataFile {
            meta: meta.clone(),
            partition: file.partition.clone(),
            deleted: file.deleted.clone(),
        })
    }
}

/// Reads the log where waiting is allowed.
pub(super) async fn read(
    log: &Arc<Log>,
    before: Option<Arc<Version>>,
) -> Result<Arc<Version>, SourceFault> {
    let log = Arc::clone(log);
    let read = tokio::task::spawn_blocking(move || log.read(before)).await;
    read.unwrap_or_else(|_| {
        let what = "reading the log of a Delta table broke off";
        Err(SourceFault::new(FaultKind::Invalid, what))
    })
}

#[async_trait]
impl Listing for DeltaListing {
    async fn files(&self) -> Result<Arc<[DataFile]>, SourceFault> {
        Ok(self.current().await?.files)
    }

    async fn version(&self) -> Result<Option<String>, SourceFault> {
        Ok(Some(self.current().await?.version.text()))
    }

    fn outdated(&self) {
        self.is_outdated.store(true, Ordering::Relaxed);
    }
}
