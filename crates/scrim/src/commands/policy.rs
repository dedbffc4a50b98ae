//! `scrim policy`.

use std::path::Path;

use super::{policy_versions, runtime};
use crate::cli::{Policy, PolicyFolder, PolicyTest};
use crate::local::{Local, find_config, read_config};
use crate::out::Out;
use crate::outcome::Failure;
use crate::policy_test::{Case, CaseResult, Summary, find_files, run_file};
use crate::render::text;

/// Checks, tests, or changes what is in force.
pub(crate) fn run(command: &Policy, out: &mut Out) -> Result<(), Failure> {
    match command {
        Policy::Check(folder) => runtime()?.block_on(check(folder, out)),
        Policy::Test(arguments) => runtime()?.block_on(test(arguments, out)),
        Policy::Shadow(arguments) => super::shadow::run(arguments, out),
        Policy::Reload(server) => runtime()?.block_on(policy_versions::reload(server, out)),
        Policy::History(arguments) => policy_versions::history(arguments, out),
        Policy::Show(arguments) => policy_versions::show(arguments, out),
        Policy::Rollback(arguments) => {
            runtime()?.block_on(policy_versions::roll_back(arguments, out))
        }
    }
}

async fn open(folder: &PolicyFolder, out: &mut Out) -> Result<Local, Failure> {
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
    let warnings = match local.warnings.len() {
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
    let local = open(&arguments.policies, out).await?;
    let policies = local.config.policies.clone();
    let mut summary = Summary::default();
    for path in find_files(&policies)? {
        let shown = shown(&path, &policies);
        let only = arguments
            .only
            .as_deref()
            .filter(|only| !shown.contains(only));
        let wanted = |case: &Case| only.is_none_or(|only| case.name.contains(only));
        let results = run_file(&local, &path, &shown, &wanted).await?;
        if !results.is_empty() {
            out.line(&shown)?;
        }
        for result in &results {
            summary.count(result);
            report(result, out)?;
        }
    }
    let Summary { passed, failed } = summary;
    out.line(format_args!("{passed} passed, {failed} failed"))?;
    match (passed, failed) {
        (0, 0) => Err(Failure::Failed("there was nothing to test".to_owned())),
        (_, 0) => Ok(()),
        (_, _) => Err(Failure::Reported),
    }
}

fn report(result: &CaseResult, out: &mut Out) -> Result<(), Failure> {
    let mark = if result.differences.is_empty() {
        "✔"
    } else {
        "✘"
    };
    out.line(format_args!("  {mark} {}", result.name))?;
    for difference in &result.differences {
        // a difference quotes values of the tables
        let difference = text::printable(difference);
        out.line(format_args!("      {difference} ({})", result.location))?;
    }
    Ok(())
}

fn shown(path: &Path, policies: &Path) -> String {
    path.strip_prefix(policies)
        .unwrap_or(path)
        .display()
        .to_string()
}
