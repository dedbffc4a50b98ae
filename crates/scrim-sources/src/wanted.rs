//! Which table, and which of its columns.

use scrim_policy::{ContractDocument, Property};

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
