//! What versions hold, compared with what `deltalake` reads of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, SystemTime};

use datafusion::prelude::{col, lit};

use super::*;

type Expected = BTreeMap<String, BTreeMap<String, Vec<Value>>>;

fn expected() -> Expected {
    let text = fs::read_to_string(made().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn every_version_is_read_as_other_readers_do() {
    let mut read = 0;
    for (name, versions) in expected() {
        for (number, mut expected) in versions {
            // fields inside a mapped column are not read
            if name == "mapped" {
                for row in &mut expected {
                    row.as_object_mut().unwrap().remove("contact");
                }
            }
            let version = TableVersion::Number(number.parse().unwrap());
            let opened = open(&made().join(&name), version, None).await;
            let opened = opened.unwrap_or_else(|error| panic!("{name} {number}: {error}"));
            let found = rows(&opened.table, None).await;
            let found = found.unwrap_or_else(|error| panic!("{name} {number}: {error}"));
            assert_eq!(found, expected, "{name} {number}");
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}

#[tokio::test]
async fn the_newest_version_is_read_when_none_is_named() {
    for (name, versions) in expected() {
        let newest = versions
            .keys()
            .map(|number| number.parse::<u64>().unwrap())
            .max()
            .unwrap();
        let expected = &versions[&newest.to_string()];
        let table = open(&made().join(&name), TableVersion::Latest, None)
            .await
            .unwrap()
            .table;
        let found: Vec<i64> = rows(&table, None).await.unwrap().iter().map(id).collect();
        assert_eq!(found, expected.iter().map(id).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn wanted_columns_come_in_their_order_and_others_are_told() {
    let columns = ["region", "nothing", "full name", "id", "id"];
    let opened = open(&made().join("mapped"), TableVersion::Latest, Some(&columns))
        .await
        .unwrap();
    let schema = opened.table.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["region", "full name", "id"]);
    assert_eq!(opened.extra, ["contact"]);
    let filter = ident("full name")
        .eq(lit("person 6"))
        .and(col("region").eq(lit("n")));
    assert_eq!(ids(&opened.table, Some(filter)).await, [6]);
}

#[tokio::test]
async fn conditions_on_partitions_leave_whole_files_out() {
    let table = open(&made().join("partitioned"), TableVersion::Latest, None)
        .await
        .unwrap()
        .table;
    for (filter, expected) in [
        (col("region").eq(lit("north")), vec![1, 4]),
        (col("region").eq(lit("a b/ü%=")), vec![2]),
        (col("region").is_null(), vec![3]),
        (col("day").is_null(), vec![2]),
        (
            col("flag").eq(lit(true)).and(col("id").gt(lit(3_i64))),
            vec![4, 5],
        ),
    ] {
        let shown = filter.to_string();
        let scan = plan(&table, Some(filter.clone()), &["id"], None)
            .await
            .unwrap();
        let scan = datafusion::physical_plan::displayable(scan.as_ref())
            .indent(false)
            .to_string();
        let files = scan.matches(".parquet").count();
        assert!(files < 5, "{shown}: {scan}");
        assert_eq!(ids(&table, Some(filter)).await, expected, "{shown}");
    }
}

/// Deleted rows are left out whatever else leaves rows out, and a limit never counts them.
#[tokio::test]
async fn deletion_vectors_go_with_conditions_limits_and_counts() {
    let version = TableVersion::Number(2);
    let table = open(&made().join("vectors"), version, None)
        .await
        .unwrap()
        .table;
    let kept: Vec<i64> = (0..15).chain(95..100).collect();
    for (filter, expected) in [
        (col("id").gt(lit(12_i64)), &kept[13..]),
        (col("id").lt(lit(40_i64)), &kept[..15]),
        (col("id").eq(lit(50_i64)), &[]),
        (col("name").is_null(), &[0, 5, 10, 95]),
    ] {
        assert_eq!(
            ids(&table, Some(filter.clone())).await,
            expected,
            "{filter}"
        );
    }
    for limit in [1, 15, 16, 20, 90] {
        let batches = run(plan(&table, None, &["id"], Some(limit)).await.unwrap())
            .await
            .unwrap();
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, limit.min(20));
        let filter = Some(col("id").gt_eq(lit(0_i64)));
        let batches = run(plan(&table, filter, &["id"], Some(limit)).await.unwrap())
            .await
            .unwrap();
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, limit.min(20));
    }
    let counted = run(plan(&table, None, &[], None).await.unwrap())
        .await
        .unwrap();
    assert_eq!(counted.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
}

/// A checkout gives all files one time, so the times are set here.
#[tokio::test]
async fn a_time_chooses_the_version_that_was_current_then() {
    let scratch = Scratch::of("appended");
    let hour = |hours: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * (490_000 + hours));
    for version in 0..3 {
        let log = File::options()
            .write(true)
            .open(scratch.log(version))
            .unwrap();
        log.set_modified(hour(version * 2)).unwrap();
    }
    let time = |hours: u64| {
        let time: chrono::DateTime<chrono::Utc> = hour(hours).into();
        TableVersion::AsOf(time.to_rfc3339())
    };
    for (hours, expected) in [(0, 3), (1, 3), (2, 5), (3, 5), (4, 6), (1000, 6)] {
        let table = open(scratch.path(), time(hours), None).await.unwrap().table;
        assert_eq!(ids(&table, None).await.len(), expected, "{hours}");
    }
    let before = TableVersion::AsOf("1999-01-01T00:00:00Z".to_owned());
    let error = open(scratch.path(), before, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot read"), "{error}");
    let error = open(scratch.path(), TableVersion::Number(7), None)
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
    let error = open(scratch.path(), TableVersion::AsOf("soon".to_owned()), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("asOf"), "{error}");
}
