//! Runs test files through the engine, as their personas.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use scrim_document::{Location, Node, Problem, Problems, SourceFile, Value as Yaml};
use scrim_engine::Ask;
use scrim_identity::Accounts;
use scrim_model::{Refusal, SessionSettings};

use super::answer::Answer;
use super::format::{Case, Persona, TestFile};
use crate::local::Local;
use crate::outcome::Failure;

/// How one case went.
#[derive(Debug)]
pub struct CaseResult {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub location: Location,
    /// What is not as expected; nothing when it passed.
    pub differences: Vec<String>,
}

/// How a run went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
}

impl Summary {
    /// Counts one more case.
    pub fn count(&mut self, result: &CaseResult) {
        if result.differences.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// The test files of a folder of policies, sorted.
pub fn find_files(policies: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = policies.join("tests");
    let unreadable = |error: std::io::Error| {
        Failure::Usage(format!("cannot read {}: {error}", folder.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .to_str()
            .is_some_and(|path| path.ends_with(".test.yaml"))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs the cases of one file that `wanted` says yes to.
pub async fn run_file(
    local: &Local,
    path: &Path,
    shown: &str,
    wanted: &(dyn Fn(&Case) -> bool + Sync),
) -> Result<Vec<CaseResult>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    let source = SourceFile::new(shown, text);
    let file = TestFile::parse(&source)?;
    let accounts = accounts(&file, local)?;
    let mut results = Vec::new();
    for case in file.cases.iter().filter(|case| wanted(case)) {
        results.push(CaseResult {
            name: case.name.clone(),
            location: case.location.clone(),
            differences: run_case(local, &file.personas, &accounts, case).await,
        });
    }
    Ok(results)
}

async fn run_case(
    local: &Local,
    personas: &BTreeMap<String, Persona>,
    accounts: &Accounts,
    case: &Case,
) -> Vec<String> {
    let persona = personas.get(&case.persona);
    let Some(principal) = persona.and_then(|persona| accounts.vouch(&persona.id)) else {
        return vec![format!("there is no persona `{}`", case.persona)];
    };
    let mut context = case.context.clone();
    // what the cases before it asked is no part of a case
    context.queries_last_hour.get_or_insert(0);
    context.rows_last_day.get_or_insert(0);
    local.pass_a_minute();
    context.networks = context
        .ip
        .map(|ip| local.config.networks.containing(ip))
        .unwrap_or_default();
    let ask = Ask {
        principal,
        context,
        settings: SessionSettings {
            purpose: case.purpose.clone(),
            agreement: case.agreement.clone(),
            release: None,
        },
        session: None,
        default_schema: None,
        time_zone: None,
    };
    match answer(local, &ask, &case.sql).await {
        Ok(answer) => answer.differences(&case.expect),
        Err(error) => vec![error],
    }
}

async fn answer(local: &Local, ask: &Ask, sql: &str) -> Result<Answer, String> {
    let results = match local.engine.run(ask, sql, None).await {
        Ok(results) => results,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let schema = results.schema();
    let batches: Result<Vec<_>, Refusal> = results.try_collect().await;
    match batches {
        Ok(batches) => Answer::of(&schema, &batches).map_err(|error| error.to_string()),
        Err(refusal) => Ok(Answer::Refused(refusal)),
    }
}

/// A hash that no password has: personas do not sign in.
const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Personas become accounts by the same reader as any account, so that their attributes are held
/// to the same declared types.
fn accounts(file: &TestFile, local: &Local) -> Result<Accounts, Failure> {
    let types = &local.config.identity.attributes;
    let read = |items: &str| {
        let text = format!("accounts:\n{items}");
        Accounts::parse(&SourceFile::new(file.path.as_str(), text), types)
    };
    let mut problems = Problems::default();
    let mut items = String::new();
    for persona in file.personas.values() {
        // bare first and then with one attribute each: what is wrong is told where it stands
        if let Err(found) = read(&item(persona, "")) {
            problems.extend(found.iter().map(|problem| retold(problem, &persona.node)));
            continue;
        }
        let mut attributes = Vec::new();
        for (name, node) in &persona.attributes {
            let attribute = format!("{}: {}", quoted(name), inline(node)?);
            if let Err(found) = read(&item(persona, &attribute)) {
                problems.extend(found.iter().map(|problem| retold(problem, node)));
            }
            attributes.push(attribute);
        }
        items.push_str(&item(persona, &attributes.join(", ")));
    }
    if problems.has_errors() {
        return Err(problems.into());
    }
    Ok(read(&items)?)
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
    format!(
        "  - {{id: {}, org: {}, groups: {}, roles: {}, kind: {}, attributes: {{{attributes}}}, \
         password_hash: \"{NO_PASSWORD}\"}}\n",
        quoted(&persona.id),
        quoted(&persona.org),
        list(&persona.groups),
        list(&persona.roles),
        persona.kind.as_str(),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use scrim_model::{Clock, SystemClock};

    use super::{find_files, run_file};
    use crate::demo::data::DataOptions;
    use crate::demo::world::{World, WorldOptions};
    use crate::local::{Local, read_config};

    #[tokio::test]
    async fn the_demo_keeps_its_owners_promises() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataOptions {
            scale: 0.1,
            ..DataOptions::default()
        };
        let now = SystemClock.now();
        let world = World::create(folder.path(), WorldOptions { data, port: 0 }, now).unwrap();
        let local = Local::open(read_config(&world.config(), None).unwrap())
            .await
            .unwrap();
        assert!(local.warnings.is_empty(), "{}", local.warnings);
        let files = find_files(&local.config.policies).unwrap();
        assert_eq!(files.len(), 3);
        for file in files {
            let shown = Path::new(file.file_name().unwrap()).display().to_string();
            for case in run_file(&local, &file, &shown, &|_| true).await.unwrap() {
                assert!(
                    case.differences.is_empty(),
                    "{}: {:?}",
                    case.name,
                    case.differences
                );
            }
        }
    }
}
