//! The decision itself: from its grounds to what is shown.
//!
//! Pure and total. Deny is where every path starts; only a matching agreement leads out of it.

use std::sync::Arc;

use chrono::SecondsFormat;
use scrim_document::Location;
use scrim_model::{Limits, Release};

use crate::digest;
use crate::grounds::Grounds;
use crate::language::scope::scalar;
use crate::set::{Agreement, CompiledGuard, Governed, Profile, RowRule};
use crate::{
    AgreementStatus, Arm, Clause, ColumnDecision, Decision, GuardClause, Unmatched, Verdict,
};

/// An agreement that matches, with its profile.
type Match<'a> = (&'a Agreement, &'a Profile);

pub(crate) fn decide(grounds: &Grounds<'_>) -> Decision {
    let mut decision = Decision {
        table: grounds.table.clone(),
        policy_version: Arc::clone(&grounds.set.version),
        contract: None,
        verdict: Verdict::NoAgreement,
        purpose: None,
        arms: Vec::new(),
        guards: Vec::new(),
        columns: Vec::new(),
        unmatched: Vec::new(),
        limits: Limits::default(),
        narrowing: None,
        hash: String::new(),
    };
    let mut treatments = Vec::new();
    let governed = grounds.governed;
    if let Some(governed) = governed {
        decision.contract = Some(governed.table.contract.clone());
        fill(&mut decision, governed, grounds, &mut treatments);
    }
    let schema = governed.map_or("", |governed| governed.schema_digest.as_str());
    decision.hash = digest::of_decision(&decision, schema, treatments.into_iter());
    decision
}

fn fill(
    decision: &mut Decision,
    governed: &Governed,
    grounds: &Grounds<'_>,
    treatments: &mut Vec<[u8; 32]>,
) {
    let matches = matching(decision, governed, grounds);
    let Some((first, _)) = matches.first() else {
        return;
    };
    let shared = matches
        .iter()
        .all(|(agreement, _)| agreement.purpose == first.purpose);
    decision.arms = matches
        .iter()
        .map(|matched| arm(matched, grounds))
        .collect();
    if !shared {
        // Only without a stated purpose can agreements of different purposes match.
        decision.verdict = Verdict::PurposeRequired;
        return;
    }
    decision.purpose = Some(first.purpose.clone());
    if let Some(guard) = governed
        .guards
        .iter()
        .find(|guard| !is_open(guard, grounds))
    {
        let (guard, location) = (guard.id.clone(), guard.location.clone());
        decision.verdict = Verdict::Closed { guard, location };
        return;
    }
    decision.verdict = Verdict::Shown;
    decision.guards = governed
        .guards
        .iter()
        .map(|guard| guard_clause(guard, grounds))
        .collect();
    decision.columns = columns(governed, &matches, treatments);
    decision.limits = matches
        .iter()
        .map(|(_, profile)| profile.limits)
        .reduce(Limits::most_generous)
        .unwrap_or_default();
}

/// The agreements that match, sorted by id; the others go into the decision with their reasons.
fn matching<'a>(
    decision: &mut Decision,
    governed: &'a Governed,
    grounds: &Grounds<'_>,
) -> Vec<Match<'a>> {
    let mut matches = Vec::new();
    for agreement in governed.agreements_of(grounds.organisation) {
        let Some(profile) = governed.profiles.get(agreement.profile) else {
            continue;
        };
        match mismatch(agreement, decision, grounds) {
            None => matches.push((agreement, profile)),
            Some((location, reason)) => decision.unmatched.push(Unmatched {
                agreement: agreement.id.clone(),
                location: location.clone(),
                reason,
            }),
        }
    }
    matches
}

/// Why an agreement does not match, and the line that says so.
fn mismatch<'a>(
    agreement: &'a Agreement,
    decision: &Decision,
    grounds: &Grounds<'_>,
) -> Option<(&'a Location, String)> {
    let places = &agreement.places;
    if let Some(at) = grounds.revoked(&agreement.id) {
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        return Some((&places.agreement, format!("it was revoked at {at}")));
    }
    if agreement.status != AgreementStatus::Active {
        return Some((
            &places.status,
            format!("it is {}", agreement.status.as_str()),
        ));
    }
    let today = grounds.today;
    if let Some(start) = agreement.start.filter(|start| today < *start) {
        return Some((&places.start, format!("it starts on {start}")));
    }
    if let Some(end) = agreement.end.filter(|end| today > *end) {
        return Some((&places.end, format!("it ended on {end}")));
    }
    if !agreement.version_fits {
        let version = decision
            .contract
            .as_ref()
            .map_or("", |contract| contract.version.as_str());
        let wanted = &agreement.requirement;
        return Some((
            &places.version,
            format!("it is for version {wanted} of the contract, which has version {version}"),
        ));
    }
    if let Some(narrowed) = narrowed(agreement, grounds) {
        return Some(narrowed);
    }
    if !agreement.who.holds(grounds) {
        return Some((
            &places.who,
            "`who` is not true for this principal".to_owned(),
        ));
    }
    if agreement
        .when
        .as_ref()
        .is_some_and(|when| !when.holds(grounds))
    {
        return Some((
            &places.when,
            "`when` is not true for this request".to_owned(),
        ));
    }
    None
}

/// What the session's settings leave out.
fn narrowed<'a>(agreement: &'a Agreement, grounds: &Grounds<'_>) -> Option<(&'a Location, String)> {
    let places = &agreement.places;
    let settings = grounds.settings;
    if let Some(only) = settings
        .agreement
        .as_ref()
        .filter(|only| **only != agreement.id)
    {
        return Some((
            &places.agreement,
            format!("the session acts under `{only}` only"),
        ));
    }
    match settings.release {
        None | Some(Release::Rows) => {}
        Some(Release::Aggregates | Release::Private) => {
            let reason = "it releases rows, and the session asks for another release";
            return Some((&places.agreement, reason.to_owned()));
        }
    }
    let stated = settings
        .purpose
        .as_ref()
        .filter(|stated| **stated != agreement.purpose)?;
    let serves = &agreement.purpose;
    Some((
        &places.purpose,
        format!("it serves `{serves}`, and the session states `{stated}`"),
    ))
}

fn is_open(guard: &CompiledGuard, grounds: &Grounds<'_>) -> bool {
    guard.when.as_ref().is_none_or(|when| when.holds(grounds))
}

fn arm((agreement, profile): &Match<'_>, grounds: &Grounds<'_>) -> Arm {
    Arm {
        agreement: agreement.id.clone(),
        agreement_location: agreement.places.agreement.clone(),
        profile: profile.name.clone(),
        profile_location: profile.location.clone(),
        recipient: agreement.organisation.clone(),
        purpose: agreement.purpose.clone(),
        until: agreement.end,
        rows: agreement
            .rows
            .as_deref()
            .map(|rule| clause(rule, Some(agreement), grounds)),
    }
}

fn guard_clause(guard: &CompiledGuard, grounds: &Grounds<'_>) -> GuardClause {
    GuardClause {
        id: guard.id.clone(),
        location: guard.location.clone(),
        rows: guard
            .rows
            .as_deref()
            .map(|rule| clause(rule, None, grounds)),
    }
}

fn clause(rule: &RowRule, agreement: Option<&Agreement>, grounds: &Grounds<'_>) -> Clause {
    let value = |name: &String| {
        let of_agreement = agreement.and_then(|agreement| agreement.members.get(name));
        of_agreement.or_else(|| grounds.bound_value(name))
    };
    let known = rule.members.iter().filter_map(|(name, kind)| {
        // A value of another type than was declared is as good as none.
        let value = value(name).filter(|value| !scalar(Some(value), *kind).is_null())?;
        Some((name.clone(), value.clone()))
    });
    Clause {
        id: rule.id.clone(),
        text: rule.text.to_string(),
        location: rule.location.clone(),
        bindings: known.collect(),
    }
}

/// The columns of which any arm shows anything.
fn columns(
    governed: &Governed,
    matches: &[Match<'_>],
    treatments: &mut Vec<[u8; 32]>,
) -> Vec<ColumnDecision> {
    let mut columns = Vec::with_capacity(governed.table.columns.len());
    for (index, column) in governed.table.columns.iter().enumerate() {
        let of_arms: Vec<_> = matches
            .iter()
            .filter_map(|(_, profile)| profile.columns.get(index))
            .collect();
        if of_arms.len() < matches.len() || !of_arms.iter().any(|column| column.visible) {
            continue;
        }
        treatments.extend(of_arms.iter().map(|column| column.digest));
        columns.push(ColumnDecision {
            name: column.name.clone(),
            treatments: of_arms
                .iter()
                .map(|column| column.treatment.clone())
                .collect(),
            location: of_arms
                .iter()
                .map(|column| column.location.clone())
                .collect(),
        });
    }
    columns
}
