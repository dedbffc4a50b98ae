//! Which table, and which of its columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use scrim_policy::{ContractDocument, Property};

use crate::files::types::declared;

/// The table and columns that a contract or a look-up asks of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The source's own name of the table.
    pub table: String,
    /// The columns, in order; all that the source has when there are none.
    pub columns: Option<Vec<WantedColumn>>,
}

/// A column that is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedColumn {
    /// The source's own name of it.
    pub name: String,
    /// The standard's logical type, if given.
    pub logical_type: Option<String>,
    /// The source's own type, as the owner wrote it.
    pub physical_type: Option<String>,
    /// Whether every row has it.
    pub required: bool,
    /// Fields, of an object.
    pub fields: Vec<WantedColumn>,
    /// The element, of an array.
    pub items: Option<Box<WantedColumn>>,
}

impl Wanted {
    /// All columns of a table.
    pub fn all(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            columns: None,
        }
    }
}

impl Wanted {
    /// The columns as they are declared, while the source itself cannot be asked; `None` when any
    /// has no type. Instants are as fine as any source's may be.
    pub fn declared(&self) -> Option<SchemaRef> {
        let fields = self.columns.as_ref()?.iter().map(|column| {
            let data_type = match declared(column).ok()?? {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone),
                other => other,
            };
            Some(Field::new(&column.name, data_type, true))
        });
        let fields: Option<Vec<_>> = fields.collect();
        Some(Arc::new(Schema::new(fields?)))
    }
}

impl From<&ContractDocument> for Wanted {
    fn from(contract: &ContractDocument) -> Self {
        let columns = contract.properties.iter().map(WantedColumn::from);
        Self {
            table: contract.physical_name.clone(),
            columns: Some(columns.collect()),
        }
    }
}

impl From<&Property> for WantedColumn {
    fn from(property: &Property) -> Self {
        Self {
            name: property.physical_name.clone(),
            logical_type: property.logical_type.clone(),
            physical_type: property.physical_type.clone(),
            required: property.required,
            fields: property.properties.iter().map(Self::from).collect(),
            items: property
                .items
                .as_ref()
                .map(|item| Box::new(Self::from(item.as_ref()))),
        }
    }
}
