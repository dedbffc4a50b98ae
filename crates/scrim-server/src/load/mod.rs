//! From a folder of policies to what the engine serves; also what `scrim policy` and `scrim explain`
//! stand on.

mod check;
mod open;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scrim_document::{Location, Problem, Problems, SourceFile};
use scrim_engine::{Engine, RawTable, World};
use scrim_identity::{Accounts, Certificates};
use scrim_model::{Secret, TableName, ValueType};
use scrim_policy::{Documents, LeftOut, LoadEnv, PolicySet};
use scrim_sources::Sources;
use sha2::{Digest, Sha256};

pub use check::{SourceReport, documents, sources};
use open::Sources as OpenedSources;
pub(crate) use open::{OpenSources, Opening};
pub use typed::{Place, Typed, typed};

use crate::config::{self, Administrator, Config, Lookup, MappedCertificate};

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of all files of a policy set.
const ALL_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Folders below the policies' folder.
const DEPTH_MAX: usize = 8;
/// Files and folders that are looked at, whether they are policies or not.
const ENTRIES_MAX: usize = 100_000;

/// What a policy set is loaded from.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The folder with `contracts` and `agreements`.
    pub policies: PathBuf,
    /// Which `servers` entry of the contracts to use; the first one when unsaid.
    pub environment: Option<String>,
    /// What opens sources. One for each process: its connections and caches outlive policy sets.
    pub sources: Arc<Sources>,
    /// Tables that only row rules may ask.
    pub lookups: BTreeMap<String, Lookup>,
    /// The types of `principal.<attribute>`.
    pub attributes: BTreeMap<String, ValueType>,
    /// The names of `context.network`.
    pub networks: BTreeSet<String>,
}

impl Inputs {
    /// What a configuration names, with the credentials of its secrets file and the environment.
    ///
    /// # Errors
    /// All problems of the credentials.
    pub fn new(config: &Config) -> Result<Self, Problems> {
        let credentials = config::credentials(config.secrets.as_deref(), std::env::vars_os())?;
        let sources = Sources::new(config.base_dir.clone(), credentials, config.sources)
            .with_environment(std::env::vars_os());
        Ok(Self {
            policies: config.policies.clone(),
            environment: config.environment.clone(),
            sources: Arc::new(sources),
            lookups: config.lookups.clone(),
            attributes: config.identity.attributes.clone(),
            networks: config.networks.names().map(str::to_owned).collect(),
        })
    }

    /// The documents.
    ///
    /// # Errors
    /// All problems of reading and parsing.
    pub fn documents(&self) -> Result<Documents, Problems> {
        Documents::parse(policy_files(&self.policies)?)
    }
}

/// A policy set with its open tables, ready for [`Engine::load`].
#[derive(Debug)]
pub struct Loaded {
    /// What the engine serves.
    pub world: World,
    /// What the owner should look at.
    pub warnings: Problems,
    /// The files, with their paths from the folder of policies on.
    pub files: Vec<SourceFile>,
    /// The contracts whose tables are not served, and why.
    pub left_out: Vec<LeftOut>,
    /// Columns of sources that their contracts do not list, and so stay hidden, by table.
    pub unlisted: BTreeMap<TableName, Vec<String>>,
    /// The sources of what is served.
    pub(crate) open: OpenSources,
}

/// Reads the policies, opens the sources they govern, and compiles everything. A contract whose
/// source is not there, or does not fit it, is left out.
///
/// # Errors
/// All problems of the first step that has any: reading, parsing, compiling.
pub async fn policies(
    inputs: &Inputs,
    root_key: Secret<[u8; 32]>,
    engine: &Engine,
) -> Result<Loaded, Problems> {
    let files = policy_files(&inputs.policies)?;
    let before = OpenSources::default();
    set(
        files,
        inputs,
        root_key,
        engine,
        (&before, Opening::Everything),
    )
    .await
}

/// Makes a policy set of files; sources that are open already are taken over. What computes does so
/// on a thread of its own, so that nobody waits for it.
///
/// # Errors
/// All problems of the first step that has any: parsing, compiling.
pub(crate) async fn set(
    files: Vec<SourceFile>,
    inputs: &Inputs,
    root_key: Secret<[u8; 32]>,
    engine: &Engine,
    (before, opening): (&OpenSources, Opening),
) -> Result<Loaded, Problems> {
    let relative: Vec<_> = files
        .iter()
        .map(|file| from_folder(&inputs.policies, file))
        .collect();
    let parsed = aside(inputs, move || Documents::parse(files)).await?;
    let from = (before, opening);
    let loaded = compiled(parsed?, inputs, root_key, engine, from).await?;
    Ok(Loaded {
        files: relative,
        ..loaded
    })
}

/// Tables that stand in the place of sources, for tests of policies.
#[derive(Debug, Clone, Default)]
pub struct Fixtures {
    /// Those of contracts, by the contract's table name.
    pub tables: BTreeMap<TableName, RawTable>,
    /// Those of look-up tables, by name.
    pub lookups: BTreeMap<String, RawTable>,
}

/// Compiles documents, with fixtures in the place of some sources: those are not opened, and need
/// not be there. Everything else is as it is with the real ones.
///
/// # Errors
/// All problems of the first step that has any: opening, compiling.
pub async fn with_fixtures(
    documents: Documents,
    fixtures: &Fixtures,
    inputs: &Inputs,
    root_key: Secret<[u8; 32]>,
    engine: &Engine,
) -> Result<Loaded, Problems> {
    let from = (&OpenSources::of(fixtures), Opening::WhatIsNew);
    compiled(documents, inputs, root_key, engine, from).await
}

async fn compiled(
    documents: Documents,
    inputs: &Inputs,
    root_key: Secret<[u8; 32]>,
    engine: &Engine,
    (before, opening): (&OpenSources, Opening),
) -> Result<Loaded, Problems> {
    let OpenedSources { open, unavailable } =
        open::all(&documents, inputs, before, opening).await?;
    let (schemas, lookups) = (open.schemas(), open.lookup_schemas());
    let (attributes, networks) = (inputs.attributes.clone(), inputs.networks.clone());
    let functions = engine.functions();
    let compiled = aside(inputs, move || {
        let env = LoadEnv {
            schemas: &schemas,
            lookups: &lookups,
            unavailable,
            attributes: &attributes,
            networks,
            functions,
        };
        PolicySet::compile(documents, &env)
    });
    let (policy, warnings) = compiled.await??;
    Ok(loaded(policy, warnings, open, root_key))
}

fn loaded(
    policy: PolicySet,
    warnings: Problems,
    mut open: OpenSources,
    root_key: Secret<[u8; 32]>,
) -> Loaded {
    // What no contract in force governs is not kept at hand.
    open.tables.retain(|name, _| policy.table(name).is_some());
    let (mut tables, mut unlisted) = (BTreeMap::new(), BTreeMap::new());
    for (name, source) in &open.tables {
        tables.insert(name.clone(), source.table.clone());
        if !source.unlisted.is_empty() {
            unlisted.insert(name.clone(), source.unlisted.clone());
        }
    }
    let left_out = policy.left_out().to_vec();
    Loaded {
        world: World::new(Arc::new(policy), tables, open.lookups.clone(), root_key),
        warnings,
        files: Vec::new(),
        left_out,
        unlisted,
        open,
    }
}

/// Computes where it holds up nobody.
pub(crate) async fn aside<T: Send + 'static>(
    inputs: &Inputs,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problems> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| about(&inputs.policies, "loading broke; please report this").into())
}

/// A file with its path from the folder of policies on.
pub(crate) fn from_folder(folder: &Path, file: &SourceFile) -> SourceFile {
    match Path::new(file.path()).strip_prefix(folder) {
        Ok(path) => SourceFile::new(path.display().to_string(), file.text()),
        Err(_) => file.clone(),
    }
}

/// The same file with the path that it has in the folder.
pub(crate) fn in_folder(folder: &Path, file: &SourceFile) -> SourceFile {
    let path = folder.join(file.path());
    SourceFile::new(path.display().to_string(), file.text())
}

/// Reads and checks the accounts file.
///
/// # Errors
/// All problems of the file.
pub fn accounts(
    path: &Path,
    attributes: &BTreeMap<String, ValueType>,
) -> Result<Accounts, Problems> {
    Accounts::parse(&read_file(path)?, attributes)
}

/// The accounts that may administer the server.
///
/// # Errors
/// Each one that is not there.
pub fn administrators(
    named: &[Administrator],
    accounts: &Accounts,
) -> Result<BTreeSet<String>, Problems> {
    let mut problems = Problems::default();
    for Administrator { account, location } in named {
        if accounts.get(account).is_none() {
            problems.push(no_account("administrators", account, location, accounts));
        }
    }
    let ids = named.iter().map(|one| one.account.clone()).collect();
    problems.into_result(ids).map(|(ids, _)| ids)
}

/// What the configuration says of an account that is not there.
fn no_account(key: &str, account: &str, at: &Location, accounts: &Accounts) -> Problem {
    let file = SourceFile::new(Arc::clone(&at.file), "");
    let message = format!("{key}: there is no account `{account}`");
    let help = match scrim_document::nearest(account, accounts.ids()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to the accounts file".to_owned(),
    };
    Problem::error(at, &file, message).with_help(help)
}

/// The client certificates that stand for accounts.
///
/// # Errors
/// Each one whose account is not there.
pub fn certificates(
    mapped: &[MappedCertificate],
    accounts: &Accounts,
) -> Result<Certificates, Problems> {
    let mut problems = Problems::default();
    let mut names = Vec::with_capacity(mapped.len());
    for MappedCertificate {
        name,
        account,
        location,
    } in mapped
    {
        if accounts.get(account).is_none() {
            let key = "identity.certificates";
            problems.push(no_account(key, account, location, accounts));
        }
        names.push((name.clone(), account.clone()));
    }
    let certificates = Certificates::new(names);
    problems
        .into_result(certificates)
        .map(|(certificates, _)| certificates)
}

/// Every policy document of a folder, sorted by path: all `.yaml` below `contracts` and `agreements`,
/// and beside them the access policies that stand in files of their own, `*.policy.yaml`.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn policy_files(dir: &Path) -> Result<Vec<SourceFile>, Problems> {
    if !dir.join("contracts").is_dir() {
        let message = "there is no folder `contracts` here";
        let help = "give the folder that holds `contracts` and `agreements`";
        return Err(about(dir, message).with_help(help).into());
    }
    let mut problems = Problems::default();
    let mut found = Collected::default();
    for part in ["contracts", "agreements"] {
        found.below(&dir.join(part), 0, &mut problems);
    }
    found.beside(dir, &mut problems);
    if found.entries > ENTRIES_MAX {
        let message = format!("there are more than {ENTRIES_MAX} files and folders here");
        let help = "keep what is no policy elsewhere, and look for links that lead in a circle";
        return Err(about(dir, message).with_help(help).into());
    }
    let Collected { mut paths, .. } = found;
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    let mut bytes = 0;
    for path in paths {
        match read_file(&path) {
            Ok(file) => {
                bytes += file.text().len();
                files.push(file);
            }
            Err(found) => problems.extend(found),
        }
        if bytes > ALL_BYTES_MAX {
            let most = ALL_BYTES_MAX >> 20;
            let message = format!("the files together are larger than {most} MiB");
            return Err(about(dir, message).into());
        }
    }
    problems.into_result(files).map(|(files, _)| files)
}

/// Reads one file of the owner's.
///
/// # Errors
/// When it cannot be read, is no file, is too large, or is not UTF-8.
pub fn read_file(path: &Path) -> Result<SourceFile, Problems> {
    let found = std::fs::metadata(path).map_err(|e| about(path, format!("cannot read: {e}")))?;
    // To open a pipe is to wait for its writer, for ever if there is none.
    if !found.is_file() {
        return Err(about(path, "cannot read: it is not a file").into());
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(about(
            path,
            format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20),
        )
        .into());
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| about(path, format!("cannot read: {e}")))?;
    Ok(SourceFile::new(path.display().to_string(), text))
}

/// The documents of a folder, as they are found.
#[derive(Debug, Default)]
struct Collected {
    paths: Vec<PathBuf>,
    /// All that was looked at.
    entries: usize,
}

impl Collected {
    /// The paths in a folder that are not hidden, as long as they are not too many.
    fn entries(&mut self, dir: &Path, problems: &mut Problems) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) => {
                problems.push(about(dir, format!("cannot read: {e}")));
                return paths;
            }
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Vec::new();
            }
            match entry {
                Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                Ok(entry) => paths.push(entry.path()),
                Err(e) => {
                    problems.push(about(dir, format!("cannot read: {e}")));
                    return paths;
                }
            }
        }
        paths
    }

    /// All documents below a folder; one of the parts of a policy set may be missing.
    fn below(&mut self, dir: &Path, depth: usize, problems: &mut Problems) {
        if depth == 0 && dir.try_exists().is_ok_and(|is_there| !is_there) {
            return;
        }
        for path in self.entries(dir, problems) {
            let yaml = path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml");
            if path.is_dir() {
                if depth >= DEPTH_MAX {
                    let message = format!("folders are nested deeper than {DEPTH_MAX}");
                    problems.push(about(&path, message));
                } else {
                    self.below(&path, depth + 1, problems);
                }
            } else if yaml {
                self.paths.push(path);
            }
        }
    }

    /// The access policies that lie directly in the folder.
    fn beside(&mut self, dir: &Path, problems: &mut Problems) {
        for path in self.entries(dir, problems) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if scrim_policy::is_policy(&name) {
                self.paths.push(path);
            }
        }
    }
}

/// A problem of a file or folder as a whole.
pub(crate) fn about(path: &Path, message: impl Into<String>) -> Problem {
    let file = SourceFile::new(path.display().to_string(), "");
    Problem::error(&file.location(1, 1), &file, message)
}

pub(crate) fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_files_are_all_yaml_files_of_the_two_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "contracts/b.odcs.yaml",
            "contracts/deep/a.yml",
            "agreements/c.yaml",
            "tests/t.test.yaml",
            "contracts/README.md",
            "contracts/.hidden.yaml",
            "b.policy.yaml",
            "notes.yaml",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x: 1\n").unwrap();
        }
        let files = policy_files(dir.path()).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|f| f.path().strip_prefix(dir.path().to_str().unwrap()).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "/agreements/c.yaml",
                "/b.policy.yaml",
                "/contracts/b.odcs.yaml",
                "/contracts/deep/a.yml"
            ]
        );
    }

    #[test]
    fn digests_are_hexadecimal() {
        assert!(sha256("abc").starts_with("ba7816bf8f01cfea"));
        assert_eq!(sha256("abc").len(), 64);
    }

    #[test]
    fn a_folder_without_contracts_is_a_problem_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let problems = policy_files(dir.path()).unwrap_err().to_string();
        assert!(problems.contains("no folder `contracts`"), "{problems}");
        assert!(problems.contains("help:"), "{problems}");
    }

    #[cfg(unix)]
    #[test]
    fn inv_14_links_in_a_circle_are_a_problem_and_no_endless_work() {
        let dir = tempfile::tempdir().unwrap();
        let contracts = dir.path().join("contracts");
        std::fs::create_dir(&contracts).unwrap();
        for name in 'a'..='j' {
            std::os::unix::fs::symlink(".", contracts.join(name.to_string())).unwrap();
        }
        let problems = policy_files(dir.path()).unwrap_err().to_string();
        assert!(problems.contains("more than 100000 files"), "{problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe.yaml");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let problems = read_file(&path).unwrap_err().to_string();
        assert!(problems.contains("not a file"), "{problems}");
    }

    #[test]
    fn inv_14_a_huge_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge.yaml");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        assert!(
            read_file(&path)
                .unwrap_err()
                .to_string()
                .contains("larger than")
        );
    }
}
