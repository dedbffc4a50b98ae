//! What came back: rows as text and as bytes, or a refusal.

use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
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

/// The rows that came back. Large results are mostly searched for what must not be in them, so they
/// become text only where somebody compares values.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
    /// The name of each column's mask; `None` when it is clear.
    pub(crate) masks: Vec<Option<String>>,
    /// Whether each column holds numbers.
    pub(crate) numbers: Vec<bool>,
    /// Whether the statement says in which order they come.
    pub(crate) ordered: bool,
    /// The result as it would travel.
    bytes: Vec<u8>,
    batches: Vec<RecordBatch>,
    text: OnceLock<Result<Vec<Row>, String>>,
}

impl Rows {
    /// Takes over a result.
    ///
    /// # Errors
    /// When it cannot travel.
    pub(crate) fn of(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let columns: Vec<String> = names.collect();
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        for batch in &batches {
            writer.write(batch)?;
        }
        let types = schema.fields().iter().map(|field| field.data_type());
        Ok(Self {
            numbers: types.map(is_number).collect(),
            masks: vec![None; columns.len()],
            columns,
            ordered: false,
            bytes: writer.into_inner()?,
            batches,
            text: OnceLock::new(),
        })
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> u64 {
        self.batches
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum()
    }

    /// The rows as text.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(crate) fn text(&self) -> Result<&[Row], String> {
        let text = self.text.get_or_init(|| {
            let mut rows: Vec<Row> = Vec::new();
            for batch in &self.batches {
                let columns = batch.columns().iter().map(cells);
                let columns: Vec<Row> = columns.collect::<Result<_, _>>()?;
                let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
                for _ in 0..batch.num_rows() {
                    rows.push(
                        columns
                            .iter_mut()
                            .map(|cells| cells.next().flatten())
                            .collect(),
                    );
                }
            }
            Ok(rows)
        });
        text.as_deref().map_err(Clone::clone)
    }

    /// The values of a column as text; none when it is not there.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(crate) fn values(&self, column: &str) -> Result<Option<Vec<Option<String>>>, String> {
        let Some(at) = self.columns.iter().position(|name| name == column) else {
            return Ok(None);
        };
        let columns = self
            .batches
            .iter()
            .filter_map(|batch| batch.columns().get(at));
        let parts: Vec<Row> = columns.map(cells).collect::<Result<_, _>>()?;
        Ok(Some(parts.into_iter().flatten().collect()))
    }

    /// A value that holds a text, or that it is somewhere among the bytes.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(crate) fn finds(&self, text: &str) -> Result<Option<String>, String> {
        let in_bytes = holds(&self.bytes, text.as_bytes());
        for column in self.batches.iter().flat_map(RecordBatch::columns) {
            // Text is among the bytes as it is; of anything else only the written form is text.
            let elsewhere = is_text(column.data_type()) || is_no_part(text, column.data_type());
            if elsewhere && !in_bytes {
                continue;
            }
            let mut cells = cells(column)?.into_iter().flatten();
            if let Some(cell) = cells.find(|cell| cell.contains(text)) {
                return Ok(Some(format!("got {cell}")));
            }
        }
        Ok(in_bytes.then(|| "but it is in the result's bytes".to_owned()))
    }
}

fn cells(column: &ArrayRef) -> Result<Row, String> {
    let values = text::column(column, "null").map_err(|error| error.to_string())?;
    let cells = values.into_iter().enumerate();
    Ok(cells
        .map(|(row, cell)| (!column.is_null(row)).then_some(cell))
        .collect())
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Whether a text is in no number, date, time or truth value, however it is written.
fn is_no_part(text: &str, data_type: &DataType) -> bool {
    let written = "0123456789+-.:TZeE infatrulsNy";
    let plain = data_type.is_numeric() || data_type.is_temporal();
    (plain || *data_type == DataType::Boolean) && !text.chars().all(|c| written.contains(c))
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else {
        return false;
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(here) = rest.get(at..) else { break };
        if here.starts_with(text) {
            return true;
        }
        rest = here.get(1..).unwrap_or_default();
    }
    false
}

/// The owner at the keyboard may know what a client may not.
pub(super) fn told(refusal: &Refusal) -> String {
    match refusal.detail() {
        Some(detail) => format!("{refusal} ({detail})"),
        None => refusal.to_string(),
    }
}
