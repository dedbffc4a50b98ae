//! What one agreement gives, against what it gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Fields;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Expr, lit};
use scrim_anonymize::PathStep;
use scrim_model::Value;

use super::days::Days;
use super::domain::{Key, Set};
use super::logic::{Formula, Reader};
use super::sets::{AgreementChange, Detail, GuardChange, presence};
use super::shown;
use super::terms::Terms;
use super::treatments::Conflict;
use super::{LimitChange, TreatmentChange, Width, is_replaced, treatments};
use crate::condition::Condition;
use crate::language::{fold, scope};
use crate::set::{Agreement, CompiledGuard, Governed, Profile, RowRule};
use crate::{AgreementStatus, PolicySet, Showing, Treatment};

/// An agreement with what it is about.
#[derive(Clone, Copy)]
pub(super) struct Grant<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) governed: &'a Governed,
    pub(super) agreement: &'a Agreement,
    pub(super) profile: &'a Profile,
}

impl Grant<'_> {
    fn days(&self) -> Days {
        let agreement = self.agreement;
        if agreement.status != AgreementStatus::Active {
            return Days::None(agreement.status.as_str().to_owned());
        }
        if !agreement.version_fits {
            let version = &self.governed.table.contract.version;
            return Days::None(format!(
                "for version {} of the contract, which has {version}",
                agreement.requirement
            ));
        }
        Days::Some(agreement.start, agreement.end)
    }

    /// The columns that it ever shows anything of.
    pub(super) fn columns(&self) -> Vec<String> {
        match self.days() {
            Days::None(_) => Vec::new(),
            Days::Some(..) => {
                let columns = self
                    .governed
                    .table
                    .columns
                    .iter()
                    .zip(&self.profile.columns);
                let visible = columns.filter(|(_, shown)| shown.visible);
                visible.map(|(column, _)| column.name.clone()).collect()
            }
        }
    }

    /// Whether there are days on which it gives anything.
    pub(super) fn gives(&self) -> bool {
        matches!(self.days(), Days::Some(..))
    }

    /// How it shows a column, or what lies under a path of it.
    pub(super) fn shows(&self, column: &str, steps: &[PathStep]) -> Option<Showing> {
        Some(self.treatment(column)?.at(steps).clone())
    }

    /// Where this one and another are masks, and the other's may tell more.
    pub(super) fn conflicts(&self, other: &Self) -> Vec<Conflict> {
        let same_keys = self.keys() == other.keys();
        let columns = self.columns().into_iter();
        let conflicts = columns.filter_map(|column| {
            let treatments = (self.treatment(&column)?, other.treatment(&column)?);
            let field = other.governed.table.schema.field_with_name(&column).ok();
            let data_type = field.map(arrow::datatypes::Field::data_type);
            let found = treatments::conflicts(&column, data_type, treatments, same_keys);
            Some(found)
        });
        conflicts.flatten().collect()
    }

    fn treatment(&self, column: &str) -> Option<&Treatment> {
        let mut columns = self
            .governed
            .table
            .columns
            .iter()
            .zip(&self.profile.columns);
        let (_, shown) = columns.find(|(named, _)| named.name == column)?;
        Some(&shown.treatment)
    }

    /// The requests that it is for, as statements about the principal and the request.
    pub(super) fn requests(&self, terms: &mut Terms) -> Formula {
        let guards = self.governed.guards.iter();
        let whens = guards.filter_map(|guard| guard.when.as_ref());
        let conditions = [&self.agreement.who].into_iter();
        let conditions = conditions.chain(&self.agreement.when).chain(whens);
        let parts = conditions
            .map(|condition| asked(condition, terms))
            .collect();
        Formula::All(parts)
    }

    /// The rows that it gives, as statements about the row, the principal and the request.
    pub(super) fn rows(&self, terms: &mut Terms, is_other: &dyn Fn(&str) -> bool) -> Formula {
        let guards = self.governed.guards.iter();
        let guards = guards.filter_map(|guard| guard.rows.as_deref());
        let rules = guards.chain(self.agreement.rows.as_deref());
        let parts = rules.map(|rule| self.rule(rule, terms, is_other)).collect();
        Formula::All(parts)
    }

    /// A rule with the agreement's values in it.
    fn rule(&self, rule: &RowRule, terms: &mut Terms, is_other: &dyn Fn(&str) -> bool) -> Formula {
        let values = self.agreement.members.iter().map(|(name, value)| {
            let value = scope::scalar(Some(value), value.value_type());
            (name.clone(), value)
        });
        read_rule(
            self.set,
            self.governed,
            rule,
            &values.collect(),
            (terms, is_other),
        )
    }

    /// What tells its keyed masks' keys from others.
    fn keys(&self) -> (&str, &str, &str) {
        let contract = &self.governed.table.contract;
        let major = contract.version.split('.').next().unwrap_or_default();
        (&contract.id, major, &self.agreement.organisation)
    }
}

/// A condition of the request, as a statement.
fn asked(condition: &Condition, terms: &mut Terms) -> Formula {
    let (expr, schema) = match condition {
        Condition::Known(value) => (lit(*value), DFSchema::empty()),
        Condition::Asks { expr, schema, .. } => {
            let schema = DFSchema::try_from(Arc::clone(schema));
            (expr.clone(), schema.unwrap_or_else(|_| DFSchema::empty()))
        }
    };
    let mut reader = Reader {
        terms,
        schema: &schema,
        is_other: &|_| false,
    };
    reader.is(&expr, true)
}

/// A rule of rows in which members of the principal and the request are still open.
fn read_rule(
    set: &PolicySet,
    governed: &Governed,
    rule: &RowRule,
    values: &BTreeMap<String, ScalarValue>,
    (terms, is_other): (&mut Terms, &dyn Fn(&str) -> bool),
) -> Formula {
    let columns = governed.schema.fields().iter().cloned();
    let members = rule.members.iter();
    let members = members.map(|(name, kind)| scope::member_field(name, *kind));
    let fields: Fields = columns.chain(members).collect();
    let schema = DFSchema::from_unqualified_fields(fields, std::collections::HashMap::new());
    let schema = schema.map_or_else(|_| Arc::clone(&governed.schema), Arc::new);
    let bound = fold::bind_known(&rule.expr, values, &schema, &set.options);
    let mut reader = Reader {
        terms,
        schema: &schema,
        is_other,
    };
    reader.is(bound.as_ref().unwrap_or(&rule.expr), true)
}

/// How an agreement differs from what it was; `None` when nothing of it does.
pub(super) fn compare(old: Option<&Grant<'_>>, new: Option<&Grant<'_>>) -> Option<AgreementChange> {
    match (old, new) {
        (Some(old), Some(new)) => Both { old, new }.change(),
        (Some(one), None) | (None, Some(one)) => Some(alone(one, new.is_some())),
        (None, None) => None,
    }
}

/// An agreement that is in one policy set alone.
fn alone(grant: &Grant<'_>, added: bool) -> AgreementChange {
    let agreement = grant.agreement;
    let width = match (grant.gives(), added) {
        (false, _) => Width::Equal,
        (true, true) => Width::Wider,
        (true, false) => Width::Narrower,
    };
    let texts = [
        ("in force", Some(grant.days().to_string())),
        ("profile", Some(grant.profile.name.clone())),
        ("who", Some(agreement.who_text.to_string())),
        (
            "when",
            agreement.when_text.as_ref().map(ToString::to_string),
        ),
        (
            "rows",
            agreement.rows.as_ref().map(|rule| rule.text.to_string()),
        ),
    ];
    let details = texts.into_iter().filter_map(|(part, text)| {
        let text = Some(one_line(&text?));
        let (old, new) = if added { (None, text) } else { (text, None) };
        Some(Detail {
            part: part.to_owned(),
            old,
            new,
            width: None,
        })
    });
    let columns = grant.columns();
    let (gained, lost) = if added {
        (columns, Vec::new())
    } else {
        (Vec::new(), columns)
    };
    AgreementChange {
        agreement: agreement.id.clone(),
        purpose: agreement.purpose.clone(),
        presence: presence(!added, added),
        width,
        details: details.collect(),
        gained,
        lost,
        replaced: Vec::new(),
        treatments: Vec::new(),
        rows: width,
        limits: Vec::new(),
    }
}

/// An agreement that is in both.
struct Both<'a> {
    old: &'a Grant<'a>,
    new: &'a Grant<'a>,
}

impl Both<'_> {
    /// Whether both are written alike, word for word, over the same columns: most are.
    fn is_unchanged(&self) -> bool {
        let written = |grant: &Grant<'_>| {
            let (agreement, profile) = (grant.agreement, grant.profile);
            let guards = grant.governed.guards.iter().map(|guard| {
                let rows = guard.rows.as_ref().map(|rows| Arc::clone(&rows.text));
                (guard.id.clone(), guard.when_text.clone(), rows)
            });
            // As text, since a number is equal to another with a sign that tells them apart.
            let values = agreement.members.values().map(value_text);
            (
                (
                    grant.days(),
                    agreement.purpose.clone(),
                    profile.name.clone(),
                    values.collect::<Vec<_>>(),
                ),
                (Arc::clone(&agreement.who_text), agreement.when_text.clone()),
                agreement.rows.as_ref().map(|rows| Arc::clone(&rows.text)),
                guards.collect::<Vec<_>>(),
                profile.limits,
            )
        };
        let (old, new) = (self.old, self.new);
        let digests = |grant: &Grant<'_>| {
            let columns = grant.profile.columns.iter();
            columns.map(|column| column.digest).collect::<Vec<_>>()
        };
        old.governed.schema_digest == new.governed.schema_digest
            && old.agreement.members == new.agreement.members
            && old.keys() == new.keys()
            && written(old) == written(new)
            && digests(old) == digests(new)
    }

    fn change(&self) -> Option<AgreementChange> {
        if self.is_unchanged() {
            return None;
        }
        let (old, new) = (self.old, self.new);
        let days = old.days().width(&new.days());
        let (gives, gave) = (new.gives(), old.gives());
        let rows = self.rows();
        let (were, are) = (old.columns(), new.columns());
        let without = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter()
                .filter(|column| !other.contains(column))
                .cloned()
                .collect()
        };
        let both: Vec<&String> = were.iter().filter(|column| are.contains(column)).collect();
        let replaced = both.iter().filter(|name| self.is_other(name));
        let mut change = AgreementChange {
            agreement: new.agreement.id.clone(),
            purpose: new.agreement.purpose.clone(),
            presence: presence(true, true),
            width: Width::Equal,
            details: self.details(),
            gained: without(&are, &were),
            lost: without(&were, &are),
            replaced: replaced.map(|name| (*name).clone()).collect(),
            treatments: both.iter().flat_map(|name| self.treatments(name)).collect(),
            rows,
            limits: LimitChange::between(old.profile.limits, new.profile.limits),
        };
        change.width = match (gave, gives) {
            (false, false) => Width::Equal,
            (false, true) => Width::Wider,
            (true, false) => Width::Narrower,
            (true, true) => self.given(&change).and(days).and(self.requests()),
        };
        let silent = change.details.is_empty() && change.limits.is_empty();
        let same = silent
            && change.width == Width::Equal
            && change.treatments.is_empty()
            && change.rows == Width::Equal;
        (!same).then_some(change)
    }

    /// What is given to a request on a day.
    fn given(&self, change: &AgreementChange) -> Width {
        let when = |differs: bool, width| if differs { width } else { Width::Equal };
        let purpose = self.old.agreement.purpose != self.new.agreement.purpose;
        let treatments = change.treatments.iter().map(|change| change.width);
        [
            change.rows,
            when(purpose, Width::Incomparable),
            when(!change.gained.is_empty(), Width::Wider),
            when(!change.lost.is_empty(), Width::Narrower),
            when(!change.replaced.is_empty(), Width::Unknown),
        ]
        .into_iter()
        .chain(treatments)
        .chain(change.limits.iter().map(LimitChange::width))
        .fold(Width::Equal, Width::and)
    }

    fn is_other(&self, column: &str) -> bool {
        is_replaced(&self.old.governed.table, &self.new.governed.table, column)
    }

    /// An agreement is for its organisation only, whatever its `who` says beyond.
    fn within_organisation(&self, terms: &mut Terms, one: Formula) -> Formula {
        let org = Expr::Column(datafusion_common::Column::from_name("principal.org"));
        let org = terms.value(&org, &arrow::datatypes::DataType::Utf8, &|_| false);
        let own = self.new.agreement.organisation.clone();
        let own = Set::only(Key::Bytes(own.into_bytes()));
        Formula::All(vec![Formula::Is(org, own), one])
    }

    fn requests(&self) -> Width {
        let mut terms = Terms::default();
        let (old, new) = (self.old.requests(&mut terms), self.new.requests(&mut terms));
        self.width(terms, old, new)
    }

    fn rows(&self) -> Width {
        let mut terms = Terms::default();
        let old = self.old.rows(&mut terms, &|_| false);
        let new = self.new.rows(&mut terms, &|name| self.is_other(name));
        self.width(terms, old, new)
    }

    fn width(&self, mut terms: Terms, old: Formula, new: Formula) -> Width {
        let old = self.within_organisation(&mut terms, old);
        let new = self.within_organisation(&mut terms, new);
        shown::width(&old, &new, &terms)
    }

    fn treatments(&self, column: &str) -> Vec<TreatmentChange> {
        let (Some(old), Some(new)) = (self.old.treatment(column), self.new.treatment(column))
        else {
            return Vec::new();
        };
        let same_keys = self.old.keys() == self.new.keys();
        let data_type = self.new.governed.table.schema.field_with_name(column).ok();
        treatments::changes(
            column,
            data_type.map(arrow::datatypes::Field::data_type),
            (std::slice::from_ref(old), std::slice::from_ref(new)),
            same_keys,
            &|was, is| treatments::single(was, is, same_keys),
        )
    }

    /// The parts of the agreement that differ.
    fn details(&self) -> Vec<Detail> {
        let (old, new) = (self.old, self.new);
        let mut details = Vec::new();
        let mut text = |part: &str, old: Option<String>, new: Option<String>, width| {
            if old != new {
                details.push(Detail {
                    part: part.to_owned(),
                    old,
                    new,
                    width,
                });
            }
        };
        let (was, is) = (old.agreement, new.agreement);
        let days = [old.days(), new.days()];
        let days_width = old.days().width(&new.days());
        let [old_days, new_days] = days.map(|days| Some(days.to_string()));
        text("in force", old_days, new_days, Some(days_width));
        let purposes = [was, is].map(|one| Some(one.purpose.clone()));
        let [old_purpose, new_purpose] = purposes;
        text(
            "purpose",
            old_purpose,
            new_purpose,
            Some(Width::Incomparable),
        );
        let (old_profile, new_profile) = (&old.profile.name, &new.profile.name);
        text(
            "profile",
            Some(old_profile.clone()),
            Some(new_profile.clone()),
            None,
        );
        let who = self.conditions(Some(&was.who), Some(&is.who));
        text(
            "who",
            Some(one_line(&was.who_text)),
            Some(one_line(&is.who_text)),
            Some(who),
        );
        let when = self.conditions(was.when.as_ref(), is.when.as_ref());
        let line = |text: Option<&Arc<str>>| text.map(|text| one_line(text));
        text(
            "when",
            line(was.when_text.as_ref()),
            line(is.when_text.as_ref()),
            Some(when),
        );
        let rule = |one: &Agreement| one.rows.as_ref().map(|rule| one_line(&rule.text));
        text("rows", rule(was), rule(is), Some(self.own_rows()));
        for name in was.members.keys().chain(
            is.members
                .keys()
                .filter(|name| !was.members.contains_key(*name)),
        ) {
            let value = |one: &Agreement| one.members.get(name).map(value_text);
            text(name, value(was), value(is), None);
        }
        details
    }

    /// Two conditions of the request by themselves.
    fn conditions(&self, old: Option<&Arc<Condition>>, new: Option<&Arc<Condition>>) -> Width {
        let mut terms = Terms::default();
        let mut read = |one: Option<&Arc<Condition>>| {
            one.map_or(Formula::constant(true), |one| asked(one, &mut terms))
        };
        let (old, new) = (read(old), read(new));
        self.width(terms, old, new)
    }

    /// The rows of both profiles, without the guards.
    fn own_rows(&self) -> Width {
        let mut terms = Terms::default();
        let rule = |grant: &Grant<'_>, terms: &mut Terms, is_other: &dyn Fn(&str) -> bool| {
            let rule = grant.agreement.rows.as_deref();
            rule.map_or(Formula::constant(true), |rule| {
                grant.rule(rule, terms, is_other)
            })
        };
        let old = rule(self.old, &mut terms, &|_| false);
        let new = rule(self.new, &mut terms, &|name| self.is_other(name));
        self.width(terms, old, new)
    }
}

/// How a guard differs; `None` when it does not.
pub(super) fn guard(id: &str, old: &GuardSide<'_>, new: &GuardSide<'_>) -> Option<GuardChange> {
    let (before, after) = (old.guard(id), new.guard(id));
    let mut terms = Terms::default();
    let requests = [before, after].map(|guard| {
        let when = guard.and_then(|guard| guard.when.as_ref());
        when.map_or(Formula::constant(true), |when| asked(when, &mut terms))
    });
    let is_other = |name: &str| is_replaced(&old.governed.table, &new.governed.table, name);
    let never = |_: &str| false;
    let mut rows = |side: &GuardSide<'_>, is_other: &dyn Fn(&str) -> bool| {
        let rule = side.guard(id).and_then(|guard| guard.rows.as_deref());
        rule.map_or(Formula::constant(true), |rule| {
            read_rule(
                side.set,
                side.governed,
                rule,
                &BTreeMap::new(),
                (&mut terms, is_other),
            )
        })
    };
    let rows = [rows(old, &never), rows(new, &is_other)];
    let [requests, rows] = [requests, rows].map(|[old, new]| shown::width(&old, &new, &terms));
    let when = |guard: Option<&CompiledGuard>| {
        let text = guard.and_then(|guard| guard.when_text.as_ref());
        text.map(|text| one_line(text))
    };
    let rule = |guard: Option<&CompiledGuard>| {
        let rows = guard.and_then(|guard| guard.rows.as_ref());
        rows.map(|rows| one_line(&rows.text))
    };
    let parts = [
        ("when", when(before), when(after), requests),
        ("rows", rule(before), rule(after), rows),
    ];
    let differ = parts.into_iter().filter(|(_, old, new, _)| old != new);
    let details: Vec<Detail> = differ
        .map(|(part, old, new, width)| Detail {
            part: part.to_owned(),
            old,
            new,
            width: Some(width),
        })
        .collect();
    (!details.is_empty()).then(|| GuardChange {
        guard: id.to_owned(),
        presence: presence(before.is_some(), after.is_some()),
        width: requests.and(rows),
        details,
    })
}

/// The guards of one policy set's table.
pub(super) struct GuardSide<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) governed: &'a Governed,
}

impl GuardSide<'_> {
    fn guard(&self, id: &str) -> Option<&CompiledGuard> {
        self.governed.guards.iter().find(|guard| guard.id == id)
    }
}

/// A value as an agreement has it.
fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float64(value) => value.to_string(),
        Value::Timestamp(value) => value.to_rfc3339(),
        Value::Text(value) => value.clone(),
        Value::TextList(values) => format!("[{}]", values.join(", ")),
    }
}

/// A text as one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
