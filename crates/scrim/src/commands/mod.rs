//! One module per command.

pub(crate) mod accounts;
pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod lint;
pub(crate) mod policy;
pub(crate) mod policy_compare;
pub(crate) mod policy_matrix;
pub(crate) mod policy_past;
pub(crate) mod policy_versions;
pub(crate) mod query;
pub(crate) mod revoke;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod shadow;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod terse;

use std::io::BufRead;
use std::path::Path;

use scrim_model::Secret;
use tokio::runtime::Runtime;

use crate::outcome::Failure;

/// A runtime for the commands that wait for something.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::failed(&error))
}

/// A password: the first line of a file, or of standard input for `-`.
pub(crate) fn read_password(path: &Path) -> Result<Secret<String>, Failure> {
    let mut line = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_line(&mut line)
    } else {
        std::fs::File::open(path)
            .and_then(|file| std::io::BufReader::new(file).read_line(&mut line))
    };
    read.map_err(|error| {
        Failure::Usage(format!(
            "cannot read the password from {}: {error}",
            path.display()
        ))
    })?;
    let password = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(password);
    if line.is_empty() {
        return Err(Failure::Usage(format!(
            "the first line of {} is empty",
            path.display()
        )));
    }
    Ok(Secret::new(line))
}
