//! Agreements: who gets which profile, for what, from when to when.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use scrim_document::{Location, MapReader, Node, Problems, Value as Yaml, nearest};
use scrim_model::Value;

use crate::access::ExprText;
use crate::shapes::{AGREEMENT, CONSUMER, OFFER};
use crate::version::{Requirement, is_patch_of};

/// Names that `agreement.*` has of its own.
const RESERVED_PARAMETERS: [&str; 2] = ["id", "organisation"];

/// Where an agreement is in its life; only an active one gives access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreementStatus {
    /// Asked for.
    Requested,
    /// Granted, not yet in force.
    Approved,
    /// In force.
    Active,
    /// Out of force for now.
    Suspended,
    /// Out of force for good.
    Ended,
}

impl AgreementStatus {
    pub(crate) const ALL: [Self; 5] = [
        Self::Requested,
        Self::Approved,
        Self::Active,
        Self::Suspended,
        Self::Ended,
    ];

    /// The word for it in an agreement.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
        }
    }
}

/// The grant of one profile to one consumer, as its steward wrote it.
#[derive(Debug, Clone)]
pub struct AgreementDocument {
    /// Its id, unique in the policy set.
    pub id: String,
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// The contract's id.
    pub contract: String,
    /// The contract's profile.
    pub profile: String,
    /// The organisation that receives.
    pub organisation: String,
    /// What it may be used for.
    pub purpose: String,
    /// The first day, in UTC.
    pub start: Option<NaiveDate>,
    /// The last day, in UTC.
    pub end: Option<NaiveDate>,
    /// Values for `agreement.*`.
    pub parameters: BTreeMap<String, Value>,
    /// Where it stands.
    pub location: Location,
    pub(crate) requirement: Requirement,
    pub(crate) requirement_text: String,
    pub(crate) who: ExprText,
    pub(crate) when: Option<ExprText>,
    pub(crate) nodes: AgreementNodes,
}

/// Where each part stands, for messages and reasons.
#[derive(Debug, Clone)]
pub(crate) struct AgreementNodes {
    pub(crate) id: Node,
    pub(crate) status: Node,
    pub(crate) contract: Node,
    pub(crate) version: Node,
    pub(crate) profile: Node,
    pub(crate) purpose: Node,
    pub(crate) start: Option<Node>,
    pub(crate) end: Option<Node>,
}

impl AgreementDocument {
    /// The members of `agreement.*`, by full name.
    pub(crate) fn members(&self) -> BTreeMap<String, Value> {
        let parameters = self.parameters.iter();
        let parameters =
            parameters.map(|(name, value)| (format!("agreement.{name}"), value.clone()));
        let own = [
            ("agreement.id", &self.id),
            ("agreement.organisation", &self.organisation),
        ];
        let own = own.map(|(name, text)| (name.to_owned(), Value::Text(text.clone())));
        parameters.chain(own).collect()
    }

    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut map = MapReader::new(node, &AGREEMENT, problems)?;
        // It was read to tell the document from others.
        map.optional("kind");
        if let Some(api) = map.required("apiVersion", problems) {
            check_api_version(api, problems);
        }
        let id = required_text(&mut map, "id", problems);
        let status = map
            .required("status", problems)
            .and_then(|node| read_status(node, problems).map(|status| (status, node.clone())));
        let contract = map.required("contract", problems);
        let contract = contract.and_then(|node| read_contract(node, problems));
        let profile = required_text(&mut map, "profile", problems);
        let consumer = map.required("consumer", problems);
        let consumer = consumer.and_then(|node| read_consumer(node, problems));
        let purpose = required_text(&mut map, "purpose", problems);
        let start = read_date(map.optional("start"), problems);
        let end = read_date(map.optional("end"), problems);
        let when = map
            .optional("when")
            .map(|node| ExprText::read(node, problems));
        let parameters = match map.optional("parameters") {
            Some(node) => read_parameters(node, problems),
            None => Some(BTreeMap::new()),
        };
        map.finish(problems);
        if let (Some(Some((start, _))), Some(Some((end, at)))) = (&start, &end)
            && start > end
        {
            problems.push(at.error(format!("the agreement ends before its start, {start}")));
        }
        let ((id, id_node), (status, status_node)) = (id?, status?);
        let ((profile, profile_node), (purpose, purpose_node)) = (profile?, purpose?);
        let (contract, (organisation, who)) = (contract?, consumer?);
        let (start, end) = (start?.unzip(), end?.unzip());
        let when = match when {
            Some(when) => Some(when?),
            None => None,
        };
        Some(Self {
            id,
            status,
            contract: contract.id,
            profile,
            organisation,
            purpose,
            start: start.0,
            end: end.0,
            parameters: parameters?,
            location: node.location(),
            requirement: contract.requirement,
            requirement_text: contract.requirement_text,
            who,
            when,
            nodes: AgreementNodes {
                id: id_node,
                status: status_node,
                contract: contract.id_node,
                version: contract.version_node,
                profile: profile_node,
                purpose: purpose_node,
                start: start.1,
                end: end.1,
            },
        })
    }
}

fn required_text(
    map: &mut MapReader<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<(String, Node)> {
    let node = map.required(key, problems)?;
    Some((node.non_empty_string(problems)?, node.clone()))
}

fn check_api_version(node: &Node, problems: &mut Problems) {
    let Some(version) = node.string(problems) else {
        return;
    };
    if !is_patch_of(&version, "v0.9.") {
        let message = format!("this is an agreement of version {version}, which is not read");
        problems.push(node.error(message).with_help("write `apiVersion: v0.9.0`"));
    }
}

fn read_status(node: &Node, problems: &mut Problems) -> Option<AgreementStatus> {
    let text = node.string(problems)?;
    let status = AgreementStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == text);
    if status.is_none() {
        let words = AgreementStatus::ALL.map(AgreementStatus::as_str);
        let help = match nearest(&text, words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a status is one of {}", words.join(", ")),
        };
        problems.push(
            node.error(format!("unknown status `{text}`"))
                .with_help(help),
        );
    }
    status
}

/// The contract that an agreement is about.
struct ContractPart {
    id: String,
    id_node: Node,
    requirement: Requirement,
    requirement_text: String,
    version_node: Node,
}

fn read_contract(node: &Node, problems: &mut Problems) -> Option<ContractPart> {
    let mut map = MapReader::new(node, &OFFER, problems)?;
    let id = required_text(&mut map, "id", problems);
    let version = required_text(&mut map, "version", problems);
    map.finish(problems);
    let ((id, id_node), (requirement_text, version_node)) = (id?, version?);
    let Some(requirement) = Requirement::parse(&requirement_text) else {
        let message = format!("`{requirement_text}` does not say which versions");
        let help = "write `^1` (compatible), `~1.2` (patches only), `1.2.3` (that one) or `*`";
        problems.push(version_node.error(message).with_help(help));
        return None;
    };
    Some(ContractPart {
        id,
        id_node,
        requirement,
        requirement_text,
        version_node,
    })
}

fn read_consumer(node: &Node, problems: &mut Problems) -> Option<(String, ExprText)> {
    let mut map = MapReader::new(node, &CONSUMER, problems)?;
    let organisation = map.string("organisation", problems);
    let who = if let Some(who) = map.optional("who") {
        ExprText::read(who, problems)
    } else {
        let help = "for everyone in the organisation write `who: true`";
        problems.push(node.error("the key `who` is missing").with_help(help));
        None
    };
    map.finish(problems);
    Some((organisation?, who?))
}

/// `Some(None)` when there is no date, `None` when there is a problem.
#[expect(
    clippy::option_option,
    reason = "absent and wrong are different things here"
)]
fn read_date(node: Option<&Node>, problems: &mut Problems) -> Option<Option<(NaiveDate, Node)>> {
    let Some(node) = node else { return Some(None) };
    let text = node.string(problems)?;
    // Written back it must be the same: `26-01-01` is a day long before anyone meant it.
    let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok();
    let Some(date) = date.filter(|date| date.to_string() == text) else {
        let message = format!("`{text}` is no date");
        problems.push(
            node.error(message)
                .with_help("write year, month and day, like 2026-12-31"),
        );
        return None;
    };
    Some(Some((date, node.clone())))
}

fn read_parameters(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, Value>> {
    let entries = node.map(problems)?;
    let mut parameters = BTreeMap::new();
    for entry in entries {
        let name = entry.name.to_string();
        let first = |c: char| c.is_ascii_lowercase() || c == '_';
        let rest = |c: char| first(c) || c.is_ascii_digit();
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            problems.push(
                entry
                    .key
                    .error(format!("`agreement.{name}` is already something else")),
            );
        } else if !(name.starts_with(first) && name.chars().all(rest)) {
            let message = format!("`{name}` cannot be written as `agreement.{name}`");
            let help = "use lower-case letters, digits and underscores";
            problems.push(entry.key.error(message).with_help(help));
        } else if let Some(value) = read_value(&entry.value, problems) {
            parameters.insert(name, value);
        }
    }
    (parameters.len() == entries.len()).then_some(parameters)
}

fn read_value(node: &Node, problems: &mut Problems) -> Option<Value> {
    Some(match node.value() {
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Int(value) => Value::Int64(*value),
        Yaml::Float(value, _) => Value::Float64(*value),
        Yaml::Text(value) => Value::Text(value.to_string()),
        Yaml::List(_) => Value::TextList(node.string_list(problems)?),
        Yaml::Null | Yaml::Map(_) => {
            let message = format!("a parameter cannot be {}", node.kind_name());
            let help = "write text, a number, true or false, or a list of texts";
            problems.push(node.error(message).with_help(help));
            return None;
        }
    })
}
