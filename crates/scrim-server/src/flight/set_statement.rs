//! The statements that set something: `SET name = value`, `SET TIME ZONE value`, `USE schema`.
//!
//! Strict on purpose: these are the only statements that do not reach the engine's parser.

use scrim_model::{CATALOG, Code, Refusal};

use super::settings::Setting;

/// A setting and its new value; no value takes it out.
pub(crate) type Assignment = (Setting, Option<String>);

/// What a statement sets; `None` when it is anything else.
pub(crate) fn set_statement(sql: &str) -> Option<Result<Assignment, Refusal>> {
    let text = sql.trim();
    let text = text.strip_suffix(';').unwrap_or(text).trim_end();
    if let Some(rest) = strip_word(text, "use") {
        return Some(used(rest));
    }
    let rest = strip_word(text, "set")?;
    let rest = strip_word(rest, "session").unwrap_or(rest);
    if let Some(value) = strip_word(rest, "time").and_then(|rest| strip_word(rest, "zone")) {
        return Some(time_zone(value));
    }
    let end = rest
        .find(|c: char| c == '=' || c.is_whitespace())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    let rest = rest.trim_start();
    match Setting::from_name(name) {
        Some(setting) => Some(assignment(setting, rest)),
        None if name.eq_ignore_ascii_case("timezone") => Some(assignment(Setting::TimeZone, rest)),
        None if name.to_ascii_lowercase().starts_with("scrim.") => Some(Err(Refusal::new(
            Code::RequestInvalid,
            "no such setting; there are scrim.purpose, scrim.agreement and scrim.release",
        ))),
        None => None,
    }
}

fn assignment(setting: Setting, rest: &str) -> Result<Assignment, Refusal> {
    let value = rest.strip_prefix('=').or_else(|| strip_word(rest, "to"));
    // The standard's own form of these two has nothing in between.
    let bare = matches!(setting, Setting::Schema | Setting::Catalog).then_some(rest);
    let value = value.or(bare).and_then(|value| literal(value.trim()));
    value.map(|value| (setting, value)).ok_or_else(|| {
        let help = format!("write SET {} = 'value'", setting.name());
        Refusal::new(Code::SqlSyntax, help)
    })
}

fn time_zone(value: &str) -> Result<Assignment, Refusal> {
    let value = value.strip_prefix('=').unwrap_or(value).trim();
    let zone = match value.to_ascii_lowercase().as_str() {
        "local" => Some(None),
        _ => literal(value),
    };
    zone.map(|zone| (Setting::TimeZone, zone))
        .ok_or_else(|| Refusal::new(Code::SqlSyntax, "write SET TIME ZONE 'Europe/Berlin'"))
}

/// `USE schema`, `USE catalog.schema`, `USE catalog`, with or without the word before the name.
fn used(rest: &str) -> Result<Assignment, Refusal> {
    let syntax = || Refusal::new(Code::SqlSyntax, "write USE schema");
    for word in ["catalog", "database"] {
        if let Some(name) = strip_word(rest, word) {
            let (name, end) = identifier(name).ok_or_else(syntax)?;
            return match end {
                "" => Ok((Setting::Catalog, Some(name))),
                _ => Err(syntax()),
            };
        }
    }
    let rest = strip_word(rest, "schema").unwrap_or(rest);
    let (first, rest) = identifier(rest).ok_or_else(syntax)?;
    let Some(rest) = rest.strip_prefix('.') else {
        return match rest {
            "" if first == CATALOG => Ok((Setting::Catalog, Some(first))),
            "" => Ok((Setting::Schema, Some(first))),
            _ => Err(syntax()),
        };
    };
    match identifier(rest) {
        // A catalog that is not there is told of as such.
        Some((_, "")) if first != CATALOG => Ok((Setting::Catalog, Some(first))),
        Some((second, "")) => Ok((Setting::Schema, Some(second))),
        Some(_) | None => Err(syntax()),
    }
}

/// A name, in lower case unless it is quoted, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        let plain = !name.is_empty() && !rest.starts_with('"');
        return plain.then(|| (name.to_owned(), rest.trim_start()));
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), rest.trim_start()))
}

/// What follows a word and white space.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let separated = rest.starts_with(char::is_whitespace);
    (head.eq_ignore_ascii_case(word) && separated).then(|| rest.trim_start())
}

/// A quoted text, a bare word, or `DEFAULT` and `NULL` for none.
#[expect(
    clippy::option_option,
    reason = "no literal and the literal for nothing differ"
)]
fn literal(text: &str) -> Option<Option<String>> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            let inner = inner
                .strip_suffix(quote)
                .filter(|inner| !inner.contains('\u{0}'))?;
            let unescaped = inner.replace(&format!("{quote}{quote}"), "\u{0}");
            if unescaped.contains(quote) {
                return None;
            }
            return Some(Some(unescaped.replace('\u{0}', &quote.to_string())));
        }
    }
    if text.eq_ignore_ascii_case("default") || text.eq_ignore_ascii_case("null") {
        return Some(None);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-+/:".contains(c);
    (!text.is_empty() && text.chars().all(bare)).then(|| Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, setting: Setting, value: Option<&str>) {
        let set = set_statement(sql).unwrap_or_else(|| panic!("{sql}"));
        let (found, found_value) = set.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!((found, found_value.as_deref()), (setting, value), "{sql}");
    }

    #[test]
    fn the_statement_that_sets() {
        for sql in [
            "SET scrim.purpose = 'fraud-review'",
            " set  Scrim.Purpose='fraud-review' ; ",
            "SET scrim.purpose TO 'fraud-review'",
            "SET SESSION scrim.purpose = fraud-review",
        ] {
            check(sql, Setting::Purpose, Some("fraud-review"));
        }
        check(
            "SET scrim.agreement = 'it''s'",
            Setting::Agreement,
            Some("it's"),
        );
        check("SET scrim.release = DEFAULT", Setting::Release, None);
        check(
            "SET native_types = true",
            Setting::NativeTypes,
            Some("true"),
        );
        check("SET max_endpoints TO 4", Setting::MaxEndpoints, Some("4"));
    }

    #[test]
    fn time_zones() {
        for sql in [
            "SET TIME ZONE 'Europe/Berlin'",
            "set time zone Europe/Berlin;",
            "SET time_zone = 'Europe/Berlin'",
            "SET TimeZone TO Europe/Berlin",
        ] {
            check(sql, Setting::TimeZone, Some("Europe/Berlin"));
        }
        check("SET TIME ZONE '+02:00'", Setting::TimeZone, Some("+02:00"));
        check("SET TIME ZONE LOCAL", Setting::TimeZone, None);
        check("SET TIME ZONE DEFAULT", Setting::TimeZone, None);
    }

    #[test]
    fn schemas_and_catalogs() {
        for sql in [
            "USE care",
            "use CARE ;",
            "USE SCHEMA care",
            "USE scrim.care",
            "USE \"scrim\".\"care\"",
            "SET schema = care",
            "SET SCHEMA 'care'",
            "SET schema TO \"care\"",
        ] {
            check(sql, Setting::Schema, Some("care"));
        }
        check("USE \"Care\"", Setting::Schema, Some("Care"));
        check("USE scrim", Setting::Catalog, Some("scrim"));
        check("USE CATALOG scrim", Setting::Catalog, Some("scrim"));
        check("USE other.care", Setting::Catalog, Some("other"));
        check("SET catalog = other", Setting::Catalog, Some("other"));
    }

    #[test]
    fn everything_else_goes_to_the_engine_or_is_refused() {
        for sql in [
            "SELECT 1",
            "SET datafusion.execution.batch_size = 1",
            "SET datafusion.execution.time_zone = 'UTC'",
            "SETscrim.purpose = 'x'",
            "SET SESSION AUTHORIZATION nora",
            "USEcare",
            "",
            "SET",
            "USE",
        ] {
            assert!(set_statement(sql).is_none(), "{sql}");
        }
        for sql in [
            "SET scrim.purpose",
            "SET scrim.purpose = ",
            "SET scrim.purpose 'a'",
            "SET scrim.purpose = 'a' SELECT 1",
            "SET scrim.purpose = 'a', 'b'",
            "SET scrim.purpose = 'a'; DROP TABLE x",
            "SET scrim.purpose = 'a' || 'b'",
            "SET scrim.admin = true",
            "SET TIME ZONE INTERVAL '1' HOUR",
            "USE a.b.c",
            "USE care; DROP TABLE x",
            "USE \"care",
            "USE 'care'",
        ] {
            assert!(set_statement(sql).unwrap().is_err(), "{sql}");
        }
    }
}
