//! Local files: Parquet as one file, a folder or a glob; CSV read once into memory.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::session_state::SessionStateBuilder;
use scrim_engine::RawTable;

use crate::SourceError;
use crate::checked::CheckedTable;
use crate::parquet::Parquet;

/// Bytes of statistics that one table keeps.
const STATISTICS_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that a CSV file may have: it is held in memory.
const CSV_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Opens a local table of the given format.
///
/// # Errors
/// When there is no such file, or it cannot be understood.
pub(crate) async fn open_local(
    path: &str,
    format: &str,
    base: &Path,
) -> Result<(Arc<dyn TableProvider>, RawTable), SourceError> {
    let full = base.join(path);
    let shown = full.display().to_string();
    match format {
        "parquet" => parquet(&full, &shown).await,
        "csv" => csv(&full, &shown),
        other => Err(SourceError::NotServed(format!("{other} files"))),
    }
}

fn unreadable(path: &str, cause: impl std::fmt::Display) -> SourceError {
    SourceError::Unreadable {
        at: path.to_owned(),
        cause: cause.to_string(),
    }
}

async fn parquet(path: &Path, shown: &str) -> Result<(Arc<dyn TableProvider>, RawTable), SourceError> {
    let is_glob = shown.contains(['*', '?', '[']);
    if !is_glob && !path.exists() {
        return Err(SourceError::Missing(shown.to_owned()));
    }
    // The parser takes a path for a folder only if it ends in a slash.
    let text = if path.is_dir() {
        format!("{}/", shown.trim_end_matches('/'))
    } else {
        shown.to_owned()
    };
    let url = ListingTableUrl::parse(&text).map_err(|e| unreadable(shown, e))?;
    let options = ListingOptions::new(Arc::new(Parquet::new())).with_file_extension(".parquet");
    let session = SessionStateBuilder::new().build();
    let schema = options.infer_schema(&session, &url).await.map_err(|e| {
        // A glob or folder without files is told like a missing file.
        if e.strip_backtrace().contains("No files found") {
            SourceError::Missing(shown.to_owned())
        } else {
            unreadable(shown, e)
        }
    })?;
    if schema.fields().is_empty() {
        return Err(SourceError::Missing(shown.to_owned()));
    }
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .with_schema(schema);
    let statistics = DefaultCache::new(STATISTICS_BYTES);
    let table = ListingTable::try_new(config)
        .map_err(|e| unreadable(shown, e))?
        .with_cache(Some(Arc::new(statistics)));
    let table = Arc::new(CheckedTable::new(table, shown));
    let sealed = RawTable::versioned(Arc::clone(&table) as _, shown);
    Ok((table, sealed))
}

fn csv(path: &Path, shown: &str) -> Result<(Arc<dyn TableProvider>, RawTable), SourceError> {
    let metadata = std::fs::metadata(path).map_err(|_| SourceError::Missing(shown.to_owned()))?;
    if metadata.len() > CSV_BYTES_MAX {
        return Err(unreadable(
            shown,
            "a CSV file is held in memory and may have 256 MiB; convert it to Parquet",
        ));
    }
    let text = std::fs::read(path).map_err(|e| unreadable(shown, e))?;
    let format = Format::default().with_header(true);
    let (schema, _) = format
        .infer_schema(text.as_slice(), None)
        .map_err(|e| unreadable(shown, e))?;
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    let batches = ReaderBuilder::new(Arc::clone(&schema))
        .with_format(format)
        .build(text.as_slice())
        .and_then(Iterator::collect::<Result<Vec<RecordBatch>, _>>)
        .map_err(|e| unreadable(shown, e))?;
    let table = MemTable::try_new(schema, vec![batches]).map_err(|e| unreadable(shown, e))?;
    let table = Arc::new(table);
    Ok((Arc::clone(&table) as _, RawTable::new(table, shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_csv_file_is_read_with_its_types() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("a.csv"),
            "partner,suppkey\nacme,1\nacme,2\n",
        )
        .unwrap();
        let (table, _) = open_local("a.csv", "csv", folder.path()).await.unwrap();
        let types: Vec<_> = table
            .schema()
            .fields()
            .iter()
            .map(|f| f.data_type().to_string())
            .collect();
        assert_eq!(types, ["Utf8", "Int64"]);
    }

    #[tokio::test]
    async fn what_is_missing_or_unknown_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (path, format) in [
            ("no.parquet", "parquet"),
            ("no.csv", "csv"),
            ("*.parquet", "parquet"),
        ] {
            let error = open_local(path, format, folder.path()).await.unwrap_err();
            assert!(matches!(error, SourceError::Missing(_)), "{path}: {error}");
        }
        let error = open_local("x", "avro", folder.path()).await.unwrap_err();
        assert_eq!(error.to_string(), "avro files are not read by this version");
    }
}
