//! Text and binary, plain and as views.

use std::sync::Arc;

use arrow::array::builder::GenericByteViewBuilder;
use arrow::array::{
    Array, ArrayRef, AsArray, ByteView, GenericByteArray, GenericByteViewArray,
    MAX_INLINE_VIEW_LEN, OffsetSizeTrait,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType};
use arrow::error::ArrowError;

use super::Visible;

/// Drops the bytes of values under NULL and of those beside the slice.
pub(super) fn plain<T: ByteArrayType>(
    array: &ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let source: &GenericByteArray<T> = array.as_bytes();
    let (first, last) = ends(source.offsets());
    let null_bytes = source.offsets().has_non_empty_nulls(visible.mask());
    let whole = first == 0 && last == source.values().len();
    if whole && !null_bytes && !visible.changed {
        return Ok(Arc::clone(array));
    }
    let (offsets, values) = match visible.mask().filter(|_| null_bytes) {
        None => {
            let values = source.values().slice_with_length(first, last - first);
            (rebased(source.offsets()), values)
        }
        Some(nulls) => {
            let offsets = shown_lengths(source.offsets(), visible);
            let mut values = Vec::with_capacity(ends(&offsets).1);
            for (start, end) in nulls.valid_slices() {
                let range = (
                    source.value_offsets().get(start),
                    source.value_offsets().get(end),
                );
                if let (Some(start), Some(end)) = range {
                    let bytes = source.values().get(start.as_usize()..end.as_usize());
                    values.extend_from_slice(bytes.unwrap_or_default());
                }
            }
            (offsets, Buffer::from_vec(values))
        }
    };
    Ok(Arc::new(GenericByteArray::<T>::try_new(
        offsets,
        values,
        visible.nulls.clone(),
    )?))
}

/// The first and the last offset.
pub(super) fn ends<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (usize, usize) {
    let bound = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (bound(offsets.first()), bound(offsets.last()))
}

/// The offsets counted from the first.
pub(super) fn rebased<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> OffsetBuffer<O> {
    match offsets.first().copied() {
        Some(first) if first > O::zero() => {
            OffsetBuffer::new(offsets.iter().map(|offset| *offset - first).collect())
        }
        Some(_) | None => offsets.clone(),
    }
}

/// The offsets of what is left when NULL has no length.
pub(super) fn shown_lengths<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    visible: &Visible,
) -> OffsetBuffer<O> {
    let lengths = offsets.lengths().enumerate();
    let lengths = lengths.map(|(row, length)| if visible.is_valid(row) { length } else { 0 });
    OffsetBuffer::from_lengths(lengths)
}

/// How much more bytes the rows may show than the buffers hold before equal values are shared: a
/// view is cheap to repeat, a long value is not.
const REPEATED_BYTES_MAX: usize = 1 << 20;

/// Copies the visible values into a buffer of their own.
pub(super) fn view<T: ByteViewType>(
    array: &ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let source: &GenericByteViewArray<T> = array.as_byte_view();
    if !visible.changed && is_compact(source, visible) {
        return Ok(Arc::clone(array));
    }
    let rows = || {
        source
            .views()
            .iter()
            .enumerate()
            .filter(|(row, _)| visible.is_valid(*row))
    };
    let long: usize = rows()
        .map(|(_, view)| *view as u32)
        .filter(|length| *length > MAX_INLINE_VIEW_LEN)
        .map(|length| length as usize)
        .sum();
    let held: usize = source.data_buffers().iter().map(Buffer::len).sum();
    let mut builder = GenericByteViewBuilder::<T>::with_capacity(source.len());
    if long > held.saturating_add(REPEATED_BYTES_MAX) {
        builder = builder.with_deduplicate_strings();
    } else if long > 0 {
        let block = long.min(i32::MAX as usize);
        builder = builder.with_fixed_block_size(u32::try_from(block).unwrap_or(u32::MAX));
    }
    for row in 0..source.len() {
        if visible.is_valid(row) {
            builder.try_append_value(source.value(row))?;
        } else {
            builder.append_null();
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Whether the visible rows, in their order, cover every byte of the buffers, and NULL is zero.
fn is_compact<T: ByteViewType>(array: &GenericByteViewArray<T>, visible: &Visible) -> bool {
    let mut covered = vec![0_usize; array.data_buffers().len()];
    for (row, raw) in array.views().iter().enumerate() {
        if !visible.is_valid(row) {
            if *raw != 0 {
                return false;
            }
            continue;
        }
        let view = ByteView::from(*raw);
        if view.length <= MAX_INLINE_VIEW_LEN {
            continue;
        }
        // A value may repeat what earlier rows show, or follow it, but not leave a gap.
        match covered.get_mut(view.buffer_index as usize) {
            Some(end) if view.offset as usize <= *end => {
                *end = (*end).max(view.offset as usize + view.length as usize);
            }
            Some(_) | None => return false,
        }
    }
    covered
        .iter()
        .zip(array.data_buffers())
        .all(|(end, buffer)| *end == buffer.len())
}
