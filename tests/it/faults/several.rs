//! Several sources in one query: they are read side by side within the memory of the engine, and
//! one that gives way ends the query and frees the others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use scrim_engine::{EngineConfig, FaultKind, RawTable, SourceFault};
use scrim_ledger::Outcome;
use scrim_model::{Code, Refusal};
use tokio::sync::Barrier;

use super::COUNT;
use crate::kit::{Local, Scratch, load_policies};

/// Rows of one batch.
const ROWS: i64 = 8_192;

/// How long a test waits for what should be there at once.
const PATIENCE: Duration = Duration::from_mins(1);

fn rows(batch: i64) -> RecordBatch {
    let ids = batch * ROWS..(batch + 1) * ROWS;
    let text = ids.clone().map(|id| format!("{id:064x}"));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ("text", Arc::new(StringArray::from_iter_values(text))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

type Rows = BoxStream<'static, Result<RecordBatch>>;

/// A source that a test has in its hands: what each of its partitions yields.
#[derive(Clone)]
struct Staged {
    schema: SchemaRef,
    partitions: usize,
    rows: Arc<dyn Fn() -> Rows + Send + Sync>,
    /// Streams that somebody still holds.
    alive: Arc<AtomicUsize>,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Staged")
    }
}

struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Staged {
    fn new(partitions: usize, rows: impl Fn() -> Rows + Send + Sync + 'static) -> Self {
        Self {
            schema: self::rows(0).schema(),
            partitions,
            rows: Arc::new(rows),
            alive: Arc::default(),
        }
    }

    fn endless() -> Self {
        let rows = rows(0);
        Self::new(2, move || stream::repeat(rows.clone()).map(Ok).boxed())
    }

    fn of(batches: i64) -> Self {
        Self::new(2, move || {
            stream::iter(0..batches).map(|n| Ok(rows(n))).boxed()
        })
    }

    fn broken(kind: FaultKind) -> Self {
        Self::new(2, move || {
            let fault = SourceFault::new(kind, "the disk of db-7 at /secret is on fire");
            let end = stream::once(async { Err(fault.into()) });
            stream::iter(0..2).map(|n| Ok(rows(n))).chain(end).boxed()
        })
    }
}

impl PartitionStream for Staged {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(Arc::clone(&self.alive));
        // the stream holds it for as long as it is held
        let rows = (self.rows)().map(move |batch| (&alive, batch).1);
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

#[async_trait]
impl TableProvider for Staged {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partition = || Arc::new(self.clone()) as Arc<dyn PartitionStream>;
        Ok(Arc::new(StreamingTableExec::try_new(
            Arc::clone(&self.schema),
            (0..self.partitions).map(|_| partition()).collect(),
            projection,
            Vec::new(),
            false,
            limit,
        )?))
    }
}

/// The demo world with tables that lie in sources of the test.
async fn stage(
    world: &Scratch,
    tables: &[(&str, &Staged)],
    change: impl FnOnce(&mut EngineConfig),
) -> Local {
    for (name, _) in tables {
        world.add_table(name, &[rows(0).slice(0, 1)]);
    }
    let local = Local::start_with(world, change).await;
    let loaded = load_policies(&local.config, &local.engine).await;
    let mut served = loaded.unwrap_or_else(|problems| panic!("{problems}")).world;
    for (name, staged) in tables {
        let raw = RawTable::new(Arc::new((*staged).clone()), "a stage");
        let mut places = served.tables.iter_mut();
        let (_, place) = places.find(|(table, _)| table.table == *name).unwrap();
        *place = raw;
    }
    local.engine.load(served);
    local
}

async fn ask(local: &Local, sql: &str) -> Result<Vec<RecordBatch>, Refusal> {
    let nora = local.usual("nora");
    let rows = tokio::time::timeout(PATIENCE, local.rows(&nora, sql, None)).await;
    rows.unwrap_or_else(|_| panic!("{sql} goes on"))
        .map(|(_, batches)| batches)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_in_one_source_ends_the_query_with_its_code_and_frees_the_others() {
    let shapes = [
        "SELECT id FROM care.steady WHERE id < 0 UNION ALL SELECT id FROM care.broken",
        "SELECT count(*) FROM care.steady UNION ALL SELECT count(*) FROM care.broken",
        "SELECT count(*) FROM care.broken b JOIN care.steady s ON b.text = s.text",
        "SELECT count(*) FROM (SELECT id FROM care.patients_ids UNION ALL SELECT id FROM care.broken) b \
         JOIN care.steady s ON b.id = s.id",
        "SELECT id FROM care.broken b WHERE EXISTS (SELECT 1 FROM care.steady s WHERE b.id = s.id)",
    ];
    for (kind, code, name) in [
        (
            FaultKind::Unavailable,
            Code::SourceUnavailable,
            "source-unavailable",
        ),
        (FaultKind::Busy, Code::SourceBusy, "source-busy"),
        (FaultKind::Changed, Code::SourceChanged, "source-changed"),
        (FaultKind::Invalid, Code::SourceInvalid, "source-invalid"),
    ] {
        let world = Scratch::demo();
        let (steady, broken) = (Staged::endless(), Staged::broken(kind));
        let few = Staged::of(1);
        let tables = [
            ("steady", &steady),
            ("broken", &broken),
            ("patients_ids", &few),
        ];
        let local = stage(&world, &tables, |_| {}).await;
        let mut working = local.engine.working();
        for sql in shapes {
            let refusal = ask(&local, sql).await.unwrap_err();
            assert_eq!(refusal.code(), code, "{sql}: {refusal}");
            for inside in ["db-7", "secret", "fire"] {
                assert!(!refusal.message().contains(inside), "{refusal}");
            }
            let detail = refusal.detail().unwrap_or_default();
            assert!(detail.contains("db-7"), "{sql}: {detail}");
            let idle = working.wait_for(|working| *working == 0);
            tokio::time::timeout(PATIENCE, idle).await.unwrap().unwrap();
            freed(&steady).await;
            ask(&local, COUNT).await.unwrap();
        }
        local.ledger.shutdown().await.unwrap();
        let records = world.records();
        let failed = records.iter().filter(|record| {
            record.outcome == Outcome::Failed && record.code.as_deref() == Some(name)
        });
        assert_eq!(failed.count(), shapes.len());
        assert!(records.iter().all(|record| record.outcome != Outcome::Open));
    }
}

/// Waits until nobody holds a stream of a source any more.
async fn freed(source: &Staged) {
    let free = async {
        while source.alive.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let free = tokio::time::timeout(PATIENCE, free).await;
    assert!(free.is_ok(), "a source is still being read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_several_sources_are_read_side_by_side() {
    let world = Scratch::demo();
    let barrier = Arc::new(Barrier::new(4));
    // nobody has a row before all four partitions are being read
    let meeting = || {
        let barrier = Arc::clone(&barrier);
        Staged::new(2, move || {
            let barrier = Arc::clone(&barrier);
            let wait = async move { barrier.wait().await };
            let row = wait.map(|_| Ok(rows(0).slice(0, 1)));
            stream::once(row).boxed()
        })
    };
    let (one, other) = (meeting(), meeting());
    let local = stage(&world, &[("one", &one), ("other", &other)], |_| {}).await;
    let sql = "SELECT id FROM care.one UNION ALL SELECT id FROM care.other";
    let found = ask(&local, sql).await.unwrap();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_several_large_sources_fit_into_the_memory_of_the_engine() {
    let world = Scratch::demo();
    let (one, other, third) = (Staged::of(60), Staged::of(60), Staged::of(60));
    let tables = [("one", &one), ("other", &other), ("third", &third)];
    let local = stage(&world, &tables, |config| config.memory_bytes = 8 << 20).await;
    for (sql, fits) in [
        (
            "SELECT count(*) FROM (SELECT id FROM care.one UNION ALL SELECT id FROM care.other UNION ALL SELECT id FROM care.third)",
            true,
        ),
        (
            "SELECT id % 10, count(*), max(text) FROM (SELECT * FROM care.one UNION ALL SELECT * FROM care.other) GROUP BY 1",
            true,
        ),
        (
            "SELECT count(*) FROM (SELECT * FROM care.one WHERE id < 1000) a JOIN care.other b ON a.text = b.text JOIN care.third c ON a.text = c.text",
            true,
        ),
        (
            "SELECT count(*) FROM care.one a JOIN care.other b ON a.text = b.text",
            false,
        ),
        (
            "SELECT array_agg(text) FROM (SELECT text FROM care.one UNION ALL SELECT text FROM care.other)",
            false,
        ),
        (COUNT, true),
    ] {
        let found = ask(&local, sql).await;
        match found {
            Ok(_) => assert!(fits, "{sql} fits"),
            Err(refusal) => assert_eq!(
                (refusal.code(), fits),
                (Code::MemoryLimit, false),
                "{sql}: {refusal}"
            ),
        }
        for source in [&one, &other, &third] {
            freed(source).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_goes_away_frees_all_sources() {
    let world = Scratch::demo();
    let (one, other) = (Staged::endless(), Staged::endless());
    let local = stage(&world, &[("one", &one), ("other", &other)], |_| {}).await;
    let sql = "SELECT id FROM care.one UNION ALL SELECT id FROM care.other";
    let results = local.engine.run(&local.usual("nora"), sql, None).await;
    let mut results = results.unwrap();
    results.try_next().await.unwrap().unwrap();
    drop(results);
    freed(&one).await;
    freed(&other).await;
}
