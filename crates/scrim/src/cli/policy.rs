//! `policy …`: which commands there are, and those about one state of the policies.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::compare::{PolicyDiff, PolicyDrift};
use super::past::{
    PolicyHistory, PolicyReplay, PolicyRollback, PolicyShadow, PolicyShow, PolicyUnused,
};
use super::values::{days, time};
use crate::admin::ServerArgs;

/// `scrim policy …`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Validate a folder of contracts and agreements against the real sources
    Check(PolicyFolder),
    /// Run the policy tests of a folder: on rows in the test files, or on the real sources
    Test(PolicyTest),
    /// Decide the queries of the ledger again under proposed policies, and tell whose results change
    Replay(PolicyReplay),
    /// Tell from the ledger which agreements, columns and purposes nobody used
    Unused(PolicyUnused),
    /// Look for what is allowed and hardly meant: weak masks, clear identifiers, dead agreements
    Lint(PolicyLint),
    /// Sum up, from the ledger, what the shadow's policies would have shown otherwise
    Shadow(PolicyShadow),
    /// Have a running server put in force what its folder of policies says now
    Reload(ServerArgs),
    /// List the versions that were in force, and what was refused, newest last
    History(PolicyHistory),
    /// Print the files of a version that was in force
    Show(PolicyShow),
    /// Have a running server put an earlier version in force, until its folder of policies changes
    Rollback(PolicyRollback),
    /// Tell what changes for whom between two states of the policies
    Diff(PolicyDiff),
    /// Print who sees what, for every account, purpose and table
    Matrix(PolicyMatrix),
    /// Tell whether two running servers, or a server and a folder, have the same policies in force
    Drift(PolicyDrift),
}

/// Which policies.
#[derive(Debug, Args)]
pub struct PolicyFolder {
    /// The folder of contracts and agreements [default: the one that the configuration names]
    pub dir: Option<PathBuf>,
    /// The configuration that names sources, look-ups and networks [default: scrim.yaml in the
    /// folder or beside it]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `scrim policy test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all well; 1 a case failed, or coverage is too small; 2 a file is wrong."
)]
pub struct PolicyTest {
    /// Which policies.
    #[command(flatten)]
    pub policies: PolicyFolder,
    /// Run only cases whose file or name contains this text
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// List the agreements, conditions, row filters and columns that no case touches
    #[arg(long)]
    pub coverage: bool,
    /// Fail when cases touch less than this share of them, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub min_coverage: Option<u64>,
    /// How to report
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    pub format: TestFormat,
    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How policy tests are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// A line for each case, for reading
    Text,
    /// One JSON object
    Json,
    /// JUnit's XML, for CI
    Junit,
}

/// `scrim policy lint`.
#[derive(Debug, Args)]
pub struct PolicyLint {
    /// Which policies.
    #[command(flatten)]
    pub policies: PolicyFolder,
    /// The day on which to look, as 2026-03-02 [default: today]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<chrono::DateTime<chrono::Utc>>,
    /// How near an agreement's end is worth telling
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    pub within: u32,
    /// A ledger, to find agreements that nobody uses: its folder or its file
    #[arg(long, value_name = "PATH")]
    pub ledger: Option<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
    /// Print what was found as SARIF, with which CI annotates changes
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
    /// What ends the command with 1: a finding this bad, or worse
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Deny::Error)]
    pub deny: Deny,
}

/// How bad a finding must be to count as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    /// Only what is certainly not meant
    Error,
    /// What is likely not meant, too
    Warning,
    /// Everything
    Note,
}

/// `scrim policy matrix`.
#[derive(Debug, Args)]
pub struct PolicyMatrix {
    /// Which policies.
    #[command(flatten)]
    pub policies: PolicyFolder,
    /// Another accounts file than the configuration's
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// Only this account; may be repeated
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub principals: Vec<String>,
    /// Only accounts of this organisation
    #[arg(long)]
    pub org: Option<String>,
    /// Only this table, as schema.table
    #[arg(long)]
    pub table: Option<String>,
    /// Only this purpose; may be repeated [default: every purpose of an agreement, and none]
    #[arg(long = "purpose", value_name = "PURPOSE")]
    pub purposes: Vec<String>,
    /// The address they come from; may be repeated
    #[arg(long = "ip", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub ips: Vec<std::net::IpAddr>,
    /// When they ask, as 2026-03-02T23:00:00Z; may be repeated [default: now]
    #[arg(long = "at", value_name = "TIME", value_parser = time)]
    pub times: Vec<chrono::DateTime<chrono::Utc>>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    pub format: MatrixFormat,
}

/// How a matrix is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MatrixFormat {
    /// For reading, and for keeping beside the policies
    Text,
    /// One table for each place and purpose: who sees which table how
    Markdown,
    /// One JSON array
    Json,
    /// A line for each column, with a header
    Csv,
}
