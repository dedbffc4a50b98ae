//! Rows as PostgreSQL copies them out in binary, decoded into Arrow.
//!
//! A row is the number of its values and then each value: its length, or -1 for NULL, and its
//! bytes. The rows follow a signature and end with a row of -1 values. Whatever the bytes are,
//! nothing is read beyond them; what breaks these rules ends the scan.

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;

use super::columns::PgColumn;
use super::values::Values;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Bytes that break the rules of the format: which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

/// The rows of one scan on their way into batches.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeSignature,
    Rows,
    AfterLast,
}

impl Decoder {
    /// A decoder of these columns; the schema has a field for each.
    pub(super) fn new(columns: &[PgColumn], schema: SchemaRef) -> Result<Self, Broken> {
        let columns = columns
            .iter()
            .map(|column| Values::new(&column.pg_type, &column.data_type))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            schema,
            columns,
            rows: 0,
            bytes: 0,
            place: Place::BeforeSignature,
        })
    }

    /// Rows since the last batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of these rows as they came.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decodes what one message holds: always whole rows.
    pub(super) fn decode(&mut self, message: &[u8]) -> Result<(), Broken> {
        let mut rest = message;
        if self.place == Place::BeforeSignature {
            skip_signature(&mut rest)?;
            self.place = Place::Rows;
        }
        self.bytes += rest.len();
        while !rest.is_empty() {
            if self.place == Place::AfterLast {
                return Err(Broken("there are bytes after the last row"));
            }
            self.row(&mut rest)?;
        }
        Ok(())
    }

    fn row(&mut self, rest: &mut &[u8]) -> Result<(), Broken> {
        let count = i16::from_be_bytes(take(rest)?);
        if count == -1 {
            self.place = Place::AfterLast;
            return Ok(());
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(Broken("a row has another number of values than columns"));
        }
        for column in &mut self.columns {
            match value(rest)? {
                Some(bytes) => column.push(bytes)?,
                None => column.push_null(),
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Whether the last row was seen; a scan that ends before it was cut off.
    pub(super) fn is_complete(&self) -> bool {
        self.place == Place::AfterLast
    }

    /// The rows since the last batch, as a batch.
    pub(super) fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter_mut().map(Values::finish);
        let columns = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)
    }
}

fn skip_signature(rest: &mut &[u8]) -> Result<(), Broken> {
    let other = Broken("it does not start as a binary copy does");
    *rest = rest.strip_prefix(SIGNATURE).ok_or(other)?;
    if i32::from_be_bytes(take(rest)?) != 0 {
        return Err(Broken("its flags are unknown"));
    }
    let extension = u32::from_be_bytes(take(rest)?);
    take_slice(rest, extension)?;
    Ok(())
}

/// The next value of a row or an array, unless it is NULL.
pub(super) fn value<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
    let length = i32::from_be_bytes(take(rest)?);
    match u32::try_from(length) {
        Ok(length) => take_slice(rest, length).map(Some),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(Broken("a value has a negative length")),
    }
}

/// The next `N` bytes.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Broken> {
    let (bytes, after) = rest.split_first_chunk().ok_or(SHORT)?;
    *rest = after;
    Ok(*bytes)
}

fn take_slice<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a [u8], Broken> {
    let length = usize::try_from(length).map_err(|_| SHORT)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = after;
    Ok(bytes)
}

const SHORT: Broken = Broken("a row ends before its values do");
