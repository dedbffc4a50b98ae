//! Power BI's own connector, which is ADBC in C#.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::HandshakeRequest;
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetXdbcTypeInfo};
use scrim::demo::world::{PASSWORD, persona};

use super::{TYPE_NAME, ask_prepared, shake_hands, table_schema, tables, texts};
use crate::client::{Client, basic};
use crate::kit::Hosted;

const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";

async fn connect(host: &Hosted, id: &str) -> Client {
    let mut client = Client::connect(host.address()).await;
    let credentials = basic(id, PASSWORD, true);
    let one = futures::stream::iter([HandshakeRequest::default()]);
    client.token = Some(shake_hands(&mut client, &credentials, one).await.unwrap());
    let purpose = persona(id).unwrap().purpose.to_owned();
    client.headers.push(("x-scrim-purpose", purpose));
    client
}

/// One column of each kind that a query may give.
const KINDS: &str = "SELECT true AS flag, arrow_cast(1, 'Int8') AS i8, arrow_cast(1, 'Int16') AS i16, \
    arrow_cast(1, 'Int32') AS i32, 1 AS i64, arrow_cast(1, 'UInt8') AS u8, \
    arrow_cast(1, 'UInt16') AS u16, arrow_cast(1, 'UInt32') AS u32, arrow_cast(1, 'UInt64') AS u64, \
    arrow_cast(1, 'Float32') AS f32, 1.5 AS f64, CAST(1.5 AS DECIMAL(10, 2)) AS d, 'a' AS s, \
    arrow_cast('a', 'Binary') AS b, DATE '2026-01-01' AS day, \
    arrow_cast(1, 'Time64(Microsecond)') AS clock, TIMESTAMP '2026-01-01T00:00:00' AS at";

/// The navigator's tree, then the preview of a table: without TYPE_NAME every table fails with
/// "Unable to understand the type for column".
#[tokio::test]
async fn power_bi_understands_the_type_of_every_column() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    client.fetch(&CommandGetCatalogs {}).await.unwrap();
    client.fetch(&CommandGetDbSchemas::default()).await.unwrap();
    let types = client
        .fetch(&CommandGetXdbcTypeInfo { data_type: None })
        .await
        .unwrap()
        .batch();
    let types: BTreeSet<_> = texts(&types, "type_name").into_iter().collect();
    let found = client
        .fetch(&tables(None, None, true))
        .await
        .unwrap()
        .batch();
    for row in 0..found.num_rows() {
        let listed = table_schema(&found, row);
        all_have_type_names(&listed, &types);
        let schema = &texts(&found, "db_schema_name")[row];
        let sql = format!(
            "SELECT * FROM {schema}.{} LIMIT 200",
            texts(&found, "table_name")[row]
        );
        let preview = ask_prepared(&mut client, &sql).await.unwrap().schema();
        all_have_type_names(&preview, &types);
        let names = |schema: &Schema| -> Vec<_> {
            let fields = schema.fields().iter();
            fields
                .map(|f| (f.name().clone(), f.metadata()[TYPE_NAME].clone()))
                .collect()
        };
        assert_eq!(names(&preview), names(&listed), "{sql}");
    }
    let all = ask_prepared(&mut client, KINDS).await.unwrap().schema();
    all_have_type_names(&all, &types);
    let decimal = all.field_with_name("d").unwrap().metadata();
    assert_eq!((&*decimal[PRECISION], &*decimal[SCALE]), ("10", "2"));
}

fn all_have_type_names(schema: &Schema, types: &BTreeSet<String>) {
    for field in schema.fields() {
        let name = field.metadata().get(TYPE_NAME);
        let name = name.unwrap_or_else(|| panic!("{field} has no type's name"));
        assert!(
            field.data_type().is_nested() || types.contains(name),
            "{field}: {name}"
        );
    }
}

/// The metadata is in every place that announces a schema, not only in the stream.
#[tokio::test]
async fn power_bi_reads_type_names_from_a_prepared_statement() {
    let host = Hosted::demo().await;
    let mut client = connect(&host, "nora").await;
    let prepared = client.prepare(KINDS).await.unwrap();
    let schema = try_schema_from_ipc_buffer(&prepared.dataset_schema).unwrap();
    for (column, name) in [
        ("i64", "BIGINT"),
        ("s", "VARCHAR"),
        ("d", "DECIMAL"),
        ("day", "DATE"),
    ] {
        let field = schema.field_with_name(column).unwrap();
        assert_eq!(
            field.metadata().get(TYPE_NAME).map(String::as_str),
            Some(name),
            "{column}"
        );
    }
    assert_eq!(
        schema
            .field_with_name("at")
            .unwrap()
            .data_type()
            .to_string()
            .get(..9),
        Some("Timestamp")
    );
    assert!(matches!(
        schema.field_with_name("d").unwrap().data_type(),
        DataType::Decimal128(10, 2)
    ));
}
