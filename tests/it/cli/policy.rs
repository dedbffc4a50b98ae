//! `scrim policy` and `scrim explain`.

use super::{Run, scrim};
use crate::kit::{Scratch, golden};

#[test]
fn good_policies_are_in_order_and_their_tests_pass() {
    let world = Scratch::demo();
    let said = scrim(world.root(), ["policy", "check", "policies"]).good();
    assert!(
        said.contains("care.patients") && !said.contains("warning"),
        "{said}"
    );
    assert!(
        scrim(world.root(), ["policy", "check"])
            .good()
            .contains("in order")
    );
    let said = scrim(world.root(), ["policy", "test", "policies"]).good();
    let last = said.lines().last().unwrap();
    assert!(last.contains(" passed, 0 failed, in "), "{said}");
    let some = scrim(
        world.root(),
        ["policy", "test", "policies", "--only", "claims"],
    )
    .good();
    assert!(some.lines().count() < said.lines().count());
    let none = scrim(
        world.root(),
        ["policy", "test", "policies", "--only", "no such case"],
    )
    .bad(1);
    assert!(none.contains("nothing to test"), "{none}");
}

#[test]
fn a_policy_test_that_fails_says_what_differs_and_where() {
    let world = Scratch::demo();
    let text = "kind: PolicyTest\nat: 2026-03-02T10:00:00Z\npersonas:\n  nora: {org: northgate, groups: [analyst]}\n\
                cases:\n  - name: one is two\n    as: nora\n    sql: SELECT 1\n    expect: {rows: [[2]]}\n";
    world.write("policies/tests/wrong.test.yaml", text);
    let run = scrim(
        world.root(),
        ["policy", "test", "policies", "--only", "wrong"],
    );
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.out.contains("one is two") && run.out.contains("wrong.test.yaml:9:"),
        "{}",
        run.out
    );
    assert!(run.out.contains("0 passed, 1 failed"), "{}", run.out);
}

#[test]
fn policy_tests_report_to_files_and_fail_below_a_coverage() {
    let world = Scratch::demo();
    let test = |more: &[&str]| {
        let arguments = ["policy", "test", "policies"].iter().chain(more);
        scrim(world.root(), arguments.copied())
    };
    let said = test(&["--format", "junit", "--out", "report.xml"]).good();
    assert!(said.trim_end().ends_with(" passed, 0 failed"), "{said}");
    let xml = std::fs::read_to_string(world.path("report.xml")).unwrap();
    assert!(
        xml.contains("<testsuite name=\"tests/claims.test.yaml\""),
        "{xml}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&test(&["--format", "json", "--coverage"]).good()).unwrap();
    assert_eq!(
        (&json["failed"], &json["coverage"]["percent"]),
        (&0.into(), &100.into())
    );
    let few = test(&["--only", "claims", "--min-coverage", "90"]).bad(1);
    assert!(few.contains("90 % is asked for"), "{few}");
    world.write(
        "policies/tests/odd.test.yaml",
        "kind: PolicyTest\nat: noon\n",
    );
    assert!(test(&[]).bad(2).contains("`noon` is no time"));
}

#[test]
fn broken_policies_are_shown_with_their_lines() {
    let world = Scratch::demo();
    world.edit(
        "policies/contracts/patients.odcs.yaml",
        "{mask: zip3}",
        "{mask: zipp3}",
    );
    world.edit(
        "policies/agreements/meridian-visits.yaml",
        "status: active",
        "status: on",
    );
    let said = scrim(world.root(), ["policy", "check", "policies"]).bad(2);
    for word in [
        "patients.odcs.yaml:150:",
        "zipp3",
        "zip3",
        "meridian-visits.yaml:",
        "`on`",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    scrim(world.root(), ["policy", "test", "policies"]).bad(2);
    let said = scrim(world.root(), ["policy", "check", "nowhere"]).bad(2);
    assert!(said.contains("nowhere"), "{said}");
    let lonely = Scratch::empty();
    lonely.write("policies/contracts/x.odcs.yaml", "");
    let said = scrim(lonely.root(), ["policy", "check", "policies"]).bad(2);
    assert!(said.contains("--config"), "{said}");
}

const AT: [&str; 2] = ["--at", "2026-03-02T12:00:00Z"];

fn explain(world: &Scratch, arguments: &[&str]) -> Run {
    scrim(world.root(), ["explain"].iter().chain(&AT).chain(arguments))
}

/// What `scrim explain` prints, beside the one in the file.
#[test]
fn decisions_are_explained_in_words_with_file_and_line() {
    let world = Scratch::demo();
    let mut text = String::new();
    for arguments in [
        &[
            "--as",
            "rhea",
            "--purpose",
            "research",
            "SELECT p.ward FROM care.patients p JOIN insurance.claims c ON true",
        ][..],
        &["--as", "ivan", "SELECT * FROM care.visits"],
        &[
            "--as",
            "nora",
            "--ip",
            "203.0.113.9",
            "SELECT * FROM care.visits",
        ],
        &["--as", "luca", "SELECT * FROM insurance.claims"],
        &["--as", "nora", "SELECT * FROM no.such_table"],
    ] {
        text.extend(["$ scrim explain ", &arguments.join(" "), "\n"]);
        text.push_str(&explain(&world, arguments).good());
        text.push('\n');
    }
    let text = text.replace(&world.root().display().to_string(), "FOLDER");
    golden("explain.txt", &text);
    for word in [
        "patients.odcs.yaml:",
        "meridian-study-7",
        "pseudonymize",
        "legal-hold",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn explanations_as_json_and_mistakes() {
    let world = Scratch::demo();
    let json = explain(
        &world,
        &["--json", "--as", "rolf", "SELECT * FROM care.patients"],
    )
    .good();
    let decisions: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(decisions.len(), 1);
    assert!(
        decisions[0]["hash"]
            .as_str()
            .is_some_and(|hash| hash.len() == 64)
    );
    let said = explain(&world, &["--as", "nobody", "SELECT 1 FROM care.patients"]).bad(2);
    assert!(said.contains("nobody") && said.contains("nora"), "{said}");
    explain(&world, &["--as", "nora", "SELECT 1"]).bad(2);
    for (sql, code) in [
        ("SELEC", "sql-syntax"),
        ("DELETE FROM care.patients", "read-only"),
        ("SELECT 1 FROM care.patients; SELECT 2", "statement-refused"),
    ] {
        let said = explain(&world, &["--as", "nora", sql]).bad(2);
        assert!(said.contains(code), "{said}");
    }
}

/// That the contract of a table is closed by its source is not that there is none.
#[test]
fn a_table_whose_source_is_away_is_explained_as_such() {
    let world = Scratch::demo();
    std::fs::remove_file(world.path("data/claims.parquet")).unwrap();
    let run = explain(&world, &["--as", "ivan", "SELECT * FROM insurance.claims"]);
    let said = run.good();
    assert!(
        said.contains("insurance.claims (contract claims)"),
        "{said}"
    );
    assert!(said.contains("Its source is away"), "{said}");
}

/// What is explained is what the server would decide, circumstances included that only it knows.
#[test]
fn explanations_are_the_servers_decisions() {
    let world = Scratch::demo();
    world.edit(
        "policies/agreements/meridian-visits.yaml",
        "purpose: research",
        "purpose: research\nwhen: context.queries_last_hour < 100",
    );
    let said = explain(&world, &["--as", "rolf", "SELECT * FROM care.visits"]).good();
    assert!(said.contains("Shown to rolf"), "{said}");
    // one table by two names
    let sql = "SELECT 1 FROM patients p JOIN care.patients q ON true";
    let said = explain(&world, &["--as", "rolf", sql]).good();
    assert_eq!(said.matches("Shown to rolf").count(), 1, "{said}");
    let day = ["explain", "--at", "2026-03-02", "--as", "rolf", sql];
    scrim(world.root(), day).good();
}

#[test]
fn the_demos_policies_have_no_lints_but_those_with_a_reason() {
    let world = Scratch::demo();
    let said = scrim(world.root(), ["policy", "lint", "--deny", "note"]).good();
    assert!(said.contains("nothing found; 1 silenced"), "{said}");
    let json = scrim(world.root(), ["policy", "lint", "--json"]).good();
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found[0]["name"], "day-kept");
    assert_eq!(found[0]["allowed"], "a bill names the day");
}

#[test]
fn lints_are_told_with_place_and_way_out_and_can_fail_the_command() {
    let world = Scratch::demo();
    world.edit(
        "policies/contracts/patients.odcs.yaml",
        "full_name: {mask: partial, keep_first: 1}",
        "full_name: {mask: partial, keep_first: 6}",
    );
    world.edit(
        "policies/agreements/meridian-visits.yaml",
        "end: 2099-12-31",
        "end: 2026-03-20",
    );
    let lint = |more: &[&str]| {
        let first = ["policy", "lint", "--at", "2026-03-02"];
        scrim(world.root(), first.into_iter().chain(more.iter().copied()))
    };
    let said = lint(&[]).good();
    for part in [
        "contracts/patients.odcs.yaml:126:24: warning: `full_name` in the profile `insurer`",
        "[SCRIM-L030 most-kept]\n    keep fewer characters",
        "agreements/meridian-visits.yaml:",
        "ends in 18 days, on 2026-03-20 [SCRIM-L020 agreement-ends-soon]",
        "2 warnings; 1 silenced",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!lint(&["--within", "17d"]).good().contains("L020"));
    assert_eq!(lint(&["--deny", "warning"]).code, 1);
    let sarif = lint(&["--sarif", "--deny", "warning"]);
    let sarif: serde_json::Value = serde_json::from_str(&sarif.out).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "{results:?}");
    assert_eq!(results[2]["suppressions"][0]["kind"], "inSource");
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    let uri = uri.as_str().unwrap();
    assert!(
        uri.ends_with("policies/agreements/meridian-visits.yaml"),
        "{uri}"
    );
    // `check` warns of the same, whatever the day
    let check = scrim(world.root(), ["policy", "check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.err.contains("SCRIM-L030"), "{check:?}");
    assert!(check.out.contains("2 warnings"), "{check:?}");
}
