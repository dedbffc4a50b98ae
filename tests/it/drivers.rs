//! What real drivers send, in their order, and what each of them needs back.
//!
//! Most drivers cannot run here: there is no JDBC jar, ODBC library or Grafana in the registries
//! that a build may use. So each file replays one driver as raw gRPC, as its source has it, and
//! asserts what that driver reads without asking. `tests/clients` runs those that can be had.

mod adbc;
mod dbapi;
mod grafana;
mod jdbc;
mod messages;
mod odbc;
mod power_bi;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type, UnionMode};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTables, CommandPreparedStatementQuery,
    CommandStatementQuery,
};
use arrow_flight::{FlightInfo, HandshakeRequest};
use futures::{Stream, TryStreamExt};
use tonic::{Request, Status};

use crate::client::{Client, Fetched};

/// The metadata of a field that drivers show as its type.
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
/// The metadata that JDBC shows *instead of a column's name*.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

/// A handshake as a driver makes it; gives the value of the token's header.
async fn shake_hands(
    client: &mut Client,
    authorization: &str,
    payload: impl Stream<Item = HandshakeRequest> + Send + 'static,
) -> Result<String, Status> {
    let mut request = Request::new(payload);
    request
        .metadata_mut()
        .insert("authorization", authorization.parse().unwrap());
    let response = client.inner.handshake(request).await?;
    // JDBC looks nowhere else than at the first headers
    let token = response.metadata().get("authorization").unwrap().to_str();
    let token = token.unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let answers: Vec<_> = response.into_inner().try_collect().await?;
    assert!(answers.len() <= 1);
    Ok(token)
}

/// Every endpoint at once, delivered in their order.
async fn read_all(client: &Client, info: &FlightInfo) -> Vec<Fetched> {
    let reads = info.endpoint.iter().map(|endpoint| {
        assert!(endpoint.location.is_empty(), "{:?}", endpoint.location);
        let mut client = client.clone();
        let ticket = endpoint.ticket.clone().unwrap();
        async move { client.get(ticket).await }
    });
    futures::future::try_join_all(reads).await.unwrap()
}

/// Prepares, announces, reads every endpoint, closes: what JDBC and ADBC do for *every* query.
async fn ask_prepared(client: &mut Client, sql: &str) -> Result<RecordBatch, Status> {
    let prepared = client.prepare(sql).await?;
    let promised = try_schema_from_ipc_buffer(&prepared.dataset_schema).unwrap();
    let handle = prepared.prepared_statement_handle;
    let info = client
        .info(&CommandPreparedStatementQuery {
            prepared_statement_handle: handle.clone(),
        })
        .await?;
    let announced = info.clone().try_decode_schema().unwrap();
    assert_eq!(announced.fields(), promised.fields(), "{sql}");
    assert!(!info.endpoint.is_empty(), "{sql}");
    let mut batches = Vec::new();
    for fetched in read_all(client, &info).await {
        assert_eq!(fetched.schema().fields(), announced.fields(), "{sql}");
        batches.extend(fetched.batches());
    }
    client.close_prepared(handle).await?;
    let schema = batches
        .first()
        .map_or(announced.into(), RecordBatch::schema);
    Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
}

/// What GetSqlInfo told.
struct SqlInfo(RecordBatch);

impl SqlInfo {
    async fn ask(client: &mut Client, info: &[u32]) -> Self {
        let info = info.to_vec();
        Self(
            client
                .fetch(&CommandGetSqlInfo { info })
                .await
                .unwrap()
                .batch(),
        )
    }

    fn codes(&self) -> Vec<u32> {
        let codes = self.0.column(0).as_primitive::<UInt32Type>();
        assert_eq!(codes.null_count(), 0);
        codes.values().to_vec()
    }

    /// The union's child that a code is in, and its value.
    fn get(&self, code: u32) -> (i8, ArrayRef) {
        let row = self.codes().iter().position(|c| *c == code);
        let row = row.unwrap_or_else(|| panic!("no code {code}"));
        let union = self.0.column(1).as_union();
        (union.type_id(row), union.value(row))
    }

    fn text(&self, code: u32) -> String {
        let (child, value) = self.get(code);
        assert_eq!(child, 0, "code {code}");
        value.as_string::<i32>().value(0).to_owned()
    }

    /// The driver casts by code and not by what came: the wrong child is garbage or a crash.
    fn has_the_children_that_drivers_cast_to(&self) {
        let DataType::Union(children, UnionMode::Dense) = self.0.column(1).data_type() else {
            panic!("{}", self.0.column(1).data_type());
        };
        let kinds: Vec<_> = children
            .iter()
            .map(|(_, f)| f.data_type().clone())
            .collect();
        assert_eq!(
            kinds[..4],
            [
                DataType::Utf8,
                DataType::Boolean,
                DataType::Int64,
                DataType::Int32
            ]
        );
        assert!(matches!(&kinds[4], DataType::List(item) if item.data_type() == &DataType::Utf8));
        assert!(matches!(&kinds[5], DataType::Map(..)), "{}", kinds[5]);
        for code in self.codes() {
            assert_eq!(self.get(code).0, child_of(code), "code {code}");
        }
    }
}

/// The child of the union that the drivers' getters cast to.
fn child_of(code: u32) -> i8 {
    match code {
        0..=2 | 6 | 7 | 504 | 513 | 514 | 529..=531 => 0,
        3..=5
        | 9..=11
        | 500..=502
        | 506
        | 515
        | 516
        | 518..=521
        | 523
        | 524
        | 527
        | 532
        | 536
        | 537
        | 539
        | 556
        | 563
        | 565
        | 566
        | 572..=576 => 1,
        503 | 505 | 507 | 541..=555 | 557..=562 => 2,
        508..=512 => 4,
        517 => 5,
        _ => 3,
    }
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column
        .iter()
        .map(|t| t.unwrap_or_default().to_owned())
        .collect()
}

fn statement(sql: &str) -> CommandStatementQuery {
    crate::client::statement(sql)
}

fn tables(schema: Option<&str>, table: Option<&str>, include_schema: bool) -> CommandGetTables {
    CommandGetTables {
        db_schema_filter_pattern: schema.map(str::to_owned),
        table_name_filter_pattern: table.map(str::to_owned),
        include_schema,
        ..CommandGetTables::default()
    }
}

fn keys_of(table: &str) -> CommandGetPrimaryKeys {
    CommandGetPrimaryKeys {
        catalog: None,
        db_schema: Some("care".to_owned()),
        table: table.to_owned(),
    }
}

/// The `table_schema` of a row of GetTables: an encapsulated message, the only form that all read.
fn table_schema(found: &RecordBatch, row: usize) -> Schema {
    let bytes = found.column_by_name("table_schema").unwrap();
    let bytes = bytes.as_binary::<i32>().value(row);
    assert_eq!(&bytes[..4], [0xff; 4]);
    try_schema_from_ipc_buffer(bytes).unwrap()
}

fn utf8(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// GetTables as the protocol has it, to the last flag.
fn tables_fields(include_schema: bool) -> Vec<Field> {
    let mut fields = vec![
        utf8("catalog_name", true),
        utf8("db_schema_name", true),
        utf8("table_name", false),
        utf8("table_type", false),
    ];
    if include_schema {
        fields.push(Field::new("table_schema", DataType::Binary, false));
    }
    fields
}
