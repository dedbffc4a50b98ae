//! The test files of a folder of policies.

use std::path::{Path, PathBuf};

use scrim_document::{Problems, SourceFile};

use super::format::TestFile;
use crate::outcome::Failure;

/// Folders in one another under `tests`; a link may lead back.
const DEPTH_MAX: usize = 8;

/// A test file, with what it was read from.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) file: TestFile,
    pub(super) source: SourceFile,
    pub(super) folder: PathBuf,
}

/// The test files of a folder of policies and of the folders in it, sorted.
///
/// # Errors
/// When there is no folder `tests`, or a document in it that is no test by its name: one that nobody
/// runs looks like one that passes.
pub fn find_files(policies: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![(policies.join("tests"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let unreadable = |error: std::io::Error| {
            let at = folder.display();
            Failure::Usage(match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!(
                        "there is no folder {at}: tests stand there, in files named NAME.test.yaml"
                    )
                }
                _ => format!("cannot read {at}: {error}"),
            })
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ends = |endings: [&str; 2]| endings.iter().any(|one| name.ends_with(one));
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if depth == DEPTH_MAX {
                    let deep = format!("{} lies too deep", path.display());
                    return Err(Failure::Usage(deep));
                }
                folders.push((path, depth + 1));
            } else if ends([".test.yaml", ".test.yml"]) {
                files.push(path);
            } else if ends([".yaml", ".yml"]) {
                return Err(Failure::Usage(format!(
                    "{} would not be run: the names of test files end in .test.yaml",
                    path.display()
                )));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the test files of a folder of policies.
///
/// # Errors
/// All problems of the files.
pub(super) fn read(policies: &Path) -> Result<Vec<Read>, Failure> {
    let mut files = Vec::new();
    let mut problems = Problems::default();
    for path in find_files(policies)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
        let shown = path.strip_prefix(policies).unwrap_or(&path).display();
        let source = SourceFile::new(shown.to_string(), text);
        let folder = path.parent().unwrap_or(policies).to_owned();
        match TestFile::parse(&source) {
            Ok(file) => files.push(Read {
                file,
                source,
                folder,
            }),
            Err(found) => problems.extend(found),
        }
    }
    if problems.has_errors() {
        return Err(problems.into());
    }
    Ok(files)
}
