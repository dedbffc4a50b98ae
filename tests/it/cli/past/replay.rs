//! `scrim policy replay`.

use std::fs;

use super::{asked, asked_in, proposed, replay, replayed, report, without_names};
use crate::cli::scrim;
use crate::kit::{Local, Scratch, golden};

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

/// The exit code with `--fail-on widen` and with `--fail-on any`.
fn fails(world: &Scratch) -> (i32, i32) {
    let code = |what: &str| replayed(world, &["--fail-on", what]).code;
    (code("widen"), code("any"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_fails_on_what_it_is_told_to() {
    let (world, _) = asked(&QUESTIONS).await;
    proposed(&world);
    assert_eq!(fails(&world), (0, 0));
    let agreement = "next/agreements/meridian-visits.yaml";
    world.edit(agreement, "status: active", "status: ended");
    assert_eq!(fails(&world), (0, 3));
    assert_eq!(report(&world, &[])["width"], "narrower");
    let agreement = "next/agreements/harbor-patients.yaml";
    world.edit(agreement, "clearance >= 2", "clearance >= 1");
    assert_eq!(fails(&world), (3, 3));
    // the report is there all the same
    let failed = replayed(&world, &["--fail-on", "widen"]);
    assert_eq!(failed.out, replay(&world, &[]));
    assert_eq!(failed.err, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_shown_anew_is_seen_by_a_star_or_by_its_name() {
    let (world, _) = asked(&[
        ("rolf", "SELECT * FROM care.visits"),
        ("rolf", "SELECT ward AS room FROM care.visits GROUP BY room"),
        (
            "rolf",
            "SELECT ward, count(*) FROM care.visits GROUP BY ward",
        ),
    ])
    .await;
    proposed(&world);
    world.edit(
        "next/contracts/visits.odcs.yaml",
        "            visit_id: {mask: pseudonymize, domain: visit}",
        "            room: clear\n            visit_id: {mask: pseudonymize, domain: visit}",
    );
    let found = report(&world, &["--run"]);
    let counts = ["same", "affected", "unaffected"].map(|key| found[key].as_u64());
    assert_eq!(counts, [Some(0), Some(2), Some(1)], "{found}");
    assert_eq!(found["runs"]["different"], 2, "{found}");
    assert_eq!(fails(&world), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_a_schema_may_be_another_table_under_other_policies() {
    let world = Scratch::demo();
    let agreement = "policies/agreements/lumen-claims.yaml";
    world.edit(agreement, "status: ended", "status: active");
    world.edit(agreement, "end: 2024-12-31", "end: 2099-12-31");
    let questions = [
        ("luca", "SELECT count(*) FROM claims"),
        ("luca", "SELECT count(*) FROM insurance.claims"),
        ("rolf", "SELECT count(*) FROM visits"),
    ];
    let (world, records) = asked_in(world, &questions).await;
    proposed(&world);
    assert_eq!(report(&world, &[])["same"], 3);
    let visits = fs::read_to_string(world.path("policies/agreements/meridian-visits.yaml"));
    let visits = visits.unwrap().replace("meridian", "lumen");
    let visits = visits.replace(" AND array_has(principal.groups, 'researcher')", "");
    world.write("next/agreements/lumen-visits.yaml", &visits);
    let found = report(&world, &["--run"]);
    assert_eq!(
        (&found["same"], &found["affected"]),
        (&2.into(), &1.into()),
        "{found}"
    );
    let moved = &found["moved"][0];
    assert_eq!(moved["example"], records[0].query.to_string());
    assert_eq!(
        (&moved["from"]["schema"], &moved["to"]["schema"]),
        (&"insurance".into(), &"care".into())
    );
    assert_eq!(found["groups"], serde_json::json!([]));
    let differs = &found["runs"]["named"][0];
    assert_eq!(differs["new"]["refused"], "name-not-found", "{found}");
    assert_eq!(fails(&world), (3, 3));
    for text in [replay(&world, &[]), replay(&world, &["--markdown"])] {
        assert!(text.contains("insurance.claims → care.claims"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_says_what_it_could_not_decide() {
    let (world, _) = asked(&QUESTIONS).await;
    proposed(&world);
    world.edit(
        "next/contracts/claims.odcs.yaml",
        "data/claims.parquet",
        "data/away.parquet",
    );
    let found = report(&world, &[]);
    let counts = ["same", "affected", "undecided"].map(|key| found[key].as_u64());
    assert_eq!(counts, [Some(6), Some(0), Some(1)], "{found}");
    assert_eq!(fails(&world), (3, 3));
    assert!(replay(&world, &[]).contains("1 cannot be decided"));
    // also beside a change that is known
    let joined = "SELECT 1 FROM care.visits, insurance.claims LIMIT 1";
    let (world, _) = asked(&[("rolf", joined)]).await;
    proposed(&world);
    let agreement = "next/agreements/meridian-visits.yaml";
    world.edit(agreement, "status: active", "status: ended");
    assert_eq!(fails(&world), (0, 3));
    world.edit(
        "next/contracts/claims.odcs.yaml",
        "data/claims.parquet",
        "data/away.parquet",
    );
    assert_eq!(fails(&world), (3, 3));
}

/// A hash that differs by what a record does not tell is no sign that the same is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_words_of_a_record_do_not_tell_is_unknown() {
    let (world, _) = asked(&[
        ("rolf", "SELECT vitals FROM care.visits"),
        ("rolf", "SELECT ward FROM care.visits"),
    ])
    .await;
    proposed(&world);
    let contract = "next/contracts/visits.odcs.yaml";
    world.edit(contract, "version: 2.0.1", "version: 2.0.2");
    assert_eq!(report(&world, &[])["same"], 2);
    world.edit(
        "policies/contracts/visits.odcs.yaml",
        "length_of_stay",
        "length_of_stay  ",
    );
    let found = report(&world, &[]);
    assert_eq!(found["affected"], 2, "{found}");
    assert_eq!(found["width"], "unknown", "{found}");
    world.edit(contract, "bucket, width: 10}", "bucket, width: 20}");
    let found = report(&world, &[]);
    assert_eq!(
        (&found["affected"], &found["unaffected"]),
        (&1.into(), &1.into()),
        "{found}"
    );
    let changed = &found["groups"][0]["changes"][0]["change"]["treatments"];
    assert_eq!(changed[0]["column"], "vitals.pulse", "{found}");
    assert_eq!(changed.as_array().unwrap().len(), 1, "{found}");
}

/// The same statement of the same principal is run again where it was decided otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_run_for_each_way_in_which_it_was_decided() {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    for (hour, shown) in [(12, false), (23, true), (23, true)] {
        let mut ask = local.usual("harbor-batch");
        ask.context.time = format!("2026-03-02T{hour}:00:00Z").parse().unwrap();
        let ran = local
            .rows(&ask, "SELECT count(*) FROM care.visits", None)
            .await;
        assert_eq!(ran.is_ok(), shown);
    }
    local.ledger.shutdown().await.unwrap();
    proposed(&world);
    let agreement = "next/agreements/harbor-nightly.yaml";
    world.edit(agreement, "status: active", "status: ended");
    let found = report(&world, &["--run"]);
    let runs = &found["runs"];
    assert_eq!(
        (&runs["same"], &runs["different"]),
        (&1.into(), &1.into()),
        "{found}"
    );
}
