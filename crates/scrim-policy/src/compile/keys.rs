//! Keys: which columns tell rows apart, and which refer to another contract's table.
//!
//! A contract holds one table, so a relationship almost always leads into another contract. The
//! standard's `table.column` is looked for in this contract and in those of the same domain, `file#…`
//! in the file, relative to the contract's own.
//! What lies outside the policy set is nobody's mistake: it is warned of where it has the form of
//! something inside, and left alone where it is an address.

use scrim_document::{Problem, nearest};

use super::Compiler;
use crate::ForeignKey;
use crate::odcs::{ContractDocument, Property};
use crate::relationships::{Reference, Relationship, Start, Target};

/// A column by the place where it is.
struct Place<'a> {
    contract: &'a ContractDocument,
    /// The column, or what lies inside one.
    path: Vec<&'a str>,
}

impl<'a> Compiler<'a> {
    /// The columns of the primary key, in its order.
    pub(super) fn primary_key(&mut self, properties: &[Property]) -> Vec<String> {
        let mut key: Vec<&Property> = properties.iter().filter(|p| p.primary_key).collect();
        for (index, property) in key.iter().enumerate() {
            let Some(position) = property.primary_key_position else {
                continue;
            };
            let at = property
                .node
                .get("primaryKeyPosition")
                .unwrap_or(&property.node);
            let taken = key
                .iter()
                .take(index)
                .any(|other| other.primary_key_position == Some(position));
            if position < 1 {
                self.problems
                    .push(at.error("positions in the primary key count from 1"));
            } else if taken {
                let message = format!("the primary key has two columns at position {position}");
                self.problems.push(at.error(message));
            }
        }
        // Stable: columns without a position follow in the contract's order.
        key.sort_by_key(|property| property.primary_key_position.unwrap_or(i64::MAX));
        key.into_iter().map(|p| p.name.clone()).collect()
    }

    /// What the columns of a contract refer to in the policy set.
    pub(super) fn foreign_keys(&mut self, contract: &ContractDocument) -> Vec<ForeignKey> {
        let mut keys: Vec<ForeignKey> = Vec::new();
        for relationship in &contract.relationships {
            match self.foreign_key(contract, relationship) {
                Ok(Some(key)) if !keys.contains(&key) => keys.push(key),
                Ok(_) => {}
                Err(problem) => self.problems.push(*problem),
            }
        }
        keys
    }

    /// `None` when it leads out of the policy set or is not between whole columns.
    fn foreign_key(
        &mut self,
        contract: &ContractDocument,
        relationship: &Relationship,
    ) -> Result<Option<ForeignKey>, Box<Problem>> {
        let mut places = Vec::new();
        match &relationship.from {
            Start::Column(name) => places.push(Some(Place {
                contract,
                path: vec![name.as_str()],
            })),
            Start::References(references) => {
                for reference in references {
                    let place = self.place(contract, reference)?;
                    let own = place.as_ref().is_some_and(|p| p.contract.id == contract.id);
                    if !own {
                        let message = "a relationship starts at a column of its own table";
                        return Err(Box::new(reference.node.error(message)));
                    }
                    places.push(place);
                }
            }
        }
        let Some((_, columns)) = whole_columns(places) else {
            return Ok(None);
        };
        let mut places = Vec::new();
        for reference in &relationship.to {
            let place = self.place(contract, reference)?;
            if place.is_none() {
                self.warn_of_stranger(reference);
            }
            places.push(place);
        }
        if !of_one_table(&places) {
            let message = "the columns that are referred to are not of one table";
            return Err(Box::new(relationship.node.error(message)));
        }
        Ok(
            whole_columns(places).map(|(referred, referenced)| ForeignKey {
                columns,
                table: referred.name.clone(),
                referenced,
            }),
        )
    }

    fn warn_of_stranger(&mut self, reference: &Reference) {
        let is_address = |file: &String| file.contains("://");
        if reference.file.as_ref().is_some_and(is_address) {
            return;
        }
        let message = "the policy set has no such table, so this relationship is not shown";
        let help =
            "write `table.column` within a domain, else `FILE.odcs.yaml#schema/ID/properties/ID`";
        self.problems
            .push(reference.node.warning(message).with_help(help));
    }

    /// The column that a reference of a contract names; `None` when its table is not in the set.
    fn place(
        &self,
        from: &ContractDocument,
        reference: &Reference,
    ) -> Result<Option<Place<'a>>, Box<Problem>> {
        let (found, naming) = match &reference.target {
            Target::Names(names) => (self.by_names(from, reference, names), Naming::Names),
            Target::Ids { table, path } => {
                let contract = self.by_id(from, reference, table);
                (contract.map(|c| (c, path.as_slice())), Naming::Ids)
            }
        };
        let Some((contract, path)) = found else {
            return Ok(None);
        };
        match walk(&contract.properties, path, naming) {
            Some(path) => Ok(Some(Place { contract, path })),
            None => Err(Box::new(no_column(contract, reference, path, naming))),
        }
    }

    fn by_names<'n>(
        &self,
        from: &ContractDocument,
        reference: &Reference,
        names: &'n [String],
    ) -> Option<(&'a ContractDocument, &'n [String])> {
        let (first, rest) = names.split_first()?;
        if reference.file.is_some() {
            let contract = self.in_file(from, reference)?;
            return (contract.name.table == *first).then_some((contract, rest));
        }
        let domain = &from.name.schema;
        let near = |one: &&ContractDocument| one.name.schema == *domain;
        let mut near = self.contracts().filter(near);
        let contract = near.find(|one| one.name.table == *first)?;
        Some((contract, rest))
    }

    fn by_id(
        &self,
        from: &ContractDocument,
        reference: &Reference,
        id: &str,
    ) -> Option<&'a ContractDocument> {
        let fits = |contract: &&ContractDocument| {
            contract.table_id.as_ref().unwrap_or(&contract.name.table) == id
        };
        if reference.file.is_some() {
            return self.in_file(from, reference).filter(fits);
        }
        let mut near = self
            .contracts()
            .filter(|contract| contract.name.schema == from.name.schema);
        let own = self.contracts().find(|contract| contract.id == from.id);
        own.filter(fits).or_else(|| near.find(fits))
    }

    fn in_file(
        &self,
        from: &ContractDocument,
        reference: &Reference,
    ) -> Option<&'a ContractDocument> {
        let wanted = beside(from.file().path(), reference.file.as_deref()?);
        self.contracts()
            .find(|contract| parts(contract.file().path(), Vec::new()) == wanted)
    }

    fn contracts(&self) -> impl Iterator<Item = &'a ContractDocument> + use<'a> {
        self.documents.contracts.iter()
    }
}

/// How properties are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Names,
    Ids,
}

impl Naming {
    /// An id is optional in the standard; a property without one goes by its name.
    fn of(self, property: &Property) -> &str {
        match self {
            Self::Names => &property.name,
            Self::Ids => property.id.as_ref().unwrap_or(&property.name),
        }
    }
}

/// The names on the way to a property; `None` when there is none.
fn walk<'a>(properties: &'a [Property], path: &[String], naming: Naming) -> Option<Vec<&'a str>> {
    let mut found = Vec::with_capacity(path.len());
    let mut properties = properties;
    for step in path {
        let property = properties.iter().find(|p| naming.of(p) == step)?;
        found.push(property.name.as_str());
        properties = &property.properties;
    }
    Some(found)
}

fn no_column(
    contract: &ContractDocument,
    reference: &Reference,
    path: &[String],
    naming: Naming,
) -> Problem {
    let wanted = path.join(".");
    let message = format!("{} has no column `{wanted}`", contract.name);
    let problem = reference.node.error(message);
    let known = contract.properties.iter().map(|p| naming.of(p));
    match nearest(&wanted, known) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// Whether all columns that are there are of the same table.
fn of_one_table(places: &[Option<Place<'_>>]) -> bool {
    let mut ids = places.iter().flatten().map(|place| &place.contract.id);
    ids.next().is_none_or(|first| ids.all(|id| id == first))
}

/// The table and its columns, unless one is not there or lies inside a column: clients know keys
/// of whole columns only.
fn whole_columns(places: Vec<Option<Place<'_>>>) -> Option<(&ContractDocument, Vec<String>)> {
    let contract = places.first()?.as_ref()?.contract;
    let columns = places
        .into_iter()
        .map(|place| match place?.path.as_slice() {
            [column] => Some((*column).to_owned()),
            _ => None,
        });
    Some((contract, columns.collect::<Option<Vec<_>>>()?))
}

/// A path relative to the file in which it is written.
fn beside(base: &str, path: &str) -> Vec<String> {
    let mut folder = parts(base, Vec::new());
    folder.pop();
    parts(path, folder)
}

fn parts(path: &str, mut from: Vec<String>) -> Vec<String> {
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(from.pop()),
            part => from.push(part.to_owned()),
        }
    }
    from
}
