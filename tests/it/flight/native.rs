//! Arrow's own types, for clients that ask for them: as they are, and no byte of what is withheld.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int64Array,
    LargeStringArray, RecordBatch, StringViewArray,
};
use arrow::datatypes::{DataType, Int32Type, Schema};

use super::metadata::contains;
use crate::client::Client;
use crate::kit::{Hosted, Scratch};

/// A table whose rows are withheld where `secret` is true, in types that only new clients read.
fn exotic() -> Scratch {
    let world = Scratch::demo();
    let rows = 400_i64;
    let secret = |i: i64| i % 2 == 1;
    let word = |i: i64| {
        let kind = if secret(i) { "hidden-canary" } else { "shown" };
        format!("{kind}-with-more-than-twelve-bytes-{i:04}")
    };
    let words: Vec<String> = (0..rows).map(word).collect();
    let entries: DictionaryArray<Int32Type> = words.iter().map(String::as_str).collect();
    let fixed = (0..rows).map(|i| {
        if secret(i) {
            *b"HIDDEN!!"
        } else {
            *b"SHOWN..."
        }
    });
    let secrets: BooleanArray = (0..rows).map(|i| Some(secret(i))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("secret", Arc::new(secrets)),
        ("words", Arc::new(StringViewArray::from_iter_values(&words))),
        (
            "large",
            Arc::new(LargeStringArray::from_iter_values(&words)),
        ),
        ("entry", Arc::new(entries)),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter(fixed).unwrap()),
        ),
    ];
    world.add_table("exotic", &[RecordBatch::try_from_iter(columns).unwrap()]);
    world.edit(
        "policies/contracts/exotic.odcs.yaml",
        "      profiles:\n",
        "      guards: [{id: secrets, rows: NOT secret}]\n      profiles:\n",
    );
    world
}

fn types(schema: &Schema) -> Vec<DataType> {
    let fields = schema.fields().iter();
    fields.map(|field| field.data_type().clone()).collect()
}

#[tokio::test]
async fn native_types_are_arrows_own() {
    let host = Hosted::start(exotic()).await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql = "SELECT words, large, entry, fixed FROM care.exotic ORDER BY id";
    let plain = client.query(sql).await.unwrap();
    let text = DataType::Utf8;
    assert_eq!(
        types(&plain.schema()),
        [text.clone(), text.clone(), text, DataType::Binary]
    );
    client.query("SET native_types = true").await.unwrap();
    let native = client.query(sql).await.unwrap();
    assert_eq!(
        types(&native.schema())[1..],
        [
            DataType::LargeUtf8,
            DataType::Utf8,
            DataType::FixedSizeBinary(8)
        ]
    );
    assert!(
        native
            .schema()
            .fields()
            .iter()
            .all(|field| field.is_nullable())
    );
    let (plain, native) = (plain.batch(), native.batch());
    assert_eq!(native.num_rows(), 200);
    for row in 0..native.num_rows() {
        let word = plain.column(0).as_string::<i32>().value(row);
        assert_eq!(native.column(1).as_string::<i64>().value(row), word);
        assert_eq!(native.column(2).as_string::<i32>().value(row), word);
    }
    let views = "SELECT arrow_cast(words, 'Utf8View') AS words FROM care.exotic ORDER BY id";
    let views = client.query(views).await.unwrap().batch();
    let views = views.column(0).as_string_view();
    assert_eq!(views.len(), 200);
    assert_eq!(views.value(7), plain.column(0).as_string::<i32>().value(7));
}

#[tokio::test]
async fn inv_16_no_value_of_a_withheld_row_leaves_in_a_native_buffer() {
    let host = Hosted::start(exotic()).await;
    let mut client = Client::persona(host.address(), "nora").await;
    client.headers.push(("x-native-types", "true".to_owned()));
    for sql in [
        "SELECT * FROM care.exotic",
        "SELECT entry, words FROM care.exotic LIMIT 1",
        "SELECT entry, arrow_cast(words, 'Utf8View') FROM care.exotic WHERE id > 390",
        "SELECT entry, count(*) FROM care.exotic GROUP BY entry",
        "SELECT DISTINCT entry FROM care.exotic ORDER BY entry LIMIT 3",
        "SELECT struct(entry, words, fixed) FROM care.exotic",
        "SELECT a.entry, b.words FROM care.exotic a JOIN care.exotic b ON a.id = b.id",
    ] {
        let fetched = client.query(sql).await;
        let bytes = fetched.unwrap_or_else(|e| panic!("{sql}: {e}")).bytes();
        assert!(contains(&bytes, b"shown-with-more"), "{sql}");
        for hidden in [&b"hidden-canary"[..], b"HIDDEN!!"] {
            assert!(!contains(&bytes, hidden), "{sql}");
        }
    }
}
