//! Conditions in SQL, put together so that none means less than was asked for.

/// A condition that is true for every row that is asked for. It binds tighter than `AND` and `OR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sql {
    pub(super) text: String,
    /// Whether it is true for no other row.
    pub(super) exact: bool,
}

impl Sql {
    pub(super) fn exact(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            exact: true,
        }
    }

    /// True for every row, or for none.
    pub(super) fn constant(value: bool) -> Self {
        Self::exact(if value { "true" } else { "false" })
    }

    /// The same condition, if other rows may fulfil it, too.
    pub(super) fn inexact(self) -> Self {
        Self {
            exact: false,
            ..self
        }
    }
}

/// All of the conditions. One that cannot be said is left out, which lets more rows pass.
pub(super) fn all(parts: impl IntoIterator<Item = Option<Sql>>) -> Option<Sql> {
    let parts: Vec<Option<Sql>> = parts.into_iter().collect();
    let complete = parts.iter().all(Option::is_some);
    let joined = join(parts.into_iter().flatten().collect(), true)?;
    Some(if complete { joined } else { joined.inexact() })
}

/// At least one of the conditions, each of which must be said.
pub(super) fn any(parts: impl IntoIterator<Item = Option<Sql>>) -> Option<Sql> {
    join(parts.into_iter().collect::<Option<_>>()?, false)
}

/// Joins conditions by `AND`, or else by `OR`.
fn join(mut parts: Vec<Sql>, by_and: bool) -> Option<Sql> {
    if parts.is_empty() {
        return None;
    }
    // One constant decides, the other one changes nothing.
    if parts.contains(&Sql::constant(!by_and)) {
        return Some(Sql::constant(!by_and));
    }
    parts.retain(|sql| *sql != Sql::constant(by_and));
    let exact = parts.iter().all(|sql| sql.exact);
    let mut texts: Vec<String> = parts.into_iter().map(|sql| sql.text).collect();
    let text = match texts.len() {
        0 => return Some(Sql::constant(by_and)),
        1 => texts.pop()?,
        _ => format!("({})", texts.join(if by_and { " AND " } else { " OR " })),
    };
    Some(Sql { text, exact })
}

/// A name in quotes. PostgreSQL has no names with NUL in them.
pub(super) fn identifier(name: &str) -> Option<String> {
    quoted(name, '"')
}

/// A text in quotes, in which only a quote means anything else than itself: every session sets
/// `standard_conforming_strings`.
pub(super) fn string(text: &str) -> Option<String> {
    quoted(text, '\'')
}

fn quoted(text: &str, quote: char) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    Some(format!("{quote}{doubled}{quote}"))
}

/// The text of an array of one dimension.
pub(super) fn array<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("{");
    for element in elements {
        if text.len() > 1 {
            text.push(',');
        }
        let bare = !element.is_empty()
            && !element.eq_ignore_ascii_case("null")
            && element
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if bare {
            text.push_str(element);
            continue;
        }
        text.push('"');
        for c in element.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_ends_nothing_and_nul_is_refused() {
        assert_eq!(string("o'neil\\").unwrap(), "'o''neil\\'");
        assert_eq!(identifier("a\"b'c").unwrap(), "\"a\"\"b'c\"");
        assert_eq!(string("a\0b"), None);
        assert_eq!(identifier("a\0b"), None);
        let elements = ["a", "", "NULL", "{,}", "\"\\'", "-5"];
        let array = array(elements.into_iter());
        assert_eq!(array, r#"{a,"","NULL","{,}","\"\\'",-5}"#);
    }

    #[test]
    fn what_cannot_be_said_only_ever_lets_more_rows_pass() {
        let a = || Some(Sql::exact("a"));
        assert_eq!(all([a(), None]).unwrap(), Sql::exact("a").inexact());
        assert_eq!(any([a(), None]), None);
        assert_eq!(all([None, None]), None);
        let yes = || Some(Sql::constant(true));
        assert_eq!(all([a(), yes()]), a());
        assert_eq!(all([yes(), None]).unwrap(), Sql::constant(true).inexact());
        assert_eq!(any([yes(), a()]).unwrap(), Sql::constant(true));
        assert_eq!(any([a(), a()]).unwrap(), Sql::exact("(a OR a)"));
    }
}
