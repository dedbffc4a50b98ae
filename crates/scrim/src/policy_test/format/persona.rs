//! Who asks.

use std::collections::{BTreeMap, BTreeSet};

use scrim_document::{Entry, MapReader, Node, Problems};
use scrim_model::PrincipalKind;

use super::context::{Circumstances, circumstances};
use crate::policy_test::shapes::{PERSONA, WITH};

/// Someone in whose name a case asks.
#[derive(Debug, Clone)]
pub(crate) struct Persona {
    /// The principal's id.
    pub(crate) id: String,
    /// Its organisation.
    pub(crate) org: String,
    /// Its groups.
    pub(crate) groups: Vec<String>,
    /// Its roles.
    pub(crate) roles: Vec<String>,
    /// Person, program or agent.
    pub(crate) kind: PrincipalKind,
    /// How it proved who it is.
    pub(crate) acr: Option<String>,
    /// Seconds since it signed in.
    pub(crate) auth_age: Option<i64>,
    /// For whom it acts.
    pub(crate) on_behalf_of: Option<String>,
    /// Its attributes, as YAML.
    pub(crate) attributes: BTreeMap<String, Node>,
    /// The purpose that it states.
    pub(crate) purpose: Option<String>,
    /// Its circumstances.
    pub(crate) context: Circumstances,
    /// Where it stands.
    pub(crate) node: Node,
}

/// What is different about a persona in one case.
#[derive(Debug, Clone)]
pub(crate) struct With {
    org: Option<String>,
    groups: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    kind: Option<PrincipalKind>,
    acr: Option<String>,
    auth_age: Option<i64>,
    on_behalf_of: Option<String>,
    attributes: BTreeMap<String, Node>,
    node: Node,
}

impl Persona {
    /// The persona as it is in a case.
    #[must_use]
    pub(crate) fn with(&self, with: Option<&With>) -> Self {
        let mut persona = self.clone();
        let Some(with) = with.cloned() else {
            return persona;
        };
        persona.node = with.node;
        persona.org = with.org.unwrap_or(persona.org);
        persona.groups = with.groups.unwrap_or(persona.groups);
        persona.roles = with.roles.unwrap_or(persona.roles);
        persona.kind = with.kind.unwrap_or(persona.kind);
        persona.acr = with.acr.or(persona.acr);
        persona.auth_age = with.auth_age.or(persona.auth_age);
        persona.on_behalf_of = with.on_behalf_of.or(persona.on_behalf_of);
        persona.attributes.extend(with.attributes);
        persona
    }
}

/// Reads the personas of a file, by name.
pub(super) fn personas(entries: &[Entry], problems: &mut Problems) -> BTreeMap<String, Persona> {
    let personas: BTreeMap<String, Persona> = entries
        .iter()
        .filter_map(|entry| Some((entry.name.to_string(), persona(entry, problems)?)))
        .collect();
    let mut ids = BTreeSet::new();
    for persona in personas.values() {
        if !ids.insert(&persona.id) {
            let message = format!("two personas have the id `{}`", persona.id);
            let help = "give each an id of its own; what differs by case is said with the case: `with` \
                        and `context`";
            problems.push(persona.node.error(message).with_help(help));
        }
    }
    personas
}

fn persona(entry: &Entry, problems: &mut Problems) -> Option<Persona> {
    let mut map = MapReader::new(&entry.value, &PERSONA, problems)?;
    let id = map.optional_string("id", problems);
    let purpose = map.optional_string("purpose", problems);
    let context = circumstances(map.optional("context"), problems);
    let org = map.required("org", problems);
    let said = with_of(&entry.value, map, problems);
    Some(Persona {
        id: id.unwrap_or_else(|| entry.name.to_string()),
        org: org.and(said.org)?,
        groups: said.groups.unwrap_or_default(),
        roles: said.roles.unwrap_or_default(),
        kind: said.kind.unwrap_or_default(),
        acr: said.acr,
        auth_age: said.auth_age,
        on_behalf_of: said.on_behalf_of,
        attributes: said.attributes,
        purpose,
        context,
        node: entry.value.clone(),
    })
}

/// Reads what is different about a persona.
pub(super) fn with(node: &Node, problems: &mut Problems) -> Option<With> {
    let map = MapReader::new(node, &WITH, problems)?;
    Some(with_of(node, map, problems))
}

fn with_of(node: &Node, mut map: MapReader<'_>, problems: &mut Problems) -> With {
    let mut texts = |key: &'static str, problems: &mut Problems| {
        map.optional(key)
            .and_then(|node| node.string_list(problems))
    };
    let (groups, roles) = (texts("groups", problems), texts("roles", problems));
    let attributes = match map.optional("attributes") {
        Some(node) => node.map(problems).unwrap_or_default(),
        None => &[],
    };
    let attribute = |entry: &Entry| (entry.name.to_string(), entry.value.clone());
    let with = With {
        org: map.optional_string("org", problems),
        groups,
        roles,
        kind: map.optional("kind").and_then(|node| kind(node, problems)),
        acr: map.optional_string("acr", problems),
        auth_age: map
            .optional("auth_age")
            .and_then(|node| age(node, problems)),
        on_behalf_of: map.optional_string("on_behalf_of", problems),
        attributes: attributes.iter().map(attribute).collect(),
        node: node.clone(),
    };
    map.finish(problems);
    with
}

fn age(node: &Node, problems: &mut Problems) -> Option<i64> {
    // A year is more than any session lasts.
    let age = node.i64(problems)?;
    if !(0..=31_536_000).contains(&age) {
        problems.push(node.error("expected a number of seconds, 0 or more and at most a year"));
        return None;
    }
    Some(age)
}

fn kind(node: &Node, problems: &mut Problems) -> Option<PrincipalKind> {
    let word = node.string(problems)?;
    let kinds = [
        PrincipalKind::Human,
        PrincipalKind::Service,
        PrincipalKind::Agent,
    ];
    let found = kinds.into_iter().find(|kind| kind.as_str() == word);
    if found.is_none() {
        let problem = node.error(format!("`{word}` is no kind of principal"));
        problems.push(problem.with_help("kinds are human, service and agent"));
    }
    found
}
