//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Share tables with other organisations, under contracts that decide who sees which rows and
/// columns, and how.
#[derive(Debug, Parser)]
#[command(
    name = "scrim",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or configuration.")]
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
    /// Ask a server a question in SQL
    Query(Query),
    /// Check and test contracts and agreements
    #[command(subcommand)]
    Policy(Policy),
    /// Draft contracts
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
    /// A certificate (PEM) to trust, for grpc+tls
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
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

/// `scrim policy …`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Validate a folder of contracts and agreements against the real sources
    Check(PolicyFolder),
    /// Run the policy tests of a folder: on rows in the test files, or on the real sources
    Test(PolicyTest),
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

/// `scrim contract …`.
#[derive(Debug, Subcommand)]
pub enum Contract {
    /// Draft a contract from a table as it is: identifiers tagged, everything hidden
    New(NewContract),
}

/// `scrim contract new`.
#[derive(Debug, Args)]
pub struct NewContract {
    /// Where the table lies: postgres://USER@HOST:PORT/DATABASE, s3://BUCKET/PREFIX/, az://, abfss://,
    /// gs://, https://, or the path of a file, folder or pattern. Passwords come from PGPASSWORD or
    /// from credentials with a name, never from here
    #[arg(long, value_name = "ADDRESS")]
    pub from: String,
    /// The table [default for files: the last name of the address]
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The schema in the database [default: public]
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// How files are written [default: what their names end in]
    #[arg(long, value_enum)]
    pub format: Option<FileKind>,
    /// The object store's address, when it is not its maker's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "NAME")]
    pub region: Option<String>,
    /// The name of the source's credentials, in the secrets file that the configuration names
    #[arg(long, value_name = "NAME")]
    pub credentials: Option<String>,
    /// The configuration that will serve the contract; paths are written as it reads them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the contract to a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "out")]
    pub force: bool,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileKind {
    /// Parquet
    Parquet,
    /// CSV with a header line
    Csv,
    /// One JSON object in each line
    Json,
    /// Arrow IPC
    Arrow,
    /// A Delta Lake table
    Delta,
}

/// `scrim source …`.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// Test every source: can it be reached, are we let in, is it what its contract says
    Check(SourceCheck),
}

/// `scrim source check`.
#[derive(Debug, Args)]
pub struct SourceCheck {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// `scrim explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// The account to look through the eyes of
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: String,
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
    pub sql: String,
}

/// `scrim keys …`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key file that only its owner can read
    New(KeyFile),
    /// List the keys of a key file, without their secrets
    List(KeyFile),
    /// Add a sealing key; tickets and tokens of the older ones still open, pseudonyms do not change
    Rotate(KeyFile),
}

/// Which key file.
#[derive(Debug, Args)]
pub struct KeyFile {
    /// The key file
    #[arg(long, value_name = "FILE", default_value = "keys.json")]
    pub file: PathBuf,
}

/// `scrim accounts …`.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Add an account to an accounts file
    Add(AddAccount),
    /// Print the hash of a password, for `password_hash`
    Hash(PasswordSource),
}

/// `scrim accounts add`.
#[derive(Debug, Args)]
pub struct AddAccount {
    /// The accounts file; made when it does not exist
    #[arg(long, value_name = "FILE", default_value = "accounts.yaml")]
    pub file: PathBuf,
    /// The configuration that declares the attributes [default: scrim.yaml beside the file]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The account's id
    #[arg(long)]
    pub id: String,
    /// Its organisation
    #[arg(long)]
    pub org: String,
    /// A group that it belongs to; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// A role that it holds; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Who is behind it
    #[arg(long, value_enum, default_value_t = Kind::Human)]
    pub kind: Kind,
    /// An attribute as NAME=VALUE; may be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Who is behind an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A person
    Human,
    /// A program with an account of its own
    Service,
    /// A program that acts for a person
    Agent,
}

/// Where a password comes from: never from the command line, which other people can read.
#[derive(Debug, Args)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

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

/// `scrim completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// An instant, or a day as its first instant.
fn time(text: &str) -> Result<chrono::DateTime<chrono::Utc>, String> {
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    text.parse()
        .map_err(|_| "write it like 2026-03-02T23:00:00Z or 2026-03-02".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, time};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_day_is_its_first_instant() {
        assert_eq!(time("2026-03-02"), time("2026-03-02T00:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
