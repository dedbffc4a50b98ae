//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use scrim_model::QueryId;

use crate::admin::ServerArgs;
use crate::client::TlsArgs;
use crate::past::Since;

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

/// `scrim contract …`.
#[derive(Debug, Subcommand)]
pub enum Contract {
    /// Draft a contract from a table as it is: identifiers tagged, everything hidden
    New(NewContract),
    /// Print the JSON Schema of a kind of document, for editors
    Schema(ContractSchema),
    /// Move the access policy of a contract into a file of its own, NAME.policy.yaml beside it
    Split(ContractFile),
    /// Move the access policy of a file of its own back into its contract
    Join(ContractFile),
}

/// `scrim contract schema`.
#[derive(Debug, Args)]
pub struct ContractSchema {
    /// The kind of document
    #[arg(value_enum, required_unless_present = "out")]
    pub document: Option<Document>,
    /// Write NAME.schema.json into this folder instead, for all kinds unless one is named
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A contract, *.odcs.yaml
    Contract,
    /// An access policy in a file of its own, *.policy.yaml
    Policy,
    /// An agreement
    Agreement,
    /// A policy test, *.test.yaml
    Test,
    /// The configuration, scrim.yaml
    Config,
}

/// A contract.
#[derive(Debug, Args)]
pub struct ContractFile {
    /// The contract's file
    pub file: PathBuf,
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

/// The id of a query or of an announced statement.
fn query_id(text: &str) -> Result<QueryId, String> {
    text.parse()
        .map_err(|_| "write it like 01a1ff90-3d34-761d-80c0-d70709b7230b".to_owned())
}

/// So long ago, or an instant.
fn since(text: &str) -> Result<Since, String> {
    Since::parse(text, time)
}

/// A number of days, as `30d`.
fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').unwrap_or(text);
    days.parse()
        .map_err(|_| "write a number of days, like 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, days, time};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn days_are_counted() {
        assert_eq!((days("30d"), days("7")), (Ok(30), Ok(7)));
        assert!(days("a month").is_err() && days("-1d").is_err());
    }

    #[test]
    fn a_day_is_its_first_instant() {
        assert_eq!(time("2026-03-02"), time("2026-03-02T00:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
