//! `scrim source`.

use std::fs;

use serde_json::Value;

use scrim_testkit::postgres::PASSWORD;
use scrim_testkit::s3::SECRET_KEY;

use super::{Run, scrim};
use crate::elsewhere::{Base, Store, tell_secrets};
use crate::kit::Scratch;

const PATIENTS: &str = "policies/contracts/patients.odcs.yaml";

fn check(world: &Scratch, more: &[&str]) -> Run {
    let base = ["source", "check", "--config", "scrim.yaml"];
    scrim(world.root(), base.iter().chain(more))
}

/// What was found, by table.
fn found(world: &Scratch) -> (i32, Vec<Value>) {
    let run = check(world, &["--json"]);
    assert_eq!(run.err, "", "{run:?}");
    (run.code, serde_json::from_str(&run.out).unwrap())
}

fn of<'a>(reports: &'a [Value], table: &str) -> &'a Value {
    let found = reports.iter().find(|report| report["table"] == table);
    found.unwrap_or_else(|| panic!("{table}: {reports:?}"))
}

#[test]
fn sources_that_are_as_their_contracts_say_are_in_order() {
    let world = Scratch::demo();
    let said = check(&world, &[]).good();
    let tables: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split("  ").next())
        .collect();
    assert_eq!(
        tables,
        [
            "table",
            "care.patients",
            "care.visits",
            "insurance.claims",
            "lookup.entitlements",
            "4 sources, all in order"
        ],
        "{said}"
    );
    assert!(said.contains("data/patients.parquet"), "{said}");
    let (code, reports) = found(&world);
    assert_eq!(code, 0);
    for report in &reports {
        assert_eq!(report["in_order"], true, "{report}");
        assert!(report["milliseconds"].is_u64(), "{report}");
    }
    assert_eq!(of(&reports, "care.visits")["contract"], "visits");
    assert_eq!(of(&reports, "lookup.entitlements")["contract"], Value::Null);
}

#[test]
fn whatever_is_wrong_with_a_source_is_told_with_what_to_mend() {
    let world = Scratch::demo_with_data();
    // A column that is not there, and one of another type.
    world.edit(PATIENTS, "- name: household_income\n", "- name: income\n");
    world.edit(
        PATIENTS,
        "- name: zip\n        logicalType: string",
        "- name: zip\n        logicalType: integer",
    );
    fs::remove_file(world.path("data/claims.parquet")).unwrap();
    world.edit(
        "scrim.yaml",
        "format: csv",
        "format: csv, credentials: nobody",
    );
    let run = check(&world, &[]);
    assert_eq!((run.code, run.err.as_str()), (1, ""), "{run:?}");
    for words in [
        "2 problems",
        "the source has no column `income`",
        "`zip` is Utf8 in the source, which is no `integer`",
        "write `logicalType: string`",
        "patients.odcs.yaml:",
        "claims.parquet",
        "claims.odcs.yaml:",
        "lookup.entitlements: there are no credentials named `nobody`",
        "scrim.yaml:",
        "4 sources, 3 to mend",
    ] {
        assert!(run.out.contains(words), "{words}: {}", run.out);
    }
    let (code, reports) = found(&world);
    assert_eq!(code, 1);
    assert_eq!(of(&reports, "care.visits")["in_order"], true);
    let problems = of(&reports, "care.patients")["problems"]
        .as_array()
        .unwrap();
    assert_eq!(problems.len(), 2);
    for problem in problems {
        let file = problem["file"].as_str().unwrap();
        assert!(file.ends_with("patients.odcs.yaml"), "{problem}");
        assert!(
            problem["line"].as_u64() > Some(1) && problem["help"].is_string(),
            "{problem}"
        );
    }
}

#[test]
fn sources_are_looked_at_only_with_documents_that_can_be_read() {
    let world = Scratch::demo();
    world.edit(PATIENTS, "{mask: zip3}", "{mask: zipp3}");
    let said = check(&world, &[]).bad(2);
    assert!(said.contains("zipp3"), "{said}");
    world.edit(
        "scrim.yaml",
        "policies:",
        "secrets: {file: secrets.yaml}\npolicies:",
    );
    let said = check(&world, &[]).bad(2);
    assert!(said.contains("secrets.yaml"), "{said}");
}

/// Databases and object stores are asked, too; whatever they say, no secret is told.
#[test]
fn inv_15_servers_are_asked_and_their_secrets_not_told() {
    let world = Scratch::demo_with_data();
    let (base, store) = (Base::new(&world), Store::new(&world));
    base.take(&world, "claims");
    base.take_entitlements(&world);
    base.database
        .execute("ALTER TABLE claims ADD COLUMN shoe_size int; ANALYZE claims");
    store.take(&world, "visits");
    let said = check(&world, &[]).good();
    assert!(said.contains("4 sources, all in order"), "{said}");
    let hidden = "insurance.claims: the contract does not list shoe_size; hidden";
    assert!(said.contains(hidden), "{said}");
    let (_, reports) = found(&world);
    let claims = of(&reports, "insurance.claims");
    assert!(claims["rows"].as_u64() > Some(100), "{claims}");
    assert_eq!(claims["unlisted"], serde_json::json!(["shoe_size"]));
    assert!(of(&reports, "lookup.entitlements")["in_order"] == true);
    // Wrong keys, a wrong password; then nobody answers.
    tell_secrets(&world, "wrong-key-4711", "wrong-password-4711");
    let run = check(&world, &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.contains("4 sources, 3 to mend"), "{}", run.out);
    base.proxy.refuse();
    store.proxy.refuse();
    let gone = check(&world, &[]);
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.out.contains("4 sources, 3 to mend"), "{}", gone.out);
    for secret in [
        "wrong-key-4711",
        "wrong-password-4711",
        PASSWORD,
        SECRET_KEY,
    ] {
        for run in [&run, &gone] {
            assert!(
                !run.out.contains(secret) && !run.err.contains(secret),
                "{run:?}"
            );
        }
    }
}

/// A policy check wants all sources; a server would serve the rest.
#[test]
fn policies_are_in_order_only_with_all_sources() {
    let world = Scratch::demo_with_data();
    fs::remove_file(world.path("data/claims.parquet")).unwrap();
    for command in ["check", "test"] {
        let said = scrim(world.root(), ["policy", command, "policies"]).bad(2);
        assert!(
            said.contains("claims.parquet") && said.contains("claims.odcs.yaml"),
            "{said}"
        );
    }
    let sql = "SELECT 1 FROM care.patients";
    let run = scrim(world.root(), ["explain", "--as", "nora", sql]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.err.contains("claims.parquet") && run.out.contains("care.patients"),
        "{run:?}"
    );
}
