//! `scrim policy unused`.

use std::fs;

use super::{asked, proposed, report, without_names};
use crate::cli::scrim;
use crate::kit::golden;

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
        ("ivan", "SHOW ACCESS ON care.patients"),
        ("ivan", "EXPLAIN ACCESS SELECT * FROM care.visits"),
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
