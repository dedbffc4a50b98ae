//! Answers side by side, in 100 columns.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::render::text::{column, fit, printable, width, wrap};

/// Columns of the page.
pub(crate) const PAGE: usize = 100;
/// Between two columns.
const GAP: &str = " │ ";
/// Columns of the names in a record.
const NAME: usize = 16;
/// Columns of one person's values in a record: what is left over, by three.
const VALUE: usize = (PAGE - NAME - 9) / 3;
/// Columns of one person's table.
const PANEL: usize = (PAGE - 6) / 3;

/// What one person got.
#[derive(Debug)]
pub(crate) enum Got {
    /// Columns with their values.
    Rows(Vec<(String, Vec<String>)>),
    /// A refusal in the server's words.
    Refused(String),
}

impl Got {
    /// The values of a result as text, structs field by field.
    pub(crate) fn of(batches: &[RecordBatch], names: &[String]) -> Result<Self, ArrowError> {
        let mut columns: Vec<(String, Vec<String>)> = names
            .iter()
            .map(|name| (name.clone(), Vec::new()))
            .collect();
        for (index, batch) in batches.iter().enumerate() {
            let flat = flatten(batch)?;
            if index == 0 {
                columns = flat;
            } else {
                for (column, (_, more)) in columns.iter_mut().zip(flat) {
                    column.1.extend(more);
                }
            }
        }
        Ok(Self::Rows(columns))
    }

    fn rows(&self) -> usize {
        match self {
            Self::Rows(columns) => columns.first().map_or(0, |(_, values)| values.len()),
            Self::Refused(_) => 0,
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        match self {
            Self::Rows(columns) => {
                let (_, values) = columns.iter().find(|(column, _)| column == name)?;
                values.first().map(String::as_str)
            }
            Self::Refused(_) => None,
        }
    }
}

fn flatten(batch: &RecordBatch) -> Result<Vec<(String, Vec<String>)>, ArrowError> {
    let mut columns = Vec::new();
    let schema = batch.schema();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        match field.data_type() {
            DataType::Struct(_) => flatten_struct(field.name(), array, &mut columns)?,
            _ => columns.push((field.name().clone(), texts(array)?)),
        }
    }
    Ok(columns)
}

fn flatten_struct(
    name: &str,
    array: &ArrayRef,
    columns: &mut Vec<(String, Vec<String>)>,
) -> Result<(), ArrowError> {
    let parent = array.as_struct();
    for (field, child) in parent.fields().iter().zip(parent.columns()) {
        let mut values = texts(child)?;
        for (row, value) in values.iter_mut().enumerate() {
            if parent.is_null(row) {
                "null".clone_into(value);
            }
        }
        columns.push((format!("{name}.{}", field.name()), values));
    }
    Ok(())
}

fn texts(array: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    Ok(column(array, "null")?
        .iter()
        .map(|value| printable(value))
        .collect())
}

/// What three people got for one statement, as lines of the page.
pub(crate) fn side_by_side(heads: &[[String; 2]], got: &[Got]) -> Vec<String> {
    if got.iter().any(|got| got.rows() == 1) && got.iter().all(|got| got.rows() <= 1) {
        records(heads, got)
    } else {
        panels(heads, got)
    }
}

/// One row each: the columns under one another, the people beside one another.
fn records(heads: &[[String; 2]], got: &[Got]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in 0..2 {
        let cells = heads
            .iter()
            .map(|head| head.get(part).map_or("", String::as_str));
        lines.push(joined(
            std::iter::once(("", NAME)).chain(cells.map(|cell| (cell, VALUE))),
        ));
    }
    lines.push(rule(&[NAME, VALUE, VALUE, VALUE]));
    let mut names: Vec<&str> = Vec::new();
    for got in got {
        if let Got::Rows(columns) = got {
            for (name, _) in columns {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
    }
    for (index, name) in names.iter().enumerate() {
        let cells: Vec<String> = got
            .iter()
            .map(|got| match got {
                // a refusal is told over the rows, as far as they go
                Got::Refused(message) => {
                    wrap(message, VALUE).get(index).cloned().unwrap_or_default()
                }
                Got::Rows(_) => got.value(name).unwrap_or("·").to_owned(),
            })
            .collect();
        let cells = cells.iter().map(|cell| (cell.as_str(), VALUE));
        lines.push(joined(std::iter::once((*name, NAME)).chain(cells)));
    }
    lines
}

/// Several rows: one small table each.
fn panels(heads: &[[String; 2]], got: &[Got]) -> Vec<String> {
    let tables: Vec<Vec<String>> = got.iter().map(panel).collect();
    let mut lines = Vec::new();
    for part in 0..2 {
        let cells = heads
            .iter()
            .map(|head| head.get(part).map_or("", String::as_str));
        lines.push(joined(cells.map(|cell| (cell, PANEL))));
    }
    lines.push(rule(&[PANEL, PANEL, PANEL]));
    let height = tables.iter().map(Vec::len).max().unwrap_or_default();
    for index in 0..height {
        let cells = tables
            .iter()
            .map(|table| table.get(index).map_or("", String::as_str));
        lines.push(joined(cells.map(|cell| (cell, PANEL))));
    }
    lines
}

fn panel(got: &Got) -> Vec<String> {
    let columns = match got {
        Got::Refused(message) => return wrap(message, PANEL),
        Got::Rows(columns) => columns,
    };
    if got.rows() == 0 {
        return vec!["no rows".to_owned()];
    }
    let widths: Vec<usize> = columns
        .iter()
        .map(|(name, values)| {
            values
                .iter()
                .map(|value| width(value))
                .chain([width(name)])
                .max()
                .unwrap_or_default()
        })
        .collect();
    let right: Vec<bool> = columns
        .iter()
        .map(|(_, values)| {
            values
                .iter()
                .all(|value| value == "null" || is_amount(value))
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> = cells
            .iter()
            .zip(widths.iter().zip(&right))
            .map(|(cell, (width, right))| fit(cell, *width, *right))
            .collect();
        cells.join("  ")
    };
    let mut lines = vec![line(
        columns.iter().map(|(name, _)| name.as_str()).collect(),
    )];
    for row in 0..got.rows() {
        let cells = columns
            .iter()
            .map(|(_, values)| values.get(row).map_or("", String::as_str));
        lines.push(line(cells.collect()));
    }
    lines
}

fn is_amount(value: &str) -> bool {
    value.parse::<f64>().is_ok()
        && (!value.starts_with('0') || value.starts_with("0.") || value == "0")
}

fn joined<'a>(cells: impl Iterator<Item = (&'a str, usize)>) -> String {
    let cells: Vec<String> = cells.map(|(cell, width)| fit(cell, width, false)).collect();
    cells.join(GAP).trim_end().to_owned()
}

fn rule(widths: &[usize]) -> String {
    let parts: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    parts.join("─┼─")
}

#[cfg(test)]
mod tests {
    use super::{Got, PAGE, side_by_side};
    use crate::render::text::width;

    fn heads() -> Vec<[String; 2]> {
        ["a", "b", "c"]
            .map(|name| [name.to_owned(), "for x".to_owned()])
            .into()
    }

    fn got(columns: &[(&str, &[&str])]) -> Got {
        let columns = columns.iter().map(|(name, values)| {
            (
                (*name).to_owned(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        });
        Got::Rows(columns.collect())
    }

    #[test]
    fn one_row_is_shown_column_by_column() {
        let lines = side_by_side(
            &heads(),
            &[
                got(&[("x", &["1"]), ("y", &["2"])]),
                got(&[("x", &["9"])]),
                Got::Refused("no".into()),
            ],
        );
        assert!(lines.iter().all(|line| width(line) <= PAGE));
        let rows: Vec<Vec<&str>> = lines
            .iter()
            .skip(3)
            .map(|line| line.split('│').map(str::trim).collect())
            .collect();
        assert_eq!(rows, [vec!["x", "1", "9", "no"], vec!["y", "2", "·", ""]]);
    }

    #[test]
    fn several_rows_are_shown_as_tables() {
        let lines = side_by_side(
            &heads(),
            &[
                got(&[("x", &["1", "22"])]),
                got(&[("x", &[])]),
                got(&[("x", &["a"])]),
            ],
        );
        let rows: Vec<Vec<&str>> = lines
            .iter()
            .skip(3)
            .map(|line| line.split('│').map(str::trim).collect())
            .collect();
        assert_eq!(
            rows,
            [
                vec!["x", "no rows", "x"],
                vec!["1", "", "a"],
                vec!["22", "", ""]
            ]
        );
    }
}
