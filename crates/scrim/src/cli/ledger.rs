//! `ledger …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::time;

/// `scrim ledger …`.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Check every line and the chain; names the first bad line
    Verify(LedgerPath),
    /// Print the queries that were asked, newest last
    Show(LedgerShow),
}

/// Which ledger.
#[derive(Debug, Args)]
pub struct LedgerPath {
    /// The ledger's folder or its file
    pub path: PathBuf,
}

/// `scrim ledger show`.
#[derive(Debug, Args)]
pub struct LedgerShow {
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerPath,
    /// Only this principal
    #[arg(long, value_name = "ACCOUNT")]
    pub principal: Option<String>,
    /// Only queries that name this table, as schema.table
    #[arg(long)]
    pub table: Option<String>,
    /// Only from this time on, as 2026-03-02T00:00:00Z or 2026-03-02
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<chrono::DateTime<chrono::Utc>>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<chrono::DateTime<chrono::Utc>>,
    /// Only this outcome: completed, failed, refused, revoked, abandoned or open
    #[arg(long)]
    pub outcome: Option<String>,
    /// Print whole entries as JSON lines
    #[arg(long)]
    pub json: bool,
}
