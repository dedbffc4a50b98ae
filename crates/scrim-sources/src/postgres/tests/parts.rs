//! Large tables, read by several connections at once.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::prelude::{col, lit};
use futures::StreamExt;

use super::*;

const LARGE: &str = "CREATE TABLE t AS SELECT n, 1000::bigint AS amount, repeat('x', 200) AS word
    FROM generate_series(1, 100000) AS n; ANALYZE t";

/// Most of our sessions that ran at the same time.
const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                    AND datname = current_database() AND state <> 'idle'";

async fn large(world: &World) -> PgTable {
    world.table("t").await.with_part_pages(64)
}

fn readers(readers: usize) -> SessionState {
    let config = SessionConfig::new().with_target_partitions(readers);
    SessionStateBuilder::new().with_config(config).build()
}

async fn begin(table: &PgTable, readers_max: usize, filters: &[Expr]) -> Batches {
    let session = readers(readers_max);
    let plan = table.scan(&session, None, filters, None).await.unwrap();
    plan.execute(0, session.task_ctx()).unwrap()
}

fn sorted_ids(batches: &[RecordBatch]) -> Vec<i32> {
    let columns = batches
        .iter()
        .map(|batch| batch.column(0).as_primitive::<Int32Type>());
    let mut ids: Vec<i32> = columns
        .flat_map(|column| column.values().iter().copied())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_readers_read_each_row_once() {
    let world = World::of(LARGE);
    let table = large(&world).await;
    let mut stream = begin(&table, 4, &[]).await;
    let mut batches = vec![stream.next().await.unwrap().unwrap()];
    // Half of eight connections are left to others.
    let client = world.database.client().await;
    let mut most = 0;
    while let Some(batch) = stream.next().await {
        batches.push(batch.unwrap());
        let row = client.query_one(BUSY, &[]).await.unwrap();
        most = most.max(row.get::<_, i64>(0));
    }
    assert_eq!(sorted_ids(&batches), (1..=100_000).collect::<Vec<_>>());
    assert!((2..=4).contains(&most), "{most} readers");
    let filters = [col("n").gt(lit(50_000_i32))];
    let batches: Vec<_> = begin(&table, 4, &filters)
        .await
        .try_collect()
        .await
        .unwrap();
    assert_eq!(sorted_ids(&batches), (50_001..=100_000).collect::<Vec<_>>());
    world.until(BUSY, "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_one_state_of_the_table() {
    let world = World::of(LARGE);
    let table = large(&world).await;
    let client = world.database.client().await;
    // Money moves from row to row all the time; no state of the table has more or less of it.
    let writing = tokio::spawn(async move {
        loop {
            let sql = "WITH picked AS (SELECT (random() * 49999)::int + 1 AS n)
                UPDATE t SET amount = amount + CASE WHEN t.n > 50000 THEN 1 ELSE -1 END
                FROM picked WHERE t.n IN (picked.n, picked.n + 50000)";
            if client.batch_execute(sql).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..5 {
        let batches: Vec<_> = begin(&table, 4, &[]).await.try_collect().await.unwrap();
        assert_eq!(sorted_ids(&batches), (1..=100_000).collect::<Vec<_>>());
        let amounts = batches
            .iter()
            .map(|batch| batch.column(1).as_primitive::<Int64Type>());
        let sum: i64 = amounts.flat_map(|column| column.values().iter()).sum();
        assert_eq!(sum, 100_000_000);
    }
    writing.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_reader_reads_all_when_no_other_connection_is_free() {
    for connections in [1, 2, 3] {
        let world = World::with(SourceSettings {
            postgres_connections: connections,
            ..SourceSettings::default()
        });
        world.database.execute(LARGE);
        let table = large(&world).await;
        let scans = (0..4).map(async |_| {
            let batches: Vec<_> = begin(&table, 4, &[]).await.try_collect().await.unwrap();
            sorted_ids(&batches).len()
        });
        let rows = futures::future::join_all(scans).await;
        assert_eq!(rows, [100_000; 4], "{connections} connections");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_index_finds_is_read_by_one() {
    let world = World::of(LARGE);
    world
        .database
        .execute("CREATE UNIQUE INDEX ON t (n); ANALYZE t");
    let table = large(&world).await;
    let filters = [col("n").eq(lit(77_i32))];
    let batches: Vec<_> = begin(&table, 4, &filters)
        .await
        .try_collect()
        .await
        .unwrap();
    assert_eq!(sorted_ids(&batches), [77]);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                AND datname = current_database()";
    assert_eq!(world.database.value(ours).as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_a_table_that_changes_under_its_readers_is_not_misread() {
    let world = World::of(LARGE);
    let table = large(&world).await;
    let mut stream = begin(&table, 4, &[]).await;
    let mut batches = vec![stream.next().await.unwrap().unwrap()];
    // It waits until the last reader is done.
    let client = world.database.client().await;
    let changing = tokio::spawn(async move {
        let sql = "ALTER TABLE t ALTER n TYPE real";
        client.batch_execute(sql).await.unwrap();
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                 AND datname = current_database()";
    world.until(waits, "1").await;
    while let Some(batch) = stream.next().await {
        batches.push(batch.unwrap());
    }
    assert_eq!(sorted_ids(&batches), (1..=100_000).collect::<Vec<_>>());
    changing.await.unwrap();
    let error = begin(&table, 4, &[])
        .await
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_fault(error, FaultKind::Invalid, "its columns are others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_whose_rows_nobody_wants_end() {
    let world = World::of(LARGE);
    let table = large(&world).await;
    let mut stream = begin(&table, 4, &[]).await;
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    world.until(BUSY, "0").await;
    let mut stream = begin(&table, 4, &[]).await;
    stream.next().await.unwrap().unwrap();
    world.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'scrim' AND datname = current_database()",
    );
    let rest: Result<Vec<_>> = stream.try_collect().await;
    assert_fault(rest.unwrap_err(), FaultKind::Unavailable, "localhost");
    world.until(BUSY, "0").await;
}
