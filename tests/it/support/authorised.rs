//! The part of the data that a principal may see, worked out by hand: what every answer may depend
//! on, and nothing else.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::cell::Cell;
use super::data::Data;
use super::masks::{Place, Treat, show};
use super::personas::Persona;
use super::place::{Place as Where, Places};
use super::tables::Table;

/// A table as one principal sees it.
#[derive(Debug, Clone)]
pub(crate) struct Authorised {
    pub(crate) schema: SchemaRef,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Persona {
    /// What the principal may see of a table; `None` if it does not exist for it.
    pub(crate) fn authorised(self, table: Table, data: &Data) -> Option<Authorised> {
        let columns = self.columns(table, data.places);
        if columns.is_empty() {
            return None;
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|i| nullable(table.schema(data.places.of(table), false).field(*i)))
            .collect();
        let rows = data
            .rows(table)
            .iter()
            .filter_map(|row| {
                let admitted = self.admitted(table, row, data);
                if !admitted.contains(&true) {
                    return None;
                }
                Some(
                    columns
                        .iter()
                        .map(|i| self.cell(table, *i, row, &admitted))
                        .collect(),
                )
            })
            .collect();
        Some(Authorised {
            schema: Arc::new(Schema::new(fields)),
            rows,
        })
    }

    /// The columns that are not hidden by all matching profiles.
    pub(crate) fn columns(self, table: Table, places: Places) -> Vec<usize> {
        let schema = table.schema(places.of(table), false);
        (0..schema.fields().len())
            .filter(|i| {
                let name = schema.field(*i).name();
                self.profiles(table)
                    .iter()
                    .any(|profile| profile.treat(name) != Treat::Hidden)
            })
            .collect()
    }

    /// Which of the matching profiles admit a row.
    pub(crate) fn admitted(self, table: Table, row: &[Cell], data: &Data) -> Vec<bool> {
        self.profiles(table)
            .iter()
            .map(|profile| self.admits(*profile, row, &data.wards))
            .collect()
    }

    /// One value of a row, under the most open treatment of the profiles that admit the row.
    pub(crate) fn cell(self, table: Table, column: usize, row: &[Cell], admitted: &[bool]) -> Cell {
        // No mask makes anything else of a text that is kept in another way.
        let schema = table.schema(Where::Local, false);
        let field = schema.field(column);
        let treat = self
            .profiles(table)
            .iter()
            .zip(admitted)
            .filter(|(_, admits)| **admits)
            .map(|(profile, _)| profile.treat(field.name()))
            .min_by_key(|treat| treat.closedness())
            .unwrap_or(Treat::Hidden);
        let place = Place {
            contract: table.name(),
            recipient: self.recipient(),
            column: field.name(),
            data_type: field.data_type(),
        };
        show(treat, &row[column], place)
    }
}

fn nullable(field: &Field) -> Field {
    Field::new(field.name(), nullable_type(field.data_type()), true)
}

fn nullable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| nullable(f)).collect()),
        DataType::List(item) => DataType::List(Arc::new(nullable(item))),
        other => other.clone(),
    }
}
