//! `scrim explain`.

use std::sync::Arc;

use scrim_engine::Ask;
use scrim_identity::Authenticated;
use scrim_model::{Clock, Context, Principal, SessionSettings, SystemClock};
use scrim_policy::Decision;

use super::runtime;
use crate::cli::Explain;
use crate::explain;
use crate::local::{Local, read_config};
use crate::out::Out;
use crate::outcome::Failure;

/// Tells each table's decision for somebody, whether it shows the table or not.
pub(crate) fn run(arguments: &Explain, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    runtime()?.block_on(async {
        let local = Local::open(config).await?;
        if !local.left_out.is_empty() {
            out.remark(local.left_out.render().trim_end());
        }
        let ask = ask(arguments, &local)?;
        let revocations = local.recall_revocations()?;
        if let Some(one) = revocations.of_principal(ask.principal.get()) {
            out.remark(format_args!(
                "scrim: the {} `{}` is revoked since {} ({}): its access is refused, whatever the \
                 policies show",
                one.scope, one.id, one.at, one.reason
            ));
        }
        let decisions = decisions(&local, &ask, &arguments.sql).await?;
        if arguments.json {
            let text = serde_json::to_string_pretty(&decisions).map_err(|e| Failure::failed(&e))?;
            return Ok(out.line(text)?);
        }
        for (index, decision) in decisions.iter().enumerate() {
            if index > 0 {
                out.line("")?;
            }
            let table = local.policy.table(&decision.table);
            let text = explain::decision(decision, table, ask.principal.get());
            out.line(text.trim_end())?;
        }
        Ok(())
    })
}

/// The standing to ask that the account would have.
fn ask(arguments: &Explain, local: &Local) -> Result<Ask, Failure> {
    let mut context = Context::at(arguments.at.unwrap_or_else(|| SystemClock.now()));
    context.ip = Some(arguments.ip);
    context.networks = local.config.networks.containing(arguments.ip);
    Ok(Ask {
        principal: account(local, &arguments.account)?,
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
    let named = local.engine.explain(ask, sql).await;
    let named = named.map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    let mut decisions: Vec<Arc<Decision>> = Vec::new();
    for decision in named {
        // with and without its schema, one table has two names
        if decisions.iter().all(|known| known.table != decision.table) {
            decisions.push(decision);
        }
    }
    if decisions.is_empty() {
        let message = "the statement names no table, so there is nothing to explain";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(decisions)
}
