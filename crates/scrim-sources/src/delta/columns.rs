//! The columns of a Delta table, as its log has them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use delta_kernel::engine::arrow_conversion::TryFromKernel as _;
use delta_kernel::schema::{DataType as DeltaType, StructField};
use delta_kernel::table_features::{ColumnMappingMode, TableFeature};
use delta_kernel::{KernelResult, Snapshot};

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its name in files and in the log's values.
    pub(super) physical: String,
    /// Its type; none if it is not read.
    pub(super) data_type: Option<DataType>,
    /// Whether its values stand in the log, one for each file.
    pub(super) is_partition: bool,
}

/// What must be understood to read a version right, and is not.
pub(super) fn not_understood(snapshot: &Snapshot) -> Option<String> {
    let table = snapshot.table_configuration();
    let features = table.protocol().reader_features().unwrap_or_default();
    if let Some(feature) = features.iter().find(|feature| !is_understood(feature)) {
        return Some(format!(
            "the table needs the reader feature `{feature}`, which is not understood here"
        ));
    }
    match table.column_mapping_mode() {
        ColumnMappingMode::None | ColumnMappingMode::Name => None,
        ColumnMappingMode::Id => Some(
            "the table finds its columns by id (delta.columnMapping.mode = id), which is not \
             understood here; write it with the mode `name`"
                .to_owned(),
        ),
    }
}

/// Features that mean something for readers, and are heeded here. A column of the type of
/// `variantType` is refused when it is wanted.
fn is_understood(feature: &TableFeature) -> bool {
    matches!(
        feature,
        TableFeature::ColumnMapping
            | TableFeature::DeletionVectors
            | TableFeature::TimestampWithoutTimezone
            | TableFeature::TypeWidening
            | TableFeature::TypeWideningPreview
            | TableFeature::V2Checkpoint
            | TableFeature::VacuumProtocolCheck
            | TableFeature::VariantType
            | TableFeature::VariantTypePreview
    )
}

/// The columns of a version, in its order.
pub(super) fn columns(snapshot: &Snapshot) -> Vec<Column> {
    let table = snapshot.table_configuration();
    let mode = table.column_mapping_mode();
    let partitions = table.logical_partition_columns();
    let schema = snapshot.schema();
    let column = |field: &StructField| {
        let is_partition = partitions.contains(field.name());
        let is_mapped = mode != ColumnMappingMode::None;
        Column {
            name: field.name().clone(),
            physical: field.physical_name(mode).to_owned(),
            data_type: read_as(field, is_partition, is_mapped),
            is_partition,
        }
    };
    schema.fields().map(column).collect()
}

/// The type that a column is read as; none if it is not read.
fn read_as(field: &StructField, is_partition: bool, is_mapped: bool) -> Option<DataType> {
    let data_type = arrow_type(field.data_type()).ok().flatten()?;
    // Fields inside a mapped column have names of their own, and the log writes bytes as text.
    let unread = (is_mapped && data_type.is_nested())
        || (is_partition && (data_type.is_nested() || data_type.is_binary()));
    (!unread).then_some(data_type)
}

fn arrow_type(delta: &DeltaType) -> KernelResult<Option<DataType>> {
    if has_variant(delta) {
        return Ok(None);
    }
    Ok(Some(loose(&DataType::try_from_kernel(delta)?)))
}

fn has_variant(delta: &DeltaType) -> bool {
    match delta {
        DeltaType::Primitive(_) => false,
        DeltaType::Array(array) => has_variant(array.element_type()),
        DeltaType::Struct(fields) => fields.fields().any(|field| has_variant(field.data_type())),
        DeltaType::Map(map) => has_variant(map.key_type()) || has_variant(map.value_type()),
        DeltaType::Variant(_) => true,
    }
}

/// The type with everything inside it nullable: a file may lack any field.
fn loose(data_type: &DataType) -> DataType {
    let field = |f: &FieldRef| Arc::new(Field::new(f.name(), loose(f.data_type()), true));
    match data_type {
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        // The entries of a map and its keys cannot be NULL.
        other => other.clone(),
    }
}
