//! When a decision stops to stand, and that nothing else ends it.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use scrim_model::{Context, SessionSettings, Value};

use super::{World, agreement, alice, claims, contract, noon};
use crate::PolicySet;

const ACCESS: &str = "purposes: [research]
guards:
  - {id: hold, rows: NOT legal_hold}
  - {id: day, when: context.hour < 20}
profiles:
  p:
    rows: region = 'EU'
    columns: {claim_id: clear, region: clear, amount: {mask: round, to: 10}}
  q: {columns: {claim_id: clear}}";

fn world(access: &str, agreements: &[(&str, &str, &str)]) -> World {
    let world = World::new().contract(access);
    agreements.iter().fold(world, |world, (id, profile, more)| {
        world.agreement(id, profile, more)
    })
}

fn set(access: &str, agreements: &[(&str, &str, &str)]) -> PolicySet {
    let compiled = world(access, agreements).compile();
    compiled.unwrap_or_else(|problems| panic!("{problems}")).0
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-06-{time}Z").parse().unwrap()
}

/// Why what the first set shows at noon does not stand under the second at a later time.
fn lapsed(before: &PolicySet, after: &PolicySet, now: DateTime<Utc>) -> Option<String> {
    lapsed_in(before, after, &Context::at(noon()), now)
}

fn lapsed_in(
    before: &PolicySet,
    after: &PolicySet,
    context: &Context,
    now: DateTime<Utc>,
) -> Option<String> {
    let (principal, settings) = (alice(), SessionSettings::default());
    let start = Context {
        revoked: [].into(),
        ..context.clone()
    };
    let decided = before.decide(&principal, &start, &settings, &claims());
    after.lapsed(&decided, &principal, context, &settings, now)
}

#[test]
fn each_change_that_matters_ends_it_with_its_reason() {
    let one = [("a", "p", "")];
    let before = set(ACCESS, &one);
    let noon = noon();
    let cases: Vec<(PolicySet, DateTime<Utc>, &str)> = vec![
        (
            set(ACCESS, &[("a", "p", "status: ended")]),
            noon,
            "the agreement `a` does not match any more: it is ended (agreements/a.yaml:8:9)",
        ),
        (
            set(ACCESS, &[]),
            noon,
            "the agreement `a` is not there any more",
        ),
        (
            set(ACCESS, &[("a", "p", ""), ("b", "q", "")]),
            noon,
            "the agreement `b` matches now",
        ),
        (
            set(ACCESS, &[("a", "q", "")]),
            noon,
            "scrim.insurance.claims is shown otherwise: other profiles or purposes",
        ),
        (
            set(&ACCESS.replace("to: 10", "to: 100"), &one),
            noon,
            "other columns or masks",
        ),
        (
            set(&ACCESS.replace("'EU'", "'UK'"), &one),
            noon,
            "other rows",
        ),
        (
            set(
                &ACCESS.replace(
                    "columns: {claim_id: clear, region",
                    "limits: {max_rows: 1}\n    columns: {claim_id: clear, region",
                ),
                &one,
            ),
            noon,
            "other limits",
        ),
        (
            set(ACCESS, &one),
            at("03T20:00:00"),
            "the guard `day` closes the table (contracts/claims.odcs.yaml:",
        ),
        (
            World::new().set(),
            noon,
            "scrim.insurance.claims is not served any more",
        ),
    ];
    for (after, now, reason) in cases {
        let told = lapsed(&before, &after, now).unwrap();
        assert!(told.contains(reason), "{told} instead of {reason}");
    }
}

#[test]
fn an_agreement_ends_with_its_day_its_when_and_its_revocation() {
    let day = set(ACCESS, &[("a", "p", "end: 2026-06-03")]);
    assert_eq!(lapsed(&day, &day, at("03T19:59:59")), None);
    let night = set(
        &ACCESS.replace("< 20", "< 25"),
        &[("a", "p", "end: 2026-06-03")],
    );
    assert_eq!(lapsed(&night, &night, at("03T23:59:59")), None);
    let told = lapsed(&night, &night, at("04T00:00:00")).unwrap();
    assert!(told.contains("it ended on 2026-06-03"), "{told}");

    let hours = set(ACCESS, &[("a", "p", "when: context.hour <= 15")]);
    assert_eq!(lapsed(&hours, &hours, at("03T15:59:59")), None);
    let told = lapsed(&hours, &hours, at("03T16:00:00")).unwrap();
    assert!(told.contains("`when` is not true"), "{told}");

    let two = set(ACCESS, &[("a", "p", ""), ("b", "q", "")]);
    for (revoked, ends) in [("a", true), ("b", true), ("c", false)] {
        let context = Context {
            revoked: [(revoked.to_owned(), noon())].into(),
            ..Context::at(noon())
        };
        let told = lapsed_in(&two, &two, &context, noon());
        assert_eq!(told.is_some(), ends, "{told:?}");
        let said = told.is_none_or(|told| told.contains("it was revoked at 2026-06-03T12:00:00Z"));
        assert!(said);
    }
}

#[test]
fn a_row_filter_keeps_the_time_of_the_start_until_it_admits_nothing() {
    let with = |rule: &str| {
        let access = ACCESS
            .replace("region = 'EU'", rule)
            .replace("< 20", "< 25");
        set(&access, &[("a", "p", "")])
    };
    let later = |rule: &str, time: &str| lapsed(&with(rule), &with(rule), at(time));
    for rule in [
        "visited < context.time",
        "region = 'EU' AND context.hour >= 6",
        "context.weekday < 9 OR region = 'EU'",
        "score > 1 OR context.time < TIMESTAMP '2026-06-03T15:00:00'",
    ] {
        assert_eq!(later(rule, "03T16:00:00"), None, "{rule}");
    }
    for rule in [
        "region = 'EU' AND context.hour < 16",
        "region = 'EU' AND context.time < TIMESTAMP '2026-06-03T16:00:00'",
        "region = 'EU' AND context.hour >= 16",
    ] {
        assert_eq!(later(rule, "03T15:59:59"), None, "{rule}");
        assert!(later(rule, "03T16:00:00").is_some(), "{rule}");
    }
}

/// Neither where something stands, nor how a file is written, nor what others have.
#[test]
fn a_change_that_shows_the_same_ends_nothing() {
    let before = set(ACCESS, &[("a", "p", "")]);
    let others = "consumer: {organisation: globex, who: true}";
    let world = |files: [(&str, String); 2]| {
        let world = World::new();
        files
            .into_iter()
            .fold(world, |world, (path, text)| world.file(path, &text))
            .set()
    };
    let harmless = [
        set(ACCESS, &[("a", "p", "end: 2099-12-31")]),
        set(ACCESS, &[("a", "p", "start: 2020-01-01")]),
        set(ACCESS, &[("a", "p", "when: context.hour < 15")]),
        set(ACCESS, &[("a", "p", ""), ("b", "q", others)]),
        set(ACCESS, &[("a", "p", ""), ("b", "q", "status: suspended")]),
        set(&ACCESS.replace("< 20", "< 19"), &[("a", "p", "")]),
        set(
            &ACCESS.replace("q: {columns", "r: {default: clear}\n  q: {columns"),
            &[("a", "p", "")],
        ),
        world([
            (
                "contracts/deep/other.odcs.yaml",
                format!("# a comment\n\n{}", contract(ACCESS)),
            ),
            (
                "agreements/moved.yaml",
                format!("# why\n{}", agreement("a", "p", "")),
            ),
        ]),
    ];
    for after in harmless {
        assert_ne!(after.version(), before.version());
        assert_eq!(lapsed(&before, &after, noon()), None);
        assert_eq!(lapsed(&before, &after, at("03T14:00:00")), None);
    }
}

/// Rules over columns, over what changes by itself, and over both.
const RULES: [&str; 8] = [
    "region = 'EU'",
    "visited < context.time",
    "visited > context.time - INTERVAL '1 day'",
    "context.hour <= 24 AND region = 'UK'",
    "context.weekday IN (1, 2, 3) OR score > 0.5",
    "principal.auth_age >= 0 OR region = 'US'",
    "principal.clearance >= 2",
    "true",
];

fn with_rules(rules: &[usize], guard: usize) -> PolicySet {
    let mut access = format!(
        "purposes: [research]\nguards:\n  - {{id: g, rows: \"{}\"}}\nprofiles:\n",
        RULES[guard]
    );
    for (index, rule) in rules.iter().enumerate() {
        let rule = RULES[*rule];
        let profile = format!("  p{index}: {{rows: \"{rule}\", default: clear}}\n");
        access.push_str(&profile);
    }
    let mut world = World::new().contract(&access);
    for index in 0..rules.len() {
        world = world.agreement(&format!("a{index}"), &format!("p{index}"), "");
    }
    let compiled = world.compile();
    compiled.unwrap_or_else(|problems| panic!("{problems}")).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn inv_02_deciding_again_under_the_same_policies_ends_nothing(
        rules in prop::collection::vec(0..RULES.len(), 1..4),
        guard in 0..RULES.len(),
        later_s in 0i64..40_000_000,
        signed_in in any::<bool>(),
        clearance in 0i64..4,
    ) {
        let (one, again) = (with_rules(&rules, guard), with_rules(&rules, guard));
        let mut principal = alice();
        principal.authenticated_at = signed_in.then(noon);
        principal.attributes.insert("clearance".to_owned(), Value::Int64(clearance));
        let (context, settings) = (Context::at(noon()), SessionSettings::default());
        let decided = one.decide(&principal, &context, &settings, &claims());
        let now = noon() + TimeDelta::seconds(later_s);
        for set in [&one, &again] {
            let lapsed = set.lapsed(&decided, &principal, &context, &settings, now);
            prop_assert_eq!(lapsed, None);
        }
    }
}
