//! The values of one column on their way into an Arrow array.

use std::sync::Arc;

use datafusion::arrow::array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, NullBufferBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::array::{ArrayRef, BinaryArray, ListArray, StringArray};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNano};
use datafusion::arrow::error::ArrowError;

use super::binary::{Broken, take, value};
use super::columns::PgType;
use super::numeric::{Numeric, decimal128, decimal256, double};
use super::text::{Printer, char_text, inet, macaddr, uuid};

/// Days and microseconds from Arrow's epoch, 1970, to PostgreSQL's, 2000.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The last microsecond of a day.
const TIME_MAX: i64 = 86_399_999_999;

/// The one version of `jsonb` that there is: this byte and the text.
const JSONB_VERSION: u8 = 1;

/// The dimensions that an array of PostgreSQL may have.
const DIMENSIONS_MAX: u32 = 6;

/// A column that grows by one value at a time.
pub(super) enum Values {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Oid(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Double(Float64Builder),
    /// Texts that come as they are.
    Text(BinaryBuilder),
    Jsonb(BinaryBuilder),
    /// Texts that are printed from bytes.
    Printed(BinaryBuilder, String, Printer),
    Bytea(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List(Box<Lists>),
}

/// A column of arrays.
pub(super) struct Lists {
    field: FieldRef,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    items: Values,
    len: i32,
}

impl Values {
    pub(super) fn new(pg_type: &PgType, data_type: &DataType) -> Result<Self, Broken> {
        let printed =
            |printer: Printer| Self::Printed(BinaryBuilder::new(), String::new(), printer);
        Ok(match (pg_type, data_type) {
            (PgType::Bool, _) => Self::Bool(BooleanBuilder::new()),
            (PgType::Int2, _) => Self::Int2(Int16Builder::new()),
            (PgType::Int4, _) => Self::Int4(Int32Builder::new()),
            (PgType::Int8, _) => Self::Int8(Int64Builder::new()),
            (PgType::Oid, _) => Self::Oid(Int64Builder::new()),
            (PgType::Float4, _) => Self::Float4(Float32Builder::new()),
            (PgType::Float8, _) => Self::Float8(Float64Builder::new()),
            (PgType::NumericAsDouble, _) => Self::Double(Float64Builder::new()),
            (PgType::Numeric, DataType::Decimal128(precision, scale)) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Self::Decimal128(builder, *precision, *scale)
            }
            (PgType::Numeric, DataType::Decimal256(precision, scale)) => {
                let builder = Decimal256Builder::new().with_data_type(data_type.clone());
                Self::Decimal256(builder, *precision, *scale)
            }
            (
                PgType::Text
                | PgType::Bpchar
                | PgType::Name
                | PgType::Json
                | PgType::Enum
                | PgType::Printed,
                _,
            ) => Self::Text(BinaryBuilder::new()),
            (PgType::Jsonb, _) => Self::Jsonb(BinaryBuilder::new()),
            (PgType::Char, _) => printed(char_text),
            (PgType::Uuid, _) => printed(uuid),
            (PgType::Inet | PgType::Cidr, _) => printed(inet),
            (PgType::Macaddr | PgType::Macaddr8, _) => printed(macaddr),
            (PgType::Bytea, _) => Self::Bytea(BinaryBuilder::new()),
            (PgType::Date, _) => Self::Date(Date32Builder::new()),
            (PgType::Time, _) => Self::Time(Time64MicrosecondBuilder::new()),
            (PgType::Timestamp | PgType::Timestamptz, _) => {
                let builder = TimestampMicrosecondBuilder::new();
                Self::Timestamp(builder.with_data_type(data_type.clone()))
            }
            (PgType::Interval, _) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            (PgType::Array(item), DataType::List(field)) => Self::List(Box::new(Lists {
                field: Arc::clone(field),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                items: Self::new(item, field.data_type())?,
                len: 0,
            })),
            (PgType::Numeric | PgType::Array(_), _) => {
                return Err(Broken("a column has a type that its values do not fit"));
            }
        })
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match self {
            Self::Bool(to) => {
                let [byte] = fixed(bytes)?;
                to.append_value(byte != 0);
            }
            Self::Int2(to) => to.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int4(to) => to.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int8(to) => to.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::Oid(to) => to.append_value(u32::from_be_bytes(fixed(bytes)?).into()),
            Self::Float4(to) => to.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Self::Float8(to) => to.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Self::Decimal128(to, precision, scale) => {
                to.append_option(decimal128(Numeric::read(bytes)?, *precision, *scale)?);
            }
            Self::Decimal256(to, precision, scale) => {
                to.append_option(decimal256(Numeric::read(bytes)?, *precision, *scale)?);
            }
            Self::Double(to) => to.append_value(double(Numeric::read(bytes)?)?),
            Self::Text(to) | Self::Bytea(to) => to.append_value(bytes),
            Self::Jsonb(to) => {
                let unknown = Broken("a jsonb is of an unknown version");
                to.append_value(bytes.strip_prefix(&[JSONB_VERSION]).ok_or(unknown)?);
            }
            Self::Printed(to, text, printer) => {
                text.clear();
                printer(bytes, text)?;
                to.append_value(text.as_bytes());
            }
            Self::Date(to) => {
                to.append_value(date(i32::from_be_bytes(fixed(bytes)?)));
            }
            Self::Time(to) => to.append_value(i64::from_be_bytes(fixed(bytes)?).min(TIME_MAX)),
            Self::Timestamp(to) => {
                to.append_value(timestamp(i64::from_be_bytes(fixed(bytes)?)));
            }
            Self::Interval(to) => to.append_value(interval(bytes)?),
            Self::List(lists) => lists.push(bytes)?,
        }
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Bool(to) => to.append_null(),
            Self::Int2(to) => to.append_null(),
            Self::Int4(to) => to.append_null(),
            Self::Int8(to) | Self::Oid(to) => to.append_null(),
            Self::Float4(to) => to.append_null(),
            Self::Float8(to) | Self::Double(to) => to.append_null(),
            Self::Decimal128(to, _, _) => to.append_null(),
            Self::Decimal256(to, _, _) => to.append_null(),
            Self::Text(to) | Self::Jsonb(to) | Self::Printed(to, _, _) | Self::Bytea(to) => {
                to.append_null();
            }
            Self::Date(to) => to.append_null(),
            Self::Time(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
            Self::Interval(to) => to.append_null(),
            Self::List(lists) => lists.end(false),
        }
    }

    /// What was pushed, as an array; the column is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(from) => Arc::new(from.finish()),
            Self::Int2(from) => Arc::new(from.finish()),
            Self::Int4(from) => Arc::new(from.finish()),
            Self::Int8(from) | Self::Oid(from) => Arc::new(from.finish()),
            Self::Float4(from) => Arc::new(from.finish()),
            Self::Float8(from) | Self::Double(from) => Arc::new(from.finish()),
            Self::Decimal128(from, _, _) => Arc::new(from.finish()),
            Self::Decimal256(from, _, _) => Arc::new(from.finish()),
            Self::Text(from) | Self::Jsonb(from) | Self::Printed(from, _, _) => {
                Arc::new(strings(&from.finish()))
            }
            Self::Bytea(from) => Arc::new(from.finish()),
            Self::Date(from) => Arc::new(from.finish()),
            Self::Time(from) => Arc::new(from.finish()),
            Self::Timestamp(from) => Arc::new(from.finish()),
            Self::Interval(from) => Arc::new(from.finish()),
            Self::List(lists) => Arc::new(lists.finish()?),
        })
    }
}

impl Lists {
    /// An array: the number of its dimensions, whether it has NULLs, the type of its elements, each
    /// dimension's length and first index, and the elements, the last dimension fastest.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        let dimensions = u32::from_be_bytes(take(&mut rest)?);
        let _flags_and_type: [u8; 8] = take(&mut rest)?;
        if dimensions > DIMENSIONS_MAX {
            return Err(Broken("an array has too many dimensions"));
        }
        let mut elements = u32::from(dimensions > 0);
        for _ in 0..dimensions {
            let length = u32::from_be_bytes(take(&mut rest)?);
            let _first_index: [u8; 4] = take(&mut rest)?;
            let too_long = Broken("an array has too many elements");
            elements = elements.checked_mul(length).ok_or(too_long)?;
        }
        for _ in 0..elements {
            match value(&mut rest)? {
                Some(bytes) => self.items.push(bytes)?,
                None => self.items.push_null(),
            }
            self.len += 1;
        }
        if !rest.is_empty() {
            return Err(Broken("there are bytes after the last element of an array"));
        }
        self.end(true);
        Ok(())
    }

    /// Ends one array, or notes that there is none.
    fn end(&mut self, is_there: bool) {
        self.offsets.push(self.len);
        self.nulls.append(is_there);
    }

    fn finish(&mut self) -> Result<ListArray, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        self.len = 0;
        ListArray::try_new(
            Arc::clone(&self.field),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            self.items.finish()?,
            self.nulls.finish(),
        )
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Broken> {
    let other = Broken("a value has another length than its type");
    bytes.try_into().map_err(|_| other)
}

/// Days since 1970. The least and greatest numbers stand for the infinities; no finite date is near.
fn date(days: i32) -> i32 {
    match days {
        i32::MIN => i32::MIN,
        _ => days.saturating_add(EPOCH_DAYS),
    }
}

/// Microseconds since 1970, in the same way; the last thirty years that PostgreSQL knows are beyond
/// them and saturate.
fn timestamp(micros: i64) -> i64 {
    match micros {
        i64::MIN => i64::MIN,
        _ => micros.saturating_add(EPOCH_MICROS),
    }
}

fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, Broken> {
    let mut rest = bytes;
    let micros = i64::from_be_bytes(take(&mut rest)?);
    let days = i32::from_be_bytes(take(&mut rest)?);
    let months = i32::from_be_bytes(fixed(rest)?);
    let nanos = micros.saturating_mul(1_000);
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

/// Texts of bytes. A database of UTF-8 holds nothing else; if one does, the text is shown with
/// replacement characters rather than not at all.
fn strings(bytes: &BinaryArray) -> StringArray {
    StringArray::try_from_binary(bytes.clone()).unwrap_or_else(|_| {
        let texts = bytes.iter();
        texts
            .map(|text| text.map(String::from_utf8_lossy))
            .collect()
    })
}
