//! What was in force and what was asked: `policy history`, `show`, `rollback`, `replay`, `unused`, `shadow`.

use std::path::PathBuf;

use clap::Args;

use super::compare::FailOn;
use super::values::since;
use crate::admin::ServerArgs;
use crate::past::Since;

/// `scrim policy history`.
#[derive(Debug, Args)]
pub struct PolicyHistory {
    /// The configuration, which names the ledger
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `scrim policy show`.
#[derive(Debug, Args)]
pub struct PolicyShow {
    /// The version, or enough of its beginning
    pub version: String,
    /// The configuration, which names the ledger
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// Only this file, as it is listed
    #[arg(long, value_name = "PATH")]
    pub file: Option<String>,
}

/// `scrim policy rollback`.
#[derive(Debug, Args)]
pub struct PolicyRollback {
    /// The version, or enough of its beginning
    pub version: String,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `scrim policy replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 3 more is shown than --fail-on allows; 1 failed; 2 wrong usage \
or policies."
)]
pub struct PolicyReplay {
    /// The configuration, whose ledger is read
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// The folder of the proposed policies
    #[arg(long, value_name = "DIR")]
    pub with: PathBuf,
    /// Only queries from this time on: 7d, 12h, 30m, or as 2026-03-02T00:00:00Z or 2026-03-02
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Also run each statement under both policies on the data of today, and compare the results
    #[arg(long)]
    pub run: bool,
    /// Exit with 3 when anything may be shown to a query that was not, or when anything differs
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print the report as Markdown, for a pull request
    #[arg(long)]
    pub markdown: bool,
}

/// `scrim policy unused`.
#[derive(Debug, Args)]
pub struct PolicyUnused {
    /// The configuration, whose ledger and policies are read
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// Only queries from this time on: 90d, 12h, 30m, or as 2026-03-02T00:00:00Z or 2026-03-02
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// `scrim policy shadow`.
#[derive(Debug, Args)]
pub struct PolicyShadow {
    /// The configuration that names the ledger
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// Only from this time on: 7d, 12h, 30m, or as 2026-03-02T00:00:00Z or 2026-03-02
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}
