//! Some rows of a table, for its owner at the keyboard.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use futures::StreamExt;
use scrim_policy::ServerKind;

use crate::files::Fields;
use crate::{SourceError, Sources, Wanted, postgres};

/// The owner's own look at rows, before there is any contract to decide who sees what.
///
/// It takes its [`Sources`] whole. A server shares the ones it has, so it cannot give them up: what
/// serves partners has no way to rows but through the engine's guards.
#[derive(Debug)]
pub struct Sampler {
    sources: Sources,
}

/// A table's columns, and some of its rows.
#[derive(Debug)]
pub struct Sample {
    /// The columns, in the order of the batches.
    pub columns: Vec<SampledColumn>,
    /// Rows from the beginning of the table and of its parts.
    pub batches: Vec<RecordBatch>,
    /// About how many rows the table has, if the source says so cheaply.
    pub rows: Option<u64>,
}

/// What a source says of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledColumn {
    /// The source's own name of it.
    pub name: String,
    /// Its type as it is read.
    pub data_type: DataType,
    /// What a contract says as its physical type, so that it is read as it was here; where the
    /// source has types of its own.
    pub declared: Option<String>,
    /// The same of the elements of a list.
    pub elements: Option<String>,
    /// The source's own type, where it is read as text because it has no other type here.
    pub printed: Option<String>,
    /// Whether the source promises a value in every row.
    pub required: bool,
    /// Its place in the primary key, from 1.
    pub key: Option<u32>,
}

impl Sampler {
    /// A sampler over sources that serve nothing else.
    pub fn new(sources: Sources) -> Self {
        Self { sources }
    }

    /// The columns of a table and at most so many rows. No error holds a value of the data.
    ///
    /// # Errors
    /// When the source cannot be reached, or its rows cannot be read.
    pub async fn sample(
        &self,
        kind: &ServerKind,
        credentials: Option<&str>,
        table: &str,
        rows_max: usize,
    ) -> Result<Sample, SourceError> {
        let credential = self.sources.credentials.of(credentials)?;
        let (table, columns, at, rows) = match kind {
            ServerKind::Files(files) => {
                let fields = Fields::new(credentials.zip(credential));
                let all = Wanted::all(table);
                let base = &self.sources.base;
                let opened = self.sources.files.table(files, base, fields, &all).await?;
                let columns = columns(&opened.table.schema());
                let table: Arc<dyn TableProvider> = opened.table;
                (table, columns, opened.shown, opened.rows)
            }
            ServerKind::Postgres(server) => {
                let found = postgres::describe(&self.sources, server, credential, table).await?;
                (found.table, found.columns, found.shown, found.rows)
            }
        };
        let batches = read(table, rows_max).await.map_err(|error| {
            let cause = cause(&error);
            SourceError::Unreadable { at, cause }
        })?;
        Ok(Sample {
            columns,
            batches,
            rows,
        })
    }
}

fn columns(schema: &Schema) -> Vec<SampledColumn> {
    let columns = schema.fields().iter().map(|field| SampledColumn {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        declared: None,
        elements: None,
        printed: None,
        required: !field.is_nullable(),
        key: None,
    });
    columns.collect()
}

/// Some rows of each part that the scan has, so that one file of many is not taken for all.
async fn read(
    table: Arc<dyn TableProvider>,
    rows_max: usize,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let session = SessionStateBuilder::new().build();
    let plan = table.scan(&session, None, &[], Some(rows_max)).await?;
    let parts = plan.properties().partitioning.partition_count();
    let share = rows_max.div_ceil(parts.max(1));
    let mut batches = Vec::new();
    for part in 0..parts {
        let mut left = share;
        let mut rows = plan.execute(part, session.task_ctx())?;
        while left > 0
            && let Some(batch) = rows.next().await
        {
            let batch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// What failed. A source's own fault tells no values; other errors might, and are told by their kind.
fn cause(error: &DataFusionError) -> String {
    let root = error.find_root();
    match root {
        DataFusionError::External(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ParquetError(_) => root.strip_backtrace(),
        _ => "its rows do not fit its columns".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use scrim_policy::{BadRows, FileFormat, FilePlace, FileServer};

    use super::*;
    use crate::{Credentials, SourceSettings};

    #[expect(clippy::disallowed_methods, reason = "it is what is tested")]
    fn sampler(folder: &tempfile::TempDir) -> Sampler {
        Sampler::new(Sources::new(
            folder.path().to_owned(),
            Credentials::default(),
            SourceSettings::default(),
        ))
    }

    fn csv(path: &str) -> ServerKind {
        ServerKind::Files(FileServer {
            place: FilePlace::Local {
                path: path.to_owned(),
            },
            format: FileFormat::Csv {
                delimiter: ',',
                bad_rows: BadRows::Fail,
            },
        })
    }

    #[tokio::test]
    async fn columns_and_some_rows() {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..500).map(|n| format!("{n},name {n}")).collect();
        let text = format!("id,name\n{}\n", lines.join("\n"));
        fs::write(folder.path().join("a.csv"), text).unwrap();
        let sample = sampler(&folder)
            .sample(&csv("a.csv"), None, "a", 100)
            .await
            .unwrap();
        let columns: Vec<_> = sample
            .columns
            .iter()
            .map(|c| (c.name.as_str(), &c.data_type))
            .collect();
        assert_eq!(
            columns,
            [("id", &DataType::Int64), ("name", &DataType::Utf8)]
        );
        let rows: usize = sample.batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 100);
    }

    #[tokio::test]
    async fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = sampler(&folder)
            .sample(&csv("no.csv"), None, "no", 100)
            .await
            .unwrap_err();
        assert!(matches!(error, SourceError::Missing(_)), "{error}");
    }
}
