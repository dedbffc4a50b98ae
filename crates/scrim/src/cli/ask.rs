//! Questions in SQL, and why they get what they get: `query`, `explain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use scrim_model::QueryId;

use super::values::{query_id, time};
use crate::client::TlsArgs;

/// `scrim query`.
#[derive(Debug, Args)]
pub struct Query {
    /// The server, as grpc://HOST:PORT or grpc+tls://HOST:PORT
    #[arg(long, default_value = "grpc://127.0.0.1:50051")]
    pub url: String,
    /// The account to sign in with
    #[arg(long)]
    pub user: String,
    /// A file whose first line is the password; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
    /// The purpose for which you ask
    #[arg(long)]
    pub purpose: Option<String>,
    /// Act under this agreement only
    #[arg(long)]
    pub agreement: Option<String>,
    /// The certificates of the connection.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The statement; `-` reads it from standard input
    pub sql: String,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns side by side, for reading
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Json,
    /// An Arrow IPC stream
    Arrow,
}

/// `scrim explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// The account to look through the eyes of
    #[arg(long = "as", value_name = "ACCOUNT", required_unless_present = "query")]
    pub account: Option<String>,
    /// Tell instead what a query of the ledger, or the runs of an announced statement, got and why
    #[arg(
        long = "query-id",
        value_name = "ID",
        value_parser = query_id,
        conflicts_with_all = ["account", "purpose", "agreement", "ip", "at", "sql"]
    )]
    pub query: Option<QueryId>,
    /// The purpose for which it would ask
    #[arg(long)]
    pub purpose: Option<String>,
    /// Act under this agreement only
    #[arg(long)]
    pub agreement: Option<String>,
    /// The address it would come from
    #[arg(long, default_value = "127.0.0.1")]
    pub ip: std::net::IpAddr,
    /// When it would ask, as 2026-03-02T23:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<chrono::DateTime<chrono::Utc>>,
    /// Print the decisions as JSON
    #[arg(long)]
    pub json: bool,
    /// The statement
    #[arg(required_unless_present = "query")]
    pub sql: Option<String>,
}
