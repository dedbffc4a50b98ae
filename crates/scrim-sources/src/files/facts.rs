//! What a file tells of itself before it is read.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Fields};

use super::widen::bare;

/// The columns of a file, and its rows if it counts them.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) columns: Fields,
    pub(super) rows: Option<u64>,
}

impl Facts {
    pub(super) fn new(columns: &Fields, rows: Option<u64>) -> Self {
        let plain = columns.iter().map(|field| {
            let data_type = bare(field.data_type());
            Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
        });
        Self {
            columns: plain.collect(),
            rows,
        }
    }
}
