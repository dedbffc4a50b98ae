//! What is decided outside takes away and adds nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use scrim_model::{Context, SessionSettings};

use super::{World, alice, claims, decide, decide_as, noon};
use crate::{Decision, Narrowing, PolicySet, Question, Verdict};

const ACCESS: &str = "purposes: [research, fraud]
guards:
  - {id: hold, rows: NOT legal_hold}
profiles:
  p:
    rows: region = 'EU'
    columns: {claim_id: clear, patient_id: {mask: prefix, length: 2}, region: clear, score: clear}
    limits: {max_rows: 10}
  q: {default: clear}";

fn set() -> PolicySet {
    World::new().contract(ACCESS).agreement("a", "p", "").set()
}

fn nothing() -> Narrowing {
    Narrowing {
        origin: "https://opa/v1/data/scrim".into(),
        allow: true,
        hide: BTreeSet::new(),
        rows: None,
        reason: None,
    }
}

fn hiding(columns: &[&str]) -> Narrowing {
    Narrowing {
        hide: columns.iter().map(ToString::to_string).collect(),
        ..nothing()
    }
}

fn filtering(rows: &str) -> Narrowing {
    Narrowing {
        rows: Some(rows.to_owned()),
        ..nothing()
    }
}

fn columns(decision: &Decision) -> Vec<&str> {
    let columns = decision.columns.iter();
    columns.map(|column| column.name.as_str()).collect()
}

#[test]
fn what_is_taken_away_is_in_the_decision_and_in_its_hash() {
    let set = set();
    let whole = decide(&set);
    let same = whole.clone().narrowed(&Arc::new(nothing()));
    assert_eq!(same.hash, whole.hash, "the same is shown");
    assert!(
        same.narrowing.is_some(),
        "and it is told that somebody was asked"
    );

    let without = whole
        .clone()
        .narrowed(&Arc::new(hiding(&["patient_id", "amount"])));
    assert_eq!(columns(&without), ["claim_id", "region", "score"]);
    let other = whole.clone().narrowed(&Arc::new(hiding(&["patient_id"])));
    assert_eq!(without.hash, other.hash, "the amount was hidden anyway");
    assert_ne!(without.hash, whole.hash);

    let fewer = whole.clone().narrowed(&Arc::new(filtering("score > 0.5")));
    assert_ne!(fewer.hash, whole.hash);
    let rules = set.rules(&fewer).unwrap();
    assert_eq!(rules.guards.len(), 2);
    assert_eq!(rules.arms, set.rules(&whole).unwrap().arms);
    let json = serde_json::to_value(&fewer).unwrap();
    assert_eq!(json["narrowing"]["origin"], "https://opa/v1/data/scrim");
    assert_eq!(json["narrowing"]["rows"], "score > 0.5");

    let gone = Narrowing {
        allow: false,
        ..hiding(&["region"])
    };
    let gone = whole.clone().narrowed(&Arc::new(gone));
    assert_eq!(gone.verdict, Verdict::NoAgreement);
    assert!(gone.columns.is_empty() && gone.arms.is_empty());
    assert!(set.rules(&gone).is_err());
    assert_eq!(decide(&set).narrowed_like(&gone), gone);
    assert_eq!(decide(&set).narrowed_like(&whole), whole);
}

#[test]
fn inv_03_what_the_contracts_hide_stays_hidden() {
    let set = set();
    let mut stranger = alice();
    stranger.org = "other".to_owned();
    let hidden = decide_as(&set, &stranger, &SessionSettings::default());
    assert_eq!(hidden.clone().narrowed(&Arc::new(nothing())), hidden);
}

#[test]
fn inv_03_a_narrowing_that_is_not_understood_is_refused() {
    let set = set();
    let check = |narrowing: &Narrowing| set.check_narrowing(&claims(), narrowing);
    for fine in [
        "region = 'EU'",
        "TRY_CAST(region AS BIGINT) > 3",
        "contact.city = 'Oslo' OR array_has(tags, 'a')",
        "amount >= 10 AND service_date > DATE '2024-01-01'",
        "false",
    ] {
        assert_eq!(check(&filtering(fine)), Ok(()), "{fine}");
    }
    for (wrong, said) in [
        ("", "not an SQL expression"),
        ("region =", "not an SQL expression"),
        ("region", "expected a condition"),
        ("ward = 'A'", "ward"),
        ("CAST(region AS BIGINT) > 3", "TRY_CAST"),
        ("100 / claim_id > 3", "NULLIF"),
        ("region = principal.home", "there is no `principal.home`"),
        (
            "region = principal.org",
            "`principal.org` is not known here",
        ),
        ("context.hour > 6", "`context.hour` is not known here"),
        ("region = agreement.region", "agreement"),
        (
            "region IN (SELECT region FROM lookup.entitlements)",
            "entitlements",
        ),
        (
            "region IN (SELECT region FROM insurance.claims)",
            "insurance.claims",
        ),
        ("random() > 0.5", "random"),
        ("EXISTS (SELECT 1)", ""),
        ("true; DROP TABLE claims", ""),
    ] {
        let error = check(&filtering(wrong)).unwrap_err();
        assert!(error.contains(said), "{wrong}: {error}");
        // and if nobody checks it, it cannot be lowered
        let narrowed = decide(&set).narrowed(&Arc::new(filtering(wrong)));
        assert!(set.rules(&narrowed).is_err(), "{wrong}");
    }
    assert!(check(&hiding(&["amount"])).is_ok());
    let error = check(&hiding(&["amuont"])).unwrap_err();
    assert!(error.contains("has no column `amuont`"), "{error}");
    let unknown = scrim_model::TableName::new("insurance", "nothing");
    assert!(set.check_narrowing(&unknown, &nothing()).is_err());
}

fn question(set: &PolicySet, volatile: bool, decision: &Decision) -> serde_json::Value {
    let mut context = Context::at(noon());
    context.ip = Some("::ffff:192.0.2.7".parse().unwrap());
    context.rows_last_day = Some(7);
    let settings = SessionSettings {
        purpose: Some("research".to_owned()),
        ..SessionSettings::default()
    };
    let question = Question::new(set, (&alice(), &context, &settings), volatile, [decision]);
    serde_json::to_value(question).unwrap()
}

#[test]
fn a_question_tells_who_asks_and_what_the_contracts_show() {
    let set = set();
    let expected = serde_json::json!({
        "policy_version": set.version(),
        "principal": {
            "id": "alice", "org": "acme", "groups": ["analyst"], "roles": [], "kind": "human",
            "acr": null, "on_behalf_of": null, "attributes": {"clearance": 2},
        },
        "context": {
            "ip": "192.0.2.7", "country": null, "network": [], "device": null,
            "device_trusted": null, "risk": null, "client": null,
        },
        "settings": {"purpose": "research", "agreement": null, "release": null},
        "tables": [{
            "name": "insurance.claims", "contract": "claims", "verdict": "shown",
            "agreements": ["a"], "purpose": "research",
            "columns": [
                {"name": "claim_id", "treatments": ["clear"]},
                {"name": "patient_id", "treatments": ["prefix"]},
                {"name": "region", "treatments": ["clear"]},
                {"name": "score", "treatments": ["clear"]},
            ],
        }],
    });
    assert_eq!(question(&set, false, &decide(&set)), expected);
    let volatile = question(&set, true, &decide(&set));
    assert_eq!(volatile["context"]["hour"], 12);
    assert_eq!(volatile["context"]["rows_last_day"], 7);
}

#[test]
fn what_the_contracts_hide_is_not_asked_about() {
    let set = set();
    let mut stranger = alice();
    stranger.org = "other".to_owned();
    let hidden = decide_as(&set, &stranger, &SessionSettings::default());
    assert_eq!(
        question(&set, false, &hidden)["tables"],
        serde_json::json!([])
    );
    // what exists and is not shown just now would tell of itself
    let both = World::new()
        .contract(ACCESS)
        .agreement("a", "p", "")
        .agreement("b", "q", "purpose: fraud")
        .set();
    let asked = question(&both, false, &decide(&both));
    assert_eq!(asked["tables"][0]["verdict"], "purpose_required");
}

fn narrowing() -> impl Strategy<Value = Narrowing> {
    let column = prop::sample::select(vec![
        "claim_id",
        "patient_id",
        "region",
        "score",
        "amount",
        "contact",
        "nothing",
    ]);
    let rows = prop::sample::select(vec!["score > 0.5", "true", "false", "region = 'EU'"]);
    let hide = prop::collection::btree_set(column.prop_map(str::to_owned), 0..4);
    (any::<bool>(), hide, prop::option::of(rows)).prop_map(|(allow, hide, rows)| Narrowing {
        allow,
        hide,
        rows: rows.map(str::to_owned),
        ..nothing()
    })
}

proptest! {
    /// Of each column, arm, guard and limit there is after the narrowing what there was before, or
    /// nothing.
    #[test]
    fn inv_03_nothing_is_shown_that_the_contracts_do_not_show(narrowing in narrowing()) {
        let set = World::new()
            .contract(ACCESS)
            .agreement("a", "p", "")
            .agreement("b", "q", "when: principal.clearance > 1")
            .set();
        let whole = decide(&set);
        let narrow = whole.clone().narrowed(&Arc::new(narrowing.clone()));
        for column in &narrow.columns {
            prop_assert!(whole.columns.contains(column));
            prop_assert!(!narrowing.hide.contains(&column.name));
        }
        prop_assert_eq!(narrow.limits.strictest(whole.limits), whole.limits);
        if narrowing.allow {
            prop_assert_eq!(&narrow.arms, &whole.arms);
            prop_assert_eq!(&narrow.guards, &whole.guards);
            let (before, after) = (set.rules(&whole).unwrap(), set.rules(&narrow).unwrap());
            prop_assert_eq!(&after.arms, &before.arms);
            prop_assert!(after.guards.starts_with(&before.guards));
        } else {
            prop_assert_eq!(&narrow.verdict, &Verdict::NoAgreement);
            prop_assert!(set.rules(&narrow).is_err());
        }
        let takes = !narrowing.allow
            || narrowing.rows.is_some()
            || whole.columns.len() > narrow.columns.len();
        prop_assert_eq!(narrow.hash != whole.hash, takes);
    }
}
