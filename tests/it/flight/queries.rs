//! Statements: schemas, values, settings, errors.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::sql::{
    CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementSubstraitPlan,
    CommandStatementUpdate,
};
use arrow_flight::{FlightData, FlightDescriptor, SchemaResult};
use bytes::Bytes;
use tonic::Code;

use crate::client::{Client, code, is_clean, packed, statement};
use crate::kit::{Hosted, Local, Scratch};

/// Queries whose schemas are hard to get right: statistics make aggregates non-nullable, literals
/// and counts are never NULL, and types differ between plan and wire.
const SHAPES: &[&str] = &[
    "SELECT 1",
    "SELECT 1 AS one, 'a' AS a, NULL AS nothing, true AS yes, 1.5 AS f, DATE '2026-01-01' AS d",
    "SELECT * FROM care.patients",
    "SELECT * FROM care.visits",
    "SELECT * FROM insurance.claims",
    "SELECT count(*), min(visit_id), max(visit_id), sum(cost), avg(cost) FROM care.visits",
    "SELECT min(birth_date), max(household_income), count(ward) FROM care.patients",
    "SELECT ward, count(*) FROM care.visits GROUP BY ward",
    "SELECT ward, count(*) FROM care.visits GROUP BY ROLLUP (ward)",
    "SELECT p.ward, v.ward FROM care.patients p LEFT JOIN care.visits v ON p.patient_id = v.patient_id LIMIT 5",
    "SELECT row_number() OVER (ORDER BY visit_id), rank() OVER (ORDER BY cost) FROM care.visits LIMIT 3",
    "SELECT * FROM care.patients WHERE false",
    "SELECT count(*) FROM care.patients WHERE false",
    "SELECT ward FROM care.patients UNION ALL SELECT 'x'",
    "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(n, s)",
    "SELECT coalesce(ward, 'none'), CASE WHEN true THEN 1 END, NULLIF(1, 2) FROM care.patients LIMIT 1",
    "SELECT arrow_cast('a', 'Utf8View') v, arrow_cast('b', 'LargeUtf8') l, arrow_cast('c', 'Dictionary(Int32, Utf8)') d, arrow_cast('d', 'BinaryView') b, arrow_cast(1, 'Float16') h",
    "SELECT contact, contact['phone'], tags, tags[1] FROM care.patients LIMIT 1",
    "SELECT vitals, admitted_at, admitted_at - INTERVAL '1 day' FROM care.visits LIMIT 1",
    "SELECT array_agg(ward) FROM care.patients",
    "SELECT DISTINCT ward FROM care.patients ORDER BY ward LIMIT 2",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
    "EXPLAIN SELECT * FROM care.patients",
    "SHOW TABLES",
    "DESCRIBE care.patients",
    "SHOW ACCESS",
    "SHOW ACCESS ON care.patients",
    "EXPLAIN ACCESS SELECT ward, count(*) FROM care.patients GROUP BY ward",
    "SELECT * FROM information_schema.columns",
];

#[tokio::test]
async fn the_announced_schema_is_the_sent_schema_is_the_prepared_schema() {
    let host = Hosted::demo().await;
    for id in ["nora", "ivan", "rhea"] {
        let mut client = Client::persona(host.address(), id).await;
        for sql in SHAPES {
            let fetched = match client.query(sql).await {
                Ok(fetched) => fetched,
                // a column of another persona
                Err(status) if id != "nora" => {
                    assert_eq!(status.code(), Code::NotFound, "{id}: {sql}: {status:?}");
                    continue;
                }
                Err(status) => panic!("{sql}: {status:?}"),
            };
            let schema = fetched.schema();
            for field in schema.fields() {
                assert!(field.is_nullable(), "{sql}: {field}");
                assert!(is_plain(field.data_type()), "{sql}: {field}");
            }
            for batch in fetched.batches() {
                assert_eq!(batch.schema(), schema, "{sql}");
            }
            let prepared = client.prepare(sql).await.unwrap();
            let dataset = SchemaResult {
                schema: prepared.dataset_schema,
            };
            let fields = arrow::datatypes::Schema::try_from(&dataset).unwrap().fields;
            assert_eq!(fields, schema.fields, "{sql}");
            let descriptor = FlightDescriptor::new_cmd(packed(&statement(sql)));
            let request = client.request(descriptor);
            let got = client.inner.get_schema(request).await.unwrap().into_inner();
            let fields = arrow::datatypes::Schema::try_from(&got).unwrap().fields;
            assert_eq!(fields, schema.fields, "{sql}");
        }
    }
}

/// The types that every driver reads.
fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View
        | DataType::LargeUtf8
        | DataType::BinaryView
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::Float16
        | DataType::Null
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::LargeList(_)
        | DataType::ListView(_) => false,
        DataType::List(item) => is_plain(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field.data_type())),
        _ => true,
    }
}

#[tokio::test]
async fn no_rows_still_have_a_schema() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    for sql in [
        "SELECT ward, birth_date FROM care.patients WHERE false",
        "SELECT ward, birth_date FROM care.patients WHERE ward = 'nowhere'",
        "SELECT ward, birth_date FROM care.patients LIMIT 0",
    ] {
        let fetched = client.query(sql).await.unwrap();
        assert_eq!(fetched.schema().fields().len(), 2, "{sql}");
        assert_eq!(fetched.batch().num_rows(), 0, "{sql}");
    }
}

#[tokio::test]
async fn values_arrive_as_they_are() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let fetched = client
        .query("SELECT full_name, birth_date, contact['email'] FROM care.patients WHERE ward = 'Sunroom'")
        .await
        .unwrap();
    let batch = fetched.batch();
    // decomposed: an e and an accent
    assert_eq!(
        batch.column(0).as_string::<i32>().value(0),
        "Jose\u{301} Okafor"
    );
    assert_eq!(
        batch.column(2).as_string::<i32>().value(0),
        "zoe.angstrom@example.org"
    );
    let all = client
        .query("SELECT visit_id FROM care.visits ORDER BY visit_id")
        .await
        .unwrap()
        .batch();
    let ids = all.column(0).as_primitive::<Int64Type>();
    assert!(ids.values().windows(2).all(|pair| pair[0] < pair[1]));
    let count = client
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap()
        .batch();
    assert_eq!(
        count.column(0).as_primitive::<Int64Type>().value(0),
        all.num_rows() as i64
    );
}

#[tokio::test]
async fn refusals_have_stable_codes_and_the_statuses_that_drivers_understand() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    for (sql, status, word) in [
        ("SELEC 1", Code::InvalidArgument, "sql-syntax"),
        (
            "SELECT * FROM care.secret",
            Code::NotFound,
            "name-not-found",
        ),
        (
            "SELECT full_name FROM care.patients",
            Code::NotFound,
            "name-not-found",
        ),
        (
            "DELETE FROM care.patients",
            Code::PermissionDenied,
            "read-only",
        ),
        (
            "SELECT 1; SELECT 2",
            Code::InvalidArgument,
            "statement-refused",
        ),
        ("SELECT random()", Code::InvalidArgument, "function-refused"),
        (
            "SELECT ward, count(*) FROM care.patients",
            Code::InvalidArgument,
            "plan-invalid",
        ),
        ("", Code::InvalidArgument, "statement-refused"),
    ] {
        let refused = client.query(sql).await.unwrap_err();
        is_clean(&refused);
        assert_eq!(
            (refused.code(), code(&refused)),
            (status, word),
            "{sql}: {refused:?}"
        );
    }
    for (sql, status, word) in [
        (
            "SELECT 1 / (length(ward) - length(ward)) FROM care.patients",
            Code::InvalidArgument,
            "divide-by-zero",
        ),
        (
            "SELECT CAST(ward AS INT) FROM care.patients",
            Code::InvalidArgument,
            "cast-invalid",
        ),
    ] {
        let failed = client.query(sql).await.unwrap_err();
        is_clean(&failed);
        assert_eq!(
            (failed.code(), code(&failed)),
            (status, word),
            "{sql}: {failed:?}"
        );
    }
}

#[tokio::test]
async fn error_messages_stay_short_whatever_the_statement() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let long = "x".repeat(100_000);
    for sql in [
        format!("SELECT {long} FROM care.patients"),
        format!("SELECT * FROM {long}"),
        format!("SELECT {long}(1)"),
        format!("SELECT '{long}"),
        format!("SELECT CAST('{long}' AS INT)"),
        format!("SELECT * FROM care.patients WHERE ward = DATE '{long}'"),
        format!(
            "SELECT \"{}\" FROM care.patients",
            "é\u{202e}".repeat(30_000)
        ),
        format!("SELECT 1 {}", "\u{0}\u{7}".repeat(1_000)),
    ] {
        let status = client.query(&sql).await.unwrap_err();
        is_clean(&status);
        let strange = status.message().chars().find(|c| c.is_control());
        assert_eq!(strange, None, "{status:?}");
    }
}

#[tokio::test]
async fn the_purpose_comes_from_the_header_the_statement_or_nowhere() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rhea").await;
    let count = "SELECT count(*) FROM care.patients";
    client.query(count).await.unwrap();
    client.headers.clear();
    client.query(count).await.unwrap();
    client.headers = vec![("x-scrim-purpose", "operations".to_owned())];
    assert_eq!(
        client.query(count).await.unwrap_err().code(),
        Code::NotFound
    );
    client.headers.clear();
    client
        .query("SET scrim.purpose = 'operations'")
        .await
        .unwrap();
    assert_eq!(
        client.query(count).await.unwrap_err().code(),
        Code::NotFound
    );
    client
        .query("SET scrim.purpose = 'research'")
        .await
        .unwrap();
    client.query(count).await.unwrap();
    client
        .query("SET scrim.agreement = 'meridian-study-7'")
        .await
        .unwrap();
    let sql = "SELECT count(*) FROM care.patients WHERE array_has(tags, 'study-7') IS NOT TRUE";
    let others = client.query(sql).await.unwrap().batch();
    assert_eq!(others.column(0).as_primitive::<Int64Type>().value(0), 0);
    // settings belong to the session, not to the connection or the account
    let mut other = Client::persona(host.address(), "rhea").await;
    other.headers.clear();
    let all = other.query(sql).await.unwrap().batch();
    assert!(all.column(0).as_primitive::<Int64Type>().value(0) > 0);
}

#[tokio::test]
async fn whose_agreements_serve_several_purposes_must_state_one() {
    let world = Scratch::demo();
    let path = "policies/agreements/meridian-patients.yaml";
    let agreement = std::fs::read_to_string(world.path(path)).unwrap();
    let second = agreement
        .replace("id: meridian-patients", "id: meridian-billing")
        .replace("purpose: research", "purpose: operations");
    world.write("policies/agreements/meridian-billing.yaml", &second);
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "rolf").await;
    client.headers.clear();
    let count = "SELECT count(*) FROM care.patients";
    for refused in [
        client.query(count).await.unwrap_err(),
        client.prepare(count).await.unwrap_err(),
    ] {
        is_clean(&refused);
        assert_eq!(
            (refused.code(), code(&refused)),
            (Code::PermissionDenied, "purpose-required"),
            "{refused:?}"
        );
        assert!(
            refused.message().contains("state your purpose"),
            "{refused:?}"
        );
    }
    // where one purpose is left, it need not be stated
    client
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap();
    for purpose in ["research", "operations"] {
        client.headers = vec![("x-scrim-purpose", purpose.to_owned())];
        client.query(count).await.unwrap();
    }
    client.headers.clear();
    assert_eq!(
        code(&client.query(count).await.unwrap_err()),
        "purpose-required"
    );
    client
        .query("SET scrim.agreement = 'meridian-billing'")
        .await
        .unwrap();
    client.query(count).await.unwrap();
    let records = host.stop().await.records();
    let codes: Vec<_> = records.iter().filter_map(|r| r.code.as_deref()).collect();
    assert!(
        codes.len() >= 2 && codes.iter().all(|code| *code == "purpose-required"),
        "{records:?}"
    );
}

#[tokio::test]
async fn what_comes_over_the_wire_is_what_the_engine_gives() {
    let (local, host) = (Local::demo().await, Hosted::demo().await);
    for (id, table, key) in [
        ("nora", "care.visits", "visit_id"),
        ("ivan", "insurance.claims", "claim_id"),
        ("rolf", "care.patients", "patient_id"),
    ] {
        let sql = format!("SELECT * FROM {table} ORDER BY {key} LIMIT 500");
        let (_, here) = local.rows(&local.usual(id), &sql, None).await.unwrap();
        let mut client = Client::persona(host.address(), id).await;
        let there = client.query(&sql).await.unwrap().batches();
        let text = |batches| pretty_format_batches(batches).unwrap().to_string();
        assert_eq!(text(&here), text(&there), "{id}: {sql}");
    }
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let put = |command: Bytes| {
        let data = FlightData {
            flight_descriptor: Some(FlightDescriptor::new_cmd(command)),
            ..FlightData::default()
        };
        client.request(futures::stream::iter([data]))
    };
    let update = packed(&CommandStatementUpdate {
        query: "DELETE FROM care.patients".into(),
        transaction_id: None,
    });
    let ingest = packed(&CommandStatementIngest {
        table: "mine".into(),
        ..CommandStatementIngest::default()
    });
    let handle = packed(&CommandPreparedStatementUpdate {
        prepared_statement_handle: Bytes::from_static(b"x"),
    });
    for (command, status) in [
        (update, Code::PermissionDenied),
        (ingest, Code::PermissionDenied),
        (handle, Code::InvalidArgument),
        (Bytes::from_static(b"garbage"), Code::InvalidArgument),
    ] {
        let said = client
            .inner
            .clone()
            .do_put(put(command))
            .await
            .err()
            .unwrap();
        is_clean(&said);
        assert_eq!(said.code(), status, "{said:?}");
    }
    let substrait = client
        .info(&CommandStatementSubstraitPlan::default())
        .await
        .unwrap_err();
    assert_eq!(substrait.code(), Code::Unimplemented);
    for descriptor in [
        FlightDescriptor::new_path(vec!["care".into(), "patients".into()]),
        FlightDescriptor::new_cmd("SELECT 1"),
        FlightDescriptor::default(),
    ] {
        let said = client
            .inner
            .clone()
            .get_flight_info(client.request(descriptor))
            .await
            .unwrap_err();
        assert_eq!(said.code(), Code::InvalidArgument, "{said:?}");
    }
    let began = client
        .action("BeginTransaction", Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(began.code(), Code::Unimplemented);
    let listed = client
        .inner
        .clone()
        .list_actions(client.request(arrow_flight::Empty::default()))
        .await;
    let mut listed = listed.unwrap().into_inner();
    while let Some(action) = listed.message().await.unwrap() {
        let said = client
            .action(&action.r#type, Bytes::from_static(b"\xff"))
            .await;
        let unimplemented = said.is_err_and(|status| status.code() == Code::Unimplemented);
        assert!(!unimplemented, "{} is listed", action.r#type);
        if action.r#type == "CloseSession" {
            client
                .sign_in("nora", scrim::demo::world::PASSWORD)
                .await
                .unwrap();
        }
    }
}
