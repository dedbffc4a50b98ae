//! The JDBC driver: DBeaver, Tableau, DataGrip, Metabase and whatever else runs on a JVM.

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandGetCatalogs, CommandGetCrossReference,
    CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetTableTypes,
    CommandPreparedStatementQuery, CommandStatementUpdate, SqlInfo as Known,
};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightData, FlightDescriptor,
    HandshakeRequest,
};
use bytes::Bytes;
use prost::Message as _;
use scrim::demo::world::PASSWORD;
use std::sync::Arc;
use tonic::Code;

use super::messages::{self, Prepared, set_options, text};
use super::{
    REMARKS, SqlInfo, ask_prepared, keys_of, read_all, shake_hands, statement, table_schema,
    tables, tables_fields, texts,
};
use crate::client::{Client, basic, is_clean, packed};
use crate::kit::Hosted;

fn one_empty() -> impl futures::Stream<Item = HandshakeRequest> + Send + 'static {
    futures::stream::iter([HandshakeRequest::default()])
}

/// What the driver does with `jdbc:arrow-flight-sql://…?user=…&password=…` and further properties:
/// those that it does not know itself are headers of every call.
async fn connect(host: &Hosted, id: &str, properties: &[(&'static str, &str)]) -> Client {
    let mut client = Client::connect(host.address()).await;
    let credentials = basic(id, PASSWORD, true);
    let token = shake_hands(&mut client, &credentials, one_empty())
        .await
        .unwrap();
    client.token = Some(token);
    let properties = properties
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    client.headers.extend(properties);
    // Netty's gRPC says so unasked; a server that took it up would burn everybody's CPU
    client
        .headers
        .push(("grpc-accept-encoding", "gzip".to_owned()));
    client
}

#[tokio::test]
async fn jdbc_connects_with_a_password_or_a_token() {
    let host = Hosted::demo().await;
    let client = connect(&host, "nora", &[]).await;
    // token=…: a handshake, too, and the connection fails when that fails
    let mut with_token = Client::connect(host.address()).await;
    let bearer = format!("Bearer {}", client.token.unwrap());
    let token = shake_hands(&mut with_token, &bearer, one_empty())
        .await
        .unwrap();
    with_token.token = Some(token);
    ask_prepared(&mut with_token, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn jdbc_sends_unknown_properties_and_cookies_as_headers() {
    let host = Hosted::demo().await;
    let properties = [
        ("x-scrim-purpose", "research"),
        ("useserverprepstmts", "false"),
        ("database", "x"),
        ("threadpoolsize", "4"),
        // its cookie middleware is always on and may hold another server's
        ("cookie", "arrow_flight_session_id=stale; a=b"),
    ];
    let mut client = connect(&host, "rhea", &properties).await;
    let rows = ask_prepared(&mut client, "SELECT count(*) FROM care.patients").await;
    assert_eq!(rows.unwrap().num_rows(), 1);
}

#[tokio::test]
async fn jdbc_asks_for_all_abilities_once() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[]).await;
    let info = SqlInfo::ask(&mut client, &[]).await;
    for code in info.codes() {
        // SqlInfo.forNumber(code) becomes the key of an EnumMap: null throws
        assert!(Known::try_from(code as i32).is_ok(), "code {code}");
        assert!(
            ![10, 11].contains(&code),
            "drivers before 17 know no {code}"
        );
    }
    // 68 methods of DatabaseMetaData read these without looking whether they came
    for code in (0..=9).chain(500..=576) {
        info.get(code);
    }
    info.has_the_children_that_drivers_cast_to();
    assert_eq!(info.text(504), "\"", "getIdentifierQuoteString");
    assert_eq!(info.text(513), "\\", "getSearchStringEscape");
    assert!(info.get(3).1.as_boolean().value(0), "isReadOnly");
}

#[tokio::test]
async fn jdbc_opens_the_tree_of_schemas() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let catalogs = client.fetch(&CommandGetCatalogs {}).await.unwrap().batch();
    assert_eq!(texts(&catalogs, "catalog_name"), ["scrim"]);
    let schemas = CommandGetDbSchemas {
        catalog: Some("scrim".to_owned()),
        db_schema_filter_pattern: Some("%".to_owned()),
    };
    let schemas = client.fetch(&schemas).await.unwrap().batch();
    assert_eq!(texts(&schemas, "db_schema_name"), ["care", "insurance"]);
    let types = client
        .fetch(&CommandGetTableTypes {})
        .await
        .unwrap()
        .batch();
    assert!(texts(&types, "table_type").contains(&"TABLE".to_owned()));
    let mut command = tables(Some("%"), Some("%"), false);
    command.catalog = Some("scrim".to_owned());
    command.table_types = vec!["TABLE".to_owned(), "VIEW".to_owned()];
    let found = client.fetch(&command).await.unwrap();
    assert_eq!(*found.schema(), Schema::new(tables_fields(false)));
    assert_eq!(
        texts(&found.batch(), "table_name"),
        ["patients", "visits", "claims"]
    );
    // getColumns: the schema of each table is parsed on the client's side
    let found = client
        .fetch(&tables(Some("care"), Some("patients"), true))
        .await
        .unwrap();
    // VarCharVector and VarBinaryVector, cast without asking
    assert_eq!(*found.schema(), Schema::new(tables_fields(true)));
    let schema = table_schema(&found.batch(), 0);
    assert!(
        schema.fields().iter().all(|field| reads(field.data_type())),
        "{schema}"
    );
    // DBeaver escapes the names that it looks for
    let found = client
        .fetch(&tables(Some("care"), Some("pat\\_ients"), true))
        .await
        .unwrap();
    assert_eq!(found.batch().num_rows(), 0);
    assert_eq!(
        found.schema().fields().len(),
        5,
        "no rows and the same schema"
    );
}

#[tokio::test]
async fn jdbc_asks_for_keys_when_a_table_is_opened() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let table = || ("patients".to_owned(), Some("care".to_owned()));
    let (name, db_schema) = table();
    let exported = CommandGetExportedKeys {
        catalog: None,
        db_schema,
        table: name,
    };
    let (name, db_schema) = table();
    let imported = CommandGetImportedKeys {
        catalog: None,
        db_schema,
        table: name,
    };
    let (pk_table, pk_db_schema) = table();
    let crossed = CommandGetCrossReference {
        pk_catalog: None,
        pk_db_schema,
        pk_table,
        fk_catalog: None,
        fk_db_schema: Some("care".to_owned()),
        fk_table: "visits".to_owned(),
    };
    let answers = [
        client.fetch(&exported).await.unwrap(),
        client.fetch(&imported).await.unwrap(),
        client.fetch(&crossed).await.unwrap(),
    ];
    for answer in answers {
        let schema = answer.schema();
        assert_eq!(schema.fields().len(), 13);
        for rule in ["update_rule", "delete_rule"] {
            assert_eq!(
                schema.field_with_name(rule).unwrap().data_type(),
                &DataType::UInt8
            );
        }
    }
    client.fetch(&keys_of("no_such_table")).await.unwrap();
}

/// Tableau and DBeaver draw joins from the keys that the contracts name.
#[tokio::test]
async fn jdbc_is_told_the_keys_of_the_contracts() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let keys = client.fetch(&keys_of("patients")).await.unwrap().batch();
    assert_eq!(texts(&keys, "column_name"), ["patient_id"]);
    assert_eq!(texts(&keys, "db_schema_name"), ["care"]);
    let sequence = keys.column_by_name("key_sequence").unwrap();
    assert_eq!(sequence.as_primitive::<Int32Type>().values(), &[1]);
    let imported = CommandGetImportedKeys {
        catalog: None,
        db_schema: Some("care".to_owned()),
        table: "visits".to_owned(),
    };
    let keys = client.fetch(&imported).await.unwrap().batch();
    for (column, text) in [
        ("pk_table_name", "patients"),
        ("pk_column_name", "patient_id"),
        ("fk_table_name", "visits"),
        ("fk_column_name", "patient_id"),
    ] {
        assert_eq!(texts(&keys, column), [text]);
    }
    // who cannot see the tables learns of no key
    let mut client = connect(&host, "luca", &[]).await;
    let keys = client.fetch(&keys_of("patients")).await.unwrap().batch();
    assert_eq!(keys.num_rows(), 0);
    let keys = client.fetch(&imported).await.unwrap().batch();
    assert_eq!(keys.num_rows(), 0);
}

/// What the driver's `SqlTypes` and accessors know; dictionaries are read as their numbers.
fn reads(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 => true,
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 | T::Float32 | T::Float64 => true,
        T::Decimal128(..) | T::Utf8 | T::Binary | T::Date32 => true,
        T::Time32(_) | T::Time64(_) | T::Timestamp(..) | T::Duration(_) | T::Interval(_) => true,
        T::List(item) | T::Map(item, _) => reads(item.data_type()),
        T::Struct(fields) => fields.iter().all(|field| reads(field.data_type())),
        _ => false,
    }
}

#[tokio::test]
async fn jdbc_prepares_every_query() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    for sql in [
        "SELECT 1",
        "SELECT * FROM care.patients",
        "SELECT * FROM care.visits LIMIT 10",
        "SELECT ward, count(*) FROM care.patients GROUP BY ward",
        "SELECT ward FROM care.patients WHERE false",
        "SELECT p.ward, v.ward FROM care.patients p JOIN care.visits v USING (patient_id) LIMIT 5",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
    ] {
        let rows = ask_prepared(&mut client, sql).await.unwrap();
        let schema = rows.schema();
        // no field at all would mean that this is an update
        assert!(!schema.fields().is_empty(), "{sql}");
        for field in schema.fields() {
            assert!(reads(field.data_type()), "{sql}: {field}");
            // the driver would take them for the column's label: getString("ward") would fail
            assert!(!field.metadata().contains_key(REMARKS), "{sql}: {field}");
        }
    }
    // closing twice does no harm
    let handle = client
        .prepare("SELECT 1")
        .await
        .unwrap()
        .prepared_statement_handle;
    client.close_prepared(handle.clone()).await.unwrap();
    client.close_prepared(handle).await.unwrap();
}

/// JDBC numbers its columns, so tools write such queries: `SELECT a.id, b.id`, `SELECT 1, 1`.
#[tokio::test]
async fn jdbc_reads_two_columns_of_one_name() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    for sql in [
        "SELECT 1 AS a, 2 AS a",
        "SELECT 1, 1",
        "SELECT ward, upper(ward) AS ward FROM care.patients LIMIT 1",
    ] {
        let rows = ask_prepared(&mut client, sql).await.unwrap();
        let schema = rows.schema();
        assert_eq!(schema.field(0).name(), schema.field(1).name(), "{sql}");
    }
}

#[tokio::test]
async fn jdbc_is_told_that_a_query_is_no_update() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let request = ActionCreatePreparedStatementRequest {
        query: "SELECT ward FROM care.patients WHERE false".to_owned(),
        transaction_id: None,
    };
    let answers = client
        .action("CreatePreparedStatement", packed(&request))
        .await
        .unwrap();
    let any = Any::decode(answers[0].clone()).unwrap();
    let prepared = Prepared::decode(any.value).unwrap();
    assert_eq!(prepared.is_update, Some(false));
    assert!(
        !try_schema_from_ipc_buffer(&prepared.dataset_schema)
            .unwrap()
            .fields()
            .is_empty()
    );
    assert!(!prepared.handle.is_empty() && !prepared.parameter_schema.is_empty());
    // and executeUpdate learns that nothing is written here, not that it went wrong
    let status = client
        .prepare("DELETE FROM care.patients")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    let update = CommandStatementUpdate {
        query: "DELETE FROM care.patients".to_owned(),
        transaction_id: None,
    };
    let data = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(packed(&update))),
        ..FlightData::default()
    };
    let request = client.request(futures::stream::iter([data]));
    let status = client.inner.do_put(request).await.err().unwrap();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    is_clean(&status);
}

#[tokio::test]
async fn jdbc_writes_its_parameters_into_vectors_of_our_types() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let sql = "SELECT count(*) AS n FROM care.visits WHERE visit_id >= ? AND ward = ? AND discharged_on > ?";
    let prepared = client.prepare(sql).await.unwrap();
    let schema = try_schema_from_ipc_buffer(&prepared.parameter_schema).unwrap();
    // setString(3, …) is out of range unless the third is listed
    let types: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    assert_eq!(types, [DataType::Int64, DataType::Utf8, DataType::Date32]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![0])),
        Arc::new(StringArray::from(vec!["Sunroom"])),
        Arc::new(Date32Array::from(vec![0])),
    ];
    let row = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let first = prepared.prepared_statement_handle;
    let updated = client.bind(first.clone(), row).await.unwrap();
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: updated.clone(),
    };
    let info = client.info(&command).await.unwrap();
    let read = read_all(&client, &info).await;
    assert_eq!(read[0].batch().num_rows(), 1);
    for handle in [updated, first] {
        client.close_prepared(handle).await.unwrap();
    }
}

#[tokio::test]
async fn jdbc_with_a_catalog_in_its_url_sets_it_and_closes_the_session() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    // any error of an option is fatal to the connection
    let catalog = [("catalog", text("scrim"))];
    assert_eq!(set_options(&mut client, &catalog).await.unwrap(), []);
    let rows = ask_prepared(&mut client, "SELECT ward FROM scrim.care.patients LIMIT 1").await;
    assert_eq!(rows.unwrap().num_rows(), 1);
    let closed = client.action("CloseSession", Bytes::new()).await.unwrap();
    assert_eq!(closed, [Bytes::from_static(&[0x08, 0x01])]);
}

/// A wrong option is told by itself, as a wrong name (1) or a wrong value (2): the call succeeds.
#[tokio::test]
async fn jdbc_is_told_which_option_is_wrong() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[]).await;
    let wrong = [
        ("catalog", text("other")),
        ("nonsense", messages::Value::Bool(true)),
    ];
    let errors = set_options(&mut client, &wrong).await.unwrap();
    assert_eq!(
        errors,
        [("catalog".to_owned(), 2), ("nonsense".to_owned(), 1)]
    );
}

const ENDLESS: &str = "SELECT a.visit_id, b.visit_id FROM care.visits a CROSS JOIN care.visits b";

#[tokio::test]
async fn jdbc_cancels_by_resetting_the_stream() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    for _ in 0..3 {
        let info = client.info(&statement(ENDLESS)).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let request = client.request(ticket);
        let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
    }
    ask_prepared(&mut client, "SELECT 1").await.unwrap();
}

/// Not the JDBC driver itself, but users of Java's and C++'s Flight SQL client below it.
#[tokio::test]
async fn java_cancels_by_its_flight_info() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora", &[("x-scrim-purpose", "operations")]).await;
    let info = client.info(&statement(ENDLESS)).await.unwrap();
    let request = client.request(info.endpoint[0].ticket.clone().unwrap());
    let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let body: Bytes = CancelFlightInfoRequest::new(info).encode_to_vec().into();
    // nobody cancels what is somebody else's
    let mut other = connect(&host, "ivan", &[]).await;
    if let Ok(answers) = other.action("CancelFlightInfo", body.clone()).await {
        assert_eq!(cancelled(&answers), CancelStatus::NotCancellable);
    }
    assert!(stream.message().await.unwrap().is_some());
    let answers = client.action("CancelFlightInfo", body).await.unwrap();
    let status = cancelled(&answers);
    assert!(
        matches!(status, CancelStatus::Cancelled | CancelStatus::Cancelling),
        "{status:?}"
    );
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cancelled stream ended as if it were complete"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    is_clean(&status);
}

fn cancelled(answers: &[Bytes]) -> CancelStatus {
    assert_eq!(answers.len(), 1);
    CancelFlightInfoResult::decode(answers[0].clone())
        .unwrap()
        .status()
}
