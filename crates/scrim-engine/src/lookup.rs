//! Look-up tables: tables that only row rules may ask. Each is read whole and kept in memory, and
//! read again when it is too old.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use scrim_model::Clock;
use tokio::sync::Mutex;

use crate::fault::{self, FaultKind, SourceFault};
use crate::raw::RawTable;
use crate::sessions::Vault;
use crate::world::World;

/// Rows that a look-up table may have.
pub(crate) const ROWS_MAX: usize = 5_000_000;

/// Bytes that a look-up table may take in memory.
pub(crate) const BYTES_MAX: usize = 256 << 20;

/// A table that only row rules may ask. What it holds is read whole, so that every rule of a query
/// sees it in one state and small ones can be written into the rules as literals.
pub struct LookupTable {
    raw: RawTable,
    refresh: Option<Duration>,
    kept: Mutex<Kept>,
    /// Looks at the source that have ended.
    ended: AtomicU64,
}

/// What the last look at the source gave.
#[derive(Default)]
struct Kept {
    snapshot: Option<Arc<Snapshot>>,
    /// When the source was last known to hold what the snapshot does.
    as_of: DateTime<Utc>,
    fault: Option<SourceFault>,
}

/// What a look-up table held at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Differs between the snapshots of one look-up table.
    pub(crate) id: u64,
    version: String,
    table: MemTable,
    _memory: MemoryReservation,
}

impl LookupTable {
    /// A look-up table that is served for as long as `refresh` after it was read. Without an age,
    /// a source that has versions is read when they change, and any other once.
    pub fn new(raw: RawTable, refresh: Option<Duration>) -> Self {
        Self {
            raw,
            refresh,
            kept: Mutex::default(),
            ended: AtomicU64::default(),
        }
    }

    /// The source's real schema.
    pub fn schema(&self) -> SchemaRef {
        self.raw.schema()
    }

    /// What the table holds, no older than it may be. While one reads the source, all others wait
    /// for what it finds.
    ///
    /// # Errors
    /// A [`SourceFault`] when the source has to be read and cannot be.
    async fn snapshot(&self, vault: &Vault, clock: &dyn Clock) -> Result<Arc<Snapshot>> {
        let before = self.ended.load(Ordering::Acquire);
        let mut kept = self.kept.lock().await;
        let now = clock.now();
        if let Some(young) = self.young(&kept, now) {
            return Ok(young);
        }
        let waited_for = self.ended.load(Ordering::Acquire) - before;
        if let (1.., Some(fault)) = (waited_for, &kept.fault) {
            return Err(fault.clone().into());
        }
        // The first look may have begun before this one was asked for; the second did not.
        if let (2.., Some(snapshot)) = (waited_for, &kept.snapshot) {
            return Ok(Arc::clone(snapshot));
        }
        let found = self.look(kept.snapshot.as_ref(), vault).await;
        self.ended.fetch_add(1, Ordering::Release);
        match found {
            Ok(snapshot) => {
                *kept = Kept {
                    snapshot: Some(Arc::clone(&snapshot)),
                    as_of: now,
                    fault: None,
                };
                Ok(snapshot)
            }
            Err(error) => {
                let detail = format!("the look-up table at {}: {error}", self.raw.location());
                let fault = SourceFault::new(fault::kind_of(&error), detail);
                kept.fault = Some(fault.clone());
                Err(fault.into())
            }
        }
    }

    /// The snapshot, if it can be served without a look at the source.
    fn young(&self, kept: &Kept, now: DateTime<Utc>) -> Option<Arc<Snapshot>> {
        let young = match self.refresh {
            // A clock that was set back makes an age negative, which is no age at all.
            Some(refresh) => (now - kept.as_of).to_std().is_ok_and(|age| age < refresh),
            None => !self.raw.is_versioned(),
        };
        kept.snapshot.as_ref().filter(|_| young).map(Arc::clone)
    }

    /// The snapshot that was kept if the source still holds it, else a new one.
    async fn look(&self, kept: Option<&Arc<Snapshot>>, vault: &Vault) -> Result<Arc<Snapshot>> {
        // Asked for before the rows: if the source changes meanwhile, the next look reads it again.
        let version = self.raw.version(&vault.session).await?;
        if let Some(kept) = kept
            && self.raw.is_versioned()
            && kept.version == version
        {
            return Ok(Arc::clone(kept));
        }
        let id = kept.map_or(0, |kept| kept.id + 1);
        Ok(Arc::new(self.read(id, version, vault).await?))
    }

    async fn read(&self, id: u64, version: String, vault: &Vault) -> Result<Snapshot> {
        let provider = self.raw.unseal();
        let plan = provider.scan(&vault.session, None, &[], None).await?;
        let schema = plan.schema();
        let memory = MemoryConsumer::new("look-up table").register(vault.task.memory_pool());
        let mut stream = execute_stream(plan, Arc::clone(&vault.task))?;
        let (mut batches, mut rows) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows();
            memory.try_grow(batch.get_array_memory_size())?;
            if rows > ROWS_MAX || memory.size() > BYTES_MAX {
                return Err(too_large());
            }
            batches.push(batch);
        }
        Ok(Snapshot {
            id,
            version,
            table: MemTable::try_new(schema, vec![batches])?,
            _memory: memory,
        })
    }
}

fn too_large() -> DataFusionError {
    let mib = BYTES_MAX >> 20;
    let detail = format!(
        "it is kept in memory and may have {ROWS_MAX} rows and {mib} MiB; leave out of it what no \
         rule asks"
    );
    SourceFault::new(FaultKind::Invalid, detail).into()
}

impl fmt::Debug for LookupTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupTable")
            .field("raw", &self.raw)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Snapshot {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.table.scan(session, projection, filters, limit).await
    }
}

/// The look-up tables as one query sees them: each in one state, however many of its tables have
/// rules that ask it.
pub(crate) struct Lookups<'a> {
    world: &'a World,
    vault: &'a Vault,
    clock: &'a dyn Clock,
    seen: BTreeMap<String, Arc<Snapshot>>,
}

impl<'a> Lookups<'a> {
    pub(crate) fn new(world: &'a World, vault: &'a Vault, clock: &'a dyn Clock) -> Self {
        Self {
            world,
            vault,
            clock,
            seen: BTreeMap::new(),
        }
    }

    /// A look-up table by its name.
    ///
    /// # Errors
    /// When the world lacks it, or its source has to be read and cannot be.
    pub(crate) async fn get(&mut self, name: &str) -> Result<Arc<Snapshot>> {
        if let Some(seen) = self.seen.get(name) {
            return Ok(Arc::clone(seen));
        }
        let lookup =
            self.world.lookups.get(name).ok_or_else(|| {
                internal_datafusion_err!("the world lacks the look-up table {name}")
            })?;
        let snapshot = Box::pin(lookup.snapshot(self.vault, self.clock)).await?;
        self.seen.insert(name.to_owned(), Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Whether these snapshots are the ones that the query sees.
    ///
    /// # Errors
    /// When a source has to be read and cannot be.
    pub(crate) async fn are(&mut self, ids: &BTreeMap<String, u64>) -> Result<bool> {
        for (name, id) in ids {
            if self.get(name).await?.id != *id {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
