//! A contract's columns against its source's.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use scrim_document::Problems;

use super::Compiler;
use crate::access::AccessPolicy;
use crate::language::scope::is_member_name;
use crate::odcs::{ContractDocument, Property};
use crate::set::CompiledGuard;
use crate::{Column, ContractRef, Table};

impl Compiler<'_> {
    /// The source's columns that a contract speaks of, or why its source cannot be used.
    pub(super) fn source(&self, contract: &ContractDocument) -> Result<SchemaRef, Problems> {
        if let Some(problem) = self.env.unavailable.tables.get(&contract.name) {
            return Err(problem.clone().into());
        }
        let Some(source) = self.env.schemas.get(&contract.name) else {
            let message = format!("the source of {} was not opened", contract.name);
            return Err(contract.name_node.error(message).into());
        };
        let misfits = contract.misfits(source);
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let field = |property: &Property| {
            let field = source.field_with_name(&property.physical_name).ok()?;
            // Whether a source promises values says something about its data, and nothing here may
            // depend on the promise.
            Some(Field::new(&property.name, field.data_type().clone(), true))
        };
        let fields: Vec<_> = contract.properties.iter().filter_map(field).collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Names of columns that would be taken for something else.
    pub(super) fn check_names(&mut self, contract: &ContractDocument) {
        for property in &contract.properties {
            if is_member_name(&property.name) {
                let at = property.node.get("name").unwrap_or(&property.node);
                let message = format!("`{}` looks like a member of a namespace", property.name);
                let help = "give the column another `name` and keep its `physicalName`";
                self.problems.push(at.error(message).with_help(help));
            }
        }
    }

    /// The table that a contract governs.
    pub(super) fn table(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
        schema: SchemaRef,
    ) -> Table {
        let columns = contract.properties.iter().map(|property| Column {
            name: property.name.clone(),
            physical_name: property.physical_name.clone(),
            description: property.description.clone(),
            classification: property.classification.clone(),
            tags: property.tags.clone(),
        });
        Table {
            name: contract.name.clone(),
            contract: ContractRef {
                id: contract.id.clone(),
                version: contract.version.clone(),
                location: access.node.location(),
            },
            description: contract.description.clone(),
            contact: contract.contact.clone(),
            schema,
            columns: columns.collect(),
            primary_key: self.primary_key(&contract.properties),
            foreign_keys: self.foreign_keys(contract),
        }
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
                    when_text: guard.when.as_ref().map(|when| Arc::clone(&when.text)),
                    rows,
                });
            }
        }
        guards
    }
}
