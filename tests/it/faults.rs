//! What happens when the ledger, a source, a limit or the engine itself gives way: no data without
//! a record, a clear code, one end for each record, and the next query works.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::{StreamExt, TryStreamExt};
use scrim_engine::{Engine, Results};
use scrim_identity::read_key_file;
use scrim_ledger::{Outcome, Record};
use scrim_model::{Code, Refusal};
use scrim_server::load::{self, Inputs};
use scrim_server::{Server, StartError};

use crate::client::{Client, code, is_clean, statement};
use crate::kit::{Hosted, Local, Scratch, TestClock, read_ledger};

const COUNT: &str = "SELECT count(*) FROM care.patients";

/// Somebody else writes into the ledger: from now on it takes nothing more.
fn break_ledger(world: &Scratch) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(world.path("ledger/ledger.jsonl"))
        .unwrap();
    file.write_all(b"\n").unwrap();
}

async fn record(local: &Local, world: &Scratch, sql: &str) -> Record {
    local.ledger.shutdown().await.unwrap();
    let records = read_ledger(&world.path("ledger/ledger.jsonl"));
    let mut of: Vec<_> = records
        .into_iter()
        .filter(|record| record.sql == sql)
        .collect();
    assert_eq!(of.len(), 1, "{of:?}");
    of.remove(0)
}

async fn refused(local: &Local, id: &str, sql: &str) -> Refusal {
    match local.rows(&local.usual(id), sql, None).await {
        Ok((_, batches)) => panic!("{sql}: {batches:?}"),
        Err(refusal) => refusal,
    }
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
async fn inv_04_no_ledger_no_data_over_the_wire_and_no_new_sessions() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let ticket = client.info(&statement(COUNT)).await.unwrap().endpoint[0]
        .ticket
        .clone()
        .unwrap();
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
        .rows(
            &local.usual("ivan"),
            "SELECT count(*) FROM insurance.claims",
            None,
        )
        .await
        .unwrap();
    fs::rename(&aside, &path).unwrap();
    let (_, after) = local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    assert_eq!(before, after);
    let record = record(&local, &world, sql).await;
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("source-unavailable"))
    );
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
            .rows(
                &local.usual("ivan"),
                "SELECT count(*) FROM insurance.claims",
                None,
            )
            .await
            .unwrap();
        let record = record(&local, &world, sql).await;
        assert_eq!(
            (record.outcome, record.code.as_deref()),
            (Outcome::Failed, Some("source-unavailable")),
            "{what}"
        );
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
    assert_eq!(refusal.code(), Code::SourceUnavailable, "{refusal}");
}

/// A table that is read in many steps.
fn with_long_table() -> Scratch {
    let world = Scratch::demo();
    let batches: Vec<RecordBatch> = (0..60)
        .map(|group| {
            let ids = (0..8_192_i64).map(|row| group * 8_192 + row);
            // different for each row, so that the file is large
            let text = ids.clone().map(|id| {
                format!(
                    "{:064x}",
                    (id as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                )
            });
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
                ("text", Arc::new(StringArray::from_iter_values(text))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        })
        .collect();
    world.add_table("long", &batches);
    world
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
        Code::SourceUnavailable,
        "{refusal} {:?}",
        refusal.detail()
    );
    assert!(results.next().await.is_none(), "an ended query goes on");
    local.rows(&local.usual("nora"), COUNT, None).await.unwrap();
    let record = record(&local, &world, sql).await;
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("source-unavailable"))
    );
    assert!(
        record
            .rows
            .is_some_and(|rows| (8_192..60 * 8_192).contains(&rows)),
        "{record:?}"
    );
}

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
        assert!(local.engine.visible(&of).is_ok());
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

#[tokio::test]
async fn keys_that_others_can_read_stop_the_start() {
    let world = Scratch::demo();
    let path = world.path("keys.json");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Server::start(world.config(), TestClock::noon()).await.err();
        assert!(
            matches!(error, Some(StartError::Keys(_))),
            "{mode:o}: {error:?}"
        );
        let text = error.unwrap().to_string();
        assert!(
            text.contains("keys.json") && text.contains("chmod 600"),
            "{text}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Hosted::start(world).await;
}

#[tokio::test]
async fn broken_keys_and_accounts_stop_the_start() {
    for (file, text) in [
        ("keys.json", "{}"),
        ("keys.json", "garbage"),
        ("accounts.yaml", "accounts:\n  - {id: nora}\n"),
        ("accounts.yaml", "accounts: 7\n"),
        (
            "accounts.yaml",
            "accounts:\n  - {id: a, org: b, groups: [], roles: [], kind: human, password_hash: \"plain\"}\n",
        ),
        (
            "accounts.yaml",
            "accounts:\n  - {id: a, org: b, kind: human, attributes: {unheard: 1}, password_hash: \"x\"}\n",
        ),
    ] {
        let world = Scratch::demo();
        // written in place, so the mode stays
        fs::write(world.path(file), text).unwrap();
        let error = Server::start(world.config(), TestClock::noon()).await.err();
        let error = error
            .unwrap_or_else(|| panic!("{file}: {text}"))
            .to_string();
        assert!(error.contains(file), "{text}: {error}");
        assert!(!error.contains("garbage"), "{error}");
    }
}

/// Puts the world of a folder into an engine that has one already.
async fn reload(local: &Local, engine: &Engine) {
    let keys = read_key_file(&local.config.keys).unwrap();
    let loaded = load::policies(&Inputs::from(&local.config), keys.root_key(), engine).await;
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
    reload(&local, &local.engine).await;
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
    let all = client
        .info(&statement("SELECT * FROM care.patients"))
        .await
        .unwrap();
    let one = client
        .info(&statement("SELECT zip FROM care.patients"))
        .await
        .unwrap();
    let kept = client
        .info(&statement("SELECT ward FROM care.patients"))
        .await
        .unwrap();
    host.world.edit(
        "policies/contracts/patients.odcs.yaml",
        "zip: {mask: zip3}",
        "zip: hidden",
    );
    host.reload().await;
    let ticket = |info: &arrow_flight::FlightInfo| info.endpoint[0].ticket.clone().unwrap();
    let status = client.get(ticket(&all)).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (tonic::Code::FailedPrecondition, "result-changed")
    );
    let status = client.get(ticket(&one)).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (tonic::Code::PermissionDenied, "revoked")
    );
    client.get(ticket(&kept)).await.unwrap();
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
