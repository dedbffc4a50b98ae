//! Two states of the policies beside each other: `policy diff`, `policy drift`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::client::TlsArgs;

/// `scrim policy diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "A side is a folder, a git revision as REV (of the configuration's folder of \
policies) or REV:PATH, or a running server: grpc://HOST:PORT, or the configuration that it runs under.

Exit codes: 0 done; 3 more is shown than --fail-on allows; 1 failed; 2 wrong usage or policies."
)]
pub struct PolicyDiff {
    /// The old policies
    pub old: String,
    /// The new policies
    pub new: String,
    /// How sides are found.
    #[command(flatten)]
    pub sides: SideArgs,
    /// Exit with 3 when anything may be shown that was not, or when anything differs
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// What is printed.
    #[command(flatten)]
    pub shown: DiffArgs,
}

/// When a comparison fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// When more is shown, or it cannot be told
    Widen,
    /// When anything differs
    Any,
}

/// How the sides of a comparison are found.
#[derive(Debug, Args)]
pub struct SideArgs {
    /// The configuration that names sources, look-ups and networks, for both sides [default:
    /// scrim.yaml in a folder that is compared, beside it, or here]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The account to sign in with at servers, instead of the configuration's key file
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// A file whose first line is the password; `-` reads it from standard input
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// The certificates of connections to servers.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// What of a comparison is printed, and how.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Only this table, as schema.table
    #[arg(long)]
    pub table: Option<String>,
    /// Only this organisation
    #[arg(long)]
    pub org: Option<String>,
    /// Count the rows of every agreement whose rows differ; otherwise only where logic cannot tell
    #[arg(long)]
    pub count: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown, for a pull request
    #[arg(long)]
    pub markdown: bool,
}

/// `scrim policy drift`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 they are the same; 3 they differ; 1 failed; 2 wrong usage.")]
pub struct PolicyDrift {
    /// A running server: grpc://HOST:PORT, or the configuration that it runs under; give one or two
    #[arg(long = "server", value_name = "SERVER", required = true, num_args = 1)]
    pub servers: Vec<String>,
    /// The folder to compare one server with [default: the configuration's folder of policies]
    pub dir: Option<PathBuf>,
    /// How sides are found.
    #[command(flatten)]
    pub sides: SideArgs,
    /// What is printed.
    #[command(flatten)]
    pub shown: DiffArgs,
}
