//! Personas as principals, and their questions to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use scrim_document::{Node, Problem, Problems, SourceFile, Value as Yaml, nearest};
use scrim_engine::Ask;
use scrim_identity::Accounts;
use scrim_model::{Refusal, SessionSettings, TableName};
use scrim_policy::{Decision, PolicySet};

use super::answer::{Answer, Rows};
use super::fixtures::is_named;
use super::format::{Asked, Persona, Placed};
use crate::local::Bench;

/// A world that questions are put to.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) bench: &'a Bench,
    /// The policy set that the engine has loaded.
    pub(super) policy: Arc<PolicySet>,
}

impl Stage<'_> {
    /// The columns of a governed table, whoever sees them.
    pub(super) fn columns(&self, table: &TableName) -> Vec<String> {
        let columns = self.policy.table(table).map(|table| table.columns.iter());
        columns
            .into_iter()
            .flatten()
            .map(|column| column.name.clone())
            .collect()
    }

    /// The columns of the tables that a statement names, whoever sees them.
    pub(super) fn columns_of(&self, decisions: &[Arc<Decision>]) -> BTreeSet<String> {
        let columns = decisions.iter().map(|one| self.columns(&one.table));
        columns.flatten().collect()
    }

    /// The governed table that is meant by a name.
    pub(super) fn table(&self, name: &str) -> Option<&TableName> {
        let mut names = self.policy.tables().map(|table| &table.name);
        names.find(|table| is_named(table, name))
    }
}

/// What a question brought to light.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    /// The decisions on all tables that the statement names.
    pub(super) decisions: Vec<Arc<Decision>>,
    /// The visible columns that it uses of each of these tables; none if it could not be bound.
    pub(super) used: BTreeMap<TableName, BTreeSet<String>>,
}

/// Asks a statement; what the cases before it asked is no part of it.
pub(super) async fn hear(bench: &Bench, ask: &Ask, sql: &str) -> Result<Heard, String> {
    bench.pass_a_minute();
    let bound = match bench.engine.bind(ask, sql, None).await {
        Ok(bound) => bound,
        Err(refusal) => {
            // What was decided is of interest for a refused statement, too; one that is no statement
            // has no decisions.
            let decisions = bench.engine.explain(ask, sql).await.unwrap_or_default();
            return Ok(Heard {
                answer: Answer::Refused(refusal),
                decisions,
                used: BTreeMap::new(),
            });
        }
    };
    let decisions: Vec<Arc<Decision>> = bound.decisions().cloned().collect();
    let used = bound.columns_used();
    let (masks, ordered) = (bound.masks().to_vec(), bound.is_ordered());
    let answer = match bench.engine.start(bound).await {
        Err(refusal) => Answer::Refused(refusal),
        Ok(results) => {
            let schema = results.schema();
            let batches: Result<Vec<_>, Refusal> = results.try_collect().await;
            match batches {
                Err(refusal) => Answer::Refused(refusal),
                Ok(batches) => {
                    let rows = Rows::of(&schema, batches);
                    let mut rows = rows.map_err(|error| error.to_string())?;
                    (rows.masks, rows.ordered) = (masks, ordered);
                    Answer::Rows(rows)
                }
            }
        }
    };
    Ok(Heard {
        answer,
        decisions,
        used,
    })
}

/// What a persona asks with.
///
/// # Errors
/// What is wrong with the persona, where it stands.
pub(super) fn ask(bench: &Bench, asked: &Asked, file: &SourceFile) -> Result<Ask, Problems> {
    let accounts = account(&asked.persona, bench)?;
    let mut context = asked.situation.context.clone();
    if let Some(network) = &asked.situation.network {
        context.ip = Some(address(network, bench, file)?);
    }
    context.queries_last_hour.get_or_insert(0);
    context.rows_last_day.get_or_insert(0);
    let networks = &bench.config.networks;
    context.networks = context
        .ip
        .map(|ip| networks.containing(ip))
        .unwrap_or_default();
    let id = &asked.persona.id;
    let principal = match asked.persona.auth_age {
        Some(age) => {
            let since = context.time - chrono::TimeDelta::seconds(age);
            accounts.vouch_since(id, since)
        }
        None => accounts.vouch(id),
    };
    let missing = || {
        asked
            .persona
            .node
            .error(format!("there is no account `{id}`"))
    };
    Ok(Ask {
        principal: principal.ok_or_else(missing)?,
        context,
        settings: SessionSettings {
            purpose: asked.purpose.clone(),
            agreement: asked.agreement.clone(),
            release: None,
        },
        session: None,
        default_schema: None,
        time_zone: None,
    })
}

/// What is wrong with a persona, whether it asks anything or not.
pub(super) fn check(bench: &Bench, persona: &Persona) -> Problems {
    account(persona, bench).err().unwrap_or_default()
}

fn address(
    network: &Placed<String>,
    bench: &Bench,
    file: &SourceFile,
) -> Result<std::net::IpAddr, Problem> {
    let networks = &bench.config.networks;
    networks.address_in(&network.value).ok_or_else(|| {
        let message = format!("the configuration names no network `{}`", network.value);
        let problem = Problem::error(&network.at, file, message);
        match nearest(&network.value, networks.names()) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem.with_help("add it under `networks` in scrim.yaml"),
        }
    })
}

/// A hash that no password has: personas do not sign in.
const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A persona becomes an account by the same reader as any account, so that its attributes are held
/// to the same declared types.
fn account(persona: &Persona, bench: &Bench) -> Result<Accounts, Problems> {
    let types = &bench.config.identity.attributes;
    let read = |attributes: &str| {
        let text = format!("accounts:\n{}", item(persona, attributes));
        Accounts::parse(&SourceFile::new("persona", text), types)
    };
    let mut attributes = Vec::new();
    for (name, node) in &persona.attributes {
        attributes.push((format!("{}: {}", quoted(name), inline(node)?), node));
    }
    let all: Vec<&str> = attributes.iter().map(|(text, _)| text.as_str()).collect();
    if let Ok(accounts) = read(&all.join(", ")) {
        return Ok(accounts);
    }
    // Bare first and then with one attribute each: what is wrong is told where it stands.
    if let Err(found) = read("") {
        return Err(found
            .iter()
            .map(|problem| retold(problem, &persona.node))
            .collect());
    }
    let mut problems = Problems::default();
    for (text, node) in &attributes {
        if let Err(found) = read(text) {
            problems.extend(found.iter().map(|problem| retold(problem, node)));
        }
    }
    Err(problems)
}

fn retold(problem: &Problem, at: &Node) -> Problem {
    let retold = at.error(problem.message());
    match problem.help() {
        Some(help) => retold.with_help(help),
        None => retold,
    }
}

/// A persona as one of the accounts of a file.
fn item(persona: &Persona, attributes: &str) -> String {
    let optional = |key: &str, value: Option<&String>| {
        value.map_or_else(String::new, |value| format!("{key}: {}, ", quoted(value)))
    };
    format!(
        "  - {{id: {}, org: {}, groups: {}, roles: {}, kind: {}, {}{}attributes: {{{attributes}}}, \
         password_hash: \"{NO_PASSWORD}\"}}\n",
        quoted(&persona.id),
        quoted(&persona.org),
        list(&persona.groups),
        list(&persona.roles),
        persona.kind.as_str(),
        optional("acr", persona.acr.as_ref()),
        optional("on_behalf_of", persona.on_behalf_of.as_ref()),
    )
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

/// Text as JSON has it, which is YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn inline(node: &Node) -> Result<String, Problems> {
    Ok(match node.value() {
        Yaml::Bool(value) => value.to_string(),
        Yaml::Int(value) => value.to_string(),
        Yaml::Float(_, text) => text.to_string(),
        Yaml::Text(text) => quoted(text),
        Yaml::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Yaml::Null | Yaml::Map(_) => {
            let message = format!("an attribute cannot be {}", node.kind_name());
            return Err(node.error(message).into());
        }
    })
}
