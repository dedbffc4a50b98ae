//! Tests over tables that other writers made, and over logs written by hand.

mod changes;
mod refused;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, ident};
use futures::TryStreamExt;
use scrim_engine::{FaultKind, SourceFault, Versioned};
use scrim_policy::{FileFormat, FilePlace, FileServer, TableVersion};
use serde_json::Value;
use tempfile::TempDir;

use crate::files::table::OpenedTable;
use crate::files::{Environment, Fields, Files};
use crate::{SourceError, SourceSettings, Wanted, WantedColumn};

/// The tables that `make.py` made.
fn made() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/delta")
}

/// A folder of a test's own.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A copy of a table that was made.
    fn of(name: &str) -> Self {
        let scratch = Self::new();
        copy(&made().join(name), scratch.path());
        scratch
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn log(&self, version: u64) -> PathBuf {
        self.path().join(format!("_delta_log/{version:020}.json"))
    }

    /// Writes a commit by hand: one action a line.
    fn commit(&self, version: u64, actions: &[&str]) {
        fs::create_dir_all(self.path().join("_delta_log")).unwrap();
        fs::write(self.log(version), actions.join("\n")).unwrap();
    }

    /// Replaces a text in a commit.
    fn edit(&self, version: u64, from: &str, to: &str) {
        let text = fs::read_to_string(self.log(version)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.log(version), text.replace(from, to)).unwrap();
    }

    async fn table(&self) -> Arc<dyn Versioned> {
        open(self.path(), TableVersion::Latest, None)
            .await
            .unwrap()
            .table
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn open(
    path: &Path,
    version: TableVersion,
    columns: Option<&[&str]>,
) -> Result<OpenedTable, SourceError> {
    let server = FileServer {
        place: FilePlace::Local {
            path: path.display().to_string(),
        },
        format: FileFormat::Delta(version),
    };
    let column = |name: &&str| WantedColumn {
        name: (*name).to_owned(),
        logical_type: None,
        physical_type: None,
        required: false,
        fields: Vec::new(),
        items: None,
    };
    let wanted = Wanted {
        table: "t".to_owned(),
        columns: columns.map(|columns| columns.iter().map(column).collect()),
    };
    let files = Files::new(SourceSettings::default(), Environment::default());
    files
        .table(&server, Path::new("/"), Fields::new(None), &wanted)
        .await
}

/// A session as the guards have it.
fn session() -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(2);
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.schema_force_view_types = false;
    parquet.pushdown_filters = true;
    let builder = SessionStateBuilder::new().with_config(config);
    builder.with_default_features().build()
}

type Plan = Arc<dyn ExecutionPlan>;

async fn plan(
    table: &Arc<dyn Versioned>,
    filter: Option<Expr>,
    columns: &[&str],
    limit: Option<usize>,
) -> Result<Plan, DataFusionError> {
    let source = provider_as_source(Arc::clone(table) as Arc<dyn TableProvider>);
    let mut plan = LogicalPlanBuilder::scan("t", source, None)?;
    if let Some(filter) = filter {
        plan = plan.filter(filter)?;
    }
    let plan = plan.project(columns.iter().map(|name| ident(*name)))?;
    let plan = plan.limit(0, limit)?.build()?;
    session()
        .create_physical_plan(&session().optimize(&plan)?)
        .await
}

async fn run(plan: Plan) -> Result<Vec<RecordBatch>, DataFusionError> {
    execute_stream(plan, session().task_ctx())?
        .try_collect()
        .await
}

/// The rows of a table as JSON, by their ids.
async fn rows(
    table: &Arc<dyn Versioned>,
    filter: Option<Expr>,
) -> Result<Vec<Value>, DataFusionError> {
    let schema = table.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let batches = run(plan(table, filter, &names, None).await?).await?;
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(&mut text);
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut rows: Vec<Value> = lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    rows.sort_by_key(id);
    Ok(rows)
}

fn id(row: &Value) -> i64 {
    row["id"].as_i64().unwrap()
}

async fn ids(table: &Arc<dyn Versioned>, filter: Option<Expr>) -> Vec<i64> {
    rows(table, filter).await.unwrap().iter().map(id).collect()
}

/// The fault that a query failed with, and what it says.
async fn fault(table: &Arc<dyn Versioned>) -> (FaultKind, String) {
    let error = rows(table, None).await.unwrap_err();
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
