//! Which files are found, and what their folders say.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, record_batch};
use datafusion::arrow::datatypes as arrow_schema;
use datafusion::prelude::{col, lit};
use scrim_engine::FaultKind;

use super::*;

fn numbers(values: &[i64]) -> RecordBatch {
    let values = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("n", values as _)]).unwrap()
}

#[tokio::test]
async fn a_file_a_folder_and_a_pattern_are_tables() {
    let scratch = Scratch::new();
    for (name, value) in [
        ("t/a.parquet", 1),
        ("t/deep/b.PARQUET", 2),
        ("t/_temporary/c.parquet", 3),
        ("t/.hidden.parquet", 4),
        ("t/notes.txt", 5),
        ("t/deep/x %25ü.parquet", 6),
        ("u.parquet", 7),
    ] {
        scratch.parquet(name, &numbers(&[value]));
    }
    for (path, expected) in [
        ("t", &["1", "2", "6"][..]),
        ("t/", &["1", "2", "6"]),
        ("t/*.parquet", &["1"]),
        ("t/*", &["1"]),
        ("t/**", &["1", "2", "6"]),
        ("**/[ab].*", &["1", "2"]),
        ("t/deep/x %25ü.parquet", &["6"]),
        ("./t/../u.parquet", &["7"]),
        ("t/notes.txt", &["5"]),
    ] {
        let table = scratch.table(path, PARQUET, &[]).await;
        assert_eq!(all(&table).await.unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_named() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("empty")).unwrap();
    for path in ["no.parquet", "*.parquet", "empty", "no/", "empty/**"] {
        for format in [
            PARQUET,
            csv(BadRows::Fail),
            json(BadRows::Fail),
            FileFormat::Arrow,
        ] {
            let error = scratch.open(path, format, None).await.unwrap_err();
            assert!(matches!(error, SourceError::Missing(_)), "{path}: {error}");
        }
    }
    let delta = FileFormat::Delta(scrim_policy::TableVersion::Latest);
    let error = scratch.open("empty", delta, None).await.unwrap_err();
    assert!(matches!(error, SourceError::NotServed(_)), "{error}");
    let wide = FileFormat::Csv {
        delimiter: '€',
        bad_rows: BadRows::Fail,
    };
    let error = scratch.open("empty", wide, None).await.unwrap_err();
    assert!(matches!(error, SourceError::NotServed(_)), "{error}");
}

/// Two years in three regions, one of them unknown.
async fn partitioned(scratch: &Scratch, columns: &[(&str, &str)]) -> Arc<FilesTable> {
    for (year, region, value) in [
        ("2023", "EU%20west", 1),
        ("2023", "UK", 2),
        ("2024", "EU%20west", 3),
        ("2024", "__HIVE_DEFAULT_PARTITION__", 4),
    ] {
        let name = format!("t/year={year}/region={region}/a.parquet");
        scratch.parquet(&name, &numbers(&[value]));
    }
    scratch.table("t", PARQUET, columns).await
}

#[tokio::test]
async fn folders_are_columns_of_the_declared_types() {
    let scratch = Scratch::new();
    let wanted = [
        ("region", "string"),
        ("n", ""),
        ("year", "integer smallint"),
    ];
    let table = partitioned(&scratch, &wanted).await;
    assert_eq!(types(&table), ["region Utf8", "n Int64", "year Int16"]);
    let expected = [
        "EU west|1|2023",
        "EU west|3|2024",
        "NULL|4|2024",
        "UK|2|2023",
    ];
    assert_eq!(all(&table).await.unwrap(), expected);
    // Any columns, in any order.
    let rows = query(&table, &["year", "region"], None).await.unwrap();
    assert_eq!(
        rows,
        ["2023|EU west", "2023|UK", "2024|EU west", "2024|NULL"]
    );
    let rows = query(&table, &["year"], Some(col("n").gt(lit(2_i64)))).await;
    assert_eq!(rows.unwrap(), ["2024", "2024"]);
}

#[tokio::test]
async fn a_filter_on_folders_leaves_whole_files_out() {
    let scratch = Scratch::new();
    let wanted = [("n", ""), ("year", "integer"), ("region", "string")];
    let table = partitioned(&scratch, &wanted).await;
    let year = || col("year").eq(lit(2024_i64));
    for (filter, expected, files) in [
        (year(), &["3", "4"][..], 2),
        (year().and(col("region").is_null()), &["4"], 1),
        (year().and(col("n").lt(lit(4_i64))), &["3"], 2),
        (col("region").not_eq(lit("UK")), &["1", "3"], 2),
        (col("region").eq(lit("UK")).or(year()), &["2", "3", "4"], 3),
        (col("year").gt(lit(3000_i64)), &[], 0),
        (lit(true), &["1", "2", "3", "4"], 4),
    ] {
        let plan = plan(&table, &["n"], Some(filter.clone())).await.unwrap();
        let text = datafusion::physical_plan::displayable(plan.as_ref()).indent(false);
        let text = text.to_string();
        assert_eq!(text.matches("a.parquet").count(), files, "{filter}\n{text}");
        // What is exact is not judged once more for each row.
        let judged = filter.column_refs().iter().any(|c| c.name == "n");
        assert_eq!(text.contains("FilterExec"), judged, "{filter}\n{text}");
        let rows = query(&table, &["n"], Some(filter.clone())).await.unwrap();
        assert_eq!(rows, expected, "{filter}");
    }
}

#[tokio::test]
async fn folders_that_contradict_are_refused() {
    let scratch = Scratch::new();
    scratch.parquet("t/year=2023/a.parquet", &numbers(&[1]));
    scratch.parquet("t/b.parquet", &numbers(&[1]));
    let wanted = || Some(vec![column("n", ""), column("year", "integer")]);
    let error = scratch.open("t", PARQUET, wanted()).await.unwrap_err();
    assert!(error.to_string().contains("`year`"), "{error}");
    // Whoever does not want the column has a table.
    scratch.table("t", PARQUET, &[("n", "")]).await;

    let table = scratch.table("t/year=*/*", PARQUET, &[("n", ""), ("year", "integer")]);
    let table = table.await;
    scratch.parquet("t/year=CANARY/a.parquet", &numbers(&[1]));
    let (kind, text) = fault(all(&table).await);
    assert_eq!(kind, FaultKind::Invalid);
    assert!(text.contains("`year`"), "{text}");

    let both = record_batch!(("n", Int64, [1]), ("year", Int64, [1])).unwrap();
    scratch.parquet("v/year=2023/a.parquet", &both);
    let error = scratch.open("v", PARQUET, wanted()).await.unwrap_err();
    assert!(error.to_string().contains("`year`"), "{error}");
}

#[tokio::test]
async fn extra_columns_are_told_and_not_shown() {
    let scratch = Scratch::new();
    let batch = record_batch!(("a", Int64, [1]), ("b", Utf8, ["x"]), ("c", Int64, [3])).unwrap();
    scratch.parquet("t/k=1/a.parquet", &batch);
    let wanted = vec![
        column("c", "integer"),
        column("no", "string"),
        column("a", ""),
    ];
    let opened = scratch.open("t", PARQUET, Some(wanted)).await.unwrap();
    assert_eq!(opened.extra, ["b", "k"]);
    assert_eq!(opened.rows, Some(1));
    assert_eq!(types(&opened.table), ["c Int64", "a Int64"]);
    assert_eq!(all(&opened.table).await.unwrap(), ["3|1"]);
    let all_of_them = scratch.open("t", PARQUET, None).await.unwrap();
    assert_eq!(all_of_them.extra, [""; 0]);
    assert_eq!(all(&all_of_them.table).await.unwrap(), ["1|x|3|1"]);
}
