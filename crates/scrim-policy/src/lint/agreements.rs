//! Agreements that give nothing, end, or are not used.

use chrono::TimeDelta;

use super::{Circumstances, Findings, Lint, Severity, Subject};
use crate::condition::Condition;
use crate::set::Agreement;
use crate::{AgreementDocument, AgreementStatus};

/// Days without a single use after which an agreement counts as not used.
const UNUSED_DAYS: i64 = 30;

pub(super) static NEVER_MATCHES: Lint = Lint {
    id: "SCRIM-L010",
    name: "agreement-never-matches",
    severity: Severity::Warning,
    finds: "an active agreement that no request can match: its version does not fit, or `who` or \
            `when` is never true",
    way_out: "correct it, or end it with `status: ended`",
    lasting: true,
};

pub(super) static OVER: Lint = Lint {
    id: "SCRIM-L011",
    name: "agreement-over",
    severity: Severity::Warning,
    finds: "an active agreement whose last day is past",
    way_out: "write `status: ended`, or give it a new `end`",
    lasting: false,
};

pub(super) static ENDS_SOON: Lint = Lint {
    id: "SCRIM-L020",
    name: "agreement-ends-soon",
    severity: Severity::Warning,
    finds: "an agreement that ends within the days of `--within`",
    way_out: "renew it by its `end`, or tell its consumer that it ends",
    lasting: false,
};

pub(super) static WITHOUT_END: Lint = Lint {
    id: "SCRIM-L021",
    name: "agreement-without-end",
    severity: Severity::Note,
    finds: "an active agreement without a last day",
    way_out: "give it an `end`, so that somebody looks at it again",
    lasting: true,
};

pub(super) static UNUSED: Lint = Lint {
    id: "SCRIM-L022",
    name: "agreement-unused",
    severity: Severity::Warning,
    finds: "an agreement in force for 30 days under which the ledger has no query (needs `--ledger`)",
    way_out: "ask its consumer whether it is needed, and end it if not",
    lasting: false,
};

pub(super) fn look(subject: &Subject<'_>, circumstances: &Circumstances, found: &mut Findings) {
    for (document, compiled) in &subject.agreements {
        if document.status != AgreementStatus::Active {
            continue;
        }
        let today = circumstances.today;
        if let Some(end) = document.end.filter(|end| *end < today) {
            let message = format!("`{}` is active and ended on {end}", document.id);
            found.push(&OVER, compiled.places.end.clone(), message);
            continue;
        }
        never_matches(document, compiled, subject, found);
        life(document, compiled, circumstances, found);
        unused(document, circumstances, found);
    }
}

fn never_matches(
    document: &AgreementDocument,
    compiled: &Agreement,
    subject: &Subject<'_>,
    found: &mut Findings,
) {
    let places = &compiled.places;
    let id = &document.id;
    if !compiled.version_fits {
        let message = format!(
            "`{id}` is for version {} of the contract, which has version {}",
            compiled.requirement, subject.contract.version
        );
        found.push(&NEVER_MATCHES, places.version.clone(), message);
    }
    let never = |condition: &Condition| matches!(condition, Condition::Known(false));
    if never(&compiled.who) {
        let message = format!("the `who` of `{id}` is never true");
        found.push(&NEVER_MATCHES, places.who.clone(), message);
    }
    if compiled.when.as_deref().is_some_and(never) {
        let message = format!("the `when` of `{id}` is never true");
        found.push(&NEVER_MATCHES, places.when.clone(), message);
    }
}

fn life(
    document: &AgreementDocument,
    compiled: &Agreement,
    circumstances: &Circumstances,
    found: &mut Findings,
) {
    let id = &document.id;
    let Some(end) = document.end else {
        let message = format!("`{id}` lasts for ever");
        return found.push(&WITHOUT_END, document.nodes.id.location(), message);
    };
    let left = end.signed_duration_since(circumstances.today);
    if left <= TimeDelta::days(circumstances.ending_days.into()) {
        let when = match left.num_days() {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            days => format!("in {days} days"),
        };
        let message = format!("`{id}` ends {when}, on {end}");
        found.push(&ENDS_SOON, compiled.places.end.clone(), message);
    }
}

fn unused(document: &AgreementDocument, circumstances: &Circumstances, found: &mut Findings) {
    let Some(uses) = &circumstances.uses else {
        return;
    };
    // Neither a new agreement nor a new ledger says anything yet.
    let since = document
        .start
        .map_or(uses.since, |start| start.max(uses.since));
    let days = circumstances.today.signed_duration_since(since).num_days();
    if days >= UNUSED_DAYS && !uses.agreements.contains(&document.id) {
        let message = format!(
            "nobody has asked anything under `{}` since {since}",
            document.id
        );
        found.push(&UNUSED, document.nodes.id.location(), message);
    }
}
