//! What the owner learns from the ledger: `scrim explain --query-id`, `scrim policy replay` and
//! `scrim policy unused`.

mod explain;
mod record;
mod replay;
mod unused;

use std::fs;

use scrim_ledger::Record;
use scrim_model::QueryId;

use super::{Run, scrim};
use crate::kit::{Local, Scratch, copy};

/// A world whose ledger holds these questions of people with their usual purposes.
async fn asked(questions: &[(&str, &str)]) -> (Scratch, Vec<Record>) {
    asked_in(Scratch::demo(), questions).await
}

async fn asked_in(world: Scratch, questions: &[(&str, &str)]) -> (Scratch, Vec<Record>) {
    let local = Local::start(&world).await;
    for (id, sql) in questions {
        drop(local.rows(&local.usual(id), sql, None).await);
    }
    local.ledger.shutdown().await.unwrap();
    let mut records = world.records();
    records.sort_by_key(|record| record.seq);
    assert_eq!(records.len(), questions.len());
    (world, records)
}

/// A copy of the policies, to be changed.
fn proposed(world: &Scratch) {
    fs::create_dir(world.path("next")).unwrap();
    copy(&world.path("policies"), &world.path("next"), &[]);
}

fn without_names(text: &str, world: &Scratch, records: &[Record]) -> String {
    let mut text = text.replace(&world.root().display().to_string(), "FOLDER");
    for record in records {
        text = text.replace(&record.query.to_string(), "QUERY");
        if let Some(statement) = record.statement {
            text = text.replace(&statement.to_string(), "STATEMENT");
        }
        if let Some(version) = &record.policy_version {
            text = text.replace(version, "VERSION");
        }
        for table in &record.uses {
            text = text.replace(&table.hash, "HASH");
        }
    }
    text
}

fn explain(world: &Scratch, query: QueryId) -> String {
    scrim(world.root(), ["explain", "--query-id", &query.to_string()]).good()
}

fn replayed(world: &Scratch, more: &[&str]) -> Run {
    let arguments = [
        "policy",
        "replay",
        "--with",
        "next",
        "--since",
        "2026-03-01",
    ];
    scrim(world.root(), arguments.iter().chain(more))
}

fn replay(world: &Scratch, more: &[&str]) -> String {
    replayed(world, more).good()
}

fn report(world: &Scratch, more: &[&str]) -> serde_json::Value {
    serde_json::from_str(&replay(world, &[more, &["--json"]].concat())).unwrap()
}
