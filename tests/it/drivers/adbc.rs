//! The ADBC driver's Go core: Python, R, C++, Rust, C# and with them pandas, polars, DuckDB.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandPreparedStatementQuery};
use arrow_flight::{FlightDescriptor, HandshakeRequest};
use bytes::Bytes;
use chrono::TimeDelta;
use scrim::demo::world::{PASSWORD, persona};
use tonic::Code;

use super::messages::{Value, get_options, set_options, text};
use super::{
    SqlInfo, ask_prepared, read_all, shake_hands, statement, table_schema, tables, tables_fields,
    texts, utf8,
};
use crate::client::{Client, basic, is_clean, packed};
use crate::kit::Hosted;

/// Credentials without padding; arrow-go waits for the answer's headers before it sends anything.
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
    // Can it do transactions? The answer is cast to an Int32 array without asking.
    let info = SqlInfo::ask(&mut client, &[8]).await;
    assert_eq!(info.codes(), [8]);
    let (child, value) = info.get(8);
    assert_eq!((child, value.as_primitive::<Int32Type>().value(0)), (3, 0));
    client
}

#[tokio::test]
async fn adbc_connects_and_closes() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    ask_prepared(&mut client, "SELECT 1").await.unwrap();
    // always, on close
    let closed = client.action("CloseSession", Bytes::new()).await.unwrap();
    assert_eq!(closed, [Bytes::from_static(&[0x08, 0x01])]);
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn adbc_gets_objects_at_every_depth() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    // rdr.Schema().Equal(expected): names, types, nullability and the fields' metadata
    let found = client.fetch(&CommandGetCatalogs {}).await.unwrap();
    assert_eq!(
        found.schema().fields(),
        Schema::new(vec![utf8("catalog_name", false)]).fields()
    );
    let command = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: Some("%".to_owned()),
    };
    let found = client.fetch(&command).await.unwrap();
    let expected = vec![utf8("catalog_name", true), utf8("db_schema_name", false)];
    assert_eq!(found.schema().fields(), Schema::new(expected).fields());
    for include_schema in [false, true] {
        let command = tables(Some("%"), Some("%"), include_schema);
        let found = client.fetch(&command).await.unwrap();
        let expected = Schema::new(tables_fields(include_schema));
        assert_eq!(found.schema().fields(), expected.fields());
        assert_eq!(texts(&found.batch(), "table_name").len(), 3);
    }
    // what is asked for about itself: GetInfo
    let info = SqlInfo::ask(&mut client, &[0, 1, 2, 4, 5, 6, 7]).await;
    assert_eq!(info.codes(), [0, 1, 2, 4, 5, 6, 7]);
    info.has_the_children_that_drivers_cast_to();
}

#[tokio::test]
async fn adbc_gets_a_tables_schema_from_the_first_batch() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let info = client
        .info(&tables(Some("care"), Some("visits"), true))
        .await
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let first = client.get(ticket).await.unwrap().batches().remove(0);
    assert_eq!(texts(&first, "table_name"), ["visits"]);
    let schema = table_schema(&first, 0);
    let all = client
        .query("SELECT * FROM care.visits LIMIT 0")
        .await
        .unwrap();
    let names = |schema: &Schema| -> Vec<_> {
        let fields = schema.fields().iter();
        fields
            .map(|f| (f.name().clone(), f.data_type().clone()))
            .collect()
    };
    assert_eq!(names(&schema), names(&all.schema()));
}

#[tokio::test]
async fn adbc_prepares_whatever_it_is_told_to_run() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    for sql in [
        "SELECT count(*), min(visit_id), max(cost) FROM care.visits",
        "SELECT * FROM care.patients WHERE false",
        "SELECT 1 AS a, 'b' AS b, NULL",
        "EXPLAIN SELECT * FROM care.visits",
        "SHOW TABLES",
        "SET scrim.purpose = 'operations'",
    ] {
        ask_prepared(&mut client, sql).await.unwrap();
    }
    // only UNIMPLEMENTED lets it fall back to a plain statement, and would hide the reason
    for sql in [
        "SELEC 1",
        "SELECT * FROM care.nothing",
        "DROP TABLE care.patients",
    ] {
        let status = client.prepare(sql).await.unwrap_err();
        assert_ne!(status.code(), Code::Unimplemented, "{sql}");
        is_clean(&status);
    }
}

#[tokio::test]
async fn adbc_binds_and_reads_one_answer() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT full_name FROM care.patients WHERE ward = ?";
    let prepared = client.prepare(sql).await.unwrap();
    let parameters = try_schema_from_ipc_buffer(&prepared.parameter_schema).unwrap();
    assert_eq!(parameters.field(0).data_type(), &DataType::Utf8);
    for (ward, rows) in [("Lighthouse", 1), ("nowhere", 0)] {
        let column: ArrayRef = Arc::new(StringArray::from(vec![ward]));
        // Python names its columns by number
        let row = RecordBatch::try_from_iter([("0", column)]).unwrap();
        let first = prepared.prepared_statement_handle.clone();
        let prepared_statement_handle = client.bind(first, row).await.unwrap();
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle,
        };
        let info = client.info(&command).await.unwrap();
        let found = read_all(&client, &info).await.remove(0).batch();
        assert_eq!(found.num_rows(), rows, "{ward}");
    }
}

#[tokio::test]
async fn adbc_knows_a_schema_without_a_run() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT ward, count(*) AS n FROM care.patients GROUP BY ward";
    let descriptor = || FlightDescriptor::new_cmd(packed(&statement(sql)));
    let request = client.request(descriptor());
    let answer = client.inner.get_schema(request).await.unwrap().into_inner();
    let schema = Schema::try_from(&answer).unwrap();
    assert_eq!(
        schema.fields(),
        client.query(sql).await.unwrap().schema().fields()
    );
    // incremental execution: the info is read every time, no descriptor means that it is complete
    let request = client.request(descriptor());
    let polled = client
        .inner
        .poll_flight_info(request)
        .await
        .unwrap()
        .into_inner();
    assert!(polled.flight_descriptor.is_none());
    let info = polled.info.unwrap();
    let rows: usize = read_all(&client, &info)
        .await
        .iter()
        .map(|f| f.batch().num_rows())
        .sum();
    assert!(rows > 1);
}

#[tokio::test]
async fn adbc_has_a_current_catalog_and_schema() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let options = get_options(&mut client).await.unwrap();
    assert_eq!(options.get("catalog"), Some(&text("scrim")));
    assert!(options.contains_key("schema"));
    let chosen = [("catalog", text("scrim")), ("schema", text("insurance"))];
    assert_eq!(set_options(&mut client, &chosen).await.unwrap(), []);
    let options = get_options(&mut client).await.unwrap();
    assert_eq!(options.get("schema"), Some(&text("insurance")));
    ask_prepared(&mut client, "SELECT count(*) FROM claims")
        .await
        .unwrap();
    let wrong = [("schema", text("nowhere"))];
    let errors = set_options(&mut client, &wrong).await.unwrap();
    assert_eq!(errors, [("schema".to_owned(), 2)]);
}

/// `adbc.flight.sql.session.option.…` and its typed forms.
#[tokio::test]
async fn adbc_sets_options_of_every_type() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let options = [
        ("time_zone", text("Europe/Berlin")),
        ("native_types", Value::Bool(true)),
        ("max_endpoints", Value::Int64(4)),
    ];
    assert_eq!(set_options(&mut client, &options).await.unwrap(), []);
    let found = get_options(&mut client).await.unwrap();
    for (name, _) in &options {
        assert!(found.contains_key(*name), "{name}: {found:?}");
    }
    for (name, value) in [
        ("time_zone", text("Nowhere/Land")),
        ("native_types", text("perhaps")),
        ("max_endpoints", Value::Int64(-1)),
    ] {
        let errors = set_options(&mut client, &[(name, value)]).await.unwrap();
        assert_eq!(errors, [(name.to_owned(), 2)]);
    }
    let found = client
        .query("SELECT arrow_cast('a', 'Utf8View') AS v")
        .await
        .unwrap();
    assert_eq!(found.schema().field(0).data_type(), &DataType::Utf8View);
    // and what one session has chosen, no other has
    let mut other = connect(&host, "nora").await;
    let found = other
        .query("SELECT arrow_cast('a', 'Utf8View') AS v")
        .await
        .unwrap();
    assert_eq!(found.schema().field(0).data_type(), &DataType::Utf8);
}

#[tokio::test]
async fn adbc_reads_partitions_over_further_connections() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT visit_id FROM care.visits";
    let info = client.info(&statement(sql)).await.unwrap();
    let mut second = Client::connect(host.address()).await;
    second.token.clone_from(&client.token);
    second.headers.clone_from(&client.headers);
    // each is read again after a failure
    for reader in [&second, &client, &second] {
        assert_eq!(rows(reader, &info).await, rows(&client, &info).await);
    }
}

async fn rows(client: &Client, info: &arrow_flight::FlightInfo) -> Vec<i64> {
    let mut ids = Vec::new();
    for fetched in read_all(client, info).await {
        let batch = fetched.batch();
        ids.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    ids.sort_unstable();
    ids
}

/// Opt-in: one client opens all of them at once, and each can be read again by itself.
#[tokio::test]
async fn adbc_reads_several_endpoints_when_it_asks_for_them() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT visit_id FROM care.visits";
    let whole = client.info(&statement(sql)).await.unwrap();
    assert_eq!(whole.endpoint.len(), 1);
    let whole = rows(&client, &whole).await;
    client.headers.push(("x-max-endpoints", "4".to_owned()));
    let info = client.info(&statement(sql)).await.unwrap();
    assert!(
        (1..=4).contains(&info.endpoint.len()),
        "{}",
        info.endpoint.len()
    );
    for _ in 0..2 {
        assert_eq!(rows(&client, &info).await, whole);
    }
    // an order over all is an order over the endpoints
    let sql = "SELECT visit_id FROM care.visits ORDER BY visit_id DESC";
    let info = client.info(&statement(sql)).await.unwrap();
    assert!(info.ordered || info.endpoint.len() == 1);
    let mut last = i64::MAX;
    for fetched in read_all(&client, &info).await {
        for id in fetched
            .batch()
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
        {
            assert!(*id < last);
            last = *id;
        }
    }
}

/// An `authorization` header of any response replaces the token that the driver holds.
#[tokio::test]
async fn adbc_follows_a_rotated_token() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let descriptor = || FlightDescriptor::new_cmd(packed(&statement("SELECT 1")));
    let early = client.request(descriptor());
    let early = client.inner.get_flight_info(early).await.unwrap();
    assert!(early.metadata().get("authorization").is_none(), "too early");
    // the demo's sessions live for eight hours
    host.clock.advance(TimeDelta::minutes(8 * 60 - 1));
    let late = client.request(descriptor());
    let late = client.inner.get_flight_info(late).await.unwrap();
    let token = late
        .metadata()
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap();
    let token = token.strip_prefix("Bearer ").unwrap().to_owned();
    host.clock.advance(TimeDelta::minutes(2));
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    client.token = Some(token);
    ask_prepared(&mut client, "SELECT count(*) FROM care.patients")
        .await
        .unwrap();
}
