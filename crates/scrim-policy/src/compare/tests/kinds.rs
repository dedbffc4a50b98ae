//! Claims about rules over columns of every kind, with literals that lie on the edges of their types,
//! against the engine's own evaluation.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int8Array,
    LargeStringArray, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::laws::{agrees, any_arm, arms, truth};
use crate::PolicySet;
use crate::compare::{Width, decisions};
use crate::tests::{World, decide};

/// Values of each column, from which rows are put together.
const ROWS: usize = 2_500;

fn schema() -> SchemaRef {
    let text = |value| DataType::Dictionary(Box::new(DataType::Int32), Box::new(value));
    let time = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    let fields = [
        ("small", DataType::Int8),
        ("big", DataType::UInt64),
        ("real", DataType::Float32),
        ("price", DataType::Decimal128(5, 2)),
        ("day", DataType::Date32),
        ("local", time(TimeUnit::Microsecond, None)),
        ("instant", time(TimeUnit::Nanosecond, Some("+00:00"))),
        ("clock", DataType::Time64(TimeUnit::Microsecond)),
        ("code", text(DataType::Utf8)),
        ("other", DataType::Utf8),
        ("note", DataType::LargeUtf8),
        ("held", DataType::Boolean),
    ];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// The last moment of 2023 in seconds.
const NEW_YEAR: i64 = 1_704_067_200;

/// Rows of which each has some value of each column, chosen by a fixed rule.
#[expect(clippy::too_many_lines, reason = "one column of each kind")]
fn world() -> &'static RecordBatch {
    static WORLD: LazyLock<RecordBatch> = LazyLock::new(|| {
        let mut seed: u64 = 7;
        let mut column = |count: usize| -> Vec<Option<usize>> {
            (0..ROWS)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    usize::try_from(seed >> 33).unwrap().checked_rem(count + 1)
                })
                // The last is NULL.
                .map(|pick| pick.filter(|pick| *pick < count))
                .collect()
        };
        macro_rules! column {
            ($array:ty, $values:expr) => {{
                let values = $values;
                let picks = column(values.len());
                let array: $array = picks.iter().map(|pick| pick.map(|at| values[at])).collect();
                array
            }};
        }
        let seconds = [NEW_YEAR - 1, NEW_YEAR, NEW_YEAR + 1, 0];
        let micros = |second: i64| [second * 1_000_000 - 1, second * 1_000_000];
        let nanos = |second: i64| [second * 1_000_000_000, second * 1_000_000_000 + 1];
        let mut local: Vec<i64> = seconds.into_iter().flat_map(micros).collect();
        local.extend([i64::MIN, i64::MAX]);
        let instants: Vec<i64> = seconds.into_iter().flat_map(nanos).collect();
        let days = [i32::MIN, -1, 19_722, 19_723, 19_724, i32::MAX];
        let texts = [
            "",
            "E",
            "EU",
            "EU%",
            "EU-W",
            "EUR",
            "EV",
            "eu",
            "E_",
            "E\\",
            "Oslo",
            "\u{10ffff}",
        ];
        let reals = [
            -f32::NAN,
            f32::NEG_INFINITY,
            -1.5,
            -0.0,
            0.0,
            f32::MIN_POSITIVE,
            0.1,
            1.5,
            2.0,
            f32::INFINITY,
            f32::NAN,
        ];
        let prices = [-1, 0, 1, 999, 1_000, 1_001, 99_999, 10_i128.pow(20)];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(column!(Int8Array, [i8::MIN, -1, 0, 1, 2, 3, i8::MAX])),
            Arc::new(column!(UInt64Array, [0_u64, 1, 2, 1 << 63, u64::MAX])),
            Arc::new(column!(Float32Array, reals)),
            Arc::new(column!(Decimal128Array, prices).with_data_type(DataType::Decimal128(5, 2))),
            Arc::new(column!(Date32Array, days)),
            Arc::new(column!(TimestampMicrosecondArray, local)),
            Arc::new(column!(TimestampNanosecondArray, instants).with_timezone("+00:00")),
            Arc::new(column!(Time64MicrosecondArray, [0_i64, 1, 43_200_000_000])),
            Arc::new(column!(DictionaryArray<Int32Type>, texts)),
            Arc::new(column!(StringArray, texts)),
            Arc::new(column!(LargeStringArray, texts)),
            Arc::new(column!(BooleanArray, [false, true])),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    });
    &WORLD
}

/// The table with these rows of one profile; `None` when the policy language refuses them.
fn one(rows: &str) -> Option<PolicySet> {
    let columns: Vec<String> = schema()
        .fields()
        .iter()
        .map(|field| format!("      - {{name: {}}}", field.name()))
        .collect();
    let contract = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: claims
version: 1.2.0
status: active
domain: insurance
servers:
  - {{server: files, type: local, environment: test, path: data/claims.parquet, format: parquet}}
schema:
  - name: claims
    properties:
{}
customProperties:
  - property: accessPolicy
    value:
      purposes: [research]
      profiles: {{p: {{rows: {rows:?}, default: clear}}}}",
        columns.join("\n"),
    );
    let world = World::new()
        .with_claims(schema())
        .file("contracts/claims.odcs.yaml", &contract)
        .agreement("a", "p", "");
    Some(world.compile().ok()?.0)
}

/// Literals that columns are compared with, near and on the values that there are.
const LITERALS: &[(&str, &[&str])] = &[
    (
        "small",
        &[
            "-129", "-128", "-1", "0", "1", "1.5", "2", "127", "300", "'1'", "NULL",
        ],
    ),
    (
        "big",
        &[
            "-1",
            "0",
            "1",
            "2",
            "9223372036854775808",
            "18446744073709551615",
            "NULL",
        ],
    ),
    (
        "real",
        &[
            "-0.0", "0.0", "0", "0.1", "1.5", "2", "1e300", "'NaN'", "NULL",
        ],
    ),
    (
        "price",
        &[
            "-0.01", "0", "9.99", "9.995", "10", "10.00", "1e3", "999.99", "100000", "NULL",
        ],
    ),
    (
        "day",
        &[
            "DATE '2024-01-01'",
            "'2023-12-31'",
            "DATE '1969-12-31'",
            "DATE '2024-01-02'",
            "NULL",
        ],
    ),
    (
        "local",
        &[
            "TIMESTAMP '2024-01-01 00:00:00'",
            "'2024-01-01T00:00:01'",
            "TIMESTAMP '1970-01-01 00:00:00'",
            "DATE '2024-01-01'",
            "NULL",
        ],
    ),
    (
        "instant",
        &[
            "TIMESTAMP '2024-01-01 00:00:00'",
            "'2024-01-01T00:00:00Z'",
            "'2024-01-01T01:00:01+01:00'",
            "NULL",
        ],
    ),
    ("clock", &["TIME '12:00:00'", "'00:00:00'", "NULL"]),
    (
        "code",
        &["''", "'E'", "'EU'", "'EU%'", "'EV'", "'eu'", "NULL"],
    ),
    (
        "other",
        &["''", "'E'", "'EU'", "'EU%'", "'EV'", "'E_'", "NULL"],
    ),
    (
        "note",
        &[
            "''",
            "'E'",
            "'EU'",
            "'EU-W'",
            "'EV'",
            "'\u{10ffff}'",
            "NULL",
        ],
    ),
    ("held", &["true", "false", "NULL"]),
];

const PATTERNS: &[&str] = &[
    "''", "'%'", "'EU'", "'EU%'", "'E%'", "'%U'", "'E_'", "'E\\_'", "'EU\\%'", "'%%'", "'E%%'",
    "'EU%%'", "'E\\\\'", "NULL",
];

/// What is not compared with a literal, or not plainly.
const SPECIAL: &[&str] = &[
    "held",
    "held IS NOT TRUE",
    "code = other",
    "other < note",
    "note >= other",
    "other IS DISTINCT FROM note",
    "small = big",
    "small < real",
    "local < instant",
    "held = (small > 0)",
    "(small > 0) = (big > 0)",
    "(small > 0) < (big > 0)",
    "upper(other) = 'EU'",
    "other ~ '^EU'",
    "other !~ '^EU'",
    "other ~* '^eu'",
    "starts_with(other, 'EU')",
    "starts_with(code, 'EU')",
    "array_has(make_array('EU', 'EV', ''), other)",
    "array_has(make_array('EU', NULL), other)",
    "coalesce(small, 1) = 1",
    "nullif(small, 1) = 2",
    "nullif(small, 1) IS NULL",
    "greatest(small, 1) = 1",
    "CAST(small AS BIGINT) >= 1",
    "TRY_CAST(other AS BIGINT) IS NULL",
    "CAST(small AS VARCHAR) = '1'",
    "CAST(price AS DOUBLE) > 9.99",
    "CAST(real AS DOUBLE) > 0.1",
    "CASE small WHEN 1 THEN true WHEN 2 THEN held ELSE big > 0 END",
    "CASE WHEN small > 1 THEN held END",
    "CASE WHEN held THEN NULL WHEN small > 0 THEN true ELSE false END",
    "small + 1 > 2",
    "small % 2 = 1",
    "-small = 1",
    "small IN (1, big)",
    "other IN ('EU', note)",
    "other NOT IN ('EU', note)",
    "'EU' IN (other, note)",
    "1 BETWEEN small AND big",
    "small BETWEEN big AND 3",
    "date_part('year', day) = 2024",
    "date_part('year', local) >= 2024",
    "isnan(real)",
    "real IN (0.0, 0.1, 1.5, 2.5, 3.5)",
    "real NOT IN (-0.0, 0.1, 1.5, 2.5)",
    "real IN (0.1, 1.5, 2.5, 2.0)",
    "real >= 0.0 AND real <= 0.0",
    "real <> real",
    "small = small",
    "other || 'x' = 'EUx'",
    "substr(other, 1, 2) = 'EU'",
    "left(other, 2) = 'EU'",
    "character_length(other) = 2",
];

fn literal() -> impl Strategy<Value = (&'static str, Vec<&'static str>)> {
    prop::sample::select(LITERALS).prop_flat_map(|(column, literals)| {
        let some = prop::collection::vec(prop::sample::select(literals), 1..7);
        some.prop_map(move |some| (column, some))
    })
}

fn atom() -> impl Strategy<Value = String> {
    let operators = [
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "IS DISTINCT FROM",
        "IS NOT DISTINCT FROM",
    ];
    let not = prop::sample::select(&["", "NOT "][..]);
    prop_oneof![
        4 => (literal(), prop::sample::select(operators.to_vec()), any::<bool>()).prop_map(
            |((column, literals), op, turned)| if turned {
                format!("({} {op} {column})", literals[0])
            } else {
                format!("({column} {op} {})", literals[0])
            }
        ),
        4 => (literal(), not.clone()).prop_map(|((column, literals), not)| {
            format!("({column} {not}IN ({}))", literals.join(", "))
        }),
        2 => (literal(), not.clone()).prop_map(|((column, literals), not)| {
            let last = literals.last().unwrap();
            format!("({column} {not}BETWEEN {} AND {last})", literals[0])
        }),
        2 => (
            prop::sample::select(&["code", "other", "note"][..]),
            not,
            prop::sample::select(&["LIKE", "ILIKE"][..]),
            prop::sample::select(PATTERNS),
        )
            .prop_map(|(column, not, like, pattern)| format!("({column} {not}{like} {pattern})")),
        1 => prop::sample::select(LITERALS).prop_map(|(column, _)| format!("({column} IS NULL)")),
        3 => prop::sample::select(SPECIAL).prop_map(|special| format!("({special})")),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.clone().prop_map(|a| format!("(NOT {a})")),
            inner.clone().prop_map(|a| format!("({a} IS NOT TRUE)")),
            inner.clone().prop_map(|a| format!("({a} IS UNKNOWN)")),
            inner.clone().prop_map(|a| format!("({a} IS FALSE)")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(CASE WHEN {a} THEN {b} ELSE {c} END)")),
        ]
    })
}

fn claim(old: &PolicySet, new: &PolicySet) -> Width {
    let change = decisions((old, &decide(old)), (new, &decide(new)));
    change.map_or(Width::Equal, |change| change.rows)
}

fn told_rightly(old: &str, new: &str) -> Result<Option<Width>, TestCaseError> {
    let (Some(one), Some(other)) = (one(old), one(new)) else {
        return Ok(None);
    };
    let rows = |set: &PolicySet| any_arm(&arms(set, world()));
    let truth = truth(&rows(&one), &rows(&other));
    let claim = claim(&one, &other);
    prop_assert!(
        agrees(claim, truth) || claim == Width::Incomparable,
        "{old} | {new}: {claim} is {truth}"
    );
    Ok(Some(claim))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_claim_about_columns_of_any_kind_is_wrong(old in rule(), new in rule(), joined in 0_u8..4) {
        // Rules that have something to do with one another are the interesting ones.
        let new = match joined {
            0 => new,
            1 => format!("({old} OR {new})"),
            2 => format!("({old} AND {new})"),
            _ => format!("(NOT ({old}) AND {new})"),
        };
        told_rightly(&old, &new)?;
    }
}

/// Every atom that can be written of one column, against every other of it.
#[test]
fn what_the_edges_of_types_mean_is_told_rightly() {
    let mut claims = 0;
    for (column, literals) in LITERALS {
        let mut atoms: Vec<String> = vec![format!("{column} IS NULL")];
        for literal in *literals {
            for op in ["=", "<>", "<", ">=", "IS DISTINCT FROM"] {
                atoms.push(format!("{column} {op} {literal}"));
            }
        }
        let list = literals.join(", ");
        atoms.push(format!("{column} IN ({list})"));
        atoms.push(format!("{column} NOT IN ({list})"));
        if let Some((_, known)) = literals.split_last() {
            atoms.push(format!("{column} NOT IN ({})", known.join(", ")));
        }
        let sets: Vec<_> = atoms
            .iter()
            .filter_map(|atom| Some((atom, one(atom)?)))
            .collect();
        let rows: Vec<_> = sets
            .iter()
            .map(|(_, set)| any_arm(&arms(set, world())))
            .collect();
        for (old, before) in sets.iter().zip(&rows) {
            for (new, after) in sets.iter().zip(&rows) {
                let claim = claim(&old.1, &new.1);
                let truth = truth(before, after);
                let sound = agrees(claim, truth) || claim == Width::Incomparable;
                assert!(sound, "{} | {}: {claim} is {truth}", old.0, new.0);
                claims += usize::from(claim != Width::Unknown);
            }
        }
    }
    assert!(claims > 4_000, "{claims}");
}
