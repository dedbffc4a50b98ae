//! Profiles, guards and row rules that decide nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use scrim_document::Location;

use super::{Circumstances, Findings, Lint, Severity, Subject};
use crate::access::{ExprText, NamedTreatment, Profile};
use crate::condition::Condition;
use crate::odcs::Property;
use crate::set::RowRule;

/// How long a right that was taken out of a look-up table may still count.
const LOOKUP_AGE_MAX: Duration = Duration::from_hours(1);

pub(super) static PROFILE_UNUSED: Lint = Lint {
    id: "SCRIM-L012",
    name: "profile-unused",
    severity: Severity::Note,
    finds: "a profile that no agreement grants",
    way_out: "remove it, or grant it",
    lasting: true,
};

pub(super) static TAG_SHADOWED: Lint = Lint {
    id: "SCRIM-L013",
    name: "tag-shadowed",
    severity: Severity::Note,
    finds: "a rule by tag that decides about no column, since each with that tag is named or has a \
            tag that is less open",
    way_out: "remove the rule, or take the names out of `columns`",
    lasting: true,
};

pub(super) static GUARD_CONSTANT: Lint = Lint {
    id: "SCRIM-L014",
    name: "guard-constant",
    severity: Severity::Warning,
    finds: "a guard whose `when` is true of every request, or of none",
    way_out: "remove the guard, or have it ask something",
    lasting: true,
};

pub(super) static ROWS_CONSTANT: Lint = Lint {
    id: "SCRIM-L015",
    name: "rows-constant",
    severity: Severity::Warning,
    finds: "a row rule that is true of every row, or of none",
    way_out: "remove `rows` to show all rows; remove the profile to show none",
    lasting: true,
};

pub(super) static LOOKUP_OLD: Lint = Lint {
    id: "SCRIM-L060",
    name: "lookup-old",
    severity: Severity::Warning,
    finds: "a row rule that asks a look-up table which may be more than an hour old",
    way_out: "lower the `refresh` of the look-up table in scrim.yaml",
    lasting: false,
};

pub(super) fn look(subject: &Subject<'_>, circumstances: &Circumstances, found: &mut Findings) {
    guards(subject, found);
    row_rules(subject, found);
    lookups(subject, circumstances, found);
    for profile in &subject.access.profiles {
        if subject.living().all(|(one, _)| one.profile != profile.name) {
            let message = format!("no agreement grants the profile `{}`", profile.name);
            found.push(&PROFILE_UNUSED, profile.node.location(), message);
        }
        for rule in &profile.tagged {
            if !decides(rule, profile, &subject.contract.properties) {
                let message = format!(
                    "`{}` decides about no column in the profile `{}`",
                    rule.name, profile.name
                );
                found.push(&TAG_SHADOWED, rule.key.location(), message);
            }
        }
    }
}

fn guards(subject: &Subject<'_>, found: &mut Findings) {
    let compiled = subject.governed.guards.iter();
    for (written, guard) in subject.access.guards.iter().zip(compiled) {
        let (Some(text), Some(condition)) = (&written.when, guard.when.as_deref()) else {
            continue;
        };
        let Condition::Known(value) = condition else {
            continue;
        };
        let effect = if *value {
            "lets every request through"
        } else {
            "closes the table to everybody"
        };
        let message = format!("the guard `{}` {effect}", written.id);
        found.push(&GUARD_CONSTANT, text.location(), message);
    }
}

fn row_rules(subject: &Subject<'_>, found: &mut Findings) {
    let of_guards = subject
        .governed
        .guards
        .iter()
        .filter_map(|g| g.rows.as_deref());
    let of_agreements = subject.agreements.iter();
    let of_profiles = of_agreements.filter_map(|(_, compiled)| compiled.rows.as_deref());
    // Agreements share the rule of their profile.
    let mut seen = BTreeSet::<&Location>::new();
    for rule in of_guards.chain(of_profiles) {
        let Some(value) = constant(rule).filter(|_| seen.insert(&rule.location)) else {
            continue;
        };
        let which = if value { "every row" } else { "no row" };
        found.push(
            &ROWS_CONSTANT,
            rule.location.clone(),
            format!("this admits {which}"),
        );
    }
}

/// What a rule is of every row, when it is the same of all.
fn constant(rule: &RowRule) -> Option<bool> {
    match &rule.expr {
        Expr::Literal(ScalarValue::Boolean(value), _) => Some(value.unwrap_or(false)),
        Expr::Literal(value, _) if value.is_null() => Some(false),
        _ => None,
    }
}

fn lookups(subject: &Subject<'_>, circumstances: &Circumstances, found: &mut Findings) {
    let guards = subject.access.guards.iter().filter_map(|g| g.rows.as_ref());
    let profiles = subject
        .access
        .profiles
        .iter()
        .filter_map(|p| p.rows.as_ref());
    let rules: Vec<&ExprText> = guards.chain(profiles).collect();
    for (name, age) in &circumstances.lookup_ages {
        if *age <= LOOKUP_AGE_MAX {
            continue;
        }
        for rule in rules.iter().filter(|rule| asks(&rule.text, name)) {
            let message = format!(
                "what is taken out of lookup.{name} counts here for up to {} minutes more",
                age.as_secs() / 60
            );
            found.push(&LOOKUP_OLD, rule.location(), message);
        }
    }
}

/// Whether a rule names a look-up table.
fn asks(rule: &str, lookup: &str) -> bool {
    let rule = rule.to_lowercase().replace('"', "");
    let name = format!("lookup.{}", lookup.to_lowercase());
    rule.match_indices(&name).any(|(at, _)| {
        let after = rule
            .get(at + name.len()..)
            .and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Whether a rule by tag decides about any column, or may about a field inside one.
fn decides(rule: &NamedTreatment, profile: &Profile, properties: &[Property]) -> bool {
    properties.iter().any(|property| {
        let named = profile
            .columns
            .iter()
            .any(|said| said.name == property.name);
        let itself = !named && property.tags.contains(&rule.name) && wins(rule, profile, property);
        // What surrounds a field and what names it is too much to follow for a note.
        itself || inside(property).any(|field| field.tags.contains(&rule.name))
    })
}

/// Whether no other tag of the property is less open, or as open and before it.
fn wins(rule: &NamedTreatment, profile: &Profile, property: &Property) -> bool {
    let rivals = profile.tagged.iter();
    let mut rivals = rivals.filter(|said| property.tags.contains(&said.name));
    let least = rivals.clone().map(|said| said.showing.openness()).min();
    let first = rivals.find(|said| Some(said.showing.openness()) == least);
    first.is_some_and(|said| said.name == rule.name)
}

/// The fields inside a property, at any depth.
fn inside(property: &Property) -> impl Iterator<Item = &Property> {
    let mut waiting: Vec<&Property> = vec![property];
    let mut fields = Vec::new();
    while let Some(one) = waiting.pop() {
        let below = one.properties.iter().chain(one.items.as_deref());
        for field in below {
            fields.push(field);
            waiting.push(field);
        }
    }
    fields.into_iter()
}
