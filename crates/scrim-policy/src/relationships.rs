//! Keys between tables, as ODCS v3.1 writes them: `relationships` of a property or of the schema
//! object, each with references by names (`patients.patient_id`) or by ids
//! (`schema/patients_tbl/properties/patient_id_pk`), in this contract or in the file before a `#`.

use scrim_document::{MapReader, Node, Problems, Shape};

use crate::shapes::{COLUMN_KEY, TABLE_KEY};

/// The one type of relationship that the standard has.
const FOREIGN_KEY: &str = "foreignKey";

/// Columns that refer to columns of another table, as the owner wrote it; not yet looked up.
#[derive(Debug, Clone)]
pub(crate) struct Relationship {
    /// The referring columns.
    pub(crate) from: Start,
    /// What they refer to, in the same order.
    pub(crate) to: Vec<Reference>,
    pub(crate) node: Node,
}

/// Where a relationship starts.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// At the column that it is written at.
    Column(String),
    /// At the columns that it names.
    References(Vec<Reference>),
}

/// One column, as a relationship names it.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// The file of another contract, relative to this one's.
    pub(crate) file: Option<String>,
    pub(crate) target: Target,
    pub(crate) node: Node,
}

/// The two notations of the standard.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// `table.column`, by names.
    Names(Vec<String>),
    /// `schema/TABLE/properties/COLUMN`, by ids.
    Ids {
        /// The schema object's id.
        table: String,
        /// The property's id, and those of the fields inside it.
        path: Vec<String>,
    },
}

/// Reads the relationships of a property.
pub(crate) fn of_property(
    column: &str,
    node: Option<&Node>,
    problems: &mut Problems,
) -> Vec<Relationship> {
    read_all(node, &COLUMN_KEY, problems, |map, problems| {
        if let Some(key) = map.key("from") {
            problems.push(
                key.error("a property's relationship starts at the property")
                    .with_help("leave `from` out, or write it under the schema object"),
            );
            return None;
        }
        Some(Start::Column(column.to_owned()))
    })
}

/// Reads the relationships of the schema object.
pub(crate) fn of_table(node: Option<&Node>, problems: &mut Problems) -> Vec<Relationship> {
    read_all(node, &TABLE_KEY, problems, |map, problems| {
        let from = map.required("from", problems)?;
        references(from, problems).map(Start::References)
    })
}

fn read_all<'a>(
    node: Option<&'a Node>,
    shape: &'static Shape,
    problems: &mut Problems,
    mut from: impl FnMut(&mut MapReader<'a>, &mut Problems) -> Option<Start>,
) -> Vec<Relationship> {
    let items = node
        .filter(|node| !node.is_null())
        .and_then(|node| node.list(problems))
        .unwrap_or_default();
    items
        .iter()
        .filter_map(|item| read(item, shape, problems, &mut from))
        .collect()
}

fn read<'a>(
    node: &'a Node,
    shape: &'static Shape,
    problems: &mut Problems,
    from: &mut impl FnMut(&mut MapReader<'a>, &mut Problems) -> Option<Start>,
) -> Option<Relationship> {
    let mut map = MapReader::new(node, shape, problems)?;
    let kind = map.optional_string("type", problems);
    if kind.is_some_and(|kind| kind != FOREIGN_KEY) {
        // Whatever else two tables have to do with one another is no key.
        return None;
    }
    let from = from(&mut map, problems);
    let to_node = map.required("to", problems)?;
    let to = references(to_node, problems);
    let (from, to) = (from?, to?);
    let (one, count) = match &from {
        Start::Column(_) => (true, 1),
        Start::References(list) => (is_one(map.optional("from")), list.len()),
    };
    if one != is_one(Some(to_node)) {
        problems.push(
            to_node
                .error("`from` and `to` are not of the same form")
                .with_help("write one column on both sides, or a list on both"),
        );
        return None;
    }
    if count != to.len() {
        let message = format!("`from` names {count} columns, `to` names {}", to.len());
        problems.push(to_node.error(message));
        return None;
    }
    let node = node.clone();
    Some(Relationship { from, to, node })
}

fn is_one(node: Option<&Node>) -> bool {
    node.is_some_and(|node| node.as_list().is_none())
}

fn references(node: &Node, problems: &mut Problems) -> Option<Vec<Reference>> {
    let Some(items) = node.as_list() else {
        return Some(vec![reference(node, problems)?]);
    };
    if items.is_empty() {
        problems.push(node.error("expected columns, found none"));
        return None;
    }
    let read: Vec<_> = items
        .iter()
        .filter_map(|item| reference(item, problems))
        .collect();
    (read.len() == items.len()).then_some(read)
}

fn reference(node: &Node, problems: &mut Problems) -> Option<Reference> {
    let text = node.non_empty_string(problems)?;
    let (file, path) = match text.split_once('#') {
        Some((file, path)) => (Some(file.trim()), path),
        None => (None, text.as_str()),
    };
    let Some(target) = target(path.trim()) else {
        problems.push(
            node.error(format!("`{text}` names no column"))
                .with_help("write `table.column`, or `schema/ID/properties/ID`"),
        );
        return None;
    };
    Some(Reference {
        file: file.filter(|file| !file.is_empty()).map(str::to_owned),
        target,
        node: node.clone(),
    })
}

fn target(path: &str) -> Option<Target> {
    if !path.contains('/') {
        let names: Vec<String> = path.split('.').map(str::to_owned).collect();
        let complete = names.len() > 1 && names.iter().all(|name| !name.is_empty());
        return complete.then_some(Target::Names(names));
    }
    let mut parts = path.trim_start_matches('/').split('/');
    if parts.next() != Some("schema") {
        return None;
    }
    let table = parts.next().filter(|id| !id.is_empty())?.to_owned();
    let mut ids = Vec::new();
    while let Some(section) = parts.next() {
        let id = parts.next().filter(|id| !id.is_empty())?;
        if section != "properties" {
            return None;
        }
        ids.push(id.to_owned());
    }
    (!ids.is_empty()).then_some(Target::Ids { table, path: ids })
}
