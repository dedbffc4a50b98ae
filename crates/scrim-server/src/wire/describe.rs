//! What a schema says about its columns beyond Arrow's types: the metadata of Flight SQL, and which
//! mask a column went through.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use scrim_engine::VisibleTable;
use scrim_model::CATALOG;

use super::schema::{WireTypes, wire_schema};
use super::sql_types::sql_type;

/// The key under which a masked column carries the name of its mask.
const MASK: &str = "scrim.mask";

/// What every column of a result says: the name of its type, precision and scale. Power BI
/// understands no column without.
pub(super) fn type_metadata(data_type: &DataType) -> HashMap<String, String> {
    let sql = sql_type(data_type);
    let entries = [
        ("TYPE_NAME", Some(sql.name.to_owned())),
        ("PRECISION", sql.precision.map(|n| n.to_string())),
        ("SCALE", sql.scale.map(|n| n.to_string())),
    ];
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((flight_key(key), value?)))
        .collect()
}

fn flight_key(key: &str) -> String {
    format!("ARROW:FLIGHT:SQL:{key}")
}

/// A wire schema that names the mask of each column that has one.
pub(crate) fn with_masks(schema: &SchemaRef, masks: &[Option<String>]) -> SchemaRef {
    if masks.iter().all(Option::is_none) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let mask = masks.get(index).cloned().flatten();
        with(field, mask.map(|name| (MASK.to_owned(), name)))
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The schema of a table for GetTables: that of its results, and where each column comes from. The
/// owner's remark stands only here: some drivers take it for a label when a result carries it.
pub(crate) fn table_schema(table: &VisibleTable, types: WireTypes) -> SchemaRef {
    let wire = wire_schema(&table.schema, types);
    let fields = wire.fields().iter().enumerate().map(|(index, field)| {
        let column = table.columns.get(index);
        let case_sensitive = sql_type(field.data_type()).case_sensitive;
        let flag = |set: bool| Some(if set { "1" } else { "0" }.to_owned());
        let entries = [
            ("CATALOG_NAME", Some(CATALOG.to_owned())),
            // The drivers' constant, and the specification's text.
            ("SCHEMA_NAME", Some(table.name.schema.clone())),
            ("DB_SCHEMA_NAME", Some(table.name.schema.clone())),
            ("TABLE_NAME", Some(table.name.table.clone())),
            (
                "REMARKS",
                column.and_then(|column| column.description.clone()),
            ),
            ("IS_READ_ONLY", flag(true)),
            ("IS_SEARCHABLE", flag(true)),
            ("IS_CASE_SENSITIVE", flag(case_sensitive)),
            ("IS_AUTO_INCREMENT", flag(false)),
        ];
        let mask = column.and_then(|column| column.mask.clone());
        let entries = entries
            .into_iter()
            .filter_map(|(key, value)| Some((flight_key(key), value?)));
        with(
            field,
            entries.chain(mask.map(|name| (MASK.to_owned(), name))),
        )
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

fn with(field: &FieldRef, more: impl IntoIterator<Item = (String, String)>) -> FieldRef {
    let mut metadata = field.metadata().clone();
    metadata.extend(more);
    Arc::new(Field::clone(field).with_metadata(metadata))
}
