//! Access policies in files of their own: `*.policy.yaml`, with the contract's id and all that
//! `accessPolicy` holds, without the standard's wrapping.

mod edit;
mod lines;

use scrim_document::{MapReader, Node, Problems, nearest};

use crate::access::AccessPolicy;
use crate::odcs::ContractDocument;
use crate::shapes::POLICY;

pub use edit::{Parts, join, split};

/// What the names of such files end in.
const ENDINGS: [&str; 2] = [".policy.yaml", ".policy.yml"];
/// What the names of contracts end in, the longest first.
const CONTRACT_ENDINGS: [&str; 4] = [".odcs.yaml", ".odcs.yml", ".yaml", ".yml"];

/// Whether a file is an access policy on its own, by its name.
pub fn is_policy(path: &str) -> bool {
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// The name of the file for the access policy of a contract, given the name of the contract's file.
pub fn policy_file(contract: &str) -> String {
    let stem = CONTRACT_ENDINGS
        .iter()
        .find_map(|ending| contract.strip_suffix(ending));
    format!("{}.policy.yaml", stem.unwrap_or(contract))
}

/// The access policy of one contract, as it stands in a file of its own.
#[derive(Debug)]
pub(crate) struct PolicyDocument {
    /// The contract that it belongs to, with the place that says so.
    contract: Option<(String, Node)>,
    /// What it says; none when there is a problem with it.
    access: Option<AccessPolicy>,
}

impl PolicyDocument {
    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Self {
        let Some(mut map) = MapReader::new(node, &POLICY, problems) else {
            return Self {
                contract: None,
                access: None,
            };
        };
        let contract = map.required("contract", problems);
        let id = contract.and_then(|node| node.non_empty_string(problems));
        Self {
            contract: id.zip(contract.cloned()),
            access: AccessPolicy::from_map(node, map, problems),
        }
    }
}

/// Gives every contract the access policy that a file of its own holds. A contract has one in just
/// one place; who wrote two meant one of them, and nobody can tell which.
///
/// `complete` says that all files could be read: only then is it known what is missing.
pub(crate) fn merge(
    contracts: &mut [ContractDocument],
    policies: Vec<PolicyDocument>,
    complete: bool,
    problems: &mut Problems,
) {
    let mut given: Vec<(String, Node)> = Vec::new();
    for policy in policies {
        let Some((id, node)) = policy.contract else {
            continue;
        };
        if let Some((_, first)) = given.iter().find(|(other, _)| *other == id) {
            let message = format!("the contract `{id}` has another access policy");
            let help = format!("keep one of them; the other is in {}", first.file().path());
            problems.push(node.error(message).with_help(help));
            continue;
        }
        let found = contracts.iter_mut().find(|contract| contract.id == id);
        match found {
            Some(contract) if contract.awaits_access => contract.access = policy.access,
            Some(contract) => {
                let message = format!("the contract `{id}` has an `accessPolicy` of its own");
                let help = format!(
                    "keep one of them; the other is in {}",
                    contract.location.file
                );
                problems.push(node.error(message).with_help(help));
            }
            None if complete => {
                let problem = node.error(format!("there is no contract `{id}`"));
                let known = contracts.iter().map(|contract| contract.id.as_str());
                problems.push(match nearest(&id, known) {
                    Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                    None => problem.with_help("add the contract, or remove this file"),
                });
            }
            None => {}
        }
        given.push((id, node));
    }
    for contract in contracts.iter().filter(|contract| contract.awaits_access) {
        if complete && !given.iter().any(|(id, _)| *id == contract.id) {
            let problem = contract
                .node
                .error("the contract has no `accessPolicy`, so nobody gets access")
                .with_help("add a custom property `accessPolicy` with purposes and profiles");
            problems.push(problem);
        }
    }
}
