//! Crates stand in a line, and each has things that it must never know.

use super::{File, Findings};

/// Where the line is written down, for people and for this check.
const DESCRIPTION: &str = "crates/README.md";

/// What a crate may not depend on but for its tests; `name*` is every name that begins so.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "scrim-document",
        &["tokio*", "datafusion*", "arrow*", "serde_json"],
        "it reads text",
    ),
    (
        "scrim-model",
        &["tokio*", "datafusion*", "arrow*", "serde_json", "saphyr*"],
        "it is words",
    ),
    (
        "scrim-identity",
        &["tokio*", "tonic", "datafusion*", "arrow*"],
        "keys and time are passed in",
    ),
    (
        "scrim-anonymize",
        &["tokio*", "tonic", "datafusion*", "scrim-policy"],
        "arrays in, arrays out",
    ),
    (
        "scrim-policy",
        &[
            "tokio*",
            "tonic",
            "datafusion",
            "parquet",
            "object_store",
            "rand*",
            "getrandom",
        ],
        "a decision is a pure function",
    ),
    (
        "scrim-ledger",
        &["tonic", "datafusion*", "arrow*"],
        "it keeps what others decide",
    ),
    (
        "scrim-engine",
        &["tonic", "axum", "arrow-flight", "object_store"],
        "it has no network",
    ),
    (
        "scrim-sources",
        &["tonic", "axum", "arrow-flight"],
        "it does not know the server",
    ),
];

pub(super) fn check(files: &[File], findings: &mut Findings) {
    let line = line(files, findings);
    for file in files {
        let Some(folder) = folder_of_crate(&file.path) else {
            continue;
        };
        let manifest = Manifest::read(&file.text);
        if manifest.name != folder {
            findings.error(format!(
                "{}: the package is named `{}`, its folder `{folder}`; they must be equal",
                file.path, manifest.name
            ));
        }
        if !line.is_empty() {
            check_line(&line, file, &manifest, findings);
        }
        check_never(file, &manifest, findings);
    }
    if let Some(root) = files.iter().find(|file| file.path == "Cargo.toml") {
        check_reasons(root, findings);
    }
}

/// The line of crates, as the description draws it: names joined by `←`, left to right.
fn line(files: &[File], findings: &mut Findings) -> Vec<String> {
    let drawn = files
        .iter()
        .find(|file| file.path == DESCRIPTION)
        .and_then(|file| {
            file.text
                .lines()
                .find(|line| line.starts_with("scrim-") && line.contains(" ← "))
        });
    let Some(drawn) = drawn else {
        findings.error(format!(
            "{DESCRIPTION}: no line of crates (`scrim-a ← scrim-b ← …`) found"
        ));
        return Vec::new();
    };
    drawn
        .split('←')
        .map(|name| name.trim().to_owned())
        .collect()
}

fn folder_of_crate(path: &str) -> Option<&str> {
    let folder = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!folder.contains('/')).then_some(folder)
}

/// What we need of a manifest. Ours are written one dependency a line, which is all this reads.
#[derive(Debug, Default)]
struct Manifest {
    name: String,
    /// Section, name of the dependency.
    dependencies: Vec<(String, String)>,
}

impl Manifest {
    fn read(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                if section == "package" && key.trim() == "name" {
                    value
                        .trim()
                        .trim_matches('"')
                        .clone_into(&mut manifest.name);
                } else if section.ends_with("dependencies") && !line.starts_with('#') {
                    let name = key.trim().split('.').next().unwrap_or_default();
                    manifest
                        .dependencies
                        .push((section.clone(), name.to_owned()));
                }
            }
        }
        manifest
    }
}

fn check_line(line: &[String], file: &File, manifest: &Manifest, findings: &mut Findings) {
    let place = |name: &str| line.iter().position(|other| other == name);
    let own = place(&manifest.name);
    if own.is_none() && manifest.name != "scrim-testkit" {
        findings.error(format!(
            "{DESCRIPTION}: `{}` is not in the line of crates",
            manifest.name
        ));
    }
    for (section, name) in &manifest.dependencies {
        if is_for_tests(section) || !name.starts_with("scrim-") {
            continue;
        }
        let good = match (place(name), own) {
            (Some(theirs), Some(own)) => theirs < own,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !good {
            findings.error(format!(
                "{}: `{}` depends on `{name}`, which is not to its left in the line of crates",
                file.path, manifest.name
            ));
        }
    }
}

fn is_for_tests(section: &str) -> bool {
    section.ends_with("dev-dependencies")
}

fn check_never(file: &File, manifest: &Manifest, findings: &mut Findings) {
    let Some((_, banned, reason)) = NEVER.iter().find(|(name, ..)| *name == manifest.name) else {
        return;
    };
    for (section, name) in &manifest.dependencies {
        let matches = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        if !is_for_tests(section) && banned.iter().any(matches) {
            findings.error(format!(
                "{}: `{}` must not know `{name}`: {reason}",
                file.path, manifest.name
            ));
        }
    }
}

/// Every dependency of the workspace says why it is there.
fn check_reasons(root: &File, findings: &mut Findings) {
    let mut inside = false;
    for (number, line) in root.text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let ours = line.contains("path = ");
            let reason = line
                .rsplit_once(" # ")
                .is_some_and(|(_, reason)| reason.len() > 3);
            if !ours && !reason {
                findings.error(format!(
                    "Cargo.toml:{}: say in a comment on the line why this dependency is needed",
                    number + 1
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::problems;
    use super::check;

    const LINE: (&str, &str) = (
        "crates/README.md",
        "```\nscrim-document ← scrim-model ← scrim-policy ← scrim\n```",
    );

    fn found(path: &str, manifest: &str) -> Vec<String> {
        problems(&[LINE, (path, manifest)], check)
    }

    #[test]
    fn a_crate_depends_only_to_its_left() {
        let left =
            "[package]\nname = \"scrim-policy\"\n[dependencies]\nscrim-model.workspace = true";
        assert_eq!(found("crates/scrim-policy/Cargo.toml", left), [""; 0]);
        let right = left.replace("scrim-model", "scrim-server");
        assert_eq!(found("crates/scrim-policy/Cargo.toml", &right).len(), 1);
        let itself = left.replace("scrim-model", "scrim-policy");
        assert_eq!(found("crates/scrim-policy/Cargo.toml", &itself).len(), 1);
    }

    #[test]
    fn a_crate_knows_only_what_it_may() {
        let text = "[package]\nname = \"scrim-policy\"\n[dependencies]\n\
                    datafusion-expr.workspace = true\ndatafusion.workspace = true";
        let named = found("crates/scrim-policy/Cargo.toml", text);
        assert_eq!(named.len(), 1, "{named:?}");
        let text = "[package]\nname = \"scrim-model\"\n[dev-dependencies]\nserde_json = \"1\"\n\
                    [build-dependencies]\ntokio = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nsaphyr-parser = \"0\"";
        let named = found("crates/scrim-model/Cargo.toml", text);
        assert_eq!(named.len(), 2, "{named:?}");
    }

    #[test]
    fn folders_are_named_like_packages() {
        let text = "[package]\nname = \"scrim-model\"";
        assert_eq!(found("crates/model/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn dependencies_say_why() {
        let text =
            "[workspace.dependencies]\nours = { path = \"x\" }\nserde = \"1\" # data\nrand = \"1\"";
        let found = found("Cargo.toml", text);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
