//! Decisions are kept by their grounds: nothing that a decision depends on may be missing there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use scrim_model::{Context, Principal, Release, SessionSettings, TableName, Value};

use super::{World, alice, claims, noon};
use crate::facts::Facts;
use crate::grounds::{Grounds, GroundsKey};
use crate::language::scope::MEMBERS;
use crate::{PolicySet, Verdict};

/// Conditions of the principal and the request: one for each member at least.
const CONDITIONS: &[&str] = &[
    "true",
    "principal.id = 'alice'",
    "principal.org <> 'beta'",
    "array_has(principal.groups, 'analyst')",
    "array_has(principal.roles, 'auditor')",
    "principal.acr = 'mfa'",
    "principal.auth_age < 600",
    "principal.kind = 'human'",
    "principal.on_behalf_of = 'mfa'",
    "principal.clearance > 1",
    "principal.home = 'EU'",
    "principal.trust >= 0.5",
    "array_has(principal.teams, 'x')",
    "ip_in(context.ip, '10.0.0.0/8')",
    "context.country IN ('NO', 'SE')",
    "array_has(context.network, 'office')",
    "context.device = 'd'",
    "context.device_trusted",
    "context.time < TIMESTAMP '2026-06-03T12:00:30Z'",
    "context.hour < 13",
    "context.weekday < 4",
    "context.purpose = 'research'",
    "context.risk < 50",
    "context.queries_last_hour < 10",
    "context.rows_last_day < 10",
    "context.client = 'dbt'",
];

/// Row filters: of the table alone, and with each kind of member in them.
const ROWS: &[&str] = &[
    "true",
    "region = 'EU'",
    "region = principal.home",
    "array_has(principal.teams, region)",
    "score < principal.trust",
    "claim_id < principal.clearance",
    "visited > context.time - INTERVAL '30 days'",
    "claim_id < context.hour",
    "claim_id < principal.auth_age",
    "region = context.country OR patient_id = principal.id",
];

/// The rows that only profiles can have.
const GIVEN: &str = "array_has(agreement.regions, region) AND region <> principal.home";

#[derive(Debug, Clone)]
struct Granted {
    who: &'static str,
    when: &'static str,
    purpose: &'static str,
    organisation: &'static str,
}

fn granted() -> impl Strategy<Value = Granted> {
    let condition = || prop::sample::select(CONDITIONS);
    let purpose = prop::sample::select(vec!["research", "research", "billing"]);
    let organisation = prop::sample::select(vec!["acme", "acme", "beta"]);
    (condition(), condition(), purpose, organisation).prop_map(
        |(who, when, purpose, organisation)| Granted {
            who,
            when,
            purpose,
            organisation,
        },
    )
}

/// A policy set in which each agreement has a profile of its own.
fn set(agreements: &[Granted], rows: &[&str], guard: (&str, &str)) -> PolicySet {
    let mut access = "purposes: [research, billing]\nprofiles:\n".to_owned();
    for (index, rows) in rows.iter().enumerate() {
        access = format!("{access}  p{index}: {{rows: \"{rows}\", columns: {{region: clear}}}}\n");
    }
    let (when, rows) = guard;
    access = format!("{access}guards:\n  - {{id: g, when: \"{when}\", rows: \"{rows}\"}}\n");
    let mut world = World::new().contract(&access);
    for (index, one) in agreements.iter().enumerate() {
        let Granted { who, when, .. } = one;
        let (organisation, purpose) = (one.organisation, one.purpose);
        let more = format!(
            "consumer: {{organisation: {organisation}, who: \"{who}\"}}\nwhen: \"{when}\"\n\
             purpose: {purpose}\nparameters: {{regions: [EU, UK]}}\n\
             start: 2026-06-03\nend: 2026-06-03"
        );
        world = world.agreement(&format!("a{index}"), &format!("p{index}"), &more);
    }
    let compiled = world.compile();
    compiled.unwrap_or_else(|problems| panic!("{problems}")).0
}

/// A request: few values of each kind, so that two are often alike in what matters.
#[derive(Debug, Clone)]
struct Asks {
    principal: Principal,
    context: Context,
    settings: SessionSettings,
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(prop::sample::select(values))
}

fn texts(values: [&str; 2]) -> Vec<String> {
    values.map(str::to_owned).to_vec()
}

fn principal() -> impl Strategy<Value = Principal> {
    let groups = prop::collection::vec(prop::sample::select(texts(["analyst", "x"])), 0..3);
    let attribute = prop_oneof![
        Just(("clearance", Value::Int64(2))),
        Just(("home", Value::Text("EU".to_owned()))),
        Just(("home", Value::Text("UK".to_owned()))),
        Just(("trust", Value::Float64(0.0))),
        Just(("trust", Value::Float64(-0.0))),
        Just(("trust", Value::Float64(0.75))),
        // not of the declared type
        Just(("clearance", Value::Text("2".to_owned()))),
        Just(("teams", Value::TextList(vec!["x".to_owned()]))),
        Just(("teams", Value::TextList(Vec::new()))),
    ];
    let attributes = prop::collection::vec(attribute, 0..4);
    let signed_in = maybe(vec![noon(), noon() - TimeDelta::hours(1)]);
    let org = prop::sample::select(texts(["acme", "beta"]));
    let acr = || maybe(texts(["mfa", "pwd"]));
    let names = (prop::sample::select(texts(["alice", "bob"])), acr(), acr());
    (names, org, groups.clone(), groups, attributes, signed_in).prop_map(
        |((id, acr, on_behalf_of), org, groups, roles, attributes, authenticated_at)| {
            let attributes = attributes.into_iter();
            Principal {
                id,
                org,
                groups,
                roles,
                acr,
                on_behalf_of,
                authenticated_at,
                attributes: attributes
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                ..alice()
            }
        },
    )
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    let after = vec![
        TimeDelta::zero(),
        TimeDelta::nanoseconds(1),
        TimeDelta::minutes(1),
        TimeDelta::hours(2),
        TimeDelta::days(1),
        TimeDelta::days(-7),
    ];
    prop::sample::select(after).prop_map(|after| noon() + after)
}

fn context() -> impl Strategy<Value = Context> {
    let ip = maybe(vec!["10.1.1.1".parse().unwrap(), "::1".parse().unwrap()]);
    let device = (maybe(texts(["d", "e"])), maybe(vec![true, false]));
    let counts = (maybe(vec![5, 80]), maybe(vec![5, 80]), maybe(vec![5, 80]));
    let revoked =
        prop::collection::btree_map(prop::sample::select(texts(["a0", "a1"])), times(), 0..2);
    let words = (maybe(texts(["NO", "US"])), maybe(texts(["dbt", "adbc"])));
    let networks = prop::collection::vec(Just("office".to_owned()), 0..2);
    (times(), ip, device, counts, revoked, words, networks).prop_map(
        |(time, ip, (device, device_trusted), counts, revoked, (country, client), networks)| {
            let (risk, queries_last_hour, rows_last_day) = counts;
            Context {
                ip,
                country,
                networks,
                device,
                device_trusted,
                time,
                risk,
                queries_last_hour,
                rows_last_day,
                client,
                revoked,
            }
        },
    )
}

fn asks() -> impl Strategy<Value = Asks> {
    let settings = (
        maybe(texts(["research", "billing"])),
        maybe(texts(["a0", "a1"])),
        maybe(vec![Release::Rows, Release::Aggregates, Release::Private]),
    );
    (principal(), context(), settings).prop_map(|(principal, context, settings)| {
        let (purpose, agreement, release) = settings;
        Asks {
            principal,
            context,
            settings: SessionSettings {
                purpose,
                agreement,
                release,
            },
        }
    })
}

fn grounds<'a>(set: &'a PolicySet, asks: &'a Asks, table: &'a TableName) -> Grounds<'a> {
    set.grounds(&asks.principal, &asks.context, &asks.settings, table)
}

fn worlds() -> impl Strategy<Value = PolicySet> {
    let rows = prop::sample::select([ROWS, &[GIVEN]].concat());
    let agreements = prop::collection::vec((granted(), rows), 1..4);
    let guard = (prop::sample::select(CONDITIONS), prop::sample::select(ROWS));
    (agreements, guard).prop_map(|(agreements, guard)| {
        let (agreements, rows): (Vec<_>, Vec<_>) = agreements.into_iter().unzip();
        set(&agreements, &rows, guard)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn inv_02_a_decision_sees_all_that_it_asks_about(
        set in worlds(),
        requests in prop::collection::vec(asks(), 8),
    ) {
        let attributes = ["clearance", "home", "trust", "teams"];
        let attributes = attributes.map(|name| format!("principal.{name}"));
        let members = MEMBERS.iter().map(|(name, _)| (*name).to_owned());
        let members: Vec<String> = members.chain(attributes).collect();
        let table = claims();
        for asks in &requests {
            let facts = Facts::at_once(&asks.principal, &asks.context, &asks.settings);
            let all = Grounds::new(&set, &facts, &table).knowing(&facts, &members);
            prop_assert_eq!(all.decide(), grounds(&set, asks, &table).decide());
        }
    }

    #[test]
    fn inv_02_one_key_is_one_decision(
        set in worlds(),
        requests in prop::collection::vec(asks(), 24),
    ) {
        let table = claims();
        let mut known = BTreeMap::<String, Vec<(GroundsKey, _)>>::new();
        for asks in &requests {
            let grounds = grounds(&set, asks, &table);
            let decision = grounds.decide();
            let Some(key) = grounds.key() else {
                prop_assert_eq!(decision.verdict, Verdict::NoAgreement);
                prop_assert!(decision.unmatched.is_empty());
                continue;
            };
            let of_org = known.entry(asks.principal.org.clone()).or_default();
            for (other, decided) in of_org.iter() {
                if *other == key {
                    prop_assert_eq!(decided, &decision);
                }
            }
            of_org.push((key, decision));
        }
    }
}

fn home(home: &str) -> BTreeMap<String, Value> {
    [("home".to_owned(), Value::Text(home.to_owned()))].into()
}

fn plain() -> Asks {
    Asks {
        principal: alice(),
        context: Context::at(noon()),
        settings: SessionSettings::default(),
    }
}

/// What is different in a request.
type Change = dyn Fn(&mut Asks);

#[test]
fn the_key_follows_what_is_asked_about_and_nothing_else() {
    let one = Granted {
        who: "array_has(principal.groups, 'analyst')",
        when: "context.hour < 13",
        purpose: "research",
        organisation: "acme",
    };
    let set = set(
        &[one],
        &["region = principal.home"],
        ("context.risk < 50", "true"),
    );
    let table = claims();
    let key = |change: &dyn Fn(&mut Asks)| {
        let mut asks = plain();
        change(&mut asks);
        grounds(&set, &asks, &table).key().unwrap()
    };
    let usual = key(&|_| {});
    let others: [&Change; 6] = [
        &|asks| asks.principal.id = "bob".to_owned(),
        &|asks| asks.principal.roles = vec!["auditor".to_owned()],
        &|asks| asks.context.time += TimeDelta::minutes(59),
        &|asks| asks.context.client = Some("dbt".to_owned()),
        &|asks| asks.context.queries_last_hour = Some(7),
        &|asks| asks.context.revoked = [("of-others".to_owned(), noon())].into(),
    ];
    for (at, change) in others.iter().enumerate() {
        assert_eq!(key(change), usual, "{at}");
    }
    let matter: [&Change; 12] = [
        &|asks| asks.principal.groups = vec![],
        &|asks| asks.principal.groups = vec!["analy".to_owned(), "st".to_owned()],
        &|asks| asks.principal.attributes = home("EU"),
        &|asks| asks.principal.attributes = home("UK"),
        &|asks| asks.context.time += TimeDelta::hours(1),
        &|asks| asks.context.time += TimeDelta::days(1),
        &|asks| asks.context.risk = Some(5),
        &|asks| asks.context.revoked = [("a0".to_owned(), noon())].into(),
        &|asks| asks.settings.purpose = Some("research".to_owned()),
        &|asks| asks.settings.purpose = Some(String::new()),
        &|asks| asks.settings.agreement = Some("a0".to_owned()),
        &|asks| asks.settings.release = Some(Release::Rows),
    ];
    let keys: Vec<_> = matter.iter().map(|change| key(change)).collect();
    for (at, one) in keys.iter().enumerate() {
        assert_ne!(*one, usual, "{at}");
        assert!(!keys.get(at + 1..).unwrap().contains(one), "{at}");
    }
}

#[test]
fn a_table_without_an_agreement_has_no_key() {
    let one = Granted {
        who: "true",
        when: "true",
        purpose: "research",
        organisation: "beta",
    };
    let set = set(&[one], &["true"], ("true", "true"));
    let (mut asks, table) = (plain(), claims());
    assert_eq!(grounds(&set, &asks, &table).key(), None);
    let unknown = TableName::new("insurance", "nothing");
    assert_eq!(grounds(&set, &asks, &unknown).key(), None);
    asks.principal.org = "beta".to_owned();
    assert!(grounds(&set, &asks, &table).key().is_some());
}

/// Each member has a condition above, so that none can be forgotten in the tests here.
#[test]
fn every_member_is_asked_about() {
    let asked: BTreeSet<&str> = MEMBERS
        .iter()
        .filter(|(name, _)| CONDITIONS.iter().any(|one| one.contains(name)))
        .map(|(name, _)| *name)
        .collect();
    let all: BTreeSet<&str> = MEMBERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(asked, all);
}
