//! What is taken at load cannot raise, whatever stands in a row: every operator, conversion and
//! function of the list, over every type, on adversarial values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array,
    LargeStringArray, ListBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};

use crate::language::scope::{Scope, Use};
use crate::language::{self, Language, fold};
use crate::{LoadEnv, Unavailable};

const TEXTS: [Option<&str>; 24] = [
    None,
    Some(""),
    Some(" "),
    Some("0"),
    Some("-1"),
    Some("1e400"),
    Some("99999999999999999999999999999999999999999"),
    Some("-170141183460469231731687303715884105728"),
    Some("NaN"),
    Some("inf"),
    Some("true"),
    Some("2024-02-30"),
    Some("2024-01-01"),
    Some("9999-12-31T23:59:59.999999999Z"),
    Some("+262143-12-31T00:00:00"),
    Some("-99999-01-01"),
    Some("2024-01-01T00:00:00+25:00"),
    Some("ß\u{301}İ"),
    Some("👩‍👩‍👧"),
    Some("a\0b"),
    Some("%_\\"),
    Some("(["),
    Some("10.0.0.1"),
    Some("::ffff:10.0.0.1"),
];

/// Cycles values to the number of texts.
fn cycle<T: Clone>(values: &[T]) -> Vec<T> {
    values.iter().cycle().take(TEXTS.len()).cloned().collect()
}

fn texts() -> Vec<Option<String>> {
    let mut texts: Vec<_> = TEXTS.iter().map(|text| text.map(str::to_owned)).collect();
    if let Some(last) = texts.last_mut() {
        *last = Some("x".repeat(100_000));
    }
    texts
}

fn lists() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (row, text) in TEXTS.iter().enumerate() {
        for _ in 0..row % 4 {
            lists.values().append_option(*text);
        }
        lists.append(row % 5 != 0);
    }
    Arc::new(lists.finish())
}

#[expect(clippy::too_many_lines, reason = "one column of each type")]
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let longs = cycle(&[
        None,
        Some(i64::MIN),
        Some(i64::MAX),
        Some(-1),
        Some(0),
        Some(1),
    ]);
    let days = cycle(&[
        None,
        Some(i32::MIN),
        Some(i32::MAX),
        Some(-1),
        Some(0),
        Some(19_000),
    ]);
    let floats = cycle(&[
        None,
        Some(f64::NAN),
        Some(-0.0),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(f64::MAX),
        Some(f64::MIN_POSITIVE),
        Some(1.5),
    ]);
    let decimals = cycle(&[
        None,
        Some(i128::MAX),
        Some(i128::MIN),
        Some(10_i128.pow(12) - 1),
        Some(-1),
        Some(0),
    ]);
    let decimal = |precision, scale| {
        let array: Decimal128Array = decimals.iter().copied().collect();
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let singles: Vec<_> = floats.iter().map(|one| one.map(|one| one as f32)).collect();
    let text: StringArray = texts().into_iter().collect();
    let phone = Field::new("phone", DataType::Utf8, true);
    let contact = StructArray::new(vec![phone].into(), vec![Arc::new(text.clone())], None);
    let dictionary: DictionaryArray<Int32Type> = TEXTS.iter().copied().collect();
    let zoned = TimestampMicrosecondArray::from(longs.clone()).with_timezone("+00:00");
    vec![
        (
            "b",
            Arc::new(BooleanArray::from(cycle(&[None, Some(true), Some(false)]))),
        ),
        (
            "i8",
            Arc::new(Int8Array::from(cycle(&[
                None,
                Some(i8::MIN),
                Some(i8::MAX),
                Some(0),
            ]))),
        ),
        ("i32", Arc::new(Int32Array::from(days.clone()))),
        ("i64", Arc::new(Int64Array::from(longs.clone()))),
        (
            "u8",
            Arc::new(UInt8Array::from(cycle(&[None, Some(0), Some(u8::MAX)]))),
        ),
        (
            "u64",
            Arc::new(UInt64Array::from(cycle(&[
                None,
                Some(0),
                Some(1),
                Some(u64::MAX),
            ]))),
        ),
        ("f32", Arc::new(Float32Array::from(singles))),
        ("f64", Arc::new(Float64Array::from(floats))),
        ("d12", decimal(12, 2)),
        ("d38", decimal(38, 10)),
        ("s", Arc::new(text)),
        (
            "sl",
            Arc::new(texts().into_iter().collect::<LargeStringArray>()),
        ),
        (
            "sv",
            Arc::new(texts().into_iter().collect::<StringViewArray>()),
        ),
        ("sd", Arc::new(dictionary)),
        (
            "bin",
            Arc::new(
                TEXTS
                    .iter()
                    .map(|text| text.map(str::as_bytes))
                    .collect::<BinaryArray>(),
            ),
        ),
        ("date", Arc::new(Date32Array::from(days))),
        ("date64", Arc::new(Date64Array::from(longs.clone()))),
        ("ts", Arc::new(TimestampSecondArray::from(longs.clone()))),
        (
            "tms",
            Arc::new(TimestampMillisecondArray::from(longs.clone())),
        ),
        (
            "tus",
            Arc::new(TimestampMicrosecondArray::from(longs.clone())),
        ),
        ("tns", Arc::new(TimestampNanosecondArray::from(longs))),
        ("tz", Arc::new(zoned)),
        ("l", lists()),
        ("st", Arc::new(contact)),
    ]
}

const TYPES: [&str; 20] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "TINYINT UNSIGNED",
    "BIGINT UNSIGNED",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(5,2)",
    "DECIMAL(12,2)",
    "DECIMAL(38,0)",
    "DECIMAL(38,30)",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP(0)",
    "TIMESTAMP(3)",
    "TIMESTAMP WITH TIME ZONE",
    "BYTEA",
];

const BINARY: [&str; 20] = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "&",
    "|",
    "#",
    "<<",
    "~",
    "IS DISTINCT FROM",
    "LIKE",
    "AND",
];

const LITERALS: [&str; 9] = [
    "0",
    "-1",
    "7",
    "9223372036854775807",
    "0.5",
    "'a'",
    "DATE '2024-01-01'",
    "TIMESTAMP '2024-01-01T00:00:00'",
    "INTERVAL '1 month'",
];

/// Every expression that is tried.
fn expressions(names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for a in names {
        all.push(format!("-{a}"));
        all.push(format!("NOT {a}"));
        all.extend([1, 4].map(|count| format!("{a} IN ({})", vec![*a; count].join(", "))));
        for literal in LITERALS {
            all.push(format!("{a} BETWEEN {literal} AND {literal}"));
            for op in BINARY {
                all.push(format!("{a} {op} {literal}"));
            }
        }
        for b in names {
            for op in BINARY {
                all.push(format!("{a} {op} {b}"));
            }
            all.push(format!("{a} % NULLIF({b}, 0)"));
            all.push(format!("{a} / NULLIF({b}, 0)"));
            all.push(format!("CASE WHEN {a} IS NULL THEN {a} ELSE {b} END"));
        }
        for to in TYPES {
            all.push(format!("CAST({a} AS {to})"));
            all.push(format!("TRY_CAST({a} AS {to})"));
        }
        for op in ["LIKE", "ILIKE", "NOT LIKE"] {
            all.extend(["%", "a%", "%a_\\%", ""].map(|pattern| format!("{a} {op} '{pattern}'")));
        }
        all.extend(["~", "~*", "!~"].map(|op| format!("{a} {op} '^[a-z]+(x|y)?$'")));
        all.extend([">", "<=", "="].map(|op| format!("{a} {op} context.time")));
        all.push(format!("{a} > context.time - INTERVAL '1 year'"));
        all.push(format!(
            "{a} >= CAST(context.time AS DATE) - INTERVAL '1 year'"
        ));
    }
    for listed in language::listed_functions().map(|listed| listed.name) {
        for a in names {
            all.push(format!("{listed}({a})"));
            all.extend(
                [
                    "0",
                    "3",
                    "-1",
                    "1000000",
                    "'a'",
                    "''",
                    "'10.0.0.0/8'",
                    "'(a|b)'",
                ]
                .map(|literal| format!("{listed}({a}, {literal})")),
            );
            all.extend(
                [
                    "year", "quarter", "week", "doy", "isodow", "isoyear", "hour", "minute",
                ]
                .map(|part| format!("{listed}('{part}', {a})")),
            );
            all.push(format!("{listed}({a}, 1, 2)"));
            all.push(format!("{listed}({a}, 0, 1000000)"));
            all.push(format!("{listed}({a}, 'phone')"));
            all.extend(names.iter().map(|b| format!("{listed}({a}, {b})")));
        }
    }
    all
}

#[test]
fn inv_03_whatever_is_taken_cannot_raise_on_any_row() {
    let columns = columns();
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let (schemas, lookups, attributes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let env = LoadEnv {
        schemas: &schemas,
        lookups: &lookups,
        unavailable: Unavailable::default(),
        attributes: &attributes,
        networks: BTreeSet::new(),
        functions: super::functions(),
    };
    let policy = Language::new(&env);
    let scope = Scope::new(
        Use::ProfileRows,
        Some(&schema),
        &attributes,
        &BTreeMap::new(),
    )
    .unwrap();
    // `context.time` stands for itself here, so the batch needs it.
    let clock = language::scope::scalar(
        Some(&scrim_model::Value::Timestamp(super::noon())),
        scrim_model::ValueType::Timestamp,
    );
    let values = BTreeMap::from([("context.time".to_owned(), clock)]);
    let table = Arc::new(datafusion_common::DFSchema::try_from(Arc::clone(&schema)).unwrap());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema, arrays).unwrap();
    let (mut taken, mut tried) = (0, 0);
    let mut called = BTreeSet::new();
    for text in expressions(&names) {
        tried += 1;
        let Ok(expr) = policy.check_any(&text, &scope) else {
            continue;
        };
        let expr = fold::substitute(expr, &values).unwrap();
        let folded = fold::simplify(expr, &table, &policy.options).unwrap();
        let physical = fold::physical(&folded, &table);
        let physical = physical.unwrap_or_else(|error| panic!("{text}: {error}"));
        taken += 1;
        for part in [batch.clone(), batch.slice(5, 9), batch.slice(0, 0)] {
            let rows = part.num_rows();
            let evaluated = physical
                .evaluate(&part)
                .and_then(|value| value.into_array(rows));
            let array = evaluated.unwrap_or_else(|error| panic!("{text}: {error}"));
            // In the first row of the batch, everything is NULL.
            let whole = rows == batch.num_rows();
            for listed in language::listed_functions().filter(|_| whole) {
                if text
                    .strip_prefix(listed.name)
                    .is_some_and(|rest| rest.starts_with('('))
                {
                    called.insert(listed.name);
                    assert!(!listed.strict || array.is_null(0), "{text} of NULL");
                }
            }
        }
    }
    assert!(taken > 5_000, "{taken} of {tried} were taken");
    let all: BTreeSet<_> = language::listed_functions()
        .map(|listed| listed.name)
        .collect();
    assert_eq!(called, all, "every function of the list is tried");
}
