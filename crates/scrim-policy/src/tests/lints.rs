//! Each lint with policies that it finds something in, and the same ones mended.

mod cases;

use std::collections::BTreeSet;
use std::time::Duration;

use super::{World, agreement, contract};
use crate::lint::{Circumstances, Finding, LINTS, SILENCING, Uses};
use crate::{Documents, LoadEnv, PolicySet};
use cases::CASES;

/// A policy and its agreements: id, profile, and what is not the usual.
struct Policies {
    access: &'static str,
    agreements: &'static [(&'static str, &'static str, &'static str)],
}

struct Case {
    lint: &'static str,
    bad: Policies,
    good: Policies,
}

const fn policies(
    access: &'static str,
    agreements: &'static [(&'static str, &'static str, &'static str)],
) -> Policies {
    Policies { access, agreements }
}

const ENDS: &str = "end: 2026-12-31";

fn circumstances() -> Circumstances {
    Circumstances {
        today: "2026-06-03".parse().unwrap(),
        ending_days: 30,
        lookup_ages: [("entitlements".to_owned(), Duration::from_hours(24))].into(),
        uses: Some(Uses {
            since: "2026-01-01".parse().unwrap(),
            agreements: BTreeSet::from(["used".to_owned()]),
        }),
    }
}

/// What is found in a policy; the claims' contract belongs to `owner`.
fn found(policies: &Policies) -> Vec<Finding> {
    let text = contract(policies.access)
        .replace("domain: insurance", "domain: insurance\ntenant: owner")
        .replace("tags: [identifier]", "tags: [direct-identifier]")
        .replace("{name: region}", "{name: region, tags: [quasi-identifier]}")
        .replace("{name: score}", "{name: score, classification: PII}");
    let mut world = World::new().file("contracts/claims.odcs.yaml", &text);
    for (id, profile, more) in policies.agreements {
        let text = agreement(id, profile, more);
        world = world.file(&format!("agreements/{id}.yaml"), &text);
    }
    lint(world)
}

fn lint(world: World) -> Vec<Finding> {
    let documents = Documents::parse(world.files.clone()).unwrap_or_else(|e| panic!("{e}"));
    let env = LoadEnv {
        schemas: &world.schemas,
        lookups: &world.lookups,
        unavailable: world.unavailable,
        attributes: &world.attributes,
        networks: BTreeSet::from(["office".to_owned()]),
        functions: super::functions(),
    };
    let compiled = PolicySet::compile(documents.clone(), &env);
    let (set, _) = compiled.unwrap_or_else(|e| panic!("{e}"));
    set.lint(&documents, &circumstances())
}

fn names(findings: &[Finding]) -> Vec<&str> {
    let open = findings.iter().filter(|one| one.allowed.is_none());
    open.map(|one| one.lint.name).collect()
}

#[test]
fn each_lint_finds_what_it_is_for_and_nothing_when_it_is_mended() {
    for Case { lint, bad, good } in CASES {
        let (in_bad, in_good) = (found(bad), found(good));
        assert!(names(&in_bad).contains(lint), "{lint}: {in_bad:#?}");
        assert!(!names(&in_good).contains(lint), "{lint}: {in_good:#?}");
        for finding in in_bad.iter().filter(|one| one.lint.name == *lint) {
            assert!(finding.location.line > 1, "{finding}");
        }
    }
}

#[test]
fn every_lint_has_a_case_and_a_name_of_its_own() {
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.lint).collect();
    let known: BTreeSet<&str> = LINTS.iter().map(|lint| lint.name).collect();
    assert_eq!(cases, known);
    let mut ids: Vec<&str> = LINTS.iter().map(|lint| lint.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), LINTS.len());
}

/// What a comment says, and what is found then.
const COMMENTS: &[(&str, &str, &[&str])] = &[
    ("", "", &["day-kept"]),
    (
        "# scrim: allow day-kept because bills name the day",
        "",
        &[],
    ),
    (
        "",
        "  # scrim: allow SCRIM-L031 because bills name the day",
        &[],
    ),
    (
        "# scrim: allow day-kept because bills name the day\n\n    # and the hour is gone",
        "",
        &[],
    ),
    (
        "# scrim: allow day-kept, small-step because why not",
        "",
        &["allow-unneeded"],
    ),
    ("# scrim: allow day-kept", "", &["allow-wrong", "day-kept"]),
    (
        "# scrim: allow day-kept because",
        "",
        &["allow-wrong", "day-kept"],
    ),
    (
        "# scrim: allow day-keeps because x",
        "",
        &["allow-wrong", "day-kept"],
    ),
    (
        "# scrim: alow day-kept because x",
        "",
        &["allow-wrong", "day-kept"],
    ),
    (
        "# scrim: allow small-step because x",
        "",
        &["allow-unneeded", "day-kept"],
    ),
    (
        "# scrim: allow lookup-old because it may come",
        "",
        &["day-kept"],
    ),
    ("# scrimmage: allow day-kept because x", "", &["day-kept"]),
];

#[test]
fn a_comment_silences_one_lint_at_one_place_and_is_not_forgotten() {
    for (before, behind, expected) in COMMENTS {
        let access = format!(
            "purposes: [research]\nprofiles:\n  p:\n    columns:\n    {before}\n      visited: {{mask: truncate_date, unit: day}}{behind}\n      amount: {{mask: round, to: 5}}"
        );
        let world = World::new().contract(&access).agreement("used", "p", ENDS);
        let findings = lint(world);
        assert_eq!(
            names(&findings),
            *expected,
            "{before}{behind}: {findings:#?}"
        );
        let silenced = findings.iter().filter_map(|one| one.allowed.as_deref());
        assert!(silenced.clone().all(|reason| !reason.is_empty()));
        assert_eq!(
            silenced.count(),
            usize::from(!expected.contains(&"day-kept"))
        );
    }
}

#[test]
fn a_comment_counts_in_an_access_policy_of_its_own() {
    let text = contract("");
    let (bare, _) = text.split_once("customProperties:").unwrap();
    let policy = "contract: claims
purposes: [research]
profiles:
  p:
    columns:
      # scrim: allow day-kept because bills name the day
      visited: {mask: truncate_date, unit: day}
";
    let world = World::new()
        .file("contracts/claims.odcs.yaml", bare)
        .file("contracts/claims.policy.yaml", policy)
        .agreement("used", "p", ENDS);
    let findings = lint(world);
    assert_eq!(names(&findings), Vec::<&str>::new(), "{findings:#?}");
    assert!(findings.iter().any(|one| one.allowed.is_some()));
}

#[test]
fn the_readme_lists_every_lint() {
    let readme = include_str!("../../../../policies/README.md");
    for lint in LINTS.iter().chain(&SILENCING) {
        let finds = lint.finds.split_whitespace().collect::<Vec<_>>().join(" ");
        let row = format!(
            "| `{}` | `{}` | {} | {finds} | {} |",
            lint.id, lint.name, lint.severity, lint.way_out
        );
        assert!(readme.contains(&row), "policies/README.md lacks\n{row}");
    }
    let rows = readme.matches("| `SCRIM-L").count();
    assert_eq!(rows, LINTS.len() + SILENCING.len());
}
