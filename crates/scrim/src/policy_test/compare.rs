//! Rows against rows.

use super::answer::Row;

/// Rows that a message shows at most.
const ROWS_SHOWN: usize = 5;

/// What is different about the rows that were found and those that were expected, in one line; in
/// order, or in any. `numbers` says for each column whether it holds numbers.
pub(super) fn difference(
    found: &[Row],
    expected: &[Row],
    ordered: bool,
    numbers: &[bool],
) -> Option<String> {
    if ordered {
        in_order(found, expected, numbers)
    } else {
        in_any_order(found, expected, numbers)
    }
}

fn in_order(found: &[Row], expected: &[Row], numbers: &[bool]) -> Option<String> {
    let first = found
        .iter()
        .zip(expected)
        .position(|(a, b)| !same_row(a, b, numbers));
    if first.is_none() && found.len() == expected.len() {
        return None;
    }
    let at = first.unwrap_or_else(|| found.len().min(expected.len()));
    let from = |rows: &[Row]| match rows.get(at..) {
        Some(rest @ [_, ..]) => shown(rest),
        Some([]) | None => "nothing more".to_owned(),
    };
    let (expected, found) = (from(expected), from(found));
    Some(format!(
        "from row {}: expected {expected}, got {found}",
        at + 1
    ))
}

fn in_any_order(found: &[Row], expected: &[Row], numbers: &[bool]) -> Option<String> {
    let mut rest: Vec<&Row> = found.iter().collect();
    let mut missing = Vec::new();
    for row in expected {
        match rest.iter().position(|found| same_row(found, row, numbers)) {
            Some(at) => drop(rest.swap_remove(at)),
            None => missing.push(row.clone()),
        }
    }
    let mut rest: Vec<Row> = rest.into_iter().cloned().collect();
    rest.sort();
    match (missing.as_slice(), rest.as_slice()) {
        ([], []) => None,
        ([], more) => Some(format!("expected no more rows, also got {}", shown(more))),
        (missing, []) => Some(format!(
            "expected also {}, which is not there",
            shown(missing)
        )),
        (missing, more) => Some(format!("expected {}, got {}", shown(missing), shown(more))),
    }
}

/// The rows of `some` that `all` does not hold as often, as a message shows them.
pub(super) fn beyond(some: &[Row], all: &[Row]) -> Option<String> {
    let (mut some, mut all) = (sorted(some), sorted(all));
    let mut beyond = Vec::new();
    // Both are sorted: each step takes the smaller of two heads away.
    while let Some(row) = some.pop() {
        while all.last().is_some_and(|head| *head > row) {
            all.pop();
        }
        if all.last() == Some(&row) {
            all.pop();
        } else {
            beyond.push(row.clone());
        }
    }
    (!beyond.is_empty()).then(|| shown(&beyond))
}

/// The rows that two lists have in common, as a message shows them; one without any value says nothing.
pub(super) fn common(some: &[Row], others: &[Row]) -> Option<String> {
    let others = sorted(others);
    let says = |row: &&Row| row.iter().any(Option::is_some);
    let both = some.iter().filter(says);
    let both = both.filter(|row| others.binary_search(row).is_ok());
    let both: Vec<Row> = both.cloned().collect();
    (!both.is_empty()).then(|| shown(&both))
}

fn sorted(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort();
    rows
}

fn same_row(a: &Row, b: &Row, numbers: &[bool]) -> bool {
    let mut cells = a.iter().zip(b).zip(numbers);
    a.len() == b.len()
        && a.len() == numbers.len()
        && cells.all(|((a, b), number)| same(a.as_deref(), b.as_deref(), *number))
}

/// Numbers may be written in any way; everything else is compared letter by letter.
fn same(a: Option<&str>, b: Option<&str>, number: bool) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a == b;
    };
    if !number {
        return a == b;
    }
    match (digits(a), digits(b)) {
        // Digit by digit: a float of 64 bits cannot tell large ids from each other.
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
    let trimmed = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    };
    // There is one zero, with or without a sign.
    let zero = trimmed.strip_prefix('-').filter(|rest| *rest == "0");
    Some(zero.unwrap_or(trimmed))
}

fn same_float(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y).is_eq(),
        _ => false,
    }
}

fn shown(rows: &[Row]) -> String {
    let mut shown: Vec<String> = rows.iter().take(ROWS_SHOWN).map(one).collect();
    if rows.len() > ROWS_SHOWN {
        shown.push(format!("and {} more", rows.len() - ROWS_SHOWN));
    }
    shown.join(" ")
}

fn one(row: &Row) -> String {
    let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("null"));
    format!("[{}]", cells.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Row, beyond, common, difference, same};

    const NUMBER_AND_TEXT: [bool; 2] = [true, false];

    fn rows(rows: &[&[&str]]) -> Vec<Row> {
        let cell = |text: &&str| (*text != "null").then(|| (*text).to_owned());
        rows.iter()
            .map(|row| row.iter().map(cell).collect())
            .collect()
    }

    #[test]
    fn rows_are_compared_in_order_or_in_any() {
        let (found, turned) = (
            rows(&[&["1", "a"], &["2", "null"]]),
            rows(&[&["2.0", "null"], &["1", "a"]]),
        );
        assert_eq!(difference(&found, &turned, false, &NUMBER_AND_TEXT), None);
        assert_eq!(
            difference(&found, &turned, true, &NUMBER_AND_TEXT).unwrap(),
            "from row 1: expected [2.0, null] [1, a], got [1, a] [2, null]"
        );
        assert_eq!(
            difference(
                &found,
                &rows(&[&["1", "a"], &["1", "a"]]),
                false,
                &NUMBER_AND_TEXT
            )
            .unwrap(),
            "expected [1, a], got [2, null]"
        );
        assert_eq!(
            difference(&found, &found[..1], false, &NUMBER_AND_TEXT).unwrap(),
            "expected no more rows, also got [2, null]"
        );
        assert_eq!(
            difference(&found[..1], &found, true, &NUMBER_AND_TEXT).unwrap(),
            "from row 2: expected [2, null], got nothing more"
        );
    }

    #[test]
    fn rows_are_counted_when_they_are_taken_from_others() {
        let (some, all) = (
            rows(&[&["a"], &["a"], &["b"]]),
            rows(&[&["b"], &["a"], &["c"]]),
        );
        assert_eq!(beyond(&some, &all).unwrap(), "[a]");
        assert_eq!(beyond(&all[..2], &some), None);
        assert_eq!(common(&some, &all[1..]).unwrap(), "[a] [a]");
        assert_eq!(common(&some, &all[2..]), None);
    }

    #[test]
    fn numbers_are_compared_by_value_to_the_last_digit() {
        for (a, b) in [
            ("1", "1.0"),
            ("2.50", "2.5"),
            ("-7", "-7.00"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("1E-2", "0.01"),
            (".5", "0.5"),
            ("NaN", "NaN"),
        ] {
            let (a, b) = (Some(a), Some(b));
            assert!(same(a, b, true) && same(b, a, true), "{a:?} {b:?}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("12345678901234567.89", "12345678901234567.88"),
            ("1", "-1"),
            ("100", "1"),
            ("a", "b"),
        ] {
            assert!(!same(Some(a), Some(b), true), "{a} {b}");
        }
        assert!(same(None, None, true) && !same(None, Some("null"), true));
    }

    #[test]
    fn text_that_looks_like_a_number_is_text() {
        for (a, b) in [
            ("02139", "2139"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("-0", "0"),
        ] {
            assert!(!same(Some(a), Some(b), false), "{a} {b}");
        }
        assert!(same(Some("1.0"), Some("1.0"), false));
    }
}
