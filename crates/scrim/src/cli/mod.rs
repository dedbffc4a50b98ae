//! The command line, as typed. Each module holds the commands of one subject.

mod accounts;
mod ask;
mod compare;
mod contract;
mod ledger;
mod past;
mod policy;
mod serve;
mod values;

use clap::{Args, Parser, Subcommand};

pub use accounts::{Accounts, AddAccount, KeyFile, Keys, Kind, PasswordSource};
pub use ask::{Explain, Format, Query};
pub use compare::{DiffArgs, FailOn, PolicyDiff, PolicyDrift, SideArgs};
pub use contract::{
    Contract, ContractFile, ContractSchema, Document, FileKind, NewContract, Source, SourceCheck,
};
pub use ledger::{Ledger, LedgerPath, LedgerShow};
pub use past::{
    PolicyHistory, PolicyReplay, PolicyRollback, PolicyShadow, PolicyShow, PolicyUnused,
};
pub use policy::{
    Deny, MatrixFormat, Policy, PolicyFolder, PolicyLint, PolicyMatrix, PolicyTest, TestFormat,
};
pub use serve::{Access, Demo, Serve, Status};

/// Share tables with other organisations, under contracts that decide who sees which rows and
/// columns, and how.
#[derive(Debug, Parser)]
#[command(
    name = "scrim",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or configuration; 3 policies differ more \
than allowed."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a world of three organisations, show what each sees, and serve it
    Demo(Demo),
    /// Serve tables over Flight SQL
    Serve(Serve),
    /// Tell how a running server is: its policies, what it does not serve, its ledger
    Status(Status),
    /// Take access back at once: an account's, an organisation's, an agreement's or a session's
    Revoke(Access),
    /// Give access again that was taken back
    Reinstate(Access),
    /// Ask a server a question in SQL
    Query(Query),
    /// Check and test contracts and agreements
    #[command(subcommand)]
    Policy(Policy),
    /// Draft contracts, move their access policies, and print what editors check documents by
    #[command(subcommand)]
    Contract(Contract),
    /// Look at where tables come from
    #[command(subcommand)]
    Source(Source),
    /// Tell what a person would see of each table in a statement, and why
    Explain(Explain),
    /// Make, list and rotate keys
    #[command(subcommand)]
    Keys(Keys),
    /// Add accounts and hash passwords
    #[command(subcommand)]
    Accounts(Accounts),
    /// Verify and read the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `scrim completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
