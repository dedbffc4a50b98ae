//! Test files over a small shop without sources: what passes, what fails, and how it is reported.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use tempfile::TempDir;

use super::report::{self, Report};
use super::{Options, Run, run};
use crate::local::{Bench, read_config};
use crate::outcome::Failure;

/// The folder of the shop's configuration.
fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/policy_test")
}

async fn run_in(folder: &Path, options: Options<'_>) -> Result<Run, Failure> {
    let bench = Bench::new(read_config(&folder.join("scrim.yaml"), None).unwrap())?;
    run(&bench, options).await
}

async fn report() -> Report {
    let options = Options {
        coverage: true,
        ..Options::default()
    };
    let mut run = run_in(&shop(), options).await.unwrap();
    run.took = Duration::from_millis(1_234);
    for case in run.files.iter_mut().flat_map(|file| &mut file.cases) {
        case.took = Duration::from_millis(5);
    }
    Report::new(run, &shop().join("policies"))
}

/// Compares with a file beside the configuration; `SCRIM_BLESS=1` writes it anew. Tokens are made with
/// keys that are made up for each run.
fn golden(name: &str, found: &str) {
    let path = shop().join(name);
    let found = without_tokens(found);
    if std::env::var_os("SCRIM_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let help = "if it should be so: SCRIM_BLESS=1";
    for (number, (was, is)) in (1..).zip(expected.lines().zip(found.lines())) {
        assert_eq!(was, is, "{name}:{number}: {help}");
    }
    assert_eq!(
        expected.lines().count(),
        found.lines().count(),
        "{name}: {help}"
    );
}

fn without_tokens(text: &str) -> String {
    let is_token = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        out.push_str(if is_token(&word) { "TOKEN" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

#[tokio::test]
async fn what_is_as_expected_passes_and_what_is_not_fails() {
    let report = report().await;
    let [good, wrong] = report.files.as_slice() else {
        panic!("{:?}", report.files);
    };
    for case in &good.cases {
        assert!(case.differences.is_empty(), "{case:#?}");
    }
    for case in &wrong.cases {
        assert!(!case.differences.is_empty(), "{case:#?}");
    }
    golden("report.txt", &report::text(&report));
    golden("report.json", &report::json(&report));
    golden("report.xml", &report::junit(&report).unwrap());
}

#[tokio::test]
async fn a_report_for_ci_is_well_formed_and_complete() {
    let report = report().await;
    let xml = report::junit(&report).unwrap();
    let mut reader = Reader::from_str(&xml);
    let (mut open, mut cases, mut failures) = (Vec::new(), 0, 0);
    loop {
        let event = reader.read_event().unwrap();
        if let Event::Start(start) | Event::Empty(start) = &event {
            for attribute in start.attributes() {
                attribute.unwrap().unescape_value().unwrap();
            }
            cases += usize::from(start.name().as_ref() == b"testcase");
            failures += usize::from(start.name().as_ref() == b"failure");
        }
        match event {
            Event::Start(start) => open.push(start.name().as_ref().to_vec()),
            Event::End(end) => assert_eq!(open.pop().unwrap(), end.name().as_ref()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    let (passed, failed) = report.counts();
    assert_eq!(cases, passed + failed);
    let all = report.files.iter().flat_map(|file| &file.cases);
    assert_eq!(
        failures,
        all.map(|case| case.differences.len()).sum::<usize>()
    );
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    assert_eq!(json["failed"], failed);
    assert_eq!(json["files"][0]["cases"].as_array().unwrap().len(), 16);
}

/// The shop in a folder of its own, with one test file.
fn shop_with(test: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["contracts", "agreements", "tests"] {
        std::fs::create_dir_all(folder.path().join("policies").join(part)).unwrap();
    }
    let mut files = vec!["scrim.yaml".to_owned()];
    for part in ["policies/contracts", "policies/agreements"] {
        for entry in std::fs::read_dir(shop().join(part)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.push(format!("{part}/{name}"));
        }
    }
    for file in files {
        std::fs::copy(shop().join(&file), folder.path().join(&file)).unwrap();
    }
    std::fs::write(folder.path().join("policies/tests/one.test.yaml"), test).unwrap();
    folder
}

const HEAD: &str = "kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
personas: {owner: {org: shop, purpose: fulfilment}}
cases: [{name: all, as: owner, sql: SELECT * FROM shop.orders, expect: {row_count: 1}}]
";

async fn problems(test: &str) -> String {
    let folder = shop_with(test);
    match run_in(folder.path(), Options::default()).await {
        Err(Failure::Problems(problems)) => problems.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn mistakes_in_fixtures_have_their_place_and_a_hint() {
    let lookups = "lookups: {entitlements: [{partner: acme, region: EU}]}\n";
    for (fixtures, said) in [
        (
            "tables: {shop.oders: []}",
            "one.test.yaml:6:10: no contract governs a table `shop.oders` (help: did you mean `shop.orders`?)",
        ),
        (
            "tables: {orders: [{order_id: 1, emial: x}]}",
            "one.test.yaml:6:40: the contract has no column `emial` (help: did you mean `email`?)",
        ),
        (
            "tables: {orders: [{order_id: 1}, {order_id: one}]}",
            "one.test.yaml:6:45: row 2: the value of `order_id` is no whole number (Int64)",
        ),
        (
            "tables: {orders: [{ordered_on: tomorrow}]}",
            "the value of `ordered_on` is no date, like 2026-03-02",
        ),
        (
            "tables: {orders: [{customer: 17}]}",
            "`customer`: the column is text, so put the value in quotes",
        ),
        (
            "tables: {orders: [{contact: {fax: x}}]}",
            "`contact`: it has no field `fax`",
        ),
        (
            "tables: {orders: [{region: [EU]}]}",
            "`region`: the column is no array",
        ),
        (
            "tables: {orders: {columns: [order_id, nmae], rows: []}}",
            "the contract has no column `nmae`",
        ),
        (
            "tables: {orders: rows.xlsx}",
            "what is in `rows.xlsx` is not known by its name",
        ),
        ("tables: {orders: rows.csv}", "there is no file at"),
        (
            "tables: {orders: []}\nlookups: {entitlemnts: []}",
            "the configuration names no look-up table `entitlemnts` (help: did you mean `entitlements`?)",
        ),
        (
            "tables: {orders: []}\nlookups: {entitlements: []}",
            "the look-up table has no columns",
        ),
        (
            "tables: {orders: []}\nlookups: {entitlements: [{partner: 1}, {partner: x}]}",
            "the values of `partner` are of different kinds",
        ),
        // what has no fixture comes from its source, which is not there
        (lookups.trim(), "there is no file at"),
    ] {
        let found = problems(&format!("{HEAD}{fixtures}\n")).await;
        assert!(found.contains(said), "{fixtures}: {found}");
    }
    let typeless = shop_with(&format!("{HEAD}tables: {{orders: []}}\n{lookups}"));
    let contract = typeless.path().join("policies/contracts/orders.odcs.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    std::fs::write(
        &contract,
        text.replace("{name: region, logicalType: string}", "{name: region}"),
    )
    .unwrap();
    let Err(Failure::Problems(found)) = run_in(typeless.path(), Options::default()).await else {
        panic!("it runs");
    };
    let found = found.to_string();
    assert!(
        found.contains("column `region` has no logicalType"),
        "{found}"
    );
    assert!(found.contains("add `logicalType` in"), "{found}");
}

#[tokio::test]
async fn rows_may_lie_in_files_beside_the_test() {
    let test = format!(
        "{HEAD}tables: {{orders: {{file: rows.csv}}}}\nlookups: {{entitlements: lists/e.csv}}\n"
    );
    let folder = shop_with(&test);
    let tests = folder.path().join("policies/tests");
    std::fs::create_dir(tests.join("lists")).unwrap();
    // the columns of a file are those of the source
    let rows = "order_id,cust_no,email,region,ordered_on,amount,contact,labels,legal_hold\n";
    let json: Vec<String> = rows
        .trim()
        .split(',')
        .map(|name| format!("\"{name}\": null"))
        .collect();
    std::fs::write(
        tests.join("rows.json"),
        format!("{{{}}}\n", json.join(", ")),
    )
    .unwrap();
    std::fs::write(tests.join("lists/e.csv"), "partner,region\nacme,EU\n").unwrap();
    std::fs::write(
        tests.join("one.test.yaml"),
        test.replace("rows.csv", "rows.json"),
    )
    .unwrap();
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    assert_eq!(run.files[0].cases[0].differences, []);
}

/// What each of the cases of a test file says, in one line each.
async fn told(test: &str) -> Vec<String> {
    let folder = shop_with(test);
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    let cases = run.files.iter().flat_map(|file| &file.cases);
    let differences = cases.flat_map(|case| &case.differences);
    differences.map(|one| one.message.clone()).collect()
}

#[tokio::test]
async fn properties_of_values_that_nobody_sees_do_not_hold() {
    let test = "kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
tables: {orders: [{order_id: 1, region: EU}]}
lookups: {entitlements: [{partner: other, region: EU}]}
personas: {ann: {org: acme, purpose: research, groups: [analyst], attributes: {clearance: 2}}}
cases:
  - name: nothing
    as: ann
    expect:
      sees:
        orders:
          rows: 0
          columns: {emial: hidden, amount: {all_null: true}, region: {never_contains: [x]}, customer: {matches: x}}
";
    assert_eq!(
        told(test).await,
        [
            "the table has no column `emial`, so nothing was looked for; did you mean `email`?",
            "no row shows `amount`, so nothing was compared: add rows",
            "no row shows `region`, so nothing was compared: add rows",
            "no row shows `customer`, so nothing was compared: add rows",
        ]
    );
}

/// Under one agreement a column is masked, under another it is clear on other rows.
#[tokio::test]
async fn a_column_that_is_clear_on_some_rows_is_not_masked() {
    let test = "kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
tables: {orders: [{order_id: 1, amount: 7, region: EU}]}
lookups: {entitlements: [{partner: acme, region: EU}]}
personas: {ann: {org: acme, purpose: research, groups: [analyst], attributes: {clearance: 2}}}
cases:
  - {name: by name, as: ann, expect: {sees: {orders: {columns: {amount: round}}}}}
  - {name: any mask, as: ann, sql: SELECT amount FROM shop.orders, expect: {masks: {amount: masked}}}
  - {name: not clear either, as: ann, sql: SELECT amount FROM shop.orders, expect: {masks: {amount: clear}}}
";
    let folder = shop_with(test);
    let agreements = folder.path().join("policies/agreements");
    let own = std::fs::read_to_string(agreements.join("acme-orders.yaml")).unwrap();
    let other = own
        .replace("id: acme-orders", "id: acme-full")
        .replace("profile: partner", "profile: full");
    std::fs::write(agreements.join("acme-full.yaml"), other).unwrap();
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    for case in &run.files[0].cases {
        let [difference] = case.differences.as_slice() else {
            panic!("{case:?}");
        };
        let said = "it is clear on some rows, and else masked by round";
        assert!(difference.message.ends_with(said), "{difference:?}");
    }
}

#[tokio::test]
async fn an_access_policy_of_its_own_asks_look_up_tables_as_well() {
    let folder = shop_with(&format!(
        "{HEAD}tables: {{orders: [{{order_id: 1}}]}}\nlookups: {{entitlements: [{{partner: acme, region: EU}}]}}\n"
    ));
    let contract = folder.path().join("policies/contracts/orders.odcs.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let parts = scrim_policy::split(&scrim_document::SourceFile::new("orders", text)).unwrap();
    std::fs::write(&contract, parts.contract).unwrap();
    let policy = folder.path().join("policies/contracts/orders.policy.yaml");
    std::fs::write(policy, parts.policy).unwrap();
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    assert_eq!(run.files[0].cases[0].differences, []);
}

#[tokio::test]
async fn tables_and_agreements_that_are_not_there_are_not_denied() {
    for (case, said) in [
        (
            "expect: {denied: [shop.oders]}",
            "no contract governs a table `shop.oders` (help: did you mean `shop.orders`?)",
        ),
        (
            "expect: {sees: {oders: }}",
            "no contract governs a table `oders`",
        ),
        (
            "agreement: own-order, expect: {denied: [orders]}",
            "there is no agreement `own-order` (help: did you mean `own-orders`?)",
        ),
    ] {
        let (head, _) = HEAD.split_once("cases:").unwrap();
        let test = format!("{head}cases: [{{name: x, as: owner, {case}}}]\n");
        let found = problems(&test).await;
        assert!(found.contains(said), "{found}");
    }
}

#[tokio::test]
async fn rows_of_one_table_stand_in_one_place() {
    let found = problems(&format!("{HEAD}tables: {{orders: [], shop.orders: []}}\n")).await;
    assert!(
        found.contains("the rows of `shop.orders` stand here twice"),
        "{found}"
    );
}

/// A test that nobody runs looks like one that passes.
#[tokio::test]
async fn every_document_of_the_folder_is_run_or_refused() {
    let folder = shop_with(&format!("{HEAD}tables: {{orders: []}}\n"));
    let tests = folder.path().join("policies/tests");
    std::fs::create_dir(tests.join("more")).unwrap();
    std::fs::copy(tests.join("one.test.yaml"), tests.join("more/two.test.yml")).unwrap();
    let lookups = "lookups: {entitlements: {columns: [partner, region], rows: []}}\n";
    for file in ["one.test.yaml", "more/two.test.yml"] {
        let text = std::fs::read_to_string(tests.join(file)).unwrap();
        std::fs::write(tests.join(file), text + lookups).unwrap();
    }
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    let paths: Vec<&str> = run.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["tests/more/two.test.yml", "tests/one.test.yaml"]);
    std::fs::write(tests.join("more/three.tests.yaml"), "").unwrap();
    let refused = run_in(folder.path(), Options::default()).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("three.tests.yaml would not be run"),
        "{refused:?}"
    );
}

/// A column of one name in two tables is read where the statement reads it.
#[tokio::test]
async fn what_is_read_of_one_table_is_not_touched_in_another() {
    let test = "kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
tables: {shop.orders: [{order_id: 1, email: a@b.test}], shop.parcels: [{order_id: 1, email: c@d.test}]}
lookups: {entitlements: [{partner: acme, region: EU}]}
personas: {owner: {org: shop, purpose: fulfilment}}
cases:
  - {name: both, as: owner, sql: SELECT o.email FROM shop.orders o JOIN shop.parcels p USING (order_id), expect: {row_count: 1}}
";
    let folder = shop_with(test);
    let policies = folder.path().join("policies");
    let contract = std::fs::read_to_string(policies.join("contracts/orders.odcs.yaml")).unwrap();
    let (head, _) = contract.split_once("customProperties:").unwrap();
    let head = head
        .replace("id: orders", "id: parcels")
        .replace("name: orders", "name: parcels");
    let access = "customProperties:
  - property: accessPolicy
    value:
      purposes: [fulfilment]
      profiles:
        full: {columns: {order_id: clear, email: clear}, default: hidden}
";
    std::fs::write(policies.join("contracts/parcels.odcs.yaml"), head + access).unwrap();
    let own = std::fs::read_to_string(policies.join("agreements/own-orders.yaml")).unwrap();
    let own = own
        .replace("id: own-orders", "id: own-parcels")
        .replace("id: orders", "id: parcels");
    std::fs::write(policies.join("agreements/own-parcels.yaml"), own).unwrap();
    let options = Options {
        coverage: true,
        ..Options::default()
    };
    let run = run_in(folder.path(), options).await.unwrap();
    assert_eq!(run.files[0].cases[0].differences, []);
    let coverage = run.coverage.unwrap();
    let points = coverage.points();
    let touched = |what: &str| {
        points
            .iter()
            .find(|point| point.missing.contains(what))
            .unwrap()
            .touched
    };
    assert!(touched("`order_id` under the profile full of parcels"));
    assert!(!touched("`email` under the profile full of parcels"));
    assert!(!touched(
        "misses a column of `default` under the profile full of parcels"
    ));
}

/// A fixture is a source and nothing more: the same guards and masks stand before its rows.
#[tokio::test]
async fn inv_06_inv_16_a_fixture_cannot_show_more_than_its_source_would() {
    let test = "kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
tables:
  orders:
    - {order_id: 1, customer: canary-customer, email: canary-email, region: EU, contact: {phone: canary-phone}}
    - {order_id: 2, customer: C, email: canary-held, region: EU, legal_hold: true}
    - {order_id: 3, customer: canary-elsewhere, region: UK}
lookups: {entitlements: [{partner: acme, region: EU}]}
personas: {ann: {org: acme, purpose: research, groups: [analyst], attributes: {clearance: 2}}}
cases:
  - {name: all of it, as: ann, sql: SELECT * FROM shop.orders, expect: {row_count: 1, never_contains: [canary-]}}
  - {name: one column, as: ann, sql: SELECT email FROM shop.orders, expect: {refused: name-not-found}}
  - {name: by its source's name, as: ann, sql: SELECT cust_no FROM shop.orders, expect: {refused: name-not-found}}
  - {name: the raw twin, as: ann, sql: SELECT __raw_customer FROM shop.orders, expect: {refused: name-not-found}}
  - {name: the list, as: ann, sql: SELECT * FROM lookup.entitlements, expect: {refused: name-not-found}}
  - {name: a mask is one, as: ann, expect: {sees: {shop.orders: {columns: {customer: {never_shows_input: true}}}}}}
  - {name: still the raw twin, as: ann, sql: SELECT __raw_customer FROM shop.orders, expect: {refused: name-not-found}}
";
    let folder = shop_with(test);
    let run = run_in(folder.path(), Options::default()).await.unwrap();
    for case in &run.files[0].cases {
        assert_eq!(case.differences, [], "{}", case.name);
    }
}
