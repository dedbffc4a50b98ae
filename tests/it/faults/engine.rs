//! The engine while policies change under it, after it was dropped, and when a built-in panics.

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use scrim_engine::{Engine, Results};
use scrim_ledger::Outcome;
use scrim_model::Code;
use scrim_server::Config;

use super::with_long_table;
use crate::client::{Client, code};
use crate::kit::{Hosted, Local, Scratch, load_policies};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_dropped_lets_its_last_query_end() {
    let world = with_long_table();
    let local = Local::start(&world).await;
    let ledger = local.ledger.clone();
    let sql = "SELECT * FROM care.long";
    let mut results = local
        .engine
        .run(&local.usual("nora"), sql, None)
        .await
        .unwrap();
    let dropped = local
        .engine
        .run(&local.usual("nora"), "SELECT id FROM care.long", None)
        .await
        .unwrap();
    results.next().await.unwrap().unwrap();
    drop(local);
    drop(dropped);
    let rest: Vec<RecordBatch> = results.try_collect().await.unwrap();
    assert!(!rest.is_empty());
    ledger.shutdown().await.unwrap();
    let records = world.records();
    let outcome = |sql: &str| {
        records
            .iter()
            .find(|record| record.sql == sql)
            .map(|record| record.outcome)
    };
    assert_eq!(outcome(sql), Some(Outcome::Completed));
    assert_eq!(
        outcome("SELECT id FROM care.long"),
        Some(Outcome::Abandoned)
    );
}

/// Puts the world of a folder into an engine that has one already.
async fn reload(config: &Config, engine: &Engine) {
    let loaded = load_policies(config, engine).await;
    engine.load(loaded.unwrap_or_else(|problems| panic!("{problems}")).world);
}

#[tokio::test]
async fn inv_11_a_query_sees_one_policy_set_from_its_first_step_to_its_last() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let old = local.policy.version().to_owned();
    let sql = "SELECT zip FROM care.patients WHERE ward = 'Lighthouse'";
    let bound = local
        .engine
        .bind(&local.usual("rolf"), sql, None)
        .await
        .unwrap();
    world.edit(
        "policies/contracts/patients.odcs.yaml",
        "zip: {mask: zip3}",
        "zip: {mask: constant, value: none}",
    );
    reload(&local.config, &local.engine).await;
    let text = async |results: Results| -> String {
        let batches: Vec<RecordBatch> = results.try_collect().await.unwrap();
        arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string()
    };
    let during = text(local.engine.start(bound).await.unwrap()).await;
    assert!(during.contains("021"), "{during}");
    let after = text(
        local
            .engine
            .run(&local.usual("rolf"), sql, None)
            .await
            .unwrap(),
    )
    .await;
    assert!(after.contains("none") && !after.contains("021"), "{after}");
    local.ledger.shutdown().await.unwrap();
    let versions: Vec<_> = world
        .records()
        .into_iter()
        .map(|record| record.policy_version.unwrap())
        .collect();
    assert_eq!(versions.len(), 2);
    assert!(versions[0] == old && versions[1] != old, "{versions:?}");
}

#[tokio::test]
async fn inv_12_a_ticket_whose_columns_changed_is_refused_with_a_reason() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    let all = client.ticket("SELECT * FROM care.patients").await;
    let one = client.ticket("SELECT zip FROM care.patients").await;
    let kept = client.ticket("SELECT ward FROM care.patients").await;
    host.world.edit(
        "policies/contracts/patients.odcs.yaml",
        "zip: {mask: zip3}",
        "zip: hidden",
    );
    reload(&host.world.config(), host.engine()).await;
    let status = client.get(all).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (tonic::Code::FailedPrecondition, "result-changed")
    );
    let status = client.get(one).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (tonic::Code::PermissionDenied, "revoked")
    );
    client.get(kept).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_built_in_is_its_querys_own() {
    let local = Local::demo().await;
    for sql in [
        "SELECT lpad(ward, 10, '') FROM care.patients",
        "SELECT split_part(ward, '', -9223372036854775808) FROM care.patients",
        "SELECT substr(ward, -9223372036854775808, 9223372036854775807) FROM care.patients",
        "SELECT array_slice(tags, -9223372036854775808, 9223372036854775807) FROM care.patients",
        "SELECT array_element(tags, -9223372036854775808) FROM care.patients",
        "SELECT overlay(ward PLACING 'x' FROM 0 FOR -5) FROM care.patients",
        "SELECT date_bin(INTERVAL '0' DAY, admitted_at) FROM care.visits",
        "SELECT from_unixtime(9223372036854775807)",
        "SELECT to_char(birth_date, '%Q%$') FROM care.patients",
        "SELECT ward FROM care.patients ORDER BY ward LIMIT 9223372036854775807 OFFSET 9223372036854775807",
        "SELECT ntile(-1) OVER () FROM care.patients",
        "SELECT lag(ward, -9223372036854775808) OVER () FROM care.patients",
        "SELECT nth_value(ward, -9223372036854775808) OVER (ORDER BY ward) FROM care.patients",
        "SELECT sum(visit_id) OVER (ROWS BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING) FROM care.visits",
        "SELECT factorial(1000000)",
        "SELECT power(0, -1), log(0, 1), 0.0 / 0.0",
        "SELECT left(ward, -9223372036854775808), right(ward, -9223372036854775808) FROM care.patients",
        "SELECT make_date(2147483647, 1, 1)",
        "SELECT INTERVAL '9999999999 years' + now()",
        "SELECT date_trunc('week', DATE '0001-01-01'), DATE '262142-12-31' + INTERVAL '1 year'",
        "SELECT approx_percentile_cont(cost, 2.0) FROM care.visits",
        "SELECT percentile_cont(-1) WITHIN GROUP (ORDER BY cost) FROM care.visits",
    ] {
        if let Err(refusal) = local.rows(&local.usual("nora"), sql, None).await {
            assert_ne!(
                refusal.code(),
                Code::Internal,
                "{sql}: {refusal} {:?}",
                refusal.detail()
            );
            assert!(!refusal.message().contains("panic"), "{refusal}");
        }
        local
            .rows(&local.usual("nora"), "SELECT 1", None)
            .await
            .unwrap();
    }
}
