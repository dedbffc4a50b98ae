//! What the compiler cannot check: a test of the repository itself.

mod crates;
mod invariants;
mod links;
mod lock;
mod sizes;
mod words;

use std::fs;

use crate::workspace::Workspace;

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, e)| extensions.contains(&e))
    }
}

/// What is wrong, and what only deserves a look.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// Something that must be put right.
    pub(crate) fn error(&mut self, message: impl Into<String>) {
        self.errors.push(message.into());
    }

    /// Something to look at.
    pub(crate) fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }
}

/// Runs every check and names everything that is wrong.
pub(crate) fn run(workspace: &Workspace) -> Result<(), String> {
    let files = read(workspace)?;
    let mut findings = Findings::default();
    crates::check(&files, &mut findings);
    lock::check(&files, &mut findings);
    sizes::check(&files, &mut findings);
    invariants::check(&files, &mut findings);
    words::check(&files, &mut findings);
    links::check(workspace.root(), &files, &mut findings);
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    for error in &findings.errors {
        eprintln!("error: {error}");
    }
    if findings.errors.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    Err(format!("tidy found {} to put right", findings.errors.len()))
}

/// The text files; what is not UTF-8 is data, and not ours to read.
fn read(workspace: &Workspace) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in workspace.files()? {
        let bytes = fs::read(workspace.root().join(&path))
            .map_err(|e| format!("cannot read {path}: {e}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

#[cfg(test)]
pub(crate) fn problems(
    files: &[(&str, &str)],
    check: impl Fn(&[File], &mut Findings),
) -> Vec<String> {
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    let mut findings = Findings::default();
    check(&files, &mut findings);
    findings.errors
}
