//! A database that is killed, crashes, has no room, does not know us, or whose tables change.

use std::time::Duration;

use scrim_testkit::postgres::{PASSWORD, Postgres, READER};
use scrim_testkit::proxy::Fault;
use scrim_testkit::s3::SECRET_KEY;

use super::served::{Served, drained, is_safe, settings};
use crate::elsewhere::{Base, tell_secrets};
use crate::kit::Scratch;

const ALL: &str = "SELECT id, text FROM care.long";
const SUM: &str = "SELECT count(*) AS rows, sum(id) AS ids FROM care.long";
const CLAIMS: &str = "SELECT count(*) AS claims FROM insurance.claims";

/// So much of a long table passes before a test goes on.
const SOME_BYTES: u64 = 2 << 20;

async fn with_long(more: &str) -> (Served, Base) {
    let world = super::with_long_table();
    let base = Base::new(&world);
    base.take(&world, "long");
    settings(&world, more);
    (Served::start(world).await, base)
}

async fn with_claims(base: impl FnOnce(&Scratch) -> Base, more: &str) -> (Served, Base) {
    let world = Scratch::demo();
    let base = base(&world);
    base.take(&world, "claims");
    settings(&world, more);
    let mut served = Served::start(world).await;
    served.client = served.persona("ivan").await;
    (served, base)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_killed_in_mid_stream_ends_the_query() {
    let (mut served, base) = with_long("").await;
    let sum = served.text(SUM).await;
    for way in ["killed", "cut", "corrupt"] {
        let sql = format!("{ALL} -- {way}");
        base.proxy.set(match way {
            "killed" => Fault::Stall(SOME_BYTES),
            "cut" => Fault::Cut(SOME_BYTES),
            _ => Fault::Corrupt(SOME_BYTES),
        });
        let stream = served.client.stream(&sql).await;
        if way == "killed" {
            base.kill();
            base.proxy.heal();
        }
        let status = drained(stream).await.unwrap_err();
        served.failed(&sql, &status, &["source-unavailable"]);
        base.proxy.heal();
        assert_eq!(served.text(SUM).await, sum, "{way}");
    }
    // Slow is no fault.
    base.proxy.set(Fault::Delay(Duration::from_millis(1)));
    assert_eq!(served.text(SUM).await, sum);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_serves_again_when_it_is_back() {
    let server = Postgres::start();
    let (mut served, base) = with_claims(|world| Base::on(&server, world), "").await;
    let count = served.text(CLAIMS).await;
    server.crash();
    served.fails(CLAIMS, &["source-unavailable"]).await;
    server.resume();
    assert_eq!(served.text(CLAIMS).await, count);
    base.proxy.refuse();
    served.fails(CLAIMS, &["source-unavailable"]).await;
    base.proxy.heal();
    assert_eq!(served.text(CLAIMS).await, count);
    // It does not know us any more.
    let alter = |password: &str| format!("ALTER ROLE {READER} PASSWORD '{password}'");
    base.database.execute(&alter("another"));
    base.kill();
    served.fails(CLAIMS, &["source-unavailable"]).await;
    base.database.execute(&alter(PASSWORD));
    assert_eq!(served.text(CLAIMS).await, count);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_room_is_busy_and_the_readers_before_are_served() {
    let (mut served, base) = with_long("postgres_connections: 1, connect_timeout: 500ms").await;
    let sum = served.text(SUM).await;
    base.proxy.set(Fault::Stall(SOME_BYTES));
    let mut first = served.client.stream(ALL).await;
    // Its rows are on their way, so that the one connection is taken.
    for _ in 0..2 {
        first.message().await.unwrap().unwrap();
    }
    served.fails(SUM, &["source-busy"]).await;
    base.proxy.heal();
    drained(first).await.unwrap();
    assert_eq!(served.text(SUM).await, sum);
    // Now others have taken all that the database gives.
    let name = base.database.name();
    let limit = |n: i32| format!("ALTER DATABASE {name} CONNECTION LIMIT {n}");
    let other = base.database.client().await;
    base.database.execute(&limit(1));
    base.kill();
    served.fails(SUM, &["source-busy"]).await;
    base.database.execute(&limit(-1));
    assert_eq!(served.text(SUM).await, sum);
    drop(other);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_changed_or_dropped_is_a_clear_failure() {
    let (mut served, base) = with_claims(Base::new, "connect_timeout: 300ms").await;
    let count = served.text(CLAIMS).await;
    let mut client = base.database.client().await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE claims IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    served.fails(CLAIMS, &["source-busy"]).await;
    lock.rollback().await.unwrap();
    assert_eq!(served.text(CLAIMS).await, count);
    for (change, undo) in [
        (
            "ALTER TABLE claims ALTER COLUMN amount TYPE text",
            "ALTER TABLE claims ALTER COLUMN amount TYPE numeric(12, 2) USING amount::numeric(12, 2)",
        ),
        (
            "ALTER TABLE claims RENAME COLUMN amount TO sum",
            "ALTER TABLE claims RENAME COLUMN sum TO amount",
        ),
        (
            "ALTER TABLE claims RENAME TO former",
            "ALTER TABLE former RENAME TO claims",
        ),
        (
            "REVOKE SELECT ON claims FROM reader",
            "GRANT SELECT ON claims TO reader",
        ),
    ] {
        base.database.execute(change);
        let sql = format!("SELECT max(amount) AS most FROM insurance.claims -- {change}");
        let codes = ["source-changed", "source-invalid", "source-unavailable"];
        served.fails(&sql, &codes).await;
        base.database.execute(undo);
        assert_eq!(served.text(CLAIMS).await, count, "{change}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_table_whose_database_does_not_know_us_exists_for_nobody() {
    let world = Scratch::demo();
    let base = Base::new(&world);
    base.take(&world, "claims");
    tell_secrets(&world, SECRET_KEY, "another");
    let mut served = Served::start(world).await;
    let status = served.client.query(CLAIMS).await.unwrap_err();
    is_safe(&status);
    assert!(status.message().starts_with("name-not-found"), "{status:?}");
    served.text(super::COUNT).await;
    served.stop().await;
}
