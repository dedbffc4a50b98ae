//! Rows that somebody wrote down, as a table: what a policy test says in the place of a source.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use scrim_engine::RawTable;
use serde_json::{Map, Value};

use super::json::JsonRows;
use super::text::Rows;
use super::types::declared;
use crate::WantedColumn;

/// A row by the source's own names of its columns; a column that it lacks is NULL.
pub type FixtureRow = Map<String, Value>;

/// Why rows are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixtureError {
    /// A column has no type that rows could be read by.
    #[error("{0}")]
    Type(String),
    /// A value is not of its column's type.
    #[error("the value is no {data_type}")]
    Value {
        /// The row, from 0.
        row: usize,
        /// The source's own name of the column.
        column: String,
        /// The column's type.
        data_type: String,
    },
}

/// Makes a table of rows. Its columns are the wanted ones, each of the type that is declared for it;
/// values are read as those of JSON lines are.
///
/// # Errors
/// A column without a type, or the first value that does not fit.
pub fn fixture(
    wanted: &[WantedColumn],
    rows: &[FixtureRow],
    location: &str,
) -> Result<RawTable, FixtureError> {
    let fields: Vec<Field> = wanted.iter().map(field).collect::<Result<_, _>>()?;
    let schema = Arc::new(Schema::new(fields));
    let lines: Vec<Vec<u8>> = rows.iter().map(line).collect();
    let batch = if lines.is_empty() {
        RecordBatch::new_empty(Arc::clone(&schema))
    } else {
        let whole: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let decoded = JsonRows::new(Arc::clone(&schema)).decode(&whole);
        decoded.ok_or_else(|| misfit(&schema, &lines))?
    };
    let table = MemTable::try_new(schema, vec![vec![batch]]);
    let table = table.map_err(|error| FixtureError::Type(error.to_string()))?;
    Ok(RawTable::new(Arc::new(table), location))
}

fn field(column: &WantedColumn) -> Result<Field, FixtureError> {
    let declared = declared(column).map_err(FixtureError::Type)?;
    let data_type = declared.ok_or_else(|| {
        let name = &column.name;
        FixtureError::Type(format!("column `{name}` has no logicalType"))
    })?;
    Ok(Field::new(&column.name, data_type, true))
}

fn line(row: &FixtureRow) -> Vec<u8> {
    Value::Object(row.clone()).to_string().into_bytes()
}

/// The first value that is not of its column's type.
fn misfit(schema: &Schema, lines: &[Vec<u8>]) -> FixtureError {
    let misfits = |field: &Arc<Field>, line: &[u8]| {
        let alone = Arc::new(Schema::new(vec![Arc::clone(field)]));
        JsonRows::new(alone).decode(&[line]).is_none()
    };
    for (row, line) in lines.iter().enumerate() {
        if let Some(field) = schema.fields().iter().find(|field| misfits(field, line)) {
            return FixtureError::Value {
                row,
                column: field.name().clone(),
                data_type: in_words(field.data_type()),
            };
        }
    }
    FixtureError::Type("the rows do not fit together".to_owned())
}

fn in_words(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "true or false".to_owned(),
        DataType::Date32 => "date, like 2026-03-02".to_owned(),
        DataType::Timestamp(..) => "timestamp, like 2026-03-02T10:00:00Z".to_owned(),
        DataType::Time64(_) => "time, like 10:00:00".to_owned(),
        other if other.is_integer() => format!("whole number ({other})"),
        other if other.is_numeric() => format!("number ({other})"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn column(name: &str, logical: &str, physical: &str) -> WantedColumn {
        WantedColumn {
            name: name.to_owned(),
            logical_type: (!logical.is_empty()).then(|| logical.to_owned()),
            physical_type: (!physical.is_empty()).then(|| physical.to_owned()),
            required: false,
            fields: Vec::new(),
            items: None,
        }
    }

    fn row(value: Value) -> FixtureRow {
        match value {
            Value::Object(row) => row,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rows_have_the_declared_types_and_null_where_they_lack_a_column() {
        let columns = [
            column("id", "integer", ""),
            column("cost", "number", "DECIMAL(12,2)"),
            column("day", "date", ""),
        ];
        let rows = [
            row(json!({"id": "1", "cost": "2.50", "day": "2026-03-02"})),
            row(json!({"id": 2})),
        ];
        let table = fixture(&columns, &rows, "here").unwrap();
        let types: Vec<String> = table
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(types, ["Int64", "Decimal128(12, 2)", "Date32"]);
        assert!(fixture(&columns, &[], "here").is_ok());
    }

    #[test]
    fn what_does_not_fit_is_told_by_row_and_column() {
        let columns = [column("id", "integer", ""), column("day", "date", "")];
        let rows = [
            row(json!({"id": 1, "day": "2026-03-02"})),
            row(json!({"id": 2, "day": "soon"})),
        ];
        let error = fixture(&columns, &rows, "here").unwrap_err();
        let expected = FixtureError::Value {
            row: 1,
            column: "day".to_owned(),
            data_type: "date, like 2026-03-02".to_owned(),
        };
        assert_eq!(error, expected);
        let untyped = fixture(&[column("x", "", "")], &[], "here").unwrap_err();
        assert!(untyped.to_string().contains("no logicalType"), "{untyped}");
    }
}
