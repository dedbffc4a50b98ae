//! Claims about whole policy sets, against what they decide of many requests.

use proptest::prelude::*;
use scrim_model::{Context, Principal, PrincipalKind, SessionSettings, Value};

use super::change;
use crate::compare::{Width, sets};
use crate::tests::{World, alice, claims, noon};
use crate::{PolicySet, Verdict};

/// Conditions of the principal and the request.
const ATOMS: &[&str] = &[
    "principal.clearance >= 2",
    "principal.clearance > 2",
    "NOT principal.clearance > 2",
    "principal.clearance IN (1, 3)",
    "principal.kind = 'human'",
    "principal.kind <> 'human'",
    "principal.kind IN ('service', 'agent')",
    "principal.org = 'acme'",
    "principal.home = 'EU'",
    "principal.home LIKE 'E%'",
    "array_has(principal.groups, 'analyst')",
    "context.hour BETWEEN 8 AND 18",
    "(context.hour >= 22 OR context.hour < 5)",
    "context.hour < 24",
    "context.device_trusted",
    "context.risk < 3",
    "true",
];

/// Rules of rows that ask for the principal or the agreement, too.
const ROWS: &[&str] = &[
    "region = 'EU'",
    "region = principal.home",
    "array_has(agreement.regions, region)",
    "principal.clearance > 1",
    "claim_id > principal.clearance",
    "claim_id > 1",
    "NOT legal_hold",
];

fn condition(atoms: &'static [&'static str]) -> impl Strategy<Value = String> {
    let atom = prop::sample::select(atoms).prop_map(str::to_owned);
    atom.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("(NOT {a})")),
        ]
    })
}

fn world(guard: &str, who: &str, when: &str, rows: &str, regions: &str) -> PolicySet {
    let access = format!(
        "purposes: [research]\nguards: [{{id: g, when: \"{guard}\"}}]\n\
         profiles: {{p: {{rows: \"{rows}\", default: clear}}}}"
    );
    let more = format!(
        "consumer: {{organisation: acme, who: \"{who}\"}}\nwhen: \"{when}\"\n\
         parameters: {{regions: {regions}}}"
    );
    let world = World::new().contract(&access).agreement("a", "p", &more);
    world
        .compile()
        .map_err(|problems| problems.to_string())
        .unwrap()
        .0
}

/// All combinations of a few circumstances, the unknown among them.
fn requests() -> Vec<(Principal, Context)> {
    let mut requests = Vec::new();
    for clearance in [None, Some(1), Some(2), Some(3)] {
        for home in [None, Some("EU"), Some("EU-W"), Some("UK")] {
            for (kind, groups) in [
                (PrincipalKind::Human, vec!["analyst".to_owned()]),
                (PrincipalKind::Service, Vec::new()),
                (PrincipalKind::Agent, Vec::new()),
            ] {
                for hour in [3, 12, 23] {
                    for (trusted, risk) in
                        [(None, None), (Some(true), Some(1)), (Some(false), Some(9))]
                    {
                        let mut principal = alice();
                        (principal.kind, principal.groups) = (kind, groups.clone());
                        principal.attributes.clear();
                        let clearance = clearance.map(Value::Int64);
                        let home = home.map(|home| Value::Text(home.to_owned()));
                        for (name, value) in [("clearance", clearance), ("home", home)] {
                            principal
                                .attributes
                                .extend(value.map(|value| (name.to_owned(), value)));
                        }
                        let mut context = Context::at(noon() + chrono::TimeDelta::hours(hour - 12));
                        (context.device_trusted, context.risk) = (trusted, risk);
                        requests.push((principal, context));
                    }
                }
            }
        }
    }
    requests
}

/// For each request, whether the table is shown.
fn shown(set: &PolicySet) -> Vec<bool> {
    let settings = SessionSettings::default();
    let requests = requests().into_iter();
    requests
        .map(|(principal, context)| {
            let decision = set.decide(&principal, &context, &settings, &claims());
            decision.verdict == Verdict::Shown
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_claim_about_requests_is_wrong(
        old in [condition(ATOMS), condition(ATOMS), condition(ATOMS)],
        new in [condition(ATOMS), condition(ATOMS), condition(ATOMS)],
    ) {
        let build = |[guard, who, when]: &[String; 3]| world(guard, who, when, "true", "[EU]");
        let (one, other) = (build(&old), build(&new));
        let (before, after) = (shown(&one), shown(&other));
        let within = |one: &[bool], other: &[bool]| one.iter().zip(other).all(|(a, b)| !a || *b);
        let claim = sets(&one, &other).width();
        let holds = match claim {
            Width::Equal => before == after,
            Width::Wider => within(&before, &after),
            Width::Narrower => within(&after, &before),
            Width::Incomparable | Width::Unknown => true,
        };
        prop_assert!(holds, "{:?} | {:?}: {}", old, new, claim);
        prop_assert_eq!(sets(&other, &one).width(), claim.reversed());
        prop_assert_eq!(sets(&one, &one).tables, []);
    }

    #[test]
    fn what_no_set_widens_no_decision_does(old in condition(ROWS), new in condition(ROWS), less in any::<bool>()) {
        let regions = if less { "[EU]" } else { "[EU, UK]" };
        let (one, other) = (
            world("true", "true", "true", &old, "[EU, UK]"),
            world("true", "true", "true", &new, regions),
        );
        let claim = sets(&one, &other).width();
        let settings = SessionSettings::default();
        for (principal, context) in requests().into_iter().step_by(17) {
            let decide = |set: &PolicySet| set.decide(&principal, &context, &settings, &claims());
            let found = crate::compare::decisions((&one, &decide(&one)), (&other, &decide(&other)));
            let decided = found.map_or(Width::Equal, |change| change.width());
            let holds = match claim {
                Width::Equal => decided == Width::Equal,
                Width::Wider => matches!(decided, Width::Equal | Width::Wider),
                Width::Narrower => matches!(decided, Width::Equal | Width::Narrower),
                Width::Incomparable | Width::Unknown => true,
            };
            prop_assert!(holds, "{} | {} {}: {} and {}", old, new, regions, claim, decided);
        }
    }
}

#[test]
fn what_is_sure_of_requests_is_told() {
    let width = |old: [&str; 2], new: [&str; 2]| {
        let build = |[who, when]: [&str; 2]| world("true", who, when, "true", "[EU]");
        sets(&build(old), &build(new)).width()
    };
    let day = "context.hour BETWEEN 8 AND 18";
    for (old, new, expected) in [
        // An agreement is for its organisation, said or not.
        (
            ["principal.org = 'acme'", "true"],
            ["true", "true"],
            Width::Equal,
        ),
        (
            ["true", "context.hour BETWEEN 0 AND 23"],
            ["true", "true"],
            Width::Equal,
        ),
        (
            ["principal.kind <> 'agent'", "true"],
            ["principal.kind IN ('human', 'service')", "true"],
            Width::Equal,
        ),
        (["true", day], ["true", "context.hour >= 8"], Width::Wider),
        (
            ["principal.clearance > 1", "true"],
            ["principal.clearance >= 2", "true"],
            Width::Equal,
        ),
        // What is in the one condition need not be in the other.
        (
            ["principal.clearance > 1", day],
            [day, "principal.clearance > 1"],
            Width::Equal,
        ),
        (
            ["array_has(principal.groups, 'a')", "true"],
            ["array_has(principal.groups, 'b')", "true"],
            Width::Unknown,
        ),
    ] {
        assert_eq!(width(old, new), expected, "{old:?} | {new:?}");
        assert_eq!(width(new, old), expected.reversed(), "{new:?} | {old:?}");
    }
    let one = world("true", "true", "true", "true", "[EU]");
    assert_eq!(change(&one, &one), None);
}
