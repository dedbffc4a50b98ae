//! What tests touch and what they do not, and documents that show values beside what is shown of them.

use std::collections::BTreeSet;

use scrim_model::{Context, SessionSettings};

use super::{World, alice, claims, noon};
use crate::{Coverage, Part, Verdict, beside_raw, raw_name};

const ACCESS: &str = "purposes: [research]
guards:
  - {id: legal-hold, rows: NOT legal_hold}
  - {id: by-day, when: context.hour >= 6}
profiles:
  narrow:
    rows: region = 'EU'
    columns: {claim_id: clear, contact: clear, contact.city: hidden, amount: {mask: round, to: 100}}
    tagged: {identifier: hidden}
    default: hidden
  unused: {default: clear}";

fn world() -> World {
    World::new()
        .contract(ACCESS)
        .agreement("a", "narrow", "when: context.hour < 20\nconsumer: {organisation: acme, who: \"array_has(principal.groups, 'analyst')\"}")
        .agreement("old", "narrow", "status: ended")
}

fn missing(coverage: &Coverage) -> Vec<String> {
    let points = coverage.points().into_iter();
    let missing = points.filter(|point| !point.touched);
    missing.map(|point| point.missing.clone()).collect()
}

#[test]
fn what_no_test_touches_is_listed_in_the_order_of_the_files() {
    let coverage = Coverage::of(&world().documents());
    let missing = missing(&coverage);
    assert_eq!(
        missing,
        [
            "nobody uses the agreement a",
            "`when` of a keeps nobody out",
            "`who` of a keeps nobody of its organisation out",
            "nobody asks under the agreement old, which is ended",
            "`rows` of the guard legal-hold of claims keep no row in any test",
            "`rows` of the guard legal-hold of claims hide no row in any test",
            "`when` of the guard by-day of claims lets nobody in",
            "`when` of the guard by-day of claims closes the table for nobody",
            "`rows` of the profile narrow of claims keep no row in any test",
            "`rows` of the profile narrow of claims hide no row in any test",
            "nobody reads `claim_id` under the profile narrow of claims",
            "nobody reads `contact` under the profile narrow of claims",
            "nobody reads `contact.city` under the profile narrow of claims",
            "nobody reads `amount` under the profile narrow of claims",
            "nobody misses a column tagged `identifier` under the profile narrow of claims",
            "nobody misses a column of `default` under the profile narrow of claims",
        ]
    );
    assert_eq!(coverage.share(Part::Columns), (0, 6));
}

#[test]
fn decisions_and_counts_touch_what_they_rest_on() {
    let mut coverage = Coverage::of(&world().documents());
    let set = world().compile().unwrap().0;
    let settings = SessionSettings::default();
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let (nobody, mut outsider) = (names(&[]), alice());
    outsider.groups.clear();

    let at = |hour: u32| {
        let mut context = Context::at(noon());
        context.time = context
            .time
            .date_naive()
            .and_hms_opt(hour, 0, 0)
            .unwrap()
            .and_utc();
        context
    };
    let shown = set.decide(&alice(), &at(12), &settings, &claims());
    assert_eq!(shown.verdict, Verdict::Shown);
    coverage.decided(&shown);
    coverage.looked_at(
        &shown,
        &names(&["claim_id", "contact"]),
        &names(&["patient_id"]),
    );
    let filter = &shown.arms[0].rows.as_ref().unwrap().location;
    assert!(!coverage.is_counted(filter));
    coverage.counted(filter, 10, 3);
    assert!(coverage.is_counted(filter));

    coverage.decided(&set.decide(&outsider, &at(12), &settings, &claims()));
    coverage.decided(&set.decide(&alice(), &at(22), &settings, &claims()));
    let closed = set.decide(&alice(), &at(3), &settings, &claims());
    coverage.decided(&closed);
    // what a refused statement names was not read
    coverage.looked_at(&closed, &names(&["amount"]), &nobody);
    assert_eq!(
        missing(&coverage),
        [
            "`rows` of the guard legal-hold of claims keep no row in any test",
            "`rows` of the guard legal-hold of claims hide no row in any test",
            "nobody reads `amount` under the profile narrow of claims",
            "nobody misses a column of `default` under the profile narrow of claims",
        ]
    );
}

#[test]
fn documents_can_show_values_beside_what_is_shown_of_them() {
    let world = world();
    let documents = beside_raw(&world.documents());
    let contract = documents.contracts().next().unwrap();
    let twins = contract
        .properties
        .iter()
        .filter(|one| one.name.starts_with("__raw_"));
    assert_eq!(twins.count() * 2, contract.properties.len());
    let named = contract
        .properties
        .iter()
        .find(|one| one.name == raw_name("patient_id"));
    assert_eq!(named.unwrap().physical_name, "patient_id");
    assert_eq!(named.unwrap().tags, Vec::<String>::new());
}

#[test]
fn a_part_of_the_documents_has_the_agreements_of_its_contracts() {
    let documents = world().documents();
    assert_eq!(documents.only(|_| true).agreements().count(), 2);
    let none = documents.only(|contract| contract.id == "other");
    assert_eq!(
        (none.contracts().count(), none.agreements().count()),
        (0, 0)
    );
}
