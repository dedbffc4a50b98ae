//! Rows that one policy set gives and another does not, as a policy set: what logic cannot tell is
//! counted, and counting goes the way of every query.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_expr::{Expr, lit};
use scrim_model::{Context, Limits, Principal, SessionSettings, TableName};

use super::is_replaced;
use crate::condition::Condition;
use crate::facts::Facts;
use crate::language::{fold, scope};
use crate::set::{Agreement, Governed, Places, Profile, ProfileColumn, RowRule};
use crate::{AgreementStatus, PolicySet, Showing, Treatment};

/// The purpose of the agreement of which such a policy set consists.
const PURPOSE: &str = "count";

/// A policy set that shows the principal's organisation, of a table, just the rows that an agreement
/// gives the principal under `new` and not under `old`; `None` when they cannot be told apart by a
/// condition over the table.
///
/// It is for the owner who counts. Which columns the agreement shows does not matter to it.
pub fn rows_gained(
    (old, new): (&PolicySet, &PolicySet),
    table: &TableName,
    agreement: &str,
    (principal, context): (&Principal, &Context),
) -> Option<PolicySet> {
    let (was, is) = (old.governed(table)?, new.governed(table)?);
    let mut names = was.table.columns.iter().map(|column| &column.name);
    if names.any(|name| is_replaced(&was.table, &is.table, name)) {
        return None;
    }
    let settings = SessionSettings::default();
    let facts = Facts::at_once(principal, context, &settings);
    let before = rows(old, was, agreement, &facts)?;
    let after = rows(new, is, agreement, &facts)?;
    let gained = after.and(Expr::IsNotTrue(Box::new(before)));
    let given = is.agreements.iter().find(|one| one.id == agreement)?;
    let rule = RowRule {
        id: format!("{}/gained", is.table.contract.id),
        text: gained.to_string().into(),
        location: given.places.agreement.clone(),
        members: Vec::new(),
        expr: gained,
    };
    let governed = Governed::new(
        is.table.clone(),
        Arc::clone(&is.schema),
        Vec::new(),
        vec![everything(is)],
        vec![counting(given, rule)],
    );
    let agreements = [(agreement.to_owned(), given.organisation.clone())];
    Some(PolicySet::assemble(
        new.version(),
        vec![governed],
        agreements.into(),
        Vec::new(),
        Arc::clone(&new.options),
        Arc::clone(&new.functions),
    ))
}

/// The rows that an agreement gives, guards included.
fn rows(set: &PolicySet, governed: &Governed, agreement: &str, facts: &Facts<'_>) -> Option<Expr> {
    let given = governed.agreements.iter().find(|one| one.id == agreement)?;
    let guards = governed
        .guards
        .iter()
        .filter_map(|guard| guard.rows.as_deref());
    let rules = guards.chain(given.rows.as_deref());
    let bound = rules.map(|rule| {
        let members = rule.members.iter().map(|(name, kind)| {
            let value = given
                .members
                .get(name)
                .cloned()
                .or_else(|| facts.value(name));
            (name.clone(), scope::scalar(value.as_ref(), *kind))
        });
        let values: BTreeMap<_, _> = members.collect();
        fold::bind(&rule.expr, &values, &governed.schema, &set.options)
    });
    Some(bound.reduce(Expr::and).unwrap_or_else(|| lit(true)))
}

/// A profile that shows all.
fn everything(governed: &Governed) -> Profile {
    let location = &governed.table.contract.location;
    let columns = governed.table.columns.iter();
    Profile {
        name: PURPOSE.to_owned(),
        location: location.clone(),
        columns: columns
            .map(|_| ProfileColumn::new(Treatment::whole(Showing::Clear), location.clone()))
            .collect(),
        limits: Limits::default(),
    }
}

fn counting(given: &Agreement, rows: RowRule) -> Agreement {
    let at = || given.places.agreement.clone();
    Agreement {
        id: given.id.clone(),
        status: AgreementStatus::Active,
        organisation: given.organisation.clone(),
        purpose: PURPOSE.to_owned(),
        start: None,
        end: None,
        version_fits: true,
        requirement: given.requirement.clone(),
        profile: 0,
        who: Arc::new(Condition::Known(true)),
        who_text: "true".into(),
        when: None,
        when_text: None,
        rows: Some(Arc::new(rows)),
        members: BTreeMap::new(),
        places: Places {
            agreement: at(),
            status: at(),
            version: at(),
            purpose: at(),
            start: at(),
            end: at(),
            who: at(),
            when: at(),
        },
    }
}
