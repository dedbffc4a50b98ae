//! Files that change while they are read.

use std::fs::{self, File, OpenOptions};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use scrim_engine::{FaultKind, Versioned};

use super::*;

/// A file of many row groups, so that it is read in many steps.
fn long(scratch: &Scratch, name: &str, rows: i64) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let texts = (0..rows).map(|id| format!("{id:0100}"));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1_000))
        .set_dictionary_enabled(false)
        .build();
    let file = File::create(scratch.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn a_file_that_is_replaced_under_way_is_an_error() {
    type Change = fn(&Scratch);
    let changes: [(&str, Change); 5] = [
        ("renamed over", |scratch| {
            long(scratch, "new", 50_000);
            fs::rename(scratch.path("new"), scratch.path("t.parquet")).unwrap();
        }),
        ("overwritten", |scratch| long(scratch, "t.parquet", 50_000)),
        ("deleted", |scratch| {
            fs::remove_file(scratch.path("t.parquet")).unwrap();
        }),
        ("cut", |scratch| {
            let path = scratch.path("t.parquet");
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 10).unwrap();
        }),
        ("touched", |scratch| {
            let path = scratch.path("t.parquet");
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }),
    ];
    for (what, change) in changes {
        let scratch = Scratch::new();
        long(&scratch, "t.parquet", 50_000);
        let table = scratch.table("t.parquet", PARQUET, &[]).await;
        // After the plan, before the first read.
        let plan_before = plan(&table, &["text"], None).await.unwrap();
        // After the first read.
        let plan_under_way = plan(&table, &["text"], None).await.unwrap();
        let mut rows = execute_stream(plan_under_way, session().task_ctx()).unwrap();
        rows.next().await.unwrap().unwrap();
        change(&scratch);
        let result = rows.try_collect::<Vec<_>>().await;
        assert_eq!(fault(result).0, FaultKind::Changed, "{what}");
        assert_eq!(
            fault(run(plan_before).await).0,
            FaultKind::Changed,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_new_plan_reads_the_new_file() {
    let scratch = Scratch::new();
    long(&scratch, "t.parquet", 5_000);
    let table = scratch.table("t.parquet", PARQUET, &[]).await;
    let session = session();
    let first = table.version(&session).await.unwrap();
    assert_eq!(first, table.version(&session).await.unwrap());
    assert_eq!(query(&table, &["id"], None).await.unwrap().len(), 5_000);
    long(&scratch, "t.parquet", 2_000);
    assert_ne!(first, table.version(&session).await.unwrap());
    assert_eq!(query(&table, &["id"], None).await.unwrap().len(), 2_000);
    fs::remove_file(scratch.path("t.parquet")).unwrap();
    let (kind, text) = fault(query(&table, &["id"], None).await);
    assert_eq!(kind, FaultKind::Unavailable);
    assert!(text.contains("t.parquet"), "{text}");
    assert_eq!(
        fault(table.version(&session).await).0,
        FaultKind::Unavailable
    );
}

#[tokio::test]
async fn a_file_that_is_no_parquet_is_an_error() {
    let scratch = Scratch::new();
    long(&scratch, "t.parquet", 5_000);
    let good = fs::read(scratch.path("t.parquet")).unwrap();
    let table = scratch.table("t.parquet", PARQUET, &[]).await;
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("short", b"PAR1".to_vec()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("no footer", [&good[..], &[0; 64]].concat()),
        ("another kind", b"a,b\n1,2\n".to_vec()),
        (
            "a footer that lies",
            [&good[..good.len() - 8], &[0xff, 0xff, 0, 0], b"PAR1"].concat(),
        ),
    ] {
        scratch.write("t.parquet", &bytes);
        let (kind, text) = fault(all(&table).await);
        assert_eq!(kind, FaultKind::Unavailable, "{what}: {text}");
        let error = scratch.open("t.parquet", PARQUET, None).await.unwrap_err();
        assert!(
            matches!(error, SourceError::Unreadable { .. }),
            "{what}: {error}"
        );
    }
    scratch.write("t.parquet", &good);
    assert_eq!(all(&table).await.unwrap().len(), 5_000);
}
