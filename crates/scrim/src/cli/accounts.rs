//! Who may sign in, and the keys that it takes: `keys …`, `accounts …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
