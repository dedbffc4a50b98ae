//! Without a ledger nothing is served, and what it left open is closed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use scrim_ledger::Outcome;
use scrim_model::Code;
use scrim_server::{Server, StartError};

use super::{COUNT, record, refused};
use crate::client::{Client, code, is_clean};
use crate::kit::{Hosted, Local, Scratch, TestClock};

/// Somebody else writes into the ledger: from now on it takes nothing more.
fn break_ledger(world: &Scratch) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(world.path("ledger/ledger.jsonl"))
        .unwrap();
    file.write_all(b"\n").unwrap();
}

#[tokio::test]
async fn inv_04_no_ledger_no_data() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    break_ledger(&world);
    for sql in [
        COUNT,
        "SELECT 1",
        "EXPLAIN SELECT 1",
        "SHOW ACCESS",
        "SHOW ACCESS ON care.patients",
        "EXPLAIN ACCESS SELECT ward FROM care.patients",
        "SELECT * FROM care.secret",
        "DELETE FROM care.patients",
    ] {
        let refusal = refused(&local, "nora", sql).await;
        assert_eq!(refusal.code(), Code::LedgerUnavailable, "{sql}: {refusal}");
        assert!(!refusal.message().contains('/'), "{refusal}");
    }
    assert!(!local.ledger.healthy());
}

#[tokio::test]
async fn inv_04_questions_about_access_are_recorded_like_queries() {
    let queries: [(&str, &[&str], &[&str]); 3] = [
        ("SHOW ACCESS", &[], &[]),
        (
            "SHOW ACCESS ON care.patients",
            &["scrim.care.patients"],
            &["meridian-patients"],
        ),
        (
            "EXPLAIN ACCESS SELECT ward FROM care.patients",
            &["scrim.care.patients"],
            &["meridian-patients"],
        ),
    ];
    for (sql, tables, agreements) in queries {
        let world = Scratch::demo();
        let local = Local::start(&world).await;
        let answer = local.rows(&local.usual("rolf"), sql, None).await;
        let (_, batches) = answer.unwrap();
        let record = record(&local, &world, sql).await;
        assert_eq!(record.outcome, Outcome::Completed, "{record:?}");
        assert_eq!(record.tables, tables);
        assert_eq!(record.agreements, agreements);
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        assert_eq!(record.rows, Some(rows));
    }
}

#[tokio::test]
async fn inv_04_no_ledger_no_data_over_the_wire_and_no_new_sessions() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let ticket = client.ticket(COUNT).await;
    break_ledger(&host.world);
    let status = client.get(ticket).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (tonic::Code::Unavailable, "ledger-unavailable")
    );
    is_clean(&status);
    let mut other = Client::connect(host.address()).await;
    let status = other
        .sign_in("nora", scrim::demo::world::PASSWORD)
        .await
        .unwrap_err();
    assert_eq!(code(&status), "ledger-unavailable", "{status:?}");
}

#[tokio::test]
async fn inv_04_a_ledger_that_cannot_be_used_stops_the_start() {
    let world = Scratch::demo();
    let first = Hosted::start(world).await;
    let error = Server::start(first.world.config(), TestClock::noon())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("in use"), "{error}");
    let world = first.stop().await;
    let path = world.path("ledger/ledger.jsonl");
    let good = fs::read(&path).unwrap();
    let mut changed = good.clone();
    let place = changed.iter().position(|byte| *byte == b'\n').unwrap() + 30;
    changed[place] ^= 1;
    fs::write(&path, &changed).unwrap();
    let error = Server::start(world.config(), TestClock::noon())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Ledger(_)), "{error:?}");
    assert!(error.to_string().contains("line 2"), "{error}");
    // a line that a crash cut short is no damage
    fs::write(&path, &good[..good.len() - 10]).unwrap();
    let host = Hosted::start(world).await;
    let world = host.stop().await;
    scrim_ledger::verify(&path).unwrap();
    // a folder that is no folder
    fs::remove_dir_all(world.path("ledger")).unwrap();
    world.write("ledger", "a file");
    assert!(
        Server::start(world.config(), TestClock::noon())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn inv_05_what_a_crash_left_open_is_closed_at_the_next_start() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let results = local
        .engine
        .run(&local.usual("nora"), "SELECT * FROM care.visits", None)
        .await
        .unwrap();
    // the file as a crash would leave it: opened, not closed
    local
        .rows(&local.usual("nora"), "SELECT 1", None)
        .await
        .unwrap();
    let crashed = fs::read(world.path("ledger/ledger.jsonl")).unwrap();
    drop(results);
    local.ledger.shutdown().await.unwrap();
    drop(local);
    let after = Scratch::demo();
    after.write(
        "ledger/ledger.jsonl",
        std::str::from_utf8(&crashed).unwrap(),
    );
    let local = Local::start(&after).await;
    let record = record(&local, &after, "SELECT * FROM care.visits").await;
    assert_eq!(record.outcome, Outcome::Abandoned, "{record:?}");
}
