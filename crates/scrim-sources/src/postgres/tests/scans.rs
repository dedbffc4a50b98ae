//! Scans: projection, conditions, limits, batches, and their ends.

use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::prelude::{col, lit};
use futures::StreamExt;

use super::*;

const SERIES: &str =
    "CREATE TABLE t AS SELECT n, n % 10 AS digit, 'row ' || n AS word, n::float8 AS f
    FROM generate_series(1, 20000) AS n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_projects_filters_and_limits_in_postgres() {
    let world = World::of(SERIES);
    let table = world.table("t").await;
    let filters = [col("digit").eq(lit(3_i32)), col("n").lt(lit(100_i32))];
    let found = table
        .supports_filters_pushdown(&[&filters[0], &filters[1]])
        .unwrap();
    assert_eq!(
        found,
        [
            TableProviderFilterPushDown::Exact,
            TableProviderFilterPushDown::Exact
        ]
    );
    let columns = Some(&["word", "n"][..]);
    let ask = Ask {
        columns,
        filters: &filters,
        limit: Some(4),
    };
    let batch = scan(&table, &ask).await.unwrap();
    assert_eq!(texts(&batch, "n"), ["3", "13", "23", "33"]);
    assert_eq!(
        texts(&batch, "word"),
        ["row 3", "row 13", "row 23", "row 33"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_not_pushed_below_what_is_not_exact() {
    let world = World::of(SERIES);
    let table = world.table("t").await;
    let floats = [col("f").lt(lit(100.0))];
    let found = table.supports_filters_pushdown(&[&floats[0]]).unwrap();
    assert_ne!(found, [TableProviderFilterPushDown::Exact]);
    let batch = scan(
        &table,
        &Ask {
            filters: &floats,
            limit: Some(4),
            ..Ask::default()
        },
    )
    .await;
    assert!(batch.unwrap().num_rows() > 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_columns_are_counted() {
    let world = World::of(SERIES);
    let table = world.table("t").await;
    let filters = [col("digit").eq(lit(3_i32))];
    for (filters, limit, rows) in [
        (&filters[..0], None, 20_000),
        (&filters[..], None, 2_000),
        (&filters[..], Some(7), 7),
        (&filters[..], Some(7_000), 2_000),
        (&filters[..], Some(0), 0),
    ] {
        let ask = Ask {
            columns: Some(&[]),
            filters,
            limit,
        };
        let batches: Vec<_> = start(&table, &ask).await.try_collect().await.unwrap();
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, rows);
        assert!(
            batches
                .iter()
                .all(|batch| batch.num_rows() <= 8192 && batch.num_columns() == 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_have_their_size_in_rows_and_bytes() {
    let world = World::of(SERIES);
    let table = world.table("t").await;
    let batches: Vec<_> = start(&table, &Ask::default())
        .await
        .try_collect()
        .await
        .unwrap();
    let sizes: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 20_000);
    assert!(sizes.iter().all(|rows| *rows <= 8192), "{sizes:?}");
    world.database.execute(
        "CREATE TABLE large AS SELECT repeat('x', 1000000) AS word FROM generate_series(1, 40)",
    );
    let table = world.table("large").await;
    let batches: Vec<_> = start(&table, &Ask::default())
        .await
        .try_collect()
        .await
        .unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 9));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_there_do_not_wait_for_those_that_are_not() {
    let world = World::of(
        // The server itself holds back what is less than a few kilobytes.
        "CREATE VIEW v AS SELECT n, (CASE WHEN n > 3 THEN pg_sleep(30) END)::text AS s,
         repeat('x', 10000) AS wide FROM generate_series(1, 4) AS n",
    );
    let table = world.table("v").await;
    let mut stream = start(&table, &Ask::default()).await;
    let first = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
    let rows = first.unwrap().unwrap().unwrap().num_rows();
    assert!((1..=3).contains(&rows), "{rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_before_the_first_batch_is() {
    let world = World::of(SERIES);
    let table = world.table("t").await;
    let stream = start(&table, &Ask::default()).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                   AND datname = current_database() AND state <> 'idle'";
    assert_eq!(world.database.value(running).as_deref(), Some("0"));
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_scan_is_read_only_and_names_mean_what_the_catalog_says() {
    let world = World::of(
        "CREATE VIEW v AS SELECT name, setting FROM pg_settings;
         ALTER ROLE reader SET search_path = 'public';
         ALTER DATABASE postgres SET datestyle = 'SQL'",
    );
    let table = world
        .open(&wanted("v", &[("name", None), ("setting", None)]))
        .await
        .unwrap();
    let batch = all(&table).await;
    let (names, settings) = (texts(&batch, "name"), texts(&batch, "setting"));
    let setting = |name: &str| {
        let index = names.iter().position(|n| n == name).unwrap();
        settings[index].clone()
    };
    for (name, value) in [
        ("search_path", ""),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("transaction_read_only", "on"),
        ("default_transaction_read_only", "on"),
        ("standard_conforming_strings", "on"),
        ("client_encoding", "UTF8"),
        ("application_name", "scrim"),
        ("statement_timeout", "300000"),
        ("lock_timeout", "5000"),
        ("idle_in_transaction_session_timeout", "300000"),
    ] {
        assert_eq!(setting(name), value, "{name}");
    }
    world
        .database
        .execute("ALTER ROLE reader RESET search_path");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_hidden_rows_in_errors_of_views_are_not_repeated() {
    let world = World::of(
        "CREATE TABLE t AS SELECT 'CANARY-' || n AS word FROM generate_series(1, 9) AS n;
         CREATE VIEW v AS SELECT word::int AS n FROM t",
    );
    let table = world.table("v").await;
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert!(!error.to_string().contains("CANARY"), "{error}");
    assert_fault(error, FaultKind::Invalid, "SQLSTATE 22P02");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_06_no_condition_reaches_rows_that_a_view_leaves_out() {
    let world = World::of(
        "CREATE TABLE raw AS SELECT n, CASE n % 2 WHEN 0 THEN n::text ELSE 'secret ' || n END AS text
             FROM generate_series(1, 10) AS n;
         CREATE FUNCTION is_shown(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 10000
             AS 'BEGIN RETURN n % 2 = 0; END';
         CREATE VIEW shown AS SELECT text::int AS number FROM raw WHERE is_shown(n);
         CREATE VIEW barred WITH (security_barrier) AS TABLE shown;
         CREATE TABLE parts (number int) PARTITION BY LIST (number);
         CREATE FOREIGN DATA WRAPPER none;
         CREATE SERVER elsewhere FOREIGN DATA WRAPPER none;
         CREATE FOREIGN TABLE part PARTITION OF parts DEFAULT SERVER elsewhere",
    );
    for view in ["shown", "barred"] {
        let table = world.table(view).await;
        let filters = [col("number").gt(lit(4_i32))];
        let ask = Ask {
            filters: &filters,
            ..Ask::default()
        };
        let found = scan(&table, &ask).await.unwrap();
        assert_eq!(texts(&found, "number"), ["6", "8", "10"]);
        assert_eq!(found.num_rows(), 3);
    }
    let database = world.sources.database(&world.at, Some(&world.credential));
    let (database, wanted) = (database.unwrap(), Wanted::all("parts"));
    let parts = super::super::schema::Table::look_up(&database, "public", &wanted);
    assert!(parts.await.unwrap().from.ends_with("OFFSET 0) AS fenced"));
}
