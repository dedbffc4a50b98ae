//! Policy sets as they were, kept beside the ledger: `files/<SHA-256>` holds a text, and
//! `versions/<version>.json` says which a set is made of. What is read is checked by its hash.
//!
//! The list of a set's files is cut into parts, which are texts like the others. A version shares with
//! those before it all files and parts that it did not change, so that all versions can be kept for as
//! long as the ledger tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::thread;

use scrim_document::SourceFile;
use scrim_policy::Documents;
use serde::{Deserialize, Serialize};

use crate::load::sha256;

/// The name of the folder beside the ledger.
const FOLDER: &str = "policies";
/// Threads that write at once: a disk takes several files in the time of one.
const WRITERS: usize = 16;
/// How the SHA-256 of a path begins that is the last of its part: one in 256.
const PART_ENDS: &str = "00";
/// What begins the name of a file that is not whole yet.
const UNFINISHED: &str = ".new-";

/// Why a policy set cannot be kept or is not there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
    /// No version begins so.
    #[error("there is no version `{0}`: `scrim policy history` lists those that were in force")]
    Unknown(String),
    /// Several versions begin so.
    #[error("`{prefix}` begins {count} versions: write more of it")]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// How many begin so.
        count: usize,
    },
    /// A file is not as it was written.
    #[error("{} is not as it was written: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// The policy sets that were in force.
#[derive(Debug, Clone)]
pub struct PolicyStore {
    files: PathBuf,
    versions: PathBuf,
}

/// What a version is made of: the SHA-256 of each part of the list of its files.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    parts: Vec<String>,
}

/// A file's path with the SHA-256 of its text.
type Listed = (String, String);

impl PolicyStore {
    /// The store beside a ledger, given the ledger's folder; nothing is made before it is needed.
    pub fn open(ledger: &Path) -> Self {
        let folder = ledger.join(FOLDER);
        Self {
            files: folder.join("files"),
            versions: folder.join("versions"),
        }
    }

    /// Keeps a policy set, durably; one that is kept already is left as it is. Its files, each with the
    /// SHA-256 of its text.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn put(&self, version: &str, files: &[SourceFile]) -> Result<Vec<Listed>, StoreError> {
        let hashed = files.iter();
        let hashed = hashed.map(|file| (file.path().to_owned(), sha256(file.text())));
        let hashed: Vec<_> = hashed.collect();
        let manifest = self.manifest_path(version);
        if manifest.is_file() {
            return Ok(hashed);
        }
        for folder in [&self.files, &self.versions] {
            create_dir(folder)?;
        }
        let unwritten = |e| failed("write", &manifest)(io::Error::other(e));
        let parts = parts(&hashed).map_err(unwritten)?;
        let texts = files.iter().zip(&hashed);
        let texts = texts.map(|(file, (_, hash))| (hash, file.text()));
        let texts = texts.chain(parts.iter().map(|(hash, part)| (hash, part.as_str())));
        let missing = texts.filter(|(hash, text)| !self.is_kept(hash, text));
        self.write_all(&missing.map(|(hash, text)| (hash.clone(), text)).collect())?;
        let parts = parts.into_iter().map(|(hash, _)| hash).collect();
        let text = serde_json::to_vec(&Manifest { parts }).map_err(unwritten)?;
        write(&self.versions, &manifest, &text)?;
        sync_dir(&self.versions)?;
        Ok(hashed)
    }

    /// The files of a version, with their paths from the folder of policies on.
    ///
    /// # Errors
    /// When the version is not there, or is not as it was written.
    pub fn get(&self, version: &str) -> Result<Vec<SourceFile>, StoreError> {
        if !is_hash(version) {
            return Err(StoreError::Unknown(version.to_owned()));
        }
        let path = self.manifest_path(version);
        let damaged = |what: &str| StoreError::Damaged {
            path: path.clone(),
            what: what.to_owned(),
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Unknown(version.to_owned()));
            }
            Err(e) => return Err(failed("read", &path)(e)),
        };
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
        let mut files = Vec::new();
        for part in manifest.parts {
            let listed: Vec<Listed> =
                serde_json::from_str(&self.text(&part)?).map_err(|e| damaged(&e.to_string()))?;
            for (path, hash) in listed {
                // Whoever asked may write the files of a version into a folder.
                let mut steps = Path::new(&path).components();
                if !steps.all(|step| matches!(step, Component::Normal(_))) {
                    return Err(damaged("it lists a path that leads out of the folder"));
                }
                files.push(SourceFile::new(path, self.text(&hash)?));
            }
        }
        if Documents::version_of(&files) != version {
            return Err(damaged("its files make another version"));
        }
        Ok(files)
    }

    /// The versions that are kept, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn versions(&self) -> Result<BTreeSet<String>, StoreError> {
        let entries = match fs::read_dir(&self.versions) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(e) => return Err(failed("read", &self.versions)(e)),
        };
        let mut versions = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(failed("read", &self.versions))?.file_name();
            let version = name.to_str().and_then(|name| name.strip_suffix(".json"));
            versions.extend(
                version
                    .filter(|version| is_hash(version))
                    .map(str::to_owned),
            );
        }
        Ok(versions)
    }

    /// The one version that begins so.
    ///
    /// # Errors
    /// When none does, or several.
    pub fn find(&self, prefix: &str) -> Result<String, StoreError> {
        let mut found: Vec<_> = self.versions()?.into_iter().collect();
        found.retain(|version| version.starts_with(prefix));
        match (found.pop(), found.len()) {
            (Some(version), 0) if !prefix.is_empty() => Ok(version),
            (None, _) => Err(StoreError::Unknown(prefix.to_owned())),
            (Some(_), others) => Err(StoreError::Ambiguous {
                prefix: prefix.to_owned(),
                count: others + 1,
            }),
        }
    }

    fn manifest_path(&self, version: &str) -> PathBuf {
        self.versions.join(format!("{version}.json"))
    }

    /// Whether a text is there; what it says is checked when it is read.
    fn is_kept(&self, hash: &str, text: &str) -> bool {
        let data = fs::metadata(self.files.join(hash));
        data.is_ok_and(|data| data.len() == text.len() as u64)
    }

    fn text(&self, hash: &str) -> Result<String, StoreError> {
        let at = self.files.join(hash);
        let damaged = |what: &str| StoreError::Damaged {
            path: at.clone(),
            what: what.to_owned(),
        };
        if !is_hash(hash) {
            return Err(damaged("its name is no SHA-256"));
        }
        let bytes = fs::read(&at).map_err(failed("read", &at))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8"))?;
        if sha256(&text) != hash {
            return Err(damaged("it does not have the SHA-256 that it is named by"));
        }
        Ok(text)
    }

    /// Writes texts, several at once, and makes their names durable.
    fn write_all(&self, texts: &BTreeMap<String, &str>) -> Result<(), StoreError> {
        let texts: Vec<_> = texts.iter().collect();
        let share = texts.len().div_ceil(WRITERS).max(1);
        let write_some = |some: &[(&String, &&str)]| {
            some.iter().try_for_each(|(hash, text)| {
                write(&self.files, &self.files.join(hash), text.as_bytes())
            })
        };
        thread::scope(|scope| {
            let threads: Vec<_> = texts
                .chunks(share)
                .map(|some| scope.spawn(move || write_some(some)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let broke = |_| failed("write", &self.files)(io::Error::other("a thread broke"));
                thread.join().map_err(broke)?
            })
        })?;
        sync_dir(&self.files)
    }
}

/// A list of files in parts, each with its SHA-256. Where one ends is decided by the paths alone, so that
/// a file more or less changes no other part.
fn parts(listed: &[Listed]) -> serde_json::Result<Vec<(String, String)>> {
    let parts = listed.chunk_by(|(path, _), _| !sha256(path).starts_with(PART_ENDS));
    let part = |part: &[Listed]| {
        let text = serde_json::to_string(part)?;
        Ok((sha256(&text), text))
    };
    parts.map(part).collect()
}

fn is_hash(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(digit)
}

/// Writes a file that is whole as soon as it has its name. The same text may be written twice at
/// once, under one name: whichever comes last is the same.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!("{UNFINISHED}{name}"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    owner_only(&mut options);
    let written = options.open(&unfinished).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError::Io {
        action,
        path: path.clone(),
        cause,
    }
}

/// Makes the names in a folder durable.
fn sync_dir(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("make durable", folder))
}

fn create_dir(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    owner_only_dir(&mut builder);
    builder.create(folder).map_err(failed("make", folder))?;
    // Its own name, and that of the folder it lies in.
    folder.ancestors().skip(1).take(2).try_for_each(sync_dir)
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

#[cfg(unix)]
fn owner_only_dir(builder: &mut fs::DirBuilder) {
    use std::os::unix::fs::DirBuilderExt as _;
    builder.mode(0o700);
}

#[cfg(not(unix))]
fn owner_only_dir(_: &mut fs::DirBuilder) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> (String, Vec<SourceFile>) {
        let files = vec![
            SourceFile::new("agreements/a.yaml", "a: 1\n"),
            SourceFile::new("contracts/b.odcs.yaml", text),
        ];
        (Documents::version_of(&files), files)
    }

    #[test]
    fn what_is_put_is_got_and_found_by_the_beginning_of_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let store = PolicyStore::open(folder.path());
        assert!(store.versions().unwrap().is_empty());
        let (one, files) = set("b: 1\n");
        let (other, others) = set("b: 2\r\n");
        store.put(&one, &files).unwrap();
        store.put(&other, &others).unwrap();
        store.put(&other, &others).unwrap();
        assert_eq!(store.get(&one).unwrap(), files);
        assert_eq!(store.get(&other).unwrap(), others);
        let versions: Vec<_> = store.versions().unwrap().into_iter().collect();
        assert_eq!(versions.len(), 2);
        assert_eq!(store.find(one.get(..9).unwrap()).unwrap(), one);
        let ambiguous = store.find("").unwrap_err();
        assert!(matches!(ambiguous, StoreError::Ambiguous { count: 2, .. }));
        assert!(matches!(store.find("x"), Err(StoreError::Unknown(_))));
        assert!(matches!(store.get("../x"), Err(StoreError::Unknown(_))));
        let texts = fs::read_dir(folder.path().join("policies/files")).unwrap();
        assert_eq!(
            texts.count(),
            5,
            "a text that two versions share is kept once; each version has a list"
        );
    }

    #[test]
    fn a_version_of_many_files_takes_no_more_room_than_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = PolicyStore::open(folder.path());
        let mut files: Vec<_> = (0..11_000)
            .map(|n| SourceFile::new(format!("agreements/partner-{n:05}.yaml"), "a: 1\n"))
            .collect();
        let room = || -> u64 {
            let folders = [&store.files, &store.versions].map(|dir| fs::read_dir(dir).unwrap());
            let entries = folders.into_iter().flatten();
            entries
                .map(|entry| entry.unwrap().metadata().unwrap().len())
                .sum()
        };
        let put = |files: &[SourceFile]| {
            let version = Documents::version_of(files);
            store.put(&version, files).unwrap();
            assert_eq!(store.get(&version).unwrap(), files);
            room()
        };
        let first = put(&files);
        files[5_000] = SourceFile::new(files[5_000].path(), "a: 2\n");
        let changed = put(&files);
        files.insert(
            3,
            SourceFile::new("agreements/partner-00002b.yaml", "a: 1\n"),
        );
        let added = put(&files);
        files.remove(7_000);
        let removed = put(&files);
        for (before, after) in [(first, changed), (changed, added), (added, removed)] {
            let more = after - before;
            assert!(more < 150_000 && first > 1_000_000, "{first} and {more}");
        }
    }

    #[test]
    fn what_was_changed_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = PolicyStore::open(folder.path());
        let (version, files) = set("b: 1\n");
        store.put(&version, &files).unwrap();
        let text = store.files.join(sha256("b: 1\n"));
        fs::write(&text, "b: 9\n").unwrap();
        let damaged = store.get(&version).unwrap_err().to_string();
        assert!(damaged.contains("SHA-256"), "{damaged}");
        fs::write(&text, "b: 1\n").unwrap();
        let (other, others) = set("b: 2\n");
        store.put(&other, &others).unwrap();
        let manifest = store.manifest_path(&version);
        fs::copy(store.manifest_path(&other), manifest).unwrap();
        let damaged = store.get(&version).unwrap_err().to_string();
        assert!(damaged.contains("another version"), "{damaged}");
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for path in ["../a.yaml", "/etc/a.yaml", "contracts/../../a.yaml"] {
            let folder = tempfile::tempdir().unwrap();
            let store = PolicyStore::open(folder.path());
            let files = vec![SourceFile::new(path, "a: 1\n")];
            let version = Documents::version_of(&files);
            store.put(&version, &files).unwrap();
            let damaged = store.get(&version).unwrap_err().to_string();
            assert!(damaged.contains("leads out"), "{path}: {damaged}");
        }
    }
}
