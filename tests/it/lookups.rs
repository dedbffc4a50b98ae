//! Look-up tables of row rules: literals or a join, always in one state for a query, and never
//! older than they may be.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, SchemaRef};
use async_trait::async_trait;
use chrono::TimeDelta;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::ArrowWriter;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scrim_engine::{LookupTable, RawTable, Versioned};
use scrim_ledger::Outcome;
use scrim_model::Code;
use scrim_policy::{FileFormat, FilePlace, FileServer, ServerKind};
use scrim_sources::{Credentials, SourceSettings, Sources, Wanted};

use crate::kit::{Local, Scratch, load_policies};
use crate::support::data::Data;
use crate::support::observe::observe;
use crate::support::personas::Persona;
use crate::support::place::Places;
use crate::support::plain;
use crate::support::recording::{Claim, Record};
use crate::support::scene::Scene;
use crate::support::tables::Table;

/// The wards of a partner, many or few; only few are literals, and the answer is the same.
#[tokio::test]
async fn inv_06_a_look_up_of_any_size_shows_the_same_rows() {
    for persona in [Persona::Ana, Persona::Cyd] {
        let mut rng = ChaCha8Rng::seed_from_u64(620);
        let mut data = Data::base(Places::LOCAL, &mut rng).variant(persona, &mut rng);
        for (junk, literals) in [(997, true), (998, false)] {
            // three wards are there already; one has no name, and is no ward of anything
            let wards = (0..junk).map(|n| ("acme".to_owned(), format!("X{n}")));
            data.wards.retain(|(_, ward)| !ward.starts_with('X'));
            data.wards.extend(wards);
            data.wards.push(("acme".to_owned(), String::new()));
            let record = Record::default();
            let tables = |table| Some(record.table(table, &data, Claim::Exact));
            let recorded = Scene::over(&data, &tables).await;
            let files = Scene::over(&data, &|_| None).await;
            let copy = plain::session(&data, persona);
            for sql in [
                "SELECT vid, ward, doctor IS NULL AS d FROM clinic.visits",
                "SELECT count(*) FROM clinic.visits WHERE ward NOT IN ('W1')",
                "SELECT v.vid FROM clinic.visits v JOIN clinic.people p ON v.person = p.id",
            ] {
                let theirs = plain::answer(&copy, sql).await.unwrap();
                for scene in [&recorded, &files] {
                    let ours = observe(&scene.engine, &scene.ask(persona), sql).await;
                    let Ok(answer) = &ours.answer else {
                        panic!("{sql}: {ours}");
                    };
                    assert_eq!(answer.rows(false), theirs.rows(false), "{sql}: {ours}");
                }
            }
            let asked = record.asked();
            let visits = asked.iter().filter(|asked| asked.table == Table::Visits);
            for asked in visits {
                let list = asked.filters.iter().any(|f| {
                    matches!(f, Expr::InList(list) if !list.negated && list.list.len() == 1_000)
                });
                assert_eq!(list, literals, "{asked:?}");
                // a long list prunes by its bounds
                let texts: Vec<String> = asked.filters.iter().map(ToString::to_string).collect();
                let bound = |op: &str| texts.iter().any(|text| text.contains(op));
                assert_eq!(bound(">=") && bound("<="), literals, "{texts:?}");
            }
        }
    }
}

/// A look-up table that is whole and empty by turns.
#[derive(Debug)]
struct Turning {
    whole: MemTable,
    reads: AtomicUsize,
}

#[async_trait]
impl TableProvider for Turning {
    fn schema(&self) -> SchemaRef {
        self.whole.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.reads.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return self.whole.scan(session, projection, filters, limit).await;
        }
        let empty = MemTable::try_new(self.schema(), vec![Vec::new()])?;
        empty.scan(session, projection, filters, limit).await
    }
}

#[async_trait]
impl Versioned for Turning {
    async fn version(&self, _: &dyn Session) -> Result<String> {
        Ok(self.reads.load(Ordering::SeqCst).to_string())
    }
}

fn entitlements(rows: &[(&str, &str)]) -> RecordBatch {
    let column = |pick: &dyn Fn(&(&str, &str)) -> String| -> Arc<dyn arrow::array::Array> {
        Arc::new(StringArray::from_iter_values(rows.iter().map(pick)))
    };
    RecordBatch::try_from_iter([
        ("partner", column(&|row| row.0.to_owned())),
        ("region", column(&|row| row.1.to_owned())),
    ])
    .unwrap()
}

/// The demo world with another look-up table.
async fn with_lookup(world: &Scratch, lookup: LookupTable) -> Local {
    let local = Local::start(world).await;
    let loaded = load_policies(&local.config, &local.engine).await;
    let mut served = loaded.unwrap_or_else(|problems| panic!("{problems}")).world;
    served
        .lookups
        .insert("entitlements".to_owned(), Arc::new(lookup));
    local.engine.load(served);
    local
}

async fn counts(local: &Local, id: &str, sql: &str) -> Vec<i64> {
    let rows = local.rows(&local.usual(id), sql, None).await;
    let (_, batches) = rows.unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
    let columns = batches.iter().map(|batch| batch.column(0).clone());
    columns
        .flat_map(|column| column.as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

#[tokio::test]
async fn inv_11_all_rules_of_a_query_see_a_look_up_in_one_state() {
    let world = Scratch::demo();
    let rows = [("meridian", "NORTH"), ("meridian", "EAST")];
    let rows = entitlements(&rows);
    let whole = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    let turning = Turning {
        whole,
        reads: AtomicUsize::new(0),
    };
    let raw = RawTable::versioned(Arc::new(turning), "turning");
    let local = with_lookup(&world, LookupTable::new(raw, None)).await;
    let sql = "SELECT count(*) AS n FROM care.patients UNION ALL \
               SELECT count(*) FROM care.visits UNION ALL \
               SELECT count(*) FROM care.patients WHERE region IN (SELECT region FROM care.visits)";
    for turn in 0..6 {
        let found = counts(&local, "rolf", sql).await;
        assert_eq!(found.len(), 3);
        let seen = turn % 2 == 0;
        assert!(found.iter().all(|n| (*n > 0) == seen), "{turn}: {found:?}");
    }
}

#[tokio::test]
async fn inv_11_a_look_up_that_was_replaced_is_seen_by_the_next_query() {
    let world = Scratch::demo();
    let write = |rows: &[(&str, &str)]| {
        let batch = entitlements(rows);
        let file = fs::File::create(world.path("lookups/entitlements.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write(&[("meridian", "NORTH"), ("other", "EAST")]);
    world.edit(
        "scrim.yaml",
        "lookups/entitlements.csv, format: csv",
        "lookups/entitlements.parquet, format: parquet",
    );
    let local = Local::start(&world).await;
    // rhea's two agreements show other columns, so her rules are literals; rolf's may be a join
    for id in ["rolf", "rhea"] {
        let of = async |region: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM care.visits WHERE region = '{region}'");
            counts(&local, id, &sql).await[0]
        };
        assert!(of("NORTH").await > 0 && of("EAST").await == 0, "{id}");
        write(&[("meridian", "EAST"), ("meridian", "ISLANDS")]);
        assert!(of("NORTH").await == 0 && of("EAST").await > 0, "{id}");
        write(&[]);
        assert!(of("EAST").await == 0, "{id}");
        write(&[("meridian", "NORTH"), ("other", "EAST")]);
    }
}

#[tokio::test]
async fn inv_03_a_look_up_that_is_too_old_and_cannot_be_read_refuses() {
    let world = Scratch::demo();
    let batch = entitlements(&[("meridian", "NORTH")]);
    let path = world.path("lookups/aged.parquet");
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let sources = Sources::new(
        world.root().to_owned(),
        Credentials::default(),
        SourceSettings::default(),
    );
    let files = ServerKind::Files(FileServer {
        place: FilePlace::Local {
            path: "lookups/aged.parquet".to_owned(),
        },
        format: FileFormat::Parquet,
    });
    let opened = sources.open(&files, None, &Wanted::all("aged")).await;
    let lookup = LookupTable::new(opened.unwrap().table, Some(Duration::from_mins(5)));
    let local = with_lookup(&world, lookup).await;
    let sql = "SELECT count(*) FROM care.visits";
    assert!(counts(&local, "rolf", sql).await[0] > 0);
    fs::remove_file(&path).unwrap();
    local.clock.advance(TimeDelta::seconds(299));
    assert!(counts(&local, "rolf", sql).await[0] > 0);
    local.clock.advance(TimeDelta::seconds(1));
    let late = "SELECT count(*) AS late FROM care.visits";
    let refusal = local
        .rows(&local.usual("rolf"), late, None)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::SourceUnavailable, "{refusal}");
    assert!(!refusal.message().contains("aged"), "{refusal}");
    let detail = refusal.detail().unwrap_or_default();
    assert!(detail.contains("aged.parquet"), "{detail}");
    // those whose rules do not ask it are as they were
    assert!(counts(&local, "nora", sql).await[0] > 0);
    local.ledger.shutdown().await.unwrap();
    let records = world.records();
    let record = records.iter().find(|record| record.sql == late).unwrap();
    assert_eq!(
        (record.outcome, record.code.as_deref()),
        (Outcome::Failed, Some("source-unavailable"))
    );
}
