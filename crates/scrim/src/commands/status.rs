//! `scrim status`.

use scrim_server::admin;

use super::policy_versions::{short, when, why};
use super::{revoke, runtime};
use crate::admin::Admin;
use crate::cli::Status;
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::text;

/// Asks a server how it is, and tells.
pub(crate) fn run(arguments: &Status, out: &mut Out) -> Result<(), Failure> {
    let status =
        runtime()?.block_on(async { Admin::connect(&arguments.server).await?.status().await })?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&status).map_err(|e| Failure::failed(&e))?;
        return Ok(out.line(text)?);
    }
    tell(&status, out)
}

fn tell(status: &admin::Status, out: &mut Out) -> Result<(), Failure> {
    let admin::Status {
        server,
        policies,
        sessions,
        streams,
        revocations,
        ledger,
    } = status;
    let to = out.results();
    writeln!(
        to,
        "server    {server}, {sessions} sessions, {streams} open results"
    )?;
    tell_policies(policies, to)?;
    for (at, revocation) in revocations.iter().enumerate() {
        let name = if at == 0 { "REVOKED" } else { "" };
        writeln!(to, "{name:<9} {}", revoke::line(revocation))?;
    }
    let health = if ledger.healthy { "" } else { ", NOT WRITABLE" };
    writeln!(
        to,
        "ledger    {} entries, head {}{health}",
        ledger.entries, ledger.head
    )?;
    Ok(to.flush()?)
}

fn tell_policies(
    policies: &admin::PolicyStatus,
    to: &mut (dyn std::io::Write + Send),
) -> std::io::Result<()> {
    let cause = why(policies.cause, policies.by.as_deref());
    let since = when(policies.since);
    writeln!(to, "policies  {} since {since} ({cause})", policies.version)?;
    if let Some(folder) = &policies.folder {
        let folder = short(folder);
        writeln!(
            to,
            "          ROLLBACK in force: the folder says {folder}, which counts when it changes"
        )?;
    }
    let tables = policies.tables.join(", ");
    writeln!(to, "tables    {} served: {tables}", policies.tables.len())?;
    for left_out in &policies.left_out {
        writeln!(to, "          {} is LEFT OUT:", left_out.table)?;
        for problem in &left_out.problems {
            writeln!(to, "            {}", text::printable(problem))?;
        }
    }
    if let Some(refused) = &policies.refused {
        let cause = why(refused.cause, refused.by.as_deref());
        let version = refused.version.as_deref().map_or("unreadable", short);
        let at = when(refused.at);
        writeln!(
            to,
            "refused   {version} at {at} ({cause}); what is in force stays:"
        )?;
        for problem in &refused.problems {
            writeln!(to, "            {}", text::printable(problem))?;
        }
    }
    Ok(())
}
