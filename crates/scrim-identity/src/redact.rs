//! Problems in the accounts file, told without what is secret in it.

use scrim_document::{Problem, Problems, Severity, SourceFile};

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

/// The text with the value of each `password_hash` starred out. Errs on the side of too much.
fn starred(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split(HASH_KEY);
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str(HASH_KEY);
        let value = piece.trim_start_matches(['"', '\'', ' ', '\t', ':', '?']);
        let (lead, value) = piece.split_at(piece.len() - value.len());
        out.push_str(lead);
        let end: &[char] = match lead.chars().last() {
            Some('"') => &['"'],
            Some('\'') => &['\''],
            // A block scalar, an alias, a nested value: to the next hash or the end.
            _ if value.starts_with(['|', '>', '&', '*', '!', '[', '{', '\n', '\r']) => &[],
            _ => &['}', '\n', ' '],
        };
        let end = value
            .find(end)
            .filter(|_| !end.is_empty())
            .unwrap_or(value.len());
        let (secret, rest) = value.split_at(end);
        out.extend(secret.chars().map(|c| if c == '\n' { c } else { '*' }));
        out.push_str(rest);
    }
    out
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
                "{password_hash: ***}\n{password_hash: **}",
            ),
            (
                "password_hash: hunter2 # mine",
                "password_hash: ******* # mine",
            ),
            (
                "password_hash: |\n  secret\n",
                "password_hash: *\n********\n",
            ),
            ("\"password_hash\" : \"é\"", "\"password_hash\" : \"*\""),
        ] {
            assert_eq!(starred(text), expected);
        }
    }
}
