//! What came back, and whether it is what was expected.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use scrim_model::Refusal;

use super::format::Expect;
use crate::render::text;

/// Rows of an answer that a message shows at most.
const ROWS_SHOWN: usize = 5;

/// What came back: a result as text and as bytes, or a refusal.
#[derive(Debug)]
pub enum Answer {
    /// Rows.
    Rows {
        /// The names of the columns.
        columns: Vec<String>,
        /// The values as text; `None` is NULL.
        rows: Vec<Vec<Option<String>>>,
        /// The result as it would travel.
        bytes: Vec<u8>,
    },
    /// A refusal.
    Refused(Refusal),
}

impl Answer {
    /// Makes text and bytes of a result.
    pub fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        let mut rows = Vec::new();
        for batch in batches {
            writer.write(batch)?;
            let values = batch
                .columns()
                .iter()
                .map(|column| Ok((column, text::column(column, "null")?)))
                .collect::<Result<Vec<_>, ArrowError>>()?;
            for row in 0..batch.num_rows() {
                let cell = |(column, values): &(&arrow::array::ArrayRef, Vec<String>)| {
                    values.get(row).filter(|_| !column.is_null(row)).cloned()
                };
                rows.push(values.iter().map(cell).collect());
            }
        }
        Ok(Self::Rows {
            columns,
            rows,
            bytes: writer.into_inner()?,
        })
    }

    /// Everything that is not as expected, each in one line.
    pub fn differences(&self, expect: &Expect) -> Vec<String> {
        match (self, &expect.refused) {
            (Self::Refused(refusal), Some(code)) if refusal.code().as_str() == code => Vec::new(),
            (Self::Refused(refusal), Some(code)) => {
                vec![format!(
                    "expected the refusal {code}, got {}",
                    told(refusal)
                )]
            }
            (Self::Refused(refusal), None) => vec![format!("refused: {}", told(refusal))],
            (Self::Rows { rows, .. }, Some(code)) => {
                vec![format!(
                    "expected the refusal {code}, got {} rows",
                    rows.len()
                )]
            }
            (
                Self::Rows {
                    columns,
                    rows,
                    bytes,
                },
                None,
            ) => of_rows(columns, rows, bytes, expect),
        }
    }
}

/// The owner at the keyboard may know what a client may not.
fn told(refusal: &Refusal) -> String {
    match refusal.detail() {
        Some(detail) => format!("{refusal} ({detail})"),
        None => refusal.to_string(),
    }
}

fn of_rows(
    columns: &[String],
    rows: &[Vec<Option<String>>],
    bytes: &[u8],
    expect: &Expect,
) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(expected) = &expect.columns
        && expected != columns
    {
        differences.push(format!(
            "expected the columns {}, got {}",
            expected.join(", "),
            columns.join(", ")
        ));
    }
    if let Some(expected) = expect.row_count
        && expected != rows.len() as u64
    {
        differences.push(format!("expected {expected} rows, got {}", rows.len()));
    }
    if let Some(expected) = &expect.rows {
        differences.extend(row_difference(rows, expected));
    }
    for text in &expect.never_contains {
        let cell = rows
            .iter()
            .flatten()
            .flatten()
            .find(|cell| cell.contains(text.as_str()));
        if let Some(cell) = cell {
            differences.push(format!("expected `{text}` nowhere, got {cell}"));
        } else if contains(bytes, text.as_bytes()) {
            differences.push(format!(
                "expected `{text}` nowhere, but it is in the result's bytes"
            ));
        }
    }
    differences
}

fn row_difference(
    rows: &[Vec<Option<String>>],
    expected: &[Vec<Option<String>>],
) -> Option<String> {
    let same_row = |(a, b): (&Vec<Option<String>>, &Vec<Option<String>>)| {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| same(a.as_deref(), b.as_deref()))
    };
    let first = rows.iter().zip(expected).position(|pair| !same_row(pair));
    if first.is_none() && rows.len() == expected.len() {
        return None;
    }
    let at = first.unwrap_or_else(|| rows.len().min(expected.len()));
    let from = |rows: &[Vec<Option<String>>]| {
        let shown: Vec<String> = rows
            .iter()
            .skip(at)
            .take(ROWS_SHOWN)
            .map(|row| show(row))
            .collect();
        if shown.is_empty() {
            "nothing more".to_owned()
        } else {
            shown.join(" ")
        }
    };
    Some(format!(
        "from row {}: expected {}, got {}",
        at + 1,
        from(expected),
        from(rows)
    ))
}

/// Numbers may be written in any way; everything else is compared letter by letter.
fn same(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a == b;
    };
    match (digits(a), digits(b)) {
        // digit by digit: a float of 64 bits cannot tell large ids from each other
        (Some(x), Some(y)) => x == y,
        _ => a == b || same_float(a, b),
    }
}

/// A number without an exponent, less the zeros that it may end with.
fn digits(text: &str) -> Option<&str> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    if text.contains('.') {
        return Some(text.trim_end_matches('0').trim_end_matches('.'));
    }
    Some(text)
}

fn same_float(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y).is_eq() && !leading_zero(a) && !leading_zero(b),
        _ => false,
    }
}

/// `02139` is a code, not a number.
fn leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && !text.starts_with("0.")
}

fn show(row: &[Option<String>]) -> String {
    let cells: Vec<&str> = row
        .iter()
        .map(|cell| cell.as_deref().unwrap_or("null"))
        .collect();
    format!("[{}]", cells.join(", "))
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else {
        return false;
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(here) = rest.get(at..) else { break };
        if here.starts_with(text) {
            return true;
        }
        rest = here.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use scrim_model::{Code, Refusal};

    use super::super::format::Expect;
    use super::{Answer, same};

    fn answer() -> Answer {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("02139"), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("zip", texts), ("n", numbers)]).unwrap();
        Answer::of(&batch.schema(), &[batch]).unwrap()
    }

    fn row(values: [Option<&str>; 2]) -> Vec<Option<String>> {
        values.map(|value| value.map(str::to_owned)).into()
    }

    #[test]
    fn what_is_expected_has_no_differences() {
        let expect = Expect {
            columns: Some(vec!["zip".into(), "n".into()]),
            rows: Some(vec![
                row([Some("02139"), Some("1.0")]),
                row([None, Some("2")]),
            ]),
            row_count: Some(2),
            refused: None,
            never_contains: vec!["canary".into()],
        };
        assert_eq!(answer().differences(&expect), Vec::<String>::new());
    }

    #[test]
    fn differences_are_told_one_by_one() {
        let expect = Expect {
            columns: Some(vec!["zip".into()]),
            rows: Some(vec![row([Some("2139"), Some("1")])]),
            row_count: Some(3),
            refused: None,
            never_contains: vec!["213".into()],
        };
        assert_eq!(
            answer().differences(&expect),
            [
                "expected the columns zip, got zip, n",
                "expected 3 rows, got 2",
                "from row 1: expected [2139, 1], got [02139, 1] [null, 2]",
                "expected `213` nowhere, got 02139",
            ]
        );
    }

    #[test]
    fn numbers_are_compared_by_value_to_the_last_digit() {
        for (a, b) in [
            ("1", "1.0"),
            ("2.50", "2.5"),
            ("-7", "-7.00"),
            ("1e3", "1000"),
            ("1E-2", "0.01"),
            (".5", "0.5"),
        ] {
            assert!(same(Some(a), Some(b)) && same(Some(b), Some(a)), "{a} {b}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("12345678901234567.89", "12345678901234567.88"),
            ("02139", "2139"),
            ("02139", "2139.0"),
            ("1", "-1"),
            ("100", "1"),
            ("a", "b"),
        ] {
            assert!(!same(Some(a), Some(b)), "{a} {b}");
        }
        assert!(same(None, None) && !same(None, Some("null")));
    }

    #[test]
    fn a_refusal_is_compared_by_code() {
        let refused = Answer::Refused(Refusal::new(Code::TableClosed, "closed"));
        let expect = |code: &str| Expect {
            refused: Some(code.into()),
            ..Expect::default()
        };
        assert!(refused.differences(&expect("table-closed")).is_empty());
        assert_eq!(refused.differences(&expect("name-not-found")).len(), 1);
        assert_eq!(refused.differences(&Expect::default()).len(), 1);
    }
}
