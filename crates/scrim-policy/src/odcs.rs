//! Contracts: the part of the Open Data Contract Standard v3.1 that we use.
//!
//! The standard is closed at its top level, and so are we; inside its own sections we read what we
//! need and leave the rest alone, so that a contract may say more than we understand. The one
//! exception is `accessPolicy`, where everything must be understood.

use std::collections::BTreeSet;

use scrim_document::{Location, MapReader, Node, Problem, Problems, Shape, SourceFile, nearest};
use scrim_model::TableName;

use crate::access::AccessPolicy;
use crate::fit::LOGICAL_TYPES;
use crate::relationships::{self, Relationship};
use crate::servers::{KINDS_HELP, Server, Unserved, read_servers};
use crate::shapes::{COLUMN, CONTRACT, CUSTOM, ELEMENT, TABLE};
use crate::version::{Version, is_patch_of};

/// Schemas that the server itself fills.
const RESERVED_DOMAINS: &[&str] = &["information_schema", "lookup"];

/// The offer for one table, as its owner wrote it.
#[derive(Debug, Clone)]
pub struct ContractDocument {
    /// Its id, unique in the policy set.
    pub id: String,
    /// Its semantic version.
    pub version: String,
    /// Its status in the standard's words (`draft`, `active`, …); it does not decide access.
    pub status: String,
    /// The name under which clients see the table.
    pub name: TableName,
    /// The source's own name of the table.
    pub physical_name: String,
    /// What the table is.
    pub description: Option<String>,
    /// The organisation that owns the table (the standard's `tenant`), if the contract says so.
    pub tenant: Option<String>,
    /// Whom to ask for more: the standard's `support`, or the name of its `team`.
    pub contact: Option<String>,
    /// Where the data lies, by environment.
    pub servers: Vec<Server>,
    /// The columns, in order.
    pub properties: Vec<Property>,
    /// Where the contract stands.
    pub location: Location,
    pub(crate) parsed_version: Version,
    pub(crate) access: Option<AccessPolicy>,
    /// Whether the contract itself does not say what is enforced: a file of its own must.
    pub(crate) awaits_access: bool,
    pub(crate) node: Node,
    pub(crate) name_node: Node,
    /// The schema object's id, for references.
    pub(crate) table_id: Option<String>,
    /// Those of the schema object and of its columns.
    pub(crate) relationships: Vec<Relationship>,
    unserved: Vec<Unserved>,
}

/// A column, or a field inside one.
#[derive(Debug, Clone)]
pub struct Property {
    /// The name under which clients see it.
    pub name: String,
    /// The source's own name of it.
    pub physical_name: String,
    /// The standard's logical type, if given.
    pub logical_type: Option<String>,
    /// The source's own type, as the owner wrote it.
    pub physical_type: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// How sensitive it is, in the owner's words.
    pub classification: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether every row has it.
    pub required: bool,
    /// Whether it belongs to the primary key.
    pub primary_key: bool,
    /// Fields, of an object.
    pub properties: Vec<Property>,
    /// The element, of an array.
    pub items: Option<Box<Property>>,
    /// Its id, for references.
    pub(crate) id: Option<String>,
    /// Its place in the primary key, from 1.
    pub(crate) primary_key_position: Option<i64>,
    pub(crate) relationships: Vec<Relationship>,
    pub(crate) node: Node,
}

impl ContractDocument {
    /// The place to read from: the one of the environment, or the first when none is configured.
    pub fn server(&self, environment: Option<&str>) -> Result<&Server, Problem> {
        let fits = |candidate: &Option<String>| {
            environment.is_none() || candidate.as_deref() == environment
        };
        let served = self
            .servers
            .iter()
            .position(|server| fits(&server.environment));
        // The first counts, even when it is one that we cannot read.
        let unserved = self.unserved.iter().find(|server| {
            fits(&server.environment) && served.is_none_or(|index| server.before <= index)
        });
        if let Some(server) = unserved {
            let message = format!("servers of type `{}` are not read", server.kind);
            return Err(server.node.error(message).with_help(KINDS_HELP));
        }
        let found = served.and_then(|index| self.servers.get(index));
        found.ok_or_else(|| {
            let message = match environment {
                Some(environment) => format!("no server for the environment `{environment}`"),
                None => "the contract names no server".to_owned(),
            };
            self.node
                .error(message)
                .with_help("add one under `servers`")
        })
    }

    /// The purposes that it serves, as it names them.
    pub fn purposes(&self) -> &[String] {
        self.access
            .as_ref()
            .map_or(&[], |access| access.purposes.as_slice())
    }

    /// The file of the contract.
    pub fn file(&self) -> &SourceFile {
        self.node.file()
    }

    /// The files that make it: the contract's, and that of its access policy where that is another.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        let access = self.access.iter().map(|access| access.node.file());
        let other = access.filter(|file| file.path() != self.file().path());
        std::iter::once(self.file()).chain(other)
    }

    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut map = MapReader::new(node, &CONTRACT, problems)?;
        // It was read to tell the document from others.
        map.optional("kind");
        if let Some(api) = map.required("apiVersion", problems) {
            check_api_version(api, problems);
        }
        let id = map.string("id", problems);
        let version = map
            .required("version", problems)
            .and_then(|node| read_version(node, problems));
        let status = map.string("status", problems);
        let domain = match map.optional("domain") {
            Some(domain) => read_domain(domain, problems),
            None => Some("public".to_owned()),
        };
        let purpose = map
            .optional("description")
            .and_then(|node| node.get("purpose"));
        let purpose = purpose.and_then(Node::as_str).map(str::to_owned);
        let table = map
            .required("schema", problems)
            .and_then(|node| read_table(node, problems));
        let (servers, unserved) = match map.optional("servers") {
            Some(servers) => read_servers(servers, problems),
            None => (Vec::new(), Vec::new()),
        };
        let access = read_access(map.optional("customProperties"), problems);
        let tenant = optional_text(map.optional("tenant"), problems);
        let contact = read_contact(map.optional("support"), map.optional("team"));
        map.finish(problems);
        let (table, name_node) = table?;
        let version = version?;
        let of_columns = table.properties.iter().flat_map(|p| &p.relationships);
        let relationships = of_columns.chain(&table.relationships).cloned().collect();
        Some(Self {
            id: id?,
            version: version.to_string(),
            status: status?,
            name: TableName::new(domain?, table.name),
            physical_name: table.physical_name,
            description: table.description.or(purpose),
            tenant,
            contact,
            servers,
            properties: table.properties,
            location: node.location(),
            parsed_version: version,
            awaits_access: matches!(access, Access::Elsewhere),
            access: match access {
                Access::Here(policy) => Some(policy),
                Access::Broken | Access::Elsewhere => None,
            },
            node: node.clone(),
            name_node,
            table_id: table.id,
            relationships,
            unserved,
        })
    }
}

/// Whom to ask, as the standard writes it; what is written otherwise is left alone.
fn read_contact(support: Option<&Node>, team: Option<&Node>) -> Option<String> {
    let text = |node: &Node, key: &str| {
        let text = node.get(key).and_then(Node::as_str)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let way = |channel: &Node| match (text(channel, "channel"), text(channel, "url")) {
        (Some(name), Some(url)) => Some(format!("{name}: {url}")),
        (name, url) => name.or(url),
    };
    let ways = support.and_then(Node::as_list).unwrap_or_default();
    let ways: Vec<String> = ways.iter().filter_map(way).collect();
    if !ways.is_empty() {
        return Some(ways.join("; "));
    }
    text(team?, "name")
}

fn check_api_version(node: &Node, problems: &mut Problems) {
    let Some(version) = node.string(problems) else {
        return;
    };
    if !is_patch_of(&version, "v3.1.") {
        let message = format!("this is ODCS {version}, which is not read");
        problems.push(node.error(message).with_help("write `apiVersion: v3.1.0`"));
    }
}

fn read_version(node: &Node, problems: &mut Problems) -> Option<Version> {
    let text = node.string(problems)?;
    let version = Version::parse(&text);
    if version.is_none() {
        let message = format!("`{text}` is no semantic version");
        problems.push(
            node.error(message)
                .with_help("write three numbers, like 1.0.0"),
        );
    }
    version
}

fn read_domain(node: &Node, problems: &mut Problems) -> Option<String> {
    let domain = node.non_empty_string(problems)?;
    if RESERVED_DOMAINS.contains(&domain.to_lowercase().as_str()) {
        problems.push(node.error(format!("the domain `{domain}` is reserved for the server")));
        return None;
    }
    Some(domain)
}

/// The one schema object.
struct TableObject {
    name: String,
    physical_name: String,
    description: Option<String>,
    properties: Vec<Property>,
    id: Option<String>,
    relationships: Vec<Relationship>,
}

fn read_table(node: &Node, problems: &mut Problems) -> Option<(TableObject, Node)> {
    let objects = node.list(problems)?;
    let [object] = objects else {
        let at = objects.get(1).unwrap_or(node);
        let message = format!("expected one schema object, found {}", objects.len());
        problems.push(
            at.error(message)
                .with_help("write a contract for each table"),
        );
        return None;
    };
    let mut map = MapReader::new(object, &TABLE, problems)?;
    let name_node = map.required("name", problems)?;
    let name = name_node.non_empty_string(problems)?;
    let physical_name = map.optional_string("physicalName", problems);
    let description = optional_text(map.optional("description"), problems);
    let properties = map.required("properties", problems)?;
    let properties = read_properties(properties, problems)?;
    let physical_name = physical_name.unwrap_or_else(|| name.clone());
    let id = map.optional_string("id", problems);
    let relationships = relationships::of_table(map.optional("relationships"), problems);
    Some((
        TableObject {
            name,
            physical_name,
            description,
            properties,
            id,
            relationships,
        },
        name_node.clone(),
    ))
}

/// Text that may be missing or null, as the standard's examples have it.
fn optional_text(node: Option<&Node>, problems: &mut Problems) -> Option<String> {
    node.filter(|node| !node.is_null())?.string(problems)
}

fn read_properties(node: &Node, problems: &mut Problems) -> Option<Vec<Property>> {
    let items = node.list(problems)?;
    let mut seen = BTreeSet::new();
    let mut properties = Vec::with_capacity(items.len());
    for item in items {
        let Some(property) = read_property(item, None, problems) else {
            continue;
        };
        if !seen.insert(property.name.clone()) {
            let message = format!("the property `{}` stands here twice", property.name);
            problems.push(property.node.error(message));
        }
        properties.push(property);
    }
    (properties.len() == items.len()).then_some(properties)
}

fn read_property(node: &Node, name: Option<&str>, problems: &mut Problems) -> Option<Property> {
    // The element of an array needs no name.
    let shape = if name.is_some() { &ELEMENT } else { &COLUMN };
    let mut map = MapReader::new(node, shape, problems)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => map.string("name", problems)?,
    };
    let physical_name = map.optional_string("physicalName", problems);
    let properties = match map.optional("properties") {
        Some(node) => read_properties(node, problems)?,
        None => Vec::new(),
    };
    let items = match map.optional("items") {
        Some(node) => Some(Box::new(read_property(node, Some("[]"), problems)?)),
        None => None,
    };
    let relationships = relationships::of_property(&name, map.optional("relationships"), problems);
    Some(Property {
        physical_name: physical_name.unwrap_or_else(|| name.clone()),
        name,
        logical_type: map
            .optional("logicalType")
            .and_then(|node| read_logical_type(node, problems)),
        physical_type: map.optional_string("physicalType", problems),
        description: optional_text(map.optional("description"), problems),
        classification: optional_text(map.optional("classification"), problems),
        tags: map.optional_string_list("tags", problems),
        required: map.optional_bool("required", problems).unwrap_or(false),
        primary_key: map.optional_bool("primaryKey", problems).unwrap_or(false),
        properties,
        items,
        id: map.optional_string("id", problems),
        // The standard writes -1 for "not said".
        primary_key_position: map
            .optional_i64("primaryKeyPosition", problems)
            .filter(|position| *position != -1),
        relationships,
        node: node.clone(),
    })
}

fn read_logical_type(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.non_empty_string(problems)?;
    if LOGICAL_TYPES.contains(&text.as_str()) {
        return Some(text);
    }
    let problem = node.error(format!("`{text}` is no logical type"));
    problems.push(match nearest(&text, LOGICAL_TYPES) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(format!(
            "the standard's are {}; the source's own type is its `physicalType`",
            LOGICAL_TYPES.join(", ")
        )),
    });
    None
}

/// The value of a custom property, with its entry; a problem when it stands there twice.
pub(crate) fn custom_property<'a>(
    node: Option<&'a Node>,
    shape: &'static Shape,
    name: &str,
    problems: &mut Problems,
) -> Option<(&'a Node, &'a Node)> {
    let name = shape.key(name)?.name;
    let entries = node?.list(problems)?;
    let mut found = None;
    for entry in entries {
        if entry.get("property").and_then(Node::as_str) != Some(name) {
            continue;
        }
        if found.is_some() {
            problems.push(entry.error(format!("the custom property `{name}` stands here twice")));
            continue;
        }
        match entry.get("value") {
            Some(value) => found = Some((entry, value)),
            None => problems.push(entry.error("the key `value` is missing")),
        }
    }
    found
}

/// What a contract says of what is enforced.
enum Access {
    /// All of it.
    Here(AccessPolicy),
    /// Something with mistakes, which have been reported.
    Broken,
    /// Nothing.
    Elsewhere,
}

/// Reads what the contract itself says of what is enforced.
fn read_access(custom: Option<&Node>, problems: &mut Problems) -> Access {
    let before = problems.len();
    match custom_property(custom, &CUSTOM, "accessPolicy", problems) {
        Some((_, value)) => match AccessPolicy::read(value, problems) {
            Some(policy) => Access::Here(policy),
            None => Access::Broken,
        },
        None if problems.len() > before => Access::Broken,
        None => Access::Elsewhere,
    }
}
