//! The ODBC driver: Power BI, Excel and Tableau by way of ODBC.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int32Type};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{FlightDescriptor, FlightInfo, HandshakeRequest};
use scrim::demo::world::{PASSWORD, persona};
use tonic::Request;
use tonic::metadata::MetadataValue;

use super::{SqlInfo, TYPE_NAME, read_all, shake_hands, statement, table_schema, tables, texts};
use crate::client::{Client, Fetched, basic, packed};
use crate::kit::Hosted;

/// Arrow C++ sends nothing in its handshake and closes its half.
async fn connect(host: &Hosted, id: &str) -> Client {
    let mut client = Client::connect(host.address()).await;
    let credentials = basic(id, PASSWORD, true);
    let nothing = futures::stream::empty::<HandshakeRequest>();
    client.token = Some(
        shake_hands(&mut client, &credentials, nothing)
            .await
            .unwrap(),
    );
    let purpose = persona(id).unwrap().purpose.to_owned();
    client.headers.push(("x-scrim-purpose", purpose));
    client
}

/// With a token the driver shakes hands with one empty payload, and afterwards sends an empty
/// `auth-token-bin` with every call, which means nothing.
#[tokio::test]
async fn odbc_connects_with_a_token_and_an_empty_second_one() {
    let host = Hosted::demo().await;
    let token = connect(&host, "nora").await.token.unwrap();
    let mut client = Client::connect(host.address()).await;
    let payload = futures::stream::iter([HandshakeRequest::default()]);
    let bearer = format!("Bearer {token}");
    client.token = Some(shake_hands(&mut client, &bearer, payload).await.unwrap());
    let mut request = client.request(descriptor(&statement("SELECT 1 AS one")));
    with_empty_token(&mut request);
    let info = client
        .inner
        .get_flight_info(request)
        .await
        .unwrap()
        .into_inner();
    // it opens locations[0], where there is one, on a connection without the session
    assert!(info.endpoint[0].location.is_empty());
    let mut request = client.request(info.endpoint[0].ticket.clone().unwrap());
    with_empty_token(&mut request);
    let mut stream = client.inner.do_get(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
}

fn descriptor(command: &impl ProstMessageExt) -> FlightDescriptor {
    FlightDescriptor::new_cmd(packed(command))
}

fn with_empty_token<T>(request: &mut Request<T>) {
    let empty = MetadataValue::from_bytes(b"");
    request.metadata_mut().insert_bin("auth-token-bin", empty);
}

/// SQLGetInfo: the children of the union are cast by code.
#[tokio::test]
async fn odbc_asks_for_all_abilities() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let info = SqlInfo::ask(&mut client, &[]).await;
    info.has_the_children_that_drivers_cast_to();
    // an empty SQL_CATALOG_TERM would say that there are no catalogs
    assert!(!info.text(531).is_empty());
    assert!(!info.text(0).is_empty() && !info.text(1).is_empty());
}

/// SQLTables in its four forms, and SQLColumns: all need the schema in the FlightInfo.
#[tokio::test]
async fn odbc_lists_tables_and_columns() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let mut typed = tables(Some("%"), Some("%"), false);
    typed.table_types = vec!["TABLE".to_owned()];
    let infos = [
        client.info(&CommandGetCatalogs {}).await.unwrap(),
        client.info(&CommandGetDbSchemas::default()).await.unwrap(),
        client.info(&CommandGetTableTypes {}).await.unwrap(),
        client.info(&typed).await.unwrap(),
    ];
    for info in infos {
        assert!(rows_of(&client, &info).await > 0, "{info:?}");
    }
    let found = client
        .fetch(&tables(Some("care"), Some("%"), true))
        .await
        .unwrap()
        .batch();
    assert_eq!(texts(&found, "table_name"), ["patients", "visits"]);
    for row in 0..found.num_rows() {
        let schema = table_schema(&found, row);
        assert!(
            schema.fields().iter().all(|f| describes(f.data_type())),
            "{schema}"
        );
    }
}

async fn rows_of(client: &Client, info: &FlightInfo) -> usize {
    assert!(!info.schema.is_empty());
    let announced = info.clone().try_decode_schema().unwrap();
    let read = read_all(client, info).await;
    let alike = |fetched: &Fetched| fetched.schema().fields() == announced.fields();
    assert!(read.iter().all(alike));
    read.iter().map(|fetched| fetched.batch().num_rows()).sum()
}

/// What NeedArrayConversion does not throw at.
fn describes(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::LargeUtf8 | T::LargeBinary | T::FixedSizeBinary(_) | T::Float16 => false,
        T::Dictionary(..) | T::Decimal256(..) | T::Null | T::Interval(_) => false,
        T::Utf8View | T::BinaryView | T::RunEndEncoded(..) | T::ListView(_) => false,
        T::List(item) | T::Map(item, _) => describes(item.data_type()),
        T::Struct(fields) => fields.iter().all(|field| describes(field.data_type())),
        _ => true,
    }
}

/// SQLGetTypeInfo; Power BI asks right before it shows a table.
#[tokio::test]
async fn odbc_asks_for_types() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let all = client
        .fetch(&CommandGetXdbcTypeInfo { data_type: None })
        .await
        .unwrap()
        .batch();
    assert_eq!(all.num_columns(), 19);
    let numbers = all.column_by_name("data_type").unwrap();
    let numbers = numbers.as_primitive::<Int32Type>().values().to_vec();
    assert!(numbers.is_sorted());
    for number in numbers {
        let command = CommandGetXdbcTypeInfo {
            data_type: Some(number),
        };
        let some = client.fetch(&command).await.unwrap().batch();
        let found = some.column_by_name("data_type").unwrap();
        let found = found.as_primitive::<Int32Type>();
        assert!(!found.is_empty() && found.values().iter().all(|n| *n == number));
    }
}

/// SQLExecDirect and SQLPrepare, and a description of each column before the first row.
#[tokio::test]
async fn odbc_executes_directly_and_prepared() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    for sql in [
        "SELECT * FROM care.patients",
        "SELECT * FROM care.visits LIMIT 100",
        "SELECT NULL AS nothing, 1.5 AS f, arrow_cast('a', 'LargeUtf8') AS l",
        "SELECT arrow_cast('a', 'Dictionary(Int32, Utf8)') AS d, arrow_cast(1, 'Float16') AS h",
    ] {
        let info = client.info(&statement(sql)).await.unwrap();
        let announced = info.clone().try_decode_schema().unwrap();
        assert!(
            announced.fields().iter().all(|f| describes(f.data_type())),
            "{announced}"
        );
        let direct = rows_of(&client, &info).await;
        let prepared = client.prepare(sql).await.unwrap();
        let promised = try_schema_from_ipc_buffer(&prepared.dataset_schema).unwrap();
        assert_eq!(promised.fields(), announced.fields(), "{sql}");
        let prepared_statement_handle = prepared.prepared_statement_handle;
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle,
        };
        let info = client.info(&command).await.unwrap();
        assert_eq!(rows_of(&client, &info).await, direct, "{sql}");
    }
}

/// The type's name of a column is one of those that SQLGetTypeInfo lists.
#[tokio::test]
async fn odbc_finds_the_type_of_each_column_in_the_list() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let all = client
        .fetch(&CommandGetXdbcTypeInfo { data_type: None })
        .await
        .unwrap()
        .batch();
    let names = texts(&all, "type_name");
    let found = client
        .fetch(&tables(None, None, true))
        .await
        .unwrap()
        .batch();
    for row in 0..found.num_rows() {
        for field in table_schema(&found, row).fields() {
            let name = field
                .metadata()
                .get(TYPE_NAME)
                .unwrap_or_else(|| panic!("{field}"));
            assert!(
                field.data_type().is_nested() || names.contains(name),
                "{field}: {name}"
            );
        }
    }
}
