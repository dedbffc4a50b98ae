//! Dictionaries and runs.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, DictionaryArray,
    PrimitiveArray, RunArray, UInt64Array, make_array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{filter, take};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, RunEndIndexType};
use arrow::error::ArrowError;

use super::{Visible, scrub};

/// Drops the values that no visible row points at.
pub(super) fn dictionary<K: ArrowDictionaryKeyType>(
    array: &ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let source: &DictionaryArray<K> = array.as_dictionary();
    let keys = source.keys().values();
    let rows = || keys.iter().enumerate();
    let mut used = BooleanBufferBuilder::new(source.values().len());
    used.append_n(source.values().len(), false);
    let mut zeroed = true;
    for (row, key) in rows() {
        if visible.is_valid(row) {
            used.set_bit(key.as_usize(), true);
        } else {
            zeroed &= *key == K::Native::default();
        }
    }
    let used = used.finish();
    let all_used = used.count_set_bits() == used.len();
    let kept = if all_used {
        Arc::clone(source.values())
    } else {
        filter(source.values(), &BooleanArray::new(used.clone(), None))?
    };
    let values = scrub(&kept, None)?;
    if all_used && zeroed && !visible.changed && Arc::ptr_eq(&values, source.values()) {
        return Ok(Arc::clone(array));
    }
    let mut places = vec![K::Native::default(); used.len()];
    for (new, old) in used.set_indices().enumerate() {
        if let (Some(place), Some(new)) = (places.get_mut(old), K::Native::from_usize(new)) {
            *place = new;
        }
    }
    let place = |row, key: &K::Native| {
        let place = places.get(key.as_usize()).filter(|_| visible.is_valid(row));
        place.copied().unwrap_or_default()
    };
    let keys: ScalarBuffer<K::Native> = rows().map(|(row, key)| place(row, key)).collect();
    let keys = PrimitiveArray::<K>::try_new(keys, visible.nulls.clone())?;
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// Drops the runs beside the slice, and ends a run where rows become hidden.
pub(super) fn runs<R: RunEndIndexType>(
    array: &ArrayRef,
    hidden: Option<&NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let Some(source) = array.as_any().downcast_ref::<RunArray<R>>() else {
        return Err(ArrowError::InvalidArgumentError(
            "an unknown run-end type".to_owned(),
        ));
    };
    if let Some(hidden) = hidden.filter(|hidden| hidden.null_count() > 0) {
        return hidden_runs(array, source, hidden);
    }
    let ends = source.run_ends();
    let whole = ends.offset() == 0
        && ends.values().len() == source.values().len()
        && ends
            .values()
            .last()
            .is_none_or(|end| end.as_usize() == source.len());
    if whole {
        let values = scrub(source.values(), None)?;
        if Arc::ptr_eq(&values, source.values()) {
            return Ok(Arc::clone(array));
        }
        return Ok(Arc::new(source.with_values(values)));
    }
    let kept: ScalarBuffer<R::Native> = ends.sliced_values().collect();
    rebuilt::<R>(array, kept, &scrub(&source.values_slice(), None)?)
}

/// Rows that are hidden become runs of NULL.
fn hidden_runs<R: RunEndIndexType>(
    array: &ArrayRef,
    source: &RunArray<R>,
    hidden: &NullBuffer,
) -> Result<ArrayRef, ArrowError> {
    let mut ends: Vec<R::Native> = Vec::new();
    let mut runs: Vec<Option<u64>> = Vec::new();
    let first = source.get_start_physical_index();
    let mut run = 0;
    let mut run_ends = source
        .run_ends()
        .sliced_values()
        .map(ArrowNativeType::as_usize)
        .peekable();
    for row in 0..source.len() {
        while run_ends.next_if(|end| *end <= row).is_some() {
            run += 1;
        }
        let shown = hidden.is_valid(row).then_some((first + run) as u64);
        let end = R::Native::from_usize(row + 1);
        let end = end.ok_or(ArrowError::OffsetOverflowError(row + 1))?;
        if let Some(last) = ends.last_mut().filter(|_| runs.last() == Some(&shown)) {
            *last = end;
        } else {
            ends.push(end);
            runs.push(shown);
        }
    }
    let runs = UInt64Array::from(runs);
    let values = take(source.values(), &runs, None)?;
    rebuilt::<R>(array, ends.into(), &scrub(&values, runs.nulls())?)
}

/// A run array of the same type; the names of its fields are part of the type.
fn rebuilt<R: RunEndIndexType>(
    array: &ArrayRef,
    ends: ScalarBuffer<R::Native>,
    values: &ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let ends = PrimitiveArray::<R>::try_new(ends, None)?;
    let data = ArrayData::builder(array.data_type().clone())
        .len(array.len())
        .add_child_data(ends.to_data())
        .add_child_data(values.to_data())
        .build()?;
    Ok(make_array(data))
}
