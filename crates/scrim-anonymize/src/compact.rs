//! The barrier before a batch leaves: no byte of a hidden value survives.
//!
//! Arrow arrays carry more than they show. A filtered view or dictionary array still holds the
//! values of the rows that are gone, a bitmap of NULLs lies over the values it hides, a slice
//! lets its neighbours be reached; and the IPC writer sends much of that. After [`compact`] every
//! byte in every buffer of an array belongs to a value that the array shows, or is zero.
//!
//! "Every buffer" means what the array reaches: a primitive slice without NULLs already ends
//! where its values end, and is not copied to shorten the allocation behind it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{
    BinaryType, BinaryViewType, DataType, Int8Type, Int16Type, Int32Type, Int64Type,
    LargeBinaryType, LargeUtf8Type, StringViewType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    Utf8Type,
};
use arrow::error::ArrowError;

mod bytes;
mod encoded;
mod fixed;
mod nested;

/// Compacts every column; the values stay, and a batch that is compact already is returned as is.
pub fn compact_batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(compact)
        .collect::<Result<_, _>>()?;
    let same = columns
        .iter()
        .zip(batch.columns())
        .all(|(new, old)| Arc::ptr_eq(new, old));
    if same {
        return Ok(batch.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// An equal array from whose buffers nothing but its visible values can be read.
///
/// It costs a look at the array when there is nothing to do, and about one copy when there is.
pub fn compact(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    scrub(array, None)
}

/// The rows that show something, and whether the array says so already.
struct Visible {
    nulls: Option<NullBuffer>,
    /// The array's own bitmap is another, or has bits of other rows in it.
    changed: bool,
}

impl Visible {
    fn of(array: &dyn Array, hidden: Option<&NullBuffer>) -> Self {
        let own = array.nulls();
        let hidden = hidden.filter(|hidden| hidden.null_count() > 0);
        // Own is kept where it says all, so that an array can be seen to be compact already.
        let both = hidden.and_then(|_| NullBuffer::union(own, hidden));
        let mut changed = both.is_some() && both.as_ref() != own;
        let nulls = if changed { both } else { own.cloned() };
        let nulls = nulls.and_then(|nulls| {
            if is_tidy(nulls.inner()) {
                return Some(nulls);
            }
            changed = true;
            (nulls.null_count() > 0).then(|| NullBuffer::new(tidied(nulls.inner())))
        });
        Self { nulls, changed }
    }

    /// The bitmap, when it hides something.
    fn mask(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref().filter(|nulls| nulls.null_count() > 0)
    }

    fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }
}

/// Whether a bitmap holds its own bits and nothing else.
fn is_tidy(bits: &BooleanBuffer) -> bool {
    let (bytes, whole, rest) = (bits.inner().as_slice(), bits.len() / 8, bits.len() % 8);
    bits.offset() == 0
        && bytes.len() <= whole + 64
        && bytes
            .get(whole)
            .is_none_or(|byte| u32::from(*byte) >> rest == 0)
        && bytes.iter().skip(whole + 1).all(|byte| *byte == 0)
}

fn tidied(bits: &BooleanBuffer) -> BooleanBuffer {
    let sliced = bits.sliced();
    let mut bytes: Vec<u8> = sliced
        .as_slice()
        .iter()
        .take(bits.len().div_ceil(8))
        .copied()
        .collect();
    let rest = bits.len() % 8;
    if let Some(last) = bytes.last_mut().filter(|_| rest > 0) {
        *last &= (1 << rest) - 1;
    }
    BooleanBuffer::new(Buffer::from_vec(bytes), 0, bits.len())
}

/// Compacts an array some of whose rows are hidden by what it lies in.
fn scrub(array: &ArrayRef, hidden: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    use DataType as D;
    let visible = Visible::of(array.as_ref(), hidden);
    match array.data_type() {
        D::Null => Ok(Arc::clone(array)),
        D::Boolean => Ok(fixed::boolean(array, &visible)),
        D::Utf8 => bytes::plain::<Utf8Type>(array, &visible),
        D::LargeUtf8 => bytes::plain::<LargeUtf8Type>(array, &visible),
        D::Binary => bytes::plain::<BinaryType>(array, &visible),
        D::LargeBinary => bytes::plain::<LargeBinaryType>(array, &visible),
        D::Utf8View => bytes::view::<StringViewType>(array, &visible),
        D::BinaryView => bytes::view::<BinaryViewType>(array, &visible),
        D::Struct(_) => nested::structure(array, &visible),
        D::List(_) => nested::list::<i32>(array, &visible),
        D::LargeList(_) => nested::list::<i64>(array, &visible),
        D::Map(_, _) => nested::map(array, &visible),
        D::FixedSizeList(_, _) => nested::fixed_size_list(array, &visible),
        D::ListView(_) => nested::list_view::<i32>(array, &visible),
        D::LargeListView(_) => nested::list_view::<i64>(array, &visible),
        D::Union(_, _) => nested::union(array, hidden),
        D::RunEndEncoded(ends, _) => match ends.data_type() {
            D::Int16 => encoded::runs::<Int16Type>(array, hidden),
            D::Int32 => encoded::runs::<Int32Type>(array, hidden),
            _ => encoded::runs::<Int64Type>(array, hidden),
        },
        D::Dictionary(keys, _) => match keys.as_ref() {
            D::Int8 => encoded::dictionary::<Int8Type>(array, &visible),
            D::Int16 => encoded::dictionary::<Int16Type>(array, &visible),
            D::Int32 => encoded::dictionary::<Int32Type>(array, &visible),
            D::Int64 => encoded::dictionary::<Int64Type>(array, &visible),
            D::UInt8 => encoded::dictionary::<UInt8Type>(array, &visible),
            D::UInt16 => encoded::dictionary::<UInt16Type>(array, &visible),
            D::UInt32 => encoded::dictionary::<UInt32Type>(array, &visible),
            _ => encoded::dictionary::<UInt64Type>(array, &visible),
        },
        D::FixedSizeBinary(width) => {
            fixed::width(array, usize::try_from(*width).unwrap_or(0), &visible)
        }
        D::Int8
        | D::Int16
        | D::Int32
        | D::Int64
        | D::UInt8
        | D::UInt16
        | D::UInt32
        | D::UInt64
        | D::Float16
        | D::Float32
        | D::Float64
        | D::Timestamp(_, _)
        | D::Date32
        | D::Date64
        | D::Time32(_)
        | D::Time64(_)
        | D::Duration(_)
        | D::Interval(_)
        | D::Decimal32(_, _)
        | D::Decimal64(_, _)
        | D::Decimal128(_, _)
        | D::Decimal256(_, _) => fixed::width(
            array,
            array.data_type().primitive_width().unwrap_or(0),
            &visible,
        ),
    }
}

#[cfg(test)]
mod tests;
