//! The committed policies, and broken ones: every problem at once, with its place and a hint.

use scrim::local::Bench;
use scrim::outcome::Failure;
use scrim::policy_test::{CaseResult, Difference, Options, run};
use scrim_document::Problems;
use scrim_engine::{Engine, EngineConfig, EngineLimits};
use scrim_ledger::Ledger;
use scrim_server::{Server, StartError};

use crate::kit::{Local, Scratch, TestClock, load_policies};

/// What loading says, of mistakes in documents or of a source that does not fit; it must not go
/// well.
async fn problems(world: &Scratch) -> Problems {
    load_problems(world).await.expect("problems, but it loads")
}

async fn load_problems(world: &Scratch) -> Option<Problems> {
    let config = world.config();
    let clock = TestClock::noon();
    let scratch = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(scratch.path(), clock.clone()).unwrap();
    let settings = EngineConfig {
        memory_bytes: 64 << 20,
        spill_dir: scratch.path().join("spill"),
        partitions: 1,
        limits: EngineLimits::default(),
    };
    let engine = Engine::new(settings, ledger, clock).unwrap();
    match load_policies(&config, &engine).await {
        Ok(loaded) => {
            let left_out = loaded.left_out.into_iter().next()?;
            assert!(loaded.world.policy.table(&left_out.table).is_none());
            Some(left_out.problems)
        }
        Err(problems) => Some(problems),
    }
}

#[tokio::test]
async fn the_committed_policies_load_without_a_warning() {
    // `Local::start` asserts that there is none
    let local = Local::demo().await;
    let names: Vec<String> = local
        .policy
        .tables()
        .map(|table| table.name.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "scrim.care.patients",
            "scrim.care.visits",
            "scrim.insurance.claims"
        ]
    );
    assert_eq!(local.policy.version().len(), 64);
}

/// Runs the policy tests of a world, as `scrim policy test` does.
async fn policy_tests(world: &Scratch, only: Option<&str>) -> Vec<CaseResult> {
    let bench = Bench::new(world.config()).unwrap_or_else(|failure| panic!("{failure:?}"));
    let options = Options {
        only,
        coverage: false,
    };
    let run = run(&bench, options).await;
    let run = run.unwrap_or_else(|failure| panic!("{failure:?}"));
    run.files.into_iter().flat_map(|file| file.cases).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_committed_policy_tests_pass() {
    let results = policy_tests(&Scratch::demo(), None).await;
    assert!(results.len() > 10, "{}", results.len());
    let failed: Vec<_> = results
        .iter()
        .filter(|result| !result.differences.is_empty())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_test_that_is_wrong_fails() {
    let world = Scratch::demo();
    world.write("policies/tests/wrong.test.yaml", WRONG_TEST);
    let results = policy_tests(&world, Some("wrong")).await;
    let wrong: Vec<bool> = results
        .iter()
        .map(|result| !result.differences.is_empty())
        .collect();
    assert_eq!(wrong, [true, true, true, true, true, false], "{results:#?}");
}

const WRONG_TEST: &str = r"
kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 127.0.0.1}
personas:
  nora: {org: northgate, groups: [analyst]}
cases:
  - name: another value
    as: nora
    sql: SELECT 1
    expect: {rows: [[2]]}
  - name: another number of rows
    as: nora
    sql: SELECT 1
    expect: {row_count: 2}
  - name: another column
    as: nora
    sql: SELECT 1 AS one
    expect: {columns: [two]}
  - name: not refused
    as: nora
    sql: SELECT ward FROM care.patients
    expect: {refused: name-not-found}
  - name: a value that must not be there
    as: nora
    sql: SELECT full_name FROM care.patients WHERE ward = 'Sunroom'
    expect: {never_contains: [Okafor]}
  - name: all well
    as: nora
    sql: SELECT full_name FROM care.patients WHERE ward = 'Sunroom'
    expect: {row_count: 1, columns: [full_name], never_contains: [canary-]}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_do_not_see_what_the_cases_before_them_asked() {
    let world = Scratch::demo();
    world.edit(VISITS, "queries_per_minute: 600", "queries_per_minute: 1");
    world.edit(
        AGREEMENT,
        "purpose: research",
        "purpose: research\nwhen: context.queries_last_hour < 1 AND context.rows_last_day < 1",
    );
    world.write("policies/tests/alone.test.yaml", ALONE_TEST);
    let results = policy_tests(&world, Some("alone.test")).await;
    let differences: Vec<_> = results
        .iter()
        .map(|result| &result.differences[..])
        .collect();
    assert_eq!(differences, [&[] as &[Difference]; 5], "{results:#?}");
}

const ALONE_TEST: &str = r"
kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 127.0.0.1}
personas:
  rolf: {org: meridian, groups: [researcher]}
cases:
  - {name: one, as: rolf, sql: SELECT ward FROM care.patients LIMIT 1, expect: {row_count: 1}}
  - {name: two, as: rolf, sql: SELECT ward FROM care.patients LIMIT 1, expect: {row_count: 1}}
  - {name: three, as: rolf, sql: SELECT ward FROM care.visits LIMIT 1, expect: {row_count: 1}}
  - {name: four, as: rolf, sql: SELECT ward FROM care.visits LIMIT 1, expect: {row_count: 1}}
  - name: who asked much is out
    as: rolf
    context: {queries_last_hour: 1}
    sql: SELECT ward FROM care.patients
    expect: {refused: name-not-found}
";

/// A mistake in a persona is told where the persona stands.
#[tokio::test]
async fn mistakes_in_personas_have_their_place() {
    let world = Scratch::demo();
    let bench = Bench::new(world.config()).unwrap();
    for (persona, column, words) in [
        ("attributes: {height: 180}", 42, "height"),
        ("attributes: {clearance: high}", 45, "whole number"),
        (
            "attributes: {clearance: null}",
            45,
            "an attribute cannot be",
        ),
        ("id: \"a:b\"", 8, "colon"),
    ] {
        let text = ALONE_TEST.replace(
            "groups: [researcher]}",
            &format!("groups: [researcher]}}\n  odd: {{org: lumen, {persona}}}"),
        );
        world.write("policies/tests/odd.test.yaml", &text);
        let run = run(&bench, Options::default()).await;
        let Err(Failure::Problems(problems)) = run else {
            panic!("{persona}: {run:?}");
        };
        let said = problems.to_string();
        let place = format!("odd.test.yaml:7:{column}:");
        assert!(said.contains(&place), "{persona}: {said}");
        assert!(said.contains(words), "{persona}: {said}");
    }
}

const PATIENTS: &str = "policies/contracts/patients.odcs.yaml";
const VISITS: &str = "policies/contracts/visits.odcs.yaml";
const CLAIMS: &str = "policies/contracts/claims.odcs.yaml";
const AGREEMENT: &str = "policies/agreements/meridian-patients.yaml";

/// One mistake: file, what to replace, by what, the place that is told, and words of the message.
type Mistake = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// The place is the last line that holds this text after the edit.
const MISTAKES: &[Mistake] = &[
    (
        PATIENTS,
        "sex: clear\n            zip: clear\n            region: clear\n            ward: clear\n            insurer",
        "sexx: clear\n            zip: clear\n            region: clear\n            ward: clear\n            insurer",
        "sexx: clear",
        &["sexx", "sex"],
    ),
    (
        PATIENTS,
        "NOT legal_hold",
        "NOT leggal_hold",
        "leggal_hold",
        &["leggal_hold"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: CAST(zip AS INT) = 1",
        "CAST(zip",
        &["TRY_CAST"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: 100 / household_income > 1",
        "100 / household",
        &["NULLIF"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: random() > 0.5",
        "random()",
        &["random"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: insurer",
        "rows: insurer",
        &["true or false"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: insurer = principal.no_such",
        "no_such",
        &["no_such"],
    ),
    (
        PATIENTS,
        "rows: insurer = agreement.organisation",
        "rows: \"insurer = \"",
        "insurer = ",
        &[],
    ),
    (
        PATIENTS,
        "{mask: top_code, limit: 150000}",
        "{mask: top_kode, limit: 150000}",
        "top_kode",
        &["top_kode", "top_code"],
    ),
    (
        PATIENTS,
        "{mask: top_code, limit: 150000}",
        "{mask: top_code, limitt: 150000}",
        "limitt",
        &["limitt"],
    ),
    (
        PATIENTS,
        "sex: clear\n            zip: clear\n            region: clear\n            ward: clear\n            insurer",
        "sex: {mask: truncate_date, unit: year}\n            zip: clear\n            region: clear\n            ward: clear\n            insurer",
        "sex: {mask: truncate_date",
        &["truncate_date", "sex"],
    ),
    (
        PATIENTS,
        "contact.phone: {mask: partial",
        "contact.fax: {mask: partial",
        "contact.fax",
        &["fax"],
    ),
    (
        PATIENTS,
        "default: clear",
        "default: open",
        "default: open",
        &["open"],
    ),
    (
        PATIENTS,
        "        owner:\n          default: clear",
        "        owner:\n          release: aggregates\n          default: clear",
        "release: aggregates",
        &["release"],
    ),
    (
        PATIENTS,
        "rows: NOT legal_hold",
        "rows: NOT legal_hold\n        - id: mfa\n          columns: {tagged: direct-identifier}\n          step_up: {acr: mfa, max_age: 15m}",
        "step_up",
        &["step_up"],
    ),
    (
        PATIENTS,
        "      profiles:\n",
        "      exceptions:\n        emergency: {profile: owner, max_duration: 4h}\n      profiles:\n",
        "exceptions",
        &["exceptions"],
    ),
    (
        PATIENTS,
        "      guards:\n",
        "      gards:\n",
        "gards",
        &["gards", "guards"],
    ),
    (
        PATIENTS,
        "      - name: household_income\n",
        "      - name: income\n",
        "",
        &["income"],
    ),
    (
        PATIENTS,
        "path: data/patients.parquet",
        "path: data/nobody.parquet",
        "",
        &["nobody"],
    ),
    (
        PATIENTS,
        "environment: demo",
        "environment: production",
        "",
        &["demo"],
    ),
    (
        PATIENTS,
        "lookup.entitlements",
        "lookup.entitelments",
        "",
        &["entitelments"],
    ),
    (
        VISITS,
        "array_has(context.network, 'trusted')",
        "array_has(context.network, 'trustd')",
        "trustd",
        &["trustd"],
    ),
    (
        VISITS,
        "ip_in(context.ip, '10.20.0.0/16')",
        "ip_in(context.ip, '10.20.0.0/99')",
        "10.20.0.0/99",
        &["10.20.0.0/99"],
    ),
    (CLAIMS, "id: claims\n", "id: visits\n", "", &["visits"]),
    (
        AGREEMENT,
        "id: patients",
        "id: pacients",
        "pacients",
        &["pacients", "patients"],
    ),
    (
        AGREEMENT,
        "profile: research",
        "profile: resarch",
        "resarch",
        &["resarch", "research"],
    ),
    (
        AGREEMENT,
        "purpose: research",
        "purpose: marketing",
        "marketing",
        &["marketing"],
    ),
    (
        AGREEMENT,
        "status: active",
        "status: on",
        "status: on",
        &["on", "active"],
    ),
    (
        AGREEMENT,
        "start: 2024-01-01",
        "start: 2024-13-01",
        "2024-13-01",
        &["2024-13-01"],
    ),
    (
        AGREEMENT,
        "start: 2024-01-01",
        "start: 2100-01-01",
        "",
        &["start"],
    ),
    (
        AGREEMENT,
        "id: meridian-patients",
        "id: meridian-visits",
        "",
        &["meridian-visits"],
    ),
    (
        AGREEMENT,
        "purpose: research",
        "purpos: research",
        "purpos:",
        &["purpos", "purpose"],
    ),
    (
        AGREEMENT,
        "principal.org = 'meridian'",
        "principal.org = region",
        "= region",
        &["region"],
    ),
    (AGREEMENT, "who:", "who: 'true'\n  who:", "", &["who"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_03_inv_09_each_mistake_closes_the_table_and_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (file, from, to, place, words) in MISTAKES {
        let world = Scratch::demo();
        world.edit(file, from, to);
        let Some(said) = load_problems(&world).await else {
            wrong.push(format!("{file}: {to}\n    loads"));
            continue;
        };
        let said = said.to_string();
        let text = std::fs::read_to_string(world.path(file)).unwrap();
        let located = match text
            .lines()
            .position(|line| !place.is_empty() && line.contains(place))
        {
            Some(line) => said.contains(&format!(
                "{}:{}:",
                file.rsplit('/').next().unwrap(),
                line + 1
            )),
            None => said.contains(".yaml:"),
        };
        let worded = words.iter().all(|word| said.contains(word));
        if !located || !worded {
            wrong.push(format!("{file}: {to}\n    says: {said}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MISTAKES.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn all_problems_of_all_files_are_told_at_once() {
    let world = Scratch::demo();
    // what the documents alone show; what the sources show comes once these are mended
    world.edit(
        PATIENTS,
        "{mask: top_code, limit: 150000}",
        "{mask: top_kode, limit: 150000}",
    );
    world.edit(PATIENTS, "      guards:\n", "      gards:\n");
    world.edit(VISITS, "length: 3", "lenght: 3");
    world.edit(AGREEMENT, "status: active", "status: on");
    let said = problems(&world).await;
    let text = said.to_string();
    for word in ["top_kode", "gards", "lenght", "`on`"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    for file in [
        "patients.odcs.yaml:",
        "visits.odcs.yaml:",
        "meridian-patients.yaml:",
    ] {
        assert!(text.contains(file), "{file} is missing:\n{text}");
    }
    let picture = said.render();
    assert!(picture.contains("top_kode") && picture.lines().count() > text.lines().count());
}

#[tokio::test]
async fn all_problems_against_the_sources_are_told_at_once() {
    let world = Scratch::demo();
    world.edit(PATIENTS, "NOT legal_hold", "NOT leggal_hold");
    world.edit(
        VISITS,
        "rows: payer = agreement.organisation",
        "rows: cost / length_of_stay > 1",
    );
    world.edit(
        CLAIMS,
        "rows: provider = agreement.organisation",
        "rows: provider = principal.no_such",
    );
    world.edit(
        AGREEMENT,
        "principal.org = 'meridian'",
        "principal.org = no_such_name",
    );
    let text = problems(&world).await.to_string();
    for word in ["leggal_hold", "NULLIF", "principal.no_such", "no_such_name"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[tokio::test]
async fn a_server_does_not_start_with_broken_policies() {
    let world = Scratch::demo();
    world.edit(AGREEMENT, "profile: research", "profile: resarch");
    match Server::start(world.config(), TestClock::noon()).await {
        Err(StartError::Problems(problems)) => {
            let text = problems.to_string();
            assert!(text.contains("resarch"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_folder_is_no_policy_set_and_an_empty_one_shows_nothing() {
    let world = Scratch::demo();
    std::fs::remove_dir_all(world.path("policies")).unwrap();
    let said = problems(&world).await.to_string();
    assert!(said.contains("contracts"), "{said}");
    std::fs::create_dir_all(world.path("policies/contracts")).unwrap();
    let local = Local::start(&world).await;
    let visible = local.engine.visible(&local.usual("nora")).await.unwrap();
    assert!(visible.is_empty(), "{visible:?}");
}

#[tokio::test]
async fn inv_10_break_glass_offers_are_refused_not_ignored() {
    let world = Scratch::demo();
    let offer = "      exceptions:\n        emergency-care:\n          profile: owner\n          reason: required\n          max_duration: 4h\n      profiles:\n";
    world.edit(VISITS, "      profiles:\n", offer);
    let said = problems(&world).await.to_string();
    assert!(
        said.contains("exceptions") && said.contains("visits.odcs.yaml:"),
        "{said}"
    );
}
