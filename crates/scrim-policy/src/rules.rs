//! From a decision back to expressions.

use std::collections::BTreeMap;

use datafusion_expr::{Expr, lit};
use scrim_model::TableName;
use thiserror::Error;

use crate::language::fold;
use crate::language::scope::scalar;
use crate::set::{Governed, PolicySet, RowRule};
use crate::{Clause, Decision, Verdict};

/// The row filters of a decision, as expressions over the bare columns of its table.
///
/// A look-up in them is an `IN` subquery over a [`LookupTableSource`](crate::LookupTableSource).
#[derive(Debug, Clone, PartialEq)]
pub struct RowRules {
    /// All of these hold for every row that is shown; guards that hold for every row are left out.
    pub guards: Vec<Expr>,
    /// Which rows each arm admits, in the order of the decision's arms; `None` is all.
    pub arms: Vec<Option<Expr>>,
}

/// Why a decision could not be lowered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The decision was made by another policy set.
    #[error("the decision was made by policy set {decision}, not by {set}")]
    OtherPolicySet {
        /// The decision's.
        decision: String,
        /// This one's.
        set: String,
    },
    /// The decision does not show its table.
    #[error("the decision does not show {0}")]
    NotShown(TableName),
    /// The row filter of a decision point outside is none.
    #[error("a row filter from outside: {0}")]
    Narrowing(String),
    /// The decision names something that the policy set does not hold.
    #[error("the policy set holds no {0}")]
    Unknown(String),
}

pub(crate) fn lower(set: &PolicySet, decision: &Decision) -> Result<RowRules, RuleError> {
    if decision.policy_version != set.version {
        return Err(RuleError::OtherPolicySet {
            decision: decision.policy_version.to_string(),
            set: set.version.to_string(),
        });
    }
    if decision.verdict != Verdict::Shown || decision.arms.is_empty() {
        return Err(RuleError::NotShown(decision.table.clone()));
    }
    let governed = set
        .governed(&decision.table)
        .ok_or_else(|| RuleError::Unknown(format!("table {}", decision.table)))?;
    // The set's guards lead, so that a decision from which one went missing cannot be lowered.
    if governed.guards.len() != decision.guards.len() {
        return Err(RuleError::Unknown(format!(
            "such guards of {}",
            decision.table
        )));
    }
    let mut guards = Vec::new();
    for (guard, clause) in governed.guards.iter().zip(&decision.guards) {
        let rule = matching(guard.rows.as_deref(), clause.rows.as_ref())?;
        if guard.id != clause.id {
            return Err(RuleError::Unknown(format!("guard {}", clause.id)));
        }
        guards.extend(rule.and_then(|(rule, clause)| bind(set, governed, rule, clause)));
    }
    if let Some(text) = decision.narrowing_rows() {
        let filter = set.narrowing_filter(governed, text);
        guards.extend(filter.map_err(RuleError::Narrowing)?);
    }
    let arms: Result<Vec<_>, RuleError> = decision
        .arms
        .iter()
        .map(|arm| {
            let agreements = &governed.agreements;
            let found = agreements.binary_search_by(|one| one.id.as_str().cmp(&arm.agreement));
            let agreement = found.ok().and_then(|index| agreements.get(index));
            let agreement = agreement
                .ok_or_else(|| RuleError::Unknown(format!("agreement {}", arm.agreement)))?;
            let rule = matching(agreement.rows.as_deref(), arm.rows.as_ref())?;
            Ok(rule.and_then(|(rule, clause)| bind(set, governed, rule, clause)))
        })
        .collect();
    Ok(RowRules {
        guards,
        arms: arms?,
    })
}

/// Pairs a rule with its clause: both are there or neither is.
fn matching<'a>(
    rule: Option<&'a RowRule>,
    clause: Option<&'a Clause>,
) -> Result<Option<(&'a RowRule, &'a Clause)>, RuleError> {
    match (rule, clause) {
        (None, None) => Ok(None),
        (Some(rule), Some(clause)) if rule.id == clause.id => Ok(Some((rule, clause))),
        (rule, clause) => {
            let id = clause
                .map(|clause| &clause.id)
                .or(rule.map(|rule| &rule.id));
            Err(RuleError::Unknown(format!(
                "clause {}",
                id.map_or("", String::as_str)
            )))
        }
    }
}

/// The rule with its values, `None` when it holds for every row.
fn bind(set: &PolicySet, governed: &Governed, rule: &RowRule, clause: &Clause) -> Option<Expr> {
    let values: BTreeMap<_, _> = rule
        .members
        .iter()
        .map(|(name, kind)| (name.clone(), scalar(clause.bindings.get(name), *kind)))
        .collect();
    let bound = fold::bind(&rule.expr, &values, &governed.schema, &set.options);
    (bound != lit(true)).then_some(bound)
}
