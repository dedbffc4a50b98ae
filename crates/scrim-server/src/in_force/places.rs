//! Where in the file system something must happen for the policies or the accounts to change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Links that are followed, one after the other, and folders below one another that are walked.
const DEPTH_MAX: usize = 8;
/// Folders that are watched; what happens in more is found by looking.
const FOLDERS_MAX: usize = 256;

/// Folders in which anything matters, and names that matter in others.
#[derive(Debug, Default)]
pub(crate) struct Places {
    folders: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
}

impl Places {
    /// The places as they are now.
    pub(crate) fn new(policies: &Path, accounts: &Path) -> Self {
        let mut places = Self::default();
        places.follow(accounts);
        places.follow(policies);
        for part in ["contracts", "agreements"] {
            let folder = policies.join(part);
            places.follow(&folder);
            places.walk(&folder, 0);
        }
        places
    }

    /// The folders that are to be watched, without what is below them.
    pub(crate) fn watched(&self) -> BTreeSet<PathBuf> {
        let around = self.names.iter().map(|path| parent(path));
        let folders = self.folders.iter().cloned().chain(around);
        folders.take(FOLDERS_MAX).collect()
    }

    /// Whether what happens to a path matters.
    pub(crate) fn concern(&self, path: &Path) -> bool {
        self.names.contains(path)
            || self.folders.contains(path)
            || self.folders.contains(&parent(path))
    }

    /// A name, and where it leads if it is a link: either may be replaced.
    fn follow(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..DEPTH_MAX {
            self.names.insert(path.clone());
            let Ok(target) = fs::read_link(&path) else {
                return;
            };
            path = parent(&path).join(target);
        }
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        if depth > DEPTH_MAX || self.folders.len() >= FOLDERS_MAX {
            return;
        }
        self.folders.insert(folder.to_owned());
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if is_hidden(&path) {
                continue;
            }
            if kind.is_symlink() {
                self.follow(&path);
            }
            if kind.is_dir() || kind.is_symlink() && path.is_dir() {
                self.walk(&path, depth + 1);
            }
        }
    }
}

/// Whether a file, when it is whole, is one that is read.
pub(crate) fn is_read(path: &Path) -> bool {
    let yaml = path
        .extension()
        .is_some_and(|end| end == "yaml" || end == "yml");
    yaml && !is_hidden(path)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_neighbours_do_not_matter() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in [
            "releases/1/contracts/deep",
            "releases/1/agreements",
            "shared",
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("shared/a.yaml"), "").unwrap();
        fs::write(at("accounts.yaml"), "").unwrap();
        symlink("releases/1", at("current")).unwrap();
        symlink("current", at("policies")).unwrap();
        symlink(at("shared/a.yaml"), at("current/agreements/a.yaml")).unwrap();
        let places = Places::new(&at("policies"), &at("accounts.yaml"));
        for path in [
            "policies",
            "current",
            "accounts.yaml",
            "policies/contracts",
            "policies/contracts/new.yaml",
            "policies/contracts/..data",
            "policies/contracts/deep/new.yaml",
            "policies/agreements/a.yaml",
            "shared/a.yaml",
        ] {
            assert!(places.concern(&at(path)), "{path}");
        }
        for path in [
            "scrim.log",
            "ledger",
            "shared/b.yaml",
            "policies/tests",
            "x/y",
        ] {
            assert!(!places.concern(&at(path)), "{path}");
        }
        let watched = places.watched();
        for path in ["", "policies", "policies/contracts/deep", "shared"] {
            assert!(
                watched.contains(&parent(&at(path).join("x"))),
                "{path} {watched:?}"
            );
        }
    }
}
