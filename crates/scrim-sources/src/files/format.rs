//! The formats of files: what each tells of itself, and what reads it.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use scrim_engine::SourceFault;
use scrim_policy::{BadRows, FileFormat};

use super::facts::Facts;
use super::footers::Footers;
use super::pin::Pinned;
use super::{csv, ipc, json, parquet};
use crate::SourceError;

/// How files are written, and how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The library reads it.
    Parquet,
    /// We do.
    Rows(RowFormat),
}

/// A format that is read from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFormat {
    /// Text with a header line.
    Csv { delimiter: u8, bad_rows: BadRows },
    /// A JSON object in each line.
    JsonLines { bad_rows: BadRows },
    /// Arrow IPC.
    Arrow,
}

impl Format {
    /// The format of a contract.
    ///
    /// # Errors
    /// When we do not read it as plain files.
    pub(crate) fn new(format: &FileFormat) -> Result<Self, SourceError> {
        Ok(match format {
            FileFormat::Parquet => Self::Parquet,
            FileFormat::Csv {
                delimiter,
                bad_rows,
            } => {
                let unfit = |_| {
                    let what = "CSV files whose delimiter is more than one byte";
                    SourceError::NotServed(what.to_owned())
                };
                Self::Rows(RowFormat::Csv {
                    delimiter: u8::try_from(*delimiter).map_err(unfit)?,
                    bad_rows: *bad_rows,
                })
            }
            FileFormat::JsonLines { bad_rows } => Self::Rows(RowFormat::JsonLines {
                bad_rows: *bad_rows,
            }),
            FileFormat::Arrow => Self::Rows(RowFormat::Arrow),
            FileFormat::Delta(_) => return Err(SourceError::NotServed("Delta tables".to_owned())),
        })
    }

    /// What the names of its files end in.
    pub(super) fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &[".parquet", ".parq", ".pq"],
            Self::Rows(RowFormat::Csv { .. }) => &[".csv", ".csv.gz", ".tsv", ".tsv.gz"],
            Self::Rows(RowFormat::JsonLines { .. }) => &[
                ".json",
                ".json.gz",
                ".jsonl",
                ".jsonl.gz",
                ".ndjson",
                ".ndjson.gz",
            ],
            Self::Rows(RowFormat::Arrow) => &[".arrow", ".arrows", ".ipc", ".feather"],
        }
    }

    /// Whether the files tell the types of their columns; otherwise the contract does.
    pub(super) fn is_typed(self) -> bool {
        match self {
            Self::Parquet | Self::Rows(RowFormat::Arrow) => true,
            Self::Rows(RowFormat::Csv { .. } | RowFormat::JsonLines { .. }) => false,
        }
    }

    /// Whether a file tells the names of its columns before it is read.
    pub(super) fn is_named(self) -> bool {
        !matches!(self, Self::Rows(RowFormat::JsonLines { .. }))
    }

    /// What a file has. The types of text are guessed from its first rows, if that is asked for.
    pub(super) async fn inspect(
        self,
        file: &Pinned,
        footers: &Footers,
        guess: bool,
    ) -> Result<Facts, SourceFault> {
        match self {
            Self::Parquet => parquet::inspect(file, footers).await,
            Self::Rows(RowFormat::Arrow) => ipc::inspect(file).await,
            Self::Rows(RowFormat::Csv { delimiter, .. }) => {
                if guess {
                    csv::infer(file, delimiter).await
                } else {
                    csv::names(file, delimiter).await
                }
            }
            Self::Rows(RowFormat::JsonLines { .. }) => json::infer(file).await,
        }
    }
}

impl RowFormat {
    /// The rows of a file, as the schema has them.
    pub(super) async fn read(
        self,
        file: Pinned,
        schema: &SchemaRef,
        most: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, DataFusionError>>, SourceFault> {
        let schema = Arc::clone(schema);
        match self {
            Self::Csv {
                delimiter,
                bad_rows,
            } => {
                let text = csv::read(file, delimiter, bad_rows, schema, most).await?;
                Ok(text.batches())
            }
            Self::JsonLines { bad_rows } => Ok(json::read(file, bad_rows, schema, most).batches()),
            Self::Arrow => ipc::read(file, schema, most).await,
        }
    }

    /// Whether it can depend on any of its columns if a row is there, so that all are read.
    pub(super) fn reads_all(self) -> bool {
        match self {
            Self::Csv { .. } | Self::JsonLines { .. } => true,
            Self::Arrow => false,
        }
    }
}
