//! JSON lines: an object in each line.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use scrim_engine::SourceFault;
use scrim_policy::BadRows;
use serde_json::{Map, Value};

use super::facts::Facts;
use super::gzip::pieces;
use super::lines::{Records, Rule};
use super::pin::Pinned;
use super::text::{Rows, Text, textual_fields, typed};

/// Rows from which types are inferred that nobody declared.
const INFERRED_ROWS: usize = 1_000;
/// What the values of one column are called while its type is inferred.
const COLUMN: &str = "column";

/// The columns that a file's first lines seem to have; text where they have values of different
/// kinds.
pub(super) async fn infer(file: &Pinned) -> Result<Facts, SourceFault> {
    let mut records = Records::new(file.clone(), pieces(file), Rule::Lines);
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    let mut missing = INFERRED_ROWS;
    while missing > 0
        && let Some(block) = records.next(missing).await?
    {
        missing = missing.saturating_sub(block.records().count());
        // Whether a line that is no object is an error shows when it is read.
        let object = |row: &[u8]| serde_json::from_slice::<Map<String, Value>>(row).ok();
        let objects = block.records().filter_map(|(row, _)| object(row?));
        for (name, value) in objects.flatten() {
            let value = Value::Object(Map::from_iter([(COLUMN.to_owned(), value)]));
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => columns.push((name, vec![value])),
            }
        }
    }
    let field = |(name, values): (String, Vec<Value>)| {
        let schema = infer_json_schema_from_iterator(values.iter().map(Ok)).ok();
        let found = schema.and_then(|schema| Some(schema.fields().first()?.data_type().clone()));
        let data_type = found.map_or(DataType::Utf8, |found| known_type(&found));
        Arc::new(Field::new(name, data_type, true))
    };
    Ok(Facts::new(&columns.into_iter().map(field).collect(), None))
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

/// Decodes lines of JSON.
pub(super) struct JsonRows {
    /// The columns, with text in the place of every single value.
    texts: SchemaRef,
    schema: SchemaRef,
}

impl JsonRows {
    pub(super) fn new(schema: SchemaRef) -> Self {
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
