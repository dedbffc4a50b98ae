//! All documents of a policy set, read but not yet checked against one another.

use scrim_document::{Node, Problem, Problems, SourceFile, nearest};

use crate::agreement::AgreementDocument;
use crate::compile::unknown_profile;
use crate::odcs::ContractDocument;
use crate::terse::{self, PolicyDocument, is_policy};
use crate::version::{common_folder, policy_version};

/// The kinds of documents in a policy set.
const KINDS: [&str; 2] = ["DataContract", "AccessAgreement"];

/// All contracts and agreements of a policy set.
#[derive(Debug, Clone)]
pub struct Documents {
    pub(crate) contracts: Vec<ContractDocument>,
    pub(crate) agreements: Vec<AgreementDocument>,
    pub(crate) version: String,
}

impl Documents {
    /// Reads all files of a policy folder; what lies under `tests/` is no policy and is left alone.
    ///
    /// Give the files with paths relative to that folder: they stand in messages, in decisions and
    /// in the version.
    pub fn parse(files: Vec<SourceFile>) -> Result<Self, Problems> {
        let files = without_tests(files);
        let mut problems = Problems::default();
        let mut contracts = Vec::new();
        let mut agreements = Vec::new();
        let mut policies = Vec::new();
        for file in &files {
            let node = match Node::parse(file) {
                Ok(node) => node,
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            };
            if is_policy(file.path()) {
                policies.push(PolicyDocument::read(&node, &mut problems));
                continue;
            }
            match kind(&node) {
                Ok("DataContract") => {
                    contracts.extend(ContractDocument::read(&node, &mut problems));
                }
                Ok(_) => agreements.extend(AgreementDocument::read(&node, &mut problems)),
                Err(problem) => problems.push(*problem),
            }
        }
        // What a file that could not be read holds is not known to be missing.
        let complete = !problems.has_errors();
        terse::merge(&mut contracts, policies, complete, &mut problems);
        // The order of files in a folder must not show anywhere.
        contracts.sort_by(|a, b| a.id.cmp(&b.id));
        agreements.sort_by(|a, b| a.id.cmp(&b.id));
        let version = policy_version(&files);
        if problems.has_errors() {
            problems.extend(unknown_profiles(&contracts, &agreements));
            problems.sort();
            return Err(problems);
        }
        Ok(Self {
            contracts,
            agreements,
            version,
        })
    }

    /// The version that files make, whether or not they can be read as policies.
    pub fn version_of(files: &[SourceFile]) -> String {
        policy_version(&without_tests(files.to_vec()))
    }

    /// The contracts, sorted by id.
    pub fn contracts(&self) -> impl Iterator<Item = &ContractDocument> {
        self.contracts.iter()
    }

    /// The agreements, sorted by id.
    pub fn agreements(&self) -> impl Iterator<Item = &AgreementDocument> {
        self.agreements.iter()
    }

    /// The contracts that are wanted, with their agreements, and no others.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&ContractDocument) -> bool) -> Self {
        let contracts = self.contracts.iter().filter(|contract| wanted(contract));
        let contracts: Vec<ContractDocument> = contracts.cloned().collect();
        let is_kept = |agreement: &&AgreementDocument| {
            contracts.iter().any(|one| one.id == agreement.contract)
        };
        Self {
            agreements: self.agreements.iter().filter(is_kept).cloned().collect(),
            contracts,
            version: self.version.clone(),
        }
    }

    /// The version of the policy set.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// What documents that could be read say about one another. Compiling checks this too, but it does
/// not come to that when any document could not be read.
fn unknown_profiles(contracts: &[ContractDocument], agreements: &[AgreementDocument]) -> Problems {
    let mut problems = Problems::default();
    for agreement in agreements {
        let contract = contracts
            .iter()
            .find(|contract| contract.id == agreement.contract);
        let Some(access) = contract.and_then(|contract| contract.access.as_ref()) else {
            continue;
        };
        let mut names = access.profiles.iter().map(|profile| profile.name.as_str());
        if !names.clone().any(|name| name == agreement.profile) {
            problems.push(unknown_profile(agreement, &mut names));
        }
    }
    problems
}

/// The files that are policies. Which folder they lie in says nothing of them.
fn without_tests(mut files: Vec<SourceFile>) -> Vec<SourceFile> {
    let common = common_folder(&files);
    files.retain(|file| !is_test(file.path().get(common..).unwrap_or_default()));
    files
}

fn is_test(path: &str) -> bool {
    let mut parts = path.split(['/', '\\']).rev();
    let name = parts.next().unwrap_or(path);
    // Where the folder itself lies does not matter, should somebody give whole paths.
    let mut within = parts.take_while(|part| !matches!(*part, "contracts" | "agreements"));
    name.ends_with(".test.yaml")
        || name.ends_with(".test.yml")
        || within.any(|part| part == "tests")
}

fn kind(node: &Node) -> Result<&'static str, Box<Problem>> {
    let help = "write `kind: DataContract` or `kind: AccessAgreement`; the name of a file with only \
                an access policy ends in `.policy.yaml`";
    let Some(found) = node.get("kind") else {
        let message = if node.as_map().is_some() {
            "the key `kind` is missing".to_owned()
        } else {
            format!(
                "expected a contract or an agreement, found {}",
                node.kind_name()
            )
        };
        return Err(Box::new(node.error(message).with_help(help)));
    };
    let text = found.as_str().unwrap_or_default();
    if let Some(kind) = KINDS.into_iter().find(|kind| *kind == text) {
        return Ok(kind);
    }
    let problem = found.error(format!("documents of the kind `{text}` are not read"));
    Err(Box::new(match nearest(text, KINDS) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(help),
    }))
}
