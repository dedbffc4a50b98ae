//! Files of one table that were written over years.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, StructArray, record_batch,
};
use datafusion::arrow::datatypes as arrow_schema;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use datafusion::prelude::{col, lit};
use scrim_engine::FaultKind;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn object(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields = fields.into_iter().map(|(name, column)| {
        let field = Field::new(name, column.data_type().clone(), true);
        (Arc::new(field), column)
    });
    Arc::new(StructArray::from(fields.collect::<Vec<_>>()))
}

#[tokio::test]
async fn a_column_that_some_files_lack_is_null_there() {
    let scratch = Scratch::new();
    scratch.parquet("t/1.parquet", &record_batch!(("a", Int64, [1])).unwrap());
    let newer = record_batch!(("b", Utf8, ["x"]), ("a", Int64, [2])).unwrap();
    scratch.parquet("t/2.parquet", &newer);
    let wanted = || vec![column("a", "integer"), column("b", "string")];
    let opened = scratch.open("t", PARQUET, Some(wanted())).await.unwrap();
    assert_eq!(all(&opened.table).await.unwrap(), ["1|NULL", "2|x"]);
    let rows = query(&opened.table, &["a"], Some(col("b").is_null())).await;
    assert_eq!(rows.unwrap(), ["1"]);
    let rows = query(&opened.table, &["a"], Some(col("b").eq(lit("x")))).await;
    assert_eq!(rows.unwrap(), ["2"]);
    // A required one must be everywhere, from the start and for ever.
    let required = || {
        let mut wanted = wanted();
        wanted[1].required = true;
        Some(wanted)
    };
    let error = scratch.open("t", PARQUET, required()).await.unwrap_err();
    assert!(error.to_string().contains("required column `b`"), "{error}");
    let opened = scratch
        .open("t/2.parquet", PARQUET, required())
        .await
        .unwrap();
    scratch.parquet("t/2.parquet", &record_batch!(("a", Int64, [1])).unwrap());
    let (kind, text) = fault(all(&opened.table).await);
    assert_eq!(kind, FaultKind::Invalid, "{text}");
    assert!(
        text.contains("t/2.parquet") && text.contains("`b`"),
        "{text}"
    );
}

fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
    let decimal = Decimal128Array::from(vec![value]);
    Arc::new(decimal.with_precision_and_scale(precision, scale).unwrap())
}

fn old() -> RecordBatch {
    let dictionary: DictionaryArray<Int32Type> = ["d"].into_iter().collect();
    batch(vec![
        ("i", Arc::new(Int32Array::from(vec![7]))),
        ("f", Arc::new(Float32Array::from(vec![0.5]))),
        ("d", decimal(125, 5, 2)),
        ("s", Arc::new(dictionary)),
        ("v", Arc::new(StringViewArray::from(vec!["view"]))),
        (
            "o",
            object(vec![("x", Arc::new(Int32Array::from(vec![1])))]),
        ),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([
                Some(1),
            ])])),
        ),
    ])
}

fn new() -> RecordBatch {
    batch(vec![
        ("i", Arc::new(Int64Array::from(vec![1 << 40]))),
        ("f", Arc::new(Float64Array::from(vec![0.25]))),
        ("d", decimal(12_345_678, 9, 4)),
        ("s", Arc::new(StringArray::from(vec!["s"]))),
        ("v", Arc::new(StringArray::from(vec!["plain"]))),
        (
            "o",
            object(vec![
                ("y", Arc::new(StringArray::from(vec!["y"]))),
                ("x", Arc::new(Int64Array::from(vec![2]))),
            ]),
        ),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([
                Some(2),
            ])])),
        ),
    ])
}

#[tokio::test]
async fn types_that_grew_are_read_as_the_widest() {
    let scratch = Scratch::new();
    scratch.parquet("t/1.parquet", &old());
    scratch.parquet("t/2.parquet", &new());
    let table = scratch.table("t", PARQUET, &[]).await;
    let expected = [
        "i Int64",
        "f Float64",
        "d Decimal128(9, 4)",
        "s Utf8",
        "v Utf8",
        "o Struct(\"x\": Int64, \"y\": Utf8)",
        "l List(Int64)",
    ];
    assert_eq!(types(&table), expected);
    let expected = [
        "1099511627776|0.25|1234.5678|s|plain|{x: 2, y: y}|[2]",
        "7|0.5|1.2500|d|view|{x: 1, y: NULL}|[1]",
    ];
    assert_eq!(all(&table).await.unwrap(), expected);
    for (filter, expected) in [
        (col("i").lt(lit(100_i64)), "7"),
        (col("s").eq(lit("d")), "7"),
        (col("v").eq(lit("plain")), "1099511627776"),
    ] {
        let rows = query(&table, &["i"], Some(filter.clone())).await.unwrap();
        assert_eq!(rows, [expected], "{filter}");
    }
    let text = record_batch!(("i", Utf8, ["x"])).unwrap();
    scratch.parquet("t/3.parquet", &text);
    let error = scratch
        .open("t", PARQUET, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("t/3.parquet") && error.contains("`i`"),
        "{error}"
    );
    let (kind, text) = fault(all(&table).await);
    assert_eq!(kind, FaultKind::Invalid, "{text}");
}

#[tokio::test]
async fn a_file_with_other_columns_is_no_table_of_nulls() {
    let scratch = Scratch::new();
    scratch.parquet(
        "t.parquet",
        &record_batch!(("a", Int64, [1]), ("b", Int64, [1])).unwrap(),
    );
    let table = scratch
        .table("t.parquet", PARQUET, &[("a", ""), ("b", "")])
        .await;
    scratch.parquet(
        "t.parquet",
        &record_batch!(("a", Int64, [1]), ("c", Int64, [1])).unwrap(),
    );
    let (kind, text) = fault(query(&table, &["a"], None).await);
    assert_eq!(kind, FaultKind::Invalid);
    assert!(text.contains("`b`"), "{text}");
    // More columns do no harm, and nobody sees them.
    let more = record_batch!(("c", Int64, [1]), ("b", Int64, [2]), ("a", Int64, [3])).unwrap();
    scratch.parquet("t.parquet", &more);
    assert_eq!(all(&table).await.unwrap(), ["3|2"]);
}

#[tokio::test]
async fn a_column_that_is_there_twice_is_refused() {
    let scratch = Scratch::new();
    scratch.write("t.csv", "a,b,a\n1,2,3\n");
    let error = scratch
        .open("t.csv", csv(BadRows::Fail), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`a` is there twice"), "{error}");
    let wanted = Some(vec![column("b", "")]);
    scratch
        .open("t.csv", csv(BadRows::Fail), wanted)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn nested_notes_of_writers_do_not_matter() {
    let scratch = Scratch::new();
    let noted = |note: &str| {
        let inner = Field::new("x", DataType::Int32, true)
            .with_metadata([("k".to_owned(), note.to_owned())].into());
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let object = StructArray::from(vec![(Arc::new(inner), column)]);
        batch(vec![("o", Arc::new(object))])
    };
    scratch.parquet("t/1.parquet", &noted("one"));
    scratch.parquet("t/2.parquet", &noted("two"));
    let table = scratch.table("t", PARQUET, &[]).await;
    assert_eq!(types(&table), ["o Struct(\"x\": Int32)"]);
    assert_eq!(all(&table).await.unwrap(), ["{x: 1}", "{x: 1}"]);
}
