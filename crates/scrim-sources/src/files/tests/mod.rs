//! Tests of files of every kind, in every place.

mod evolution;
mod ipc;
mod listing;
mod pinned;
mod remote;
mod text;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::TryStreamExt;
use scrim_engine::{FaultKind, SourceFault};
use scrim_policy::{BadRows, FileFormat, FilePlace, FileServer};
use tempfile::TempDir;

use super::table::{FilesTable, OpenedFiles};
use super::{Environment, Fields, Files};
use crate::{SourceError, SourceSettings, Wanted, WantedColumn};

/// A folder with files, and what opens them.
struct Scratch {
    folder: TempDir,
    files: Files,
}

impl Scratch {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            files: Files::new(SourceSettings::default(), Environment::default()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn parquet(&self, name: &str, batch: &RecordBatch) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As careful writers do: the old file goes away as a whole.
        let new = self.path("new");
        let file = File::create(&new).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        fs::rename(new, path).unwrap();
    }

    async fn open(
        &self,
        path: &str,
        format: FileFormat,
        columns: Option<Vec<WantedColumn>>,
    ) -> Result<OpenedFiles, SourceError> {
        let server = FileServer {
            place: FilePlace::Local {
                path: path.to_owned(),
            },
            format,
        };
        let wanted = Wanted {
            table: path.to_owned(),
            columns,
        };
        let base = self.folder.path();
        let fields = Fields::new(None);
        self.files.open(&server, base, fields, &wanted).await
    }

    async fn table(
        &self,
        path: &str,
        format: FileFormat,
        columns: &[(&str, &str)],
    ) -> Arc<FilesTable> {
        let columns = columns.iter().map(|(name, kind)| column(name, kind));
        let columns = columns.collect::<Vec<_>>();
        let columns = (!columns.is_empty()).then_some(columns);
        self.open(path, format, columns).await.unwrap().table
    }
}

const PARQUET: FileFormat = FileFormat::Parquet;

fn csv(bad_rows: BadRows) -> FileFormat {
    FileFormat::Csv {
        delimiter: ',',
        bad_rows,
    }
}

fn json(bad_rows: BadRows) -> FileFormat {
    FileFormat::JsonLines { bad_rows }
}

/// A column: its name, and its logical type with the physical one behind a blank.
fn column(name: &str, kind: &str) -> WantedColumn {
    let (logical, physical) = kind.split_once(' ').unwrap_or((kind, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    WantedColumn {
        name: name.to_owned(),
        logical_type: some(logical),
        physical_type: some(physical),
        required: false,
        fields: Vec::new(),
        items: None,
    }
}

/// A session as the guards have it.
fn session() -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(2);
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .build()
}

async fn plan(
    table: &Arc<FilesTable>,
    columns: &[&str],
    filter: Option<Expr>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let source = provider_as_source(Arc::clone(table) as Arc<dyn TableProvider>);
    let mut plan = LogicalPlanBuilder::scan("t", source, None)?;
    if let Some(filter) = filter {
        plan = plan.filter(filter)?;
    }
    let columns = columns.iter().map(|name| datafusion::prelude::ident(*name));
    let plan = plan.project(columns)?.build()?;
    session().create_physical_plan(&plan).await
}

async fn run(plan: Arc<dyn ExecutionPlan>) -> Result<Vec<RecordBatch>, DataFusionError> {
    execute_stream(plan, session().task_ctx())?
        .try_collect()
        .await
}

/// The rows of a query, in order; values stand between bars.
async fn query(
    table: &Arc<FilesTable>,
    columns: &[&str],
    filter: Option<Expr>,
) -> Result<Vec<String>, DataFusionError> {
    let batches = run(plan(table, columns, filter).await?).await?;
    let mut rows: Vec<String> = batches.iter().flat_map(shown).collect();
    rows.sort();
    Ok(rows)
}

async fn all(table: &Arc<FilesTable>) -> Result<Vec<String>, DataFusionError> {
    let schema = table.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    query(table, &names, None).await
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let row = |row| {
        let values = columns.iter().map(|column| column.value(row).to_string());
        values.collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(row).collect()
}

fn types(table: &Arc<FilesTable>) -> Vec<String> {
    let field = |f: &Arc<Field>| {
        assert!(f.is_nullable(), "{f}");
        format!("{} {}", f.name(), f.data_type())
    };
    table.schema().fields().iter().map(field).collect()
}

/// The fault that a query failed with, and what it says.
fn fault<T: std::fmt::Debug>(result: Result<T, DataFusionError>) -> (FaultKind, String) {
    let error = result.unwrap_err();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<SourceFault>() {
            return (fault.kind(), fault.to_string());
        }
        next = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    panic!("no fault: {error:?}");
}
