//! Tables that are refused when they are opened: rows would be wrong, or of another owner's.

use super::*;

async fn refused(scratch: &Scratch, columns: Option<&[&str]>) -> String {
    let error = open(scratch.path(), TableVersion::Latest, columns)
        .await
        .unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn inv_03_what_is_not_understood_is_refused() {
    for (from, to, words) in [
        (
            "[\"typeWidening\"]",
            "[\"typeWidening\", \"futureOfTables\"]",
            "futureOfTables",
        ),
        (
            "[\"typeWidening\"]",
            "[\"typeWidening\", \"catalogManaged\"]",
            "catalogManaged",
        ),
        ("\"minReaderVersion\": 3", "\"minReaderVersion\": 4", ""),
        (
            "\"path\": \"part-1.parquet\"",
            "\"path\": \"/etc/part-1.parquet\"",
            "outside its folder",
        ),
        (
            "\"path\": \"part-1.parquet\"",
            "\"path\": \"../part-1.parquet\"",
            "outside its folder",
        ),
        (
            "\"path\": \"part-1.parquet\"",
            "\"path\": \"%2E%2E/part-1.parquet\"",
            "outside its folder",
        ),
        (
            "\"path\": \"part-1.parquet\"",
            "\"path\": \"s3://others/part-1.parquet\"",
            "outside its folder",
        ),
        (
            "\"path\": \"part-1.parquet\"",
            "\"path\": \"part-2.parquet\"",
            "part-2.parquet",
        ),
        ("{\"add\":", "{\"add\"", ""),
    ] {
        let scratch = Scratch::of("widened");
        scratch.edit(1, from, to);
        let said = refused(&scratch, None).await;
        assert!(
            said.contains(words) && said.contains("cannot read"),
            "{to}: {said}"
        );
    }
}

#[tokio::test]
async fn columns_by_id_and_nested_mapped_columns_are_refused() {
    let scratch = Scratch::of("mapped");
    for number in 0..2 {
        let text = fs::read_to_string(scratch.log(number)).unwrap();
        let text = text.replace(
            "columnMapping.mode\":\"name\"",
            "columnMapping.mode\":\"id\"",
        );
        let text = text.replace(
            "columnMapping.mode\": \"name\"",
            "columnMapping.mode\": \"id\"",
        );
        fs::write(scratch.log(number), text).unwrap();
    }
    let said = refused(&scratch, None).await;
    assert!(said.contains("columnMapping.mode"), "{said}");
    let said = refused(&Scratch::of("mapped"), Some(&["id", "contact"])).await;
    assert!(
        said.contains("column `contact`") && said.contains("leave it out"),
        "{said}"
    );
}

#[tokio::test]
async fn a_folder_without_a_log_is_missing() {
    let scratch = Scratch::new();
    for path in [scratch.path().to_owned(), scratch.path().join("none")] {
        let error = open(&path, TableVersion::Latest, None).await.unwrap_err();
        assert!(matches!(error, SourceError::Missing(_)), "{error}");
        assert!(error.to_string().contains("_delta_log"), "{error}");
    }
    let pattern = scratch.path().join("*.parquet");
    let error = open(&pattern, TableVersion::Latest, None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
}

/// A vector that is not what the log says of it would delete other rows.
#[tokio::test]
async fn a_broken_deletion_vector_is_refused() {
    let scratch = Scratch::of("vectors");
    scratch.edit(1, "\"cardinality\": 7", "\"cardinality\": 8");
    let first = TableVersion::Number(1);
    let error = open(scratch.path(), first.clone(), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("deletion vector"), "{error}");
    let scratch = Scratch::of("vectors");
    let files = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let vector = files
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "bin"));
    let vector = vector.unwrap();
    let mut bytes = fs::read(&vector).unwrap();
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    fs::write(&vector, bytes).unwrap();
    let second = TableVersion::Number(2);
    let error = open(scratch.path(), second, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot read"), "{error}");
    open(scratch.path(), first, None).await.unwrap();
}
