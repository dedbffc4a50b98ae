//! `scrim policy lint`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path};

use chrono::{DateTime, NaiveDate, Utc};
use scrim_ledger::Filter;
use scrim_model::{Clock, SystemClock};
use scrim_policy::lint::{Circumstances, Finding, Lint, Severity, Uses};
use scrim_server::load::{self, Inputs};
use serde_json::{Value, json};

use super::policy;
use crate::cli::{Deny, PolicyLint};
use crate::local::Local;
use crate::out::Out;
use crate::outcome::Failure;
use crate::past::{damaged, ledger_file};

/// Days within which an agreement's end is told by `scrim policy check`.
const ENDING_DAYS: u32 = 30;

/// Looks for what owners hardly mean, and tells it.
pub(crate) async fn run(arguments: &PolicyLint, out: &mut Out) -> Result<(), Failure> {
    let local = policy::open(&arguments.policies, out).await?;
    let at = arguments.at.unwrap_or_else(|| SystemClock.now());
    let mut circumstances = circumstances(&local, at, arguments.within);
    if let Some(path) = &arguments.ledger {
        circumstances.uses = Some(uses(path)?);
    }
    let findings = found(&local, &circumstances)?;
    let policies = &local.config.policies;
    if arguments.json {
        out.line(pretty(&findings.iter().map(as_json).collect::<Value>())?)?;
    } else if arguments.sarif {
        out.line(pretty(&sarif(&findings))?)?;
    } else {
        tell(&findings, policies, out)?;
    }
    let denied = match arguments.deny {
        Deny::Error => Severity::Error,
        Deny::Warning => Severity::Warning,
        Deny::Note => Severity::Note,
    };
    if open(&findings).any(|finding| finding.lint.severity >= denied) {
        return Err(Failure::Reported);
    }
    Ok(())
}

/// What is worth a warning beside those of loading, for `scrim policy check`.
pub(super) fn beside_warnings(local: &Local) -> Result<Vec<Finding>, Failure> {
    let circumstances = circumstances(local, SystemClock.now(), ENDING_DAYS);
    let mut findings = found(local, &circumstances)?;
    findings.retain(|finding| {
        let mut told = local.warnings.iter();
        finding.allowed.is_none()
            && finding.lint.severity >= Severity::Warning
            && !told.any(|warning| *warning.location() == finding.location)
    });
    Ok(findings)
}

fn circumstances(local: &Local, at: DateTime<Utc>, ending_days: u32) -> Circumstances {
    let lookups = local.config.lookups.iter();
    let ages = lookups.filter_map(|(name, lookup)| Some((name.clone(), lookup.refresh?)));
    Circumstances {
        today: at.date_naive(),
        ending_days,
        lookup_ages: ages.collect(),
        uses: None,
    }
}

fn found(local: &Local, circumstances: &Circumstances) -> Result<Vec<Finding>, Failure> {
    let documents = load::documents(&Inputs::new(&local.config)?)?;
    if documents.version() != local.policy.version() {
        let message = "the policies changed while they were read; run it again";
        return Err(Failure::Failed(message.to_owned()));
    }
    Ok(local.policy.lint(&documents, circumstances))
}

/// Under which agreements anything was asked, refused or not.
fn uses(path: &Path) -> Result<Uses, Failure> {
    let path = ledger_file(path)?;
    let damaged = damaged(&path);
    let mut since = NaiveDate::MAX;
    let mut agreements = BTreeSet::new();
    for record in scrim_ledger::read(&path, Filter::default()).map_err(&damaged)? {
        let record = record.map_err(&damaged)?;
        since = since.min(record.at.date_naive());
        agreements.extend(record.agreements);
    }
    Ok(Uses { since, agreements })
}

fn open(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.allowed.is_none())
}

fn tell(findings: &[Finding], policies: &Path, out: &mut Out) -> Result<(), Failure> {
    for finding in open(findings) {
        out.line(finding)?;
        out.line(format_args!("    {}", finding.lint.way_out))?;
    }
    let count = |severity: Severity| {
        let count = open(findings)
            .filter(|finding| finding.lint.severity == severity)
            .count();
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {severity}{plural}"))
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note];
    let counts: Vec<String> = counts.into_iter().filter_map(count).collect();
    let said = match counts.as_slice() {
        [] => "nothing found".to_owned(),
        counts => counts.join(", "),
    };
    let silenced = match findings.len() - open(findings).count() {
        0 => String::new(),
        silenced => format!("; {silenced} silenced"),
    };
    Ok(out.line(format_args!("{}: {said}{silenced}", policies.display()))?)
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::failed(&error))
}

fn as_json(finding: &Finding) -> Value {
    let Lint {
        id,
        name,
        severity,
        finds,
        way_out,
        ..
    } = finding.lint;
    json!({
        "id": id,
        "name": name,
        "severity": severity.as_str(),
        "file": finding.location.file.as_ref(),
        "line": finding.location.line,
        "column": finding.location.column,
        "message": finding.message,
        "reason": finds,
        "way_out": way_out,
        "allowed": finding.allowed,
    })
}

/// The Static Analysis Results Interchange Format, version 2.1.0.
fn sarif(findings: &[Finding]) -> Value {
    let mut rules: Vec<&Lint> = findings.iter().map(|finding| finding.lint).collect();
    rules.sort_by_key(|lint| lint.id);
    rules.dedup();
    let rules = rules.into_iter().map(|lint| {
        json!({
            "id": lint.id,
            "name": lint.name,
            "shortDescription": {"text": lint.finds},
            "help": {"text": lint.way_out},
            "defaultConfiguration": {"level": lint.severity.as_str()},
        })
    });
    let results = findings.iter().map(result);
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "scrim policy lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Value>(),
            }},
            // Columns count characters.
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Value>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let location = &finding.location;
    let suppressed = finding.allowed.iter();
    let suppressions =
        suppressed.map(|reason| json!({"kind": "inSource", "justification": reason}));
    json!({
        "ruleId": finding.lint.id,
        "level": finding.lint.severity.as_str(),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(Path::new(location.file.as_ref()))},
            "region": {"startLine": location.line, "startColumn": location.column},
        }}],
        "suppressions": suppressions.collect::<Value>(),
    })
}

/// The address of a file: relative to the folder that the command runs in, or a `file:` one.
fn uri(path: &Path) -> String {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::RootDir => parts.push("file://".to_owned()),
            Component::Prefix(_) | Component::ParentDir | Component::Normal(_) => {
                parts.push(encoded(&component.as_os_str().to_string_lossy()));
            }
        }
    }
    parts.join("/")
}

/// A part of an address, with everything in percent that could mean something else there.
fn encoded(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            other => {
                // Writing to a string cannot fail.
                let written = write!(text, "%{other:02X}");
                debug_assert!(written.is_ok());
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::uri;

    #[test]
    fn addresses_of_files_hold_nothing_that_means_something_else() {
        for (path, address) in [
            (
                "./policies/./contracts/a.odcs.yaml",
                "policies/contracts/a.odcs.yaml",
            ),
            (
                "/srv/my policies/a#1.yaml",
                "file:///srv/my%20policies/a%231.yaml",
            ),
            ("../ä%.yaml", "../%C3%A4%25.yaml"),
        ] {
            assert_eq!(uri(Path::new(path)), address);
        }
    }
}
