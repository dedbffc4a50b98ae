//! Two policy sets against one another, whoever asks: table by table, organisation by organisation,
//! agreement by agreement.
//!
//! A principal may act under each of its agreements alone, so what agreements give is compared one
//! by one: agreements of the same id, with the same organisation. An agreement gives something to
//! requests (`who`, `when`, the guards' `when`), on days, for a purpose: rows and columns within
//! limits. It gives more when one of these is wider and none is narrower. Several at once give to a
//! row no more than each of them does, but where their masks differ (`together`).

use std::collections::{BTreeMap, BTreeSet};

use scrim_model::TableName;
use serde::Serialize;

use super::grants::{self, Grant, GuardSide};
use super::together::{self, Grants};
use super::{LimitChange, TreatmentChange, Width};
use crate::PolicySet;
use crate::set::{Governed, LeftOut};

/// What differs between two policy sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The version of the old policy set.
    pub old: String,
    /// The version of the new policy set.
    pub new: String,
    /// The tables of which anything differs, sorted by name.
    pub tables: Vec<TableChange>,
}

/// Whether something is there in both policy sets, or in which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// In the new one alone.
    Added,
    /// In the old one alone.
    Removed,
    /// In both.
    Changed,
}

/// What differs of one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableChange {
    /// The table.
    pub table: TableName,
    /// Whether both policy sets govern it.
    pub presence: Presence,
    /// How all that its agreements give stands to what they gave.
    pub width: Width,
    /// What differs in its contract.
    pub details: Vec<Detail>,
    /// The guards that differ; what they do to each agreement stands there.
    pub guards: Vec<GuardChange>,
    /// The organisations for which anything differs, sorted.
    pub organisations: Vec<OrganisationChange>,
}

/// One part of a document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Which part.
    pub part: String,
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
    /// How the new one stands to the old by itself; none where it gives nothing by itself.
    pub width: Option<Width>,
}

/// A guard that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GuardChange {
    /// The guard's id.
    pub guard: String,
    /// Whether both contracts have it.
    pub presence: Presence,
    /// What it lets through, against what it did.
    pub width: Width,
    /// Its parts that differ.
    pub details: Vec<Detail>,
}

/// What differs for one organisation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrganisationChange {
    /// The organisation.
    pub organisation: String,
    /// Columns that any of its agreements shows, and none did.
    pub gained: Vec<String>,
    /// Columns that any of its agreements showed, and none does.
    pub lost: Vec<String>,
    /// Its agreements that differ in what they give, or in a part of theirs.
    pub agreements: Vec<AgreementChange>,
}

/// What differs of one agreement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgreementChange {
    /// Its id.
    pub agreement: String,
    /// The purpose that it serves, or served.
    pub purpose: String,
    /// Whether both policy sets have it.
    pub presence: Presence,
    /// How all that it gives stands to what it gave.
    pub width: Width,
    /// Its parts that differ.
    pub details: Vec<Detail>,
    /// Columns that it shows and did not.
    pub gained: Vec<String>,
    /// Columns that it showed and does not.
    pub lost: Vec<String>,
    /// Columns that are now another column of the source or of another type.
    pub replaced: Vec<String>,
    /// Columns that it shows differently.
    pub treatments: Vec<TreatmentChange>,
    /// The rows that it gives, guards included.
    pub rows: Width,
    /// The limits that differ.
    pub limits: Vec<LimitChange>,
}

impl Difference {
    /// Everything together.
    pub fn width(&self) -> Width {
        let tables = self.tables.iter().map(|table| table.width);
        tables.fold(Width::Equal, Width::and)
    }

    /// Says that a table's rows now come from elsewhere: what is in them cannot be told.
    pub fn moved(&mut self, table: &TableName, old: String, new: String) {
        let found = self.tables.iter().position(|change| change.table == *table);
        let index = found.unwrap_or_else(|| {
            let index = self.tables.partition_point(|change| change.table < *table);
            self.tables.insert(index, TableChange::of(table));
            index
        });
        if let Some(change) = self.tables.get_mut(index) {
            change.width = change.width.and(Width::Unknown);
            change.details.push(Detail {
                part: "source".to_owned(),
                old: Some(old),
                new: Some(new),
                width: Some(Width::Unknown),
            });
        }
    }
}

impl TableChange {
    fn of(table: &TableName) -> Self {
        Self {
            table: table.clone(),
            presence: Presence::Changed,
            width: Width::Equal,
            details: Vec::new(),
            guards: Vec::new(),
            organisations: Vec::new(),
        }
    }
}

/// Compares all that two policy sets say.
pub fn sets(old: &PolicySet, new: &PolicySet) -> Difference {
    let names: BTreeSet<&TableName> = [old, new].into_iter().flat_map(all_tables).collect();
    let tables = names.into_iter().filter_map(|name| table(name, old, new));
    Difference {
        old: old.version().to_owned(),
        new: new.version().to_owned(),
        tables: tables.collect(),
    }
}

fn all_tables(set: &PolicySet) -> impl Iterator<Item = &TableName> {
    let governed = set.tables().map(|table| &table.name);
    governed.chain(set.left_out().iter().map(|one| &one.table))
}

fn table(name: &TableName, old: &PolicySet, new: &PolicySet) -> Option<TableChange> {
    let left_out = |set: &PolicySet| -> Option<LeftOut> {
        set.left_out()
            .iter()
            .find(|one| one.table == *name)
            .cloned()
    };
    let (was, is) = (old.governed(name), new.governed(name));
    let unread = [left_out(old), left_out(new)];
    let mut change = TableChange::of(name);
    change.presence = presence(
        was.is_some() || unread.first().is_some_and(Option::is_some),
        is.is_some() || unread.last().is_some_and(Option::is_some),
    );
    if unread.iter().any(Option::is_some) {
        let [was, is] = unread.map(|one| one.map(|one| one.problems.to_string()));
        change.details.push(Detail {
            part: "source".to_owned(),
            old: was,
            new: is,
            width: Some(Width::Unknown),
        });
        change.width = Width::Unknown;
        return Some(change);
    }
    change.details = contract(was, is);
    if let (Some(was), Some(is)) = (was, is) {
        let side = |set, governed| GuardSide { set, governed };
        change.guards = guards(&side(old, was), &side(new, is));
    }
    change.organisations = organisations((old, was), (new, is));
    let agreements = change.organisations.iter().flat_map(|one| &one.agreements);
    let widths = agreements.map(|agreement| agreement.width);
    change.width = widths.fold(Width::Equal, Width::and);
    let same = change.details.is_empty()
        && change.guards.is_empty()
        && change.organisations.is_empty()
        && change.presence == Presence::Changed;
    (!same).then_some(change)
}

pub(super) fn presence(old: bool, new: bool) -> Presence {
    match (old, new) {
        (false, true) => Presence::Added,
        (true, false) => Presence::Removed,
        (true, true) | (false, false) => Presence::Changed,
    }
}

/// What differs of a contract apart from its guards and profiles.
fn contract(old: Option<&Governed>, new: Option<&Governed>) -> Vec<Detail> {
    let mut details = Vec::new();
    let named = |one: Option<&Governed>| {
        let contract = &one?.table.contract;
        Some(format!("{} {}", contract.id, contract.version))
    };
    let (was, is) = (named(old), named(new));
    if was != is {
        details.push(Detail {
            part: "contract".to_owned(),
            old: was,
            new: is,
            width: None,
        });
    }
    let columns = |one: Option<&Governed>| -> BTreeSet<String> {
        let columns = one.into_iter().flat_map(|one| &one.table.columns);
        columns.map(|column| column.name.clone()).collect()
    };
    let (was, is) = (columns(old), columns(new));
    if old.is_some() && new.is_some() && was != is {
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            let only: Vec<_> = one.difference(other).cloned().collect();
            (!only.is_empty()).then(|| only.join(", "))
        };
        details.push(Detail {
            part: "columns of the contract".to_owned(),
            old: only(&was, &is),
            new: only(&is, &was),
            width: None,
        });
    }
    details
}

fn guards(old: &GuardSide<'_>, new: &GuardSide<'_>) -> Vec<GuardChange> {
    let sides = [old, new].into_iter();
    let ids: BTreeSet<&str> = sides
        .flat_map(|side| side.governed.guards.iter().map(|guard| guard.id.as_str()))
        .collect();
    ids.into_iter()
        .filter_map(|id| grants::guard(id, old, new))
        .collect()
}

/// What differs for each organisation.
fn organisations(
    (old, was): (&PolicySet, Option<&Governed>),
    (new, is): (&PolicySet, Option<&Governed>),
) -> Vec<OrganisationChange> {
    let before = by_organisation(old, was);
    let after = by_organisation(new, is);
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let none = BTreeMap::new();
    let mut changes = Vec::new();
    for name in names {
        let (was, is) = (
            before.get(name).unwrap_or(&none),
            after.get(name).unwrap_or(&none),
        );
        let ids: BTreeSet<&str> = was.keys().chain(is.keys()).copied().collect();
        let mut agreements: Vec<_> = ids
            .into_iter()
            .filter_map(|id| grants::compare(was.get(id), is.get(id)))
            .collect();
        together::add(was, is, &mut agreements);
        if agreements.is_empty() {
            continue;
        }
        let columns = |grants: &Grants<'_>| -> Vec<String> {
            let mut all: Vec<String> = Vec::new();
            for column in grants.values().flat_map(Grant::columns) {
                if !all.contains(&column) {
                    all.push(column);
                }
            }
            all
        };
        let (were, are) = (columns(was), columns(is));
        let without = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter()
                .filter(|column| !other.contains(column))
                .cloned()
                .collect()
        };
        changes.push(OrganisationChange {
            organisation: name.to_owned(),
            gained: without(&are, &were),
            lost: without(&were, &are),
            agreements,
        });
    }
    changes
}

/// What each agreement of each organisation gives, by organisation and id.
fn by_organisation<'a>(
    set: &'a PolicySet,
    governed: Option<&'a Governed>,
) -> BTreeMap<&'a str, Grants<'a>> {
    let mut grants: BTreeMap<&str, Grants<'a>> = BTreeMap::new();
    let Some(governed) = governed else {
        return grants;
    };
    for agreement in &governed.agreements {
        if let Some(profile) = governed.profiles.get(agreement.profile) {
            let grant = Grant {
                set,
                governed,
                agreement,
                profile,
            };
            let of = grants.entry(&agreement.organisation).or_default();
            of.insert(&agreement.id, grant);
        }
    }
    grants
}
