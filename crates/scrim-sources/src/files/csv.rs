//! CSV with a header line: the columns are found by their names, whatever their order.

use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::{Decoder, Format};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use scrim_engine::{FaultKind, SourceFault};
use scrim_policy::BadRows;

use super::facts::Facts;
use super::gzip::pieces;
use super::lines::{Records, Rule};
use super::pin::Pinned;
use super::text::{Rows, Text, typed};

/// Rows from which types are inferred that nobody declared.
const INFERRED_ROWS: usize = 1_000;

/// A file's header, and what follows.
struct Opened {
    names: Vec<String>,
    /// The header as it is written.
    header: Vec<u8>,
    records: Records,
}

async fn open(file: &Pinned, delimiter: u8) -> Result<Opened, SourceFault> {
    let mut records = Records::new(file.clone(), pieces(file), Rule::Quoted(delimiter));
    let invalid = |what: &str| file.fault(FaultKind::Invalid, what);
    let first = records.next(1).await?;
    let header = first
        .as_ref()
        .and_then(|block| block.records().next())
        .ok_or_else(|| invalid("there is no header line"))?
        .0
        .ok_or_else(|| invalid("the header line is no UTF-8, or ends within quotes"))?;
    let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
    let format = Format::default()
        .with_header(true)
        .with_delimiter(delimiter);
    let (schema, _) = format
        .infer_schema(Cursor::new(header), Some(0))
        .map_err(|_| invalid("the header line is not understood"))?;
    let names = schema.fields().iter().map(|f| f.name().clone()).collect();
    Ok(Opened {
        names,
        header: header.to_vec(),
        records,
    })
}

/// The columns of a file; all are text.
pub(super) async fn names(file: &Pinned, delimiter: u8) -> Result<Facts, SourceFault> {
    let opened = open(file, delimiter).await?;
    Ok(Facts::new(&texts(&opened.names), None))
}

/// The columns of a file with the types that its first rows seem to have.
pub(super) async fn infer(file: &Pinned, delimiter: u8) -> Result<Facts, SourceFault> {
    let mut opened = open(file, delimiter).await?;
    let all = Arc::new(Schema::new(texts(&opened.names)));
    let shape = CsvRows::new(&opened.names, delimiter, all);
    let mut text = opened.header;
    let mut missing = INFERRED_ROWS;
    while missing > 0
        && let Some(block) = opened.records.next(missing).await?
    {
        missing = missing.saturating_sub(block.records().count());
        // Whether a row that does not fit is an error shows when it is read.
        let sound = |row: &&[u8]| shape.decode(&[*row]).is_some();
        for row in block.records().filter_map(|(row, _)| row).filter(sound) {
            if text.last() != Some(&b'\n') {
                text.push(b'\n');
            }
            text.extend_from_slice(row);
        }
    }
    let format = Format::default()
        .with_header(true)
        .with_delimiter(delimiter);
    let (schema, _) = format
        .infer_schema(Cursor::new(text), None)
        .map_err(|_| file.fault(FaultKind::Invalid, "its types cannot be inferred"))?;
    let column = |field: &Arc<Field>| match field.data_type() {
        DataType::Null => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => Arc::clone(field),
    };
    let columns: Fields = schema.fields().iter().map(column).collect();
    Ok(Facts::new(&columns, None))
}

/// Reads a file: the columns of the schema, NULL where the file has none of the name.
pub(super) async fn read(
    file: Pinned,
    delimiter: u8,
    bad_rows: BadRows,
    schema: SchemaRef,
    most: usize,
) -> Result<Text, SourceFault> {
    let opened = open(&file, delimiter).await?;
    let rows = Box::new(CsvRows::new(&opened.names, delimiter, schema));
    Ok(Text {
        file,
        records: opened.records,
        rows,
        bad_rows,
        most,
        skipped: 0,
    })
}

fn texts(names: &[String]) -> Fields {
    let field = |name: &String| Field::new(name, DataType::Utf8, true);
    names.iter().map(field).collect()
}

/// Decodes rows under one header.
struct CsvRows {
    /// All columns of the file, as text.
    file: SchemaRef,
    /// For each column of the schema where it is in the file, if it is.
    positions: Vec<Option<usize>>,
    schema: SchemaRef,
    delimiter: u8,
}

impl CsvRows {
    fn new(names: &[String], delimiter: u8, schema: SchemaRef) -> Self {
        let position = |field: &Arc<Field>| names.iter().position(|name| name == field.name());
        Self {
            positions: schema.fields().iter().map(position).collect(),
            file: Arc::new(Schema::new(texts(names))),
            schema,
            delimiter,
        }
    }

    fn decoder(&self, rows: usize) -> Decoder {
        ReaderBuilder::new(Arc::clone(&self.file))
            .with_delimiter(self.delimiter)
            // One more than there are, so that the last line break is read with the last row.
            .with_batch_size(rows + 1)
            .with_projection(self.positions.iter().copied().flatten().collect())
            .build_decoder()
    }
}

impl Rows for CsvRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&self, rows: &[&[u8]]) -> Option<RecordBatch> {
        let mut decoder = self.decoder(rows.len());
        for row in rows {
            let before = decoder.capacity();
            let mut whole = decoder.decode(row).ok()? == row.len();
            if row.last() != Some(&b'\n') {
                whole &= decoder.decode(b"\n").ok()? == 1;
            }
            // Exactly one: what the decoder takes for two rows or for half of one does not fit.
            if !whole || decoder.capacity() + 1 != before {
                return None;
            }
        }
        let texts = decoder.flush().ok()??;
        let mut texts = texts.columns().iter();
        let columns = self.positions.iter().zip(self.schema.fields());
        let columns: Option<Vec<ArrayRef>> = columns
            .map(|(position, field)| match position {
                Some(_) => typed(texts.next()?, field.data_type()),
                None => Some(new_null_array(field.data_type(), rows.len())),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options).ok()
    }
}
