//! Streams that end before their time: cancelled, closed, dropped, left alone; and that nothing of
//! them is left.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any, CommandGetTables};
use arrow_flight::{
    ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Empty, FlightData,
    FlightInfo, Ticket,
};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};
use prost::Message as _;
use scrim_ledger::{Outcome, Record};
use tokio::sync::watch;
use tonic::{Code, Status, Streaming};

use crate::client::{Client, code, error_info, is_clean, packed, statement};
use crate::kit::{Hosted, Scratch, read_ledger};

/// More rows than any connection holds.
pub(super) const MANY: &str =
    "SELECT a.visit_id, b.visit_id FROM care.visits a CROSS JOIN care.visits b";
/// Much work before the first row.
const WORK: &str =
    "SELECT count(*) FROM care.visits a CROSS JOIN care.visits b CROSS JOIN care.visits c";

pub(super) fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

pub(super) async fn open(
    client: &mut Client,
    ticket: Ticket,
) -> Result<Streaming<FlightData>, Status> {
    let mut stream = client
        .inner
        .do_get(client.request(ticket))
        .await?
        .into_inner();
    assert!(stream.message().await?.is_some(), "the schema");
    Ok(stream)
}

/// Reads to the end, which must be an error.
pub(super) async fn end_of(stream: &mut Streaming<FlightData>) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a quiet end"),
            Err(status) => {
                is_clean(&status);
                return status;
            }
        }
    }
}

/// Waits until nothing is left.
pub(super) async fn none(count: watch::Receiver<usize>, within: Duration) {
    left(0, count, within).await;
}

pub(super) async fn left(number: usize, mut count: watch::Receiver<usize>, within: Duration) {
    let gone = tokio::time::timeout(within, count.wait_for(|count| *count == number));
    assert!(gone.await.is_ok(), "{} are left", *count.borrow());
}

async fn nothing_runs(host: &Hosted) {
    none(host.engine().working(), Duration::from_secs(1)).await;
}

/// The one record of a statement, once it is closed.
pub(super) async fn record(world: &Scratch, sql: &str) -> Record {
    for _ in 0..500 {
        let records = read_ledger(&world.path("ledger/ledger.jsonl"));
        let closed = |r: &&Record| r.sql == sql && r.outcome != Outcome::Open;
        if let Some(record) = records.iter().find(closed) {
            return record.clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the record stays open");
}

async fn cancel(client: &mut Client, info: FlightInfo) -> Result<CancelStatus, Status> {
    let body = CancelFlightInfoRequest::new(info).encode_to_vec();
    let answers = client.action("CancelFlightInfo", body.into()).await?;
    let result = CancelFlightInfoResult::decode(answers[0].clone()).unwrap();
    Ok(CancelStatus::try_from(result.status).unwrap())
}

fn limited(limits: &str) -> Scratch {
    let world = Scratch::demo();
    let with = format!("concurrent_per_principal: 8, {limits}");
    world.edit("scrim.yaml", "concurrent_per_principal: 8", &with);
    world
}

#[tokio::test]
async fn cancelling_ends_what_runs_and_refuses_the_ticket() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut stream = open(&mut client, ticket(&info)).await.unwrap();
    assert_eq!(
        cancel(&mut client, info.clone()).await.unwrap(),
        CancelStatus::Cancelled
    );
    // The work ends at once, the reader hears of it when it reads on.
    nothing_runs(&host).await;
    let status = end_of(&mut stream).await;
    assert_eq!(
        (status.code(), code(&status)),
        (Code::Cancelled, "cancelled")
    );
    let record = record(&host.world, MANY).await;
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("cancelled"))
    );
    assert_eq!(
        error_info(&status).metadata["query_id"],
        record.query.to_string()
    );
    for _ in 0..2 {
        let status = open(&mut client, ticket(&info)).await.unwrap_err();
        assert_eq!(
            (status.code(), code(&status)),
            (Code::Cancelled, "cancelled")
        );
        // Once more is no error.
        cancel(&mut client, info.clone()).await.unwrap();
    }
    // The statement itself may run again.
    let again = client.info(&statement(MANY)).await.unwrap();
    drop(open(&mut client, ticket(&again)).await.unwrap());
    drop(stream);
    none(host.running().streams(), Duration::from_secs(1)).await;
    assert_eq!(host.running().counts().cancelled, 1);
}

#[tokio::test]
async fn a_ticket_that_was_never_used_can_be_cancelled_in_either_form() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement("SELECT 1")).await.unwrap();
    let request = ActionCancelQueryRequest {
        info: info.encode_to_vec().into(),
    };
    let answers = client
        .action("CancelQuery", packed(&request))
        .await
        .unwrap();
    let any = Any::decode(answers[0].clone()).unwrap();
    let result: ActionCancelQueryResult = any.unpack().unwrap().unwrap();
    assert_eq!(result.result, i32::from(CancelStatus::Cancelled));
    let status = client.get(ticket(&info)).await.unwrap_err();
    assert_eq!(code(&status), "cancelled");
    // An answer about metadata is there at once; there is nothing to cancel.
    let info = client.info(&CommandGetTables::default()).await.unwrap();
    assert_eq!(
        cancel(&mut client, info).await.unwrap(),
        CancelStatus::NotCancellable
    );
    let request = client.request(Empty {});
    let actions = client
        .inner
        .list_actions(request)
        .await
        .unwrap()
        .into_inner();
    let actions: Vec<ActionType> = actions.try_collect().await.unwrap();
    for name in ["CancelFlightInfo", "CancelQuery"] {
        assert!(actions.iter().any(|action| action.r#type == name), "{name}");
    }
}

#[tokio::test]
async fn inv_12_only_its_own_session_cancels_a_ticket() {
    let host = Hosted::demo().await;
    let mut nora = Client::persona(host.address(), "nora").await;
    let info = nora.info(&statement(MANY)).await.unwrap();
    let mut stream = open(&mut nora, ticket(&info)).await.unwrap();
    for id in ["ivan", "nora"] {
        let mut other = Client::persona(host.address(), id).await;
        let status = cancel(&mut other, info.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), code(&status)),
            (Code::PermissionDenied, "ticket-invalid")
        );
        // Not even among tickets of one's own.
        let mut mixed = other.info(&statement("SELECT 1")).await.unwrap();
        mixed.endpoint.extend(info.endpoint.clone());
        cancel(&mut other, mixed.clone()).await.unwrap_err();
        other.get(ticket(&mixed)).await.unwrap();
    }
    assert!(stream.message().await.unwrap().is_some());
    let mut empty = info.clone();
    empty.endpoint.clear();
    let mut tampered = info.clone();
    let touched = [&ticket(&info).ticket[..], b"x"].concat();
    tampered.endpoint[0].ticket = Some(Ticket::new(touched));
    let mut without = info;
    without.endpoint[0].ticket = None;
    for info in [empty, tampered, without] {
        let status = cancel(&mut nora, info).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(*host.running().streams().borrow(), 1);
}

#[tokio::test]
async fn closing_a_session_ends_its_streams_and_no_others() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let mut other = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut stream = open(&mut client, ticket(&info)).await.unwrap();
    let others = other.info(&statement(WORK)).await.unwrap();
    let mut lives = open(&mut other, ticket(&others)).await.unwrap();
    client.action("CloseSession", Bytes::new()).await.unwrap();
    let status = end_of(&mut stream).await;
    assert_eq!(
        (status.code(), code(&status)),
        (Code::PermissionDenied, "revoked")
    );
    assert_eq!(record(&host.world, MANY).await.outcome, Outcome::Revoked);
    left(1, host.engine().working(), Duration::from_secs(1)).await;
    other.action("CloseSession", Bytes::new()).await.unwrap();
    nothing_runs(&host).await;
    assert_eq!(code(&end_of(&mut lives).await), "revoked");
}

#[tokio::test]
async fn a_session_that_ends_by_itself_ends_its_streams_read_or_not() {
    let host = Hosted::start(super::renewal::with_session("{ttl: 8h, max: 8h}")).await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let end = TimeDelta::hours(8) - TimeDelta::milliseconds(500);
    host.clock.advance(end);
    let status = open(&mut client, ticket(&info)).await.unwrap_err();
    assert_eq!(code(&status), "ticket-expired");
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut stream = open(&mut client, ticket(&info)).await.unwrap();
    host.clock.advance(TimeDelta::milliseconds(500));
    // Not read.
    nothing_runs(&host).await;
    let status = end_of(&mut stream).await;
    assert_eq!(
        (status.code(), code(&status)),
        (Code::PermissionDenied, "revoked")
    );
}

#[tokio::test]
async fn a_deadline_ends_a_stream_that_is_not_read() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut request = client.request(ticket(&info));
    let metadata = request.metadata_mut();
    metadata.insert("grpc-timeout", "700m".parse().unwrap());
    let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    none(host.engine().working(), Duration::from_secs(3)).await;
    let record = record(&host.world, MANY).await;
    assert_eq!(record.code.as_deref(), Some("time-limit"));
}

#[tokio::test]
async fn a_dropped_connection_stops_the_work_within_a_second() {
    let host = Hosted::demo().await;
    for sql in [MANY, WORK] {
        let mut client = Client::persona(host.address(), "nora").await;
        let info = client.info(&statement(sql)).await.unwrap();
        let stream = open(&mut client, ticket(&info)).await.unwrap();
        assert_eq!(*host.engine().working().borrow(), 1);
        drop((stream, client));
        nothing_runs(&host).await;
        none(host.running().streams(), Duration::from_secs(1)).await;
        assert_eq!(record(&host.world, sql).await.outcome, Outcome::Abandoned);
    }
}

#[tokio::test]
async fn inv_14_a_reader_that_stands_still_is_ended_and_holds_little() {
    let host = Hosted::start(limited("idle_reader: 1s")).await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut stream = open(&mut client, ticket(&info)).await.unwrap();
    none(host.engine().working(), Duration::from_secs(5)).await;
    let record = record(&host.world, MANY).await;
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("reader-idle"))
    );
    // What was taken from the engine for a reader that took nothing.
    let bytes = record.bytes.unwrap();
    assert!((1..8 << 20).contains(&bytes), "{bytes} bytes");
    // Its place is its own until it goes: the transport still holds a message for it.
    assert_eq!(host.running().counts().streams, 1);
    let status = end_of(&mut stream).await;
    assert_eq!(
        (status.code(), code(&status)),
        (Code::Cancelled, "reader-idle")
    );
    drop(stream);
    none(host.running().streams(), Duration::from_secs(1)).await;
    // One that reads is left alone.
    let sql = "SELECT a.visit_id FROM care.visits a CROSS JOIN care.visits b LIMIT 300000";
    client.query(sql).await.unwrap();
}

#[tokio::test]
async fn inv_14_a_principal_has_only_so_many_streams() {
    let host = Hosted::start(limited("streams_per_principal: 3")).await;
    let mut client = Client::persona(host.address(), "nora").await;
    let info = client.info(&statement(MANY)).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&mut client, ticket(&info)).await.unwrap());
    }
    let mut same = Client::persona(host.address(), "nora").await;
    let tables = CommandGetTables::default();
    for status in [
        open(&mut client, ticket(&info)).await.unwrap_err(),
        same.query("SELECT 1").await.unwrap_err(),
        same.fetch(&tables).await.unwrap_err(),
    ] {
        assert_eq!(
            (status.code(), code(&status)),
            (Code::ResourceExhausted, "concurrency-limit")
        );
        is_clean(&status);
    }
    let mut other = Client::persona(host.address(), "ivan").await;
    other.query("SELECT 1").await.unwrap();
    streams.pop();
    let mut count = host.running().streams();
    count.wait_for(|count| *count == 2).await.unwrap();
    same.query("SELECT 1").await.unwrap();
}

fn row(text: &str) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
    RecordBatch::try_from_iter([("$1", column)]).unwrap()
}

/// Opens streams and statements and lets go of them at every stage.
async fn abandon(mut client: Client, rounds: usize) {
    let sql = "SELECT visit_id FROM care.visits";
    let ready = ticket(&client.info(&statement(sql)).await.unwrap());
    for round in 0..rounds {
        match round % 5 {
            // announced, and never fetched
            0 => drop(client.info(&statement("SELECT 1")).await.unwrap()),
            // dropped before the answer
            1 => {
                let mut inner = client.inner.clone();
                let call = inner.do_get(client.request(ready.clone()));
                drop(tokio::time::timeout(Duration::from_millis(1), call).await);
            }
            // dropped after the schema
            2 | 3 => match open(&mut client, ready.clone()).await {
                Ok(stream) => drop(stream),
                // The places of those that were just dropped are not yet free.
                Err(status) => assert_eq!(code(&status), "concurrency-limit", "{status:?}"),
            },
            // prepared and bound, and never closed
            _ => {
                let sql = "SELECT visit_id FROM care.visits WHERE ward = $1";
                let handle = client.prepare(sql).await.unwrap().prepared_statement_handle;
                client.bind(handle, row("Sunroom")).await.unwrap();
            }
        }
    }
    client.action("CloseSession", Bytes::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_thousands_that_are_abandoned_leave_nothing() {
    let host = Hosted::demo().await;
    let mut clients = Vec::new();
    for id in ["nora", "nora", "rolf", "rhea"] {
        clients.push(Client::persona(host.address(), id).await);
    }
    futures::stream::iter(clients)
        .for_each_concurrent(None, |client| abandon(client, 600))
        .await;
    none(host.running().streams(), Duration::from_secs(5)).await;
    none(host.engine().working(), Duration::from_secs(5)).await;
    assert_eq!(host.running().counts(), scrim_server::Counts::default());
    let world = host.stop().await;
    let records = world.records();
    assert!(records.iter().all(|record| record.outcome != Outcome::Open));
    assert!(records.len() > 500, "{} records", records.len());
}
