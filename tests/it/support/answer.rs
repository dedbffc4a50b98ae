//! Rows of an answer, in a form that can be compared.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};
use arrow::util::pretty::pretty_format_batches;

/// Rows, in order.
pub(crate) struct Answer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    rows: Vec<Vec<u8>>,
}

impl Answer {
    pub(crate) fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = rows(&schema, &batches);
        Self {
            schema,
            batches,
            rows,
        }
    }

    /// Column names and types; nothing else of a schema may differ, either.
    pub(crate) fn columns(&self) -> Vec<(String, DataType)> {
        let fields = self.schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, byte for byte comparable; sorted unless their order is part of the answer.
    pub(crate) fn rows(&self, ordered: bool) -> Vec<Vec<u8>> {
        let mut rows = self.rows.clone();
        if !ordered {
            rows.sort();
        }
        rows
    }

    /// The first rows as a table, for people.
    pub(crate) fn text(&self) -> String {
        let some = |batch: &RecordBatch| batch.slice(0, batch.num_rows().min(40));
        let some: Vec<RecordBatch> = self.batches.iter().take(3).map(some).collect();
        pretty_format_batches(&some).map_or_else(|e| e.to_string(), |t| t.to_string())
    }
}

fn rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Vec<u8>> {
    if schema.fields().is_empty() {
        return vec![Vec::new(); batches.iter().map(RecordBatch::num_rows).sum()];
    }
    let whole = concat_batches(schema, batches).unwrap();
    let fields = schema
        .fields()
        .iter()
        .map(|f| SortField::new(f.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields).unwrap();
    let converted = converter.convert_columns(whole.columns()).unwrap();
    converted.iter().map(|row| row.as_ref().to_vec()).collect()
}
