//! The access policy of a contract: purposes, guards and profiles, as they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scrim_anonymize::{Mask, ParamValue};
use scrim_document::{Entry, Location, MapReader, Node, Problems, Value as Yaml, nearest};
use scrim_model::Limits;

use crate::Showing;
use crate::shapes::{ACCESS, GUARD, LIMITS, PROFILE};

/// Everything that is enforced for one table.
#[derive(Debug, Clone)]
pub(crate) struct AccessPolicy {
    pub(crate) node: Node,
    pub(crate) purposes: Vec<String>,
    /// Groups of recipients that may share pseudonyms (`scope: group:ID` of a mask).
    pub(crate) groups: Vec<String>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) profiles: Vec<Profile>,
}

/// The text of an expression, with its place.
#[derive(Debug, Clone)]
pub(crate) struct ExprText {
    pub(crate) text: Arc<str>,
    pub(crate) node: Node,
}

/// What always holds, for everyone.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) id: String,
    pub(crate) node: Node,
    pub(crate) when: Option<ExprText>,
    pub(crate) rows: Option<ExprText>,
}

/// A way in which rows and columns may be shown.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) rows: Option<ExprText>,
    /// By column or nested path.
    pub(crate) columns: Vec<NamedTreatment>,
    /// By tag.
    pub(crate) tagged: Vec<NamedTreatment>,
    /// Columns named nowhere else.
    pub(crate) default: Showing,
    pub(crate) default_node: Node,
    pub(crate) limits: Limits,
}

/// How something that has a name is shown.
#[derive(Debug, Clone)]
pub(crate) struct NamedTreatment {
    pub(crate) name: String,
    pub(crate) key: Node,
    pub(crate) showing: Showing,
    pub(crate) node: Node,
}

impl ExprText {
    /// Reads an expression; `true` and `false` need no quotes.
    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text: Arc<str> = match node.value() {
            Yaml::Bool(value) => value.to_string().into(),
            _ => node.non_empty_string(problems)?.trim().into(),
        };
        Some(Self {
            text,
            node: node.clone(),
        })
    }

    pub(crate) fn location(&self) -> Location {
        self.node.location()
    }
}

/// Reports a part of the design that this version does not enforce. Leaving it out in silence would
/// show more than its author meant.
fn not_enforced(node: &Node, what: &str, problems: &mut Problems) {
    let message = format!("{what} is not enforced by this version, so the policy set is refused");
    problems.push(
        node.error(message)
            .with_help("remove it, or use a version that enforces it"),
    );
}

/// Reports a key that is there and is not enforced; whether there was one.
fn refused(
    map: &mut MapReader<'_>,
    key: &'static str,
    what: &str,
    problems: &mut Problems,
) -> bool {
    let found = map.optional(key).and_then(|_| map.key(key));
    if let Some(node) = found {
        not_enforced(node, what, problems);
    }
    found.is_some()
}

impl AccessPolicy {
    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        Self::from_map(node, MapReader::new(node, &ACCESS, problems)?, problems)
    }

    /// Reads what is left of a map; the caller has read keys of its own.
    pub(crate) fn from_map(
        node: &Node,
        mut map: MapReader<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let purposes = map.required("purposes", problems);
        let purposes = purposes.and_then(|node| read_purposes(node, problems));
        let groups = match map.optional("groups") {
            Some(node) => node.string_list(problems),
            None => Some(Vec::new()),
        };
        let guards = match map.optional("guards") {
            Some(node) => read_guards(node, problems),
            None => Some(Vec::new()),
        };
        let profiles = map.required("profiles", problems);
        let profiles = profiles.and_then(|node| read_profiles(node, problems));
        refused(
            &mut map,
            "exceptions",
            "`exceptions` (break-glass)",
            problems,
        );
        map.finish(problems);
        Some(Self {
            node: node.clone(),
            purposes: purposes?,
            groups: groups?,
            guards: guards?,
            profiles: profiles?,
        })
    }
}

fn read_purposes(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = node.list(problems)?;
    let mut purposes = Vec::with_capacity(items.len());
    for item in items {
        let purpose = item.non_empty_string(problems)?;
        if purposes.contains(&purpose) {
            problems.push(item.error(format!("the purpose `{purpose}` stands here twice")));
        }
        purposes.push(purpose);
    }
    if purposes.is_empty() {
        problems.push(node.error("the contract serves no purpose, so nobody gets access"));
        return None;
    }
    Some(purposes)
}

fn read_guards(node: &Node, problems: &mut Problems) -> Option<Vec<Guard>> {
    let items = node.list(problems)?;
    let mut seen = BTreeSet::new();
    let mut guards = Vec::with_capacity(items.len());
    for item in items {
        let Some(guard) = read_guard(item, problems) else {
            continue;
        };
        if !seen.insert(guard.id.clone()) {
            problems.push(item.error(format!("the guard `{}` stands here twice", guard.id)));
        }
        guards.push(guard);
    }
    (guards.len() == items.len()).then_some(guards)
}

fn read_guard(node: &Node, problems: &mut Problems) -> Option<Guard> {
    let mut map = MapReader::new(node, &GUARD, problems)?;
    let id = map.string("id", problems);
    let when_node = map.optional("when");
    let when = when_node.map(|node| ExprText::read(node, problems));
    let rows_node = map.optional("rows");
    let rows = rows_node.map(|node| ExprText::read(node, problems));
    let mut obligations = false;
    for obligation in ["step_up", "columns"] {
        let what = format!("`{obligation}` of a guard");
        obligations |= refused(&mut map, obligation, &what, problems);
    }
    map.finish(problems);
    if when_node.is_none() && rows_node.is_none() && !obligations {
        let problem = node.error("the guard guards nothing");
        problems.push(problem.with_help("give it `when` (of the request) or `rows` (of the data)"));
        return None;
    }
    // A clause that could not be read leaves its problem, never a guard without it.
    let when = match when {
        Some(when) => Some(when?),
        None => None,
    };
    let rows = match rows {
        Some(rows) => Some(rows?),
        None => None,
    };
    Some(Guard {
        id: id?,
        node: node.clone(),
        when,
        rows,
    })
}

fn read_profiles(node: &Node, problems: &mut Problems) -> Option<Vec<Profile>> {
    let entries = node.map(problems)?;
    let mut profiles = Vec::with_capacity(entries.len());
    for entry in entries {
        profiles.extend(read_profile(entry, problems));
    }
    (profiles.len() == entries.len()).then_some(profiles)
}

fn read_profile(entry: &Entry, problems: &mut Problems) -> Option<Profile> {
    let node = &entry.value;
    let mut map = MapReader::new(node, &PROFILE, problems)?;
    let rows = map
        .optional("rows")
        .map(|node| ExprText::read(node, problems));
    let columns = match map.optional("columns") {
        Some(node) => read_treatments(node, problems),
        None => Some(Vec::new()),
    };
    let tagged = match map.optional("tagged") {
        Some(node) => read_treatments(node, problems),
        None => Some(Vec::new()),
    };
    let default_node = map.optional("default");
    let default = match default_node {
        Some(node) => read_showing(node, problems),
        None => Some(Showing::Hidden),
    };
    let limits = match map.optional("limits") {
        Some(node) => read_limits(node, problems),
        None => Some(Limits::default()),
    };
    read_release(&mut map, problems);
    map.finish(problems);
    let rows = match rows {
        Some(rows) => Some(rows?),
        None => None,
    };
    Some(Profile {
        name: entry.name.to_string(),
        node: entry.key.clone(),
        rows,
        columns: columns?,
        tagged: tagged?,
        default: default?,
        default_node: default_node.unwrap_or(&entry.key).clone(),
        limits: limits?,
    })
}

/// Accepts `release: rows`; everything else that has to do with releases is not enforced yet.
fn read_release(map: &mut MapReader<'_>, problems: &mut Problems) {
    if let Some(release) = map.optional("release") {
        match release.as_str() {
            Some("rows") => {}
            Some(kind @ ("aggregates" | "private")) => {
                not_enforced(release, &format!("`release: {kind}`"), problems);
            }
            _ => {
                let help = "write `rows`, `aggregates` or `private`";
                problems.push(release.error("unknown release").with_help(help));
            }
        }
    }
    for key in ["entity", "min_entities"] {
        refused(map, key, &format!("`{key}`"), problems);
    }
}

fn read_treatments(node: &Node, problems: &mut Problems) -> Option<Vec<NamedTreatment>> {
    let entries = node.map(problems)?;
    let mut treatments = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(showing) = read_showing(&entry.value, problems) {
            let (key, node) = (entry.key.clone(), entry.value.clone());
            treatments.push(NamedTreatment {
                name: entry.name.to_string(),
                key,
                showing,
                node,
            });
        }
    }
    (treatments.len() == entries.len()).then_some(treatments)
}

fn read_showing(node: &Node, problems: &mut Problems) -> Option<Showing> {
    match node.value() {
        Yaml::Text(text) => match text.as_ref() {
            "clear" => Some(Showing::Clear),
            "hidden" => Some(Showing::Hidden),
            other => {
                let problem = node.error(format!("unknown treatment `{other}`"));
                let help = match nearest(other, ["clear", "hidden"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write `clear`, `hidden` or `{{mask: {other}}}`"),
                };
                problems.push(problem.with_help(help));
                None
            }
        },
        Yaml::Map(entries) => read_mask(node, entries, problems).map(Showing::Masked),
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(..) | Yaml::List(_) => {
            let message = format!("expected a treatment, found {}", node.kind_name());
            let help = "write `clear`, `hidden` or `{mask: NAME}`";
            problems.push(node.error(message).with_help(help));
            None
        }
    }
}

fn read_mask(node: &Node, entries: &[Entry], problems: &mut Problems) -> Option<Mask> {
    let Some(name) = node.get("mask") else {
        problems.push(
            node.error("the key `mask` is missing")
                .with_help("write `{mask: NAME}`"),
        );
        return None;
    };
    // The mask `null` is a word of ours, not YAML's nothing.
    let name_text = if name.is_null() {
        Some("null".to_owned())
    } else {
        name.string(problems)
    };
    let mut parameters = BTreeMap::new();
    let before = problems.len();
    for entry in entries.iter().filter(|entry| &*entry.name != "mask") {
        if let Some(value) = read_parameter(&entry.value, problems) {
            parameters.insert(entry.name.to_string(), value);
        }
    }
    let name_text = name_text?;
    if problems.len() > before {
        return None;
    }
    match Mask::parse(&name_text, &parameters) {
        Ok(mask) => Some(mask),
        Err(error) => {
            problems.push(node.error(error.to_string()));
            None
        }
    }
}

fn read_parameter(node: &Node, problems: &mut Problems) -> Option<ParamValue> {
    Some(match node.value() {
        Yaml::Bool(value) => ParamValue::Bool(*value),
        Yaml::Int(value) => ParamValue::Int(*value),
        Yaml::Float(value, _) => ParamValue::Float(*value),
        Yaml::Text(value) => ParamValue::Text(value.to_string()),
        Yaml::List(items) => {
            let values: Option<Vec<_>> = items
                .iter()
                .map(|item| read_parameter(item, problems))
                .collect();
            ParamValue::List(values?)
        }
        Yaml::Null | Yaml::Map(_) => {
            let message = format!("a parameter of a mask cannot be {}", node.kind_name());
            problems.push(node.error(message));
            return None;
        }
    })
}

fn read_limits(node: &Node, problems: &mut Problems) -> Option<Limits> {
    let mut map = MapReader::new(node, &LIMITS, problems)?;
    let before = problems.len();
    let mut limit = |key: &'static str, problems: &mut Problems| {
        let node = map.optional(key)?;
        let value = u64::try_from(node.i64(problems)?)
            .ok()
            .filter(|value| *value > 0);
        if value.is_none() {
            problems.push(node.error("expected a whole number from 1"));
        }
        value
    };
    let limits = Limits {
        max_rows: limit("max_rows", problems),
        max_bytes: limit("max_bytes", problems),
        queries_per_minute: limit("queries_per_minute", problems),
        concurrent_queries: limit("concurrent_queries", problems),
    };
    map.finish(problems);
    (problems.len() == before).then_some(limits)
}
