//! Drafts of contracts: a table as it is, its likely identifiers tagged, and nothing shown to
//! anybody.

mod columns;
mod identify;
mod server;
pub(crate) mod source;
mod types;
mod write;
mod yaml;

use arrow::error::ArrowError;
use scrim_sources::Sample;

use columns::{Column, columns, plain_name};
use identify::thousands;
use server::Entry;
use source::Source;

/// Everything that a draft is made of.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) source: &'a Source,
    /// The environment whose server reads from the source.
    pub(crate) environment: Option<&'a str>,
    /// The name of the source's credentials.
    pub(crate) credentials: Option<&'a str>,
    pub(crate) sample: &'a Sample,
}

impl Draft<'_> {
    /// The contract, in YAML.
    ///
    /// # Errors
    /// When the sample's batches do not fit together.
    pub(crate) fn write(&self) -> Result<String, ArrowError> {
        let columns = columns(self.sample)?;
        let entry = Entry::of(&self.source.kind, self.environment, self.credentials);
        let table = plain_name(&self.source.table);
        Ok(write::contract(
            &table,
            &self.source.table,
            &self.looked_at(),
            &entry,
            &columns,
        ))
    }

    /// How many rows were looked at, in words.
    fn looked_at(&self) -> String {
        let rows: usize = self
            .sample
            .batches
            .iter()
            .map(arrow::array::RecordBatch::num_rows)
            .sum();
        let of = match self.sample.rows.and_then(|rows| usize::try_from(rows).ok()) {
            Some(all) if all > rows => format!(" of about {}", thousands(all)),
            _ => String::new(),
        };
        format!("{}{of} rows were looked at", thousands(rows))
    }
}

#[cfg(test)]
mod tests;
