//! Comma-separated values, quoted as RFC 4180 says; NULL is nothing, an empty text is `""`.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::ArrayFormatter;

use super::{RenderError, text};

/// Writes CSV.
pub(crate) struct Csv {
    schema: SchemaRef,
    begun: bool,
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            begun: false,
        }
    }

    fn begin(&mut self, to: &mut dyn Write) -> Result<(), RenderError> {
        if !std::mem::replace(&mut self.begun, true) {
            let names: Vec<String> = self
                .schema
                .fields()
                .iter()
                .map(|f| quoted(f.name()))
                .collect();
            writeln!(to, "{}", names.join(","))?;
        }
        Ok(())
    }

    pub(super) fn batch(
        &mut self,
        batch: &RecordBatch,
        to: &mut dyn Write,
    ) -> Result<(), RenderError> {
        self.begin(to)?;
        let options = text::options("");
        let columns = batch.columns().iter().map(|column| text::in_utc(column));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let columns = columns
            .iter()
            .map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)))
            .collect::<Result<Vec<_>, RenderError>>()?;
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, (column, formatter)) in columns.iter().enumerate() {
                if index > 0 {
                    line.push(',');
                }
                if !column.is_null(row) {
                    line.push_str(&quoted(&formatter.value(row).try_to_string()?));
                }
            }
            writeln!(to, "{line}")?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, to: &mut dyn Write) -> Result<(), RenderError> {
        self.begin(to)
    }
}

fn quoted(value: &str) -> String {
    if value.is_empty() || value.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::Csv;

    #[test]
    fn null_and_empty_differ() {
        let values = StringArray::from(vec![Some("a,\"b\""), None, Some("")]);
        let batch = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap();
        let mut csv = Csv::new(&batch.schema());
        let mut out = Vec::new();
        csv.batch(&batch, &mut out).unwrap();
        csv.finish(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "x\n\"a,\"\"b\"\"\"\n\n\"\"\n"
        );
    }
}
