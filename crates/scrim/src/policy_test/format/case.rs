//! Questions with what their answers must be.

use std::collections::{BTreeMap, BTreeSet};

use scrim_document::{Location, MapReader, Node, Problem, Problems, nearest};

use super::context::{self, Situation, circumstances};
use super::expect::{Expect, expect};
use super::persona::{self, Persona, With};
use super::{Placed, texts};
use crate::policy_test::shapes::CASE;

/// One question with what its answer must be.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    /// In whose names it is asked: keys of the personas.
    pub(crate) personas: Vec<String>,
    /// The statement; none when only tables are looked at.
    pub(crate) sql: Option<String>,
    /// What must hold.
    pub(crate) expect: Expect,
    /// Where it stands.
    pub(crate) location: Location,
    /// The one agreement that is acted under.
    pub(crate) agreement: Option<Placed<String>>,
    with: Option<With>,
    purpose: Option<String>,
    own: context::Circumstances,
    at: Option<context::Circumstances>,
    base: Situation,
    default_purpose: Option<String>,
}

/// How a persona asks a case.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The persona, as it is in this case.
    pub(crate) persona: Persona,
    /// The circumstances.
    pub(crate) situation: Situation,
    /// The purpose that is stated.
    pub(crate) purpose: Option<String>,
    /// The one agreement to act under.
    pub(crate) agreement: Option<String>,
}

impl Case {
    /// How a persona asks it: the case's own words beat the persona's, which beat the file's.
    pub(crate) fn asked(&self, persona: &Persona) -> Asked {
        let mut situation = self.base.clone();
        persona.context.apply(&mut situation);
        if let Some(at) = &self.at {
            at.apply(&mut situation);
        }
        self.own.apply(&mut situation);
        let purpose = self.purpose.clone().or_else(|| persona.purpose.clone());
        Asked {
            persona: persona.with(self.with.as_ref()),
            situation,
            purpose: purpose.or_else(|| self.default_purpose.clone()),
            agreement: self.agreement.as_ref().map(|one| one.value.clone()),
        }
    }
}

/// What cases are read with.
pub(super) struct Reader<'a> {
    pub(super) situation: &'a Situation,
    pub(super) purpose: Option<&'a str>,
    pub(super) personas: &'a BTreeMap<String, Persona>,
}

impl Reader<'_> {
    pub(super) fn cases(&self, nodes: &[Node], problems: &mut Problems) -> Vec<Case> {
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for node in nodes {
            let Some(case) = self.case(node, problems) else {
                continue;
            };
            if !names.insert(case.name.clone()) {
                problems.push(node.error(format!("the case `{}` stands here twice", case.name)));
            }
            cases.push(case);
        }
        for case in &cases {
            self.check_others(case, nodes, &names, problems);
        }
        cases
    }

    fn case(&self, node: &Node, problems: &mut Problems) -> Option<Case> {
        let mut map = MapReader::new(node, &CASE, problems)?;
        let name = map.string("name", problems);
        let personas = map.required("as", problems);
        let personas = personas.map(|node| texts(node, problems));
        let with = map.optional("with");
        let with = with.and_then(|node| persona::with(node, problems));
        let purpose = map.optional_string("purpose", problems);
        let agreement = map.optional("agreement");
        let agreement =
            agreement.and_then(|node| Some(Placed::new(node, node.non_empty_string(problems)?)));
        let at = map
            .optional("at")
            .and_then(|node| context::time(node, problems));
        let own = circumstances(map.optional("context"), problems);
        let sql = map.optional_string("sql", problems);
        let expected = map.required("expect", problems);
        let expect = expected.and_then(|node| expect(node, problems));
        map.finish(problems);
        let personas = personas?;
        if personas.is_empty() {
            let problem = node.error("nobody asks");
            problems.push(problem.with_help("name one persona or several under `as`"));
        }
        let personas = self.known(personas, problems)?;
        let (expect, expected) = (expect?, expected?);
        if let Some(problem) = misplaced(node, expected, sql.is_some(), &expect) {
            problems.push(problem);
        }
        Some(Case {
            name: name?,
            personas,
            sql,
            expect,
            location: node.location(),
            agreement,
            with,
            purpose,
            own,
            at: at.map(context::at),
            base: self.situation.clone(),
            default_purpose: self.purpose.map(str::to_owned),
        })
    }

    /// The personas of these names, which must be there.
    fn known(&self, names: Vec<Placed<String>>, problems: &mut Problems) -> Option<Vec<String>> {
        let before = problems.len();
        for name in &names {
            if !self.personas.contains_key(&name.value) {
                problems.push(self.unknown(name));
            }
        }
        let known = !names.is_empty() && problems.len() == before;
        known.then(|| names.into_iter().map(|name| name.value).collect())
    }

    fn unknown(&self, name: &Placed<String>) -> Problem {
        // Any node of the file knows its text.
        let file = self
            .personas
            .values()
            .next()
            .map(|persona| persona.node.file());
        let empty = scrim_document::SourceFile::new(std::sync::Arc::clone(&name.at.file), "");
        let message = format!("there is no persona `{}` in this file", name.value);
        let problem = Problem::error(&name.at, file.unwrap_or(&empty), message);
        match nearest(&name.value, self.personas.keys().map(String::as_str)) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem.with_help("add it under `personas`"),
        }
    }

    /// Checks the other personas and cases that a case speaks of.
    fn check_others(
        &self,
        case: &Case,
        nodes: &[Node],
        names: &BTreeSet<String>,
        problems: &mut Problems,
    ) {
        for persona in case.expect.other_personas() {
            if !self.personas.contains_key(&persona.value) {
                problems.push(self.unknown(persona));
            }
        }
        let alone = |other: &&Placed<String>| case.personas == [other.value.clone()];
        if let (Some(same), Some(node)) = (case.expect.same_as.iter().find(alone), nodes.first()) {
            let message = format!("`{}` is compared with itself", same.value);
            problems.push(Problem::error(&same.at, node.file(), message));
        }
        let Some(other) = &case.expect.subset_of else {
            return;
        };
        if names.contains(&other.value) && other.value != case.name {
            return;
        }
        let message = format!("there is no other case `{}` in this file", other.value);
        let Some(file) = nodes.first().map(Node::file) else {
            return;
        };
        let problem = Problem::error(&other.at, file, message);
        problems.push(
            match nearest(&other.value, names.iter().map(String::as_str)) {
                Some(near) if near != case.name => {
                    problem.with_help(format!("did you mean `{near}`?"))
                }
                Some(_) | None => problem,
            },
        );
    }
}

/// What needs a statement stands beside one, and what needs none stands alone.
fn misplaced(case: &Node, expected: &Node, has_sql: bool, expect: &Expect) -> Option<Problem> {
    let (of_answer, of_tables) = (expect.is_of_answer(), expect.is_of_tables());
    match (has_sql, of_answer, of_tables) {
        (false, true, _) => {
            let problem = case.error("the key `sql` is missing");
            Some(problem.with_help("only `sees` and `denied` are expected without a statement"))
        }
        (true, false, true) => {
            let problem = expected.error("nothing is expected of the statement");
            Some(problem.with_help("leave out `sql`, or say what its answer is"))
        }
        // The reader of expectations has said so already.
        (true, true, _) | (false, false, true) | (_, false, false) => None,
    }
}
