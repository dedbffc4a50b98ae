//! What must hold for every policy: guards and endings only ever narrow.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use proptest::prelude::*;

use super::{World, decide};
use crate::language::fold;
use crate::{PolicySet, Showing, Verdict};

/// Rows of the batches.
const ROWS: usize = 24;

/// Conditions over the table from which row rules are put together.
const ATOMS: &[&str] = &[
    "region = 'EU'",
    "region <> 'UK'",
    "score > 0.5",
    "NOT legal_hold",
    "claim_id % 3 = 1",
    "amount >= 10",
    "service_date IS NOT NULL",
    "array_has(agreement.regions, region)",
    "principal.clearance > 1",
    "principal.home = region",
    "NOT principal.home = region",
    "array_has(tags, 'a')",
    "contact.city = 'Oslo'",
    "visited > context.time - INTERVAL '30 days'",
    "true",
];

fn rule() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(ATOMS).prop_map(str::to_owned);
    atom.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

/// Guards have no agreement to ask about.
fn guard() -> impl Strategy<Value = String> {
    rule().prop_map(|rule| rule.replace("array_has(agreement.regions, region)", "region = 'EU'"))
}

/// A number that looks random, different for each row and column.
fn pick(row: usize, step: usize) -> usize {
    (row * 7 + step * 5 + row * row) % 11
}

/// Values for each row, one in eleven missing.
fn column<T, A: FromIterator<Option<T>>>(step: usize, value: impl Fn(usize) -> T) -> A {
    (0..ROWS)
        .map(|row| (pick(row, step) != 0).then(|| value(row)))
        .collect()
}

fn text(step: usize) -> impl Fn(usize) -> &'static str {
    move |row| ["EU", "UK", "Oslo", "", "US"][pick(row, step) % 5]
}

fn tags() -> ArrayRef {
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        for item in 0..row % 3 {
            tags.values()
                .append_value(["a", "b", "analyst"][(row + item) % 3]);
        }
        tags.append(pick(row, 9) != 0);
    }
    Arc::new(tags.finish())
}

fn batch(set: &PolicySet) -> RecordBatch {
    let schema = Arc::clone(&set.table(&super::claims()).unwrap().schema);
    let contact = schema
        .field_with_name("contact")
        .unwrap()
        .data_type()
        .clone();
    let DataType::Struct(fields) = contact else {
        panic!("{contact}")
    };
    let phone: StringArray = column(7, text(7));
    let city: StringArray = column(8, text(8));
    let amounts: Decimal128Array = column(5, |row| row as i128 * 150);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(
            (0..ROWS).map(|row| row as i64 - 5),
        )),
        Arc::new(column::<_, StringViewArray>(1, text(1))),
        Arc::new(column::<_, StringViewArray>(2, text(2))),
        Arc::new(column::<_, Date32Array>(3, |_| 20_000)),
        Arc::new(column::<_, TimestampMicrosecondArray>(4, |row| {
            1_780_000_000_000_000 + row as i64
        })),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(column::<_, Float64Array>(6, |row| row as f64 / 20.0)),
        Arc::new(
            (0..ROWS)
                .map(|row| Some(row % 4 == 0))
                .collect::<BooleanArray>(),
        ),
        Arc::new(StructArray::new(
            fields,
            vec![Arc::new(phone), Arc::new(city)],
            None,
        )),
        tags(),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The rows of a batch for which a condition is true.
fn admitted(expr: &Expr, batch: &RecordBatch) -> BTreeSet<usize> {
    let schema = datafusion_common::DFSchema::try_from(batch.schema()).unwrap();
    let condition = fold::physical(expr, &schema).unwrap();
    let value = condition.evaluate(batch).unwrap();
    let array = value.into_array(batch.num_rows()).unwrap();
    let array = array
        .as_any()
        .downcast_ref::<BooleanArray>()
        .unwrap()
        .clone();
    (0..batch.num_rows())
        .filter(|row| array.is_valid(*row) && array.value(*row))
        .collect()
}

/// Which cells are shown, and how openly: the decision as a whole, row by row.
fn openness(set: &PolicySet) -> Vec<Vec<u8>> {
    let decision = decide(set);
    let batch = batch(set);
    let mut shown = vec![vec![0; batch.num_columns()]; batch.num_rows()];
    if decision.verdict != Verdict::Shown {
        return shown;
    }
    let rules = set.rules(&decision).unwrap();
    let all: BTreeSet<_> = (0..batch.num_rows()).collect();
    let guarded = rules.guards.iter().fold(all.clone(), |rows, guard| {
        rows.intersection(&admitted(guard, &batch))
            .copied()
            .collect()
    });
    for (arm, rule) in rules.arms.iter().enumerate() {
        let rows = rule
            .as_ref()
            .map_or_else(|| all.clone(), |rule| admitted(rule, &batch));
        for row in rows.intersection(&guarded) {
            for column in &decision.columns {
                let index = batch.schema().index_of(&column.name).unwrap();
                let open = match column.treatments[arm].root {
                    Showing::Clear => 3,
                    Showing::Masked(_) => 2,
                    Showing::Hidden => 1,
                };
                shown[*row][index] = shown[*row][index].max(open);
            }
        }
    }
    shown
}

fn narrower(less: &[Vec<u8>], more: &[Vec<u8>]) -> bool {
    less.iter()
        .zip(more)
        .all(|(less, more)| less.iter().zip(more).all(|(a, b)| a <= b))
}

fn world(guards: &[String], profiles: &[(String, &str)], agreements: usize) -> PolicySet {
    let mut access = "purposes: [research]\nprofiles:\n".to_owned();
    for (index, (rows, treatment)) in profiles.iter().enumerate() {
        let columns = format!("{{region: {treatment}, amount: clear}}");
        access = format!("{access}  p{index}: {{rows: \"{rows}\", columns: {columns}}}\n");
    }
    access += "guards:\n";
    for (index, rows) in guards.iter().enumerate() {
        access = format!("{access}  - {{id: g{index}, rows: \"{rows}\"}}\n");
    }
    if guards.is_empty() {
        access += "  []\n";
    }
    let mut world = World::new().contract(&access);
    for index in 0..agreements {
        world = world.agreement(
            &format!("a{index}"),
            &format!("p{index}"),
            "parameters: {regions: [EU, UK]}",
        );
    }
    world
        .compile()
        .map_err(|problems| problems.to_string())
        .unwrap()
        .0
}

fn profile() -> impl Strategy<Value = (String, &'static str)> {
    let treatment = prop::sample::select(vec!["clear", "hidden", "{mask: 'null'}"]);
    (rule(), treatment)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn inv_03_adding_a_guard_never_widens(
        guards in prop::collection::vec(guard(), 0..2),
        more in guard(),
        profiles in prop::collection::vec(profile(), 1..3),
    ) {
        let before = openness(&world(&guards, &profiles, profiles.len()));
        let guards = [guards, vec![more]].concat();
        prop_assert!(narrower(&openness(&world(&guards, &profiles, profiles.len())), &before));
    }

    #[test]
    fn inv_03_ending_an_agreement_never_widens(
        guards in prop::collection::vec(guard(), 0..2),
        profiles in prop::collection::vec(profile(), 1..4),
    ) {
        let count = profiles.len();
        let before = openness(&world(&guards, &profiles, count));
        let after = openness(&world(&guards, &profiles, count - 1));
        prop_assert!(narrower(&after, &before));
        let none = openness(&world(&guards, &profiles, 0));
        prop_assert!(none.iter().flatten().all(|shown| *shown == 0));
    }

    #[test]
    fn inv_02_lowering_is_deterministic(guards in prop::collection::vec(guard(), 0..3), rows in rule()) {
        let profiles = [(rows, "clear")];
        let (one, two) = (world(&guards, &profiles, 1), world(&guards, &profiles, 1));
        let (first, second) = (decide(&one), decide(&two));
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(one.rules(&first).unwrap(), two.rules(&second).unwrap());
    }
}
