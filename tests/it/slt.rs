//! What SQL returns, as whom: the files of `tests/slt`, run against the engine over the demo world.
//!
//! Beside SQL a file may say who asks, which lasts until the next such statement:
//!
//! ```text
//! statement ok
//! AS rhea FOR 'research'
//!
//! statement ok
//! AS harbor-batch FOR 'operations' FROM '10.20.0.7' AT '2026-03-02T23:30:00Z' UNDER 'harbor-nightly'
//! ```
//!
//! A last line `BIND [1, "a"]` under a query gives its parameters. A cell that holds several lines,
//! as plans do, becomes several rows, with a dash for each space that a line is indented by.
//! `SCRIM_BLESS=1` writes down what is returned now; read the diff. Every file is also run, as it
//! stands, against the same tables in an object store and in a database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use scrim_engine::{Ask, Params};
use scrim_model::{Code, Refusal};
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Normalizer, Runner, default_normalizer,
    default_validator, strict_column_validator,
};

use crate::elsewhere::{Base, Store};
use crate::kit::{Local, Scratch};

macro_rules! files {
    ($($name:ident),+ $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($name)),+];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (name, world) = (stringify!($name), Scratch::demo());
                if std::env::var_os("SCRIM_BLESS").is_some() {
                    bless(name, &world).await;
                } else {
                    check(name, &world, default_normalizer).await;
                }
            }
        )+
    };
}

files!(
    access,
    columns_follow_row,
    explain,
    joins,
    limits,
    lookup,
    masks,
    metadata,
    nested,
    parameters,
    refusals,
    rows,
);

#[test]
fn every_file_is_run() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_says_the_same_of_an_object_store() {
    for name in FILES {
        let world = Scratch::demo();
        let store = Store::new(&world);
        for table in ["patients", "visits", "claims"] {
            store.take(&world, table);
        }
        store.take_entitlements(&world);
        check(name, &world, default_normalizer).await;
        assert!(!store.server.traffic().seen().is_empty());
    }
}

/// PostgreSQL has no structs, so that patients and visits stay in their files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_says_the_same_of_postgres() {
    // A type like the demo's is one way of files to keep texts.
    let plain = |text: &String| default_normalizer(text).replace("Dictionary(Int32, Utf8)", "Utf8");
    for name in FILES {
        let world = Scratch::demo();
        let base = Base::new(&world);
        base.take(&world, "claims");
        base.take_entitlements(&world);
        check(name, &world, plain).await;
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt")
}

async fn check(name: &str, world: &Scratch, normalizer: Normalizer) {
    let local = start(name, world).await;
    let mut runner = Runner::new(|| async { Ok(Database::new(&local)) });
    runner.with_column_validator(strict_column_validator);
    runner.with_normalizer(normalizer);
    let path = folder().join(format!("{name}.slt"));
    if let Err(error) = runner.run_file_async(&path).await {
        panic!("{}", error.display(false));
    }
    runner.shutdown_async().await;
}

async fn bless(name: &str, world: &Scratch) {
    let local = start(name, world).await;
    let mut runner = Runner::new(|| async { Ok(Database::new(&local)) });
    let updated = runner.update_test_file(
        folder().join(format!("{name}.slt")),
        " ",
        default_validator,
        default_normalizer,
        strict_column_validator,
    );
    updated.await.unwrap();
    runner.shutdown_async().await;
}

async fn start(name: &str, world: &Scratch) -> Arc<Local> {
    if name == "limits" {
        // the demo's own limits are far away
        let patients = "policies/contracts/patients.odcs.yaml";
        world.edit(
            patients,
            "limits: {max_rows: 50000, concurrent_queries: 4}",
            "limits: {max_rows: 10}",
        );
        world.edit(
            patients,
            "limits: {max_rows: 100000, concurrent_queries: 4}",
            "limits: {max_rows: 20}",
        );
        let claims = "policies/contracts/claims.odcs.yaml";
        world.edit(
            claims,
            "max_rows: 250000, max_bytes: 268435456",
            "max_bytes: 20000",
        );
    }
    Arc::new(Local::start(world).await)
}

struct Database {
    local: Arc<Local>,
    ask: Option<Ask>,
}

impl Database {
    fn new(local: &Arc<Local>) -> Self {
        Self {
            local: Arc::clone(local),
            ask: None,
        }
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        if let Some(persona) = sql.strip_prefix("AS ") {
            self.ask = Some(asker(&self.local, persona)?);
            return Ok(DBOutput::StatementComplete(0));
        }
        let ask = self
            .ask
            .as_ref()
            .ok_or_else(|| wrong("say `AS <persona> FOR '<purpose>'` first"))?;
        let (sql, params) = split_parameters(sql)?;
        let (schema, batches) = self.local.rows(ask, &sql, params).await?;
        let types = schema
            .fields()
            .iter()
            .map(|field| letter(field.data_type()))
            .collect();
        Ok(DBOutput::Rows {
            types,
            rows: batches.iter().flat_map(cells).collect(),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "scrim"
    }
}

fn wrong(message: &str) -> Refusal {
    Refusal::new(Code::RequestInvalid, message)
}

/// `rhea FOR 'research' FROM '10.1.2.3' AT '2026-03-02T23:30:00Z' UNDER 'an-agreement'`
fn asker(local: &Local, text: &str) -> Result<Ask, Refusal> {
    let mut words = text.split_whitespace();
    let mut ask = local.ask(words.next().unwrap_or_default(), None);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .map(|value| value.trim_matches('\'').to_owned());
        let value = value.ok_or_else(|| wrong("a word without its value"))?;
        match word {
            "FOR" => ask.settings.purpose = Some(value),
            "UNDER" => ask.settings.agreement = Some(value),
            "FROM" => local.place(&mut ask, &value),
            "AT" => ask.context.time = value.parse().map_err(|_| wrong("not an instant"))?,
            "IN" => ask.default_schema = Some(value),
            _ => return Err(wrong("expected FOR, FROM, AT, UNDER or IN")),
        }
    }
    Ok(ask)
}

fn split_parameters(sql: &str) -> Result<(String, Option<Params>), Refusal> {
    let Some((sql, list)) = sql.rsplit_once("\nBIND ") else {
        return Ok((sql.to_owned(), None));
    };
    let values: Vec<serde_json::Value> =
        serde_json::from_str(list).map_err(|_| wrong("not a JSON list"))?;
    Ok((sql.to_owned(), Some(values.iter().map(parameter).collect())))
}

fn parameter(value: &serde_json::Value) -> ScalarValue {
    match value {
        serde_json::Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        serde_json::Value::String(value) => ScalarValue::Utf8(Some(value.clone())),
        serde_json::Value::Number(value) => match value.as_i64() {
            Some(value) => ScalarValue::Int64(Some(value)),
            None => ScalarValue::Float64(value.as_f64()),
        },
        _ => ScalarValue::Null,
    }
}

fn letter(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DefaultColumnType::Text,
        DataType::Dictionary(_, values) => letter(values),
        other if other.is_integer() => DefaultColumnType::Integer,
        other if other.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Any,
    }
}

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            (
                column,
                ArrayFormatter::try_new(column.as_ref(), &options).unwrap(),
            )
        })
        .collect();
    (0..batch.num_rows())
        .flat_map(|row| {
            let texts = columns
                .iter()
                .map(|(column, format)| cell(column.as_ref(), format, row));
            lines(texts.collect())
        })
        .collect()
}

fn cell(column: &dyn Array, format: &ArrayFormatter<'_>, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let text = format.value(row).to_string();
    match text.as_str() {
        "" => "(empty)".to_owned(),
        // the last digits of a sum depend on the order of its rows
        number if column.data_type().is_floating() => number
            .parse::<f64>()
            .map_or(text.clone(), |number| format!("{number:.6}")),
        _ => text,
    }
}

fn lines(row: Vec<String>) -> Vec<Vec<String>> {
    if !row.iter().any(|text| text.contains('\n')) {
        return vec![row];
    }
    let mut rows = Vec::new();
    for text in row {
        for line in text.lines() {
            let bare = line.trim_start();
            rows.push(vec![format!(
                "{}{bare}",
                "-".repeat(line.len() - bare.len())
            )]);
        }
    }
    rows
}
