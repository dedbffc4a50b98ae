//! Claims about whole policy sets, against what each request is shown of each row.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use proptest::prelude::*;
use scrim_anonymize::{PathStep, parse_path, type_at};
use scrim_model::{Context, Principal, PrincipalKind, SessionSettings, Value};

use super::laws::{arms_of, world};
use crate::compare::{Width, sets};
use crate::tests::{World, alice, claims, claims_schema, noon};
use crate::{Decision, PolicySet, Showing, Verdict};

/// Rows of profiles and guards.
const ROWS: &[&str] = &[
    "true",
    "region = 'EU'",
    "region IN ('EU', 'UK')",
    "region = principal.home",
    "claim_id > principal.clearance",
    "claim_id >= 2 OR principal.trust = score OR score IN (0.5, 1.5, 2.5, 3.5)",
    "array_has(agreement.regions, region)",
    "score > agreement.least",
    "NOT legal_hold",
    "amount >= 10",
];

/// Rows of guards, which know no agreement.
const GUARDS: &[&str] = &[
    "true",
    "NOT legal_hold",
    "region <> 'US'",
    "claim_id < principal.clearance",
];

const CONDITIONS: &[&str] = &[
    "true",
    "principal.clearance >= 2",
    "principal.clearance > 2",
    "principal.kind = 'human'",
    "array_has(principal.groups, 'analyst')",
    "context.hour BETWEEN 8 AND 18",
    "agreement.least < 1.0",
];

const SHOWN: &[&str] = &[
    "amount: clear",
    "amount: {mask: round, to: 10}",
    "amount: {mask: bucket, width: 10}",
    "amount: {mask: bucket, width: 100}",
    "amount: {mask: 'null'}",
    "amount: hidden",
    "service_date: {mask: truncate_date, unit: year}",
    "service_date: {mask: truncate_date, unit: month}",
    "service_date: {mask: truncate_date, unit: week}",
    "service_date: hidden",
    "contact: clear, contact.phone: {mask: partial, keep_last: 2}",
    "contact: clear, contact.phone: {mask: prefix, length: 1}",
    "contact: hidden, contact.phone: {mask: prefix, length: 3}",
    "contact: clear, contact.phone: hidden",
    "patient_id: {mask: pseudonymize}",
    "patient_id: {mask: partial}",
];

/// What one agreement is, by places in the lists above.
#[derive(Debug, Clone)]
struct Given {
    rows: usize,
    shown: Vec<usize>,
    who: usize,
    when: usize,
    organisation: &'static str,
    purpose: &'static str,
    days: &'static str,
    parameters: &'static str,
}

fn given() -> impl Strategy<Value = Given> {
    (
        0..ROWS.len(),
        prop::collection::vec(0..SHOWN.len(), 1..5),
        (0..CONDITIONS.len(), 0..CONDITIONS.len()),
        prop::sample::select(&["acme", "acme", "acme", "globex"][..]),
        prop::sample::select(&["research", "research", "operations"][..]),
        prop::sample::select(
            &[
                "",
                "",
                "start: 2026-06-03",
                "end: 2026-06-02",
                "status: suspended",
                "contract: {id: claims, version: ^2}",
            ][..],
        ),
        prop::sample::select(
            &[
                "{regions: [EU, UK], least: 0.0}",
                "{regions: [EU], least: 0.0}",
                "{regions: [EU], least: -0.0}",
                "{regions: [], least: 0.5}",
            ][..],
        ),
    )
        .prop_map(
            |(rows, shown, (who, when), organisation, purpose, days, parameters)| Given {
                rows,
                shown,
                who,
                when,
                organisation,
                purpose,
                days,
                parameters,
            },
        )
}

type Given3 = BTreeMap<&'static str, Given>;

fn build(guard: usize, given: &Given3) -> PolicySet {
    let mut access = format!(
        "purposes: [research, operations]\nguards: [{{id: g, rows: \"{}\"}}]\nprofiles:\n  none: {{default: hidden}}\n",
        GUARDS[guard]
    );
    let mut agreements = Vec::new();
    for (id, one) in given {
        // What is said of a column last counts.
        let mut columns: BTreeMap<&str, &str> = BTreeMap::new();
        for shown in &one.shown {
            let shown = SHOWN[*shown];
            let name = shown.split([':', '.']).next().unwrap();
            columns.insert(name, shown);
        }
        let columns: Vec<&str> = columns.into_values().collect();
        access = format!(
            "{access}  p{id}: {{rows: \"{}\", columns: {{region: clear, {}}}}}\n",
            ROWS[one.rows],
            columns.join(", ")
        );
        let more = format!(
            "consumer: {{organisation: {}, who: \"{}\"}}\nwhen: \"{}\"\npurpose: {}\nparameters: {}\n{}",
            one.organisation,
            CONDITIONS[one.who],
            CONDITIONS[one.when],
            one.purpose,
            one.parameters,
            one.days
        );
        agreements.push((*id, format!("p{id}"), more));
    }
    let mut world = World::new().contract(&access);
    for (id, profile, more) in &agreements {
        world = world.agreement(id, profile, more);
    }
    match world.compile() {
        Ok((set, _)) => set,
        Err(problems) => panic!("{problems}"),
    }
}

/// Some of the rows of the small world.
fn rows() -> &'static RecordBatch {
    static ROWS: LazyLock<RecordBatch> = LazyLock::new(|| {
        let some = (0..world().num_rows()).step_by(7);
        let some: UInt32Array = some.map(|row| u32::try_from(row).unwrap()).collect();
        take_record_batch(world(), &some).unwrap()
    });
    &ROWS
}

fn requests() -> Vec<(Principal, Context, SessionSettings)> {
    let mut requests = Vec::new();
    for org in ["acme", "globex"] {
        for purpose in ["research", "operations"] {
            for (clearance, home, trust, hour) in [
                (None, None, None, 12),
                (Some(2), Some("EU"), Some(0.0), 3),
                (Some(3), Some("UK"), Some(0.5), 12),
            ] {
                let mut principal = alice();
                principal.org = org.to_owned();
                if clearance.is_none() {
                    (principal.kind, principal.groups) = (PrincipalKind::Agent, Vec::new());
                }
                let home = home.map(|home: &str| Value::Text(home.to_owned()));
                let known = [
                    ("clearance", clearance.map(Value::Int64)),
                    ("home", home),
                    ("trust", trust.map(Value::Float64)),
                ];
                let known = known.map(|(name, value)| Some((name.to_owned(), value?)));
                principal.attributes = known.into_iter().flatten().collect();
                let context = Context::at(noon() + chrono::TimeDelta::hours(hour - 12));
                let settings = SessionSettings {
                    purpose: Some(purpose.to_owned()),
                    ..SessionSettings::default()
                };
                requests.push((principal, context, settings));
            }
        }
    }
    requests
}

const PATHS: [&str; 7] = [
    "amount",
    "region",
    "service_date",
    "patient_id",
    "contact",
    "contact.phone",
    "contact.city",
];

/// What is shown of each path on each row: of the arms that admit the row the most open one, and
/// among equals the one whose agreement sorts first.
fn seen(set: &PolicySet, decision: &Decision) -> Vec<Option<Vec<Showing>>> {
    if decision.verdict != Verdict::Shown {
        return vec![None; rows().num_rows()];
    }
    let arms = arms_of(set, decision, rows());
    let paths: Vec<Vec<Showing>> = PATHS
        .iter()
        .map(|path| of_arms(decision, path, arms.len()))
        .collect();
    (0..rows().num_rows())
        .map(|row| {
            let admit: Vec<usize> = (0..arms.len()).filter(|arm| arms[*arm][row]).collect();
            (!admit.is_empty()).then(|| {
                let shown = paths.iter().map(|of_arms| {
                    let first = admit
                        .iter()
                        .min_by_key(|arm| (std::cmp::Reverse(of_arms[**arm].openness()), **arm));
                    of_arms[*first.unwrap()].clone()
                });
                shown.collect()
            })
        })
        .collect()
}

/// How each arm shows a path.
fn of_arms(decision: &Decision, path: &str, arms: usize) -> Vec<Showing> {
    let (name, steps) = parse_path(path).unwrap();
    let column = decision.columns.iter().find(|column| column.name == name);
    match column {
        None => vec![Showing::Hidden; arms],
        Some(column) => column
            .treatments
            .iter()
            .map(|one| one.at(&steps).clone())
            .collect(),
    }
}

/// Whether a path that is shown in one way tells no more than in another.
fn tells_no_more(path: &str, one: &Showing, other: &Showing) -> bool {
    match (one, other) {
        (Showing::Masked(one), Showing::Masked(other)) => {
            let (name, steps): (String, Vec<PathStep>) = parse_path(path).unwrap();
            let schema = claims_schema();
            let column = schema.field_with_name(&name).unwrap();
            let inside = type_at(&name, column.data_type(), &steps).unwrap();
            one == other
                || one
                    .tells(other, inside)
                    .is_some_and(std::cmp::Ordering::is_le)
        }
        (one, other) => one.openness() <= other.openness(),
    }
}

/// Where one shows more than another.
fn more(one: &[Option<Vec<Showing>>], other: &[Option<Vec<Showing>>]) -> Option<String> {
    one.iter()
        .zip(other)
        .enumerate()
        .find_map(|(row, pair)| match pair {
            (None, _) => None,
            (Some(_), None) => Some(format!("row {row}")),
            (Some(one), Some(other)) => {
                let mut paths = PATHS.iter().zip(one.iter().zip(other));
                let found = paths.find(|(path, (one, other))| !tells_no_more(path, one, other))?;
                Some(format!("row {row}: {found:?}"))
            }
        })
}

fn told_rightly(one: &PolicySet, other: &PolicySet) -> Result<(), TestCaseError> {
    let claim = sets(one, other).width();
    prop_assert_eq!(sets(other, one).width(), claim.reversed());
    if matches!(claim, Width::Incomparable | Width::Unknown) {
        return Ok(());
    }
    for (principal, context, settings) in requests() {
        let seen = |set: &PolicySet| {
            let decision = set.decide(&principal, &context, &settings, &claims());
            seen(set, &decision)
        };
        let (before, after) = (seen(one), seen(other));
        if !claim.widens() {
            let more = more(&after, &before);
            prop_assert_eq!(more, None, "{}, and {:?} sees more", claim, principal);
        }
        if matches!(claim, Width::Equal | Width::Wider) {
            let less = more(&before, &after);
            prop_assert_eq!(less, None, "{}, and {:?} sees less", claim, principal);
        }
    }
    Ok(())
}

fn agreements() -> impl Strategy<Value = Given3> {
    let ids = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    (ids, prop::collection::vec(given(), 3))
        .prop_map(|(ids, given)| ids.into_iter().zip(given).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_not_called_wider_shows_nobody_more(
        given in agreements(),
        guards in (0..GUARDS.len(), 0..GUARDS.len()),
        changes in prop::collection::vec((0_usize..3, 0_usize..9, given_part()), 1..4),
    ) {
        let mut changed = given.clone();
        let mut guard = guards.0;
        for (which, what, part) in changes {
            let ids: Vec<&str> = changed.keys().copied().collect();
            let Some(id) = ids.get(which) else { continue };
            let one = changed.get_mut(id).unwrap();
            match what {
                0 => drop(changed.remove(id)),
                1 => guard = guards.1,
                2 => one.rows = part.rows,
                3 => one.shown = part.shown,
                4 => one.who = part.who,
                5 => one.when = part.when,
                6 => one.days = part.days,
                7 => one.parameters = part.parameters,
                _ => one.organisation = part.organisation,
            }
        }
        let (one, other) = (build(guards.0, &given), build(guard, &changed));
        told_rightly(&one, &other)?;
    }
}

fn given_part() -> impl Strategy<Value = Given> {
    given()
}
