//! `scrim explain --query-id`.

use std::fs;

use scrim_engine::Ask;
use scrim_model::QueryId;
use scrim_testkit::decisions::DecisionPoint;
use serde_json::json;

use super::{asked, explain, proposed, report, without_names};
use crate::cli::scrim;
use crate::client::{Client, statement};
use crate::kit::{Hosted, Local, Scratch, golden};

/// Where lines are broken depends on how long the name of the folder is.
fn unwrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words = line.trim_start();
        let goes_on = line.len() - words.len() >= 14 || words.starts_with(['(', 'F']);
        out.push_str(if goes_on { " " } else { "\n" });
        out.push_str(if goes_on { words } else { line });
    }
    out.push('\n');
    out
}

/// What `scrim explain --query-id` prints, beside the one in the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_of_then_is_told_with_all_that_decided_it() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let ask = |id: &str, address: &str, purpose: Option<&str>| -> Ask {
        let mut ask = local.usual(id);
        local.place(&mut ask, address);
        if purpose.is_some() {
            ask.settings.purpose = purpose.map(str::to_owned);
        }
        ask
    };
    let rhea = ask("rhea", "127.0.0.1", None);
    let sql = "SELECT zip, count(*) FROM care.patients WHERE ward = 'Lighthouse' GROUP BY zip";
    local.rows(&rhea, sql, None).await.unwrap();
    for (asker, sql) in [
        (
            ask("nora", "203.0.113.9", None),
            "SELECT ward FROM care.visits",
        ),
        (
            ask("iris", "127.0.0.1", None),
            "SELECT ward FROM care.patients",
        ),
        (
            ask("rolf", "127.0.0.1", Some("marketing")),
            "SELECT \u{1b}[31mward FROM patients",
        ),
    ] {
        local.rows(&asker, sql, None).await.unwrap_err();
    }
    local.ledger.shutdown().await.unwrap();
    let mut records = world.records();
    records.sort_by_key(|record| record.seq);
    let mut text = String::new();
    for record in &records {
        text.push_str("$ scrim explain --query-id QUERY\n");
        text.push_str(&explain(&world, record.query));
        text.push('\n');
    }
    let text = without_names(&text, &world, &records);
    golden("explain-query.txt", &unwrapped(&text));
    assert_eq!(
        text.matches("yes: the same is decided again").count(),
        3,
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_of_then_is_told_when_its_policies_are_gone_and_to_programs() {
    let (world, records) = asked(&[("rhea", "SELECT zip, region FROM care.patients")]).await;
    let query = records[0].query;
    let json = |world: &Scratch| -> serde_json::Value {
        let arguments = ["explain", "--json", "--query-id", &query.to_string()];
        serde_json::from_str(&scrim(world.root(), arguments).good()).unwrap()
    };
    let told = &json(&world)[0];
    assert_eq!(told["record"]["query"], query.to_string());
    assert_eq!(
        told["record"]["facts"]["principal"]["attributes"]["clearance"],
        1
    );
    assert_eq!(told["policies"]["found"], "folder");
    let table = &told["tables"][0];
    assert_eq!(table["reproduced"], true);
    assert_eq!(table["used"], serde_json::json!(["zip", "region"]));
    assert_eq!(table["decision"]["hash"], records[0].uses[0].hash);
    let lines = table["lines"].as_array().unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line["text"].as_str().unwrap().contains("zip: {mask: zip3}")),
        "{lines:?}"
    );
    world.edit(
        "policies/contracts/patients.odcs.yaml",
        "{mask: zip3}",
        "hidden",
    );
    let told = &json(&world)[0];
    assert_eq!(told["policies"]["found"], serde_json::Value::Null);
    assert_eq!(told["tables"][0]["reproduced"], serde_json::Value::Null);
    assert_eq!(told["tables"][0]["decision"], table["decision"]);
    let text = explain(&world, query);
    assert!(text.contains("nor kept beside the ledger"), "{text}");
    assert!(text.contains("zip3"), "{text}");
    // neither needs the policies of now to be in order
    world.write("policies/contracts/patients.odcs.yaml", "kind: nothing\n");
    assert_eq!(explain(&world, query), text);
    let unknown = QueryId::new().to_string();
    scrim(world.root(), ["explain", "--query-id", &unknown]).bad(1);
    scrim(world.root(), ["explain", "--query-id", "17"]).bad(2);
    scrim(
        world.root(),
        ["explain", "--query-id", &unknown, "--as", "nora"],
    )
    .bad(2);
    scrim(world.root(), ["explain", "--as", "nora"]).bad(2);
}

/// The id that a client was told finds all runs, the refused one too, each under its own policies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_told_with_its_runs_under_the_policies_of_then() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    let info = client
        .info(&statement("SELECT ward FROM care.visits"))
        .await
        .unwrap();
    let id = std::str::from_utf8(&info.app_metadata).unwrap().to_owned();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    client.get(ticket.clone()).await.unwrap();
    host.world.edit(
        "policies/agreements/meridian-visits.yaml",
        "status: active",
        "status: ended",
    );
    host.reload().await;
    client.get(ticket).await.unwrap_err();
    let world = host.stop().await;
    let text = scrim(world.root(), ["explain", "--query-id", &id]).good();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        text.matches(&format!("a run of the statement {id}"))
            .count(),
        2,
        "{text}"
    );
    assert_eq!(
        text.matches("yes: the same is decided again").count(),
        2,
        "{text}"
    );
    for word in [
        "kept beside the ledger",
        "the one in the folder",
        "Shown to rolf",
        " 4 status: ended",
        "it is ended",
        "completed",
        "refused with",
        "signed in at",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    proposed(&world);
    let found = report(&world, &["--run"]);
    assert_eq!(
        (&found["same"], &found["affected"]),
        (&1.into(), &1.into()),
        "{found}"
    );
    assert_eq!(found["groups"][0]["changes"][0]["by"], "logic", "{found}");
    assert_eq!(found["runs"]["different"], 1, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_an_older_version_is_told_as_far_as_it_goes() {
    let world = Scratch::demo();
    proposed(&world);
    let older = include_str!("../../../../crates/scrim-ledger/src/tests/older.jsonl");
    world.write("ledger/ledger.jsonl", older);
    let records = world.records();
    let text = explain(&world, records[0].statement.unwrap());
    for word in [
        "rhea (meridian)",
        "meridian-study-7",
        "zip3",
        "patients.odcs.yaml:150:",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let found = report(&world, &[]);
    assert_eq!(
        (&found["without_facts"], &found["same"]),
        (&2.into(), &0.into())
    );
    let unused = scrim(world.root(), ["policy", "unused"]).good();
    assert!(unused.contains("of an older version"), "{unused}");
    scrim(world.root(), ["ledger", "show", "ledger", "--json"]).good();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_before_a_damage_is_told_with_it() {
    let (world, records) = asked(&[("rhea", "SELECT zip FROM care.patients")]).await;
    let query = records[0].query.to_string();
    let ledger = world.path("ledger/ledger.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    world.write("ledger/ledger.jsonl", &format!("{text}nonsense\n{text}"));
    let told = scrim(world.root(), ["explain", "--query-id", &query]);
    assert!(told.out.contains("Shown to rhea"), "{told:?}");
    let line = format!("line {}", text.lines().count() + 1);
    assert!(told.bad(1).contains(&line));
    let told = scrim(world.root(), ["explain", "--json", "--query-id", &query]);
    let found: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(found[0]["record"]["query"], query);
    told.bad(1);
    // what may stand behind the damage is not said to be nowhere
    let unknown = QueryId::new().to_string();
    let said = scrim(world.root(), ["explain", "--query-id", &unknown]).bad(1);
    assert!(said.contains(&line), "{said}");
}

/// A revoked agreement is a fact of then, whatever is revoked now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_told_as_it_was_then() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let revoked = "2026-03-02T11:00:00Z".parse().unwrap();
    let revocations = [("meridian-visits".to_owned(), revoked)];
    local.engine.revoke_agreements(revocations.into());
    let ask = local.usual("rolf");
    let sql = "SELECT ward FROM care.visits";
    local.rows(&ask, sql, None).await.unwrap_err();
    local.ledger.shutdown().await.unwrap();
    let query = world.records()[0].query;
    let text = explain(&world, query);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in [
        "revoked agreements meridian-visits",
        "it was revoked at 2026-03-02T11:00:00Z",
        "yes: the same is decided again",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    proposed(&world);
    assert_eq!(report(&world, &["--run"])["runs"]["same"], 1);
}

/// What was taken away outside is told, and taken away again when the query is decided again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_outside_is_told_and_stays_away() {
    let answer = json!({
        "care.patients": {"allow": true, "hide": ["zip"], "rows": "region = 'NORTH'"},
        "care.visits": {"allow": false, "reason": "on leave"},
    });
    let answer = json!({"result": answer}).to_string();
    let point = DecisionPoint::start(&answer).unwrap();
    let world = Scratch::demo();
    let config = fs::read_to_string(world.path("scrim.yaml")).unwrap();
    let url = point.url();
    let config = format!("{config}external_decisions: {{url: '{url}', timeout: 5s}}\n");
    world.write("scrim.yaml", &config);
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    client
        .query("SELECT ward FROM care.patients")
        .await
        .unwrap();
    client.query("SELECT 1 FROM care.visits").await.unwrap_err();
    let world = host.stop().await;
    point.forget();
    let text: String = world
        .records()
        .iter()
        .map(|record| explain(&world, record.query))
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in [
        "takes away zip; lets through only rows with region = 'NORTH'",
        "takes the table away: on leave",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let again = text.matches("yes: the same is decided again").count();
    assert_eq!(again, 2, "{text}");
    // A change of what is not shown anyway is none; a table that nobody was asked about may come.
    proposed(&world);
    world.edit(
        "next/contracts/patients.odcs.yaml",
        "            zip: clear\n            region: clear\n            ward: clear\n            insurer: clear",
        "            zip: {mask: zip3}\n            region: clear\n            ward: clear\n            insurer: clear",
    );
    let found = report(&world, &[]);
    assert_eq!(
        (&found["same"], &found["not_asked"]),
        (&2.into(), &0.into()),
        "{found}"
    );
    assert!(point.asked().is_empty(), "nobody is asked about the past");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_chose_plays_tricks_on_the_owner() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let mut ask = local.usual("rhea");
    ask.default_schema = Some("ca\u{1b}[31mre".to_owned());
    ask.context.client = Some("\u{202e}evil\u{1b}[2J".to_owned());
    let sql = "SELECT zip\n-- \u{9b}31m\nFROM patients, care.patients";
    local.rows(&ask, sql, None).await.unwrap_err();
    local.ledger.shutdown().await.unwrap();
    let text = explain(&world, world.records()[0].query);
    let tricks = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(tricks), "{text:?}");
    assert!(text.contains("evil") && text.contains("31mre"), "{text}");
}
