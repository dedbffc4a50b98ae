//! What was in force and what was asked: `policy history`, `show`, `rollback`, `replay`, `unused`, `shadow`.

use std::path::PathBuf;

use clap::Args;

use super::values::{since, time};
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
    /// Only from this time on, as 2026-03-02T00:00:00Z or 2026-03-02
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<chrono::DateTime<chrono::Utc>>,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}
