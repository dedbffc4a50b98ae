//! flightsql-dbapi and its SQLAlchemy dialect, by which Superset connects.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch,
    StringArray, UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Field, Int64Type, UnionFields};
use arrow_flight::HandshakeRequest;
use arrow_flight::sql::CommandPreparedStatementQuery;
use scrim::demo::world::{PASSWORD, persona};
use tonic::Code;

use super::{SqlInfo, keys_of, shake_hands, table_schema, tables, texts};
use crate::client::{Client, basic, is_clean};
use crate::kit::Hosted;

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

#[tokio::test]
async fn dbapi_reads_four_abilities_at_connect() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let info = SqlInfo::ask(&mut client, &[0, 2, 3, 504]).await;
    // the keys of a dict: a missing one ends the connection
    assert_eq!(info.codes(), [0, 2, 3, 504]);
    assert_eq!(info.text(504), "\"");
    assert!(info.get(3).1.as_boolean().value(0));
}

#[tokio::test]
async fn dbapi_reads_columns_from_the_first_row() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    for table in ["patients", "visits"] {
        let command = tables(Some("care"), Some(table), true);
        let found = client.fetch(&command).await.unwrap().batch();
        assert_eq!(texts(&found, "table_name"), [table]);
        assert!(table_schema(&found, 0).fields().len() > 5);
    }
    client.fetch(&keys_of("patients")).await.unwrap();
}

/// One value as the driver packs it: a union of all types that it knows, with one of them filled.
fn packed_value(kind: i8) -> ArrayRef {
    let empty = |kind_of: i8| kind != kind_of;
    let children: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(if empty(0) { vec![] } else { vec![0] })),
        Arc::new(Float64Array::from(if empty(1) {
            vec![]
        } else {
            vec![0.5]
        })),
        Arc::new(StringArray::from(if empty(2) {
            vec![]
        } else {
            vec!["Lighthouse"]
        })),
        Arc::new(BinaryArray::from_vec(if empty(3) {
            vec![]
        } else {
            vec![b"x"]
        })),
        Arc::new(BooleanArray::from(if empty(4) {
            vec![]
        } else {
            vec![true]
        })),
    ];
    let fields = children.iter().enumerate();
    let fields = fields.map(|(i, child)| {
        let field = Field::new(i.to_string(), child.data_type().clone(), true);
        (i as i8, Arc::new(field))
    });
    let fields: UnionFields = fields.collect();
    let (kinds, offsets) = (ScalarBuffer::from(vec![kind]), ScalarBuffer::from(vec![0]));
    Arc::new(UnionArray::try_new(fields, kinds, Some(offsets), children).unwrap())
}

#[tokio::test]
async fn dbapi_binds_unions_and_keeps_its_first_handle() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let sql = "SELECT count(*) FROM care.patients WHERE ward = ? AND household_income >= ? AND 1.0 > ? AND ?";
    let prepared_statement_handle = client.prepare(sql).await.unwrap().prepared_statement_handle;
    let row = [2, 0, 1, 4].map(packed_value).into_iter().enumerate();
    let row = RecordBatch::try_from_iter(row.map(|(i, v)| (format!("param_{i}"), v))).unwrap();
    client
        .bind(prepared_statement_handle.clone(), row)
        .await
        .unwrap();
    // it does not look at the updated handle
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: prepared_statement_handle.clone(),
    };
    let found = client.fetch(&command).await.unwrap().batch();
    assert_eq!(found.column(0).as_primitive::<Int64Type>().values(), &[1]);
    client
        .close_prepared(prepared_statement_handle)
        .await
        .unwrap();
}

/// Without a user it sends the word `None`; whoever forgot the credentials is told which ones.
#[tokio::test]
async fn dbapi_without_a_user_is_told_what_is_missing() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    client.token = Some("None".to_owned());
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    is_clean(&status);
    client.token = None;
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("authorization"), "{status:?}");
}
