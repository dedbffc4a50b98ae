//! Tokens that follow one another, and sessions that end all the same.

use arrow_flight::sql::CommandPreparedStatementQuery;
use arrow_flight::{Empty, FlightDescriptor, Ticket};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::client::{Client, code, packed, statement};
use crate::kit::{Hosted, Scratch};

/// The token that a response carries, if it carries one.
fn fresh(metadata: &MetadataMap) -> Option<String> {
    let header = metadata.get("authorization")?.to_str().unwrap();
    Some(header.strip_prefix("Bearer ").unwrap().to_owned())
}

/// The token of an answer to a small question.
async fn ask(client: &mut Client) -> Result<Option<String>, Status> {
    let descriptor = FlightDescriptor::new_cmd(packed(&statement("SELECT 1")));
    let request = client.request(descriptor);
    let response = client.inner.get_flight_info(request).await?;
    Ok(fresh(response.metadata()))
}

/// The ledger's entries of a kind.
pub(crate) fn entries(world: &Scratch, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].take())
        .filter(|body| body["entry"] == kind)
        .collect()
}

pub(crate) fn with_session(times: &str) -> Scratch {
    let world = Scratch::demo();
    world.edit(
        "scrim.yaml",
        "session: {ttl: 8h}",
        &format!("session: {times}"),
    );
    world
}

#[tokio::test]
async fn every_good_answer_carries_a_fresh_token_in_the_last_quarter() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let prepared = client.prepare("SELECT 1").await.unwrap();
    host.clock
        .advance(TimeDelta::hours(6) - TimeDelta::seconds(1));
    assert_eq!(ask(&mut client).await.unwrap(), None);
    host.clock.advance(TimeDelta::seconds(1));
    assert!(ask(&mut client).await.unwrap().is_some());
    // a stream's headers come first
    let info = client.info(&statement("SELECT 1")).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let fetched = client.get(ticket.clone()).await.unwrap();
    assert!(fresh(&fetched.headers).is_some());
    assert!(fresh(&fetched.trailers).is_none());
    let listed = client.request(Empty::default());
    let listed = client.inner.list_actions(listed).await.unwrap();
    assert!(fresh(listed.metadata()).is_some());
    // a handshake with the old token gives the new one
    let old = client.token.clone().unwrap();
    let shaken = client.handshake(&format!("Bearer {old}")).await.unwrap();
    assert_ne!(shaken, old);
    // a refusal carries none, whether it comes from the door or from behind it
    let refused = client.query("SELECT nothing").await.unwrap_err();
    assert!(fresh(refused.metadata()).is_none());
    let garbage = client.get(Ticket::new("x")).await.unwrap_err();
    assert!(fresh(garbage.metadata()).is_none());
    client.token = Some("x".to_owned());
    assert!(ask(&mut client).await.is_err());
    // one entry, however many answers there were
    client.token = Some(shaken);
    assert_eq!(ask(&mut client).await.unwrap(), None);
    let handle = prepared.prepared_statement_handle;
    client.close_prepared(handle).await.unwrap();
    let world = host.stop().await;
    let renewed = entries(&world, "session_renewed");
    assert_eq!(renewed.len(), 1, "{renewed:?}");
    assert_eq!(renewed[0]["principal"], "nora");
    assert_eq!(renewed[0]["expires"], "2026-03-03T02:00:00Z");
    assert_eq!(
        renewed[0]["session"],
        entries(&world, "signed_in")[0]["session"]
    );
    scrim_ledger::verify(&world.path("ledger/ledger.jsonl")).unwrap();
}

#[tokio::test]
async fn what_belongs_to_a_session_outlives_its_first_token() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    client
        .sign_in("rolf", scrim::demo::world::PASSWORD)
        .await
        .unwrap();
    client
        .query("SET scrim.purpose = 'research'")
        .await
        .unwrap();
    let sql = "SELECT count(*) FROM care.patients";
    let handle = client.prepare(sql).await.unwrap().prepared_statement_handle;
    let old = client.token.clone();
    host.clock.advance(TimeDelta::hours(7));
    let ticket = client.info(&statement(sql)).await.unwrap().endpoint[0]
        .ticket
        .clone()
        .unwrap();
    client.token = ask(&mut client).await.unwrap();
    client.get(ticket.clone()).await.unwrap();
    host.clock.advance(TimeDelta::minutes(59));
    // the old token is good to its end
    let fresh = std::mem::replace(&mut client.token, old);
    client.get(ticket.clone()).await.unwrap();
    host.clock.advance(TimeDelta::minutes(2));
    let status = client.query(sql).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::Unauthenticated, "session-ended")
    );
    client.token = fresh;
    let prepared = CommandPreparedStatementQuery {
        prepared_statement_handle: handle,
    };
    client.fetch(&prepared).await.unwrap();
    let options = client.action("GetSessionOptions", Bytes::new()).await;
    let options = String::from_utf8_lossy(&options.unwrap()[0]).into_owned();
    assert!(options.contains("research"), "{options}");
}

#[tokio::test]
async fn inv_14_no_session_lasts_for_ever() {
    let host = Hosted::start(with_session("{ttl: 8h, max: 15h}")).await;
    let mut client = Client::persona(host.address(), "nora").await;
    for hours in [7, 7] {
        host.clock.advance(TimeDelta::hours(hours));
        if let Some(token) = ask(&mut client).await.unwrap() {
            client.token = Some(token);
        }
    }
    host.clock.advance(TimeDelta::minutes(59));
    assert_eq!(ask(&mut client).await.unwrap(), None);
    host.clock.advance(TimeDelta::minutes(1));
    let status = ask(&mut client).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::Unauthenticated, "session-ended")
    );
    let world = host.stop().await;
    assert_eq!(entries(&world, "session_renewed").len(), 1);
}

#[tokio::test]
async fn a_closed_session_gets_no_token_and_loses_all_it_had() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    host.clock.advance(TimeDelta::hours(7));
    let old = client.token.clone();
    let fresh_token = ask(&mut client).await.unwrap();
    let close = client.request(arrow_flight::Action::new("CloseSession", Bytes::new()));
    let closed = client.inner.do_action(close).await.unwrap();
    assert_eq!(fresh(closed.metadata()), None);
    for token in [&old, &fresh_token] {
        client.token.clone_from(token);
        let status = ask(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    // a restart forgets nothing, and an account that is gone gets nothing
    let mut other = Client::persona(host.address(), "ivan").await;
    host.clock.advance(TimeDelta::hours(7));
    let world = host.stop().await;
    let accounts = std::fs::read_to_string(world.path("accounts.yaml")).unwrap();
    let without_ivan: Vec<_> = accounts
        .lines()
        .filter(|l| !l.contains("id: ivan,"))
        .collect();
    world.write("accounts.yaml", &without_ivan.join("\n"));
    let host = Hosted::start(world).await;
    host.clock.advance(TimeDelta::hours(14));
    let mut client = Client::connect(host.address()).await;
    other.inner = client.inner.clone();
    assert_eq!(
        ask(&mut other).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    client.token = fresh_token;
    let status = ask(&mut client).await.unwrap_err();
    assert_eq!(code(&status), "session-ended");
}

/// How a stream that computes for long ends, when it is asked for shortly before its token's end.
async fn end_of_a_long_stream(times: &str) -> String {
    let host = Hosted::start(with_session(times)).await;
    let mut client = Client::persona(host.address(), "nora").await;
    host.clock
        .advance(TimeDelta::hours(8) - TimeDelta::milliseconds(400));
    let sql =
        "SELECT count(*) FROM care.visits a CROSS JOIN care.visits b CROSS JOIN care.visits c";
    let info = client.info(&statement(sql)).await.unwrap();
    let mut request = client.request(info.endpoint[0].ticket.clone().unwrap());
    request
        .metadata_mut()
        .insert("grpc-timeout", "1500m".parse().unwrap());
    let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
    host.clock.advance(TimeDelta::milliseconds(400));
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a quiet end"),
            Err(status) => return code(&status).to_owned(),
        }
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_not_with_a_token_that_was_renewed() {
    assert_eq!(end_of_a_long_stream("{ttl: 8h, max: 8h}").await, "revoked");
    assert_eq!(end_of_a_long_stream("{ttl: 8h}").await, "time-limit");
}

#[tokio::test]
async fn inv_14_too_many_sessions_end_the_one_that_was_idle_longest() {
    let world = Scratch::demo();
    world.edit(
        "scrim.yaml",
        "concurrent_per_principal: 8",
        "concurrent_per_principal: 8, sessions_per_principal: 2",
    );
    let host = Hosted::start(world).await;
    let mut first = Client::persona(host.address(), "nora").await;
    let mut second = Client::persona(host.address(), "nora").await;
    let mut another = Client::persona(host.address(), "ivan").await;
    ask(&mut first).await.unwrap();
    let mut third = Client::persona(host.address(), "nora").await;
    let status = ask(&mut second).await.unwrap_err();
    assert_eq!(code(&status), "session-ended");
    for client in [&mut first, &mut third, &mut another] {
        ask(client).await.unwrap();
    }
    // a client that never closes its sessions can go on for ever
    for _ in 0..8 {
        let mut client = Client::persona(host.address(), "nora").await;
        ask(&mut client).await.unwrap();
    }
    let host = Hosted::start(host.stop().await).await;
    second.inner = Client::connect(host.address()).await.inner;
    assert_eq!(code(&ask(&mut second).await.unwrap_err()), "session-ended");
    let world = host.stop().await;
    assert_eq!(entries(&world, "signed_in").len(), 12);
    assert_eq!(entries(&world, "session_closed").len(), 9);
}
