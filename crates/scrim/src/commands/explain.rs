//! `scrim explain`.

use std::sync::Arc;

use scrim_engine::Ask;
use scrim_identity::Authenticated;
use scrim_ledger::Filter;
use scrim_model::{Clock, Context, Principal, QueryId, SessionSettings, SystemClock, TableName};
use scrim_policy::{Decision, LeftOut};
use scrim_server::Config;

use super::runtime;
use crate::cli::Explain;
use crate::explain;
use crate::local::{Local, read_config};
use crate::out::Out;
use crate::outcome::Failure;
use crate::past::record::Told;
use crate::past::sets::Sets;
use crate::past::{damaged, ledger_file};

/// Tells each table's decision for somebody, whether it shows the table or not, or those of a query
/// that was asked.
pub(crate) fn run(arguments: &Explain, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    if let Some(query) = arguments.query {
        return runtime()?.block_on(past(query, config, arguments.json, out));
    }
    let (account, sql) = (&arguments.account, &arguments.sql);
    let (Some(account), Some(sql)) = (account, sql) else {
        let message = "say whose eyes to look through (--as) and at which statement";
        return Err(Failure::Usage(message.to_owned()));
    };
    runtime()?.block_on(async {
        let local = Local::open_as_served(config).await?;
        if !local.left_out.is_empty() {
            out.remark(local.left_out.render().trim_end());
        }
        let ask = ask(arguments, account, &local)?;
        let revocations = local.recall_revocations()?;
        if let Some(one) = revocations.of_principal(ask.principal.get()) {
            out.remark(format_args!(
                "scrim: the {} `{}` is revoked since {} ({}): its access is refused, whatever the \
                 policies show",
                one.scope, one.id, one.at, one.reason
            ));
        }
        let decisions = decisions(&local, &ask, sql).await?;
        if arguments.json {
            let text = serde_json::to_string_pretty(&decisions).map_err(|e| Failure::failed(&e))?;
            return Ok(out.line(text)?);
        }
        for (index, decision) in decisions.iter().enumerate() {
            if index > 0 {
                out.line("")?;
            }
            let text = closed(&local, &decision.table).unwrap_or_else(|| {
                let table = local.policy.table(&decision.table);
                explain::decision(decision, table, ask.principal.get())
            });
            out.line(text.trim_end())?;
        }
        Ok(())
    })
}

/// What is said of a table that is closed because of its source, which was told before.
fn closed(local: &Local, table: &TableName) -> Option<String> {
    let mut closed = local.policy.left_out().iter();
    let LeftOut { contract, .. } = closed.find(|one| one.table == *table)?;
    let (schema, table) = (&table.schema, &table.table);
    Some(format!(
        "{schema}.{table} (contract {contract})\n  Its source is away or is not what the contract says, \
         so for everybody it does not exist."
    ))
}

/// The standing to ask that the account would have.
fn ask(arguments: &Explain, id: &str, local: &Local) -> Result<Ask, Failure> {
    let mut context = Context::at(arguments.at.unwrap_or_else(|| SystemClock.now()));
    context.ip = Some(arguments.ip);
    context.networks = local.config.networks.containing(arguments.ip);
    Ok(Ask {
        principal: account(local, id)?,
        context,
        settings: SessionSettings {
            purpose: arguments.purpose.clone(),
            agreement: arguments.agreement.clone(),
            release: None,
        },
        session: None,
        default_schema: None,
        time_zone: None,
    })
}

fn account(local: &Local, id: &str) -> Result<Authenticated<Principal>, Failure> {
    let identity = &local.config.identity;
    let accounts = scrim_server::load::accounts(&identity.accounts, &identity.attributes)?;
    accounts.vouch(id).ok_or_else(|| {
        let known: Vec<_> = accounts.ids().collect();
        Failure::Usage(format!(
            "there is no account `{id}` in {}; there are {}",
            identity.accounts.display(),
            known.join(", ")
        ))
    })
}

/// One decision for each table that the statement names, as the server would take it.
async fn decisions(local: &Local, ask: &Ask, sql: &str) -> Result<Vec<Arc<Decision>>, Failure> {
    let decisions = local.engine.explain(ask, sql).await;
    let decisions = decisions.map_err(|refusal| match refusal.detail() {
        // The owner may know what a partner may not.
        Some(detail) => Failure::Usage(format!("{refusal}: {detail}")),
        None => Failure::Usage(refusal.to_string()),
    })?;
    if decisions.is_empty() {
        let message = "the statement names no table, so there is nothing to explain";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(decisions)
}

/// Tells what a query of the ledger got and why, or each run of an announced statement.
async fn past(query: QueryId, config: Config, json: bool, out: &mut Out) -> Result<(), Failure> {
    let path = ledger_file(&config.ledger)?;
    let damaged = damaged(&path);
    let filter = Filter {
        query: Some(query),
        ..Filter::default()
    };
    let mut sets = Sets::new(config);
    let mut told = Vec::new();
    let mut broken = None;
    for record in scrim_ledger::read(&path, filter).map_err(&damaged)? {
        let record = match record {
            Ok(record) => record,
            Err(damage) => {
                broken = Some(damaged(damage));
                break;
            }
        };
        let kept = match &record.policy_version {
            Some(version) => sets.get(version).await,
            None => Err("the record does not name it".to_owned()),
        };
        told.push(Told::new(record, kept).map_err(&damaged)?);
    }
    // What stands before the damage is as it was written.
    let whole = broken.map_or(Ok(()), Err);
    if told.is_empty() {
        whole?;
        return Err(Failure::Failed(format!(
            "{} holds no query and no statement {query}",
            path.display()
        )));
    }
    if json {
        let told: Vec<_> = told.iter().map(Told::json).collect();
        let text = serde_json::to_string_pretty(&told).map_err(|e| Failure::failed(&e))?;
        out.line(text)?;
        return whole;
    }
    for (index, told) in told.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        out.line(told.text().trim_end())?;
    }
    whole
}
