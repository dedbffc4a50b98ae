//! Files stay short enough to be read in one go. Functions are clippy's (`.clippy.toml`).

use super::{File, Findings};

const SOFT: usize = 600;
const HARD: usize = 900;

pub(super) fn check(files: &[File], findings: &mut Findings) {
    for file in files
        .iter()
        .filter(|file| file.has_extension(&["rs", "py"]))
    {
        let lines = file.text.lines().count();
        if lines > HARD {
            findings.error(format!(
                "{}: {lines} lines, at most {HARD}; split it",
                file.path
            ));
        } else if lines > SOFT {
            findings.warn(format!("{}: {lines} lines, better below {SOFT}", file.path));
        }
    }
}
