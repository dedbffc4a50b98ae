//! Random typed expressions.
//!
//! What can fail on a value is written with marks, so that the same expression can be rendered as
//! it is (`CAST`, a bare divisor) and in its total form (`TRY_CAST`, `NULLIF`).

use arrow::datatypes::DataType;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::data::{NAMES, NOTES};

const CAST: char = '\u{1}';
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// The statement as it is sent.
pub(crate) fn strict(sql: &str) -> String {
    render(sql, "CAST", "(", ")")
}

/// The statement with everything total that can be.
pub(crate) fn total(sql: &str) -> String {
    render(sql, "TRY_CAST", "NULLIF(", ", 0)")
}

/// Whether some expression of the statement may fail on a value.
pub(crate) fn may_fail(sql: &str) -> bool {
    sql.contains([CAST, OPEN]) || sql.contains("regexp")
}

fn render(sql: &str, cast: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    for c in sql.chars() {
        match c {
            CAST => out.push_str(cast),
            OPEN => out.push_str(open),
            CLOSE => out.push_str(close),
            c => out.push(c),
        }
    }
    out
}

/// The types that the grammar tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Int,
    Float,
    Decimal,
    Text,
    Date,
    Time,
    Bool,
    /// `List<Utf8>`
    Texts,
    /// `Struct<phone, city>`
    Contact,
    /// `List<Struct<sku, n>>`
    Items,
}

impl Ty {
    pub(crate) const SCALAR: [Self; 7] = [
        Self::Int,
        Self::Float,
        Self::Decimal,
        Self::Text,
        Self::Date,
        Self::Time,
        Self::Bool,
    ];

    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int32 | DataType::Int64 => Self::Int,
            DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::Decimal128(..) => Self::Decimal,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(..) => Self::Time,
            DataType::Struct(_) => Self::Contact,
            DataType::List(item) if item.data_type().is_nested() => Self::Items,
            DataType::List(_) => Self::Texts,
            _ => Self::Text,
        }
    }

    pub(crate) fn is_scalar(self) -> bool {
        Self::SCALAR.contains(&self)
    }
}

/// A column that can be named.
#[derive(Debug, Clone)]
pub(crate) struct Col {
    pub(crate) sql: String,
    pub(crate) ty: Ty,
}

/// Random expressions over columns.
#[derive(Debug)]
pub(crate) struct Expressions<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) scope: &'a [Col],
}

impl Expressions<'_> {
    fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    fn one<'s>(&mut self, from: &[&'s str]) -> &'s str {
        from.choose(self.rng).copied().unwrap_or_default()
    }

    pub(crate) fn column(&mut self, ty: Ty) -> Option<String> {
        let fitting: Vec<&Col> = self.scope.iter().filter(|col| col.ty == ty).collect();
        fitting.choose(self.rng).map(|col| col.sql.clone())
    }

    fn leaf(&mut self, ty: Ty) -> String {
        let literal = self.chance(0.2);
        match self.column(ty) {
            Some(column) if !literal => column,
            _ => self.literal(ty),
        }
    }

    pub(crate) fn literal(&mut self, ty: Ty) -> String {
        match ty {
            Ty::Int => self.one(&[
                "0",
                "1",
                "2",
                "5",
                "12",
                "60",
                "150",
                "-1",
                "9223372036854775807",
            ]),
            Ty::Float => self.one(&["0.5", "-3.25", "10.0", "CAST('NaN' AS DOUBLE)", "0.0"]),
            Ty::Decimal => {
                self.one(&["CAST(100 AS DECIMAL(12,2))", "CAST(12.50 AS DECIMAL(12,2))"])
            }
            Ty::Date => self.one(&[
                "DATE '1970-01-01'",
                "DATE '2023-06-01'",
                "DATE '1999-12-31'",
            ]),
            Ty::Time => self.one(&[
                "CAST('1999-01-01T00:00:00' AS TIMESTAMP)",
                "CAST('2015-05-05T12:00:00' AS TIMESTAMP)",
            ]),
            Ty::Bool => self.one(&["true", "false", "NULL"]),
            Ty::Text => {
                let texts = [
                    "EU", "UK", "A****", "****", "10", "W1", "open", "(", "", "K", "Bath", "12",
                ];
                let text = match self.rng.random_range(0..3) {
                    0 => *NAMES.choose(self.rng).unwrap(),
                    1 => *NOTES.choose(self.rng).unwrap(),
                    _ => *texts.choose(self.rng).unwrap(),
                };
                return quoted(text);
            }
            Ty::Texts => self.one(&["make_array('red')", "make_array('re', 'bl')"]),
            Ty::Contact | Ty::Items => "NULL",
        }
        .to_owned()
    }

    /// An expression of a type.
    pub(crate) fn of(&mut self, ty: Ty, depth: usize) -> String {
        if depth == 0 || self.chance(0.25) {
            return self.leaf(ty);
        }
        if ty.is_scalar() && self.chance(0.15) {
            return self.conditional(ty, depth - 1);
        }
        let depth = depth - 1;
        match ty {
            Ty::Int => self.int(depth),
            Ty::Float => self.float(depth),
            Ty::Decimal => self.decimal(depth),
            Ty::Text => self.text(depth),
            Ty::Date => self.date(depth),
            Ty::Time => self.time(depth),
            Ty::Bool => self.predicate(depth),
            Ty::Texts => self.texts(depth),
            Ty::Contact | Ty::Items => self.leaf(ty),
        }
    }

    pub(crate) fn scalar(&mut self, depth: usize) -> (String, Ty) {
        let ty = *Ty::SCALAR.choose(self.rng).unwrap();
        (self.of(ty, depth), ty)
    }

    fn conditional(&mut self, ty: Ty, depth: usize) -> String {
        let (a, b, p) = (
            self.of(ty, depth),
            self.of(ty, depth),
            self.predicate(depth),
        );
        match self.rng.random_range(0..5) {
            0 => format!("CASE WHEN {p} THEN {a} ELSE {b} END"),
            1 => {
                let q = self.predicate(depth);
                format!("CASE WHEN {p} THEN {a} WHEN {q} THEN {b} END")
            }
            2 => format!("coalesce({a}, {b})"),
            3 => format!("nullif({a}, {b})"),
            _ => format!("CASE {a} WHEN {b} THEN {a} ELSE {b} END"),
        }
    }

    fn int(&mut self, depth: usize) -> String {
        let (a, b) = (self.of(Ty::Int, depth), self.of(Ty::Int, depth));
        let text = self.of(Ty::Text, depth);
        match self.rng.random_range(0..16) {
            0 => format!("({a} + {b})"),
            1 => format!("({a} - {b})"),
            2 => format!("({a} * {b})"),
            3 => format!("({a} / {OPEN}{b}{CLOSE})"),
            4 => format!("({a} % {OPEN}{b}{CLOSE})"),
            5 => format!("{CAST}({text} AS BIGINT)"),
            6 => format!("{CAST}({text} AS INT)"),
            7 => format!("character_length({text})"),
            8 => format!("strpos({text}, {})", self.of(Ty::Text, 0)),
            9 => format!("abs({a})"),
            10 => format!("octet_length({text})"),
            11 => format!(
                "CAST(date_part('year', {}) AS BIGINT)",
                self.of(Ty::Date, depth)
            ),
            12 => format!(
                "CAST(array_length({}) AS BIGINT)",
                self.of(Ty::Texts, depth)
            ),
            13 => format!("{CAST}({} AS BIGINT)", self.of(Ty::Float, depth)),
            14 => format!("levenshtein({text}, {})", self.of(Ty::Text, 0)),
            _ => format!("{CAST}({} AS SMALLINT)", self.of(Ty::Int, depth)),
        }
    }

    fn float(&mut self, depth: usize) -> String {
        let (a, b) = (self.of(Ty::Float, depth), self.of(Ty::Float, depth));
        match self.rng.random_range(0..8) {
            0 => format!("({a} + {b})"),
            1 => format!("({a} * 0.5)"),
            2 => format!("({a} / {b})"),
            3 => format!("abs({a})"),
            4 => format!("round({a})"),
            5 => format!("CAST({} AS DOUBLE)", self.of(Ty::Int, depth)),
            6 => format!("{CAST}({} AS DOUBLE)", self.of(Ty::Text, depth)),
            _ => format!("sqrt(abs({a}))"),
        }
    }

    fn decimal(&mut self, depth: usize) -> String {
        let a = self.of(Ty::Decimal, depth);
        let int = self.of(Ty::Int, depth);
        match self.rng.random_range(0..4) {
            0 => format!("({a} + {})", self.of(Ty::Decimal, depth)),
            1 => format!("{CAST}({int} AS DECIMAL(12,2))"),
            2 => format!("{CAST}({} AS DECIMAL(12,2))", self.of(Ty::Text, depth)),
            _ => format!("abs({a})"),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        let (a, b) = (self.of(Ty::Text, depth), self.of(Ty::Text, depth));
        match self.rng.random_range(0..20) {
            0 => format!("lower({a})"),
            1 => format!("upper({a})"),
            2 => format!(
                "substr({a}, {}, {})",
                self.one(&["1", "2", "5"]),
                self.one(&["1", "3", "40"])
            ),
            3 => format!("({a} || {b})"),
            4 => format!("concat({a}, '-', {b})"),
            5 => format!("replace({a}, {b}, '_')"),
            6 => format!("split_part({a}, ' ', {})", self.one(&["1", "2"])),
            7 => format!("reverse({a})"),
            8 => format!("md5({a})"),
            9 => format!("lpad({a}, {}, '.')", self.one(&["0", "3", "20"])),
            10 => format!("left({a}, {})", self.one(&["1", "4", "-1"])),
            11 => format!("initcap(trim({a}))"),
            12 => format!("CAST({} AS VARCHAR)", self.of(Ty::Int, depth)),
            13 => format!("CAST({} AS VARCHAR)", self.of(Ty::Date, depth)),
            14 => format!("regexp_replace({a}, '[0-9]+', '#')"),
            15 => format!("encode(CAST({a} AS BYTEA), 'hex')"),
            16 => format!("array_to_string({}, ',')", self.of(Ty::Texts, depth)),
            17 => format!("arrow_typeof({a})"),
            18 => format!("translate({a}, 'aei', 'xyz')"),
            _ => self
                .inner_text()
                .unwrap_or_else(|| format!("right({a}, 3)")),
        }
    }

    /// Text from inside a nested column.
    fn inner_text(&mut self) -> Option<String> {
        let element = |list: &str, n: &str| format!("{list}[{n}]");
        match self.rng.random_range(0..4) {
            0 => self.column(Ty::Contact).map(|c| format!("{c}['phone']")),
            1 => self
                .column(Ty::Contact)
                .map(|c| format!("get_field({c}, 'city')")),
            2 => self.column(Ty::Texts).map(|c| element(&c, "1")),
            _ => self
                .column(Ty::Items)
                .map(|c| format!("{}['sku']", element(&c, "1"))),
        }
    }

    fn date(&mut self, depth: usize) -> String {
        let a = self.of(Ty::Date, depth);
        match self.rng.random_range(0..4) {
            0 => format!("{CAST}({} AS DATE)", self.of(Ty::Time, depth)),
            1 => format!("{CAST}({} AS DATE)", self.of(Ty::Text, depth)),
            2 => format!("CAST(date_trunc('month', {a}) AS DATE)"),
            _ => format!("({a} + INTERVAL '1' DAY)"),
        }
    }

    fn time(&mut self, depth: usize) -> String {
        let a = self.of(Ty::Time, depth);
        match self.rng.random_range(0..4) {
            0 => format!("date_trunc('day', {a})"),
            1 => format!("{CAST}({} AS TIMESTAMP)", self.of(Ty::Date, depth)),
            2 => format!("{CAST}({} AS TIMESTAMP)", self.of(Ty::Text, depth)),
            _ => format!("({a} - INTERVAL '2 hours')"),
        }
    }

    fn texts(&mut self, depth: usize) -> String {
        let a = self.of(Ty::Texts, depth);
        match self.rng.random_range(0..4) {
            0 => format!("array_sort({a})"),
            1 => format!("array_distinct({a})"),
            2 => format!("array_append({a}, {})", self.of(Ty::Text, 0)),
            _ => format!("string_to_array({}, ' ')", self.of(Ty::Text, depth)),
        }
    }

    /// A condition.
    pub(crate) fn predicate(&mut self, depth: usize) -> String {
        let deeper = depth.saturating_sub(1);
        match self.rng.random_range(0..if depth == 0 { 8 } else { 14 }) {
            0..=2 => self.comparison(deeper),
            3 => {
                let (a, _) = self.scalar(deeper);
                format!("({a} IS {}NULL)", self.one(&["", "NOT "]))
            }
            4 => {
                let pattern = self.one(&["'A%'", "'%1%'", "'_n%'", "'CANARY%'", "'%'", "'X%'"]);
                let not = self.one(&["", "NOT "]);
                let op = self.one(&["LIKE", "LIKE", "ILIKE"]);
                format!("({} {not}{op} {pattern})", self.of(Ty::Text, deeper))
            }
            5 => {
                let ty = *Ty::SCALAR.choose(self.rng).unwrap();
                let items: Vec<String> = (0..3).map(|_| self.literal(ty)).collect();
                let not = self.one(&["", "NOT "]);
                format!("({} {not}IN ({}))", self.of(ty, deeper), items.join(", "))
            }
            6 => {
                let ty = *[Ty::Int, Ty::Date, Ty::Time, Ty::Decimal]
                    .choose(self.rng)
                    .unwrap();
                let (low, high) = (self.literal(ty), self.literal(ty));
                format!("({} BETWEEN {low} AND {high})", self.of(ty, deeper))
            }
            7 => format!("(array_has({}, 'red'))", self.of(Ty::Texts, deeper)),
            8 | 9 => format!(
                "({} AND {})",
                self.predicate(deeper),
                self.predicate(deeper)
            ),
            10 => format!("({} OR {})", self.predicate(deeper), self.predicate(deeper)),
            11 => format!("(NOT {})", self.predicate(deeper)),
            12 => format!(
                "regexp_like({}, {})",
                self.of(Ty::Text, deeper),
                self.one(&["'[0-9]'", "'^A'"])
            ),
            _ => match (self.column(Ty::Text), self.column(Ty::Text)) {
                (Some(a), Some(b)) => format!("regexp_like({a}, {b})"),
                _ => "true".to_owned(),
            },
        }
    }

    fn comparison(&mut self, depth: usize) -> String {
        let ty = *Ty::SCALAR.choose(self.rng).unwrap();
        let a = self.of(ty, depth);
        // Guesses at what lies under masks are part of the game; they stand in predicates only.
        if ty == Ty::Text && self.chance(0.15) {
            return format!("({a} = 'CANARY{}(')", self.rng.random_range(0..10_000));
        }
        let b = self.of(ty, depth);
        let ops = [
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "IS DISTINCT FROM",
            "IS NOT DISTINCT FROM",
        ];
        format!("({a} {} {b})", self.one(&ops))
    }
}

/// A text literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
