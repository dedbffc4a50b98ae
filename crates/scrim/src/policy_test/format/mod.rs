//! From YAML to test cases. The keys are those of `shapes`.

mod case;
mod context;
mod expect;
mod persona;
mod seen;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::policy_test::shapes::TEST;
use scrim_document::{Location, MapReader, Node, Problems, SourceFile};

pub(crate) use case::{Asked, Case};
pub(crate) use context::Situation;
pub(crate) use expect::{Columns, Count, DecisionExpect, Expect, Refused, Shown, VERDICTS};
pub(crate) use persona::Persona;
pub(crate) use seen::{SeenColumn, SeenColumns, SeenTable};
pub(crate) use tables::{Cell, Form, TableFixture};

/// One test file.
#[derive(Debug, Clone)]
pub(crate) struct TestFile {
    /// Its path as shown.
    pub(crate) path: String,
    /// Rows in the place of governed tables, by the name that is written.
    pub(crate) tables: BTreeMap<String, TableFixture>,
    /// Rows in the place of look-up tables, by name.
    pub(crate) lookups: BTreeMap<String, TableFixture>,
    /// The people in it, by name.
    pub(crate) personas: BTreeMap<String, Persona>,
    /// Its cases, in order.
    pub(crate) cases: Vec<Case>,
}

/// Something that was written in a place.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    /// Where it stands.
    pub(crate) at: Location,
    /// What it is.
    pub(crate) value: T,
}

impl<T> Placed<T> {
    /// What stands at a node.
    pub(super) fn new(node: &Node, value: T) -> Self {
        Self {
            at: node.location(),
            value,
        }
    }
}

impl TestFile {
    /// Reads a test file.
    ///
    /// # Errors
    /// All problems of the file.
    pub(crate) fn parse(file: &SourceFile) -> Result<Self, Problems> {
        let root = Node::parse(file)?;
        let mut problems = Problems::default();
        let parsed = read_file(&root, file, &mut problems);
        match parsed {
            Some(parsed) if !problems.has_errors() => Ok(parsed),
            Some(_) | None => Err(problems),
        }
    }

    /// Whether anything stands in the place of sources.
    pub(crate) fn has_fixtures(&self) -> bool {
        !self.tables.is_empty() || !self.lookups.is_empty()
    }
}

fn read_file(root: &Node, file: &SourceFile, problems: &mut Problems) -> Option<TestFile> {
    let mut map = MapReader::new(root, &TEST, problems)?;
    if let Some(kind) = map.required("kind", problems)
        && kind.as_str() != Some("PolicyTest")
    {
        let problem = kind.error("this is no policy test");
        problems.push(problem.with_help("write `kind: PolicyTest`"));
    }
    let at = map.required("at", problems);
    let at = at.and_then(|node| context::time(node, problems));
    let context = context::circumstances(map.optional("context"), problems);
    let purpose = map.optional_string("purpose", problems);
    let tables = tables::fixtures(map.optional("tables"), problems);
    let lookups = tables::fixtures(map.optional("lookups"), problems);
    let personas = map.required("personas", problems);
    let personas = personas.and_then(|node| node.map(problems));
    let cases = map.required("cases", problems);
    let cases = cases.and_then(|node| node.list(problems));
    map.finish(problems);
    let personas = persona::personas(personas?, problems);
    let mut situation = Situation::at(at?);
    context.apply(&mut situation);
    let reader = case::Reader {
        situation: &situation,
        purpose: purpose.as_deref(),
        personas: &personas,
    };
    let cases = reader.cases(cases?, problems);
    Some(TestFile {
        path: file.path().to_owned(),
        tables,
        lookups,
        personas,
        cases,
    })
}

/// One text, or a list of texts, each with its place.
fn texts(node: &Node, problems: &mut Problems) -> Vec<Placed<String>> {
    let items = match node.as_list() {
        Some(items) => items,
        None => std::slice::from_ref(node),
    };
    let text = |item: &Node| {
        let text = item.non_empty_string(problems)?;
        Some(Placed::new(item, text))
    };
    items.iter().filter_map(text).collect()
}

/// A list of texts, each with its place; none if it is not there.
fn text_list(node: Option<&Node>, problems: &mut Problems) -> Vec<Placed<String>> {
    let Some(node) = node else {
        return Vec::new();
    };
    match node.list(problems) {
        Some(_) => texts(node, problems),
        None => Vec::new(),
    }
}
