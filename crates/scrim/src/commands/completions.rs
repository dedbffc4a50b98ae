//! `scrim completions`.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::out::Out;
use crate::outcome::Failure;

/// Prints the completion script of a shell.
pub(crate) fn run(arguments: &Completions, out: &mut Out) -> Result<(), Failure> {
    // generated into memory first, because the generator panics when nobody reads its output
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "scrim", &mut script);
    out.results().write_all(&script)?;
    Ok(out.results().flush()?)
}
