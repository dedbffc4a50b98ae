//! How a run went, written down: for people, for programs, and for CI.

mod json;
mod junit;
mod text;

use std::path::Path;
use std::time::Duration;

use scrim_document::Location;
use scrim_policy::{Coverage, Part};

use super::run::{CaseResult, FileResult, Run};

pub use json::render as json;
pub use junit::render as junit;
pub use text::render as text;

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// The files, in order.
    pub files: Vec<FileResult>,
    /// What no case touched, if that was asked for.
    pub coverage: Option<CoverageReport>,
    /// How long all of it took.
    pub took: Duration,
}

/// How much of the policies the cases touched.
#[derive(Debug)]
pub struct CoverageReport {
    /// For each part how much is touched, and how much there is.
    pub parts: Vec<(&'static str, usize, usize)>,
    /// What is not touched, in the order of the files.
    pub missing: Vec<Missing>,
}

/// Something that no case touches.
#[derive(Debug)]
pub struct Missing {
    /// The part that it belongs to.
    pub part: &'static str,
    /// What no case does.
    pub message: String,
    /// Where it stands.
    pub at: Location,
}

impl Report {
    /// A run as it is told; files are named from the folder of policies on.
    pub fn new(run: Run, policies: &Path) -> Self {
        Self {
            files: run.files,
            coverage: run
                .coverage
                .map(|coverage| CoverageReport::new(&coverage, policies)),
            took: run.took,
        }
    }

    /// How many cases passed, and how many failed.
    pub fn counts(&self) -> (usize, usize) {
        let failed = self
            .cases()
            .filter(|case| !case.differences.is_empty())
            .count();
        (self.cases().count() - failed, failed)
    }

    fn cases(&self) -> impl Iterator<Item = &CaseResult> {
        self.files.iter().flat_map(|file| &file.cases)
    }
}

impl CoverageReport {
    fn new(coverage: &Coverage, policies: &Path) -> Self {
        let part = |part: Part| {
            let (touched, all) = coverage.share(part);
            (part.as_str(), touched, all)
        };
        let missing = coverage.points().into_iter().filter(|point| !point.touched);
        let missing = missing.map(|point| Missing {
            part: point.part.as_str(),
            message: point.missing.clone(),
            at: within(&point.location, policies),
        });
        Self {
            parts: Part::ALL.map(part).into(),
            missing: missing.collect(),
        }
    }

    /// How much is touched, of a hundred; no more than there really is.
    pub fn percent(&self) -> u64 {
        let sum = |of: fn(&(&str, usize, usize)) -> usize| self.parts.iter().map(of).sum::<usize>();
        let (touched, all) = (sum(|part| part.1), sum(|part| part.2));
        match all {
            0 => 100,
            all => (touched * 100 / all) as u64,
        }
    }
}

/// A place in a file that is named from the folder of policies on.
fn within(location: &Location, policies: &Path) -> Location {
    let path = Path::new(&*location.file);
    let file = path.strip_prefix(policies).unwrap_or(path);
    Location {
        file: file.display().to_string().into(),
        ..location.clone()
    }
}

/// A case's name, with who asked where there are several.
fn title(case: &CaseResult) -> String {
    match &case.persona {
        Some(persona) => format!("{} (as {persona})", case.name),
        None => case.name.clone(),
    }
}
