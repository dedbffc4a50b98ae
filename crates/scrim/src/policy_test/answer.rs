//! What came back: rows as text and as bytes, or a refusal.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use scrim_model::Refusal;

use crate::render::text;

/// A row as text; `None` is NULL.
pub(crate) type Row = Vec<Option<String>>;

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Rows.
    Rows(Rows),
    /// A refusal.
    Refused(Refusal),
}

/// The rows that came back.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
    /// The name of each column's mask; `None` when it is clear.
    pub(crate) masks: Vec<Option<String>>,
    /// The rows.
    pub(crate) rows: Vec<Row>,
    /// Whether the statement says in which order they come.
    pub(crate) ordered: bool,
    /// The result as it would travel.
    pub(crate) bytes: Vec<u8>,
}

impl Rows {
    /// Makes text and bytes of a result.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(crate) fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let columns: Vec<String> = names.collect();
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        let mut rows = Vec::new();
        for batch in batches {
            writer.write(batch)?;
            let values = batch
                .columns()
                .iter()
                .map(|column| Ok((column, text::column(column, "null")?)))
                .collect::<Result<Vec<_>, ArrowError>>()?;
            for row in 0..batch.num_rows() {
                let cell = |(column, values): &(&ArrayRef, Vec<String>)| {
                    values.get(row).filter(|_| !column.is_null(row)).cloned()
                };
                rows.push(values.iter().map(cell).collect());
            }
        }
        Ok(Self {
            masks: vec![None; columns.len()],
            columns,
            rows,
            ordered: false,
            bytes: writer.into_inner()?,
        })
    }

    /// The values of a column; none when it is not there.
    pub(crate) fn values(&self, column: &str) -> Option<Vec<Option<&str>>> {
        let at = self.columns.iter().position(|name| name == column)?;
        let values = self.rows.iter();
        Some(values.map(|row| row.get(at)?.as_deref()).collect())
    }
}

/// The owner at the keyboard may know what a client may not.
pub(super) fn told(refusal: &Refusal) -> String {
    match refusal.detail() {
        Some(detail) => format!("{refusal} ({detail})"),
        None => refusal.to_string(),
    }
}
