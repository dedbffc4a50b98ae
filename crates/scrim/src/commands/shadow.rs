//! `scrim policy shadow`.

use scrim_ledger::FILE_NAME;
use scrim_model::{Clock, SystemClock};

use crate::cli::PolicyShadow;
use crate::local::read_config;
use crate::out::Out;
use crate::outcome::Failure;
use crate::shadow;

/// Sums up what the shadow would have shown otherwise.
pub(crate) fn run(arguments: &PolicyShadow, out: &mut Out) -> Result<(), Failure> {
    let config = read_config(&arguments.config, None)?;
    let path = config.ledger.join(FILE_NAME);
    let since = arguments
        .since
        .map(|since| since.instant(SystemClock.now()));
    let summary = scrim_ledger::shadow(&path, since)
        .map_err(|damage| Failure::Failed(format!("{}: {damage}", path.display())))?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&summary).map_err(|e| Failure::failed(&e))?;
        return Ok(out.line(text)?);
    }
    Ok(out.line(shadow::text(&summary))?)
}
