//! Plain values, and Arrow arrays of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray, StringViewArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

/// The marker of whatever nobody but the owner may see. Numbers carry it in their bytes.
pub(crate) const CANARY: &str = "CANARY";

/// One value.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    Date(i32),
    Time(i64),
    Text(String),
    Struct(Vec<Cell>),
    List(Vec<Cell>),
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) => a == b,
            // Bits, so that NaN equals itself and zeros differ by sign.
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Struct(a), Self::Struct(b)) | (Self::List(a), Self::List(b)) => a == b,
            _ => false,
        }
    }
}

impl Cell {
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Time(value) => Some(*value),
            _ => None,
        }
    }

    /// The bytes by which a raw value would be found in an encoded message; values that turn up by
    /// chance, being short or few different bytes, have none.
    pub(crate) fn trace(&self) -> Vec<Vec<u8>> {
        let bytes = match self {
            // Short texts also come about where other texts stand side by side.
            Self::Text(text) if text.len() < 8 => Vec::new(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Int(value) | Self::Time(value) => value.to_le_bytes().to_vec(),
            Self::Float(value) => value.to_le_bytes().to_vec(),
            Self::Decimal(value) => value.to_le_bytes().to_vec(),
            Self::Struct(cells) | Self::List(cells) => {
                return cells.iter().flat_map(Self::trace).collect();
            }
            Self::Null | Self::Bool(_) | Self::Date(_) => Vec::new(),
        };
        let mut different = bytes.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() >= 5 {
            vec![bytes]
        } else {
            Vec::new()
        }
    }
}

/// An integer whose bytes read `CANARY` and a number.
pub(crate) fn canary_int(n: u16) -> i64 {
    let [low, high] = (n & 0x3fff).to_le_bytes();
    i64::from_le_bytes([b'C', b'A', b'N', b'A', b'R', b'Y', low, high])
}

/// A finite float whose bytes hold `CANARY`.
pub(crate) fn canary_float(n: u16) -> f64 {
    let [low, high] = n.to_le_bytes();
    f64::from_le_bytes([low, high, b'C', b'A', b'N', b'A', b'R', b'Y'])
}

/// A batch of rows.
pub(crate) fn batch(schema: &SchemaRef, rows: &[Vec<Cell>]) -> RecordBatch {
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let cells: Vec<&Cell> = rows.iter().map(|row| &row[i]).collect();
            array(field.data_type(), &cells)
        })
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// An array of one type.
pub(crate) fn array(data_type: &DataType, cells: &[&Cell]) -> ArrayRef {
    let ints = || cells.iter().map(|cell| cell.as_int());
    let texts = || cells.iter().map(|cell| cell.as_text());
    let floats = || {
        cells.iter().map(|cell| match cell {
            Cell::Float(value) => Some(*value),
            _ => None,
        })
    };
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Bool(value) => Some(*value),
                _ => None,
            },
        ))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(ints())),
        DataType::Int32 => Arc::new(Int32Array::from_iter(ints().map(|v| v.map(|v| v as i32)))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(floats())),
        DataType::Float32 => Arc::new(Float32Array::from_iter(
            floats().map(|v| v.map(|v| v as f32)),
        )),
        DataType::Decimal128(precision, scale) => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Decimal(value) => Some(*value),
                _ => None,
            });
            let array = Decimal128Array::from_iter(values);
            Arc::new(array.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Date32 => Arc::new(Date32Array::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Date(value) => Some(*value),
                _ => None,
            },
        ))),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Arc::new(TimestampMicrosecondArray::from_iter(ints()))
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter(texts())),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(texts())),
        DataType::Dictionary(_, _) => Arc::new(DictionaryArray::<Int32Type>::from_iter(texts())),
        DataType::Struct(_) | DataType::List(_) => nested(data_type, cells),
        other => panic!("no arrays of {other} here"),
    }
}

fn nested(data_type: &DataType, cells: &[&Cell]) -> ArrayRef {
    let nulls = NullBuffer::from_iter(cells.iter().map(|cell| **cell != Cell::Null));
    let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
    match data_type {
        DataType::Struct(fields) => {
            let columns = (0..fields.len())
                .map(|i| {
                    let inner: Vec<&Cell> = cells
                        .iter()
                        .map(|cell| match cell {
                            Cell::Struct(inner) => &inner[i],
                            _ => &Cell::Null,
                        })
                        .collect();
                    array(fields[i].data_type(), &inner)
                })
                .collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        DataType::List(item) => {
            let lists: Vec<&[Cell]> = cells
                .iter()
                .map(|cell| match cell {
                    Cell::List(inner) => inner.as_slice(),
                    _ => &[],
                })
                .collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
            let inner: Vec<&Cell> = lists.into_iter().flatten().collect();
            let values = array(item.data_type(), &inner);
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, nulls))
        }
        other => panic!("{other} is not nested"),
    }
}

/// The values of a text or Int64 array, for masks that are applied by their own kernel.
pub(crate) fn cells(array: &ArrayRef) -> Vec<Cell> {
    let whole = |i: usize| match array.data_type() {
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(i)),
        DataType::Utf8 => Cell::text(array.as_string::<i32>().value(i)),
        other => panic!("no cells of {other} here"),
    };
    (0..array.len())
        .map(|i| {
            if array.is_null(i) {
                Cell::Null
            } else {
                whole(i)
            }
        })
        .collect()
}
