//! Text in columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// How values are written: as SQL would, NULL as `null`. Instants must be in UTC ([`in_utc`]).
pub(crate) fn options(null: &'static str) -> FormatOptions<'static> {
    FormatOptions::new()
        .with_null(null)
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"))
        .with_display_error(false)
}

/// A column's values as text.
pub(crate) fn column(array: &dyn Array, null: &'static str) -> Result<Vec<String>, ArrowError> {
    let (array, options) = (in_utc(array)?, options(null));
    let formatter = ArrayFormatter::try_new(&array, &options)?;
    (0..array.len())
        .map(|row| formatter.value(row).try_to_string())
        .collect()
}

/// The same values with instants in UTC, whatever zone they came in.
pub(crate) fn in_utc(array: &dyn Array) -> Result<ArrayRef, ArrowError> {
    let data_type = utc(array.data_type());
    if data_type == *array.data_type() {
        return Ok(array.slice(0, array.len()));
    }
    cast(array, &data_type)
}

fn utc(data_type: &DataType) -> DataType {
    let inside = |field: &FieldRef| -> FieldRef {
        let data_type = utc(field.data_type());
        Arc::new(Field::clone(field).with_data_type(data_type))
    };
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::List(item) => DataType::List(inside(item)),
        DataType::LargeList(item) => DataType::LargeList(inside(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inside).collect()),
        other => other.clone(),
    }
}

/// How many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Close enough to Unicode's tables: combining marks take no column, East Asian letters two.
fn char_width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{33ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Control characters could move the cursor or hide text; a terminal never gets them.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '⏎',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The text in exactly `columns` columns: cut with `…`, or padded on one side.
pub(crate) fn fit(text: &str, columns: usize, right: bool) -> String {
    let taken = width(text);
    if taken <= columns {
        let pad = " ".repeat(columns - taken);
        return if right {
            format!("{pad}{text}")
        } else {
            format!("{text}{pad}")
        };
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += char_width(c);
        if used + 1 > columns {
            used -= char_width(c);
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept.push_str(&" ".repeat(columns.saturating_sub(used + 1)));
    kept
}

/// The text in lines of at most `columns` columns, broken at white space where there is any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && width(line) + 1 + width(word) > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StructArray, TimestampSecondArray};

    use super::{column, fit, printable, width, wrap};

    #[test]
    fn instants_are_written_in_utc_whatever_zone_they_came_in() {
        let instants = TimestampSecondArray::from(vec![0]).with_timezone("+02:00");
        assert_eq!(column(&instants, "null").unwrap(), ["1970-01-01T00:00:00Z"]);
        let instants: ArrayRef = Arc::new(instants);
        let inside = StructArray::try_from(vec![("at", instants)]).unwrap();
        assert_eq!(
            column(&inside, "null").unwrap(),
            ["{at: 1970-01-01T00:00:00Z}"]
        );
    }

    #[test]
    fn widths_are_those_of_a_terminal() {
        assert_eq!(width("Zoe\u{308}"), 3);
        assert_eq!(width("王小明"), 6);
    }

    #[test]
    fn texts_are_cut_and_padded_to_a_width() {
        assert_eq!(fit("abc", 5, false), "abc  ");
        assert_eq!(fit("42", 5, true), "   42");
        assert_eq!(fit("abcdef", 4, false), "abc…");
        assert_eq!(width(&fit("王小明王", 4, false)), 4);
    }

    #[test]
    fn a_terminal_never_gets_control_characters() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb⏎c");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a block\n  of text\n", 100), ["a block of text"]);
    }
}
