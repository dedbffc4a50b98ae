//! What schemas say of their columns: types by name, remarks, masks; the same wherever a schema of
//! one result is told.

use arrow::array::AsArray;
use arrow::datatypes::{Field, Schema};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery};
use arrow_flight::{FlightDescriptor, SchemaResult};

use super::metadata::{contains, tables, texts};
use crate::client::{Client, packed, statement};
use crate::kit::Hosted;

fn flight<'f>(field: &'f Field, key: &str) -> Option<&'f str> {
    let key = format!("ARROW:FLIGHT:SQL:{key}");
    field.metadata().get(&key).map(String::as_str)
}

fn mask(field: &Field) -> Option<&str> {
    field.metadata().get("scrim.mask").map(String::as_str)
}

/// The schema of a visible table, as GetTables tells it.
async fn table_schema(client: &mut Client, schema: &str, table: &str) -> Schema {
    let command = CommandGetTables {
        db_schema_filter_pattern: Some(schema.to_owned()),
        ..tables(Some(table), true)
    };
    let found = client.fetch(&command).await.unwrap().batch();
    assert_eq!(found.num_rows(), 1);
    try_schema_from_ipc_buffer(found.column(4).as_binary::<i32>().value(0)).unwrap()
}

#[tokio::test]
async fn one_schema_for_info_stream_schema_and_preparation() {
    let host = Hosted::demo().await;
    let sql = "SELECT p.patient_id, p.birth_date AS born, upper(p.zip) AS zip, v.cost, v.ward,
                      count(*) OVER () AS n, min(p.birth_date) OVER () AS eldest
               FROM care.patients p JOIN care.visits v ON p.patient_id = v.patient_id";
    for id in ["nora", "ivan", "rhea"] {
        for native in ["false", "true"] {
            let mut client = Client::persona(host.address(), id).await;
            client.headers.push(("x-native-types", native.to_owned()));
            // compares what is announced with what is sent
            let sent = client.query(sql).await.unwrap().schema();
            let request = client.request(FlightDescriptor::new_cmd(packed(&statement(sql))));
            let told = client.inner.get_schema(request).await.unwrap().into_inner();
            assert_eq!(
                Schema::try_from(&told).unwrap().fields(),
                sent.fields(),
                "{id}"
            );
            let prepared = client.prepare(sql).await.unwrap();
            let dataset = SchemaResult {
                schema: prepared.dataset_schema,
            };
            assert_eq!(
                Schema::try_from(&dataset).unwrap().fields(),
                sent.fields(),
                "{id}"
            );
            let run = CommandPreparedStatementQuery {
                prepared_statement_handle: prepared.prepared_statement_handle,
            };
            let ran = client.fetch(&run).await.unwrap().schema();
            assert_eq!(ran.fields(), sent.fields(), "{id}");
            for field in sent.fields() {
                assert!(flight(field, "TYPE_NAME").is_some(), "{id}: {field}");
                assert_eq!(flight(field, "REMARKS"), None, "{id}: {field}");
            }
        }
    }
}

#[tokio::test]
async fn a_tables_columns_are_described() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let schema = table_schema(&mut client, "insurance", "claims").await;
    let check = |column: &str, expected: &[(&str, Option<&str>)]| {
        let field = schema.field_with_name(column).unwrap();
        let common = [
            ("CATALOG_NAME", Some("scrim")),
            ("SCHEMA_NAME", Some("insurance")),
            ("DB_SCHEMA_NAME", Some("insurance")),
            ("TABLE_NAME", Some("claims")),
            ("IS_READ_ONLY", Some("1")),
            ("IS_SEARCHABLE", Some("1")),
            ("IS_AUTO_INCREMENT", Some("0")),
        ];
        for (key, value) in common.iter().chain(expected) {
            assert_eq!(flight(field, key), *value, "{column} {key}");
        }
    };
    check(
        "amount",
        &[
            ("TYPE_NAME", Some("DECIMAL")),
            ("PRECISION", Some("12")),
            ("SCALE", Some("2")),
            ("REMARKS", Some("What was asked for.")),
            ("IS_CASE_SENSITIVE", Some("0")),
        ],
    );
    check(
        "region",
        &[
            ("TYPE_NAME", Some("VARCHAR")),
            ("PRECISION", None),
            ("REMARKS", None),
            ("IS_CASE_SENSITIVE", Some("1")),
        ],
    );
    let types = CommandGetXdbcTypeInfo { data_type: None };
    let types = texts(&client.fetch(&types).await.unwrap().batch(), 0);
    for (domain, table) in [
        ("care", "patients"),
        ("care", "visits"),
        ("insurance", "claims"),
    ] {
        for field in table_schema(&mut client, domain, table).await.fields() {
            let name = flight(field, "TYPE_NAME").unwrap().to_owned();
            assert!(types.contains(&name), "{field}");
        }
    }
}

#[tokio::test]
async fn masks_go_by_name_through_a_query() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "ivan").await;
    for (sql, expected) in [
        (
            "SELECT full_name, birth_date AS born, ward FROM care.patients",
            &[Some("partial"), Some("truncate_date"), None][..],
        ),
        (
            "SELECT upper(full_name), ward || zip, 1 FROM care.patients",
            &[Some("derived"), None, None],
        ),
        (
            "SELECT ward FROM care.patients WHERE full_name LIKE 'Z%' ORDER BY birth_date",
            &[None],
        ),
        (
            "SELECT n, c FROM (SELECT household_income AS n, count(*) AS c FROM care.patients
             GROUP BY household_income) AS t ORDER BY n LIMIT 3",
            &[Some("top_code"), None],
        ),
        (
            "SELECT max(household_income), count(*) FROM care.patients",
            &[Some("derived"), None],
        ),
        (
            "WITH p AS (SELECT patient_id, full_name FROM care.patients)
             SELECT p.full_name, v.notes, v.ward FROM care.visits v
             LEFT JOIN p ON p.patient_id = v.patient_id",
            &[Some("partial"), Some("constant"), None],
        ),
        (
            "SELECT full_name FROM care.patients UNION ALL SELECT full_name FROM care.patients",
            &[Some("partial")],
        ),
        (
            "SELECT full_name FROM care.patients UNION ALL SELECT ward FROM care.patients",
            &[Some("derived")],
        ),
        (
            "SELECT DISTINCT birth_date, rank() OVER (ORDER BY birth_date) FROM care.patients",
            &[Some("truncate_date"), Some("derived")],
        ),
        (
            "SELECT (SELECT max(full_name) FROM care.patients), ward FROM care.visits LIMIT 1",
            &[Some("derived"), None],
        ),
        ("EXPLAIN SELECT full_name FROM care.patients", &[None, None]),
    ] {
        let fetched = client.query(sql).await;
        let schema = fetched.unwrap_or_else(|e| panic!("{sql}: {e}")).schema();
        let found: Vec<_> = schema.fields().iter().map(|field| mask(field)).collect();
        assert_eq!(found, expected, "{sql}");
    }
    let schema = table_schema(&mut client, "care", "patients").await;
    let found = |column: &str| mask(schema.field_with_name(column).unwrap());
    assert_eq!(found("full_name"), Some("partial"));
    assert_eq!(found("contact"), Some("email,partial"));
    assert_eq!(found("ward"), None);
    let mut owner = Client::persona(host.address(), "nora").await;
    for field in table_schema(&mut owner, "care", "patients").await.fields() {
        assert_eq!(mask(field), None, "{field}");
    }
}

#[tokio::test]
async fn inv_07_no_parameter_of_a_mask_and_no_hidden_name_is_told() {
    let host = Hosted::demo().await;
    for id in ["ivan", "rhea", "rolf"] {
        let mut client = Client::persona(host.address(), id).await;
        let bytes = client.fetch(&tables(None, true)).await.unwrap().bytes();
        for text in [
            "150000",
            "keep_",
            "(withheld)",
            "recipient",
            "national_id",
            "consent_research",
        ] {
            assert!(!contains(&bytes, text.as_bytes()), "{id}: {text}");
        }
    }
}

#[tokio::test]
async fn results_of_metadata_commands_carry_no_metadata() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rhea").await;
    let schema = client.fetch(&tables(None, true)).await.unwrap().schema();
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| field.metadata().is_empty())
    );
}
