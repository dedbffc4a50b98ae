//! Which expressions are taken, which are refused and with what words, and what is left of them.

use std::net::IpAddr;

use datafusion_expr::Expr;
use scrim_model::{Context, SessionSettings, Value};

use super::{World, alice, contract, decide, decide_as, noon};
use crate::{Decision, PolicySet};

fn with_rows(rows: &str, more: &str) -> World {
    let rows = rows.replace('"', "\\\"");
    let access =
        format!("purposes: [research]\nprofiles:\n  p: {{rows: \"{rows}\", default: clear}}");
    World::new().contract(&access).agreement("a", "p", more)
}

fn lowered(set: &PolicySet, decision: &Decision) -> String {
    match set.rules(decision).unwrap().arms.as_slice() {
        [None] => "all".to_owned(),
        [Some(expr)] => expr.to_string(),
        arms => panic!("{arms:?}"),
    }
}

/// What is left of a row rule for alice, or why it is refused.
fn rows(rows: &str) -> String {
    match with_rows(rows, "parameters: {regions: [EU, UK], floor: 3}").compile() {
        Ok((set, _)) => lowered(&set, &decide(&set)),
        Err(problems) => {
            let first = problems.iter().next().unwrap();
            let help = first
                .help()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("refused: {}{help}", first.message())
        }
    }
}

/// Whether an agreement's `who` holds for alice, or why it is refused.
fn who(text: &str) -> String {
    let who = text.replace('"', "\\\"");
    let more = format!("consumer: {{organisation: acme, who: \"{who}\"}}");
    let access = "purposes: [research]\nprofiles: {p: {default: clear}}";
    match World::new()
        .contract(access)
        .agreement("a", "p", &more)
        .compile()
    {
        Ok((set, _)) => (!decide(&set).arms.is_empty()).to_string(),
        Err(problems) => {
            let first = problems.iter().next().unwrap();
            let help = first
                .help()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("refused: {}{help}", first.message())
        }
    }
}

/// Checks a table of expressions, each followed by what becomes of it.
#[track_caller]
fn check(table: &str, becomes: fn(&str) -> String) {
    let cases = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    let found: Vec<_> = cases
        .map(|case| format!("{case}\n    {}", becomes(case)))
        .collect();
    let found = found.join("\n") + "\n";
    assert_eq!(table.trim_start(), found, "found:\n{found}");
}

const BOUND: &str = r#"
region = 'EU'
    region = Utf8View("EU")
array_has(agreement.regions, region)
    region = Utf8View("EU") OR region = Utf8View("UK")
region IN ('EU', principal.home)
    region = Utf8View("EU")
region NOT IN ('EU', principal.home)
    Boolean(false)
principal.clearance >= 2
    all
principal.clearance >= 3 OR region = 'EU'
    region = Utf8View("EU")
principal.home = region
    Boolean(false)
NOT principal.home = region
    Boolean(false)
NOT array_has(principal.groups, 'analyst')
    Boolean(false)
array_has(principal.groups, 'analyst') AND amount < 100
    amount < Decimal128(100.00,12,2)
amount >= agreement.floor
    amount >= Decimal128(3.00,12,2)
service_date >= DATE '2024-01-01'
    service_date >= Date32("2024-01-01")
service_date >= CAST(context.time AS DATE) - INTERVAL '90 days'
    service_date >= Date32("2026-03-05")
visited > context.time - INTERVAL '1 hour'
    visited > TimestampMicrosecond(1780484400000000, None)
visited >= TIMESTAMP '2024-01-01 00:00:00'
    visited >= TimestampMicrosecond(1704067200000000, None)
context.hour BETWEEN 6 AND 22
    all
contact.city = 'Oslo' AND contact['phone'] LIKE '+47%'
    get_field(contact, Utf8("city")) = Utf8("Oslo") AND get_field(contact, Utf8("phone")) LIKE Utf8("+47%")
array_has(tags, principal.org)
    array_has(tags, Utf8("acme"))
array_has_any(tags, principal.groups)
    array_has_any(tags, List([analyst]))
claim_id % 10 = 3 AND claim_id / 7 > 1
    claim_id % Int64(10) = Int64(3) AND claim_id / Int64(7) > Int64(1)
date_part('year', service_date) = 2024 AND extract(month from visited) = 5
    service_date >= Date32("2024-01-01") AND service_date < Date32("2025-01-01") AND date_part(Utf8("MONTH"), visited) = Int32(5)
coalesce(region, 'none') <> 'EU' AND region ~ '^E'
    CASE WHEN region IS NOT NULL THEN region ELSE Utf8View("none") END != Utf8View("EU") AND region LIKE Utf8View("E%")
region IN (SELECT region FROM lookup.entitlements WHERE partner = principal.org)
    region IN (<subquery>)
legal_hold OR patient_id IN (SELECT partner FROM lookup.entitlements WHERE level > principal.clearance)
    legal_hold OR patient_id IN (<subquery>)
true
    all
NULL OR false
    Boolean(false)
"#;

#[test]
fn values_are_bound_as_literals_and_constants_folded() {
    check(BOUND, rows);
}

const COULD_RAISE: &str = r#"
CAST(region AS INT) = 1
    refused: converting Utf8View to Int32 can fail on some row (write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
region = 1
    refused: converting Utf8View to Int64 can fail on some row (write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
claim_id / claim_id > 1
    refused: `/` can fail on some row (write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0)
claim_id / NULLIF(claim_id, 0) > 1
    refused: `/` can fail on some row (write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0)
claim_id % NULLIF(claim_id, 0) > 1
    claim_id % nullif(claim_id, Int64(0)) > Int64(1)
claim_id / 0 = 1
    refused: `/` can fail on some row (write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0)
claim_id / -1 = 1
    refused: `/` can fail on some row (write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0)
amount * 2 > 100
    refused: `*` of Decimal128(12, 2) and Decimal128(20, 0) can overflow on some row (write `CAST(… AS DOUBLE) * …`)
CAST(amount AS DOUBLE) * 2 > 100
    CAST(amount AS Float64) * Float64(2) > Float64(100)
amount / 3 > 1
    refused: `/` can fail on some row (write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0)
abs(claim_id) = 1
    refused: `abs` can overflow on this type (write `abs(CAST(… AS DOUBLE))`)
tags[1] = 'x'
    refused: the function `array_element` cannot be used in a policy
service_date + INTERVAL '1 day' > DATE '2024-01-01'
    refused: `+` of Date32 and Interval(MonthDayNano) can overflow on some row (compare the column with `context.time - INTERVAL '…'` instead)
service_date > context.time
    refused: converting Date32 to Timestamp(ns) can fail on some row (compare days with days (`CAST(context.time AS DATE)`), or write `TRY_CAST(… AS TIMESTAMP)`)
CAST(visited AS DATE) = DATE '2024-01-01'
    refused: converting Timestamp(µs) to Date32 can fail on some row (compare it with timestamps, or use `date_part`)
TRY_CAST(visited AS DATE) = DATE '2024-01-01'
    refused: converting Timestamp(µs) to Date32 can fail on some row, even with TRY_CAST (compare it with timestamps, or use `date_part`)
TRY_CAST(region AS INT) = 1
    TRY_CAST(region AS Int32) = Int32(1)
to_timestamp(region) > visited
    refused: the function `to_timestamp` cannot be used in a policy (use `TRY_CAST(… AS TIMESTAMP)`)
region LIKE patient_id
    refused: the pattern of `LIKE` must be a literal (compare with `starts_with`, `ends_with` or `contains`)
region ~ patient_id
    refused: a regular expression must be a literal
region ~ '('
    refused: invalid regex
regexp_like(region, 'a', 'i')
    region ILIKE Utf8View("%a%")
substr(region, claim_id) = 'x'
    refused: `substr` can fail when positions and lengths are no fixed numbers (write numbers from 0 to 1000000)
contact = contact
    contact IS NOT NULL
now() > visited
    refused: the function `now` cannot be used in a policy (use `context.time`)
random() > 0.5
    refused: the function `random` cannot be used in a policy (a decision must not depend on chance)
sum(claim_id) > 1
    refused: the function `sum` cannot be used in a policy (only immutable functions that cannot fail on any row are offered)
lower(region) OVER () = 'x'
    refused: `lower` takes arguments and nothing else
upper(region) FILTER (WHERE false) = 'x'
    refused: `upper` takes arguments and nothing else
date_part('second', visited) = 1
    refused: this part of a date is not offered (the parts are year, quarter, month, week, day, doy, dow, isodow, isoyear, hour, minute)
region SIMILAR TO 'a%'
    refused: `region SIMILAR TO Utf8View("a%")` cannot be used in a policy
ip_in(region, '10.0.0.0/99')
    refused: `10.0.0.0/99` is no network (write an address and a length, like '10.0.0.0/8')
ip_in(region, patient_id)
    refused: the networks of `ip_in` must be literals (for a named network write `array_has(context.network, 'name')`)
"#;

#[test]
fn inv_03_what_could_raise_is_refused_with_its_total_form() {
    check(COULD_RAISE, rows);
}

const NAMES: &str = r#"
org = 'acme'
    refused: there is no column `org` (did you mean `principal.org`?)
id = 1
    refused: there is no column `id` (did you mean `principal.id`?)
regoin = 'EU'
    refused: there is no column `regoin` (did you mean `region`?)
Region = 'EU'
    region = Utf8View("EU")
"Region" = 'EU'
    refused: there is no column `Region` (names without quotes are lower case: write "region" in double quotes)
principal.organisation = 'acme'
    refused: there is no `principal.organisation` (attributes are declared in the identity settings)
principal.clearence > 1
    refused: there is no `principal.clearence` (did you mean `principal.clearance`?)
context.hours > 1
    refused: there is no `context.hours` (did you mean `context.hour`?)
agreement.region = 'EU'
    refused: the profile `p` uses `agreement.region`, which this agreement lacks (rename its parameter `regions` to `region`)
principal = 'acme'
    refused: `principal` is a namespace, not a value (write `principal.member`)
principal['org'] = 'acme'
    refused: `principal` is a namespace, not a value (write `principal.member`)
principal.org.x = 'acme'
    refused: there is no `principal.org.x` (attributes are declared in the identity settings)
"principal.org" = 'acme'
    all
claims.region = 'EU'
    refused: there is no column `claims` (write the bare name `region`)
unlisted = 'x'
    refused: there is no column `unlisted`
contact.zip = '1'
    refused: field zip not found in struct
lowr(region) = 'eu'
    refused: the function `lowr` cannot be used in a policy (did you mean `lower`?)
region = $1
    refused: `$1` is a parameter, which a policy has not
region = @x
    refused: there is no column `@x`
region
    refused: expected a condition that is true or false, found Utf8View
region = 'EU' AND
    refused: not an SQL expression: expected: an expression, found: EOF
region = 'EU' AS x
    refused: the condition ends before `x`
region = 'EU'; DROP TABLE claims
    refused: not an SQL expression: expected: end of expression, found: ; at Line: 1, Column: 14
array_has(context.network, 'ofice')
    refused: there is no network `ofice` (did you mean `office`?)
region IN (SELECT region FROM lookup.entitlement)
    refused: there is no look-up table `entitlement` (did you mean `lookup.entitlements`?)
region IN (SELECT region FROM insurance.claims)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region IN (SELECT region, partner FROM lookup.entitlements)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region IN (SELECT region FROM lookup.entitlements LIMIT 1)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region IN (SELECT e.region FROM lookup.entitlements e)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region IN (SELECT region FROM lookup.entitlements WHERE level = claim_id)
    refused: `claim_id` is not a column of the look-up table (a look-up cannot depend on the row: compare the column before `IN` instead)
region IN (SELECT region FROM lookup.entitlements WHERE CAST(partner AS INT) = 1)
    refused: converting Utf8 to Int32 can fail on some row (write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
region IN (SELECT region FROM lookup.entitlements WHERE partner IN (SELECT partner FROM lookup.entitlements))
    refused: a look-up cannot ask another one
region IN (SELECT region FROM lookup.entitlements WHERE coalesce(principal.home, partner) = partner)
    refused: coalesce on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
region NOT IN (SELECT region FROM lookup.entitlements)
    refused: `NOT IN` over a look-up table cannot be used (list what is allowed in the look-up table, and use `IN`)
NOT (region IN (SELECT region FROM lookup.entitlements))
    refused: a look-up can only be joined to the rest by AND or OR (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
EXISTS (SELECT 1 FROM lookup.entitlements)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region = (SELECT region FROM lookup.entitlements)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
region = ANY (SELECT region FROM lookup.entitlements)
    refused: this subquery is not one that a policy can ask (write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR)
"#;

#[test]
fn names_are_found_exactly_or_not_at_all() {
    check(NAMES, rows);
}

const ABSENCE: &str = r"
principal.clearance = 2
    true
principal.home = 'Oslo'
    false
NOT principal.home = 'Oslo'
    false
principal.home <> 'Oslo'
    false
NOT array_has(principal.teams, 'x')
    false
NOT array_has(principal.groups, principal.home)
    false
principal.home NOT IN ('a', 'b')
    false
principal.org NOT IN ('a', principal.home)
    false
NOT ip_in(context.ip, '10.0.0.0/8')
    false
NOT array_has(context.network, 'office')
    false
NOT context.device_trusted
    false
principal.home = 'x' OR principal.org = 'acme'
    true
context.weekday = 3 AND context.hour = 12
    true
principal.kind = 'human' AND context.time > TIMESTAMP '2020-01-01T00:00:00Z'
    true
principal.home IS NULL
    refused: a null test on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
principal.home IS NOT NULL
    refused: a null test on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
(principal.home = 'x') IS NOT TRUE
    refused: `IS [NOT] TRUE` on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
principal.home IS DISTINCT FROM 'x'
    refused: `IS [NOT] DISTINCT FROM` on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
coalesce(principal.home, 'Oslo') = 'Oslo'
    refused: coalesce on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
CASE WHEN principal.home = 'x' THEN false ELSE true END
    refused: `CASE` on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
concat(principal.home, 'x') = 'x'
    refused: concat on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
nullif(principal.org, principal.home) = 'acme'
    refused: nullif on `principal.org` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
array_has([principal.home, 'x'], 'x')
    refused: make_array on `principal.home` would turn the absence of an attribute into something (compare it with what it must be; if it is not known, that is not true)
region = 'EU'
    refused: there is no column `region` (columns can only be used in `rows`)
principal.org IN (SELECT partner FROM lookup.entitlements)
    refused: look-up tables can only be asked in row rules (put the condition into `rows`)
agreement.id = 'a' AND agreement.organisation = principal.org
    true
CAST(principal.home AS INT) = 1
    refused: converting Utf8 to Int32 can fail on some row (write `TRY_CAST(… AS …)`, which is NULL where the value does not fit)
";

#[test]
fn inv_03_absence_of_evidence_is_absence_of_access() {
    check(ABSENCE, who);
}

#[test]
fn inv_03_a_missing_attribute_admits_no_row_inside_a_look_up_either() {
    let rows = "region IN (SELECT region FROM lookup.entitlements WHERE NOT array_has(principal.teams, partner))";
    let set = with_rows(rows, "").set();
    let rules = set.rules(&decide(&set)).unwrap();
    let Some(Some(Expr::InSubquery(lookup))) = rules.arms.first() else {
        panic!("{rules:?}")
    };
    insta::assert_snapshot!(lookup.subquery.subquery.display_indent(), @r"
    Projection: CAST(lookup.entitlements.region AS Utf8View)
      Filter: Boolean(NULL)
        TableScan: lookup.entitlements
    ");
}

#[test]
fn what_is_known_of_a_request_is_bound() {
    let set = with_rows(
        "ip_in(context.ip, '10.0.0.0/8', '2001:db8::/32') AND array_has(context.network, 'office') \
         AND context.purpose = 'research' AND context.risk < 50 AND principal.auth_age < 900",
        "",
    )
    .set();
    let mut context = Context::at(noon());
    context.ip = Some("::ffff:10.1.2.3".parse::<IpAddr>().unwrap());
    context.networks = vec!["office".to_owned()];
    context.risk = Some(10);
    let mut principal = alice();
    principal.authenticated_at = Some("2026-06-03T11:50:00Z".parse().unwrap());
    let settings = SessionSettings {
        purpose: Some("research".to_owned()),
        ..SessionSettings::default()
    };
    let table = super::claims();
    let decision = set.decide(&principal, &context, &settings, &table);
    assert_eq!(lowered(&set, &decision), "all");
    let bindings = &decision.arms[0].rows.as_ref().unwrap().bindings;
    assert_eq!(bindings["principal.auth_age"], Value::Int64(600));
    assert_eq!(bindings["context.ip"], Value::Text("10.1.2.3".to_owned()));
    for (change, missing) in [
        (
            Context {
                ip: None,
                ..context.clone()
            },
            "context.network",
        ),
        (
            Context {
                risk: None,
                ..context.clone()
            },
            "context.risk",
        ),
    ] {
        let decision = set.decide(&principal, &change, &settings, &table);
        assert!(
            !decision.arms[0]
                .rows
                .as_ref()
                .unwrap()
                .bindings
                .contains_key(missing)
        );
        assert_eq!(lowered(&set, &decision), "Boolean(false)");
    }
}

#[test]
fn long_and_deep_expressions_end_in_a_message() {
    let long = vec!["claim_id = 1"; 5_000].join(" OR ");
    assert!(rows(&long).contains("longer than 16 KiB"));
    let chain = vec!["claim_id = 1"; 900].join(" OR ");
    assert!(rows(&chain).contains("claim_id = Int64(1)"));
    let deep = format!("{}claim_id = 1{}", "(".repeat(500), ")".repeat(500));
    assert!(rows(&deep).starts_with("refused: the expression has too many operators"));
    let ids: Vec<_> = (0..600).map(|id| format!("principal.id='{id}'")).collect();
    assert_eq!(who(&ids.join(" OR ")), "false");
}

/// What becomes of a row rule over a table whose columns have names of one letter.
fn short(rule: &str) -> String {
    let access = format!("purposes: [research]\nprofiles: {{p: {{rows: \"{rule}\"}}}}");
    let text = contract(&access)
        .replace("{name: claim_id", "{name: i, physicalName: claim_id")
        .replace("{name: region", "{name: s, physicalName: region")
        .replace("{name: legal_hold", "{name: b, physicalName: legal_hold")
        .replace(
            "- name: contact",
            "- physicalName: contact\n        name: c",
        );
    let world = World::new().file("contracts/claims.odcs.yaml", &text);
    world.agreement("a", "p", "").problems()
}

#[test]
fn what_would_need_too_deep_a_tree_ends_in_a_message() {
    for (rule, deepest, too_deep) in [
        ("i{} = 1", "+i", 7_000),
        ("s{} = 'x'", "||s", 5_000),
        ("i{} = 1", "::BIGINT", 1_800),
        ("b{}", " IS NULL", 1_900),
        ("c{} = 'x'", "['x']", 3_000),
        ("c{} = 'x'", ".x", 7_000),
    ] {
        let of = |count: usize| short(&rule.replace("{}", &deepest.repeat(count)));
        let refused = of(too_deep);
        assert!(
            refused.contains("too many operators"),
            "{deepest}: {refused}"
        );
        let taken = of(50);
        assert!(!taken.contains("too many operators"), "{deepest}: {taken}");
    }
    let any: Vec<_> = (0..1_600).map(|number| format!("i={number}")).collect();
    assert_eq!(short(&any.join(" OR ")), "");
}

#[test]
fn inv_03_what_is_no_number_is_greater_than_nothing() {
    let who = "consumer: {organisation: acme, who: principal.trust > 0.5}";
    let set = World::new()
        .contract("purposes: [research]\nprofiles: {p: {rows: principal.trust > 0.5}}")
        .agreement("a", "p", "")
        .agreement("b", "p", who)
        .set();
    for (trust, arms, bound) in [(0.7, 2, true), (0.2, 1, true), (f64::NAN, 1, false)] {
        let mut principal = alice();
        principal
            .attributes
            .insert("trust".to_owned(), Value::Float64(trust));
        let decision = decide_as(&set, &principal, &SessionSettings::default());
        assert_eq!(decision.arms.len(), arms, "{trust}");
        let clause = decision.arms[0].rows.as_ref().unwrap();
        assert_eq!(!clause.bindings.is_empty(), bound, "{trust}");
    }
}

#[test]
fn inv_14_conditions_that_multiply_when_folded_are_not_taken() {
    let nested = |depth: usize| {
        let mut rule = "legal_hold".to_owned();
        for n in 0..depth {
            rule = format!(
                "CASE WHEN ({rule}) IS TRUE THEN claim_id > {n} WHEN score > {n} THEN NULL ELSE region = 'A{n}' END"
            );
        }
        with_rows(&rule, "").problems()
    };
    let start = std::time::Instant::now();
    assert_eq!(nested(4), "");
    assert!(nested(12).contains("too many operators"));
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
