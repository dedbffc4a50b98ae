//! Policies as they were in a revision of a git repository.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::outcome::Failure;

/// Bytes of one file.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a tree holds: what names its content, its path, and whether it is a file, not a link or a
/// submodule.
struct Entry {
    object: String,
    path: String,
    is_file: bool,
}

/// The policy files of a revision, by path from the folder of policies on.
///
/// # Errors
/// When git is not there, or the revision or the folder in it is not.
pub(super) fn files(revision: &str, policies: &Path) -> Result<Vec<(String, String)>, Failure> {
    // git would take it for an option
    if revision.starts_with('-') {
        return Err(Failure::Usage(format!("`{revision}` is no revision")));
    }
    let at = existing(policies);
    let tree = if revision.contains(':') {
        revision.to_owned()
    } else {
        let prefix = git(at, &["rev-parse", "--show-prefix"], b"");
        let prefix = prefix.map_err(|failure| otherwise(revision, &failure))?;
        let prefix = String::from_utf8_lossy(&prefix);
        let below = policies.strip_prefix(at).unwrap_or(Path::new(""));
        let folder = Path::new(prefix.trim()).join(below);
        format!("{revision}:{}", folder.display())
    };
    let listed = git(
        at,
        &[
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            "--end-of-options",
            &tree,
        ],
        b"",
    );
    let listed = listed.map_err(|failure| otherwise(revision, &failure))?;
    let entries = entries(&String::from_utf8_lossy(&listed));
    // A folder on disk is read through links; what they lead to is no part of a revision.
    if let Some(link) = entries.iter().find(|one| !one.is_file && is_in_place(one)) {
        let path = &link.path;
        return Err(Failure::Usage(format!(
            "`{path}` in {tree} is a link or a submodule, which is not read from a revision: check the \
             revision out, and compare the folder"
        )));
    }
    let entries: Vec<Entry> = entries.into_iter().filter(is_policy).collect();
    let mut asked: Vec<&str> = entries.iter().map(|entry| entry.object.as_str()).collect();
    // The last line ends, too.
    asked.push("");
    let asked = asked.join("\n");
    let contents = git(at, &["cat-file", "--batch"], asked.as_bytes())?;
    let mut rest = contents.as_slice();
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let content = next(&mut rest).ok_or_else(|| {
            Failure::Failed(format!("git does not tell what is in {}", entry.path))
        })?;
        if content.len() > FILE_BYTES_MAX {
            return Err(Failure::Usage(format!("{} is too large", entry.path)));
        }
        let text = String::from_utf8(content.to_vec())
            .map_err(|_| Failure::Usage(format!("{tree}/{} is not UTF-8", entry.path)))?;
        files.push((entry.path, text));
    }
    if files.is_empty() {
        return Err(Failure::Usage(format!(
            "there are no contracts in {tree}: name the folder as REV:PATH"
        )));
    }
    Ok(files)
}

/// A side that is nothing else is taken for a revision, so what git says of it may be beside the point.
fn otherwise(revision: &str, failure: &Failure) -> Failure {
    let said = failure.text();
    Failure::Usage(format!(
        "`{revision}` is no folder and no server, and no revision either: {said}"
    ))
}

/// The folder, or the nearest around it that is there: a revision may have one that is gone.
fn existing(folder: &Path) -> &Path {
    let mut around = folder.ancestors();
    around
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."))
}

/// Runs git in a folder.
fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Failure> {
    let unusable = |error: std::io::Error| Failure::Usage(format!("cannot run git: {error}"));
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = command.spawn().map_err(unusable)?;
    let stdin = running.stdin.take();
    let input = input.to_vec();
    // git may answer before it has read all, and then both would wait
    let writer = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            drop(stdin.write_all(&input));
        }
    });
    let output = running.wait_with_output().map_err(unusable)?;
    drop(writer.join());
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Usage(format!("git: {}", said.trim())))
}

/// All that `ls-tree -z` lists.
fn entries(listed: &str) -> Vec<Entry> {
    let lines = listed.split_terminator('\0');
    let entries = lines.filter_map(|line| {
        let (about, path) = line.split_once('\t')?;
        let mut words = about.split(' ');
        let (mode, kind, object) = (words.next()?, words.next()?, words.next()?);
        Some(Entry {
            object: object.to_owned(),
            path: path.to_owned(),
            is_file: kind == "blob" && mode.starts_with("100"),
        })
    });
    entries.collect()
}

/// Whether it lies where a folder of policies is looked through, and is not hidden.
fn is_in_place(entry: &Entry) -> bool {
    let path = Path::new(&entry.path);
    let hidden = entry.path.split('/').any(|name| name.starts_with('.'));
    let below = path.starts_with("contracts") || path.starts_with("agreements");
    !hidden && (below || is_policy_beside(entry))
}

/// Whether it is an access policy in a file of its own, beside the folder of contracts.
fn is_policy_beside(entry: &Entry) -> bool {
    !entry.path.contains('/') && scrim_policy::is_policy(&entry.path)
}

/// Whether a file is one of those that a folder of policies is read from.
fn is_policy(entry: &Entry) -> bool {
    let yaml = Path::new(&entry.path)
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    is_in_place(entry) && (yaml || is_policy_beside(entry))
}

/// The next content that `cat-file --batch` tells: a line `object kind size`, and so many bytes.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(rest.get(..end)?).ok()?;
    let size: usize = line.rsplit(' ').next()?.parse().ok()?;
    let start = end + 1;
    let content = rest.get(start..start.checked_add(size)?)?;
    *rest = rest.get(start + size + 1..)?;
    Some(content)
}
