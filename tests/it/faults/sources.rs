//! Files that are gone, cut, overwritten or of another shape.

use std::fs::{self, OpenOptions};

use futures::StreamExt;
use scrim_ledger::{Outcome, Record};
use scrim_model::Code;

use super::{COUNT, record, refused, with_long_table};
use crate::kit::{Local, Scratch};

const CLAIMS: &str = "SELECT count(*) FROM insurance.claims";

fn failed(record: &Record) {
    failed_with(record, "source-unavailable");
}

fn failed_with(record: &Record, code: &str) {
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some(code)),
        "{record:?}"
    );
}

#[tokio::test]
async fn a_source_that_is_gone_is_a_clear_failure_and_comes_back() {
    let world = Scratch::demo_with_data();
    let local = Local::start(&world).await;
    let (_, before) = local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    let (path, aside) = (
        world.path("data/patients.parquet"),
        world.path("aside.parquet"),
    );
    fs::rename(&path, &aside).unwrap();
    let sql = "SELECT count(*) AS gone FROM care.patients";
    let refusal = refused(&local, "nora", sql).await;
    assert_eq!(refusal.code(), Code::SourceUnavailable, "{refusal}");
    assert!(!refusal.message().contains("parquet"), "{refusal}");
    // other tables are as they were
    local
        .rows(&local.usual("ivan"), CLAIMS, None)
        .await
        .unwrap();
    fs::rename(&aside, &path).unwrap();
    let (_, after) = local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    assert_eq!(before, after);
    failed(&record(&local, &world, sql).await);
}

#[tokio::test]
async fn a_folder_whose_files_are_gone_is_not_an_empty_table() {
    let world = Scratch::demo_with_data();
    let local = Local::start(&world).await;
    for part in ["part-0.parquet", "part-1.parquet"] {
        fs::remove_file(world.path("data/visits").join(part)).unwrap();
    }
    let refusal = refused(&local, "nora", "SELECT count(*) FROM care.visits").await;
    assert_eq!(refusal.code(), Code::SourceUnavailable, "{refusal}");
}

#[tokio::test]
async fn a_source_that_is_cut_or_overwritten_is_a_clear_failure() {
    for (what, damage) in [
        (
            "cut",
            (|bytes| bytes.truncate(bytes.len() / 2)) as fn(&mut Vec<u8>),
        ),
        ("empty", Vec::clear),
        ("no footer", |bytes| bytes.extend_from_slice(&[0; 64])),
        ("overwritten", |bytes| {
            let middle = bytes.len() / 2;
            bytes[4..middle].fill(0xff);
        }),
        ("of another kind", |bytes| *bytes = b"a,b\n1,2\n".to_vec()),
    ] {
        let world = Scratch::demo_with_data();
        let local = Local::start(&world).await;
        let path = world.path("data/claims.parquet");
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        damage(&mut bad);
        fs::write(&path, &bad).unwrap();
        let sql = "SELECT * FROM insurance.claims";
        let refusal = refused(&local, "ivan", sql).await;
        assert_eq!(
            refusal.code(),
            Code::SourceUnavailable,
            "{what}: {refusal} {:?}",
            refusal.detail()
        );
        fs::write(&path, &good).unwrap();
        local
            .rows(&local.usual("ivan"), CLAIMS, None)
            .await
            .unwrap();
        failed(&record(&local, &world, sql).await);
    }
}

#[tokio::test]
async fn a_source_with_other_columns_than_its_contract_is_a_clear_failure() {
    let world = Scratch::demo_with_data();
    let local = Local::start(&world).await;
    fs::copy(
        world.path("data/claims.parquet"),
        world.path("data/patients.parquet"),
    )
    .unwrap();
    let refusal = refused(&local, "nora", "SELECT full_name FROM care.patients").await;
    assert_eq!(refusal.code(), Code::SourceInvalid, "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_breaks_on_the_way_ends_the_stream_with_an_error() {
    let world = with_long_table();
    let local = Local::start(&world).await;
    let sql = "SELECT * FROM care.long";
    let mut results = local
        .engine
        .run(&local.usual("nora"), sql, None)
        .await
        .unwrap();
    results.next().await.unwrap().unwrap();
    let path = world.path("long.parquet");
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length / 10)
        .unwrap();
    let refusal = loop {
        match results.next().await {
            Some(Ok(_)) => {}
            Some(Err(refusal)) => break refusal,
            None => panic!("a quiet end after the file was cut"),
        }
    };
    assert_eq!(
        refusal.code(),
        Code::SourceChanged,
        "{refusal} {:?}",
        refusal.detail()
    );
    assert!(results.next().await.is_none(), "an ended query goes on");
    local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    let record = record(&local, &world, sql).await;
    failed_with(&record, "source-changed");
    assert!(
        record
            .rows
            .is_some_and(|rows| (8_192..60 * 8_192).contains(&rows)),
        "{record:?}"
    );
}
