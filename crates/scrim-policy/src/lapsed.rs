//! Whether a decision still stands: asked again and again while a result is read.

use chrono::{DateTime, Utc};
use datafusion_expr::lit;
use scrim_model::{Context, Principal, SessionSettings};

use crate::facts::{CLOCKS, Facts};
use crate::grounds::Grounds;
use crate::{Arm, Clause, Decision, PolicySet, RuleError, Verdict};

impl PolicySet {
    /// Why a decision that was made at the start of a query does not stand any more, in an owner's
    /// words; `None` while the same is shown as it was then. Pure, like the decision itself.
    ///
    /// `context` is that of the start. Agreements, `who`, `when` and guards are judged `now`. Row
    /// filters keep the values of the start, because a query sees all of its rows at one time; only
    /// one that admits no row any more ends it, or one that admitted none and now does.
    pub fn lapsed(
        &self,
        before: &Decision,
        principal: &Principal,
        context: &Context,
        settings: &SessionSettings,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let start = Facts::at_once(principal, context, settings);
        let judged = Facts { now, ..start };
        let after = Grounds::new(self, &judged, &before.table).decide();
        if after.hash != before.hash {
            return Some(difference(before, &after));
        }
        if after.verdict != Verdict::Shown || !clauses(&after).any(asks_the_clock) {
            return None;
        }
        let bound = Facts {
            bound: now,
            ..judged
        };
        let late = Grounds::new(self, &bound, &before.table).decide();
        match (self.closed(&after), self.closed(&late)) {
            (Ok(before), Ok(after)) if before == after => None,
            (Ok(_), Ok(_)) => Some("by its time, a row filter admits other rows now".to_owned()),
            (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        }
    }

    /// Which row filters admit no row at all: any guard's, and each arm's.
    fn closed(&self, decision: &Decision) -> Result<(bool, Vec<bool>), RuleError> {
        let rules = self.rules(decision)?;
        let nothing = lit(false);
        let guards = rules.guards.contains(&nothing);
        let arms = rules.arms.iter();
        let arms = arms.map(|rule| rule.as_ref() == Some(&nothing)).collect();
        Ok((guards, arms))
    }
}

fn clauses(decision: &Decision) -> impl Iterator<Item = &Clause> {
    let guards = decision.guards.iter().filter_map(|one| one.rows.as_ref());
    let arms = decision.arms.iter().filter_map(|one| one.rows.as_ref());
    guards.chain(arms)
}

fn asks_the_clock(clause: &Clause) -> bool {
    CLOCKS
        .iter()
        .any(|name| clause.bindings.contains_key(*name))
}

/// What is not as it was.
fn difference(before: &Decision, after: &Decision) -> String {
    match &after.verdict {
        Verdict::Closed { guard, location } => {
            return format!("the guard `{guard}` closes the table ({location})");
        }
        Verdict::NoAgreement if after.contract.is_none() => {
            return format!("{} is not served any more", after.table);
        }
        Verdict::Shown | Verdict::NoAgreement | Verdict::PurposeRequired => {}
    }
    let lost = before.arms.iter().filter(|arm| !has(after, arm));
    let mut changes: Vec<String> = lost.map(|arm| lost_arm(arm, after)).collect();
    let gained = after.arms.iter().filter(|arm| !has(before, arm));
    changes.extend(gained.map(|arm| {
        let (id, location) = (&arm.agreement, &arm.agreement_location);
        format!("the agreement `{id}` matches now ({location})")
    }));
    if changes.is_empty() {
        changes.push(format!(
            "{} is shown otherwise: {}",
            after.table,
            otherwise(before, after)
        ));
    }
    changes.join("; ")
}

fn has(decision: &Decision, arm: &Arm) -> bool {
    let mut arms = decision.arms.iter();
    arms.any(|one| one.agreement == arm.agreement)
}

fn lost_arm(arm: &Arm, after: &Decision) -> String {
    let id = &arm.agreement;
    let mut unmatched = after.unmatched.iter();
    match unmatched.find(|one| one.agreement == *id) {
        Some(one) => {
            let (reason, location) = (&one.reason, &one.location);
            format!("the agreement `{id}` does not match any more: {reason} ({location})")
        }
        None => format!("the agreement `{id}` is not there any more"),
    }
}

/// The first part of a decision in which the same agreements show something else.
fn otherwise(before: &Decision, after: &Decision) -> &'static str {
    let profiles = |decision: &Decision| -> Vec<_> {
        let arms = decision.arms.iter();
        arms.map(|arm| (arm.profile.clone(), arm.purpose.clone()))
            .collect()
    };
    let rules = |decision: &Decision| -> Vec<_> {
        let guards = decision.guards.iter().map(|guard| guard.id.clone());
        let clauses =
            clauses(decision).map(|clause| format!("{} {:?}", clause.text, clause.bindings));
        guards.chain(clauses).collect()
    };
    let columns = |decision: &Decision| -> Vec<_> {
        let columns = decision.columns.iter();
        columns
            .map(|column| (column.name.clone(), column.treatments.clone()))
            .collect()
    };
    if profiles(before) != profiles(after) {
        "other profiles or purposes"
    } else if columns(before) != columns(after) {
        "other columns or masks"
    } else if rules(before) != rules(after) {
        "other rows"
    } else if before.limits != after.limits {
        "other limits"
    } else {
        "another contract or other types"
    }
}
