//! Policy tests: what policies mean, said by their owner in questions and answers.
//!
//! A test file lies under `policies/tests/` and ends in `.test.yaml`. It names personas and cases;
//! a case asks a statement as a persona, or looks at tables, and says what must hold. The keys and
//! their meaning stand in `shapes`, and `policies/README.md` explains them.
//!
//! `files` finds them, `format` reads one, `run` puts the questions through the engine as any query goes through it,
//! `check`, `compare` and `seen` hold answers against expectations, `touch` tells what of the
//! policies was touched, `report` writes it down. Where a file says `tables` or `lookups`, its rows
//! stand in the place of the sources (`fixtures`), behind the same guards.

mod answer;
mod ask;
mod check;
mod compare;
mod files;
mod fixtures;
mod format;
mod pattern;
pub mod report;
mod run;
mod seen;
mod shapes;
#[cfg(test)]
mod tests;
mod touch;

pub use check::Difference;
pub use files::find_files;
pub use run::{CaseResult, FileResult, Options, Run, run};
pub use shapes::TEST;

#[cfg(test)]
pub(crate) use format::TestFile;
