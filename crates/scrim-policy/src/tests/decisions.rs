//! Matching, columns, limits, hashes.

use scrim_model::{Context, Limits, PrincipalKind, Release, SessionSettings, TableName};

use super::{World, alice, claims, decide, decide_as, noon};
use crate::{Decision, PolicySet, RuleError, Showing, Treatment, Verdict};

const TWO_PROFILES: &str = "purposes: [research, billing]
guards:
  - {id: legal-hold, rows: NOT legal_hold}
  - {id: known-address, when: context.hour >= 6}
profiles:
  narrow:
    rows: region = 'EU'
    columns:
      claim_id: clear
      region: clear
      amount: {mask: round, to: 100}
      contact: clear
    tagged: {identifier: hidden}
    limits: {max_rows: 10}
  wide:
    rows: score > 0.5
    columns: {claim_id: clear, region: {mask: 'null'}, amount: {mask: round, to: 10}}
    limits: {max_rows: 100, queries_per_minute: 5}";

fn show(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Hidden => "hidden".to_owned(),
        Showing::Masked(mask) => mask.to_string(),
    }
}

fn treatment(treatment: &Treatment) -> String {
    let nested = treatment
        .nested
        .iter()
        .map(|(path, showing)| format!("{path}: {}", show(showing)));
    let nested: Vec<_> = nested.collect();
    let root = show(&treatment.root);
    if nested.is_empty() {
        root
    } else {
        format!("{root} ({})", nested.join(", "))
    }
}

/// A decision as a few lines.
fn summary(decision: &Decision) -> String {
    let mut lines = vec![format!("{:?}", decision.verdict)];
    if let Verdict::Closed { guard, location } = &decision.verdict {
        lines = vec![format!("closed by {guard} ({location})")];
    }
    for arm in &decision.arms {
        let rows = arm.rows.as_ref().map_or("all", |rows| rows.text.as_str());
        lines.push(format!("arm {} as {}: {rows}", arm.agreement, arm.profile));
    }
    for guard in &decision.guards {
        let rows = guard.rows.as_ref().map_or("-", |rows| rows.text.as_str());
        lines.push(format!("guard {}: {rows}", guard.id));
    }
    for column in &decision.columns {
        let arms: Vec<_> = column.treatments.iter().map(treatment).collect();
        lines.push(format!("{}: {}", column.name, arms.join(" | ")));
    }
    for unmatched in &decision.unmatched {
        lines.push(format!(
            "not {}: {} ({})",
            unmatched.agreement, unmatched.reason, unmatched.location
        ));
    }
    lines.join("\n")
}

fn purpose(purpose: &str) -> SessionSettings {
    SessionSettings {
        purpose: Some(purpose.to_owned()),
        ..SessionSettings::default()
    }
}

fn two_profiles() -> PolicySet {
    let world = World::new()
        .contract(TWO_PROFILES)
        .agreement("b-wide", "wide", "")
        .agreement("a-narrow", "narrow", "");
    world.compile().unwrap().0
}

#[test]
fn columns_follow_the_row_arm_by_arm() {
    let decision = decide(&two_profiles());
    insta::assert_snapshot!(summary(&decision), @r"
    Shown
    arm a-narrow as narrow: region = 'EU'
    arm b-wide as wide: score > 0.5
    guard legal-hold: NOT legal_hold
    guard known-address: -
    claim_id: clear | clear
    region: clear | null
    amount: round(to=100) | round(to=10)
    contact: clear (phone: hidden) | hidden
    ");
    let expected = Limits {
        max_rows: Some(100),
        max_bytes: None,
        queries_per_minute: None,
        concurrent_queries: None,
    };
    assert_eq!(decision.limits, expected);
    assert_eq!(decision.purpose.as_deref(), Some("research"));
}

#[test]
fn inv_03_without_a_matching_agreement_there_is_no_table() {
    let set = two_profiles();
    let mut stranger = alice();
    stranger.org = "globex".to_owned();
    let decision = decide_as(&set, &stranger, &SessionSettings::default());
    assert_eq!(decision.verdict, Verdict::NoAgreement);
    assert!(decision.columns.is_empty() && decision.arms.is_empty());
    assert!(
        decision.unmatched.is_empty(),
        "agreements of others are none of their business"
    );
    assert_eq!(set.rules(&decision), Err(RuleError::NotShown(claims())));
    assert!(set.tables_for(&stranger).is_empty());
    assert_eq!(set.tables_for(&alice()), [&claims()]);
    let nowhere = TableName::new("insurance", "nothing");
    let decision = set.decide(
        &alice(),
        &Context::at(noon()),
        &SessionSettings::default(),
        &nowhere,
    );
    assert_eq!(
        (decision.verdict, decision.contract),
        (Verdict::NoAgreement, None)
    );
}

#[test]
fn each_reason_for_not_matching_is_told_with_its_line() {
    let access = "purposes: [research, billing]\nprofiles: {p: {default: clear}}";
    let world = World::new()
        .contract(access)
        .agreement("a-suspended", "p", "status: suspended")
        .agreement("b-later", "p", "start: 2026-06-04")
        .agreement("c-over", "p", "end: 2026-06-02")
        .agreement("d-version", "p", "contract: {id: claims, version: ~1.1}")
        .agreement(
            "e-who",
            "p",
            "consumer: {organisation: acme, who: principal.clearance > 2}",
        )
        .agreement("f-when", "p", "when: context.hour > 12")
        .agreement("g-purpose", "p", "purpose: billing")
        .agreement("h-today", "p", "start: 2026-06-03\nend: 2026-06-03")
        .agreement(
            "i-other",
            "p",
            "consumer: {organisation: globex, who: true}",
        );
    let (set, warnings) = world.compile().unwrap();
    let warned: Vec<_> = warnings
        .iter()
        .map(|one| one.location().to_string())
        .collect();
    assert_eq!(warned, ["agreements/d-version.yaml:8:33"]);
    let decision = decide_as(&set, &alice(), &purpose("research"));
    insta::assert_snapshot!(summary(&decision), @r"
    Shown
    arm h-today as p: all
    claim_id: clear
    patient_id: clear
    region: clear
    service_date: clear
    visited: clear
    amount: clear
    score: clear
    legal_hold: clear
    contact: clear
    tags: clear
    not a-suspended: it is suspended (agreements/a-suspended.yaml:8:9)
    not b-later: it starts on 2026-06-04 (agreements/b-later.yaml:9:8)
    not c-over: it ended on 2026-06-02 (agreements/c-over.yaml:9:6)
    not d-version: it is for version ~1.1 of the contract, which has version 1.2.0 (agreements/d-version.yaml:8:33)
    not e-who: `who` is not true for this principal (agreements/e-who.yaml:8:37)
    not f-when: `when` is not true for this request (agreements/f-when.yaml:9:7)
    not g-purpose: it serves `billing`, and the session states `research` (agreements/g-purpose.yaml:8:10)
    ");
}

#[test]
fn a_session_without_a_purpose_needs_one_when_its_agreements_differ() {
    let access = "purposes: [research, billing]\nprofiles: {p: {default: clear}}";
    let world = World::new()
        .contract(access)
        .agreement("a", "p", "")
        .agreement("b", "p", "purpose: billing");
    let set = world.set();
    let open = decide(&set);
    assert_eq!(open.verdict, Verdict::PurposeRequired);
    assert!(open.columns.is_empty());
    assert_eq!(set.rules(&open), Err(RuleError::NotShown(claims())));
    let billing = decide_as(&set, &alice(), &purpose("billing"));
    assert_eq!(billing.verdict, Verdict::Shown);
    assert_eq!(billing.arms.len(), 1);
    assert_eq!(
        decide_as(&set, &alice(), &purpose("fun")).verdict,
        Verdict::NoAgreement
    );
}

#[test]
fn settings_can_only_narrow() {
    let set = two_profiles();
    let only = |id: &str| SessionSettings {
        agreement: Some(id.to_owned()),
        ..SessionSettings::default()
    };
    let narrowed = decide_as(&set, &alice(), &only("a-narrow"));
    assert_eq!(narrowed.arms.len(), 1);
    assert_eq!(narrowed.arms[0].agreement, "a-narrow");
    assert_eq!(
        decide_as(&set, &alice(), &only("nothing")).verdict,
        Verdict::NoAgreement
    );
    for (release, verdict) in [
        (Release::Rows, Verdict::Shown),
        (Release::Aggregates, Verdict::NoAgreement),
        (Release::Private, Verdict::NoAgreement),
    ] {
        let settings = SessionSettings {
            release: Some(release),
            ..SessionSettings::default()
        };
        assert_eq!(decide_as(&set, &alice(), &settings).verdict, verdict);
    }
}

#[test]
fn a_guard_closes_the_table_for_whoever_could_see_it() {
    let set = two_profiles();
    let night = Context::at("2026-06-03T03:00:00Z".parse().unwrap());
    let decision = set.decide(&alice(), &night, &SessionSettings::default(), &claims());
    assert!(matches!(&decision.verdict, Verdict::Closed { guard, .. } if guard == "known-address"));
    assert!(decision.columns.is_empty());
    let mut stranger = alice();
    stranger.org = "globex".to_owned();
    let decision = set.decide(&stranger, &night, &SessionSettings::default(), &claims());
    assert_eq!(
        decision.verdict,
        Verdict::NoAgreement,
        "a stranger learns nothing of guards"
    );
}

#[test]
fn names_beat_tags_and_tags_beat_the_default() {
    let access = "purposes: [research]
profiles:
  named:
    columns: {patient_id: clear, contact: clear, contact.city: hidden, 'tags[]': {mask: 'null'}}
    tagged: {identifier: hidden}
    default: clear
  tagged:
    columns: {claim_id: clear}
    tagged: {identifier: {mask: pseudonymize}}
  opened:
    columns: {contact.phone: clear}
    tagged: {identifier: hidden}
    default: hidden";
    for (profile, expected) in [
        (
            "named",
            "patient_id: clear; contact: clear (city: hidden, phone: hidden); tags: clear ([]: null)",
        ),
        (
            "tagged",
            "patient_id: pseudonymize(scope=recipient, bits=128)",
        ),
        ("opened", "contact: hidden (phone: clear)"),
    ] {
        let set = World::new()
            .contract(access)
            .agreement("a", profile, "")
            .set();
        let decision = decide(&set);
        let shown: Vec<_> = decision
            .columns
            .iter()
            .filter(|column| ["patient_id", "contact", "tags"].contains(&column.name.as_str()))
            .map(|column| format!("{}: {}", column.name, treatment(&column.treatments[0])))
            .collect();
        assert_eq!(shown.join("; "), expected, "{profile}");
        assert!(
            decision
                .columns
                .iter()
                .all(|column| column.name != "unlisted")
        );
    }
}

#[test]
fn inv_02_the_same_inputs_give_the_same_bytes() {
    let bytes = |set: &PolicySet| serde_json::to_string(&decide(set)).unwrap();
    let one = two_profiles();
    assert_eq!(bytes(&one), bytes(&one));
    assert_eq!(bytes(&one), bytes(&two_profiles()));
    assert_eq!(decide(&one).hash.len(), 64);
}

#[test]
fn inv_02_the_hash_changes_with_what_is_shown_and_with_nothing_else() {
    let set = two_profiles();
    let base = decide(&set).hash;
    let rebuilt = |world: World| decide(&world.compile().unwrap().0);
    let usual = |access: &str| {
        World::new()
            .contract(access)
            .agreement("b-wide", "wide", "")
            .agreement("a-narrow", "narrow", "")
    };
    let elsewhere = rebuilt(
        usual(&format!("# a comment\n{TWO_PROFILES}"))
            .agreement(
                "c-other",
                "wide",
                "consumer: {organisation: globex, who: true}",
            )
            .agreement("d-ended", "wide", "status: ended"),
    );
    assert_eq!(elsewhere.hash, base);
    assert_ne!(elsewhere.policy_version, decide(&set).policy_version);
    for (from, to) in [
        ("'EU'", "'UK'"),
        ("to: 100", "to: 1000"),
        ("max_rows: 100", "max_rows: 101"),
        ("NOT legal_hold", "NOT legal_hold OR true"),
        ("contact: clear", "contact: hidden"),
    ] {
        assert_ne!(
            rebuilt(usual(&TWO_PROFILES.replace(from, to))).hash,
            base,
            "{from}"
        );
    }
    let other_column = super::contract(TWO_PROFILES).replace(
        "{name: patient_id, tags: [identifier]}",
        "{name: patient_id, physicalName: region, tags: [identifier]}",
    );
    let moved = World::new()
        .file("contracts/claims.odcs.yaml", &other_column)
        .agreement("b-wide", "wide", "")
        .agreement("a-narrow", "narrow", "");
    assert_ne!(rebuilt(moved).hash, base, "another column of the source");
    let mut robot = alice();
    robot.kind = PrincipalKind::Service;
    assert_eq!(
        decide_as(&set, &robot, &SessionSettings::default()).hash,
        base,
        "nothing in these policies asks about the kind"
    );
}

#[test]
fn inv_09_a_decision_of_another_set_or_with_a_lost_clause_is_not_lowered() {
    let set = two_profiles();
    let decision = decide(&set);
    assert_eq!(set.rules(&decision).unwrap().arms.len(), 2);
    let mut foreign = decision.clone();
    foreign.policy_version = "other".into();
    assert!(matches!(
        set.rules(&foreign),
        Err(RuleError::OtherPolicySet { .. })
    ));
    let mut lost = decision.clone();
    lost.arms[0].rows = None;
    assert!(matches!(set.rules(&lost), Err(RuleError::Unknown(_))));
    let mut unguarded = decision.clone();
    unguarded.guards.pop();
    assert!(matches!(set.rules(&unguarded), Err(RuleError::Unknown(_))));
    let mut unknown = decision;
    unknown.arms[0].agreement = "zzz".to_owned();
    assert!(matches!(set.rules(&unknown), Err(RuleError::Unknown(_))));
}
