//! Words that are fine while writing and not fine to commit.

use super::{File, Findings};

/// Put together here, so that this file does not find itself.
const BANNED: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it or file an issue"),
    (
        concat!("unimple", "mented!"),
        "return a refusal with its own code",
    ),
    (concat!("db", "g!("), "use tracing"),
    (concat!("FIX", "ME"), "fix it or file an issue"),
    (
        concat!("#[ig", "nore"),
        "a test that does not run proves nothing",
    ),
    (concat!("#[should_", "panic"), "assert the error instead"),
    (concat!("/work/", "shared"), "nobody else has this folder"),
    (concat!("/tmp/", "plan"), "nobody else has this folder"),
];

const READ: &[&str] = &[
    "rs", "py", "toml", "md", "yaml", "yml", "slt", "sh", "txt", "json", "sql", "mermaid",
];

pub(super) fn check(files: &[File], findings: &mut Findings) {
    for file in files
        .iter()
        .filter(|f| f.has_extension(READ) || f.path.starts_with(".ci/"))
    {
        for (number, line) in file.text.lines().enumerate() {
            for (word, instead) in BANNED {
                if line.contains(word) {
                    findings.error(format!(
                        "{}:{}: `{word}` must not be committed: {instead}",
                        file.path,
                        number + 1
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::problems;
    use super::check;

    #[test]
    fn banned_words_are_found_with_their_line() {
        let text = format!("fn a() {{\n    {}()\n}}", concat!("to", "do!"));
        let found = problems(&[("src/lib.rs", &text)], check);
        assert_eq!(found.len(), 1);
        assert!(
            found
                .iter()
                .all(|problem| problem.starts_with("src/lib.rs:2:"))
        );
    }
}
