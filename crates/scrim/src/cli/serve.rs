//! Making a server run, and the say of its operators: `demo`, `serve`, `status`, `revoke`, `reinstate`.

use std::path::PathBuf;

use clap::Args;

use crate::admin::ServerArgs;

/// `scrim demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Exit after the printout instead of serving on
    #[arg(long)]
    pub once: bool,
    /// The port to serve on; 0 takes any free one
    #[arg(long, default_value_t = 50051)]
    pub port: u16,
    /// Keep the world in this folder, which must be empty or new [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `scrim serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration; paths in it start at its folder
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
}

/// `scrim status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `scrim revoke` and `scrim reinstate`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").required(true)))]
pub struct Access {
    /// The account
    #[arg(long, value_name = "ACCOUNT", group = "whose")]
    pub principal: Option<String>,
    /// The organisation, all of whose accounts are meant
    #[arg(long, value_name = "NAME", group = "whose")]
    pub organisation: Option<String>,
    /// The agreement, whatever its file says
    #[arg(long, value_name = "ID", group = "whose")]
    pub agreement: Option<String>,
    /// The session, as the records of the ledger name it; it does not come back
    #[arg(long, value_name = "ID", group = "whose")]
    pub session: Option<String>,
    /// Why, for the ledger; clients are not told
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}
