//! Everything against a real PostgreSQL, over TLS that is checked.

mod connections;
mod parts;
mod scans;
mod schemas;
mod values;

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::TableProvider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::config::SessionConfig;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::Expr;
use futures::TryStreamExt;
use scrim_engine::{FaultKind, SourceFault};
use scrim_model::Secret;
use scrim_policy::{PostgresServer, PostgresTls};
use scrim_testkit::postgres::{Database, PASSWORD, Postgres, READER};

use super::look_up;
use super::scan::Batches;
use super::table::PgTable;
use crate::{Credential, Credentials, SourceError, SourceSettings, Sources, Wanted, WantedColumn};

/// A database and what reads it.
struct World {
    database: Database,
    sources: Sources,
    at: PostgresServer,
    credential: Credential,
}

impl World {
    fn new() -> Self {
        Self::with(SourceSettings::default())
    }

    fn with(settings: SourceSettings) -> Self {
        Self::on(&Postgres::shared(), settings)
    }

    fn on(server: &Arc<Postgres>, settings: SourceSettings) -> Self {
        let database = server.database();
        let at = PostgresServer {
            host: "localhost".to_owned(),
            port: server.port(),
            database: database.name().to_owned(),
            schema: "public".to_owned(),
            tls: PostgresTls::VerifyFull {
                ca: Some(server.authority().display().to_string()),
            },
        };
        Self {
            database,
            sources: sources(settings),
            at,
            credential: credential(READER, PASSWORD),
        }
    }

    /// A world in which these statements were run.
    fn of(sql: &str) -> Self {
        let world = Self::new();
        world.database.execute(sql);
        world
    }

    async fn open(&self, wanted: &Wanted) -> std::result::Result<PgTable, SourceError> {
        look_up(&self.sources, &self.at, Some(&self.credential), wanted).await
    }

    /// All columns of a table.
    async fn table(&self, name: &str) -> PgTable {
        self.open(&Wanted::all(name)).await.unwrap()
    }

    /// Waits until a query of the superuser's gives the value.
    async fn until(&self, sql: &str, value: &str) {
        let client = self.database.client().await;
        let waiting = async {
            loop {
                let row = client
                    .query_one(&format!("SELECT ({sql})::text"), &[])
                    .await
                    .unwrap();
                if row.get::<_, Option<String>>(0).as_deref() == Some(value) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(5);
        let waited = tokio::time::timeout(limit, waiting).await;
        assert!(waited.is_ok(), "{sql} did not become {value}");
    }
}

fn sources(settings: SourceSettings) -> Sources {
    Sources::new("/".into(), Credentials::default(), settings)
}

fn credential(user: &str, password: &str) -> Credential {
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    Credential::new([field("user", user), field("password", password)])
}

/// A column of which nothing but its physical type is said.
fn column(name: &str, physical_type: Option<&str>) -> WantedColumn {
    WantedColumn {
        name: name.to_owned(),
        logical_type: None,
        physical_type: physical_type.map(str::to_owned),
        required: false,
        fields: Vec::new(),
        items: None,
    }
}

fn wanted(table: &str, columns: &[(&str, Option<&str>)]) -> Wanted {
    let columns = columns
        .iter()
        .map(|(name, physical_type)| column(name, *physical_type));
    Wanted {
        table: table.to_owned(),
        columns: Some(columns.collect()),
    }
}

fn session() -> SessionState {
    SessionStateBuilder::new().build()
}

/// What is asked of a scan.
#[derive(Default)]
struct Ask<'a> {
    columns: Option<&'a [&'a str]>,
    filters: &'a [Expr],
    limit: Option<usize>,
}

async fn start(table: &PgTable, ask: &Ask<'_>) -> Batches {
    let schema = table.schema();
    let projection = ask.columns.map(|names| {
        let index = |name: &&str| schema.index_of(name).unwrap();
        names.iter().map(index).collect::<Vec<_>>()
    });
    let session = session();
    let plan = table
        .scan(&session, projection.as_ref(), ask.filters, ask.limit)
        .await
        .unwrap();
    plan.execute(0, session.task_ctx()).unwrap()
}

async fn scan(table: &PgTable, ask: &Ask<'_>) -> Result<RecordBatch> {
    let stream = start(table, ask).await;
    let schema = match ask.columns {
        Some([]) => Arc::new(Schema::empty()),
        _ => table.schema(),
    };
    let batches: Vec<_> = stream.try_collect().await?;
    match batches.first() {
        Some(first) => Ok(concat_batches(&first.schema(), &batches)?),
        None => Ok(RecordBatch::new_empty(schema)),
    }
}

async fn all(table: &PgTable) -> RecordBatch {
    scan(table, &Ask::default()).await.unwrap()
}

/// The values of a column as text.
fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let array = batch.column_by_name(column).unwrap();
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| formatter.value(row).to_string())
        .collect()
}

/// The fault that a scan ended with.
fn fault(error: DataFusionError) -> SourceFault {
    let DataFusionError::External(inner) = error else {
        panic!("not a fault: {error}");
    };
    *inner.downcast::<SourceFault>().unwrap()
}

#[track_caller]
fn assert_fault(error: DataFusionError, kind: FaultKind, cause: &str) {
    let fault = fault(error);
    assert_eq!(fault.kind(), kind, "{fault}");
    assert!(fault.to_string().contains(cause), "{fault}");
}

#[track_caller]
fn assert_refused<T>(opened: std::result::Result<T, SourceError>, cause: &str) {
    let Err(error) = opened else {
        panic!("it was opened, against `{cause}`");
    };
    assert!(error.to_string().contains(cause), "{error}");
}
