//! Tables that change while they are open.

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use scrim_testkit::s3::{ACCESS_KEY, S3Server, SECRET_KEY};

use super::*;
use crate::Credential;
use scrim_model::Secret;

async fn version(table: &Arc<dyn Versioned>) -> String {
    table.version(&session()).await.unwrap()
}

/// Hides the commits from a version on, so that they can come one after the other.
fn hold_back(scratch: &Scratch, versions: std::ops::RangeInclusive<u64>) {
    for number in versions {
        fs::rename(
            scratch.log(number),
            scratch.path().join(format!("later-{number}")),
        )
        .unwrap();
    }
}

fn commit_next(scratch: &Scratch, number: u64) {
    fs::rename(
        scratch.path().join(format!("later-{number}")),
        scratch.log(number),
    )
    .unwrap();
}

#[tokio::test]
async fn each_query_reads_the_newest_version_and_a_plan_keeps_its_own() {
    for (name, newest) in [
        ("appended", 2),
        ("overwritten", 3),
        ("rewritten", 2),
        ("vectors", 3),
    ] {
        let scratch = Scratch::of(name);
        hold_back(&scratch, 1..=newest);
        let table = scratch.table().await;
        let mut plans = Vec::new();
        for number in 0..=newest {
            if number > 0 {
                commit_next(&scratch, number);
            }
            let fixed = TableVersion::Number(number);
            let fixed = open(scratch.path(), fixed, None).await.unwrap().table;
            assert_eq!(
                ids(&table, None).await,
                ids(&fixed, None).await,
                "{name} {number}"
            );
            let now = version(&table).await;
            assert!(now.starts_with(&format!("{number} ")), "{now}");
            assert_eq!(now, version(&table).await);
            plans.push((
                plan(&table, None, &["id"], None).await.unwrap(),
                ids(&table, None).await,
            ));
        }
        for (plan, expected) in plans {
            let batches = run(plan).await.unwrap();
            let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(found, expected.len(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_comes_changes_nothing() {
    let scratch = Scratch::of("checkpointed");
    hold_back(&scratch, 11..=11);
    let table = scratch.table().await;
    assert_eq!(ids(&table, None).await.len(), 11);
    commit_next(&scratch, 11);
    assert_eq!(ids(&table, None).await.len(), 12);
}

#[tokio::test]
async fn another_table_in_the_same_folder_is_noticed() {
    let scratch = Scratch::of("appended");
    hold_back(&scratch, 1..=2);
    let table = scratch.table().await;
    assert_eq!(ids(&table, None).await, [1, 2, 3]);
    let before = version(&table).await;
    fs::remove_dir_all(scratch.path()).unwrap();
    copy(&made().join("overwritten"), scratch.path());
    hold_back(&scratch, 2..=3);
    assert_eq!(ids(&table, None).await, [7, 8]);
    assert_ne!(version(&table).await, before);
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_fault_and_never_fewer_rows() {
    let scratch = Scratch::of("appended");
    let table = scratch.table().await;
    let planned = plan(&table, None, &["id"], None).await.unwrap();
    let data = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut data = data.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    fs::remove_file(data.next().unwrap()).unwrap();
    assert!(run(planned).await.is_err());
    let (kind, said) = fault(&table).await;
    assert_eq!(kind, FaultKind::Changed);
    assert!(said.contains(".parquet"), "{said}");
    // and a table cannot be opened without it
    let error = open(scratch.path(), TableVersion::Latest, None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains(".parquet"), "{error}");
    fs::remove_dir_all(scratch.path().join("_delta_log")).unwrap();
    let (kind, _) = fault(&table).await;
    assert_ne!(kind, FaultKind::Busy);
}

#[tokio::test]
async fn columns_that_are_others_than_when_opened_are_a_fault() {
    let scratch = Scratch::of("evolved");
    hold_back(&scratch, 1..=1);
    let columns: &[&str] = &["id", "name"];
    let opened = open(scratch.path(), TableVersion::Latest, Some(columns))
        .await
        .unwrap();
    assert_eq!(ids(&opened.table, None).await, [1, 2]);
    let whole = scratch.table().await;
    commit_next(&scratch, 1);
    // what was opened is as it was, beside new columns
    assert_eq!(ids(&opened.table, None).await, [1, 2, 3]);
    let (kind, said) = fault(&whole).await;
    assert_eq!(kind, FaultKind::Invalid);
    assert!(said.contains("column `contact` is another one"), "{said}");
}

fn parquet(ids: &[i64]) -> Vec<u8> {
    let names = ids.iter().map(|id| format!("n{id}"));
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]);
    let schema = Arc::new(schema);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(StringArray::from_iter_values(names)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

const METADATA: &str = r#"{"metaData":{"id":"1","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"name\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#;
const PROTOCOL: &str = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#;

fn add(path: &str, size: usize) -> String {
    format!(
        r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":{size},"modificationTime":0,"dataChange":true}}}}"#
    )
}

/// A log that says no more than it must: no statistics, no commit info.
#[tokio::test]
async fn a_log_written_by_hand() {
    let scratch = Scratch::new();
    let (a, b) = (parquet(&[1, 2]), parquet(&[3]));
    fs::create_dir_all(scratch.path().join("deep er")).unwrap();
    fs::write(scratch.path().join("a.parquet"), &a).unwrap();
    fs::write(scratch.path().join("deep er/b%.parquet"), &b).unwrap();
    fs::write(scratch.path().join("of-nobody.parquet"), parquet(&[99])).unwrap();
    scratch.commit(0, &[PROTOCOL, METADATA, &add("a.parquet", a.len())]);
    scratch.commit(1, &[&add("deep%20er/b%25.parquet", b.len())]);
    let table = scratch.table().await;
    assert_eq!(ids(&table, None).await, [1, 2, 3]);
    scratch.commit(
        2,
        &[r#"{"remove":{"path":"a.parquet","dataChange":true,"deletionTimestamp":1}}"#],
    );
    assert_eq!(ids(&table, None).await, [3]);
    // a file of another length is not the one that was committed
    fs::write(scratch.path().join("a.parquet"), &b).unwrap();
    scratch.commit(3, &[&add("a.parquet", a.len())]);
    let (kind, said) = fault(&table).await;
    assert_eq!(kind, FaultKind::Changed);
    assert!(said.contains("not as long as the log says"), "{said}");
}

/// A file whose columns are not the table's never becomes rows.
#[tokio::test]
async fn a_file_that_does_not_follow_the_log_is_a_fault() {
    let scratch = Scratch::new();
    let data = parquet(&[1, 2]);
    fs::write(scratch.path().join("a.parquet"), &data).unwrap();
    let metadata = METADATA.replace(
        r#"\"name\":\"name\",\"type\":\"string\""#,
        r#"\"name\":\"name\",\"type\":\"long\""#,
    );
    scratch.commit(0, &[PROTOCOL, &metadata, &add("a.parquet", data.len())]);
    let table = scratch.table().await;
    let (kind, said) = fault(&table).await;
    assert_eq!(kind, FaultKind::Invalid);
    assert!(said.contains("column `name` has the type Utf8"), "{said}");
    assert!(!said.contains("n1"), "{said}");
}

/// In an object store; a version that is still the newest costs one question.
#[tokio::test]
async fn an_unchanged_log_is_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3Server::start(folder.path()).unwrap();
    let put = |key: &str, bytes: &[u8]| server.put("lake", &format!("t/{key}"), bytes);
    let (a, b) = (parquet(&[1, 2]), parquet(&[3]));
    put("a.parquet", &a);
    put("b.parquet", &b);
    let first = [PROTOCOL, METADATA, &add("a.parquet", a.len())].join("\n");
    put("_delta_log/00000000000000000000.json", first.as_bytes());
    let files = Files::new(SourceSettings::default(), Environment::default());
    let place = FileServer {
        place: FilePlace::S3 {
            location: "s3://lake/t/".to_owned(),
            endpoint_url: Some(server.endpoint()),
            region: Some("eu-west-1".to_owned()),
            addressing: scrim_policy::Addressing::Path,
        },
        format: FileFormat::Delta(TableVersion::Latest),
    };
    let fields = [
        ("access_key_id", ACCESS_KEY),
        ("secret_access_key", SECRET_KEY),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
    let credential = Credential::new(fields);
    let fields = Fields::new(Some(("lake", &credential)));
    let opened = files
        .table(&place, Path::new("/"), fields, &Wanted::all("t"))
        .await
        .unwrap();
    assert_eq!(ids(&opened.table, None).await, [1, 2]);
    server.traffic().forget();
    plan(&opened.table, None, &["id"], None).await.unwrap();
    assert_eq!(
        server.traffic().seen().len(),
        1,
        "{:?}",
        server.traffic().seen()
    );
    put(
        "_delta_log/00000000000000000001.json",
        add("b.parquet", b.len()).as_bytes(),
    );
    server.traffic().forget();
    assert_eq!(ids(&opened.table, None).await, [1, 2, 3]);
    let read = server.traffic().of("00000000000000000000.json");
    assert!(read.is_empty(), "an old commit was read again: {read:?}");
}
