//! Values of one width.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::error::ArrowError;

use super::{Visible, is_tidy, tidied};

/// Bits under NULL, and those beside the slice, become zero.
pub(super) fn boolean(array: &ArrayRef, visible: &Visible) -> ArrayRef {
    let values = array.as_boolean().values();
    let shown = match visible.mask() {
        None => values.clone(),
        Some(nulls) => values & nulls.inner(),
    };
    if !visible.changed && is_tidy(values) && shown == *values {
        return Arc::clone(array);
    }
    Arc::new(BooleanArray::new(tidied(&shown), visible.nulls.clone()))
}

/// Slots under NULL become zero.
pub(super) fn width(
    array: &ArrayRef,
    width: usize,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let Some(nulls) = visible.mask() else {
        // Without NULL an array of fixed width ends where its values end.
        return if visible.changed {
            rebuilt(array, width, visible, &[])
        } else {
            Ok(Arc::clone(array))
        };
    };
    let data = array.to_data();
    let bytes = values(&data, width);
    let hidden = !nulls.inner();
    let dirty: Vec<(usize, usize)> = hidden
        .set_slices()
        .map(|(start, end)| (start * width, end * width))
        .filter(|(start, end)| {
            bytes
                .get(*start..*end)
                .is_some_and(|slot| slot.iter().any(|byte| *byte != 0))
        })
        .collect();
    if dirty.is_empty() && !visible.changed {
        return Ok(Arc::clone(array));
    }
    rebuilt(array, width, visible, &dirty)
}

fn values(data: &ArrayData, width: usize) -> &[u8] {
    let start = data.offset() * width;
    let bytes = data
        .buffers()
        .first()
        .map(Buffer::as_slice)
        .unwrap_or_default();
    bytes
        .get(start..start + data.len() * width)
        .unwrap_or_default()
}

/// The array with its tidy bitmap and zeros in the given byte ranges.
fn rebuilt(
    array: &ArrayRef,
    width: usize,
    visible: &Visible,
    dirty: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data();
    let bytes = values(&data, width);
    let mut copy = MutableBuffer::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    for (start, end) in dirty {
        if let Some(slots) = copy.as_slice_mut().get_mut(*start..*end) {
            slots.fill(0);
        }
    }
    let data = ArrayData::builder(array.data_type().clone())
        .len(array.len())
        .add_buffer(copy.into())
        .nulls(visible.nulls.clone())
        .build()?;
    Ok(make_array(data))
}
