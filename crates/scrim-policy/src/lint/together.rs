//! What several agreements of one consumer give together.

use std::collections::BTreeSet;

use super::{Findings, Lint, Severity, Subject, listed};
use crate::compile::mask_conflicts;
use crate::set::{Agreement, Profile};
use crate::{AgreementStatus, Showing};

pub(super) static MASK_CONFLICT: Lint = Lint {
    id: "SCRIM-L001",
    name: "mask-conflict",
    severity: Severity::Warning,
    finds: "two agreements of one consumer for one purpose that show a column through different \
            masks: the agreement whose id sorts first decides",
    way_out: "give the column the same mask in both profiles, or make the row rules exclude each other",
    lasting: true,
};

pub(super) static MASK_UNDONE: Lint = Lint {
    id: "SCRIM-L050",
    name: "mask-undone",
    severity: Severity::Warning,
    finds: "a column that one agreement masks and another of the same organisation, for another \
            purpose, shows clear, with the key of the rows clear in both: two answers put together \
            undo the mask",
    way_out: "show the key as a token (`pseudonymize` with a `domain` of its own) in one of the profiles",
    lasting: true,
};

pub(super) static THRESHOLDS_COMBINED: Lint = Lint {
    id: "SCRIM-L051",
    name: "thresholds-combined",
    severity: Severity::Warning,
    finds: "a column that two agreements of one organisation, for different purposes, show by \
            different steps or limits (`truncate_date`, `round`, `bucket`, `top_code`, \
            `bottom_code`), with the key of the rows clear in both: the difference of two answers \
            tells more than is meant",
    way_out: "give the column the same mask in both profiles, or show the key as a token \
              (`pseudonymize` with a `domain` of its own) in one of them",
    lasting: true,
};

/// The masks that show a value by a step or a limit.
const THRESHOLDS: [&str; 5] = [
    "truncate_date",
    "round",
    "bucket",
    "top_code",
    "bottom_code",
];

pub(super) fn look(subject: &Subject<'_>, found: &mut Findings) {
    let governed = subject.governed;
    for conflict in mask_conflicts(&governed.table, &governed.profiles, &governed.agreements) {
        let mut written = subject.agreements.iter();
        if let Some((second, _)) = written.find(|(one, _)| one.id == conflict.second.id) {
            let location = second.nodes.profile.location();
            found.push(&MASK_CONFLICT, location, conflict.to_string());
        }
    }
    undone(subject, found);
}

fn undone(subject: &Subject<'_>, found: &mut Findings) {
    let governed = subject.governed;
    let active: Vec<&Agreement> = governed
        .agreements
        .iter()
        .filter(|one| one.status == AgreementStatus::Active)
        .collect();
    let mut known = BTreeSet::new();
    for strict in &active {
        for open in governed.agreements_of(&strict.organisation) {
            let apart = open.status == AgreementStatus::Active
                && open.purpose != strict.purpose
                && open.profile != strict.profile;
            if !apart || !known.insert((&strict.organisation, strict.profile, open.profile)) {
                continue;
            }
            let profiles = &governed.profiles;
            let pair = (profiles.get(strict.profile), profiles.get(open.profile));
            if let (Some(masks), Some(shows)) = pair {
                put_together(subject, (strict, masks), (open, shows), found);
            }
        }
    }
}

fn put_together(
    subject: &Subject<'_>,
    (strict, masks): (&Agreement, &Profile),
    (open, shows): (&Agreement, &Profile),
    found: &mut Findings,
) {
    let table = &subject.governed.table;
    let is_clear = |profile: &Profile, name: &str| {
        let index = table.columns.iter().position(|column| column.name == name);
        let column = index.and_then(|index| profile.columns.get(index));
        column.is_some_and(|column| column.treatment.is_clear())
    };
    let key = &table.primary_key;
    let joins = key
        .iter()
        .all(|name| is_clear(masks, name) && is_clear(shows, name));
    if key.is_empty() || !joins {
        return;
    }
    for (index, column) in table.columns.iter().enumerate() {
        let (Some(masked), Some(other)) = (masks.columns.get(index), shows.columns.get(index))
        else {
            continue;
        };
        let Showing::Masked(mask) = &masked.treatment.root else {
            continue;
        };
        let (lint, how) = match &other.treatment.root {
            Showing::Clear => (&MASK_UNDONE, "shows it clear"),
            Showing::Masked(finer) => {
                let both = [mask, finer].map(|one| THRESHOLDS.contains(&one.name()));
                let more = match finer.tells(mask, table.schema.field(index).data_type()) {
                    Some(order) => order.is_gt(),
                    // Of two that tell different things it is said once.
                    None => strict.id < open.id,
                };
                if both != [true, true] || !more {
                    continue;
                }
                (&THRESHOLDS_COMBINED, "masks it by other steps or limits")
            }
            Showing::Hidden => continue,
        };
        let message = format!(
            "`{}` masks `{}`, `{}` {how}, and both show the key {}",
            strict.id,
            column.name,
            open.id,
            listed(key.iter().map(String::as_str))
        );
        found.push(lint, masked.location.clone(), message);
    }
}
