//! Every claim against the engine's own evaluation of both rules over all rows of a small world.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringViewArray, new_null_array,
};
use arrow::datatypes::{Field, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::Expr;
use proptest::prelude::*;

use super::{change, set};
use crate::compare::Width;
use crate::language::fold;
use crate::tests::{claims_schema, decide};
use crate::{Decision, PolicySet, RowRules, Showing};

/// Conditions that the logic understands. Their literals cut each column into parts, of each of
/// which the world has a value.
const KNOWN: &[&str] = &[
    "region = 'EU'",
    "region <> 'UK'",
    "region IN ('EU', 'UK')",
    "region NOT IN ('UK')",
    "region LIKE 'EU%'",
    "region NOT LIKE 'EU%'",
    "region > 'EU'",
    "region <= 'UK'",
    "region IS NULL",
    "(region IS NOT DISTINCT FROM 'EU')",
    "claim_id = 1",
    "claim_id > 0",
    "claim_id BETWEEN 0 AND 1",
    "claim_id NOT BETWEEN 1 AND 2",
    "claim_id IN (0, 2)",
    "2 > claim_id",
    "claim_id IS NOT NULL",
    "score > 0.5",
    "score >= 0.5",
    "score <> 0.5",
    "score IN (0.0, 0.5)",
    "score = 0.0",
    "score < 0.0",
    "score BETWEEN 0.0 AND 0.5",
    "score IS NULL",
    "amount >= 10",
    "amount < 9.99",
    "amount IN (10, 9.99)",
    "legal_hold",
    "NOT legal_hold",
    "legal_hold IS TRUE",
    "legal_hold IS NOT TRUE",
    "legal_hold IS NOT FALSE",
    "legal_hold IS NULL",
    "legal_hold = (claim_id IS NULL)",
    "true",
    "false",
];

/// Conditions that it does not, or not wholly.
const OPAQUE: &[&str] = &[
    "claim_id % 2 = 1",
    "upper(region) = 'EU'",
    "region = patient_id",
    "region < patient_id",
    "region >= patient_id",
    "contains(region, 'U')",
    "region ILIKE 'eu%'",
    "CASE WHEN legal_hold THEN region = 'EU' ELSE claim_id > 0 END",
    "coalesce(claim_id, 1) = 1",
    "score > claim_id",
];

fn rule(atoms: Vec<&'static str>) -> impl Strategy<Value = String> {
    let atom = prop::sample::select(atoms).prop_map(str::to_owned);
    atom.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.clone().prop_map(|a| format!("(NOT {a})")),
            inner.clone().prop_map(|a| format!("({a}) IS NOT TRUE")),
            inner.clone().prop_map(|a| format!("({a}) IS UNKNOWN")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("CASE WHEN {a} THEN {b} ELSE {c} END")),
        ]
    })
}

fn known() -> impl Strategy<Value = String> {
    rule(
        KNOWN
            .iter()
            .copied()
            .filter(|atom| !atom.contains("legal_hold = ("))
            .collect(),
    )
}

fn any_rule() -> impl Strategy<Value = String> {
    rule([KNOWN, OPAQUE].concat())
}

/// Every combination of these values, NULL among them.
pub(super) fn world() -> &'static RecordBatch {
    static WORLD: LazyLock<RecordBatch> = LazyLock::new(|| {
        let ids = [None, Some(-1), Some(0), Some(1), Some(2), Some(3)];
        let regions = [
            None,
            Some(""),
            Some("EU"),
            Some("EU-W"),
            Some("Oslo"),
            Some("UK"),
            Some("US"),
        ];
        let scores = [
            None,
            Some(-f64::NAN),
            Some(-1.0),
            Some(-0.0),
            Some(0.0),
            Some(0.25),
            Some(0.5),
            Some(f64::INFINITY),
            Some(f64::NAN),
        ];
        let amounts = [None, Some(0), Some(999), Some(1000), Some(1001)];
        let holds = [None, Some(false), Some(true)];
        let mut rows = Vec::new();
        for id in ids {
            for region in regions {
                for score in scores {
                    for amount in amounts {
                        for hold in holds {
                            rows.push((id, region, score, amount, hold));
                        }
                    }
                }
            }
        }
        let patients = |row: usize| [None, Some("EU"), Some("V")][row % 3];
        let source = claims_schema();
        let length = rows.len();
        let columns = source.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "claim_id" => Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
                "region" => Arc::new(rows.iter().map(|row| row.1).collect::<StringViewArray>()),
                "score" => Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
                "amount" => {
                    let amounts: Decimal128Array = rows.iter().map(|row| row.3).collect();
                    Arc::new(amounts.with_precision_and_scale(12, 2).unwrap())
                }
                "legal_hold" => Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>()),
                "patient_id" => Arc::new((0..length).map(patients).collect::<StringViewArray>()),
                _ => new_null_array(field.data_type(), length),
            }
        });
        let fields = source.fields().iter();
        let fields: Vec<Field> = fields
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect()).unwrap()
    });
    &WORLD
}

/// Whether a condition is true, for each row.
fn admitted(expr: &Expr, batch: &RecordBatch) -> Vec<bool> {
    let schema = DFSchema::try_from(batch.schema()).unwrap();
    let value = fold::physical(expr, &schema)
        .unwrap()
        .evaluate(batch)
        .unwrap();
    let array = value.into_array(batch.num_rows()).unwrap();
    let array = array
        .as_any()
        .downcast_ref::<BooleanArray>()
        .unwrap()
        .clone();
    (0..array.len())
        .map(|row| array.is_valid(row) && array.value(row))
        .collect()
}

/// Which arms admit each row that the guards let through.
pub(super) fn arms(set: &PolicySet, batch: &RecordBatch) -> Vec<Vec<bool>> {
    arms_of(set, &decide(set), batch)
}

pub(super) fn arms_of(set: &PolicySet, decision: &Decision, batch: &RecordBatch) -> Vec<Vec<bool>> {
    let RowRules { guards, arms } = set.rules(decision).unwrap();
    let all = vec![true; batch.num_rows()];
    let both = |one: &[bool], other: &[bool]| -> Vec<bool> {
        one.iter().zip(other).map(|(a, b)| *a && *b).collect()
    };
    let guarded = guards.iter().fold(all.clone(), |rows, guard| {
        both(&rows, &admitted(guard, batch))
    });
    let admits = |arm: &Option<Expr>| {
        let rows = arm.as_ref().map(|arm| admitted(arm, batch));
        both(&guarded, rows.as_ref().unwrap_or(&all))
    };
    arms.iter().map(admits).collect()
}

pub(super) fn any_arm(arms: &[Vec<bool>]) -> Vec<bool> {
    (0..arms[0].len())
        .map(|row| arms.iter().any(|arm| arm[row]))
        .collect()
}

/// How new stands to old on all rows of the world.
pub(super) fn truth(old: &[bool], new: &[bool]) -> Width {
    let within = |one: &[bool], other: &[bool]| Some(one.iter().zip(other).all(|(a, b)| !a || *b));
    Width::of(within(old, new), within(new, old))
}

pub(super) fn agrees(claim: Width, truth: Width) -> bool {
    match claim {
        Width::Equal => truth == Width::Equal,
        Width::Wider | Width::Narrower => truth == claim || truth == Width::Equal,
        Width::Incomparable => truth == Width::Incomparable,
        Width::Unknown => true,
    }
}

fn one(rows: &str) -> PolicySet {
    set(&[], &[(rows, "default: clear")])
}

const TREATMENTS: [&str; 4] = ["clear", "hidden", "{mask: round, to: 10}", "{mask: 'null'}"];

/// The treatment of the column `amount` for each row; none where the row is not shown.
fn treatments(set: &PolicySet) -> Vec<Option<Showing>> {
    let decision = decide(set);
    let arms = arms(set, world());
    let column = decision
        .columns
        .iter()
        .find(|column| column.name == "amount");
    let mut order: Vec<usize> = (0..arms.len()).collect();
    let showing = |arm: usize| column.map_or(Showing::Hidden, |c| c.treatments[arm].root.clone());
    order.sort_by_key(|arm| std::cmp::Reverse(showing(*arm).openness()));
    (0..world().num_rows())
        .map(|row| {
            order
                .iter()
                .find(|arm| arms[**arm][row])
                .map(|arm| showing(*arm))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_understood_is_decided_rightly(old in known(), new in known()) {
        let (one, other) = (one(&old), one(&new));
        let (before, after) = (any_arm(&arms(&one, world())), any_arm(&arms(&other, world())));
        let claim = change(&one, &other).map_or(Width::Equal, |change| change.rows);
        prop_assert_eq!(claim, truth(&before, &after), "{} | {}", old, new);
    }

    #[test]
    fn no_claim_is_wrong(old in any_rule(), new in any_rule(), guard in any_rule()) {
        let (one, other) = (one(&old), set(&[&guard], &[(&new, "default: clear")]));
        let (before, after) = (any_arm(&arms(&one, world())), any_arm(&arms(&other, world())));
        let claim = change(&one, &other).map_or(Width::Equal, |change| change.rows);
        let truth = truth(&before, &after);
        prop_assert!(agrees(claim, truth), "{} | {} & {}: {} is {}", old, new, guard, claim, truth);
        let back = change(&other, &one).map_or(Width::Equal, |change| change.rows);
        prop_assert_eq!(back, claim.reversed());
        prop_assert_eq!(change(&one, &one), None);
    }

    #[test]
    fn a_rule_with_more_alternatives_is_never_narrower(old in any_rule(), more in any_rule()) {
        let (one, other) = (one(&old), one(&format!("({old}) OR ({more})")));
        let claim = change(&one, &other).map_or(Width::Equal, |change| change.rows);
        prop_assert!(matches!(claim, Width::Equal | Width::Wider), "{} OR {}: {}", old, more, claim);
    }

    #[test]
    fn treatments_change_on_the_rows_on_which_they_do(
        old in prop::collection::vec((known(), 0_usize..4), 1..4),
        new in prop::collection::vec((known(), 0_usize..4), 1..4),
    ) {
        let build = |arms: &[(String, usize)]| {
            let shown: Vec<String> = arms
                .iter()
                .map(|(_, treatment)| {
                    format!("columns: {{region: clear, amount: {}}}", TREATMENTS[*treatment])
                })
                .collect();
            let arms = arms.iter().zip(&shown);
            let profiles: Vec<_> =
                arms.map(|((rows, _), shown)| (rows.as_str(), shown.as_str())).collect();
            set(&[], &profiles)
        };
        let (one, other) = (build(&old), build(&new));
        let shown = |set: &PolicySet| decide(set).columns.iter().any(|c| c.name == "amount");
        prop_assume!(shown(&one) && shown(&other));
        let happen: BTreeSet<String> = treatments(&one)
            .into_iter()
            .zip(treatments(&other))
            .filter_map(|(old, new)| Some((old?, new?)))
            .filter(|(old, new)| old != new)
            .map(|pair| format!("{pair:?}"))
            .collect();
        let found = change(&one, &other);
        let told = found.iter().flat_map(|change| &change.treatments);
        let told: Vec<_> = told.filter(|one| one.column == "amount").collect();
        let told_set: BTreeSet<String> =
            told.iter().map(|one| format!("{:?}", (&one.old, &one.new))).collect();
        prop_assert!(happen.is_subset(&told_set), "{:?} | {:?}", happen, told_set);
        if told.iter().any(|one| one.on_some_rows) {
            prop_assert_eq!(happen, told_set);
        }
    }
}
