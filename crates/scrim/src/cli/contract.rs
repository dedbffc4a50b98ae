//! Contracts and where their tables come from: `contract …`, `source …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
