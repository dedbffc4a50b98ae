//! Documents to a policy set: everything is checked against everything, and all problems are
//! reported at once.

mod agreements;
mod clauses;
mod columns;
mod keys;
mod tables;

pub(crate) use agreements::{mask_conflicts, unknown_profile};
pub(crate) use columns::{below, collect_fields};

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use scrim_document::{Location, Problems, nearest};

use crate::access::AccessPolicy;
use crate::language::Language;
use crate::odcs::ContractDocument;
use crate::set::{Governed, LeftOut, PolicySet, Profile};
use crate::{Documents, LoadEnv};
use clauses::Clauses;

/// Checks and compiles a policy set.
pub(crate) fn compile(
    documents: &Documents,
    env: &LoadEnv<'_>,
) -> Result<(PolicySet, Problems), Problems> {
    let language = Language::new(env);
    let mut compiler = Compiler {
        documents,
        env,
        clauses: Clauses::new(&language, env.attributes),
        problems: Problems::default(),
        left_out: Vec::new(),
    };
    compiler.check_unique();
    let mut governed: Vec<_> = documents
        .contracts
        .iter()
        .filter_map(|contract| compiler.contract(contract))
        .collect();
    compiler.check_contracts_exist();
    let Compiler {
        mut problems,
        left_out,
        ..
    } = compiler;
    if problems.has_errors() {
        for one in left_out {
            problems.extend(one.problems);
        }
        problems.sort();
        return Err(problems);
    }
    problems.sort();
    governed.sort_by(|a, b| a.table.name.cmp(&b.table.name));
    let agreements = documents.agreements.iter();
    let agreements = agreements
        .map(|one| (one.id.clone(), one.organisation.clone()))
        .collect();
    let (options, functions) = (
        Arc::clone(&language.options),
        Arc::clone(&language.functions),
    );
    let version = documents.version.as_str();
    Ok((
        PolicySet::assemble(version, governed, agreements, left_out, options, functions),
        problems,
    ))
}

/// The place of whoever had a name before.
fn first<'a, K: Ord>(
    seen: &mut BTreeMap<K, &'a Location>,
    name: K,
    at: &'a Location,
) -> Option<&'a Location> {
    match seen.entry(name) {
        Entry::Occupied(first) => Some(*first.get()),
        Entry::Vacant(free) => {
            free.insert(at);
            None
        }
    }
}

struct Compiler<'a> {
    documents: &'a Documents,
    env: &'a LoadEnv<'a>,
    clauses: Clauses<'a>,
    problems: Problems,
    left_out: Vec<LeftOut>,
}

impl Compiler<'_> {
    fn check_unique(&mut self) {
        let mut ids = BTreeMap::new();
        let mut names = BTreeMap::new();
        for contract in &self.documents.contracts {
            let at = &contract.location;
            if let Some(first) = first(&mut ids, &contract.id, at) {
                let message = format!("the contract id `{}` is used twice", contract.id);
                let id = contract.node.get("id").unwrap_or(&contract.node);
                self.problems.push(
                    id.error(message)
                        .with_help(format!("first in {}", first.file)),
                );
            }
            if let Some(first) = first(&mut names, &contract.name, at) {
                let message = format!("the table {} has two contracts", contract.name);
                let help = format!("the other is in {}", first.file);
                self.problems
                    .push(contract.name_node.error(message).with_help(help));
            }
        }
        let mut ids = BTreeMap::new();
        for agreement in &self.documents.agreements {
            if let Some(first) = first(&mut ids, &agreement.id, &agreement.location) {
                let message = format!("the agreement id `{}` is used twice", agreement.id);
                let help = format!("first in {}", first.file);
                self.problems
                    .push(agreement.nodes.id.error(message).with_help(help));
            }
        }
    }

    fn check_contracts_exist(&mut self) {
        let known: BTreeSet<&str> = self
            .documents
            .contracts
            .iter()
            .map(|contract| contract.id.as_str())
            .collect();
        for agreement in &self.documents.agreements {
            if known.contains(agreement.contract.as_str()) {
                continue;
            }
            let message = format!("there is no contract `{}`", agreement.contract);
            let problem = agreement.nodes.contract.error(message);
            self.problems
                .push(match nearest(&agreement.contract, known.iter().copied()) {
                    Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                    None => problem,
                });
        }
    }

    /// Compiles one contract with its agreements; `None` with a problem, or when it is left out.
    fn contract(&mut self, contract: &ContractDocument) -> Option<Governed> {
        let access = contract.access.as_ref()?;
        self.check_names(contract);
        let schema = match self.source(contract) {
            Ok(schema) => schema,
            Err(problems) => {
                self.check_alone(contract, access);
                self.leave_out(contract, problems);
                return None;
            }
        };
        let table = self.table(contract, access, schema);
        self.clauses.start_table(&table.schema);
        let guards = self.guards(contract, access);
        let profiles = self.profiles(contract, access, &table);
        let agreements = self.agreements(contract, access);
        let unavailable = self.clauses.take_unavailable();
        if !unavailable.is_empty() {
            self.leave_out(contract, unavailable);
            return None;
        }
        self.warn_of_mask_conflicts(&table, &profiles, &agreements);
        let Some(schema) = self.clauses.table_schema() else {
            let message = "the columns of this table cannot be told apart";
            self.problems.push(contract.name_node.error(message));
            return None;
        };
        Some(Governed::new(table, schema, guards, profiles, agreements))
    }

    /// Checks what can be said of a contract and its agreements without its source: a mistake in a
    /// document stays one, whatever becomes of the source.
    fn check_alone(&mut self, contract: &ContractDocument, access: &AccessPolicy) {
        for when in access.guards.iter().filter_map(|guard| guard.when.as_ref()) {
            // Whether there is a problem is all that matters here.
            drop(self.clauses.guard_when(when, &mut self.problems));
        }
        for profile in &access.profiles {
            columns::check_names(profile, &contract.properties, &mut self.problems);
        }
        self.primary_key(&contract.properties);
        self.foreign_keys(contract);
        self.check_agreements(contract, access);
    }

    fn leave_out(&mut self, contract: &ContractDocument, problems: Problems) {
        self.left_out.push(LeftOut {
            contract: contract.id.clone(),
            table: contract.name.clone(),
            problems,
        });
    }

    fn profiles(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
        table: &crate::Table,
    ) -> Vec<Profile> {
        let columns = columns::Columns {
            table,
            properties: &contract.properties,
            access,
        };
        access
            .profiles
            .iter()
            .map(|profile| Profile {
                name: profile.name.clone(),
                location: profile.node.location(),
                columns: columns.treat(profile, &mut self.problems),
                limits: profile.limits,
            })
            .collect()
    }
}
