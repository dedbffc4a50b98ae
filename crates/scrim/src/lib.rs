//! The command: `demo`, `serve`, `status`, `revoke`, `reinstate`, `query`, `policy`, `source`, `contract`, `explain`, `keys`, `accounts`, `ledger`.
//!
//! It is a library as well, so that tests make the same demo world and run the same policy tests
//! as the command does.
//!
//! This crate must never know how anything is decided, enforced or sent: it reads arguments, calls
//! the crates that do, and prints.

pub mod admin;
pub mod cli;
mod client;
mod commands;
pub mod compare;
pub mod demo;
mod draft;
pub mod explain;
pub mod local;
pub mod matrix;
pub mod out;
pub mod outcome;
pub mod past;
pub mod policy_test;
mod render;
pub mod schema;
mod shadow;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use scrim_server::revoke::Offline;

use crate::cli::{Cli, Command};
use crate::out::Out;
use crate::outcome::Failure;

/// Reads the command line, does what it says and tells how it went.
pub fn run() -> ExitCode {
    on_panic(|place| {
        let said = format!("scrim: it broke at {place}; please report this");
        drop(writeln!(io::stderr(), "{said}"));
    });
    let cli = Cli::parse();
    let mut out = Out::standard();
    match dispatch(cli.command, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut out);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Tells of every panic where it happened and nothing else: what it says may quote a value of a
/// table.
pub(crate) fn on_panic(tell: impl Fn(&str) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        tell(place.as_deref().unwrap_or("a place unknown"));
    }));
}

fn dispatch(command: Command, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => commands::demo::run(&arguments, out),
        Command::Serve(arguments) => commands::serve::run(&arguments, out),
        Command::Status(arguments) => commands::status::run(&arguments, out),
        Command::Revoke(arguments) => commands::revoke::run(Offline::Revoke, &arguments, out),
        Command::Reinstate(arguments) => commands::revoke::run(Offline::Reinstate, &arguments, out),
        Command::Query(arguments) => commands::query::run(&arguments, out),
        Command::Policy(command) => commands::policy::run(&command, out),
        Command::Contract(command) => commands::contract::run(&command, out),
        Command::Source(command) => commands::source::run(&command, out),
        Command::Explain(arguments) => commands::explain::run(&arguments, out),
        Command::Keys(command) => commands::keys::run(&command, out),
        Command::Accounts(command) => commands::accounts::run(&command, out),
        Command::Ledger(command) => commands::ledger::run(&command, out),
        Command::Completions(arguments) => commands::completions::run(&arguments, out),
    }
}
