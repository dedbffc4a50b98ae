//! Grafana's Flight SQL plug-in, which is built on an old arrow-go.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::HandshakeRequest;
use prost::Message as _;
use scrim::demo::world::{PASSWORD, persona};

use super::messages::{Value, set_options};
use super::{SqlInfo, shake_hands, statement, tables, texts};
use crate::client::{Client, MESSAGE_BYTES_MAX, basic};
use crate::kit::{Hosted, Scratch};

async fn connect(host: &Hosted, id: &str) -> Client {
    let mut client = Client::connect(host.address()).await;
    let credentials = basic(id, PASSWORD, false);
    let silent = futures::stream::pending::<HandshakeRequest>();
    client.token = Some(
        shake_hands(&mut client, &credentials, silent)
            .await
            .unwrap(),
    );
    let purpose = persona(id).unwrap().purpose.to_owned();
    client.headers.push(("x-scrim-purpose", purpose));
    client
}

#[tokio::test]
async fn grafana_checks_health_and_fills_its_menus() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let one = client.query("select 1").await.unwrap().batch();
    assert_eq!(one.column(0).as_primitive::<Int64Type>().values(), &[1]);
    SqlInfo::ask(&mut client, &[])
        .await
        .has_the_children_that_drivers_cast_to();
    // always these two types
    let mut command = tables(None, None, false);
    command.table_types = vec!["BASE TABLE".to_owned(), "table".to_owned()];
    let found = client.fetch(&command).await.unwrap().batch();
    assert_eq!(
        texts(&found, "table_name"),
        ["patients", "visits", "claims"]
    );
    command.table_name_filter_pattern = Some("visits".to_owned());
    command.include_schema = true;
    assert_eq!(client.fetch(&command).await.unwrap().batch().num_rows(), 1);
}

/// `Execute` refuses anything but one endpoint, so more of them come to nobody unasked.
#[tokio::test]
async fn grafana_gets_exactly_one_endpoint() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    for sql in [
        "SELECT * FROM care.visits",
        "SELECT ward, count(*) FROM care.visits GROUP BY ward",
        "SELECT a.visit_id FROM care.visits a JOIN care.visits b USING (visit_id)",
    ] {
        let info = client.info(&statement(sql)).await.unwrap();
        assert_eq!(info.endpoint.len(), 1, "{sql}");
    }
}

/// What one session asks for reaches no other one of the same account.
#[tokio::test]
async fn grafana_gets_one_endpoint_whatever_others_ask_for() {
    let host = Hosted::demo().await;
    let mut eager = connect(&host, "nora").await;
    let many = [("max_endpoints", Value::Int64(8))];
    assert_eq!(set_options(&mut eager, &many).await.unwrap(), []);
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT * FROM care.visits";
    eager.info(&statement(sql)).await.unwrap();
    assert_eq!(
        client.info(&statement(sql)).await.unwrap().endpoint.len(),
        1
    );
}

/// The plug-in keeps gRPC's limit of 4 MiB for what it receives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_gets_no_message_above_its_limit() {
    let world = Scratch::demo();
    let rows = 60_000;
    let wide = "w".repeat(200);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "at",
            Arc::new(TimestampMillisecondArray::from_iter_values(0..rows)),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values((0..rows).map(|_| &wide))),
        ),
    ];
    world.add_table("series", &[RecordBatch::try_from_iter(columns).unwrap()]);
    let host = Hosted::start(world).await;
    let mut client = connect(&host, "nora").await;
    let found = client
        .query("SELECT * FROM care.series ORDER BY at")
        .await
        .unwrap();
    assert!(found.messages.len() > 3);
    assert!(
        found
            .messages
            .iter()
            .all(|m| m.encoded_len() <= MESSAGE_BYTES_MAX)
    );
    assert_eq!(found.batch().num_rows(), rows as usize);
    // a time axis stays one: other types come out empty in its tables
    assert!(matches!(
        found.schema().field(0).data_type(),
        DataType::Timestamp(..)
    ));
}
