//! Limits end a query with a code of their own, and leave nothing behind.

use std::fs;
use std::time::Duration;

use futures::TryStreamExt;
use scrim_engine::Results;
use scrim_ledger::Outcome;
use scrim_model::{Code, Refusal};

use super::{COUNT, refused, with_long_table};
use crate::kit::{Local, Scratch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_limits_end_a_query_with_their_own_code() {
    let world = with_long_table();
    let local = Local::start_with(&world, |config| {
        config.memory_bytes = 4 << 20;
        config.limits.rows_max = 100_000;
        config.limits.bytes_max = 6 << 20;
        config.limits.time = Duration::from_secs(2);
    })
    .await;
    let heavy = "SELECT count(*) FROM care.long a CROSS JOIN care.long b CROSS JOIN care.long c";
    for (sql, limit) in [
        ("SELECT id FROM care.long", Code::RowLimit),
        (
            "SELECT text FROM care.long WHERE id < 99999",
            Code::ByteLimit,
        ),
        ("SELECT array_agg(text) FROM care.long", Code::MemoryLimit),
        (
            "SELECT count(*) FROM care.long a JOIN care.long b ON a.text = b.text",
            Code::MemoryLimit,
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
            Code::TimeLimit,
        ),
    ] {
        let refusal = refused(&local, "nora", sql).await;
        assert_eq!(
            refusal.code(),
            limit,
            "{sql}: {refusal} {:?}",
            refusal.detail()
        );
        // the next small query works at once
        local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
        let of = local.usual("nora");
        assert!(local.engine.visible(&of).await.is_ok());
    }
    let refusal = refused(&local, "nora", heavy).await;
    assert!(
        [Code::TimeLimit, Code::MemoryLimit].contains(&refusal.code()),
        "{refusal}"
    );
    local.ledger.shutdown().await.unwrap();
    let records = world.records();
    let failed: Vec<_> = records
        .iter()
        .filter(|r| r.outcome == Outcome::Failed)
        .filter_map(|r| r.code.clone())
        .collect();
    assert_eq!(failed.len(), 6, "{failed:?}");
    assert!(records.iter().all(|record| record.outcome != Outcome::Open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_sorts_spill_and_leave_nothing_behind() {
    let world = with_long_table();
    let local = Local::start_with(&world, |config| config.memory_bytes = 48 << 20).await;
    let sql = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY text) AS n FROM care.long)";
    local.rows(&local.usual("nora"), sql, None).await.unwrap();
    drop(local);
    let left = |folder: &std::path::Path| -> u64 { size(folder) };
    // the engine's last threads let go a moment later
    for _ in 0..200 {
        if left(&world.path("spill")) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "{} bytes of spilled data are left",
        left(&world.path("spill"))
    );
}

fn size(folder: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_one_principal_runs_so_many_queries_at_once() {
    let world = with_long_table();
    let local =
        Local::start_with(&world, |config| config.limits.concurrent_per_principal = 2).await;
    let start = async |id: &str, sql: &str| -> Result<Results, Refusal> {
        local.engine.run(&local.usual(id), sql, None).await
    };
    let long = "SELECT * FROM care.long";
    let first = start("nora", long).await.unwrap();
    let second = start("nora", long).await.unwrap();
    let refusal = start("nora", COUNT).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ConcurrencyLimit, "{refusal}");
    assert!(refusal.message().contains('2'), "{refusal}");
    // others are not held up, and a place that is given back can be taken
    start("ivan", COUNT).await.unwrap();
    drop(first);
    let third = start("nora", COUNT).await.unwrap();
    assert_eq!(
        start("nora", COUNT).await.unwrap_err().code(),
        Code::ConcurrencyLimit
    );
    let rest: Vec<_> = third.try_collect().await.unwrap();
    assert_eq!(rest.len(), 1);
    start("nora", COUNT).await.unwrap();
    drop(second);
}

#[tokio::test]
async fn inv_14_a_contract_limits_the_queries_of_a_minute() {
    let world = Scratch::demo();
    world.edit(
        "policies/contracts/visits.odcs.yaml",
        "queries_per_minute: 600",
        "queries_per_minute: 3",
    );
    let local = Local::start(&world).await;
    let sql = "SELECT count(*) FROM care.visits";
    for _ in 0..3 {
        local.rows(&local.usual("rolf"), sql, None).await.unwrap();
    }
    let refusal = refused(&local, "rolf", sql).await;
    assert_eq!(refusal.code(), Code::RateLimit, "{refusal}");
    local.rows(&local.usual("nora"), sql, None).await.unwrap();
    local.clock.advance(chrono::TimeDelta::seconds(60));
    local.rows(&local.usual("rolf"), sql, None).await.unwrap();
}
