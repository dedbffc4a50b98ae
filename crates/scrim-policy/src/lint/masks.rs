//! Masks that hide less than they seem to.

use arrow::datatypes::DataType;
use scrim_anonymize::{Mask, Weakness, parse_steps, type_at};
use scrim_document::Location;

use super::{Findings, Lint, Severity, Subject};
use crate::Showing;
use crate::access::Profile;
use crate::set::ProfileColumn;

pub(super) static MOST_KEPT: Lint = Lint {
    id: "SCRIM-L030",
    name: "most-kept",
    severity: Severity::Warning,
    finds: "`partial` that may show more characters than it hides",
    way_out: "keep fewer characters, or raise `min_masked`",
    lasting: true,
};

pub(super) static DAY_KEPT: Lint = Lint {
    id: "SCRIM-L031",
    name: "day-kept",
    severity: Severity::Warning,
    finds: "`truncate_date` to the day: a day of birth or of a visit singles people out",
    way_out: "truncate to `month` or `year`",
    lasting: true,
};

pub(super) static ADDRESS_KEPT: Lint = Lint {
    id: "SCRIM-L032",
    name: "address-kept",
    severity: Severity::Warning,
    finds: "`email` that keeps more than three characters before the `@`, or any with the whole domain",
    way_out: "lower `keep_local`, or write `keep_domain: tld`",
    lasting: true,
};

pub(super) static SMALL_STEP: Lint = Lint {
    id: "SCRIM-L033",
    name: "small-step",
    severity: Severity::Warning,
    finds: "`round` or `bucket` of a whole or decimal number by one or less",
    way_out: "take a step in which many rows fall together",
    lasting: true,
};

pub(super) static UNMATCHED_KEPT: Lint = Lint {
    id: "SCRIM-L034",
    name: "unmatched-kept",
    severity: Severity::Warning,
    finds: "`regex_replace` with `on_no_match: keep`, which shows what nobody thought of",
    way_out: "leave `on_no_match` out: what does not match is redacted then",
    lasting: true,
};

pub(super) static MACHINE_KEPT: Lint = Lint {
    id: "SCRIM-L035",
    name: "machine-kept",
    severity: Severity::Warning,
    finds: "`ip_truncate` that keeps more than 28 bits of an IPv4 address, or 64 of an IPv6 address",
    way_out: "leave `v4` and `v6` out: 24 and 48 bits are kept then",
    lasting: true,
};

pub(super) fn look(subject: &Subject<'_>, found: &mut Findings) {
    let table = &subject.governed.table;
    let profiles = subject.governed.profiles.iter();
    for (written, profile) in subject.access.profiles.iter().zip(profiles) {
        if subject.is_the_owners(&written.name) {
            continue;
        }
        let fields = table.schema.fields().iter();
        for (column, field) in profile.columns.iter().zip(fields) {
            for (path, mask, location) in masked(written, column, field.name()) {
                let weakness = inner_type(field.name(), field.data_type(), &path)
                    .and_then(|data_type| mask.weakness(data_type));
                let Some(weakness) = weakness else {
                    continue;
                };
                let name = joined(field.name(), &path);
                let message = format!("`{name}` in the profile `{}`: {weakness}", written.name);
                found.push(lint_of(&weakness), location, message);
            }
        }
    }
}

fn lint_of(weakness: &Weakness) -> &'static Lint {
    match weakness {
        Weakness::KeepsMost { .. } => &MOST_KEPT,
        Weakness::KeepsDay => &DAY_KEPT,
        Weakness::KeepsAddress => &ADDRESS_KEPT,
        Weakness::SmallStep(_) => &SMALL_STEP,
        Weakness::KeepsUnmatched => &UNMATCHED_KEPT,
        Weakness::KeepsMachine => &MACHINE_KEPT,
    }
}

/// The masks of a column and of what is inside it, with the places that say so.
fn masked<'a>(
    written: &Profile,
    column: &'a ProfileColumn,
    name: &str,
) -> Vec<(String, &'a Mask, Location)> {
    let root = (String::new(), &column.treatment.root);
    let nested = column.treatment.nested.iter();
    let nested = nested.map(|(path, showing)| (path.clone(), showing));
    let masks = std::iter::once(root).chain(nested);
    masks
        .filter_map(|(path, showing)| match showing {
            Showing::Masked(mask) => {
                let location = place(written, column, name, &path);
                Some((path, mask, location))
            }
            Showing::Clear | Showing::Hidden => None,
        })
        .collect()
}

/// Where a profile says how a column, or a path below it, is shown.
pub(super) fn place(written: &Profile, column: &ProfileColumn, name: &str, path: &str) -> Location {
    let whole = joined(name, path);
    let named = written.columns.iter().find(|said| said.name == whole);
    match named {
        Some(said) if !path.is_empty() => said.node.location(),
        _ => column.location.clone(),
    }
}

/// A path as a profile names it: `contact.phone`, `tags[]`.
pub(super) fn joined(column: &str, path: &str) -> String {
    match path.chars().next() {
        None => column.to_owned(),
        Some('[') => format!("{column}{path}"),
        Some(_) => format!("{column}.{path}"),
    }
}

fn inner_type<'a>(column: &str, data_type: &'a DataType, path: &str) -> Option<&'a DataType> {
    if path.is_empty() {
        return Some(data_type);
    }
    let steps = parse_steps(path).ok()?;
    type_at(column, data_type, &steps).ok()
}
