//! Comments that silence a lint at one place:
//!
//! ```yaml
//! # scrim: allow day-kept because bills name the day
//! admitted_at: {mask: truncate_date, unit: day}
//! ```
//!
//! It stands at the end of the line, or on a line of its own before it. A comment, since the
//! standard's tools take any, and since it is next to what it is about. One that names no lint, or
//! gives no reason, is an error; one that silences nothing is a warning.

use scrim_document::{Location, SourceFile, nearest};

use super::{Finding, LINTS, Lint, Severity};
use crate::{ContractDocument, Documents};

/// What a comment for us begins with.
const MARK: &str = "# scrim:";

pub(super) static WRONG: Lint = Lint {
    id: "SCRIM-L090",
    name: "allow-wrong",
    severity: Severity::Error,
    finds: "a comment `# scrim:` that names no lint or gives no reason",
    way_out: "write `# scrim: allow LINT because REASON`",
    lasting: true,
};

pub(super) static UNNEEDED: Lint = Lint {
    id: "SCRIM-L091",
    name: "allow-unneeded",
    severity: Severity::Warning,
    finds: "a comment `# scrim: allow` that silences nothing",
    way_out: "remove the comment",
    lasting: true,
};

/// One lint silenced at one place.
struct Allowed {
    lint: &'static Lint,
    reason: String,
    /// Where the comment stands.
    location: Location,
    /// The line that it is about.
    line: u32,
    /// Whether the value of that line begins on the next one.
    continues: bool,
    used: bool,
}

impl Allowed {
    fn is_about(&self, finding: &Finding) -> bool {
        let at = &finding.location;
        finding.lint == self.lint
            && at.file == self.location.file
            && (at.line == self.line || self.continues && at.line == self.line + 1)
    }
}

/// Marks what the comments of the documents silence, and adds what is wrong with the comments.
pub(super) fn apply(documents: &Documents, found: &mut Vec<Finding>) {
    let contracts = documents.contracts().flat_map(ContractDocument::files);
    let agreements = documents.agreements().map(|one| one.nodes.id.file());
    let mut allowed = Vec::new();
    for file in contracts.chain(agreements) {
        if file.text().contains(MARK) {
            read(file, &mut allowed, found);
        }
    }
    for finding in found.iter_mut() {
        for one in &mut allowed {
            if one.is_about(finding) {
                one.used = true;
                finding.allowed = Some(one.reason.clone());
            }
        }
    }
    // What depends on the day may be silenced before it comes up.
    for one in allowed.iter().filter(|one| !one.used && one.lint.lasting) {
        found.push(Finding {
            lint: &UNNEEDED,
            location: one.location.clone(),
            message: format!("`{}` finds nothing here", one.lint.name),
            allowed: None,
        });
    }
}

fn read(file: &SourceFile, allowed: &mut Vec<Allowed>, found: &mut Vec<Finding>) {
    let lines: Vec<&str> = file.text().lines().collect();
    for (number, line) in (1_u32..).zip(&lines) {
        let Some((before, comment)) = comment(line) else {
            continue;
        };
        let column = u32::try_from(before.chars().count()).unwrap_or(u32::MAX);
        let location = file.location(number, column.saturating_add(1));
        let (names, reason) = match directive(comment) {
            Ok(directive) => directive,
            Err(message) => {
                found.push(wrong(location, message.to_owned()));
                continue;
            }
        };
        let about = if before.trim().is_empty() {
            next_line(number, &lines)
        } else {
            number
        };
        let text = about
            .checked_sub(1)
            .and_then(|index| lines.get(index as usize));
        for name in names.split(',').map(str::trim) {
            match LINTS
                .iter()
                .find(|lint| lint.id == name || lint.name == name)
            {
                Some(lint) => allowed.push(Allowed {
                    lint,
                    reason: reason.to_owned(),
                    location: location.clone(),
                    line: about,
                    continues: text.is_some_and(|text| opens_block(text)),
                    used: false,
                }),
                None => found.push(wrong(location.clone(), unknown(name))),
            }
        }
    }
}

/// A line's part before a comment for us, and what the comment says.
fn comment(line: &str) -> Option<(&str, &str)> {
    let (before, comment) = line.split_once(MARK)?;
    let is_comment = before.chars().next_back().is_none_or(char::is_whitespace);
    is_comment.then_some((before, comment.trim()))
}

fn directive(comment: &str) -> Result<(&str, &str), &'static str> {
    let rest = comment
        .strip_prefix("allow")
        .filter(|rest| rest.starts_with(' '));
    let rest = rest.ok_or("only `allow` can be said to us in a comment")?;
    let (names, reason) = rest
        .split_once(" because")
        .ok_or("the comment gives no reason")?;
    if reason.trim().is_empty() {
        return Err("the comment gives no reason");
    }
    Ok((names.trim(), reason.trim()))
}

/// The next line that is no comment and not empty.
fn next_line(number: u32, lines: &[&str]) -> u32 {
    let after = (number + 1..).zip(lines.iter().skip(number as usize));
    let mut after = after.filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    after.next().map_or(number, |(line, _)| line)
}

/// Whether a text of several lines begins after this one: `rows: >-`.
fn opens_block(line: &str) -> bool {
    let last = line.split(" #").next().unwrap_or(line).trim_end();
    let last = last.trim_end_matches(['+', '-']);
    last.ends_with(['>', '|'])
}

fn unknown(name: &str) -> String {
    let names = LINTS.iter().map(|lint| lint.name);
    match nearest(name, names) {
        Some(near) => format!("there is no lint `{name}`; did you mean `{near}`?"),
        None => format!("there is no lint `{name}`"),
    }
}

fn wrong(location: Location, message: String) -> Finding {
    Finding {
        lint: &WRONG,
        location,
        message,
        allowed: None,
    }
}
