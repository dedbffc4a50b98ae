//! An object store that errs, is silent, denies, or whose objects are replaced while they are read.

use std::fs;

use scrim_testkit::s3::SECRET_KEY;
use scrim_testkit::web::{Gate, Trouble};

use super::served::{Served, drained, is_safe, settings};
use crate::elsewhere::{Store, tell_secrets};
use crate::kit::Scratch;

const SUM: &str =
    "SELECT count(*) AS rows, sum(id) AS ids, count(DISTINCT text) AS texts FROM care.long";

async fn served(more: &str) -> (Served, Store) {
    let world = super::with_long_table();
    let store = Store::new(&world);
    store.take(&world, "long");
    settings(&world, more);
    (Served::start(world).await, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_fail_are_tried_again_and_no_row_comes_twice() {
    let (mut served, store) = served("").await;
    let sum = served.text(SUM).await;
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::HangUp,
        Trouble::Cut(0),
        Trouble::Cut(70_000),
    ] {
        let traffic = store.server.traffic();
        traffic.forget();
        traffic.trouble("GET /lake/long", 2, 2, trouble.clone());
        assert_eq!(served.text(SUM).await, sum, "{trouble:?}");
        traffic.heal();
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_errs_on_and_on_ends_the_query_with_a_safe_code() {
    let (mut served, store) = served("read_timeout: 300ms, connect_timeout: 300ms").await;
    let sum = served.text(SUM).await;
    for (trouble, code) in [
        (Trouble::Status(500), "source-unavailable"),
        (Trouble::Status(403), "source-unavailable"),
        (Trouble::Status(503), "source-busy"),
        (Trouble::Stall(10_000), "source-unavailable"),
    ] {
        let traffic = store.server.traffic();
        traffic.trouble("GET /lake/long", 3, usize::MAX, trouble.clone());
        served.fails(SUM, &[code]).await;
        traffic.heal();
        assert_eq!(served.text(SUM).await, sum, "{trouble:?}");
    }
    store.proxy.refuse();
    served.fails(SUM, &["source-unavailable"]).await;
    store.proxy.heal();
    assert_eq!(served.text(SUM).await, sum);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_replaced_under_way_is_never_mixed_with_its_successor() {
    let (mut served, store) = served("").await;
    let sql = "SELECT id, text FROM care.long";
    let gate = Gate::closed();
    let traffic = store.server.traffic();
    traffic.trouble("GET /lake/long", 4, 1, Trouble::Hold(gate.clone()));
    let stream = served.client.stream(sql).await;
    let bytes = fs::read(served.path("long.parquet")).unwrap();
    let (end, ()) = tokio::join!(drained(stream), async {
        gate.reached().await;
        store.put("long/long.parquet", &bytes);
        gate.open();
    });
    served.failed(sql, &end.unwrap_err(), &["source-changed"]);
    let sum = served.text(SUM).await;
    assert!(sum.contains("491520"), "{sum}");
    // Cut, of another kind, and gone: what is there is not what the contract says.
    for bad in [&bytes[..bytes.len() / 2], b"", b"a,b\n1,2\n"] {
        store.put("long/long.parquet", bad);
        served
            .fails(SUM, &["source-invalid", "source-unavailable"])
            .await;
    }
    store.server.remove("lake", "long/long.parquet");
    served
        .fails(SUM, &["source-changed", "source-unavailable"])
        .await;
    store.put("long/long.parquet", &bytes);
    assert_eq!(served.text(SUM).await, sum);
    served.stop().await;
}

#[tokio::test]
async fn a_table_whose_store_does_not_know_us_exists_for_nobody() {
    let world = Scratch::demo();
    let store = Store::new(&world);
    store.take(&world, "claims");
    tell_secrets(&world, "another-secret", "");
    let mut served = Served::start(world).await;
    let status = served
        .client
        .query("SELECT count(*) FROM insurance.claims")
        .await
        .unwrap_err();
    is_safe(&status);
    assert!(status.message().starts_with("name-not-found"), "{status:?}");
    served.text(super::COUNT).await;
    let world = served.stop().await;
    tell_secrets(&world, SECRET_KEY, "");
    let mut served = Served::start(world).await;
    served.client = served.persona("ivan").await;
    served.text("SELECT count(*) FROM insurance.claims").await;
    served.stop().await;
}
