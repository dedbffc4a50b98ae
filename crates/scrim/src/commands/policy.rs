//! `scrim policy`.

use super::{lint, policy_compare, policy_matrix, policy_past, policy_versions, runtime, shadow};
use crate::cli::{Policy, PolicyFolder, PolicyTest, TestFormat};
use crate::local::{Bench, Local, find_config, read_config};
use crate::out::Out;
use crate::outcome::Failure;
use crate::policy_test::report::{self, CoverageReport, Report};
use crate::policy_test::{self, Options};

/// Checks or tests policies, changes what is in force, or looks at what it did.
pub(crate) fn run(command: &Policy, out: &mut Out) -> Result<(), Failure> {
    match command {
        Policy::Check(folder) => runtime()?.block_on(check(folder, out)),
        Policy::Test(arguments) => runtime()?.block_on(test(arguments, out)),
        Policy::Replay(arguments) => runtime()?.block_on(policy_past::replay(arguments, out)),
        Policy::Unused(arguments) => runtime()?.block_on(policy_past::unused(arguments, out)),
        Policy::Lint(arguments) => runtime()?.block_on(lint::run(arguments, out)),
        Policy::Shadow(arguments) => shadow::run(arguments, out),
        Policy::Reload(server) => runtime()?.block_on(policy_versions::reload(server, out)),
        Policy::History(arguments) => policy_versions::history(arguments, out),
        Policy::Show(arguments) => policy_versions::show(arguments, out),
        Policy::Rollback(arguments) => {
            runtime()?.block_on(policy_versions::roll_back(arguments, out))
        }
        Policy::Diff(arguments) => runtime()?.block_on(policy_compare::diff(arguments, out)),
        Policy::Drift(arguments) => runtime()?.block_on(policy_compare::drift(arguments, out)),
        Policy::Matrix(arguments) => runtime()?.block_on(policy_matrix::run(arguments, out)),
    }
}

/// Loads policies, all of them, and tells what loading warns of.
pub(crate) async fn open(folder: &PolicyFolder, out: &mut Out) -> Result<Local, Failure> {
    let config = find_config(folder.dir.as_deref(), folder.config.as_deref())?;
    let local = Local::open(read_config(&config, folder.dir.as_deref())?).await?;
    if !local.warnings.is_empty() {
        out.remark(local.warnings.render().trim_end());
    }
    // A server would serve the rest; who checks wants all of it.
    if !local.left_out.is_empty() {
        return Err(Failure::Problems(local.left_out));
    }
    Ok(local)
}

async fn check(folder: &PolicyFolder, out: &mut Out) -> Result<(), Failure> {
    let local = open(folder, out).await?;
    let tables: Vec<String> = local
        .policy
        .tables()
        .map(|table| format!("{}.{}", table.name.schema, table.name.table))
        .collect();
    let findings = lint::beside_warnings(&local)?;
    for finding in &findings {
        out.remark(finding);
    }
    let warnings = match local.warnings.len() + findings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        warnings => format!(", {warnings} warnings"),
    };
    let tables = match tables.as_slice() {
        [] => "no table, so nobody sees anything".to_owned(),
        [table] => format!("1 table: {table}"),
        tables => format!("{} tables: {}", tables.len(), tables.join(", ")),
    };
    out.line(format_args!(
        "{}: in order{warnings}; {tables}; version {}",
        local.config.policies.display(),
        local.policy.version()
    ))?;
    Ok(())
}

async fn test(arguments: &PolicyTest, out: &mut Out) -> Result<(), Failure> {
    let folder = &arguments.policies;
    let config = find_config(folder.dir.as_deref(), folder.config.as_deref())?;
    let bench = Bench::new(read_config(&config, folder.dir.as_deref())?)?;
    let options = Options {
        only: arguments.only.as_deref(),
        coverage: arguments.coverage || arguments.min_coverage.is_some(),
    };
    let run = policy_test::run(&bench, options).await?;
    let report = Report::new(run, &bench.config.policies);
    let text = match arguments.format {
        TestFormat::Text => report::text(&report),
        TestFormat::Json => report::json(&report),
        TestFormat::Junit => report::junit(&report)?,
    };
    let (passed, failed) = report.counts();
    if let Some(path) = &arguments.out {
        std::fs::write(path, text)
            .map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))?;
        out.line(format_args!("{passed} passed, {failed} failed"))?;
    } else {
        out.line(text.trim_end())?;
    }
    if (passed, failed) == (0, 0) {
        return Err(Failure::Failed("there was nothing to test".to_owned()));
    }
    let percent = report.coverage.as_ref().map(CoverageReport::percent);
    if let (Some(percent), Some(least)) = (percent, arguments.min_coverage)
        && percent < least
    {
        let message =
            format!("the cases touch {percent} % of the policies, and {least} % is asked for");
        return Err(Failure::Failed(message));
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Reported),
    }
}
