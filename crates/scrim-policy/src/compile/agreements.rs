//! Agreements against their contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use scrim_document::{Problem, nearest};

use super::{Compiler, clauses};
use crate::access::AccessPolicy;
use crate::agreement::AgreementDocument;
use crate::condition::Condition;
use crate::odcs::ContractDocument;
use crate::set::{Agreement, Places, Profile};
use crate::version::Requirement;
use crate::{AgreementStatus, Showing, Table};

impl Compiler<'_> {
    /// The agreements of a contract, sorted by id; those with a problem are left out, and then
    /// there is no policy set.
    pub(super) fn agreements(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
    ) -> Vec<Agreement> {
        let documents = self.documents;
        let own = documents
            .agreements
            .iter()
            .filter(|agreement| agreement.contract == contract.id);
        let mut reported = BTreeSet::new();
        let agreements: Vec<_> = own
            .filter_map(|agreement| self.agreement(agreement, contract, access, &mut reported))
            .collect();
        self.check_unused(contract, access, &mut reported);
        agreements
    }

    fn agreement(
        &mut self,
        agreement: &AgreementDocument,
        contract: &ContractDocument,
        access: &AccessPolicy,
        reported: &mut BTreeSet<(String, String)>,
    ) -> Option<Agreement> {
        let conditions = self.conditions(agreement);
        let profile = self.offered(agreement, access)?;
        let written = access.profiles.get(profile)?;
        let rows = match &written.rows {
            Some(text) => {
                let id = rows_id(contract, &written.name);
                let types = clauses::types(agreement);
                let rows = self.clauses.profile_rows(&id, text, &types);
                match rows {
                    Ok(rows) => Some(rows),
                    Err(faults) => {
                        self.report_rows(faults, agreement, &written.name, text, reported);
                        return None;
                    }
                }
            }
            None => None,
        };
        self.warn_of_contract(agreement, contract);
        let (who, when) = conditions?;
        Some(Agreement {
            id: agreement.id.clone(),
            status: agreement.status,
            organisation: agreement.organisation.clone(),
            purpose: agreement.purpose.clone(),
            start: agreement.start,
            end: agreement.end,
            version_fits: agreement.requirement.accepts(&contract.parsed_version),
            requirement: agreement.requirement_text.clone(),
            profile,
            who,
            who_text: Arc::clone(&agreement.who.text),
            when,
            when_text: agreement.when.as_ref().map(|when| Arc::clone(&when.text)),
            rows,
            members: agreement.members(),
            places: Places::of(agreement),
        })
    }

    /// Checks what can be said of a contract's agreements without its source.
    pub(super) fn check_agreements(&mut self, contract: &ContractDocument, access: &AccessPolicy) {
        let documents = self.documents;
        let agreements = documents.agreements.iter();
        for agreement in agreements.filter(|agreement| agreement.contract == contract.id) {
            // Whether there is a problem is all that matters here.
            drop(self.conditions(agreement));
            if self.offered(agreement, access).is_some() {
                self.warn_of_contract(agreement, contract);
            }
        }
    }

    /// The `who` and `when` of an agreement; `None` with a problem.
    fn conditions(
        &mut self,
        agreement: &AgreementDocument,
    ) -> Option<(Arc<Condition>, Option<Arc<Condition>>)> {
        let mut compile = |text| {
            self.clauses
                .agreement_condition(text, agreement, &mut self.problems)
        };
        let who = compile(&agreement.who);
        let when = match &agreement.when {
            Some(when) => compile(when).map(Some),
            None => Some(None),
        };
        Some((who?, when?))
    }

    /// The contract's profile that an agreement is for, by its index; `None` with a problem.
    fn offered(&mut self, agreement: &AgreementDocument, access: &AccessPolicy) -> Option<usize> {
        self.check_purpose(agreement, access);
        let mut profiles = access.profiles.iter();
        let found = profiles.position(|profile| profile.name == agreement.profile);
        if found.is_none() {
            let names = access.profiles.iter().map(|profile| profile.name.as_str());
            self.problems.push(unknown_profile(agreement, names));
        }
        found
    }

    /// Warns of an agreement that its contract, as it is now, does not bear out. It is no error: the
    /// owner who brings out a new version of a contract must not depend on all its stewards.
    fn warn_of_contract(&mut self, agreement: &AgreementDocument, contract: &ContractDocument) {
        if agreement.status == AgreementStatus::Active
            && matches!(contract.status.as_str(), "proposed" | "draft" | "retired")
        {
            let message = format!(
                "the agreement is active, its contract is {}",
                contract.status
            );
            self.problems.push(agreement.nodes.status.warning(message));
        }
        if agreement.status != AgreementStatus::Ended
            && !agreement.requirement.accepts(&contract.parsed_version)
        {
            let message = format!(
                "the agreement is for version {} of the contract, which has version {}, so it gives \
                 no access",
                agreement.requirement_text, contract.version
            );
            let compatible = format!("^{}", contract.version);
            // No range holds a pre-release.
            let wanted = match Requirement::parse(&compatible) {
                Some(_) => compatible,
                None => contract.version.clone(),
            };
            let problem = agreement.nodes.version.warning(message);
            self.problems.push(
                problem.with_help(format!("if it is meant for that one too, write `{wanted}`")),
            );
        }
    }

    fn check_purpose(&mut self, agreement: &AgreementDocument, access: &AccessPolicy) {
        if access.purposes.contains(&agreement.purpose) {
            return;
        }
        let message = format!(
            "the contract does not serve the purpose `{}`",
            agreement.purpose
        );
        let problem = agreement.nodes.purpose.error(message);
        let known = access.purposes.iter().map(String::as_str);
        self.problems
            .push(match nearest(&agreement.purpose, known) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem.with_help(format!("it serves {}", access.purposes.join(", "))),
            });
    }

    /// Reports what is wrong with a profile's rows once, and what an agreement lacks for them at
    /// each agreement.
    fn report_rows(
        &mut self,
        faults: Vec<crate::language::Fault>,
        agreement: &AgreementDocument,
        profile: &str,
        text: &crate::access::ExprText,
        reported: &mut BTreeSet<(String, String)>,
    ) {
        for fault in faults {
            if let Some(parameter) = &fault.parameter {
                let message = format!(
                    "the profile `{profile}` uses `{parameter}`, which this agreement lacks"
                );
                let problem = agreement.nodes.profile.error(message);
                let name = parameter.split_once('.').map_or("", |(_, name)| name);
                let given = agreement.parameters.keys().map(String::as_str);
                self.problems
                    .push(problem.with_help(match nearest(name, given) {
                        Some(near) => format!("rename its parameter `{near}` to `{name}`"),
                        None => format!("add `{name}` to its `parameters`"),
                    }));
            } else if reported.insert((profile.to_owned(), fault.message.clone())) {
                let of_parameters = fault.help.is_none() && clauses::mentions_agreement(&text.text);
                let fault = if of_parameters {
                    let help = format!(
                        "so it is with the parameters of the agreement `{}`",
                        agreement.id
                    );
                    fault.help(help)
                } else {
                    fault
                };
                self.clauses.report(fault, text, &mut self.problems);
            }
        }
    }

    /// Checks the rows of profiles that no agreement uses, as far as that can be done.
    fn check_unused(
        &mut self,
        contract: &ContractDocument,
        access: &AccessPolicy,
        reported: &mut BTreeSet<(String, String)>,
    ) {
        let documents = self.documents;
        let used: BTreeSet<&str> = documents
            .agreements
            .iter()
            .filter(|agreement| agreement.contract == contract.id)
            .map(|agreement| agreement.profile.as_str())
            .collect();
        for profile in access
            .profiles
            .iter()
            .filter(|one| !used.contains(one.name.as_str()))
        {
            let Some(text) = &profile.rows else { continue };
            let id = rows_id(contract, &profile.name);
            let Err(faults) = self.clauses.profile_rows(&id, text, &BTreeMap::default()) else {
                continue;
            };
            let mut needs = None;
            for fault in faults {
                if fault.parameter.is_some() {
                    needs = fault.parameter;
                } else if reported.insert((profile.name.clone(), fault.message.clone())) {
                    self.clauses.report(fault, text, &mut self.problems);
                }
            }
            if let Some(parameter) = needs {
                let message = format!(
                    "no agreement uses the profile `{}`, so its use of `{parameter}` is not checked",
                    profile.name
                );
                self.problems.push(text.node.warning(message));
            }
        }
    }

    /// Warns where two agreements that one principal may hold at once show a column through
    /// different masks: then the agreement whose id sorts first decides.
    pub(super) fn warn_of_mask_conflicts(
        &mut self,
        table: &Table,
        profiles: &[Profile],
        agreements: &[Agreement],
    ) {
        for conflict in mask_conflicts(table, profiles, agreements) {
            let documents = self.documents;
            let mut written = documents.agreements.iter();
            let second = written.find(|one| one.id == conflict.second.id);
            let message = conflict.to_string();
            self.problems
                .extend(second.map(|one| one.nodes.profile.warning(message)));
        }
    }
}

/// Two agreements that show columns through different masks.
#[derive(Clone)]
pub(crate) struct MaskConflict<'a> {
    /// The one that decides.
    pub(crate) first: &'a Agreement,
    pub(crate) second: &'a Agreement,
    columns: Vec<String>,
}

impl fmt::Display for MaskConflict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            second,
            columns,
        } = self;
        write!(
            f,
            "`{}` and `{}` mask {} differently; where both admit a row, `{}` decides",
            first.id,
            second.id,
            columns.join(", "),
            first.id
        )
    }
}

/// The conflicts between agreements that one principal may hold at once.
pub(crate) fn mask_conflicts<'a>(
    table: &Table,
    profiles: &[Profile],
    agreements: &'a [Agreement],
) -> Vec<MaskConflict<'a>> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for (index, first) in agreements.iter().enumerate() {
        for second in agreements.iter().skip(index + 1) {
            let together = first.organisation == second.organisation
                && first.purpose == second.purpose
                && first.profile != second.profile
                && [first, second]
                    .iter()
                    .all(|one| one.status == AgreementStatus::Active);
            // Once for each consumer is enough, however many agreements it has.
            let whose = (&first.organisation, &first.purpose);
            if !together || !known.insert((whose, first.profile, second.profile)) {
                continue;
            }
            let (Some(one), Some(other)) =
                (profiles.get(first.profile), profiles.get(second.profile))
            else {
                continue;
            };
            let columns: Vec<_> = one
                .columns
                .iter()
                .zip(&other.columns)
                .zip(&table.columns)
                .filter(|((one, other), _)| masks_differ(&one.treatment, &other.treatment))
                .map(|(_, column)| format!("`{}`", column.name))
                .collect();
            if !columns.is_empty() {
                found.push(MaskConflict {
                    first,
                    second,
                    columns,
                });
            }
        }
    }
    found
}

fn masks_differ(one: &crate::Treatment, other: &crate::Treatment) -> bool {
    let differ = |one: &Showing, other: &Showing| matches!((one, other), (Showing::Masked(one), Showing::Masked(other)) if one != other);
    differ(&one.root, &other.root)
        || one.nested.iter().any(|(path, showing)| {
            other
                .nested
                .iter()
                .any(|(same, shown)| path == same && differ(showing, shown))
        })
}

fn rows_id(contract: &ContractDocument, profile: &str) -> String {
    format!("{}/profiles/{profile}/rows", contract.id)
}

/// An agreement names a profile that its contract, which has these, does not have.
pub(crate) fn unknown_profile<'a>(
    agreement: &AgreementDocument,
    profiles: impl Iterator<Item = &'a str>,
) -> Problem {
    let names: Vec<_> = profiles.collect();
    let message = format!("the contract has no profile `{}`", agreement.profile);
    let near = nearest(&agreement.profile, names.iter().copied());
    agreement
        .nodes
        .profile
        .error(message)
        .with_help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it has no profiles yet".to_owned(),
            None => format!("its profiles are {}", names.join(", ")),
        })
}
