//! JSON lines: an object in each line.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use scrim_engine::{FaultKind, SourceFault};
use scrim_policy::BadRows;
use serde_json::Value;

use super::facts::Facts;
use super::gzip::pieces;
use super::lines::{Records, Rule};
use super::pin::Pinned;
use super::text::{Rows, Text, textual_fields, typed};

/// Rows from which types are inferred that nobody declared.
const INFERRED_ROWS: usize = 1_000;

/// The columns that a file's first lines seem to have.
pub(super) async fn infer(file: &Pinned, bad_rows: BadRows) -> Result<Facts, SourceFault> {
    let mut records = Records::new(file.clone(), pieces(file), Rule::Lines);
    let mut values = Vec::new();
    let mut missing = INFERRED_ROWS;
    while missing > 0
        && let Some(block) = records.next(missing).await?
    {
        missing = missing.saturating_sub(block.records().count());
        for (row, line) in block.records() {
            let value = row.and_then(|row| serde_json::from_slice::<Value>(row).ok());
            match value.filter(Value::is_object) {
                Some(value) => values.push(value),
                None if bad_rows == BadRows::Skip => {}
                None => {
                    let what = format!("line {line} is no JSON object");
                    return Err(file.fault(FaultKind::Invalid, what));
                }
            }
        }
    }
    let schema = infer_json_schema_from_iterator(values.iter().map(Ok)).map_err(|_| {
        let what = "its lines have values of different kinds under one name; declare the types";
        file.fault(FaultKind::Invalid, what)
    })?;
    Ok(Facts::new(&known(schema.fields()), None))
}

/// The fields, with text in the place of what was never there.
fn known(fields: &Fields) -> Fields {
    let of = |field: &FieldRef| {
        let data_type = known_type(field.data_type());
        Arc::new(Field::new(field.name(), data_type, true))
    };
    fields.iter().map(of).collect()
}

fn known_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(known(fields)),
        DataType::List(item) => DataType::new_list(known_type(item.data_type()), true),
        other => other.clone(),
    }
}

/// Reads a file: the columns of the schema, NULL where a line has none of the name.
pub(super) fn read(file: Pinned, bad_rows: BadRows, schema: SchemaRef, most: usize) -> Text {
    let records = Records::new(file.clone(), pieces(&file), Rule::Lines);
    Text {
        file,
        records,
        rows: Box::new(JsonRows::new(schema)),
        bad_rows,
        most,
        skipped: 0,
    }
}

struct JsonRows {
    /// The columns, with text in the place of every single value.
    texts: SchemaRef,
    schema: SchemaRef,
}

impl JsonRows {
    fn new(schema: SchemaRef) -> Self {
        let texts = Arc::new(Schema::new(textual_fields(schema.fields())));
        Self { texts, schema }
    }
}

impl Rows for JsonRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&self, rows: &[&[u8]]) -> Option<RecordBatch> {
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.texts))
            .with_batch_size(rows.len() + 1)
            // Numbers are kept as they are written: the decoder would cut 1.5 to an integer.
            .with_coerce_primitive(true)
            .build_decoder()
            .ok()?;
        for row in rows {
            let before = decoder.len();
            let whole = decoder.decode(row).ok()? == row.len();
            // Exactly one: two objects in a line, or one in two lines, do not fit.
            if !whole || decoder.has_partial_record() || decoder.len() != before + 1 {
                return None;
            }
        }
        let texts = decoder.flush().ok()??;
        let columns = texts.columns().iter().zip(self.schema.fields());
        let columns: Option<Vec<ArrayRef>> = columns
            .map(|(text, field)| typed(text, field.data_type()))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options).ok()
    }
}
