//! Text as YAML scalars.

use std::fmt::Write as _;

/// Words that YAML, of one version or another, takes for something else than text.
const WORDS: &[&str] = &[
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// Text as a scalar for a line of its own or a flow list: bare where nothing could mistake it for
/// something else.
pub(super) fn scalar(text: &str) -> String {
    let starts_plain =
        text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    let is_plain = starts_plain
        && !text.contains("//")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A type as databases write it, which is plain but for what flow lists mistake.
pub(super) fn type_name(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_(),. ".contains(c))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing to a string cannot fail.
                write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text in a comment: one line, whatever it holds.
pub(super) fn comment(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use scrim_document::{Node, SourceFile};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "visits",
            "a b",
            "yes",
            "No",
            "NULL",
            "1.5",
            "-",
            "- x",
            "a: b",
            "a #b",
            "#",
            "",
            "\"",
            "\\",
            "é",
            "日本",
            "a\nb",
            "\u{7f}",
            "'",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "data/visits/*.parquet",
            "s3://bucket/a b/",
            "~",
            "1e3",
            "0x1f",
            "2024-01-01",
            "nan",
            "\u{feff}x",
            "=",
            "<<",
            ".inf",
            "numeric(12,2)",
            "timestamp with time zone",
        ] {
            for written in [scalar(text), type_name(text)] {
                for yaml in [
                    format!("k: {written}\n"),
                    format!("k: [{}]\n", scalar(text)),
                ] {
                    let node = Node::parse(&SourceFile::new("x.yaml", yaml.clone())).unwrap();
                    let value = node.get("k").unwrap();
                    let value = value
                        .as_list()
                        .and_then(|items| items.first())
                        .unwrap_or(value);
                    assert_eq!(value.as_str(), Some(text), "{yaml}");
                }
            }
        }
        assert_eq!(comment("a\nb"), "a b");
    }
}
