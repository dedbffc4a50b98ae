//! `scrim policy matrix`.

use scrim_identity::Accounts;
use scrim_model::{Clock, Context, SystemClock};

use super::policy;
use crate::cli::{MatrixFormat, PolicyMatrix};
use crate::local::Local;
use crate::matrix::{self, Question, matrix};
use crate::out::Out;
use crate::outcome::Failure;

/// Prints who sees what.
pub(crate) async fn run(arguments: &PolicyMatrix, out: &mut Out) -> Result<(), Failure> {
    let local = policy::open(&arguments.policies, out).await?;
    let question = question(arguments, &local)?;
    let rows = matrix(&local.policy, &question);
    let text = match arguments.format {
        MatrixFormat::Text => matrix::text(&rows),
        MatrixFormat::Markdown => matrix::markdown(&rows),
        MatrixFormat::Csv => matrix::csv(&rows),
        MatrixFormat::Json => {
            let rows = matrix::json(&rows);
            serde_json::to_string_pretty(&rows).map_err(|error| Failure::failed(&error))?
        }
    };
    Ok(out.line(text.trim_end())?)
}

fn question(arguments: &PolicyMatrix, local: &Local) -> Result<Question, Failure> {
    let identity = &local.config.identity;
    let path = arguments.accounts.as_ref().unwrap_or(&identity.accounts);
    let accounts = scrim_server::load::accounts(path, &identity.attributes)?;
    let named = &arguments.principals;
    if let Some(id) = named.iter().find(|id| accounts.get(id).is_none()) {
        return Err(unknown(id, &accounts, &path.display().to_string()));
    }
    let mut ids: Vec<&str> = accounts.ids().collect();
    ids.retain(|id| named.is_empty() || named.iter().any(|named| named == id));
    let mut principals: Vec<_> = ids
        .iter()
        .filter_map(|id| accounts.get(id))
        .cloned()
        .collect();
    if let Some(org) = &arguments.org {
        principals.retain(|principal| principal.org == *org);
        if principals.is_empty() {
            let message = format!("no such account in {} is of {org}", path.display());
            return Err(Failure::Usage(message));
        }
    }
    if let Some(wanted) = &arguments.table {
        let tables = local.policy.tables().map(|table| &table.name);
        let tables = tables.map(|name| format!("{}.{}", name.schema, name.table));
        let tables: Vec<String> = tables.collect();
        if !tables.contains(wanted) {
            let tables = tables.join(", ");
            let message = format!("there is no table `{wanted}`; there are {tables}");
            return Err(Failure::Usage(message));
        }
    }
    let mut times = arguments.times.clone();
    if times.is_empty() {
        times.push(SystemClock.now());
    }
    let mut contexts = Vec::new();
    for ip in &arguments.ips {
        for time in &times {
            let mut context = Context::at(*time);
            context.ip = Some(*ip);
            context.networks = local.config.networks.containing(*ip);
            contexts.push(context);
        }
    }
    let purposes = if arguments.purposes.is_empty() {
        let all = local.policy.purposes().into_iter();
        all.map(|purpose| Some(purpose.to_owned()))
            .chain([None])
            .collect()
    } else {
        arguments.purposes.iter().cloned().map(Some).collect()
    };
    Ok(Question {
        principals,
        purposes,
        contexts,
        table: arguments.table.clone(),
    })
}

fn unknown(id: &str, accounts: &Accounts, path: &str) -> Failure {
    let known: Vec<_> = accounts.ids().collect();
    Failure::Usage(format!(
        "there is no account `{id}` in {path}; there are {}",
        known.join(", ")
    ))
}
