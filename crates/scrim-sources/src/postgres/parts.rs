//! Large tables, read by several connections at once.
//!
//! PostgreSQL copies a table out on one core. A large table that has to be read from end to end is
//! cut into ranges of pages instead, which several connections take one after the other. All of them
//! see one snapshot, so together they read what one would have read.
//!
//! The first connection waits for its turn like any other. The others are only taken if they are
//! free, so nobody holds one and waits for another; without them, the first reads all ranges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::ToSql;

use super::connect::Lease;
use super::copy::Copy;
use super::failure::Failure;
use super::scan::{Batches, Scan};
use super::sql::literal;

/// A name for the snapshot, and how many pages the table has.
const SNAPSHOT: &str = "\
SELECT pg_catalog.pg_export_snapshot(),
       pg_catalog.pg_relation_size($1::text::pg_catalog.regclass)
           / pg_catalog.current_setting('block_size')::bigint";

/// Whether a scan may be worth several readers: a limit is soon reached by one.
pub(super) fn may_pay(scan: &Scan) -> bool {
    scan.limit.is_none() && scan.readers > 1 && scan.table.pages > scan.part_pages
}

/// The rows of a scan, by as many readers as are worth it.
pub(super) async fn read(scan: Arc<Scan>) -> Result<Batches, DataFusionError> {
    let read = try_read(Arc::clone(&scan)).await;
    read.map_err(|failure| scan.fault(failure))
}

async fn try_read(scan: Arc<Scan>) -> Result<Batches, Failure> {
    let explain = format!("EXPLAIN (FORMAT JSON) {}", scan.rows(None).select());
    let begin = format!("{}; {explain}", scan.table.hold_still());
    let held = scan.hold(&begin).await?;
    if !reads_all(&held.answer) {
        return scan.batches_of(held).await;
    }
    let ranges = Arc::new(Ranges::new(&scan, &held.lease).await?);
    let others = u64::try_from(scan.readers).unwrap_or(u64::MAX);
    let others = others.min(ranges.count).saturating_sub(1);
    let reader = |progress| {
        let reader = Reader {
            scan: Arc::clone(&scan),
            ranges: Arc::clone(&ranges),
            progress,
        };
        stream::try_unfold(reader, Reader::step).boxed()
    };
    let first = reader(Progress::Between(held.lease));
    let others = (0..others).map(|_| reader(Progress::Before));
    Ok(stream::select_all(std::iter::once(first).chain(others)).boxed())
}

/// Ranges of a table's pages, and which of them nobody has taken.
struct Ranges {
    snapshot: String,
    count: u64,
    pages: u64,
    next: AtomicU64,
    drained: Notify,
}

impl Ranges {
    /// Cuts the table as a transaction sees it, and lets others see what it sees.
    async fn new(scan: &Scan, lease: &Lease) -> Result<Self, Failure> {
        let client = lease.client()?;
        let of: [&(dyn ToSql + Sync); 1] = [&scan.table.quoted];
        let snapshot = scan
            .in_time(client.query_one(SNAPSHOT, &of))
            .await?
            .map_err(|e| scan.failed(&e))?;
        let pages: i64 = snapshot.try_get(1).map_err(|e| scan.failed(&e))?;
        let pages = u64::try_from(pages).unwrap_or(0);
        Ok(Self {
            snapshot: snapshot.try_get(0).map_err(|e| scan.failed(&e))?,
            count: pages.div_ceil(scan.part_pages.max(1)).max(1),
            pages: scan.part_pages,
            next: AtomicU64::new(0),
            drained: Notify::new(),
        })
    }

    /// The next range as a condition. The first has no beginning and the last no end.
    fn take(&self) -> Option<Option<String>> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.count {
            self.drained.notify_waiters();
            return None;
        }
        let place = |index: u64| format!("'({},0)'::pg_catalog.tid", index * self.pages);
        let from = (index > 0).then(|| format!("ctid >= {}", place(index)));
        let to = (index + 1 < self.count).then(|| format!("ctid < {}", place(index + 1)));
        let both: Vec<_> = from.into_iter().chain(to).collect();
        Some((!both.is_empty()).then(|| both.join(" AND ")))
    }

    fn is_drained(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.count
    }
}

/// Whether PostgreSQL would read the table from end to end on one core. By an index it reads less,
/// and with workers of its own it needs none of ours.
fn reads_all(answer: &[SimpleQueryMessage]) -> bool {
    let explained = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
        _ => None,
    });
    let plan = explained.and_then(|plan| serde_json::from_str::<Value>(plan).ok());
    plan.is_some_and(|plan| {
        plan.pointer("/0/Plan/Node Type").and_then(Value::as_str) == Some("Seq Scan")
    })
}

/// One connection's work.
struct Reader {
    scan: Arc<Scan>,
    ranges: Arc<Ranges>,
    progress: Progress,
}

enum Progress {
    /// It has no connection yet.
    Before,
    /// It has no range.
    Between(Lease),
    During(Box<Copy>),
}

impl Reader {
    /// The next batch of any range that it can take.
    async fn step(self) -> Result<Option<(RecordBatch, Self)>, DataFusionError> {
        let Self {
            scan,
            ranges,
            mut progress,
        } = self;
        loop {
            progress = match progress {
                Progress::Before => match join(&scan, &ranges).await {
                    Some(lease) => Progress::Between(lease),
                    None => return Ok(None),
                },
                Progress::Between(lease) => {
                    let Some(range) = ranges.take() else {
                        lease.settle();
                        return Ok(None);
                    };
                    let copy = copy(&scan, lease, range.as_deref()).await;
                    Progress::During(Box::new(copy.map_err(|failure| scan.fault(failure))?))
                }
                Progress::During(mut copy) => {
                    let batch = copy.fill(&scan).await;
                    let batch = batch.map_err(|failure| scan.fault(failure))?;
                    let progress = if copy.is_complete() {
                        Progress::Between(copy.into_lease())
                    } else {
                        Progress::During(copy)
                    };
                    if let Some(batch) = batch {
                        let reader = Self {
                            scan,
                            ranges,
                            progress,
                        };
                        return Ok(Some((batch, reader)));
                    }
                    progress
                }
            };
        }
    }
}

/// One more connection that sees the snapshot, if there is one before all ranges are taken. Whatever
/// else keeps it away, the others read what it would have read.
async fn join(scan: &Scan, ranges: &Ranges) -> Option<Lease> {
    if ranges.is_drained() {
        return None;
    }
    // It has a lock of its own before it sees what the first one sees, so that the columns stay as
    // they are when the first one ends.
    let begin = format!(
        "{}; SET TRANSACTION SNAPSHOT {}",
        scan.table.hold_still(),
        literal(&ranges.snapshot)
    );
    let joining = async {
        let lease = scan.database.lease_another().await?;
        let joined = lease.client().ok()?.batch_execute(&begin).await;
        joined.is_ok().then_some(lease)
    };
    tokio::select! {
        biased;
        lease = joining => lease,
        () = ranges.drained.notified() => None,
    }
}

async fn copy(scan: &Scan, lease: Lease, range: Option<&str>) -> Result<Copy, Failure> {
    let sql = scan.rows(range).copy();
    let copy = scan.in_time(lease.client()?.prepare(&sql)).await?;
    let copy = copy.map_err(|e| scan.failed(&e))?;
    scan.run(lease, &copy, scan.decoder()?).await
}
