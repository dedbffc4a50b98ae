//! What drivers ask about tables, types and abilities: exact schemas, and only what is visible.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, UInt32Type, UnionMode};
use arrow::ipc::convert::try_schema_from_ipc_buffer;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo,
};

use crate::client::{Client, code};
use crate::kit::Hosted;

pub(crate) fn texts(batch: &RecordBatch, column: usize) -> Vec<String> {
    batch
        .column(column)
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap().to_owned())
        .collect()
}

pub(crate) fn tables(pattern: Option<&str>, include_schema: bool) -> CommandGetTables {
    CommandGetTables {
        table_name_filter_pattern: pattern.map(str::to_owned),
        include_schema,
        ..CommandGetTables::default()
    }
}

fn utf8(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

#[tokio::test]
async fn the_schemas_are_exactly_the_protocols() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    macro_rules! check {
        ($command:expr, $fields:expr) => {
            let fetched = client.fetch(&$command).await.unwrap();
            assert_eq!(
                *fetched.schema(),
                Schema::new($fields),
                "{}",
                stringify!($command)
            );
        };
    }
    check!(CommandGetCatalogs {}, vec![utf8("catalog_name", false)]);
    check!(
        CommandGetDbSchemas::default(),
        vec![utf8("catalog_name", true), utf8("db_schema_name", false)]
    );
    let four = vec![
        utf8("catalog_name", true),
        utf8("db_schema_name", true),
        utf8("table_name", false),
        utf8("table_type", false),
    ];
    check!(tables(None, false), four.clone());
    let five = [
        four,
        vec![Field::new("table_schema", DataType::Binary, false)],
    ]
    .concat();
    check!(tables(None, true), five);
    check!(CommandGetTableTypes {}, vec![utf8("table_type", false)]);
    let keys = vec![
        utf8("catalog_name", true),
        utf8("db_schema_name", true),
        utf8("table_name", false),
        utf8("column_name", false),
        utf8("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ];
    let primary = CommandGetPrimaryKeys {
        table: "patients".into(),
        ..CommandGetPrimaryKeys::default()
    };
    check!(primary, keys);
    let mut foreign: Vec<Field> = Vec::new();
    for side in ["pk", "fk"] {
        foreign.push(utf8(&format!("{side}_catalog_name"), true));
        foreign.push(utf8(&format!("{side}_db_schema_name"), true));
        foreign.push(utf8(&format!("{side}_table_name"), false));
        foreign.push(utf8(&format!("{side}_column_name"), false));
    }
    foreign.push(Field::new("key_sequence", DataType::Int32, false));
    foreign.extend([utf8("fk_key_name", true), utf8("pk_key_name", true)]);
    foreign.push(Field::new("update_rule", DataType::UInt8, false));
    foreign.push(Field::new("delete_rule", DataType::UInt8, false));
    check!(
        CommandGetExportedKeys {
            table: "patients".into(),
            ..Default::default()
        },
        foreign.clone()
    );
    check!(
        CommandGetImportedKeys {
            table: "visits".into(),
            ..Default::default()
        },
        foreign.clone()
    );
    check!(
        CommandGetCrossReference {
            pk_table: "patients".into(),
            fk_table: "visits".into(),
            ..Default::default()
        },
        foreign
    );
}

#[tokio::test]
async fn inv_07_lists_hold_what_is_visible_and_nothing_else() {
    let host = Hosted::demo().await;
    for (id, schemas, names) in [
        (
            "nora",
            &["care", "insurance"][..],
            &["patients", "visits", "claims"][..],
        ),
        ("iris", &["insurance"], &["claims"]),
        ("luca", &[], &[]),
    ] {
        let mut client = Client::persona(host.address(), id).await;
        let catalogs = client.fetch(&CommandGetCatalogs {}).await.unwrap().batch();
        assert_eq!(texts(&catalogs, 0), ["scrim"]);
        let found = client
            .fetch(&CommandGetDbSchemas::default())
            .await
            .unwrap()
            .batch();
        assert_eq!(texts(&found, 1), schemas, "{id}");
        let found = client.fetch(&tables(None, false)).await.unwrap().batch();
        assert_eq!(texts(&found, 2), names, "{id}");
        assert!(texts(&found, 3).iter().all(|kind| kind == "TABLE"));
    }
}

#[tokio::test]
async fn inv_07_hidden_columns_are_in_no_schema_and_each_is_what_a_query_gives() {
    let host = Hosted::demo().await;
    for id in ["nora", "ivan", "rhea", "rolf", "iris"] {
        let mut client = Client::persona(host.address(), id).await;
        let found = client.fetch(&tables(None, true)).await.unwrap().batch();
        let schemas = found.column(4).as_binary::<i32>();
        for row in 0..found.num_rows() {
            // an encapsulated message: anything else crashes drivers
            assert_eq!(&schemas.value(row)[..4], [0xff; 4]);
            let schema = try_schema_from_ipc_buffer(schemas.value(row)).unwrap();
            let name = format!("{}.{}", texts(&found, 1)[row], texts(&found, 2)[row]);
            let all = client
                .query(&format!("SELECT * FROM {name} LIMIT 0"))
                .await
                .unwrap();
            assert_eq!(
                names_and_types(&schema),
                names_and_types(&all.schema()),
                "{id} {name}"
            );
            if id != "nora" && name == "care.patients" {
                assert!(schema.field_with_name("national_id").is_err(), "{id}");
            }
        }
        let bytes = client.fetch(&tables(None, true)).await.unwrap().bytes();
        let hidden: &[&str] = match id {
            "nora" => &["iban", "fraud_score"],
            "ivan" => &["national_id", "consent_research", "physician_email"],
            "iris" => &["national_id", "full_name", "physician_email"],
            _ => &[
                "national_id",
                "full_name",
                "iban",
                "holder_email",
                "legal_hold",
            ],
        };
        for name in hidden {
            assert!(!contains(&bytes, name.as_bytes()), "{id}: {name}");
        }
    }
}

fn names_and_types(schema: &Schema) -> Vec<(String, DataType)> {
    schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect()
}

pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[tokio::test]
async fn filters_are_patterns_with_a_backslash() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    for (pattern, names) in [
        ("%", &["patients", "visits", "claims"][..]),
        ("patients", &["patients"]),
        ("PATIENTS", &[]),
        ("p%", &["patients"]),
        ("_laims", &["claims"]),
        ("c\\_aims", &[]),
        ("vi\\%", &[]),
        ("v_s_ts", &["visits"]),
        ("%i%t%s", &["patients", "visits"]),
        ("", &[]),
        ("p.*", &[]),
        (
            "patients%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
            &["patients"],
        ),
    ] {
        let found = client
            .fetch(&tables(Some(pattern), false))
            .await
            .unwrap()
            .batch();
        assert_eq!(texts(&found, 2), names, "{pattern}");
    }
    for (catalog, rows) in [
        (None, 3),
        (Some("scrim"), 3),
        (Some(""), 0),
        (Some("other"), 0),
        (Some("%"), 0),
    ] {
        let command = CommandGetTables {
            catalog: catalog.map(str::to_owned),
            ..tables(None, false)
        };
        assert_eq!(
            client.fetch(&command).await.unwrap().batch().num_rows(),
            rows,
            "{catalog:?}"
        );
    }
    for (types, rows) in [
        (&["TABLE"][..], 3),
        (&["BASE TABLE", "VIEW"], 3),
        (&["table"], 3),
        (&["VIEW"], 0),
    ] {
        let types = types.iter().map(|&name| name.to_owned()).collect();
        let command = CommandGetTables {
            table_types: types,
            ..tables(None, false)
        };
        assert_eq!(
            client.fetch(&command).await.unwrap().batch().num_rows(),
            rows
        );
    }
    let command = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: Some("c%".into()),
    };
    assert_eq!(
        texts(&client.fetch(&command).await.unwrap().batch(), 1),
        ["care"]
    );
}

#[tokio::test]
async fn abilities_are_told_in_the_children_that_drivers_cast_to() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let all = client
        .fetch(&CommandGetSqlInfo::default())
        .await
        .unwrap()
        .batch();
    let DataType::Union(children, UnionMode::Dense) = all.column(1).data_type() else {
        panic!("{}", all.column(1).data_type());
    };
    let names: Vec<_> = children
        .iter()
        .map(|(id, field)| (id, field.name().as_str()))
        .collect();
    assert_eq!(
        names,
        [
            (0, "string_value"),
            (1, "bool_value"),
            (2, "bigint_value"),
            (3, "int32_bitmask"),
            (4, "string_list"),
            (5, "int32_to_int32_list_map")
        ]
    );
    let codes = all.column(0).as_primitive::<UInt32Type>();
    let union = all.column(1).as_union();
    let child = |code: u32| {
        let row = codes
            .values()
            .iter()
            .position(|c| *c == code)
            .unwrap_or_else(|| panic!("no {code}"));
        (union.type_id(row), union.value(row))
    };
    // JDBC reads these without asking whether they are there; beside the code a test knows the child
    // of each
    for code in (0..=9).chain(500..=576) {
        child(code);
    }
    for (code, name) in [(3, 1), (8, 3), (504, 0), (507, 2), (508, 4), (517, 5)] {
        assert_eq!(child(code).0, name, "code {code}");
    }
    for code in [10, 11] {
        let one = CommandGetSqlInfo { info: vec![code] };
        let one = client.fetch(&one).await.unwrap().batch();
        assert_eq!(one.column(1).as_union().type_id(0), 1, "code {code}");
    }
    // old JDBC drivers break on codes that they do not know
    assert!(
        codes
            .values()
            .iter()
            .all(|code| *code < 10_000 && ![10, 11].contains(code))
    );
    assert!(child(3).1.as_boolean().value(0), "it is read-only");
    assert_eq!(
        child(8).1.as_primitive::<Int32Type>().value(0),
        0,
        "there are no transactions"
    );
    assert_eq!(child(504).1.as_string::<i32>().value(0), "\"");
    // ADBC asks for one at connect; codes that nobody knows are skipped
    let some = CommandGetSqlInfo {
        info: vec![8, 99_999],
    };
    let some = client.fetch(&some).await.unwrap().batch();
    assert_eq!(some.column(0).as_ref(), &UInt32Array::from(vec![8]));
}

#[tokio::test]
async fn types_are_listed_in_order_and_by_number() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let all = client
        .fetch(&CommandGetXdbcTypeInfo { data_type: None })
        .await
        .unwrap()
        .batch();
    assert_eq!(all.num_columns(), 19);
    assert!(all.num_rows() > 8);
    let numbers = all
        .column_by_name("data_type")
        .unwrap()
        .as_primitive::<Int32Type>()
        .clone();
    assert!(numbers.values().windows(2).all(|pair| pair[0] <= pair[1]));
    let one = CommandGetXdbcTypeInfo {
        data_type: Some(numbers.value(0)),
    };
    let one = client.fetch(&one).await.unwrap().batch();
    let again = Arc::clone(one.column_by_name("data_type").unwrap());
    assert!(
        again
            .as_primitive::<Int32Type>()
            .values()
            .iter()
            .all(|n| *n == numbers.value(0))
    );
    let none = CommandGetXdbcTypeInfo {
        data_type: Some(-12_345),
    };
    assert_eq!(client.fetch(&none).await.unwrap().batch().num_rows(), 0);
}

#[tokio::test]
async fn table_types_are_one() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "luca").await;
    let types = client
        .fetch(&CommandGetTableTypes {})
        .await
        .unwrap()
        .batch();
    assert_eq!(texts(&types, 0), ["TABLE"]);
}

#[tokio::test]
async fn functions_that_are_told_of_can_be_called_and_literals_be_written() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let command = CommandGetSqlInfo {
        info: (509..=512).collect(),
    };
    let told = client.fetch(&command).await.unwrap().batch();
    let union = told.column(1).as_union();
    for row in 0..told.num_rows() {
        let names = union.value(row);
        let names = names.as_list::<i32>().value(0);
        for name in names.as_string::<i32>().iter().flatten() {
            // with the wrong arguments a function that is there is another error
            let error = client.query(&format!("SELECT {name}()")).await.err();
            let refused = error.is_some_and(|status| code(&status) == "function-refused");
            assert!(!refused, "{name}");
        }
    }
    for (prefix, value, suffix) in literals(&mut client).await {
        let sql = format!("SELECT {prefix}{value}{suffix} AS literal");
        client
            .query(&sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// A literal of every type that has a form of its own.
async fn literals(client: &mut Client) -> Vec<(String, &'static str, String)> {
    let command = CommandGetXdbcTypeInfo { data_type: None };
    let types = client.fetch(&command).await.unwrap().batch();
    let column = |name: &str| {
        types
            .column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .clone()
    };
    let (names, prefixes, suffixes) = (
        column("type_name"),
        column("literal_prefix"),
        column("literal_suffix"),
    );
    let quoted = (0..types.num_rows()).filter(|row| prefixes.is_valid(*row));
    quoted
        .map(|row| {
            let value = match names.value(row) {
                "DATE" => "2026-03-02",
                "TIME" => "12:00:00",
                "TIMESTAMP" => "2026-03-02 12:00:00",
                "TIMESTAMP WITH TIME ZONE" => "2026-03-02T12:00:00+01:00",
                "INTERVAL" => "1 day",
                "VARBINARY" => "0aff",
                _ => "text",
            };
            let (prefix, suffix) = (prefixes.value(row), suffixes.value(row));
            (prefix.to_owned(), value, suffix.to_owned())
        })
        .collect()
}
