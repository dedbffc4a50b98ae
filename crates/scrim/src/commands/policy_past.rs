//! `scrim policy replay` and `scrim policy unused`.

use scrim_ledger::Filter;
use scrim_model::{Clock, SystemClock};
use scrim_policy::Documents;
use scrim_server::load::policy_files;

use crate::cli::{FailOn, PolicyReplay, PolicyUnused};
use crate::local::{Local, read_config};
use crate::out::Out;
use crate::outcome::Failure;
use crate::past::ledger_file;
use crate::past::replay::{Replay, Style};
use crate::past::sets::Sets;
use crate::past::unused::Unused;
use crate::past::usage::Usage;

/// Decides the queries of the ledger again under proposed policies.
pub(crate) async fn replay(arguments: &PolicyReplay, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    let ledger = ledger_file(&config.ledger)?;
    let proposed = read_config(&arguments.config, Some(&arguments.with))?;
    let new = Local::open(proposed).await?;
    for problems in [&new.warnings, &new.left_out] {
        if !problems.is_empty() {
            out.remark(problems.render().trim_end());
        }
    }
    let since = arguments
        .since
        .map(|since| since.instant(SystemClock.now()));
    let filter = Filter {
        since,
        ..Filter::default()
    };
    let replay = Replay::new(Sets::new(config), &new, since, arguments.run);
    let report = Box::pin(replay.of(&ledger, filter)).await?.sorted();
    let style = match (arguments.json, arguments.markdown) {
        (true, _) => Style::Json,
        (false, true) => Style::Markdown,
        (false, false) => Style::Text,
    };
    let text = report.render(style).map_err(|e| Failure::failed(&e))?;
    out.line(text.trim_end())?;
    let fails = match arguments.fail_on {
        None => false,
        Some(FailOn::Widen) => report.widens(),
        Some(FailOn::Any) => report.differs(),
    };
    if fails { Err(Failure::Differs) } else { Ok(()) }
}

/// Tells what nobody used.
pub(crate) async fn unused(arguments: &PolicyUnused, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    let ledger = ledger_file(&config.ledger)?;
    let documents = Documents::parse(policy_files(&config.policies)?)?;
    let local = Local::open(config).await?;
    if !local.left_out.is_empty() {
        out.remark(local.left_out.render().trim_end());
    }
    let now = SystemClock.now();
    let since = arguments.since.map(|since| since.instant(now));
    let filter = Filter {
        since,
        ..Filter::default()
    };
    let usage = Usage::read(&ledger, filter)?;
    let unused = Unused::of(&usage, since, &documents, &local.policy, now.date_naive());
    if arguments.json {
        let text = serde_json::to_string_pretty(&unused.json()).map_err(|e| Failure::failed(&e))?;
        return Ok(out.line(text)?);
    }
    Ok(out.line(unused.text().trim_end())?)
}
