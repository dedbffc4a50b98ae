//! Arrow files and streams.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Int32Type, Schema};
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use datafusion::prelude::{col, lit};
use scrim_engine::FaultKind;

use super::*;

fn batch(from: i64, rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
    let kinds: DictionaryArray<Int32Type> = (from..from + rows)
        .map(|id| if id % 2 == 0 { "even" } else { "odd" })
        .collect();
    let texts = (from..from + rows).map(|id| (id % 3 > 0).then(|| format!("text {id}")));
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    let columns = [("id", ids), ("kind", Arc::new(kinds) as _), ("text", texts)];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap()
}

fn file(schema: &Schema, batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = FileWriter::try_new_with_options(Vec::new(), schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn stream(schema: &Schema, batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn files_and_streams_are_read_whatever_their_compression() {
    let scratch = Scratch::new();
    let batches = [batch(0, 20_000), batch(20_000, 10)];
    let schema = batches[0].schema();
    for compression in [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ] {
        for (kind, write) in [
            (
                "file",
                file as fn(&Schema, &[RecordBatch], IpcWriteOptions) -> Vec<u8>,
            ),
            ("stream", stream),
        ] {
            scratch.write("t.arrow", write(&schema, &batches, options(compression)));
            let table = scratch.table("t.arrow", FileFormat::Arrow, &[]).await;
            let what = format!("{kind} {compression:?}");
            assert_eq!(
                types(&table),
                ["id Int64", "kind Dictionary(Int32, Utf8)", "text Utf8"],
                "{what}"
            );
            assert_eq!(all(&table).await.unwrap().len(), 20_010, "{what}");
            let filter = col("id").eq(lit(20_003_i64));
            let rows = query(&table, &["text", "kind"], Some(filter))
                .await
                .unwrap();
            assert_eq!(rows, ["text 20003|odd"], "{what}");
            let batches = run(plan(&table, &["kind"], None).await.unwrap())
                .await
                .unwrap();
            assert!(
                batches.iter().all(|batch| batch.num_rows() <= 8_192),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn arrow_files_may_differ_and_lie_in_folders() {
    let scratch = Scratch::new();
    let one = batch(0, 2);
    let two = one.project(&[2]).unwrap();
    scratch.write(
        "t/k=1/a.arrow",
        file(&one.schema(), std::slice::from_ref(&one), options(None)),
    );
    scratch.write(
        "t/k=2/a.arrows",
        stream(&two.schema(), &[two], options(None)),
    );
    let wanted = [("k", "integer"), ("text", "string"), ("id", "integer")];
    let table = scratch.table("t", FileFormat::Arrow, &wanted).await;
    let expected = ["1|NULL|0", "1|text 1|1", "2|NULL|NULL", "2|text 1|NULL"];
    assert_eq!(all(&table).await.unwrap(), expected);
}

#[tokio::test]
async fn what_is_cut_or_broken_is_an_error_and_never_fewer_rows() {
    let scratch = Scratch::new();
    let batches = [batch(0, 100), batch(100, 100)];
    let schema = batches[0].schema();
    let empty = stream(&schema, &[], options(None)).len();
    let one = stream(&schema, &batches[..1], options(None));
    for (name, bytes) in [
        ("t.arrow", file(&schema, &batches, options(None))),
        ("t.arrows", stream(&schema, &batches, options(None))),
    ] {
        scratch.write(name, &bytes);
        let table = scratch.table(name, FileFormat::Arrow, &[]).await;
        assert_eq!(all(&table).await.unwrap().len(), 200);
        // At the end of a message, too; there the stream looks like a shorter one.
        for length in [
            0,
            3,
            8,
            9,
            empty - 8,
            one.len() - 8,
            bytes.len() / 2,
            bytes.len() - 4,
        ] {
            scratch.write(name, &bytes[..length]);
            let (kind, text) = fault(all(&table).await);
            assert_eq!(kind, FaultKind::Unavailable, "{name} {length}: {text}");
        }
        scratch.write(name, b"something else entirely, and long enough");
        assert_eq!(fault(all(&table).await).0, FaultKind::Unavailable);
    }
}
