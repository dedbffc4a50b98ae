//! Parquet files as other tools write them: several row groups, statistics, page index.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::DataError;

/// How the pages are compressed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Codec {
    Snappy,
    Zstd,
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), DataError> {
    std::fs::create_dir_all(path).map_err(|error| DataError::Io(path.to_owned(), error))
}

/// Writes one file; each batch becomes a row group.
pub(super) fn file(
    path: &Path,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    codec: Codec,
) -> Result<(), DataError> {
    let io = |error| DataError::Io(path.to_owned(), error);
    let compression = match codec {
        Codec::Snappy => Compression::SNAPPY,
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
    };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(2_000)
        .set_created_by("scrim demo".to_owned())
        .build();
    let mut writer: Option<ArrowWriter<File>> = None;
    for batch in batches {
        let batch = batch?;
        let open = if let Some(open) = writer.take() {
            open
        } else {
            let file = File::create(path).map_err(io)?;
            ArrowWriter::try_new(file, batch.schema(), Some(properties.clone()))?
        };
        let open = writer.insert(open);
        open.write(&batch)?;
        open.flush()?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}
