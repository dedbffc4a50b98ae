//! Results as text: tables, CSV, JSON lines, Arrow streams.

mod csv;
mod table;
pub(crate) mod text;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder};

use crate::cli::Format;

pub(crate) use table::Table;

/// Why a result could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// Nobody reads, or the disk is full.
    #[error("cannot write the result")]
    Io(#[from] io::Error),
    /// A value that the format cannot express.
    #[error("the result cannot be written in this format")]
    Arrow(ArrowError),
}

impl From<ArrowError> for RenderError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, io) => Self::Io(io),
            other => Self::Arrow(other),
        }
    }
}

/// Writes a result, batch by batch, and never holds more of it than the batches with its first
/// thousand rows.
pub(crate) enum Renderer {
    Table(Box<Table>),
    Csv(csv::Csv),
    Json,
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Renderer {
    /// A renderer for results of one schema.
    pub(crate) fn new(format: Format, schema: &SchemaRef) -> Result<Self, RenderError> {
        Ok(match format {
            Format::Table => Self::Table(Box::new(Table::new(schema))),
            Format::Csv => Self::Csv(csv::Csv::new(schema)),
            Format::Json => Self::Json,
            Format::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(Vec::new(), schema)?)),
        })
    }

    /// Writes a batch.
    pub(crate) fn batch(
        &mut self,
        batch: &RecordBatch,
        to: &mut dyn Write,
    ) -> Result<(), RenderError> {
        match self {
            Self::Table(table) => table.batch(batch, to),
            Self::Csv(csv) => csv.batch(batch, to),
            Self::Json => {
                let builder = WriterBuilder::new().with_explicit_nulls(true);
                let mut writer = builder.build::<_, LineDelimited>(to);
                writer.write(batch)?;
                Ok(writer.finish()?)
            }
            Self::Arrow(writer) => {
                writer.write(batch)?;
                drain(writer, to)
            }
        }
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self, to: &mut dyn Write) -> Result<(), RenderError> {
        match self {
            Self::Table(table) => table.finish(to),
            Self::Csv(csv) => csv.finish(to),
            Self::Json => Ok(()),
            Self::Arrow(writer) => {
                writer.finish()?;
                drain(writer, to)
            }
        }?;
        Ok(to.flush()?)
    }
}

fn drain(writer: &mut StreamWriter<Vec<u8>>, to: &mut dyn Write) -> Result<(), RenderError> {
    to.write_all(writer.get_ref())?;
    writer.get_mut().clear();
    Ok(())
}
