//! Changes that an owner makes, and what is said of them.

use super::{change, set};
use crate::compare::Width::{self, Equal, Incomparable, Narrower, Unknown, Wider};
use crate::compare::{Change, decisions, sets};
use crate::tests::{World, decide};
use crate::{PolicySet, Showing, Verdict};

fn rows(old: &str, new: &str) -> Width {
    let sets = [old, new].map(|rows| set(&[], &[(rows, "default: clear")]));
    change(&sets[0], &sets[1]).map_or(Equal, |change| change.rows)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn rules_are_compared_by_what_they_mean() {
    let lookup = "region IN (SELECT region FROM lookup.entitlements WHERE partner = principal.org)";
    let other = "region IN (SELECT region FROM lookup.entitlements WHERE level = 2)";
    let cases = [
        ("region = 'EU'", "region IN ('EU', 'UK')", Wider),
        ("region = 'EU'", "region = 'UK'", Incomparable),
        (
            "region IN ('EU', 'UK')",
            "region = 'UK' OR region = 'EU'",
            Equal,
        ),
        ("region <> 'EU'", "region NOT IN ('EU', 'UK')", Narrower),
        ("region <> 'EU'", "region IS NOT NULL", Wider),
        ("region <> 'EU'", "region IS DISTINCT FROM 'EU'", Wider),
        ("region = 'EU'", "region IS NOT DISTINCT FROM 'EU'", Equal),
        ("NOT legal_hold", "legal_hold IS NOT TRUE", Wider),
        ("NOT legal_hold", "legal_hold IS FALSE", Equal),
        ("NOT legal_hold", "legal_hold = false", Equal),
        ("score > 0.5", "score >= 0.5", Wider),
        ("score > 0.5", "NOT score <= 0.5", Equal),
        ("score < 0.0", "score < -0.0", Equal),
        ("score = -0.0", "score <> 0.0", Incomparable),
        // Of two zeros only one is in a list, and both are equal to it.
        (
            "score >= 0.0 AND score <= 0.0",
            "score IN (0.0, 1.5, 2.5, 3.5)",
            Unknown,
        ),
        ("score IN (0.5, 1.5, 2.5, 3.5)", "score > 0.0", Wider),
        (
            "claim_id BETWEEN 1 AND 10",
            "claim_id > 0 AND claim_id < 11",
            Equal,
        ),
        (
            "claim_id BETWEEN 1 AND 10",
            "claim_id BETWEEN 2 AND 11",
            Incomparable,
        ),
        (
            "claim_id NOT BETWEEN 1 AND 10",
            "claim_id < 1 OR claim_id >= 11",
            Equal,
        ),
        ("amount >= 10", "amount > 9.99", Equal),
        ("amount >= 10", "amount > 9.98", Wider),
        (
            "service_date >= DATE '2024-01-01'",
            "service_date > DATE '2023-12-31'",
            Equal,
        ),
        (
            "visited < TIMESTAMP '2024-01-01 00:00:00'",
            "visited < TIMESTAMP '2024-01-01 00:00:01'",
            Wider,
        ),
        ("region LIKE 'EU%'", "starts_with(region, 'EU')", Equal),
        (
            "region LIKE 'EU%'",
            "region >= 'EU' AND region < 'EV'",
            Equal,
        ),
        ("region LIKE 'EU%'", "region LIKE 'E%'", Wider),
        ("region LIKE '%EU%'", "region NOT LIKE '%EU%'", Unknown),
        (
            "region LIKE '%EU%'",
            "region LIKE '%EU%' AND claim_id > 1",
            Narrower,
        ),
        (
            "array_has(tags, 'a')",
            "array_has(tags, 'a') OR array_has(tags, 'b')",
            Wider,
        ),
        ("array_has(tags, 'a')", "array_has(tags, 'b')", Unknown),
        (lookup, "true", Wider),
        (lookup, other, Unknown),
        ("claim_id = 1", lookup, Unknown),
        ("patient_id = region", "region = patient_id", Equal),
        ("patient_id < region", "region >= patient_id", Wider),
        ("patient_id < region", "NOT (patient_id >= region)", Equal),
        (
            "upper(region) = 'EU'",
            "upper(region) IN ('EU', 'UK')",
            Wider,
        ),
        ("upper(region) = 'EU'", "lower(region) = 'eu'", Unknown),
        (
            "contact.city = 'Oslo'",
            "contact.city IN ('Oslo', 'Bergen')",
            Wider,
        ),
        ("claim_id % 3 = 1", "claim_id % 3 IN (1, 2)", Wider),
        (
            "CASE WHEN legal_hold THEN claim_id > 5 ELSE claim_id > 3 END",
            "claim_id > 5 OR (legal_hold IS NOT TRUE AND claim_id > 3)",
            Equal,
        ),
        (
            "(claim_id > 3) IS NOT UNKNOWN",
            "claim_id IS NOT NULL",
            Equal,
        ),
        ("principal.home = region", "false", Equal),
        ("region = 'EU' AND region = 'UK'", "false", Equal),
        (
            "region = 'EU' OR (region = 'UK' AND legal_hold)",
            "region IN ('EU', 'UK') AND (region = 'EU' OR legal_hold)",
            Equal,
        ),
        (
            "(region = 'EU' AND score > 1) OR (region = 'UK' AND score > 2)",
            "region IN ('EU', 'UK') AND score > 1",
            Wider,
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(rows(old, new), expected, "{old} | {new}");
        assert_eq!(rows(new, old), expected.reversed(), "{new} | {old}");
    }
    let both = format!("{lookup} AND {other}");
    assert_eq!(rows(lookup, &both), Narrower);
    assert_eq!(rows(&format!("{both} OR {lookup}"), lookup), Equal);
}

#[test]
fn inv_14_a_rule_with_too_many_ways_is_given_up() {
    // Nine values, each of which is one of eight, and all different: there is no such row, and to
    // know it takes more ways than are gone.
    let (values, places) = (9, 8);
    let value = |n: usize| format!("claim_id%{}", n + 20);
    let mut parts: Vec<String> = Vec::new();
    for one in 0..values {
        parts.push(format!("{} BETWEEN 0 AND {}", value(one), places - 1));
        for other in one + 1..values {
            for place in 0..places {
                let (one, other) = (value(one), value(other));
                parts.push(format!("({one}<>{place} OR {other}<>{place})"));
            }
        }
    }
    let start = std::time::Instant::now();
    let rule = parts.join(" AND ");
    assert_eq!(rows(&rule, "region = 'EU'"), Unknown);
    assert_eq!(rows(&rule, "false"), Narrower);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn several_arms_and_guards_count_together() {
    let arms = |guards: &[&str], rows: &[&str]| {
        let profiles: Vec<_> = rows.iter().map(|rows| (*rows, "default: clear")).collect();
        set(guards, &profiles)
    };
    let rows = |old, new| change(old, new).map_or(Equal, |change: Change| change.rows);
    let one = arms(&[], &["region IN ('EU', 'UK')"]);
    let two = arms(&[], &["region = 'EU'", "region = 'UK'"]);
    assert_eq!(rows(&one, &two), Equal);
    let guarded = arms(&["NOT legal_hold"], &["region = 'EU'", "region = 'UK'"]);
    assert_eq!(rows(&two, &guarded), Narrower);
    let inside = arms(
        &[],
        &[
            "region = 'EU' AND NOT legal_hold",
            "region = 'UK' AND NOT legal_hold",
        ],
    );
    assert_eq!(rows(&guarded, &inside), Equal);
    assert_eq!(
        change(&guarded, &inside),
        None,
        "nothing that is shown differs"
    );
}

#[test]
fn columns_are_gained_lost_and_treated_anew() {
    let old = set(
        &[],
        &[(
            "true",
            "columns: {claim_id: clear, region: {mask: prefix, length: 2}, amount: {mask: bucket, \
             width: 10}, service_date: {mask: truncate_date, unit: month}, contact: clear, \
             contact.phone: hidden}, limits: {max_rows: 10}",
        )],
    );
    let new = set(
        &[],
        &[(
            "true",
            "columns: {score: clear, region: {mask: prefix, length: 3}, amount: {mask: round, to: 7}, \
             service_date: {mask: truncate_date, unit: year}, contact: clear, contact.phone: \
             {mask: partial}}, limits: {max_rows: 5, max_bytes: 9}",
        )],
    );
    let found = change(&old, &new).unwrap();
    assert_eq!(found.width(), Incomparable);
    insta::assert_snapshot!(found.lines().join("\n"), @r#"
    columns gained: score
    columns lost: claim_id
    region: prefix(length=2) → prefix(length=3) (wider)
    service_date: truncate_date(unit=month, zone=UTC) → truncate_date(unit=year, zone=UTC) (narrower)
    amount: bucket(width=10, origin=0) → round(to=7) (incomparable)
    contact.phone: hidden → partial(keep_first=0, keep_last=0, fill="****", min_masked=4) (wider)
    max_rows: 10 → 5 (narrower)
    max_bytes: no limit → 9 (narrower)
    "#);
    let back = change(&new, &old).unwrap();
    assert_eq!(back.gained, found.lost);
    assert_eq!(back.width(), Incomparable);
    for (one, other) in found.treatments.iter().zip(&back.treatments) {
        assert_eq!((one.width.reversed(), &one.old), (other.width, &other.new));
    }
}

#[test]
fn with_several_agreements_a_treatment_depends_on_the_row() {
    let narrow = ("region = 'EU'", "columns: {amount: clear, region: clear}");
    let broad = (
        "true",
        "columns: {amount: {mask: round, to: 10}, region: clear}",
    );
    let old = set(&[], &[narrow, broad]);
    let new = set(&[], &[("region = 'EU' AND score > 1", narrow.1), broad]);
    let found = change(&old, &new).unwrap();
    assert_eq!((found.rows, found.width()), (Equal, Narrower));
    assert_eq!(found.treatments.len(), 1);
    assert!(found.treatments[0].on_some_rows);
    assert_eq!(found.treatments[0].old, Showing::Clear);
    // The same rows written in another way change nothing.
    let same = set(
        &[],
        &[("region >= 'EU' AND region <= 'EU'", narrow.1), broad],
    );
    assert_eq!(change(&old, &same), None);
}

#[test]
fn a_verdict_changes_what_is_shown() {
    let access = "purposes: [research]\nprofiles: {p: {default: clear}}";
    let none = World::new().contract(access).set();
    let some = World::new().contract(access).agreement("a", "p", "").set();
    let found = change(&none, &some).unwrap();
    assert_eq!(found.verdict, Some((Verdict::NoAgreement, Verdict::Shown)));
    assert_eq!((found.gained.len(), found.width()), (10, Wider));
    let found = change(&some, &none).unwrap();
    assert_eq!((found.lost.len(), found.width()), (10, Narrower));
}

#[test]
fn pseudonyms_of_another_major_version_are_others() {
    let world = |version: &str| {
        let access =
            "purposes: [research]\nprofiles: {p: {columns: {patient_id: {mask: pseudonymize}}}}";
        let text = crate::tests::contract(access)
            .replace("version: 1.2.0", &format!("version: {version}"));
        World::new()
            .file("contracts/claims.odcs.yaml", &text)
            .agreement("a", "p", "contract: {id: claims, version: '*'}")
            .set()
    };
    assert_eq!(change(&world("1.2.0"), &world("1.3.0")), None);
    let found = change(&world("1.2.0"), &world("2.0.0")).unwrap();
    assert_eq!(found.width(), Incomparable, "{:?}", found.lines());
}

#[test]
fn a_column_of_another_name_or_type_at_the_source_is_another_column() {
    let access =
        "purposes: [research]\nprofiles: {p: {rows: region = 'EU', columns: {region: clear}}}";
    let text = crate::tests::contract(access);
    let world = |text: &str| {
        World::new()
            .file("contracts/claims.odcs.yaml", text)
            .agreement("a", "p", "")
            .set()
    };
    let moved = text.replace("{name: region}", "{name: region, physicalName: unlisted}");
    let (old, new) = (world(&text), world(&moved));
    let found = decisions((&old, &decide(&old)), (&new, &decide(&new))).unwrap();
    assert_eq!(found.replaced, ["region"]);
    assert_eq!(found.rows, Incomparable, "the rule asks another column");
    assert!(found.width().widens());
}

#[test]
fn the_mask_of_another_agreement_that_shows_instead_is_told() {
    let year = "{mask: truncate_date, unit: year}";
    let month = "{mask: truncate_date, unit: month}";
    let build = |first: Option<(&str, &str)>, second: (&str, &str), guard: &str| {
        let profiles = [first.unwrap_or(("true", year)), second];
        let [one, two] = profiles.map(|(rows, shown)| {
            format!("{{rows: \"{rows}\", columns: {{region: clear, service_date: {shown}}}}}")
        });
        let access = format!(
            "purposes: [research]\nguards: [{{id: g, rows: \"{guard}\"}}]\n\
             profiles: {{p0: {one}, p1: {two}}}"
        );
        let world = World::new().contract(&access).agreement("a1", "p1", "");
        let world = match first {
            Some(_) => world.agreement("a0", "p0", ""),
            None => world,
        };
        world.compile().unwrap().0
    };
    let width = |old: &PolicySet, new: &PolicySet| {
        let found = sets(old, new);
        assert_eq!(
            sets(new, old).width(),
            found.width().reversed(),
            "{found:?}"
        );
        found.width()
    };
    let both = build(Some(("true", year)), ("true", month), "true");
    // Where the year was seen, the month is.
    for fewer in [
        None,
        Some(("region = 'EU'", year)),
        Some(("true", "hidden")),
    ] {
        let new = build(fewer, ("true", month), "true");
        assert_eq!(width(&both, &new), Unknown, "{fewer:?}");
        let change = change(&both, &new).unwrap();
        assert!(change.width().widens(), "{:?}", change.lines());
    }
    // What shows instead tells no more, is seen on no such row, or is not seen instead.
    let other_way = build(Some(("true", month)), ("true", year), "true");
    assert_eq!(
        width(&other_way, &build(None, ("true", year), "true")),
        Narrower
    );
    let apart = build(
        Some(("region = 'EU'", year)),
        ("region = 'UK'", month),
        "true",
    );
    let without = build(None, ("region = 'UK'", month), "true");
    assert_eq!(width(&apart, &without), Narrower);
    let guarded = build(Some(("true", year)), ("true", month), "NOT legal_hold");
    assert_eq!(width(&both, &guarded), Narrower);
    let null = build(Some(("true", "{mask: 'null'}")), ("true", month), "true");
    assert_eq!(width(&both, &null), Narrower);
    let found = sets(&both, &build(None, ("true", month), "true"));
    let details = &found.tables[0].organisations[0].agreements[0].details;
    let last = details.last().unwrap();
    assert_eq!(last.part, "service_date where a1 admits the row, too");
    assert_eq!(last.width, Some(Wider));
}

#[test]
fn numbers_with_another_sign_are_other_numbers() {
    let build = |least: &str| {
        let access =
            "purposes: [research]\nprofiles: {p: {rows: score > agreement.least, default: clear}}";
        let more = format!("parameters: {{least: {least}}}");
        World::new()
            .contract(access)
            .agreement("a", "p", &more)
            .set()
    };
    let found = sets(&build("0.0"), &build("-0.0"));
    assert_eq!((found.tables.len(), found.width()), (1, Equal), "{found:?}");
}

#[test]
fn inv_14_long_lists_are_compared_in_time() {
    let build = |count: u32| {
        let regions: Vec<String> = (0..count)
            .map(|n| format!("r{}", n * 7919 % 100_003))
            .collect();
        let access = "purposes: [research]\nprofiles: {p: {rows: \"array_has(agreement.regions, region)\", default: clear}}";
        let more = format!("parameters: {{regions: [{}]}}", regions.join(", "));
        World::new()
            .contract(access)
            .agreement("a", "p", &more)
            .set()
    };
    let (one, other) = (build(5_000), build(5_001));
    let start = std::time::Instant::now();
    assert_eq!(sets(&one, &other).width(), Wider);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
