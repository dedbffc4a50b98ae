//! The cases: for each lint what it finds, and the same mended.

use super::{Case, ENDS, policies};

const CLEAN: &[(&str, &str, &str)] = &[("used", "p", ENDS)];
const HIDES: &str = "purposes: [research]\nprofiles: {p: {columns: {claim_id: clear}}}";

/// A profile with this one column.
macro_rules! shows {
    ($column:literal) => {
        policies(
            concat!(
                "purposes: [research]\nprofiles:\n  p:\n    columns:\n      ",
                $column
            ),
            CLEAN,
        )
    };
}

/// A profile with this row rule.
macro_rules! rows {
    ($rows:literal) => {
        policies(
            concat!(
                "purposes: [research]\nprofiles:\n  p:\n    rows: \"",
                $rows,
                "\"\n    columns: {claim_id: clear}"
            ),
            CLEAN,
        )
    };
}

/// A guard with this `when`.
macro_rules! guarded {
    ($when:literal) => {
        policies(
            concat!(
                "purposes: [research]\nguards: [{id: g, when: \"",
                $when,
                "\"}]\nprofiles: {p: {columns: {claim_id: clear}}}"
            ),
            CLEAN,
        )
    };
}

/// Agreements for a profile that hides almost all.
macro_rules! agreed {
    ($($more:expr),+) => {
        policies(HIDES, &[$(("used", "p", $more)),+])
    };
}

/// Two agreements of one organisation that show the amount through these masks.
macro_rules! thresholds {
    ($one:literal, $other:literal) => {
        policies(
            concat!(
                "purposes: [research, billing]\nprofiles:\n  p: {columns: {claim_id: clear, amount: ",
                $one,
                "}}\n  q: {columns: {claim_id: clear, amount: ",
                $other,
                "}}"
            ),
            &[
                ("a", "p", ENDS),
                ("used", "q", "end: 2026-12-31\npurpose: billing"),
            ],
        )
    };
}

pub(super) const CASES: &[Case] = &[
    Case {
        lint: "mask-conflict",
        bad: policies(
            "purposes: [research]
profiles:
  p: {columns: {amount: {mask: round, to: 10}}}
  q: {columns: {amount: {mask: round, to: 50}}}",
            &[("a", "p", ENDS), ("used", "q", ENDS)],
        ),
        good: policies(
            "purposes: [research]
profiles:
  p: {columns: {amount: {mask: round, to: 10}}}
  q: {columns: {amount: {mask: round, to: 10}, score: {mask: round, to: 5}}}",
            &[("a", "p", ENDS), ("used", "q", ENDS)],
        ),
    },
    Case {
        lint: "agreement-never-matches",
        bad: agreed!("end: 2026-12-31\nconsumer: {organisation: acme, who: \"1 = 2\"}"),
        good: agreed!(
            "end: 2026-12-31\nconsumer: {organisation: acme, who: \"principal.id = 'al'\"}"
        ),
    },
    Case {
        lint: "agreement-never-matches",
        bad: agreed!("end: 2026-12-31\ncontract: {id: claims, version: ^2}"),
        good: agreed!("end: 2026-12-31\ncontract: {id: claims, version: ^2}\nstatus: suspended"),
    },
    Case {
        lint: "agreement-never-matches",
        bad: agreed!("end: 2026-12-31\nwhen: context.hour = 1 AND false"),
        good: agreed!("end: 2026-12-31\nwhen: context.hour = 1"),
    },
    Case {
        lint: "agreement-over",
        bad: agreed!("end: 2026-06-02"),
        good: agreed!("end: 2026-06-02\nstatus: ended"),
    },
    Case {
        lint: "profile-unused",
        bad: policies(
            "purposes: [research]\nprofiles: {p: {columns: {claim_id: clear}}, q: {default: hidden}}",
            CLEAN,
        ),
        good: policies(HIDES, CLEAN),
    },
    Case {
        lint: "profile-unused",
        bad: agreed!("status: ended"),
        good: agreed!("status: suspended"),
    },
    Case {
        lint: "tag-shadowed",
        bad: policies(
            "purposes: [research]
profiles:
  p: {columns: {region: {mask: prefix, length: 1}}, tagged: {quasi-identifier: hidden}}",
            CLEAN,
        ),
        good: policies(
            "purposes: [research]
profiles:
  p: {columns: {claim_id: clear}, tagged: {quasi-identifier: hidden}}",
            CLEAN,
        ),
    },
    Case {
        lint: "guard-constant",
        bad: guarded!("1 = 1"),
        good: guarded!("context.hour > 6"),
    },
    Case {
        lint: "guard-constant",
        bad: guarded!("context.hour > 6 AND false"),
        good: guarded!("context.device_trusted"),
    },
    Case {
        lint: "rows-constant",
        bad: rows!("region = 'EU' OR true"),
        good: rows!("region = 'EU'"),
    },
    Case {
        lint: "rows-constant",
        bad: rows!("region = 'EU' AND 1 = 2"),
        good: rows!("region = principal.org"),
    },
    Case {
        lint: "agreement-ends-soon",
        bad: agreed!("end: 2026-07-03"),
        good: agreed!("end: 2026-07-04"),
    },
    Case {
        lint: "agreement-without-end",
        bad: agreed!("start: 2026-01-01"),
        good: agreed!("status: requested"),
    },
    Case {
        lint: "agreement-unused",
        bad: policies(HIDES, &[("idle", "p", ENDS)]),
        good: policies(
            HIDES,
            &[("idle", "p", "start: 2026-05-15\nend: 2026-12-31")],
        ),
    },
    Case {
        lint: "agreement-unused",
        bad: policies(HIDES, &[("used", "p", ENDS), ("idle", "p", ENDS)]),
        good: policies(HIDES, CLEAN),
    },
    Case {
        lint: "most-kept",
        bad: shows!("region: {mask: partial, keep_first: 3, keep_last: 2}"),
        good: shows!("region: {mask: partial, keep_first: 2, keep_last: 2}"),
    },
    Case {
        lint: "day-kept",
        bad: shows!("visited: {mask: truncate_date, unit: day}"),
        good: shows!("visited: {mask: truncate_date, unit: week}"),
    },
    Case {
        lint: "address-kept",
        bad: shows!("region: {mask: email, keep_local: 4}"),
        good: shows!("region: {mask: email}"),
    },
    Case {
        lint: "address-kept",
        bad: shows!(
            "contact: {mask: 'null'}\n      contact.city: {mask: email, keep_domain: full}"
        ),
        good: shows!("contact.city: {mask: email, keep_domain: full, keep_local: 0}"),
    },
    Case {
        lint: "small-step",
        bad: shows!("amount: {mask: round, to: 1}"),
        good: shows!("score: {mask: bucket, width: 0.25}"),
    },
    Case {
        lint: "small-step",
        bad: shows!("claim_id: {mask: bucket, width: 1}"),
        good: shows!("claim_id: {mask: bucket, width: 100}"),
    },
    Case {
        lint: "unmatched-kept",
        bad: shows!(
            "'tags[]': {mask: regex_replace, pattern: a, replacement: b, on_no_match: keep}"
        ),
        good: shows!("'tags[]': {mask: regex_replace, pattern: a, replacement: b}"),
    },
    Case {
        lint: "machine-kept",
        bad: shows!("region: {mask: ip_truncate, v4: 31}"),
        good: shows!("region: {mask: ip_truncate}"),
    },
    Case {
        lint: "identifier-partly-shown",
        bad: shows!("patient_id: {mask: partial, keep_last: 2}"),
        good: shows!("patient_id: {mask: partial}"),
    },
    Case {
        lint: "identifier-partly-shown",
        bad: shows!("contact.phone: {mask: prefix, length: 2}"),
        good: shows!("contact.city: {mask: prefix, length: 2}"),
    },
    Case {
        lint: "identifier-as-token",
        bad: shows!("patient_id: {mask: pseudonymize}"),
        good: shows!("patient_id: hidden"),
    },
    Case {
        lint: "identifier-clear",
        bad: shows!("patient_id: clear"),
        good: policies(
            "purposes: [research]\nprofiles: {p: {columns: {patient_id: clear}}}",
            &[(
                "used",
                "p",
                "end: 2026-12-31\nconsumer: {organisation: owner, who: true}",
            )],
        ),
    },
    Case {
        lint: "identifier-clear",
        bad: shows!("contact: clear\n      contact.phone: clear"),
        good: shows!("contact: clear\n      contact.phone: hidden"),
    },
    Case {
        lint: "quasi-identifier-clear",
        bad: shows!("region: clear"),
        good: shows!("region: {mask: prefix, length: 1}"),
    },
    Case {
        lint: "quasi-identifier-clear",
        bad: shows!("score: clear"),
        good: shows!("amount: clear"),
    },
    Case {
        lint: "mask-undone",
        bad: policies(
            "purposes: [research, billing]
profiles:
  p: {columns: {claim_id: clear, amount: {mask: round, to: 100}}}
  q: {columns: {claim_id: clear, amount: clear}}",
            &[
                ("a", "p", ENDS),
                ("used", "q", "end: 2026-12-31\npurpose: billing"),
            ],
        ),
        good: policies(
            "purposes: [research, billing]
profiles:
  p: {columns: {claim_id: {mask: pseudonymize}, amount: {mask: round, to: 100}}}
  q: {columns: {claim_id: clear, amount: clear}}",
            &[
                ("a", "p", ENDS),
                ("used", "q", "end: 2026-12-31\npurpose: billing"),
            ],
        ),
    },
    Case {
        // The finer step undoes the coarser one.
        lint: "thresholds-combined",
        bad: thresholds!("{mask: round, to: 100}", "{mask: round, to: 10}"),
        good: thresholds!("{mask: round, to: 10}", "{mask: round, to: 10}"),
    },
    Case {
        // Neither tells what the other does.
        lint: "thresholds-combined",
        bad: thresholds!(
            "{mask: top_code, limit: 500}",
            "{mask: bottom_code, limit: 100}"
        ),
        good: thresholds!("{mask: top_code, limit: 500}", "{mask: 'null'}"),
    },
    Case {
        lint: "lookup-old",
        bad: rows!(
            "region IN (SELECT region FROM lookup.entitlements WHERE partner = principal.org)"
        ),
        good: rows!("region = 'lookup.entitlement'"),
    },
];
