//! Columns side by side.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{RenderError, text};

/// Rows that are looked at to find how wide the columns are; later rows keep those widths.
const ROWS_MEASURED: usize = 1_000;
/// No column is wider than this.
const WIDTH_MAX: usize = 60;

/// Writes a table while it streams in.
pub(crate) struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl Table {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            names: schema
                .fields()
                .iter()
                .map(|field| text::printable(field.name()))
                .collect(),
            right: schema
                .fields()
                .iter()
                .map(|field| field.data_type().is_numeric())
                .collect(),
            waiting: Vec::new(),
            widths: None,
            rows: 0,
        }
    }

    pub(super) fn batch(
        &mut self,
        batch: &RecordBatch,
        to: &mut dyn Write,
    ) -> Result<(), RenderError> {
        self.rows += batch.num_rows() as u64;
        let mut columns = batch
            .columns()
            .iter()
            .map(|column| Ok(text::column(column, "null")?.into_iter()))
            .collect::<Result<Vec<_>, RenderError>>()?;
        for _ in 0..batch.num_rows() {
            let row = columns
                .iter_mut()
                .map(|values| {
                    values
                        .next()
                        .map(|value| text::printable(&value))
                        .unwrap_or_default()
                })
                .collect();
            self.waiting.push(row);
        }
        if self.widths.is_some() || self.waiting.len() >= ROWS_MEASURED {
            self.write(to)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, to: &mut dyn Write) -> Result<(), RenderError> {
        self.write(to)?;
        let rows = if self.rows == 1 { "row" } else { "rows" };
        Ok(writeln!(to, "({} {rows})", self.rows)?)
    }

    fn write(&mut self, to: &mut dyn Write) -> Result<(), RenderError> {
        let widths = if let Some(widths) = self.widths.take() {
            widths
        } else {
            let widths = measure(&self.names, &self.waiting);
            let names: Vec<String> = self
                .names
                .iter()
                .zip(&widths)
                .map(|(name, width)| text::fit(name, *width, false))
                .collect();
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            writeln!(to, " {}", names.join(" │ ").trim_end())?;
            writeln!(to, "─{}─", rules.join("─┼─"))?;
            widths
        };
        for row in self.waiting.drain(..) {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .zip(&self.right)
                .map(|((value, width), right)| text::fit(value, *width, *right))
                .collect();
            writeln!(to, " {}", cells.join(" │ ").trim_end())?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

fn measure(names: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = names.iter().map(|name| text::width(name)).collect();
    for row in rows {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = (*width).max(text::width(value));
        }
    }
    widths.iter().map(|width| (*width).min(WIDTH_MAX)).collect()
}
