//! A look-up table over a source that changes, fails, waits and never ends.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::exec_err;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::future::join_all;
use futures::stream;
use tokio::sync::Semaphore;

use super::*;
use crate::config::{EngineConfig, EngineLimits};
use crate::functions::Functions;
use crate::raw::Versioned;
use crate::sessions::Sessions;

/// A source of one number.
#[derive(Debug)]
struct Source {
    /// The number; there is none when the source is out of order.
    holds: StdMutex<Option<i64>>,
    reads: AtomicUsize,
    /// How many may read.
    open: Semaphore,
}

impl Source {
    fn new(holds: i64) -> Arc<Self> {
        Arc::new(Self {
            holds: StdMutex::new(Some(holds)),
            reads: AtomicUsize::new(0),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn set(&self, holds: Option<i64>) {
        *self.holds.lock().unwrap() = holds;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

fn batch(values: Vec<i64>) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values))]).unwrap()
}

#[async_trait]
impl TableProvider for Source {
    fn schema(&self) -> SchemaRef {
        schema()
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
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        let holds = *self.holds.lock().unwrap();
        let Some(holds) = holds else {
            return exec_err!("out of order");
        };
        let table = MemTable::try_new(schema(), vec![vec![batch(vec![holds])]])?;
        table.scan(session, projection, filters, limit).await
    }
}

#[async_trait]
impl Versioned for Source {
    async fn version(&self, _: &dyn Session) -> Result<String> {
        let holds = *self.holds.lock().unwrap();
        Ok(format!("{holds:?}"))
    }
}

/// Rows without end.
#[derive(Debug)]
struct Endless(RecordBatch);

impl PartitionStream for Endless {
    fn schema(&self) -> &SchemaRef {
        self.0.schema_ref()
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = stream::repeat(self.0.clone()).map(Ok);
        Box::pin(RecordBatchStreamAdapter::new(self.0.schema(), rows))
    }
}

#[async_trait]
impl TableProvider for Endless {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
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
        let rows = Arc::new(Self(self.0.clone()));
        Ok(Arc::new(StreamingTableExec::try_new(
            self.0.schema(),
            vec![rows],
            projection,
            Vec::new(),
            false,
            limit,
        )?))
    }
}

#[derive(Debug, Default)]
struct Hand(StdMutex<i64>);

impl Hand {
    fn at(&self, seconds: i64) {
        *self.0.lock().unwrap() = seconds;
    }
}

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        let seconds = 1_000 + *self.0.lock().unwrap();
        DateTime::from_timestamp(seconds, 0).unwrap()
    }
}

fn vault() -> Arc<Vault> {
    let config = EngineConfig {
        memory_bytes: 1 << 30,
        spill_dir: std::env::temp_dir(),
        partitions: 2,
        limits: EngineLimits::default(),
    };
    Sessions::new(&config, &Functions::listed()).unwrap().vault
}

const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

#[expect(clippy::disallowed_methods, reason = "the one row of a snapshot")]
async fn held(lookup: &LookupTable, vault: &Vault, clock: &Hand) -> Result<i64> {
    let snapshot = lookup.snapshot(vault, clock).await?;
    let plan = snapshot.scan(&vault.session, None, &[], None).await?;
    let batches = datafusion::physical_plan::collect(plan, Arc::clone(&vault.task)).await?;
    let numbers = batches[0].column(0);
    let numbers = numbers.as_any().downcast_ref::<Int64Array>().unwrap();
    Ok(numbers.value(0))
}

fn kind(error: &DataFusionError) -> Option<FaultKind> {
    SourceFault::beneath(error).map(SourceFault::kind)
}

#[tokio::test]
async fn inv_03_a_look_up_is_never_older_than_its_age() {
    let (vault, clock, source) = (vault(), Hand::default(), Source::new(1));
    let lookup = LookupTable::new(RawTable::new(Arc::clone(&source) as _, "x"), MINUTE);
    let now = async || held(&lookup, &vault, &clock).await;
    assert_eq!(now().await.unwrap(), 1);
    source.set(Some(2));
    clock.at(59);
    assert_eq!((now().await.unwrap(), source.reads()), (1, 1));
    clock.at(60);
    assert_eq!((now().await.unwrap(), source.reads()), (2, 2));
    source.set(None);
    clock.at(119);
    assert_eq!(now().await.unwrap(), 2);
    clock.at(120);
    let error = now().await.unwrap_err();
    assert_eq!(kind(&error), Some(FaultKind::Unavailable), "{error}");
    assert!(now().await.is_err());
    source.set(Some(3));
    assert_eq!(now().await.unwrap(), 3);
    // a clock that was set back says nothing about ages
    source.set(Some(4));
    clock.at(0);
    assert_eq!(now().await.unwrap(), 4);
}

#[tokio::test]
async fn without_an_age_a_look_up_follows_the_versions_of_its_source() {
    let (vault, clock, source) = (vault(), Hand::default(), Source::new(1));
    let plain = LookupTable::new(RawTable::new(Arc::clone(&source) as _, "x"), None);
    let versioned = LookupTable::new(RawTable::versioned(Arc::clone(&source) as _, "x"), None);
    let aged = LookupTable::new(RawTable::versioned(Arc::clone(&source) as _, "x"), MINUTE);
    for lookup in [&plain, &versioned, &aged, &versioned] {
        assert_eq!(held(lookup, &vault, &clock).await.unwrap(), 1);
    }
    assert_eq!(source.reads(), 3);
    // too old, but the source says that it is as it was
    clock.at(60);
    assert_eq!(held(&aged, &vault, &clock).await.unwrap(), 1);
    assert_eq!(source.reads(), 3);
    source.set(Some(2));
    for (lookup, expected) in [(&plain, 1), (&versioned, 2), (&aged, 1)] {
        assert_eq!(held(lookup, &vault, &clock).await.unwrap(), expected);
    }
    clock.at(120);
    assert_eq!(held(&aged, &vault, &clock).await.unwrap(), 2);
    assert_eq!(source.reads(), 5);
}

#[tokio::test]
async fn one_reads_while_the_others_wait() {
    for holds in [Some(1), None] {
        let (vault, clock, source) = (vault(), Hand::default(), Source::new(1));
        source.set(holds);
        source.open.forget_permits(Semaphore::MAX_PERMITS);
        let raw = RawTable::new(Arc::clone(&source) as _, "x");
        let lookup = LookupTable::new(raw, MINUTE);
        let all = join_all((0..20).map(|_| held(&lookup, &vault, &clock)));
        // one place for the one who reads; a second reader would wait without end
        let (found, ()) = futures::join!(all, async { source.open.add_permits(1) });
        assert!(found.iter().all(|found| found.is_ok() == holds.is_some()));
        assert_eq!(source.reads(), 1);
    }
}

#[tokio::test]
async fn whoever_waited_for_an_older_look_has_one_of_its_own_or_a_later_one() {
    let (vault, clock, source) = (vault(), Hand::default(), Source::new(1));
    let raw = RawTable::versioned(Arc::clone(&source) as _, "x");
    let lookup = LookupTable::new(raw, None);
    source.open.forget_permits(Semaphore::MAX_PERMITS);
    let ask = || held(&lookup, &vault, &clock);
    let change = async {
        // the first look has begun when this is polled, after it
        source.set(Some(2));
        source.open.add_permits(2);
    };
    let (first, (), later) = futures::join!(ask(), change, join_all((0..20).map(|_| ask())));
    // what the first one read is its own business; all others came after the change
    first.unwrap();
    assert!(later.into_iter().all(|found| found.unwrap() == 2));
    assert_eq!(source.reads(), 2);
}

#[tokio::test]
async fn inv_14_a_look_up_without_end_is_a_fault_that_gives_its_memory_back() {
    let (vault, clock) = (vault(), Hand::default());
    let small = batch(vec![7; 1_000_000]);
    let wide = batch(vec![7; 8_000_000]);
    for rows in [small, wide] {
        let raw = RawTable::new(Arc::new(Endless(rows)), "endless");
        let lookup = LookupTable::new(raw, None);
        let error = held(&lookup, &vault, &clock).await.unwrap_err();
        assert_eq!(kind(&error), Some(FaultKind::Invalid), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("endless") && text.contains("5000000 rows and 256 MiB"),
            "{text}"
        );
        assert_eq!(vault.task.memory_pool().reserved(), 0);
    }
}

#[tokio::test]
async fn the_memory_of_a_snapshot_is_the_engines() {
    let (vault, clock, source) = (vault(), Hand::default(), Source::new(1));
    let lookup = LookupTable::new(RawTable::new(source, "x"), None);
    held(&lookup, &vault, &clock).await.unwrap();
    assert!(vault.task.memory_pool().reserved() > 0);
    drop(lookup);
    assert_eq!(vault.task.memory_pool().reserved(), 0);
}
