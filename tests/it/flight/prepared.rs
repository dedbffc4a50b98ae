//! Prepared statements and their parameters.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow_flight::SchemaResult;
use arrow_flight::sql::{ActionCreatePreparedStatementResult, CommandPreparedStatementQuery};
use bytes::Bytes;
use tonic::{Code, Status};

use crate::client::{Client, code, is_clean};
use crate::kit::Hosted;

fn row(values: &[&str]) -> RecordBatch {
    let columns = values.iter().enumerate().map(|(i, value)| {
        let array: ArrayRef = Arc::new(StringArray::from(vec![*value]));
        (format!("p{i}"), array)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}

fn number(value: i64) -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    RecordBatch::try_from_iter([("n", array)]).unwrap()
}

async fn run(client: &mut Client, handle: Bytes) -> Result<RecordBatch, Status> {
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle,
    };
    Ok(client.fetch(&command).await?.batch())
}

/// The one value of a row.
fn text(row: &RecordBatch) -> &str {
    row.column(0).as_string::<i32>().value(0)
}

fn parameters(prepared: &ActionCreatePreparedStatementResult) -> Vec<(String, DataType)> {
    let schema = SchemaResult {
        schema: prepared.parameter_schema.clone(),
    };
    let schema = Schema::try_from(&schema).unwrap();
    schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect()
}

const BY_WARD: [&str; 2] = [
    "SELECT full_name FROM care.patients WHERE ward = $1",
    "SELECT full_name FROM care.patients WHERE ward = ?",
];

#[tokio::test]
async fn a_statement_is_prepared_bound_run_bound_again_and_closed() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    for sql in BY_WARD {
        let prepared = client.prepare(sql).await.unwrap();
        assert_eq!(
            parameters(&prepared),
            [("$1".to_owned(), DataType::Utf8)],
            "{sql}"
        );
        let first = prepared.prepared_statement_handle;
        for (ward, name) in [
            ("Lighthouse", "Zoë Ångström"),
            ("Sunroom", "Jose\u{301} Okafor"),
        ] {
            let updated = client.bind(first.clone(), row(&[ward])).await.unwrap();
            // drivers of before 2024 keep the first handle, all others use the updated one
            for handle in [updated, first.clone()] {
                let rows = run(&mut client, handle).await.unwrap();
                assert_eq!(rows.num_rows(), 1, "{sql} {ward}");
                assert_eq!(text(&rows), name);
            }
        }
        client.close_prepared(first.clone()).await.unwrap();
        client.close_prepared(first).await.unwrap();
    }
}

#[tokio::test]
async fn parameters_have_the_types_that_the_statement_implies() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql = "SELECT visit_id FROM care.visits WHERE visit_id = ? AND ward = ? AND discharged_on > ? AND cost > ?";
    let prepared = client.prepare(sql).await.unwrap();
    let names = ["$1", "$2", "$3", "$4"].map(str::to_owned);
    let types = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Date32,
        DataType::Decimal128(12, 2),
    ];
    assert_eq!(
        parameters(&prepared),
        names.into_iter().zip(types).collect::<Vec<_>>()
    );
    let none = client
        .prepare("SELECT ward FROM care.patients")
        .await
        .unwrap();
    assert_eq!(parameters(&none), []);
    // a value of another type is converted, or refused without being named
    let sql = "SELECT visit_id FROM care.visits WHERE visit_id = $1 AND icd10 = 'Q99.9'";
    let handle = client.handle(sql).await;
    for bound in [number(1_000), row(&["1000"])] {
        let handle = client.bind(handle.clone(), bound).await.unwrap();
        let rows = run(&mut client, handle).await.unwrap();
        assert_eq!(
            rows.column(0).as_primitive::<Int64Type>().values(),
            &[1_000]
        );
    }
    let handle = client.bind(handle, row(&["sesame-4711"])).await.unwrap();
    let status = run(&mut client, handle).await.unwrap_err();
    is_clean(&status);
    assert_eq!(code(&status), "parameter-invalid");
    assert!(!status.message().contains("sesame"), "{status:?}");
}

#[tokio::test]
async fn a_binding_must_fit() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let first = client.handle(BY_WARD[0]).await;
    let unbound = run(&mut client, first.clone()).await.unwrap_err();
    assert_eq!(
        (unbound.code(), code(&unbound)),
        (Code::InvalidArgument, "parameter-invalid")
    );
    let two_rows: ArrayRef = Arc::new(StringArray::from(vec!["Sunroom", "Lighthouse"]));
    let two_rows = RecordBatch::try_from_iter([("p", two_rows)]).unwrap();
    let status = client.bind(first.clone(), two_rows).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    is_clean(&status);
    let nothing: ArrayRef = Arc::new(Date32Array::from(vec![None]));
    let nothing = RecordBatch::try_from_iter([("p", nothing)]).unwrap();
    let handle = client.bind(first, nothing).await.unwrap();
    assert_eq!(run(&mut client, handle).await.unwrap().num_rows(), 0);
    for garbage in [&b"garbage"[..], b"", &[0xff; 500]] {
        let status = client
            .bind(Bytes::copy_from_slice(garbage), row(&["a"]))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        is_clean(&status);
        let status = run(&mut client, Bytes::copy_from_slice(garbage))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
}

#[tokio::test]
async fn two_with_the_same_text_never_share_their_parameters() {
    let host = Hosted::demo().await;
    let mut nora = Client::persona(host.address(), "nora").await;
    let mut twin = Client::persona(host.address(), "nora").await;
    let a = nora.handle(BY_WARD[0]).await;
    let b = nora.handle(BY_WARD[0]).await;
    let c = twin.handle(BY_WARD[0]).await;
    assert!(a != b && b != c && a != c);
    nora.bind(a.clone(), row(&["Lighthouse"])).await.unwrap();
    nora.bind(b.clone(), row(&["Sunroom"])).await.unwrap();
    twin.bind(c.clone(), row(&["nowhere"])).await.unwrap();
    let lighthouse = run(&mut nora, a.clone()).await.unwrap();
    assert_eq!(text(&lighthouse), "Zoë Ångström");
    let sunroom = run(&mut nora, b).await.unwrap();
    assert_eq!(text(&sunroom), "Jose\u{301} Okafor");
    assert_eq!(run(&mut twin, c).await.unwrap().num_rows(), 0);
    // a handle of another session or principal opens nothing
    let mut rhea = Client::persona(host.address(), "rhea").await;
    for thief in [&mut twin, &mut rhea] {
        let status = run(thief, a.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        let status = thief.bind(a.clone(), row(&["Sunroom"])).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    }
    let again = run(&mut nora, a).await.unwrap();
    assert_eq!(again.columns(), lighthouse.columns());
}

#[tokio::test]
async fn inv_12_a_prepared_statement_carries_no_right() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rhea").await;
    client.headers.clear();
    let handle = client.handle("SELECT zip FROM care.patients").await;
    assert!(run(&mut client, handle.clone()).await.unwrap().num_rows() > 0);
    client
        .query("SET scrim.purpose = 'operations'")
        .await
        .unwrap();
    let status = run(&mut client, handle).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::NotFound, "name-not-found")
    );
}

#[tokio::test]
async fn preparing_looks_and_does_nothing() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rhea").await;
    client.headers.clear();
    client
        .prepare("SET scrim.purpose = 'operations'")
        .await
        .unwrap();
    client
        .query("SELECT count(*) FROM care.patients")
        .await
        .unwrap();
    for (sql, word) in [
        ("DELETE FROM care.patients", "read-only"),
        ("SELECT full_name FROM care.patients", "name-not-found"),
        ("SELECT 1; SELECT 2", "statement-refused"),
    ] {
        let status = client.prepare(sql).await.unwrap_err();
        is_clean(&status);
        assert_eq!(code(&status), word, "{sql}");
    }
}
