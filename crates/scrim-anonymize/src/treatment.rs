//! How one column is shown, down to its nested fields.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, StructArray,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use crate::bind::BoundMask;
use crate::error::MaskError;
use crate::keys::MaskKeys;
use crate::mask::Mask;
use crate::path::{PathStep, bad, format_path, type_at};

/// What is shown of a column or a nested field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Show<'a> {
    /// The values.
    Clear,
    /// What the mask makes of them.
    Masked(&'a Mask),
    /// NULL.
    Hidden,
}

/// The treatment of one column, ready for its arrays.
#[derive(Debug, Clone)]
pub struct BoundTreatment {
    node: Arc<Node>,
    source_type: DataType,
    data_type: DataType,
}

#[derive(Debug)]
enum Node {
    Clear,
    Hidden,
    Mask(BoundMask),
    Struct(Vec<Node>),
    List(Box<Node>),
}

type Override<'a> = (&'a [PathStep], Show<'a>);

impl BoundTreatment {
    /// Binds the column's own treatment and those of fields inside it. A nested treatment counts
    /// for what lies under its path, whatever stands above it.
    pub fn bind(
        column: &str,
        data_type: &DataType,
        root: Show<'_>,
        nested: &[(Vec<PathStep>, Show<'_>)],
        keys: &MaskKeys,
    ) -> Result<Self, MaskError> {
        for (index, (path, _)) in nested.iter().enumerate() {
            type_at(column, data_type, path)?;
            if path.is_empty()
                || nested
                    .iter()
                    .take(index)
                    .any(|(earlier, _)| earlier == path)
            {
                return Err(bad(&format_path(column, path), "is treated twice"));
            }
        }
        let overrides: Vec<Override<'_>> = nested
            .iter()
            .map(|(path, show)| (path.as_slice(), *show))
            .collect();
        let (node, shown) = build(column, data_type, root, &overrides, keys)?;
        Ok(Self {
            node: Arc::new(node),
            source_type: data_type.clone(),
            data_type: shown,
        })
    }

    /// The type of what [`Self::apply`] gives: the source's, in which nested fields that are not
    /// shown as they are may be NULL.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether every value is shown as it is.
    pub fn is_clear(&self) -> bool {
        matches!(*self.node, Node::Clear)
    }

    /// Whether every row is NULL.
    pub fn is_hidden(&self) -> bool {
        matches!(*self.node, Node::Hidden)
    }

    /// Treats an array of the column.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if array.data_type() != &self.source_type {
            return Err(ArrowError::InvalidArgumentError(format!(
                "a treatment of {} was given {}",
                self.source_type,
                array.data_type()
            )));
        }
        self.node.apply(array, &self.data_type)
    }
}

/// Builds the node of one level, and its type as it is shown.
fn build(
    path: &str,
    data_type: &DataType,
    inherited: Show<'_>,
    overrides: &[Override<'_>],
    keys: &MaskKeys,
) -> Result<(Node, DataType), MaskError> {
    let own = overrides.iter().find(|(steps, _)| steps.is_empty());
    let show = own.map_or(inherited, |(_, show)| *show);
    let deeper: Vec<Override<'_>> = overrides
        .iter()
        .filter(|(steps, _)| !steps.is_empty())
        .copied()
        .collect();
    if deeper.is_empty() {
        let node = match show {
            Show::Clear => Node::Clear,
            Show::Hidden => Node::Hidden,
            Show::Masked(mask) => Node::Mask(mask.bind(path, data_type, keys)?),
        };
        return Ok((node, data_type.clone()));
    }
    if matches!(show, Show::Masked(_)) {
        return Err(bad(
            path,
            "is masked as a whole and in parts; do one of the two",
        ));
    }
    match data_type {
        DataType::Struct(fields) => {
            let mut nodes = Vec::with_capacity(fields.len());
            let mut shown = Vec::with_capacity(fields.len());
            for field in fields {
                let step = PathStep::Field(field.name().clone());
                let (node, field) = build_child(path, field, show, (&step, &deeper), keys)?;
                nodes.push(node);
                shown.push(field);
            }
            Ok((Node::Struct(nodes), DataType::Struct(shown.into())))
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let (node, field) =
                build_child(path, field, show, (&PathStep::Element, &deeper), keys)?;
            let shown = match data_type {
                DataType::LargeList(_) => DataType::LargeList(field),
                DataType::FixedSizeList(_, size) => DataType::FixedSizeList(field, *size),
                _ => DataType::List(field),
            };
            Ok((Node::List(Box::new(node)), shown))
        }
        other => Err(bad(path, &format!("has nothing inside: it is {other}"))),
    }
}

fn build_child(
    path: &str,
    field: &FieldRef,
    inherited: Show<'_>,
    (step, overrides): (&PathStep, &[Override<'_>]),
    keys: &MaskKeys,
) -> Result<(Node, FieldRef), MaskError> {
    let below: Vec<Override<'_>> = overrides
        .iter()
        .filter_map(|(steps, show)| match steps.split_first() {
            Some((first, rest)) if first == step => Some((rest, *show)),
            _ => None,
        })
        .collect();
    let path = format_path(path, std::slice::from_ref(step));
    let (node, shown) = build(&path, field.data_type(), inherited, &below, keys)?;
    let field = match node {
        Node::Clear => Arc::clone(field),
        // A mask may give NULL where it cannot read a value, and hidden means NULL.
        Node::Hidden | Node::Mask(_) | Node::Struct(_) | Node::List(_) => {
            let field: &Field = field;
            Arc::new(field.clone().with_data_type(shown).with_nullable(true))
        }
    };
    Ok((node, field))
}

impl Node {
    fn apply(&self, array: &ArrayRef, shown: &DataType) -> Result<ArrayRef, ArrowError> {
        match (self, shown) {
            (Self::Clear, _) => Ok(Arc::clone(array)),
            // Made anew: a bitmap over the old values would leave them in the buffers.
            (Self::Hidden, _) => Ok(new_null_array(shown, array.len())),
            (Self::Mask(mask), _) => mask.apply(array),
            (Self::Struct(nodes), DataType::Struct(fields)) => {
                let source = array.as_struct();
                let columns = nodes
                    .iter()
                    .zip(source.columns())
                    .zip(fields)
                    .map(|((node, column), field)| node.apply(column, field.data_type()))
                    .collect::<Result<Vec<_>, _>>()?;
                let nulls = source.nulls().cloned();
                let length = source.len();
                let shown =
                    StructArray::try_new_with_length(fields.clone(), columns, nulls, length)?;
                Ok(Arc::new(shown))
            }
            (Self::List(node), DataType::List(field)) => list::<i32>(node, array, field),
            (Self::List(node), DataType::LargeList(field)) => list::<i64>(node, array, field),
            (Self::List(node), DataType::FixedSizeList(field, size)) => {
                let source = array.as_fixed_size_list();
                let values = node.apply(source.values(), field.data_type())?;
                let nulls = source.nulls().cloned();
                let (field, length) = (Arc::clone(field), source.len());
                let shown =
                    FixedSizeListArray::try_new_with_length(field, *size, values, nulls, length)?;
                Ok(Arc::new(shown))
            }
            (Self::Struct(_) | Self::List(_), other) => Err(ArrowError::InvalidArgumentError(
                format!("a nested treatment met {other}"),
            )),
        }
    }
}

/// Treats the elements that rows can show; those before and behind a slice are left out.
fn list<O: OffsetSizeTrait>(
    node: &Node,
    array: &ArrayRef,
    field: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let source: &GenericListArray<O> = array.as_list();
    let bounds = (
        source.offsets().first().copied(),
        source.offsets().last().copied(),
    );
    let (start, end) = (bounds.0.unwrap_or_default(), bounds.1.unwrap_or_default());
    let values = source
        .values()
        .slice(start.as_usize(), (end - start).as_usize());
    let values = node.apply(&values, field.data_type())?;
    let offsets = if start == O::zero() {
        source.offsets().clone()
    } else {
        OffsetBuffer::new(
            source
                .offsets()
                .iter()
                .map(|offset| *offset - start)
                .collect(),
        )
    };
    let nulls = source.nulls().cloned();
    Ok(Arc::new(GenericListArray::try_new(
        Arc::clone(field),
        offsets,
        values,
        nulls,
    )?))
}

#[cfg(test)]
mod tests;
