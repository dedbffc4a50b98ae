//! Where in the file system something must happen for the policies or the accounts to change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Links that are followed, one after the other, and folders below one another that are walked.
const DEPTH_MAX: usize = 8;
/// Folders that are watched; what happens in more is found by looking.
const FOLDERS_MAX: usize = 256;

/// Folders in which anything matters, folders in which access policies do, and names that matter in
/// others.
#[derive(Debug, Default)]
pub(crate) struct Places {
    folders: BTreeSet<PathBuf>,
    /// The folders of policies themselves: beside their parts lie access policies in files of their
    /// own.
    roots: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
}

impl Places {
    /// The places as they are now, of folders of policies and of the accounts.
    pub(crate) fn new<'a>(roots: impl IntoIterator<Item = &'a Path>, accounts: &Path) -> Self {
        let mut places = Self::default();
        places.follow(accounts);
        for root in roots {
            places.roots.insert(root.to_owned());
            places.follow(root);
            places.follow_beside(root);
            for part in ["contracts", "agreements"] {
                let folder = root.join(part);
                places.follow(&folder);
                places.walk(&folder, 0);
            }
        }
        places
    }

    /// The folders that are to be watched, without what is below them; of too many those at the top.
    pub(crate) fn watched(&self) -> BTreeSet<PathBuf> {
        let mut watched = self.roots.clone();
        let folders = self.folders.iter().cloned();
        let parts = folders.clone();
        let parts = parts.filter(|folder| self.roots.contains(&parent(folder)));
        let around = self.names.iter().map(|path| parent(path));
        for folder in parts.chain(around).chain(folders) {
            if watched.len() >= FOLDERS_MAX {
                break;
            }
            watched.insert(folder);
        }
        watched
    }

    /// Whether what happens to a path matters.
    pub(crate) fn concern(&self, path: &Path) -> bool {
        let around = parent(path);
        self.names.contains(path)
            || self.folders.contains(path)
            || self.folders.contains(&around)
            || self.roots.contains(&around) && is_access_policy(path)
    }

    /// A name, and where it leads if it or a folder above it is a link: each may be replaced.
    fn follow(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..DEPTH_MAX {
            self.names.insert(path.clone());
            let Some((link, target)) = first_link(&path) else {
                return;
            };
            self.names.insert(link);
            path = target;
        }
    }

    /// The access policies beside the parts of a folder, where they are links.
    fn follow_beside(&mut self, root: &Path) {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if is_link && is_access_policy(&path) {
                self.follow(&path);
            }
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

/// Whether a file, beside the parts of a folder of policies, is one that is read.
fn is_access_policy(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !is_hidden(path) && scrim_policy::is_policy(&name)
}

/// The first link on the way to a path, and where the way leads through it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut way = PathBuf::new();
    let mut rest = path.components();
    while let Some(step) = rest.next() {
        way.push(step);
        if let Ok(target) = fs::read_link(&way) {
            let mut leads = parent(&way).join(target);
            leads.extend(rest);
            return Some((way, leads));
        }
    }
    None
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
        // A folder of which a part is a link through a link.
        fs::create_dir_all(at("mount/..1/contracts")).unwrap();
        symlink("..1", at("mount/..data")).unwrap();
        symlink("..data/contracts", at("mount/contracts")).unwrap();
        fs::write(at("shared/b.policy.yaml"), "").unwrap();
        symlink(at("shared/b.policy.yaml"), at("mount/b.policy.yaml")).unwrap();
        // A folder behind a link.
        fs::create_dir_all(at("trees/1/policies/contracts")).unwrap();
        symlink("trees/1", at("tree")).unwrap();
        let roots = ["policies", "mount", "tree/policies"].map(at);
        let roots = roots.iter().map(PathBuf::as_path);
        let places = Places::new(roots, &at("accounts.yaml"));
        for path in [
            "mount/..data",
            "mount/new.policy.yaml",
            "shared/b.policy.yaml",
            "policies/contracts/deep",
            "policies/new.policy.yaml",
            "tree",
            "tree/policies/contracts/new.yaml",
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
            "policies/new.yaml",
            "policies/.new.policy.yaml",
            "mount/..2",
            "trees/2",
            "x/y",
        ] {
            assert!(!places.concern(&at(path)), "{path}");
        }
        let watched = places.watched();
        for path in ["", "policies", "policies/contracts/deep", "shared", "mount"] {
            assert!(
                watched.contains(&parent(&at(path).join("x"))),
                "{path} {watched:?}"
            );
        }
    }

    /// As many links as there are, the folders that they lead to are few.
    #[cfg(unix)]
    #[test]
    fn inv_14_links_do_not_use_up_what_can_be_watched() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["policies/agreements", "policies/contracts", "one", "z"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for number in 0..=FOLDERS_MAX {
            let link = at(&format!("policies/agreements/{number}.yaml"));
            std::os::unix::fs::symlink(at(&format!("one/{number}.yaml")), link).unwrap();
        }
        let link = at("policies/contracts/z.yaml");
        std::os::unix::fs::symlink(at("z/z.yaml"), link).unwrap();
        let places = Places::new([at("policies").as_path()], &at("accounts.yaml"));
        let watched = places.watched();
        assert!(
            watched.contains(&at("z")) && watched.contains(&at("one")),
            "{watched:?}"
        );
        for number in 0..=FOLDERS_MAX {
            fs::create_dir(at(&format!("policies/contracts/{number}"))).unwrap();
        }
        let places = Places::new([at("policies").as_path()], &at("accounts.yaml"));
        let watched = places.watched();
        assert_eq!(watched.len(), FOLDERS_MAX);
        assert!(watched.contains(&at("policies/contracts")) && watched.contains(&at("z")));
    }
}
