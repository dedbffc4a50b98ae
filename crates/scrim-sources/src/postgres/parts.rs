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
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use super::connect::Lease;
use super::copy::Copy;
use super::failure::Failure;
use super::scan::{Batches, Scan};
use super::schema::rows;
use super::sql::literal;

/// Whether a scan may be worth several readers: a limit is soon reached by one.
pub(super) fn may_pay(scan: &Scan) -> bool {
    scan.limit.is_none() && scan.readers > 1 && scan.table.pages > scan.part_pages
}

/// The rows of a scan, by as many readers as are worth it.
pub(super) async fn read(scan: Arc<Scan>) -> Result<Batches, DataFusionError> {
    let (lease, ranges) = lead(&scan).await.map_err(|failure| scan.fault(failure))?;
    let ranges = Arc::new(ranges);
    let others = u64::try_from(scan.readers)
        .unwrap_or(u64::MAX)
        .min(ranges.count)
        - 1;
    let reader = |progress| {
        let reader = Reader {
            scan: Arc::clone(&scan),
            ranges: Arc::clone(&ranges),
            progress,
        };
        stream::try_unfold(reader, Reader::step).boxed()
    };
    let first = reader(Progress::Between(lease));
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

/// Begins the transaction whose snapshot all share, and cuts the table.
async fn lead(scan: &Scan) -> Result<(Lease, Ranges), Failure> {
    let table = &scan.table;
    let begin = format!(
        "{}; SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_relation_size({}) \
         / pg_catalog.current_setting('block_size')::bigint; EXPLAIN (FORMAT JSON) {}",
        table.hold_still(),
        literal(&table.quoted),
        scan.rows(None).select(),
    );
    let held = scan.hold(&begin, None).await?;
    let snapshot = snapshot(&held.answer);
    let (snapshot, pages) = snapshot
        .filter(|_| reads_all(&held.answer))
        .unwrap_or_default();
    let ranges = Ranges {
        snapshot,
        count: pages.div_ceil(scan.part_pages.max(1)).max(1),
        pages: scan.part_pages,
        next: AtomicU64::new(0),
        drained: Notify::new(),
    };
    Ok((held.lease, ranges))
}

/// The name of the snapshot, and how many pages the table has now.
fn snapshot(answer: &[SimpleQueryMessage]) -> Option<(String, u64)> {
    let row = rows(answer).find(|row| row.len() == 2)?;
    let pages = row.try_get(1).ok()??.parse().ok()?;
    Some((row.try_get(0).ok()??.to_owned(), pages))
}

/// Whether PostgreSQL would read the table from end to end on one core. By an index it reads less,
/// and with workers of its own it needs none of ours.
fn reads_all(answer: &[SimpleQueryMessage]) -> bool {
    let plan = rows(answer).find(|row| row.len() == 1);
    let plan = plan.and_then(|row| row.try_get(0).ok().flatten());
    let plan = plan.and_then(|plan| serde_json::from_str::<Value>(plan).ok());
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
    let joining = async {
        let lease = scan.database.lease_another().await?;
        let begin = scan.table.join_still(&ranges.snapshot);
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
    let starting = async {
        let statement = lease.client()?.prepare(&scan.rows(range).copy()).await;
        let statement = statement.map_err(|e| scan.failed(&e))?;
        Copy::start(lease, &statement, scan.decoder()?, scan).await
    };
    let started = timeout(scan.patience(), starting).await;
    started.map_err(|_| scan.silent())?
}
