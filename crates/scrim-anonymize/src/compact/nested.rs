//! Arrays that hold arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, FixedSizeListArray,
    GenericListArray, GenericListViewArray, OffsetSizeTrait, StructArray, UInt32Array, UInt64Array,
    UnionArray, make_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{filter, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::bytes::{ends, rebased, shown_lengths};
use super::{Visible, scrub};

/// What lies under a NULL struct is hidden in every child.
pub(super) fn structure(array: &ArrayRef, visible: &Visible) -> Result<ArrayRef, ArrowError> {
    let source = array.as_struct();
    let columns: Vec<ArrayRef> = source
        .columns()
        .iter()
        .map(|column| scrub(column, visible.mask()))
        .collect::<Result<_, _>>()?;
    let same = columns
        .iter()
        .zip(source.columns())
        .all(|(new, old)| Arc::ptr_eq(new, old));
    if same && !visible.changed {
        return Ok(Arc::clone(array));
    }
    let (fields, nulls) = (source.fields().clone(), visible.nulls.clone());
    Ok(Arc::new(StructArray::try_new_with_length(
        fields,
        columns,
        nulls,
        source.len(),
    )?))
}

/// Drops the elements of NULL lists and those beside the slice.
pub(super) fn list<O: OffsetSizeTrait>(
    array: &ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let source: &GenericListArray<O> = array.as_list();
    let Some((offsets, values)) = elements(source.offsets(), source.values(), visible)? else {
        return Ok(Arc::clone(array));
    };
    let (DataType::List(field) | DataType::LargeList(field)) = array.data_type() else {
        return Err(ArrowError::InvalidArgumentError(
            "a list of no list type".to_owned(),
        ));
    };
    let nulls = visible.nulls.clone();
    Ok(Arc::new(GenericListArray::try_new(
        Arc::clone(field),
        offsets,
        values,
        nulls,
    )?))
}

/// A map is a list of its entries.
pub(super) fn map(array: &ArrayRef, visible: &Visible) -> Result<ArrayRef, ArrowError> {
    let source = array.as_map();
    let entries: ArrayRef = Arc::new(source.entries().clone());
    let Some((offsets, entries)) = elements(source.offsets(), &entries, visible)? else {
        return Ok(Arc::clone(array));
    };
    let data = array
        .to_data()
        .into_builder()
        .offset(0)
        .len(array.len())
        .nulls(visible.nulls.clone())
        .buffers(vec![offsets.into_inner().into_inner()])
        .child_data(vec![entries.to_data()])
        .build()?;
    Ok(make_array(data))
}

/// The compact offsets and elements of a list, or `None` when there is nothing to do.
fn elements<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    values: &ArrayRef,
    visible: &Visible,
) -> Result<Option<(OffsetBuffer<O>, ArrayRef)>, ArrowError> {
    let (first, last) = ends(offsets);
    let null_elements = offsets.has_non_empty_nulls(visible.mask());
    let whole = first == 0 && last == values.len();
    if whole && !null_elements {
        let shown = scrub(values, None)?;
        let same = Arc::ptr_eq(&shown, values) && !visible.changed;
        return Ok((!same).then(|| (offsets.clone(), shown)));
    }
    let near = values.slice(first, last - first);
    if !null_elements {
        return Ok(Some((rebased(offsets), scrub(&near, None)?)));
    }
    let mut kept = BooleanBufferBuilder::new(near.len());
    for (row, length) in offsets.lengths().enumerate() {
        kept.append_n(length, visible.is_valid(row));
    }
    let kept = filter(&near, &BooleanArray::new(kept.finish(), None))?;
    Ok(Some((shown_lengths(offsets, visible), scrub(&kept, None)?)))
}

/// The elements of a NULL list stay in their places, and are hidden there.
pub(super) fn fixed_size_list(array: &ArrayRef, visible: &Visible) -> Result<ArrayRef, ArrowError> {
    let source = array.as_fixed_size_list();
    let DataType::FixedSizeList(field, size) = array.data_type() else {
        return Err(ArrowError::InvalidArgumentError(
            "a list of no list type".to_owned(),
        ));
    };
    let width = usize::try_from(*size).unwrap_or(0);
    let hidden = visible.mask().map(|nulls| nulls.expand(width));
    let whole = source.values().len() == source.len() * width;
    let near = if whole {
        Arc::clone(source.values())
    } else {
        source.values().slice(0, source.len() * width)
    };
    let values = scrub(&near, hidden.as_ref())?;
    if Arc::ptr_eq(&values, source.values()) && !visible.changed {
        return Ok(Arc::clone(array));
    }
    let (field, nulls, length) = (Arc::clone(field), visible.nulls.clone(), source.len());
    let list = FixedSizeListArray::try_new_with_length(field, *size, values, nulls, length)?;
    Ok(Arc::new(list))
}

/// Puts the elements of the visible lists one behind the other.
pub(super) fn list_view<O: OffsetSizeTrait>(
    array: &ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let source: &GenericListViewArray<O> = array.as_list_view();
    let (DataType::ListView(field) | DataType::LargeListView(field)) = array.data_type() else {
        return Err(ArrowError::InvalidArgumentError(
            "a list of no list type".to_owned(),
        ));
    };
    let rows = || source.offsets().iter().zip(source.sizes()).enumerate();
    let mut end = 0;
    let in_order = rows().all(|(row, (offset, size))| {
        let follows = offset.as_usize() == end && (visible.is_valid(row) || size.is_zero());
        end += size.as_usize();
        follows
    });
    if in_order && end == source.values().len() {
        let values = scrub(source.values(), None)?;
        if Arc::ptr_eq(&values, source.values()) && !visible.changed {
            return Ok(Arc::clone(array));
        }
        let (offsets, sizes) = (source.offsets().clone(), source.sizes().clone());
        return view_of(field, offsets, sizes, values, visible);
    }
    let mut picked: Vec<u64> = Vec::new();
    let mut offsets: Vec<O> = Vec::with_capacity(source.len());
    let mut sizes: Vec<O> = Vec::with_capacity(source.len());
    for (row, (offset, size)) in rows() {
        let start = O::from_usize(picked.len());
        offsets.push(start.ok_or(ArrowError::OffsetOverflowError(picked.len()))?);
        let size = if visible.is_valid(row) {
            *size
        } else {
            O::zero()
        };
        sizes.push(size);
        let offset = offset.as_usize() as u64;
        picked.extend(offset..offset + size.as_usize() as u64);
    }
    let values = take(source.values(), &UInt64Array::from(picked), None)?;
    view_of(
        field,
        offsets.into(),
        sizes.into(),
        scrub(&values, None)?,
        visible,
    )
}

fn view_of<O: OffsetSizeTrait>(
    field: &arrow::datatypes::FieldRef,
    offsets: ScalarBuffer<O>,
    sizes: ScalarBuffer<O>,
    values: ArrayRef,
    visible: &Visible,
) -> Result<ArrayRef, ArrowError> {
    let (field, nulls) = (Arc::clone(field), visible.nulls.clone());
    Ok(Arc::new(GenericListViewArray::try_new(
        field, offsets, sizes, values, nulls,
    )?))
}

/// A union has no bitmap of its own: a hidden row becomes a NULL of the first member.
pub(super) fn union(array: &ArrayRef, hidden: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let source = array.as_union();
    let hidden = hidden.filter(|hidden| hidden.null_count() > 0);
    let first = source.fields().iter().next().map_or(0, |(id, _)| id);
    let shown = |row: usize| hidden.is_none_or(|hidden| hidden.is_valid(row));
    let ids: ScalarBuffer<i8> = if hidden.is_none() {
        source.type_ids().clone()
    } else {
        let ids = source.type_ids().iter().enumerate();
        ids.map(|(row, id)| if shown(row) { *id } else { first })
            .collect()
    };
    let (children, offsets) = match source.offsets() {
        None => (sparse(source, &ids, shown)?, None),
        Some(offsets) => {
            let (children, offsets) = dense(source, &ids, offsets, shown)?;
            (children, Some(offsets))
        }
    };
    let same = source
        .fields()
        .iter()
        .zip(&children)
        .all(|((id, _), child)| Arc::ptr_eq(source.child(id), child));
    if same && ids == *source.type_ids() && offsets.as_ref() == source.offsets() {
        return Ok(Arc::clone(array));
    }
    let fields = source.fields().clone();
    Ok(Arc::new(UnionArray::try_new(
        fields, ids, offsets, children,
    )?))
}

/// Every member has a slot for every row; those that a row does not use are hidden.
fn sparse(
    source: &UnionArray,
    ids: &ScalarBuffer<i8>,
    shown: impl Fn(usize) -> bool,
) -> Result<Vec<ArrayRef>, ArrowError> {
    source
        .fields()
        .iter()
        .map(|(id, _)| {
            let used = BooleanBuffer::collect_bool(ids.len(), |row| {
                ids.get(row) == Some(&id) && shown(row)
            });
            scrub(source.child(id), Some(&NullBuffer::new(used)))
        })
        .collect()
}

/// Every member has the slots that rows use, in their order.
fn dense(
    source: &UnionArray,
    ids: &ScalarBuffer<i8>,
    offsets: &ScalarBuffer<i32>,
    shown: impl Fn(usize) -> bool,
) -> Result<(Vec<ArrayRef>, ScalarBuffer<i32>), ArrowError> {
    let mut placed = vec![0_i32; ids.len()];
    let mut children = Vec::with_capacity(source.fields().len());
    for (id, _) in source.fields().iter() {
        let mut picked: Vec<Option<u32>> = Vec::new();
        let rows = ids.iter().zip(offsets).zip(&mut placed).enumerate();
        for (row, ((_, offset), place)) in rows.filter(|(_, ((row_id, _), _))| **row_id == id) {
            *place = picked.len() as i32;
            picked.push(shown(row).then_some(offset.cast_unsigned()));
        }
        let child = source.child(id);
        let in_order = picked.len() == child.len()
            && picked
                .iter()
                .zip(0..)
                .all(|(picked, place)| *picked == Some(place));
        children.push(if in_order {
            scrub(child, None)?
        } else {
            // Not every type takes a NULL index for NULL, so the rows are hidden as well.
            let picked = UInt32Array::from(picked);
            scrub(&take(child, &picked, None)?, picked.nulls())?
        });
    }
    Ok((children, placed.into()))
}
