//! What the owner learns from the ledger: `scrim explain --query-id`, `scrim policy replay` and
//! `scrim policy unused`.

use std::fs;

use scrim_engine::Ask;
use scrim_ledger::Record;
use scrim_model::{QueryId, Refusal};

use super::scrim;
use crate::client::{Client, statement};
use crate::kit::{Hosted, Local, Scratch, copy, golden};

/// A world whose ledger holds these questions of people with their usual purposes.
async fn asked(questions: &[(&str, &str)]) -> (Scratch, Vec<Record>) {
    let world = Scratch::demo();
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

fn explain(world: &Scratch, query: QueryId) -> String {
    scrim(world.root(), ["explain", "--query-id", &query.to_string()]).good()
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

const QUESTIONS: [(&str, &str); 7] = [
    ("nora", "SELECT count(*) FROM care.patients"),
    ("rhea", "SELECT zip, sex FROM care.patients"),
    ("rhea", "SELECT sex FROM care.patients"),
    ("rolf", "SELECT ward FROM care.visits ORDER BY visit_id"),
    ("rolf", "SELECT count(*) FROM insurance.claims"),
    ("iris", "SELECT ward FROM care.patients"),
    ("luca", "SELEC"),
];

/// An agreement that ended, a column that is hidden, a narrower row rule, and a wider `who`.
fn changed(world: &Scratch) {
    proposed(world);
    world.edit(
        "next/agreements/meridian-visits.yaml",
        "status: active",
        "status: ended",
    );
    world.edit(
        "next/contracts/patients.odcs.yaml",
        "{mask: zip3}",
        "hidden",
    );
    world.edit("next/contracts/patients.odcs.yaml", "            zip: clear\n            region: clear\n            ward: clear\n            household_income: clear", "            zip: hidden\n            region: clear\n            ward: clear\n            household_income: clear");
    world.edit(
        "next/contracts/claims.odcs.yaml",
        "service_date >= DATE '2022-01-01'",
        "service_date >= DATE '2024-01-01'",
    );
    world.edit(
        "next/agreements/harbor-patients.yaml",
        "clearance >= 2",
        "clearance >= 1",
    );
}

fn replay(world: &Scratch, more: &[&str]) -> String {
    let arguments = [
        "policy",
        "replay",
        "--with",
        "next",
        "--since",
        "2026-03-01",
    ];
    scrim(world.root(), arguments.iter().chain(more)).good()
}

fn report(world: &Scratch, more: &[&str]) -> serde_json::Value {
    serde_json::from_str(&replay(world, &[more, &["--json"]].concat())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_tells_whose_results_proposed_policies_would_change() {
    let (world, records) = asked(&QUESTIONS).await;
    proposed(&world);
    let same = report(&world, &[]);
    assert_eq!(
        (&same["same"], &same["affected"]),
        (&7.into(), &0.into()),
        "{same}"
    );
    fs::remove_dir_all(world.path("next")).unwrap();
    changed(&world);
    let found = report(&world, &[]);
    let counts = ["same", "affected", "unaffected", "without_facts"].map(|key| found[key].as_u64());
    assert_eq!(counts, [Some(2), Some(4), Some(1), Some(0)], "{found}");
    let groups = found["groups"].as_array().unwrap();
    let change = |principal: &str, table: &str| -> &serde_json::Value {
        let group = groups
            .iter()
            .find(|group| group["principal"] == principal && group["table"]["table"] == table);
        let group = group.unwrap_or_else(|| panic!("{principal} {table}: {found}"));
        assert_eq!(group["changes"].as_array().unwrap().len(), 1, "{group}");
        &group["changes"][0]
    };
    let ended = change("rolf", "visits");
    assert_eq!(
        ended["change"]["verdict"],
        serde_json::json!(["shown", "no_agreement"])
    );
    let hidden = change("rhea", "patients");
    assert_eq!(hidden["change"]["lost"], serde_json::json!(["zip"]));
    assert_eq!(
        (&hidden["queries"], &hidden["affected"]),
        (&2.into(), &1.into())
    );
    assert_eq!(hidden["example"], records[1].query.to_string());
    let narrower = change("rolf", "claims");
    assert_eq!(narrower["change"]["rows"], "narrower");
    let gained = change("iris", "patients");
    assert_eq!(
        gained["change"]["verdict"],
        serde_json::json!(["no_agreement", "shown"])
    );
    assert_eq!(gained["width"], "wider");
    for change in [ended, hidden, narrower, gained] {
        assert_eq!(change["by"], "logic", "{change}");
    }
    let text = replay(&world, &[]);
    let markdown = replay(&world, &["--markdown"]);
    let new = found["version"].as_str().unwrap();
    let both = format!("{text}\n{markdown}").replace(new, "NEW");
    golden("replay.txt", &without_names(&both, &world, &records));
    // nothing was asked since
    let later = [
        "policy",
        "replay",
        "--with",
        "next",
        "--since",
        "2026-03-03",
    ];
    assert!(scrim(world.root(), later).good().starts_with("0 queries"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_says_what_it_could_compare_by_the_record_alone() {
    let (world, _) = asked(&QUESTIONS).await;
    changed(&world);
    world.edit(
        "policies/contracts/visits.odcs.yaml",
        "length_of_stay",
        "length_of_stay  ",
    );
    let found = report(&world, &[]);
    assert_eq!(found["affected"], 4, "{found}");
    for group in found["groups"].as_array().unwrap() {
        assert_eq!(group["changes"][0]["by"], "record", "{group}");
    }
    let text = found.to_string();
    assert!(text.contains(r#""rows":"unknown""#), "{text}");
    assert!(replay(&world, &[]).contains("word by word"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_runs_each_statement_once_and_compares_results_without_values() {
    let canary = "SELECT count(*), min(full_name) FROM care.patients";
    let mut questions = QUESTIONS.to_vec();
    questions.extend([("nora", canary), QUESTIONS[1], QUESTIONS[1]]);
    questions.push((
        "rolf",
        "SELECT sum(amount) FROM insurance.claims WHERE region = $1",
    ));
    let (world, _) = asked(&questions).await;
    changed(&world);
    let found = report(&world, &["--run"]);
    let runs = &found["runs"];
    let counts = [
        "same",
        "different",
        "with_parameters",
        "without_policies",
        "left_out",
    ];
    let counts = counts.map(|key| runs[key].as_u64());
    assert_eq!(
        counts,
        [Some(4), Some(4), Some(1), Some(0), Some(0)],
        "{found}"
    );
    let of = |principal: &str, word: &str| -> &serde_json::Value {
        let named = runs["named"].as_array().unwrap();
        let found = named.iter().find(|one| {
            one["principal"] == principal && one["sql"].as_str().unwrap().contains(word)
        });
        found.unwrap_or_else(|| panic!("{principal} {word}: {runs}"))
    };
    assert_eq!(
        of("rolf", "care.visits")["new"]["refused"],
        "name-not-found"
    );
    assert_eq!(of("rhea", "zip")["new"]["refused"], "name-not-found");
    assert_eq!(of("iris", "ward")["old"]["refused"], "name-not-found");
    assert!(of("iris", "ward")["new"]["rows"].as_u64().unwrap() > 0);
    let counted = of("rolf", "claims");
    assert_eq!(
        (&counted["old"]["rows"], &counted["new"]["rows"]),
        (&1.into(), &1.into())
    );
    assert_eq!(counted["decided_alike"], false);
    let text = replay(&world, &["--run"]);
    assert!(text.contains("4 statements with the same result"), "{text}");
    assert!(text.contains("1 row, but not the same"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_used_is_told_with_what_would_have_sufficed() {
    let (world, records) = asked(&[
        (
            "rolf",
            "SELECT ward FROM (SELECT * FROM care.visits) v WHERE cost > 100",
        ),
        (
            "rolf",
            "SELECT region FROM care.visits ORDER BY vitals['pulse'] LIMIT 1",
        ),
        (
            "rhea",
            "SELECT count(*) FROM care.patients WHERE contact['email'] IS NOT NULL",
        ),
        ("nora", "SELECT * FROM care.patients"),
        ("luca", "SELECT * FROM insurance.claims"),
    ])
    .await;
    let arguments = ["policy", "unused", "--since", "2026-03-01"];
    let text = scrim(world.root(), arguments).good();
    golden("unused.txt", &without_names(&text, &world, &records));
    let json = scrim(world.root(), arguments.iter().chain(&["--json"])).good();
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let profiles = found["profiles"].as_array().unwrap();
    let visits = profiles
        .iter()
        .find(|one| one["contract"] == "visits")
        .unwrap();
    // what was suggested would indeed have sufficed
    let contract = fs::read_to_string(world.path("policies/contracts/visits.odcs.yaml")).unwrap();
    let research = contract.find("        research:").unwrap();
    let (before, profile) = contract.split_at(research);
    let columns = profile.find("          columns:").unwrap();
    let limits = profile.find("          limits:").unwrap();
    let instead: String = visits["instead"]
        .as_str()
        .unwrap()
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    proposed(&world);
    world.write(
        "next/contracts/visits.odcs.yaml",
        &format!(
            "{before}{}{instead}{}",
            &profile[..columns],
            &profile[limits..]
        ),
    );
    let found = report(&world, &["--run"]);
    assert_eq!(found["affected"], 0, "{found}");
    assert_eq!(found["unaffected"], 2, "{found}");
    assert_eq!(found["runs"]["different"], 0, "{found}");
    assert_eq!(
        scrim(world.root(), ["policy", "unused", "--since", "never"]).code,
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_an_older_version_is_told_as_far_as_it_goes() {
    let world = Scratch::demo();
    proposed(&world);
    let older = include_str!("../../../crates/scrim-ledger/src/tests/older.jsonl");
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

/// What a record says about columns: those that the result is made of, and those that choose, join,
/// group or sort its rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_names_the_columns_that_a_statement_uses() {
    let questions = [
        ("SELECT count(*) FROM patients", ""),
        (
            "SELECT ward FROM (SELECT * FROM patients) p WHERE sex = 'f'",
            "sex ward",
        ),
        (
            "SELECT w FROM (SELECT ward AS w, zip, sex AS s FROM patients) p ORDER BY s",
            "sex ward",
        ),
        (
            "WITH p AS (SELECT * FROM patients) SELECT region FROM p",
            "region",
        ),
        (
            "SELECT region, count(ward) FROM patients GROUP BY region HAVING max(zip) > '1'",
            "region ward zip",
        ),
        (
            "SELECT n FROM (SELECT region, count(*) AS n, min(zip) AS z FROM patients GROUP BY 1) g",
            "region",
        ),
        (
            "SELECT a.zip FROM patients a JOIN patients b ON a.patient_id = b.patient_id WHERE b.sex = 'f'",
            "patient_id sex zip",
        ),
        (
            "SELECT zip FROM patients p WHERE EXISTS (SELECT * FROM patients q WHERE q.ward = p.region)",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients WHERE ward IN (SELECT region FROM patients)",
            "region ward zip",
        ),
        (
            "SELECT (SELECT max(sex) FROM patients q WHERE q.ward = p.region) FROM patients p",
            "region sex ward",
        ),
        (
            "SELECT ward FROM patients UNION ALL SELECT region FROM patients",
            "region ward",
        ),
        (
            "SELECT r FROM (SELECT ward, zip AS r FROM patients UNION ALL SELECT sex, region FROM patients) u",
            "region zip",
        ),
        (
            "SELECT rank() OVER (PARTITION BY ward ORDER BY zip) FROM patients",
            "ward zip",
        ),
        (
            "SELECT sex FROM (SELECT sex, rank() OVER (ORDER BY zip) AS r FROM patients) w",
            "sex",
        ),
        (
            "SELECT t FROM (SELECT zip, unnest(tags) AS t FROM patients) u",
            "tags",
        ),
        ("SELECT contact['email'] FROM patients LIMIT 1", "contact"),
        ("SELECT DISTINCT ward, zip FROM patients", "ward zip"),
        (
            "SELECT p.zip FROM patients p, LATERAL (SELECT count(*) AS n FROM patients q WHERE q.ward = p.region) x",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients p WHERE EXISTS (SELECT 1 FROM patients q WHERE q.sex = 'f' AND EXISTS (SELECT 1 FROM patients r WHERE r.ward = p.region))",
            "region sex ward zip",
        ),
        (
            "SELECT zip FROM patients UNION SELECT ward FROM patients",
            "ward zip",
        ),
        (
            "SELECT region, count(*) FROM patients GROUP BY GROUPING SETS ((region), (ward))",
            "region ward",
        ),
        (
            "SELECT DISTINCT ON (region) zip FROM patients ORDER BY region, ward",
            "region ward zip",
        ),
        (
            "SELECT zip FROM patients QUALIFY row_number() OVER (ORDER BY ward) = 1",
            "ward zip",
        ),
        (
            "SELECT a.zip FROM patients a LEFT JOIN (SELECT ward, sex FROM patients) b USING (ward)",
            "ward zip",
        ),
        ("EXPLAIN SELECT ward FROM patients", "ward"),
    ];
    let asked_of: Vec<_> = questions.iter().map(|(sql, _)| ("rhea", *sql)).collect();
    let (_world, records) = asked(&asked_of).await;
    for ((sql, columns), record) in questions.iter().zip(&records) {
        assert_eq!(record.uses.len(), 1, "{sql}: {record:?}");
        let mut used = record.uses[0]
            .used
            .clone()
            .unwrap_or_else(|| panic!("{sql}: {record:?}"));
        used.sort();
        assert_eq!(used.join(" "), *columns, "{sql}");
    }
}

/// What a record holds is enough to decide a query again, whoever asks and however it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_02_a_record_holds_what_it_takes_to_decide_again() -> Result<(), Refusal> {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    let mut asks = Vec::new();
    for persona in scrim::demo::world::PERSONAS {
        for address in ["127.0.0.1", "203.0.113.9"] {
            let mut ask = local.usual(persona.id);
            local.place(&mut ask, address);
            ask.context.client = Some("test".to_owned());
            ask.context.time = "2026-03-02T22:30:00.123456789Z".parse().unwrap();
            ask.default_schema = Some("care".to_owned());
            asks.push(ask);
        }
    }
    for ask in &asks {
        for sql in [
            "SELECT count(*) FROM visits",
            "SELECT 1 FROM patients, insurance.claims",
        ] {
            drop(local.rows(ask, sql, None).await);
        }
    }
    local.ledger.shutdown().await.unwrap();
    let records = world.records();
    assert_eq!(records.len(), asks.len() * 2);
    let mut decided = 0;
    for record in records {
        let facts = record.facts.as_ref().unwrap();
        assert_eq!(facts.default_schema.as_deref(), Some("care"));
        assert!(!record.uses.is_empty(), "{record:?}");
        for reading in record.readings().unwrap() {
            let recorded = &*reading.decision;
            let again = local.policy.decide(
                &facts.principal,
                &facts.context,
                &facts.settings,
                &recorded.table,
            );
            assert_eq!(again, *recorded, "{}", record.query);
            decided += 1;
        }
    }
    assert_eq!(decided, asks.len() * 3);
    Ok(())
}
