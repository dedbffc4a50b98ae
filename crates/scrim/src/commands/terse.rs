//! `scrim contract split` and `join`: an access policy in its contract or in a file of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use scrim_document::{Node, SourceFile};
use scrim_policy::policy_file;
use scrim_server::load::read_file;

use crate::out::Out;
use crate::outcome::Failure;

/// Moves the access policy of a contract into a file of its own.
///
/// Between the two writes the contract has it twice, which a server refuses to load: what was in
/// force stays in force, and at no time is there a contract without its access policy.
pub(crate) fn split(contract: &Path, out: &mut Out) -> Result<(), Failure> {
    let parts = scrim_policy::split(&read_file(contract)?)?;
    let policy = PathBuf::from(policy_file(&contract.display().to_string()));
    create(&policy, &parts.policy)?;
    if let Err(failure) = replace(contract, &parts.contract) {
        // Nothing was changed but for the new file.
        drop(fs::remove_file(&policy));
        return Err(failure);
    }
    out.line(format_args!(
        "{}: the access policy of {}",
        policy.display(),
        contract.display()
    ))?;
    Ok(())
}

/// Moves the access policy of a file of its own into its contract.
pub(crate) fn join(contract: &Path, out: &mut Out) -> Result<(), Failure> {
    let file = read_file(contract)?;
    let (path, policy) = policy_of(contract, &file)?;
    let text = scrim_policy::join(&file, &policy)?;
    replace(contract, &text)?;
    fs::remove_file(&path).map_err(|e| {
        Failure::Failed(format!(
            "cannot remove {}: {e}; the contract holds its access policy now, so remove it yourself",
            path.display()
        ))
    })?;
    out.line(format_args!(
        "{}: holds the access policy of {}, which is gone",
        contract.display(),
        path.display()
    ))?;
    Ok(())
}

/// The file with the access policy of a contract: the one that is named like it, or any beside it or
/// in the folder above that names its id.
fn policy_of(contract: &Path, file: &SourceFile) -> Result<(PathBuf, SourceFile), Failure> {
    let root = Node::parse(file)?;
    let id = root.get("id").and_then(Node::as_str).unwrap_or_default();
    let folder = contract.parent().unwrap_or_else(|| Path::new(""));
    let usual = PathBuf::from(policy_file(&contract.display().to_string()));
    let mut candidates = vec![usual.clone()];
    for folder in [Some(folder), folder.parent()].into_iter().flatten() {
        candidates.extend(policies_in(folder));
    }
    for path in candidates {
        let Ok(policy) = read_file(&path) else {
            continue;
        };
        let named = Node::parse(&policy).ok();
        let named = named
            .as_ref()
            .and_then(|node| node.get("contract")?.as_str());
        if named == Some(id) {
            return Ok((path, policy));
        }
    }
    Err(Failure::Usage(format!(
        "there is no {} and no other file *.policy.yaml near it that names the contract `{id}`",
        usual.display()
    )))
}

fn policies_in(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| scrim_policy::is_policy(&path.display().to_string()))
        .collect();
    paths.sort();
    paths
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{} exists; move it away first", path.display()))
        }
        _ => Failure::Failed(format!("cannot write {}: {error}", path.display())),
    })
}

/// Replaces a file whole: whoever reads it sees the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(fs::metadata(path)?.permissions())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    });
    written.map_err(|e| Failure::Failed(format!("cannot write {}: {e}", path.display())))
}
