//! Columns that tell who somebody is, shown to other organisations than the table's owner.

use super::masks::{joined, place};
use super::{Findings, Lint, Severity, Subject, listed};
use crate::compile::{below, collect_fields};
use crate::odcs::Property;
use crate::{Showing, Treatment};

const DIRECT: &str = "direct-identifier";
const QUASI: &str = "quasi-identifier";
/// The classification of what is personal, and may tell who it is about.
const PERSONAL: &str = "pii";

pub(super) static PARTLY_SHOWN: Lint = Lint {
    id: "SCRIM-L036",
    name: "identifier-partly-shown",
    severity: Severity::Warning,
    finds: "`partial`, `prefix` or `regex_replace` of a column tagged `direct-identifier`: parts of \
            such numbers have a meaning of their own",
    way_out: "hide the column, or show a token of it (`pseudonymize`)",
    lasting: true,
};

pub(super) static AS_TOKEN: Lint = Lint {
    id: "SCRIM-L037",
    name: "identifier-as-token",
    severity: Severity::Note,
    finds: "`pseudonymize` of a column tagged `direct-identifier`: the token stays the same, so it \
            ties together all that is known of one person",
    way_out: "hide the column, unless somebody must join by it",
    lasting: true,
};

pub(super) static CLEAR: Lint = Lint {
    id: "SCRIM-L040",
    name: "identifier-clear",
    severity: Severity::Warning,
    finds: "a column tagged `direct-identifier` that another organisation than the owner's sees clear",
    way_out: "mask or hide it; the owner's organisation is the contract's `tenant`",
    lasting: true,
};

pub(super) static QUASI_CLEAR: Lint = Lint {
    id: "SCRIM-L041",
    name: "quasi-identifier-clear",
    severity: Severity::Warning,
    finds: "a column tagged `quasi-identifier`, or classified `pii`, that another organisation than \
            the owner's sees clear",
    way_out: "coarsen it by a mask; the owner's organisation is the contract's `tenant`",
    lasting: true,
};

pub(super) fn look(subject: &Subject<'_>, found: &mut Findings) {
    let profiles = subject.governed.profiles.iter();
    for (written, profile) in subject.access.profiles.iter().zip(profiles) {
        let recipients = subject.recipients(&written.name);
        if recipients.is_empty() {
            continue;
        }
        let properties = subject.contract.properties.iter();
        for (column, property) in profile.columns.iter().zip(properties) {
            for (path, part) in parts(property) {
                let Some(kind) = Kind::of(part) else { continue };
                let showing = effective(&column.treatment, &path);
                let Some((lint, how)) = judge(&kind, showing) else {
                    continue;
                };
                let message = format!(
                    "`{}` is {kind} and {how} to {}",
                    joined(&property.name, &path),
                    listed(recipients.iter().copied())
                );
                let location = place(written, column, &property.name, &path);
                found.push(lint, location, message);
            }
        }
    }
}

/// How a column tells who somebody is.
enum Kind {
    Direct,
    Quasi,
    Personal,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct => write!(f, "tagged `{DIRECT}`"),
            Self::Quasi => write!(f, "tagged `{QUASI}`"),
            Self::Personal => write!(f, "classified `{PERSONAL}`"),
        }
    }
}

impl Kind {
    fn of(property: &Property) -> Option<Self> {
        let tagged = |tag: &str| property.tags.iter().any(|one| one == tag);
        let classification = property.classification.as_deref();
        if tagged(DIRECT) {
            Some(Self::Direct)
        } else if tagged(QUASI) {
            Some(Self::Quasi)
        } else {
            let personal = classification.is_some_and(|word| word.eq_ignore_ascii_case(PERSONAL));
            personal.then_some(Self::Personal)
        }
    }
}

fn judge(kind: &Kind, showing: &Showing) -> Option<(&'static Lint, &'static str)> {
    match (kind, showing) {
        (Kind::Direct, Showing::Clear) => Some((&CLEAR, "shown clear")),
        (Kind::Quasi | Kind::Personal, Showing::Clear) => Some((&QUASI_CLEAR, "shown clear")),
        (Kind::Direct, Showing::Masked(mask)) if mask.shows_part() => {
            Some((&PARTLY_SHOWN, "shown in part"))
        }
        (Kind::Direct, Showing::Masked(mask)) if mask.name() == "pseudonymize" => {
            Some((&AS_TOKEN, "shown as a token"))
        }
        (Kind::Direct | Kind::Quasi | Kind::Personal, Showing::Masked(_) | Showing::Hidden) => None,
    }
}

/// A column and the fields inside it, by their paths below it.
fn parts(property: &Property) -> Vec<(String, &Property)> {
    let mut fields = Vec::new();
    collect_fields(property, &mut Vec::new(), &mut fields);
    let fields = fields
        .into_iter()
        .map(|(steps, field)| (below(&steps), field));
    std::iter::once((String::new(), property))
        .chain(fields)
        .collect()
}

/// How what stands at a path is shown: as the nearest path around it says.
fn effective<'a>(treatment: &'a Treatment, path: &str) -> &'a Showing {
    let around = treatment.nested.iter().filter(|(outer, _)| {
        path.strip_prefix(outer.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    let nearest = around.max_by_key(|(outer, _)| outer.len());
    nearest.map_or(&treatment.root, |(_, showing)| showing)
}
