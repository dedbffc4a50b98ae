//! `scrim contract new`.

use std::fs;

use super::{Run, scrim};
use crate::kit::Scratch;

fn new(world: &Scratch, arguments: &[&str]) -> Run {
    scrim(world.root(), ["contract", "new"].iter().chain(arguments))
}

const CONFIG: [&str; 2] = ["--config", "scrim.yaml"];

/// Drafts a contract of a table into the world's policies.
fn add(world: &Scratch, from: &str, table: &str) -> String {
    let path = format!("policies/contracts/{table}.odcs.yaml");
    let arguments = ["--from", from, "--table", table, "--out", &path];
    let arguments: Vec<&str> = arguments.into_iter().chain(CONFIG).collect();
    new(world, &arguments).good();
    fs::read_to_string(world.path(&path)).unwrap()
}

#[test]
fn a_draft_loads_and_shows_nothing() {
    let world = Scratch::demo();
    let people = add(&world, "data/patients.parquet", "people");
    let stays = add(&world, "data/visits/*.parquet", "stays");
    let bills = add(&world, "data/claims.parquet", "bills");
    let partners = add(&world, "lookups/entitlements.csv", "partners");
    for (text, words) in [
        (
            &people,
            &[
                "environment: demo",
                "path: data/patients.parquet",
                "named like a national identity number",
                "named like an e-mail address; ",
                "contact.email: {mask: email}",
                "look like IP addresses",
            ][..],
        ),
        (
            &stays,
            &["path: \"data/visits/*.parquet\"", "notes: hidden"],
        ),
        (&bills, &["look like IBANs", "physicalType: DECIMAL(12,2)"]),
        (&partners, &["format: csv"]),
    ] {
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("canary"), "{text}");
        assert!(text.ends_with("          default: hidden\n"), "{text}");
    }
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
    assert!(
        said.contains("public.people") && said.contains("public.stays"),
        "{said}"
    );
    // nobody has an agreement, and the profile shows nothing to who would have one
    let sql = "SELECT * FROM public.people";
    let said = scrim(world.root(), ["explain", "--as", "nora", sql]).good();
    assert!(!said.contains("Shown to nora"), "{said}");
}

/// The masks that a draft proposes fit their columns.
#[test]
fn the_hints_of_a_draft_load() {
    let world = Scratch::demo();
    for (from, table) in [
        ("data/patients.parquet", "people"),
        ("data/visits/*.parquet", "stays"),
        ("data/claims.parquet", "bills"),
    ] {
        let text = add(&world, from, table);
        let hinted = text.replace("          # columns:", "          columns:");
        let hinted = hinted.replace("          #   ", "            ");
        assert!(hinted.matches("{mask: ").count() > 2, "{text}");
        world.write(&format!("policies/contracts/{table}.odcs.yaml"), &hinted);
    }
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(said.contains("in order;"), "{said}");
}

#[test]
fn a_draft_goes_to_standard_output_and_never_over_a_file() {
    let world = Scratch::demo();
    let from = ["--from", "data/claims.parquet"];
    let text = new(&world, &from).good();
    assert!(text.contains("id: claims\n"), "{text}");
    // without a configuration there is no environment to name
    assert!(!text.contains("environment"), "{text}");
    let out = ["--from", "data/claims.parquet", "--out", "claims.yaml"];
    let said = new(&world, &out).good();
    assert!(said.contains("claims.yaml"), "{said}");
    assert_eq!(fs::read_to_string(world.path("claims.yaml")).unwrap(), text);
    world.write("claims.yaml", "mine");
    let said = new(&world, &out).bad(2);
    assert!(
        said.contains("claims.yaml") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(world.path("claims.yaml")).unwrap(),
        "mine"
    );
    let forced: Vec<&str> = out.into_iter().chain(["--force"]).collect();
    new(&world, &forced).good();
    assert_eq!(fs::read_to_string(world.path("claims.yaml")).unwrap(), text);
}

#[test]
fn inv_15_mistakes_are_told_without_what_was_typed_in_secret() {
    let world = Scratch::demo();
    for (arguments, code, words) in [
        (
            &["--from", "data/none.parquet"][..],
            1,
            &["none.parquet"][..],
        ),
        (&["--from", "lookups/entitlements"], 1, &["entitlements"]),
        (&["--from", "ftp://sesame/a"], 2, &["s3://"]),
        (
            &["--from", "postgres://u:sesame@h/d", "--table", "t"],
            2,
            &["PGPASSWORD"],
        ),
        (&["--from", "postgres://u@h/d"], 2, &["--table"]),
        (
            &["--from", "data/claims.parquet", "--schema", "x"],
            2,
            &["--schema"],
        ),
        (&["--from", "data/claims.parquet", "--force"], 2, &["--out"]),
        (
            &["--from", "data/claims.parquet", "--config", "no.yaml"],
            2,
            &["no.yaml"],
        ),
        (&[], 2, &["--from"]),
    ] {
        let said = new(&world, arguments).bad(code);
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("sesame"), "{said}");
    }
}
