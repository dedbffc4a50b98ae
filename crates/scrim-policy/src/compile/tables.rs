//! A contract's columns against its source's.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use scrim_document::nearest;

use super::Compiler;
use crate::access::AccessPolicy;
use crate::language::scope::is_member_name;
use crate::odcs::{ContractDocument, Property};
use crate::set::CompiledGuard;
use crate::{Column, ContractRef, Table};

impl Compiler<'_> {
    /// The table that a contract governs; `None` with a problem.
    pub(super) fn table(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
    ) -> Option<Table> {
        let Some(source) = self.env.schemas.get(&contract.name) else {
            let message = format!("the source of {} could not be read", contract.name);
            self.problems.push(contract.name_node.error(message));
            return None;
        };
        let fields: Vec<_> = contract
            .properties
            .iter()
            .filter_map(|property| self.field(property, source))
            .collect();
        if fields.len() < contract.properties.len() {
            return None;
        }
        let columns = contract.properties.iter().map(|property| Column {
            name: property.name.clone(),
            physical_name: property.physical_name.clone(),
            description: property.description.clone(),
            classification: property.classification.clone(),
            tags: property.tags.clone(),
        });
        Some(Table {
            name: contract.name.clone(),
            contract: ContractRef {
                id: contract.id.clone(),
                version: contract.version.clone(),
                location: access.node.location(),
            },
            description: contract.description.clone(),
            schema: Arc::new(Schema::new(fields)),
            columns: columns.collect(),
            primary_key: self.primary_key(&contract.properties),
            foreign_keys: self.foreign_keys(contract),
        })
    }

    fn field(&mut self, property: &Property, source: &Schema) -> Option<Field> {
        let at = property.node.get("name").unwrap_or(&property.node);
        if is_member_name(&property.name) {
            let message = format!("`{}` looks like a member of a namespace", property.name);
            let help = "give the column another `name` and keep its `physicalName`";
            self.problems.push(at.error(message).with_help(help));
            return None;
        }
        if let Ok(field) = source.field_with_name(&property.physical_name) {
            // Whether a source promises values says something about its data, and nothing here may
            // depend on the promise.
            return Some(Field::new(&property.name, field.data_type().clone(), true));
        }
        let problem = at.error(format!(
            "the source has no column `{}`",
            property.physical_name
        ));
        let names = source.fields().iter().map(|field| field.name().as_str());
        self.problems
            .push(match nearest(&property.physical_name, names) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem.with_help("its name in the source is its `physicalName`"),
            });
        None
    }

    pub(super) fn guards(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
    ) -> Vec<CompiledGuard> {
        let mut guards = Vec::with_capacity(access.guards.len());
        for guard in &access.guards {
            let when = match &guard.when {
                Some(when) => self.clauses.guard_when(when, &mut self.problems).map(Some),
                None => Some(None),
            };
            let rows = match &guard.rows {
                Some(rows) => {
                    let id = format!("{}/guards/{}/rows", contract.id, guard.id);
                    self.clauses
                        .guard_rows(id, rows, &mut self.problems)
                        .map(Some)
                }
                None => Some(None),
            };
            // With a problem there is no policy set, so leaving one out here shows nothing.
            if let (Some(when), Some(rows)) = (when, rows) {
                let location = guard.node.location();
                guards.push(CompiledGuard {
                    id: guard.id.clone(),
                    location,
                    when,
                    rows,
                });
            }
        }
        guards
    }
}
