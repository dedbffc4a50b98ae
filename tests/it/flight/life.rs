//! Sessions that close, streams that are dropped, servers that stop.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use scrim_ledger::{Outcome, Record};
use tonic::Code;

use crate::client::{Client, code, statement};
use crate::kit::{Hosted, Scratch, read_ledger};

/// The records, once every one is closed: a stream that a client drops ends a moment later.
async fn closed_records(world: &Scratch) -> Vec<Record> {
    for _ in 0..500 {
        let records = read_ledger(&world.path("ledger/ledger.jsonl"));
        if records.iter().all(|record| record.outcome != Outcome::Open) {
            return records;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a record stays open");
}

#[tokio::test]
async fn closing_a_session_kills_its_token_tickets_and_statements() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let mut other = Client::persona(host.address(), "nora").await;
    let ticket = client.ticket("SELECT 1").await;
    let handle = client.handle("SELECT 1").await;
    let answer = client.action("CloseSession", Bytes::new()).await.unwrap();
    // CLOSED
    assert_eq!(answer, [Bytes::from_static(&[0x08, 0x01])]);
    for status in [
        client.query("SELECT 1").await.unwrap_err(),
        client.get(ticket).await.unwrap_err(),
        client.prepare("SELECT 1").await.unwrap_err(),
        client.close_prepared(handle).await.unwrap_err(),
        client
            .action("CloseSession", Bytes::new())
            .await
            .unwrap_err(),
        client
            .handshake(&format!("Bearer {}", client.token.clone().unwrap()))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    // another session of the same account lives on
    other.query("SELECT 1").await.unwrap();
    // a restart forgets nothing
    let token = client.token.clone();
    let host = Hosted::start(host.stop().await).await;
    let mut client = Client::connect(host.address()).await;
    client.token = token;
    assert_eq!(
        client.query("SELECT 1").await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn inv_05_a_dropped_stream_is_closed_as_abandoned() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    // many rows, so that it cannot be over before it is dropped
    let sql = "SELECT a.visit_id, b.visit_id FROM care.visits a CROSS JOIN care.visits b";
    let mut stream = client.stream(sql).await;
    assert!(stream.message().await.unwrap().is_some());
    assert!(stream.message().await.unwrap().is_some());
    drop(stream);
    let records = closed_records(&host.world).await;
    let record = records.iter().find(|record| record.sql == sql).unwrap();
    assert_eq!(record.outcome, Outcome::Abandoned);
    assert!(record.rows.is_some_and(|rows| rows > 0), "{record:?}");
    // its place is free again
    for _ in 0..20 {
        client
            .query("SELECT count(*) FROM care.patients")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn inv_05_every_record_is_closed_once_with_its_outcome() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    let count = "SELECT count(*) FROM care.patients";
    client.query(count).await.unwrap();
    let fails = "SELECT 1 / (length(ward) - length(ward)) FROM care.patients";
    client.query(fails).await.unwrap_err();
    let refused = "SELECT full_name FROM care.patients";
    client.query(refused).await.unwrap_err();
    // announced and never fetched: an announcement reads nothing and opens nothing
    let never = "SELECT ward FROM care.visits";
    client.info(&statement(never)).await.unwrap();
    let world = host.stop().await;
    let records = world.records();
    let outcome = |sql: &str| -> Vec<_> {
        records
            .iter()
            .filter(|r| r.sql == sql)
            .map(|r| (r.outcome, r.code.clone()))
            .collect()
    };
    assert_eq!(outcome(count), [(Outcome::Completed, None)]);
    assert_eq!(
        outcome(fails),
        [(Outcome::Failed, Some("divide-by-zero".to_owned()))]
    );
    assert_eq!(
        outcome(refused),
        [(Outcome::Refused, Some("name-not-found".to_owned()))]
    );
    assert_eq!(outcome(never), []);
    let record = records.iter().find(|r| r.sql == count).unwrap();
    assert_eq!(
        (record.principal.as_str(), record.org.as_str()),
        ("rolf", "meridian")
    );
    assert_eq!(record.purpose.as_deref(), Some("research"));
    assert_eq!(record.tables, ["scrim.care.patients"]);
    assert_eq!(record.agreements, ["meridian-patients"]);
    assert_eq!(
        (record.rows, record.address),
        (Some(1), Some([127, 0, 0, 1].into()))
    );
    let ids: BTreeSet<_> = records.iter().map(|record| record.query).collect();
    assert_eq!(ids.len(), records.len());
    scrim_ledger::verify(&world.path("ledger/ledger.jsonl")).unwrap();
}

#[tokio::test]
async fn inv_15_the_ledger_holds_statements_but_no_secret_and_no_value() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    client
        .query("SELECT full_name, contact FROM care.patients")
        .await
        .unwrap();
    client
        .query("SELECT CAST(full_name AS INT) FROM care.patients")
        .await
        .unwrap_err();
    let token = client.token.clone().unwrap();
    let world = host.stop().await;
    let text = std::fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    assert!(text.contains("SELECT full_name, contact FROM care.patients"));
    let keys = std::fs::read_to_string(world.path("keys.json")).unwrap();
    let keys: Vec<&str> = keys.split('"').filter(|word| word.len() >= 40).collect();
    assert!(keys.len() >= 2, "no keys in the key file");
    let secrets = [
        &token[..],
        "argon2",
        "Zoë",
        "canary-",
        "zoe.angstrom",
        "\"demo\"",
    ];
    for secret in secrets.into_iter().chain(keys) {
        assert!(!text.contains(secret), "{secret:.12}");
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_streams_end_and_refuses_new_calls() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let mut stream = client.stream("SELECT * FROM care.visits").await;
    stream.message().await.unwrap();
    let stopping = tokio::spawn(host.stop());
    let mut rows = 0;
    while let Some(message) = stream.message().await.unwrap() {
        rows += usize::from(!message.data_body.is_empty());
    }
    assert!(rows > 0);
    drop((stream, client));
    let world = stopping.await.unwrap();
    let records = world.records();
    assert!(
        records
            .iter()
            .all(|record| record.outcome == Outcome::Completed),
        "{records:?}"
    );
    let text = std::fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    assert!(text.lines().last().unwrap().contains("server_stopped"));
}

#[tokio::test]
async fn many_connections_at_once_all_get_their_own_answer() {
    let host = Hosted::demo().await;
    let mut clients = Vec::new();
    for id in ["nora", "ivan", "rhea", "rolf"] {
        clients.push(Client::persona(host.address(), id).await);
    }
    let calls = clients
        .iter()
        .flat_map(|client| (0..4).map(move |_| client.clone()))
        .map(|mut client| async move {
            let sql =
                "SELECT ward, birth_date FROM care.patients ORDER BY ward, birth_date LIMIT 50";
            let fetched = client.query(sql).await?;
            Ok::<_, tonic::Status>(fetched.batch().columns().to_vec())
        });
    let answers = futures::future::join_all(calls).await;
    for chunk in answers.chunks(4) {
        let first = chunk[0].as_ref().unwrap();
        assert!(chunk.iter().all(|answer| answer.as_ref().unwrap() == first));
    }
    let first = answers[0].as_ref().unwrap();
    assert_ne!(first, answers[4].as_ref().unwrap());
}

#[tokio::test]
async fn a_deadline_of_the_client_ends_a_stream_with_its_code() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql =
        "SELECT count(*) FROM care.visits a CROSS JOIN care.visits b CROSS JOIN care.visits c";
    let ticket = client.ticket(sql).await;
    let mut request = client.request(ticket);
    // long enough for the first answer of a busy machine, far too short for the last
    request
        .metadata_mut()
        .insert("grpc-timeout", "2S".parse().unwrap());
    let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a quiet end"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), code(&status)),
        (Code::DeadlineExceeded, "time-limit"),
        "{status:?}"
    );
    let records = closed_records(&host.world).await;
    let record = records.iter().find(|record| record.sql == sql).unwrap();
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("time-limit"))
    );
}
