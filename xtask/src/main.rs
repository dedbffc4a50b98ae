//! Everything a developer or CI runs, as `cargo x …`.
//!
//! It has no dependencies, so that it is built in seconds, and it starts only cargo, git, Python and
//! the tests' PostgreSQL server. Every step uses one profile and one selection of packages (`--release --workspace`):
//! another selection would give the dependencies other features and compile the engine again.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for the terminal"
)]

mod postgres;
mod python;
mod quick;
mod run;
mod steps;
mod tally;
mod tidy;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const HELP: &str = "\
cargo x <command>

  test          install what the tests need (PostgreSQL, Python packages), then run everything:
                all of `check` and the clients
  check         all that CI runs; the Python clients only when `test` has installed them before
  quick         format, lints and the tests of what changed, before a commit
  tidy          dependency line, versions, file sizes, invariants and their tests, words, links
  bless         accept new snapshots, golden files and compiler messages, after reading the diff
  tpch SF [DIR] generate TPC-H at scale factor SF for examples/tpch
  help          this text

Builds go where cargo puts them: `target/`, or $CARGO_TARGET_DIR when it is set.
$SCRIM_PYTHON names the Python that makes the clients' environment; the default is python3.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let done = match words.as_slice() {
        ["test"] => steps::test(&workspace),
        ["check"] => steps::check(&workspace),
        ["quick"] => quick::run(&workspace),
        ["tidy"] => tidy::run(&workspace),
        ["bless"] => steps::bless(&workspace),
        ["tpch", scale, rest @ ..] => steps::tpch(&workspace, scale, rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(format!(
            "unknown command `cargo x {}`\n\n{HELP}",
            words.join(" ")
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
