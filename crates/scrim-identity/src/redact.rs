//! Problems in the accounts file, told without what is secret in it.

use scrim_document::{Problem, Problems, Severity, SourceFile, nearest};

/// The key whose value is never shown.
pub(crate) const HASH_KEY: &str = "password_hash";

/// A report shows the lines in question, and on such a line there may be a password hash, or even
/// a password that somebody wrote in its place. This points the problems at a copy of the file in
/// which those values are starred out, character by character, so that places stay right.
pub(crate) fn redact(problems: Problems, file: &SourceFile) -> Problems {
    let shown = SourceFile::new(file.path(), starred(file.text()));
    problems
        .into_iter()
        .map(|problem| {
            let at = problem.location();
            let redacted = match problem.severity() {
                Severity::Error => Problem::error(at, &shown, problem.message()),
                Severity::Warning => Problem::warning(at, &shown, problem.message()),
            };
            match problem.help() {
                Some(help) => redacted.with_help(help),
                None => redacted,
            }
        })
        .collect()
}

/// The text with the value of each `password_hash`, and of what somebody may have written instead,
/// starred out. Errs on the side of too much.
fn starred(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, word, after)) = next_word(rest) {
        out.push_str(before);
        out.push_str(word);
        rest = after;
        if is_secret(word, after) {
            let (lead, secret, after) = value(after);
            out.push_str(lead);
            out.extend(secret.chars().map(|c| if c == '\n' { c } else { '*' }));
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// What stands before the next word, the word, and what stands behind it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let (before, from) = text.split_at(text.find(is_part)?);
    let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
    let (word, after) = from.split_at(end);
    Some((before, word, after))
}

/// Whether what follows a word is never shown: the key itself, wherever it stands, and other words
/// that look like it or like a password, where they are keys.
fn is_secret(word: &str, after: &str) -> bool {
    const OTHERS: [&str; 5] = ["password", "passwd", "passphrase", "hash", "hashed"];
    let is_key = || {
        after
            .trim_start_matches(['"', '\'', ' ', '\t'])
            .starts_with(':')
    };
    let looks_so = || {
        let close = |known: &str| nearest(word, [known]).is_some();
        word.len() <= 2 * HASH_KEY.len() && (close(HASH_KEY) || OTHERS.into_iter().any(close))
    };
    word == HASH_KEY || is_key() && looks_so()
}

/// What stands behind a key before its value, the value, and what follows.
fn value(after: &str) -> (&str, &str, &str) {
    // The quote at the end of a quoted key, then the colon; what comes next belongs to the value.
    let from = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let from = from.trim_start_matches([' ', '\t']);
    let from = from.strip_prefix(':').unwrap_or(from);
    let from = from.trim_start_matches([' ', '\t']);
    let (open, length) = match from.chars().next() {
        Some('"') => (1, quoted(from, '"')),
        Some('\'') => (1, quoted(from, '\'')),
        // A block scalar, an alias, a nested value: to the end.
        Some('|' | '>' | '&' | '*' | '!' | '[' | '{' | '\n' | '\r') | None => (0, from.len()),
        Some(_) => (0, plain(from)),
    };
    let start = after.len() - from.len() + open;
    let (lead, from) = after.split_at(start);
    let (secret, after) = from.split_at(length);
    (lead, secret, after)
}

/// How long the text between quotes is: to the quote that ends it, which no other one does.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let is_escape = match quote {
            '"' => c == '\\',
            _ => c == quote && chars.peek().is_some_and(|(_, next)| *next == quote),
        };
        if is_escape {
            chars.next();
        } else if c == quote {
            return at - 1;
        }
    }
    text.len() - 1
}

/// How long a value without quotes is: to the end of its line, whatever it seems to hold, and of
/// the lines that go on with it.
fn plain(text: &str) -> usize {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default().len();
    let others = lines.take_while(|line| !line.contains(':') && !line.trim().is_empty());
    let end = first + others.map(str::len).sum::<usize>();
    // The end of the last line is none of the value's.
    let value = text.get(..end).unwrap_or(text);
    value.trim_end_matches(['\n', '\r']).len()
}

#[cfg(test)]
mod tests {
    use super::starred;

    #[test]
    fn hashes_are_starred_out_and_places_stay() {
        for (text, expected) in [
            ("a: 1\n", "a: 1\n"),
            (
                "{id: b, password_hash: \"$a,b$\", org: c}",
                "{id: b, password_hash: \"*****\", org: c}",
            ),
            (
                "password_hash: 'x}y'\norg: c",
                "password_hash: '***'\norg: c",
            ),
            (
                "{password_hash: abc}\n{password_hash: de}",
                "{password_hash: ****\n{password_hash: ***",
            ),
            // Nobody knows where a password without quotes ends, so it ends with its line.
            (
                "password_hash: hunter2 # mine\norg: c",
                "password_hash: **************\norg: c",
            ),
            (
                "password_hash: a horse} and, a staple\r\norg: c",
                "password_hash: **********************\r\norg: c",
            ),
            (
                "password_hash: a\n  horse\norg: c",
                "password_hash: *\n*******\norg: c",
            ),
            (
                r#"{password_hash: "a\"b\\", org: c}"#,
                r#"{password_hash: "******", org: c}"#,
            ),
            (
                "{password_hash: 'it''s', org: c}",
                "{password_hash: '*****', org: c}",
            ),
            ("password_hash: \"\" # c", "password_hash: \"\" # c"),
            ("password_hash: \"'a'b", "password_hash: \"****"),
            ("password_hash:hunter2", "password_hash:*******"),
            (
                "password_hash: |\n  secret\n",
                "password_hash: *\n********\n",
            ),
            ("\"password_hash\" : \"é\"", "\"password_hash\" : \"*\""),
            ("? password_hash\n: a\n", "? password_hash\n***\n"),
            ("password_hash", "password_hash"),
            // What somebody may have written instead.
            ("pasword_hash: abc", "pasword_hash: ***"),
            ("Password: abc\nid: b", "Password: ***\nid: b"),
            ("hash: 'abc', id: b", "hash: '***', id: b"),
            // And what is none of that.
            (
                "id: passenger\norg: hash\ngroups: [password]\n",
                "id: passenger\norg: hash\ngroups: [password]\n",
            ),
        ] {
            assert_eq!(starred(text), expected);
        }
    }
}
