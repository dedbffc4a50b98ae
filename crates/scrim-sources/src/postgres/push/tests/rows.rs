//! A table of all types with the values that are most likely to be taken differently, and the same
//! values as Arrow has them once they are read.

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, i256};
use datafusion::common::ScalarValue;

use super::super::super::columns::{PgColumn, PgColumns, PgType};
use super::random::Random;

/// What stands in a column of each type: how PostgreSQL writes it, and what it is read as.
type Values = Vec<(Option<String>, ScalarValue)>;

/// A type of columns.
pub(super) struct Spec {
    pub(super) name: String,
    sql_type: String,
    pub(super) pg_type: PgType,
    pub(super) data_type: DataType,
    deterministic: bool,
    pub(super) values: Values,
}

fn spec(
    name: &'static str,
    sql_type: &'static str,
    pg_type: PgType,
    values: impl IntoIterator<Item = (&'static str, ScalarValue)>,
) -> Spec {
    let mut values: Values = values
        .into_iter()
        .map(|(text, value)| (Some(text.to_owned()), value))
        .collect();
    let data_type = values[0].1.data_type();
    let null = ScalarValue::try_from(&data_type).unwrap();
    values.extend([(None, null.clone()), (None, null)]);
    Spec {
        name: name.to_owned(),
        sql_type: sql_type.to_owned(),
        pg_type,
        data_type,
        deterministic: true,
        values,
    }
}

impl Spec {
    pub(super) fn is_domain(&self) -> bool {
        self.name.starts_with("d_")
    }

    /// Whether values of the type are compared in PostgreSQL.
    pub(super) fn is_compared(&self) -> bool {
        let not = [
            PgType::Float8,
            PgType::Name,
            PgType::Jsonb,
            PgType::Printed,
            PgType::Time,
        ];
        self.deterministic && !not.contains(&self.pg_type)
    }
}

fn texts(texts: &[&'static str]) -> Vec<(&'static str, ScalarValue)> {
    let read = |text: &&'static str| (*text, ScalarValue::from(*text));
    texts.iter().map(read).collect()
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "a ",
    "ab",
    "aB",
    "abc",
    "a%b",
    "a_b",
    "a\\b",
    "a\nb",
    "o'neil",
    "NULL",
    "{x,y}",
    "\"q\"",
    "z",
    "Z",
    "é",
    "e\u{301}",
    "ß",
    "日本",
    "😀",
    "\u{fffd}",
    "zeta",
    "alpha",
    "6f1cd9a0-3a52-4bd1-8a3c-0a4f3f1f8f11",
];

fn characters() -> Vec<Spec> {
    let padded = [
        ("", "     "),
        ("a", "a    "),
        ("A", "A    "),
        ("ab", "ab   "),
        ("abcde", "abcde"),
        (" a", " a   "),
        ("é日", "é日   "),
    ];
    let uuids = [
        ("00000000-0000-0000-0000-000000000000", None),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", None),
        ("6f1cd9a0-3a52-4bd1-8a3c-0a4f3f1f8f11", None),
        (
            "9F1CD9A0-3A52-4BD1-8A3C-0A4F3F1F8F11",
            Some("9f1cd9a0-3a52-4bd1-8a3c-0a4f3f1f8f11"),
        ),
    ];
    let uuids = uuids.map(|(text, read)| (text, ScalarValue::from(read.unwrap_or(text))));
    let short: Vec<_> = TEXTS.iter().filter(|t| t.len() < 12).copied().collect();
    vec![
        spec("text", "text", PgType::Text, texts(TEXTS)),
        spec("varchar", "varchar(12)", PgType::Text, texts(&short)),
        spec("c_text", "text COLLATE \"C\"", PgType::Text, texts(TEXTS)),
        Spec {
            deterministic: false,
            ..spec("alike", "text COLLATE alike", PgType::Text, texts(TEXTS))
        },
        spec(
            "padded",
            "char(5)",
            PgType::Bpchar,
            padded.map(|(text, read)| (text, ScalarValue::from(read))),
        ),
        spec(
            "enum",
            "mood",
            PgType::Enum,
            texts(&["zeta", "alpha", "Mid", "o'k", "a"]),
        ),
        spec("uuid", "uuid", PgType::Uuid, uuids),
        spec("name", "name", PgType::Name, texts(&["a", "A", "zeta", ""])),
        spec(
            "json",
            "jsonb",
            PgType::Jsonb,
            texts(&["1", "null", "\"a\""]),
        ),
        spec(
            "row",
            "pair",
            PgType::Printed,
            texts(&["(,)", "(1,)", "(1,2)"]),
        ),
        spec(
            "bytes",
            "bytea",
            PgType::Bytea,
            [
                ("\\x", vec![]),
                ("\\x00", vec![0]),
                ("\\x0001", vec![0, 1]),
                ("\\x61", vec![0x61]),
                ("\\x5c27", vec![0x5c, 0x27]),
                ("\\xff", vec![0xff]),
            ]
            .map(|(text, bytes)| (text, ScalarValue::Binary(Some(bytes)))),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table of values")]
fn numbers() -> Vec<Spec> {
    let money = |digits: i128| ScalarValue::Decimal128(Some(digits), 10, 2);
    let whole = |digits: i128| ScalarValue::Decimal128(Some(digits), 38, 0);
    let wide =
        |digits: &str| ScalarValue::Decimal256(Some(i256::from_string(digits).unwrap()), 50, 10);
    let most = 10_i128.pow(38) - 1;
    vec![
        spec(
            "flag",
            "boolean",
            PgType::Bool,
            [("true", true), ("false", false)].map(|(text, value)| (text, value.into())),
        ),
        spec(
            "int2",
            "smallint",
            PgType::Int2,
            [
                ("-32768", i16::MIN),
                ("-1", -1),
                ("0", 0),
                ("1", 1),
                ("5", 5),
                ("32767", i16::MAX),
            ]
            .map(|(text, value)| (text, value.into())),
        ),
        spec(
            "int4",
            "integer",
            PgType::Int4,
            [
                ("-2147483648", i32::MIN),
                ("-1", -1),
                ("0", 0),
                ("1", 1),
                ("5", 5),
                ("32768", 32768),
                ("2147483647", i32::MAX),
            ]
            .map(|(text, value)| (text, value.into())),
        ),
        spec(
            "int8",
            "bigint",
            PgType::Int8,
            [
                ("-9223372036854775808", i64::MIN),
                ("-1", -1),
                ("0", 0),
                ("1", 1),
                ("5", 5),
                ("2147483648", 1 << 31),
                ("9007199254740992", 1 << 53),
                ("9007199254740993", (1 << 53) + 1),
                ("9223372036854775807", i64::MAX),
            ]
            .map(|(text, value)| (text, value.into())),
        ),
        spec(
            "money",
            "numeric(10,2)",
            PgType::Numeric,
            [
                ("0", money(0)),
                ("-0.01", money(-1)),
                ("1.50", money(150)),
                ("5", money(500)),
                ("0.10", money(10)),
                ("99999999.99", money(9_999_999_999)),
                ("-99999999.99", money(-9_999_999_999)),
                ("NaN", ScalarValue::Decimal128(None, 10, 2)),
            ],
        ),
        spec(
            "whole",
            "numeric(38,0)",
            PgType::Numeric,
            [
                ("0", whole(0)),
                ("5", whole(5)),
                ("99999999999999999999999999999999999999", whole(most)),
                ("-99999999999999999999999999999999999999", whole(-most)),
                ("NaN", ScalarValue::Decimal128(None, 38, 0)),
            ],
        ),
        spec(
            "wide",
            "numeric(50,10)",
            PgType::Numeric,
            [
                ("1.5", wide("15000000000")),
                ("5", wide("50000000000")),
                (
                    "1234567890123456789012345678901234567890.0000000001",
                    wide("12345678901234567890123456789012345678900000000001"),
                ),
                ("NaN", ScalarValue::Decimal256(None, 50, 10)),
            ],
        ),
        spec(
            "double",
            "float8",
            PgType::Float8,
            [
                ("0", 0.0),
                ("-0", -0.0),
                ("1.5", 1.5),
                ("NaN", f64::NAN),
                ("Infinity", f64::INFINITY),
            ]
            .map(|(text, value)| (text, value.into())),
        ),
    ]
}

/// The time of a date in years before and after our era, where the year 0 is 1 BC.
fn at(year: i32, month: u32, day: u32) -> NaiveDateTime {
    let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
    date.and_hms_opt(0, 0, 0).unwrap()
}

fn times() -> Vec<Spec> {
    let day = |time: NaiveDateTime| {
        ScalarValue::Date32(Some((time.and_utc().timestamp() / 86_400) as i32))
    };
    let dates = [
        ("-infinity", ScalarValue::Date32(Some(i32::MIN))),
        ("4713-01-01 BC", day(at(-4712, 1, 1))),
        ("0001-12-31 BC", day(at(0, 12, 31))),
        ("0001-01-01", day(at(1, 1, 1))),
        ("1969-12-31", day(at(1969, 12, 31))),
        ("1970-01-01", day(at(1970, 1, 1))),
        ("2024-02-29", day(at(2024, 2, 29))),
        ("9999-12-31", day(at(9999, 12, 31))),
        ("10000-01-01", day(at(10000, 1, 1))),
        ("5874897-12-31", ScalarValue::Date32(Some(2_145_042_905))),
        ("infinity", ScalarValue::Date32(Some(i32::MAX))),
    ];
    let micros = [
        ("-infinity", i64::MIN),
        (
            "4713-01-01 00:00:00 BC",
            at(-4712, 1, 1).and_utc().timestamp_micros(),
        ),
        (
            "0001-01-01 00:00:00",
            at(1, 1, 1).and_utc().timestamp_micros(),
        ),
        ("1969-12-31 23:59:59.999999", -1),
        ("1970-01-01 00:00:00", 0),
        ("2024-02-29 12:00:00.000001", 1_709_208_000_000_001),
        ("2024-02-29 12:00:00", 1_709_208_000_000_000),
        (
            "9999-12-31 23:59:59.999999",
            at(10000, 1, 1).and_utc().timestamp_micros() - 1,
        ),
        (
            "10000-01-01 00:00:00",
            at(10000, 1, 1).and_utc().timestamp_micros(),
        ),
        ("294247-01-10 04:00:54.775806", i64::MAX - 1),
        ("294247-01-10 04:00:54.775807", i64::MAX),
        ("294276-12-31 23:59:59.999999", i64::MAX),
        ("infinity", i64::MAX),
    ];
    let local = micros.map(|(t, v)| (t, ScalarValue::TimestampMicrosecond(Some(v), None)));
    let zoned = |v| ScalarValue::TimestampMicrosecond(Some(v), Some("UTC".into()));
    let time = |v| ScalarValue::Time64Microsecond(Some(v));
    vec![
        spec("date", "date", PgType::Date, dates),
        spec("local", "timestamp", PgType::Timestamp, local),
        spec(
            "instant",
            "timestamptz",
            PgType::Timestamptz,
            micros.map(|(t, v)| (t, zoned(v))),
        ),
        spec(
            "time",
            "time",
            PgType::Time,
            [("00:00", time(0)), ("24:00", time(86_399_999_999))],
        ),
    ]
}

/// All types, and a domain over each of those that are compared.
fn specs() -> Vec<Spec> {
    let mut specs: Vec<Spec> = [numbers(), characters(), times()]
        .into_iter()
        .flatten()
        .collect();
    let compared = specs.iter().filter(|spec| spec.is_compared());
    let domains = compared.map(|spec| Spec {
        name: format!("d_{}", spec.name),
        sql_type: format!("d_{}", spec.name),
        pg_type: spec.pg_type.clone(),
        data_type: spec.data_type.clone(),
        deterministic: true,
        values: spec.values.clone(),
    });
    let domains: Vec<Spec> = domains.collect();
    specs.extend(domains);
    specs
}

/// A table with two columns of each type.
pub(super) struct Table {
    pub(super) specs: Vec<Spec>,
    pub(super) columns: PgColumns,
    pub(super) rows: RecordBatch,
    /// Makes it.
    pub(super) sql: String,
}

impl Table {
    /// The types that are read as the same type as this one.
    pub(super) fn alike(&self, spec: &Spec) -> Vec<&Spec> {
        let alike = |other: &&Spec| other.data_type == spec.data_type;
        self.specs.iter().filter(alike).collect()
    }
}

/// The name of one of the columns of a type; those of texts are hard to quote.
pub(super) fn name(spec: &Spec, second: bool) -> String {
    match (spec.pg_type == PgType::Text, second) {
        (true, false) => format!("{}\" = \"1'; --", spec.name),
        (false, false) => format!("{} A", spec.name),
        (_, true) => format!("{}_b", spec.name),
    }
}

pub(super) fn table(rows: usize, random: &mut Random) -> Table {
    let specs = specs();
    let both = || specs.iter().flat_map(|spec| [(spec, false), (spec, true)]);
    let quoted = |text: &str| text.replace('"', "\"\"");
    let declared: Vec<String> = both()
        .map(|(spec, second)| format!("\"{}\" {}", quoted(&name(spec, second)), spec.sql_type))
        .collect();
    let chosen: Vec<Vec<usize>> = both()
        .map(|(spec, _)| (0..rows).map(|_| random.below(spec.values.len())).collect())
        .collect();
    let lines: Vec<String> = (0..rows)
        .map(|row| {
            let values =
                both()
                    .zip(&chosen)
                    .map(|((spec, _), chosen)| match &spec.values[chosen[row]].0 {
                        Some(text) => format!("'{}'", text.replace('\'', "''")),
                        None => "NULL".to_owned(),
                    });
            format!("({row}, {})", values.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let domains = specs.iter().filter(|spec| spec.is_compared());
    let domains = domains.filter(|spec| !spec.is_domain());
    let domains =
        domains.map(|spec| format!("CREATE DOMAIN d_{} AS {};", spec.name, spec.sql_type));
    let domains: String = domains.collect();
    let sql = format!(
        "SET timezone = 'UTC';
         CREATE TYPE mood AS ENUM ('zeta', 'alpha', 'Mid', 'o''k', 'a');
         CREATE TYPE pair AS (a int, b int);
         CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
         {domains}
         CREATE TABLE nasty (id int, {});
         INSERT INTO nasty VALUES {}",
        declared.join(", "),
        lines.join(",\n")
    );
    let arrays = both().zip(&chosen).map(|((spec, _), chosen)| {
        let values = chosen.iter().map(|index| spec.values[*index].1.clone());
        ScalarValue::iter_to_array(values).unwrap()
    });
    let fields =
        both().map(|(spec, second)| Field::new(name(spec, second), spec.data_type.clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let rows = RecordBatch::try_new(schema.into(), arrays.collect()).unwrap();
    let columns = both().map(|(spec, second)| PgColumn {
        name: name(spec, second),
        data_type: spec.data_type.clone(),
        pg_type: spec.pg_type.clone(),
        deterministic: spec.deterministic,
    });
    let columns = PgColumns::new(columns.collect());
    Table {
        specs,
        columns,
        rows,
        sql,
    }
}
