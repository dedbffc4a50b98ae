//! Results in parts, and compressed: how a result is handed over never changes what it holds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow_flight::{FlightInfo, Ticket};
use tonic::{Code, Status};

use crate::client::{Client, MESSAGE_BYTES_MAX, code, is_clean, statement};
use crate::elsewhere::Base;
use crate::kit::{Hosted, Scratch};

const GROUPS: i64 = 8;
const ROWS: i64 = 3_000;

fn group(group: i64) -> RecordBatch {
    let ids = group * ROWS..(group + 1) * ROWS;
    let text = ids
        .clone()
        .map(|id| format!("row {id} of many rows that look alike"));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(text));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids), ("text", text)]).unwrap()
}

/// The demo world with a table that is shown whole, in several row groups.
fn world() -> Scratch {
    let world = Scratch::demo();
    let groups: Vec<RecordBatch> = (0..GROUPS).map(group).collect();
    world.add_table("measures", &groups);
    world
}

async fn asking(host: &Hosted, id: &str, endpoints: &str) -> Client {
    let mut client = Client::persona(host.address(), id).await;
    client
        .headers
        .push(("x-max-endpoints", endpoints.to_owned()));
    client
}

fn tickets(info: &FlightInfo) -> Vec<Ticket> {
    let tickets = info.endpoint.iter().map(|endpoint| {
        assert!(endpoint.location.is_empty());
        endpoint.ticket.clone().unwrap()
    });
    tickets.collect()
}

/// The ids of a result's first column, in its order.
async fn ids(client: &mut Client, ticket: Ticket) -> Result<Vec<i64>, Status> {
    let batch = client.get(ticket).await?.batch();
    let column = batch.column(0).as_primitive::<Int64Type>();
    Ok(column.values().to_vec())
}

#[tokio::test]
async fn parts_together_are_the_whole_and_each_can_be_fetched_again() {
    let host = Hosted::start(world()).await;
    let mut client = asking(&host, "nora", "4").await;
    for (sql, count) in [
        ("SELECT * FROM care.measures", GROUPS * ROWS),
        ("SELECT id FROM care.measures", GROUPS * ROWS),
        (
            "SELECT m.id, upper(m.text) FROM care.measures AS m WHERE m.id % 2 = 0",
            GROUPS * ROWS / 2,
        ),
        (
            "SELECT id FROM care.measures WHERE id < 3000 AND text LIKE 'row%'",
            3000,
        ),
    ] {
        let info = client.info(&statement(sql)).await.unwrap();
        let tickets = tickets(&info);
        assert_eq!(tickets.len(), 4, "{sql}");
        let mut rounds = Vec::new();
        for _ in 0..2 {
            let mut parts = Vec::new();
            for ticket in &tickets {
                parts.push(ids(&mut client, ticket.clone()).await.unwrap());
            }
            rounds.push(parts);
        }
        assert_eq!(rounds[0], rounds[1], "{sql}");
        let mut whole: Vec<i64> = rounds[0].concat();
        whole.sort_unstable();
        assert_eq!(whole.len() as i64, count, "{sql}");
        whole.dedup();
        assert_eq!(whole.len() as i64, count, "{sql}: rows came twice");
        if count == GROUPS * ROWS {
            let largest = rounds[0].iter().map(Vec::len).max().unwrap();
            assert!(largest < whole.len(), "{sql}: one part has all");
        }
    }
    // All at once, as ADBC does.
    let info = client
        .info(&statement("SELECT id FROM care.measures"))
        .await
        .unwrap();
    let calls = tickets(&info).into_iter().map(|ticket| {
        let mut client = client.clone();
        async move { ids(&mut client, ticket).await }
    });
    let parts = futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(parts.concat().len() as i64, GROUPS * ROWS);
}

/// Each part would be of another state of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_in_a_database_comes_whole() {
    let world = world();
    let base = Base::new(&world);
    base.take(&world, "measures");
    let host = Hosted::start(world).await;
    let mut client = asking(&host, "nora", "4").await;
    let sql = statement("SELECT id FROM care.measures");
    let tickets = tickets(&client.info(&sql).await.unwrap());
    let [ticket] = <[Ticket; 1]>::try_from(tickets).unwrap();
    let mut ids = ids(&mut client, ticket).await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, (0..GROUPS * ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_cut_comes_whole() {
    let host = Hosted::start(world()).await;
    let mut nora = asking(&host, "nora", "4").await;
    for sql in [
        "SELECT 1",
        "SELECT count(*) FROM care.measures",
        "SELECT * FROM care.measures LIMIT 10",
        "SELECT * FROM care.measures ORDER BY id",
        "SELECT DISTINCT text FROM care.measures",
        "SELECT a.id FROM care.measures a JOIN care.measures b ON a.id = b.id",
        "SELECT id FROM care.measures UNION ALL SELECT id FROM care.measures",
        "SELECT id FROM care.measures WHERE id IN (SELECT max(id) FROM care.measures)",
        "SELECT id, sum(id) OVER () FROM care.measures",
        "EXPLAIN SELECT id FROM care.measures",
        "SELECT * FROM information_schema.tables",
        // A guard withholds rows, and where the others lie would tell of them.
        "SELECT * FROM care.patients",
    ] {
        let info = nora.info(&statement(sql)).await.unwrap();
        assert_eq!(info.endpoint.len(), 1, "{sql}");
    }
    // Nobody gets what they did not ask for.
    let mut plain = Client::persona(host.address(), "nora").await;
    plain.query("SELECT id FROM care.measures").await.unwrap();
    // All parts may be fetched at once, so there are no more than may run at once.
    let mut many = asking(&host, "nora", "64").await;
    let info = many
        .info(&statement("SELECT id FROM care.measures"))
        .await
        .unwrap();
    assert_eq!(info.endpoint.len(), 8);
    let mut wrong = asking(&host, "nora", "many").await;
    let status = wrong.info(&statement("SELECT 1")).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::InvalidArgument, "request-invalid")
    );
}

#[tokio::test]
async fn parts_of_a_source_that_changed_are_refused() {
    let host = Hosted::start(world()).await;
    let mut client = asking(&host, "nora", "2").await;
    let sql = "SELECT id FROM care.measures";
    let old = tickets(&client.info(&statement(sql)).await.unwrap());
    ids(&mut client, old[0].clone()).await.unwrap();
    host.world.add_table("measures", &[group(0)]);
    for ticket in old {
        let status = ids(&mut client, ticket).await.unwrap_err();
        assert_eq!(
            (status.code(), code(&status)),
            (Code::FailedPrecondition, "result-changed")
        );
        is_clean(&status);
    }
    let new = tickets(&client.info(&statement(sql)).await.unwrap());
    let mut rows = 0;
    for ticket in new {
        rows += ids(&mut client, ticket).await.unwrap().len() as i64;
    }
    assert_eq!(rows, ROWS);
    // What was a whole table is one with hidden rows now.
    let cut = tickets(&client.info(&statement(sql)).await.unwrap());
    host.world.edit(
        "policies/contracts/measures.odcs.yaml",
        "owner: {default: clear}",
        "owner: {rows: id > 5, default: clear}",
    );
    host.reload().await;
    let status = ids(&mut client, cut[0].clone()).await.unwrap_err();
    assert_eq!(code(&status), "result-changed");
}

#[tokio::test]
async fn inv_14_parts_have_no_more_than_the_whole_may_have() {
    let world = world();
    world.edit("scrim.yaml", "rows: 10000000", "rows: 8000");
    let host = Hosted::start(world).await;
    let mut client = asking(&host, "nora", "8").await;
    let info = client
        .info(&statement("SELECT id FROM care.measures"))
        .await
        .unwrap();
    let mut rows = 0;
    for ticket in tickets(&info) {
        match ids(&mut client, ticket).await {
            Ok(ids) => rows += ids.len(),
            Err(status) => assert_eq!(code(&status), "row-limit", "{status:?}"),
        }
    }
    assert!(rows <= 8000, "{rows}");
}

#[tokio::test]
async fn results_are_compressed_when_asked_for_and_hold_the_same() {
    let host = Hosted::start(world()).await;
    let sql = "SELECT * FROM care.measures ORDER BY id";
    let mut client = Client::persona(host.address(), "nora").await;
    let plain = client.query(sql).await.unwrap();
    for kind in ["zstd", "lz4"] {
        let mut client = client.clone();
        client
            .headers
            .push(("x-scrim-compression", kind.to_owned()));
        let small = client.query(sql).await.unwrap();
        assert_eq!(small.batch().columns(), plain.batch().columns(), "{kind}");
        assert!(small.bytes().len() * 2 < plain.bytes().len(), "{kind}");
        let sizes = small.messages.iter().map(prost::Message::encoded_len);
        assert!(sizes.max().unwrap() <= MESSAGE_BYTES_MAX);
    }
    client
        .headers
        .push(("x-scrim-compression", "rar".to_owned()));
    let status = client.query(sql).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::InvalidArgument, "request-invalid")
    );
}
