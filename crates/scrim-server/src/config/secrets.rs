//! The credentials of sources, from the secrets file and the environment.
//!
//! Nothing that stands in either is repeated in a message: not a value, and not a line that might
//! hold one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use scrim_document::{Node, Problem, Problems, SourceFile, nearest};
use scrim_model::Secret;
use scrim_sources::{Credential, Credentials};

const FILE_BYTES_MAX: u64 = 1 << 20;
/// What every variable begins with that holds a field of a credential.
const PREFIX: &str = "SCRIM_CREDENTIALS_";
const SHAPE: &str = "write `NAME: {FIELD: \"…\"}`, every value a text in quotes";

/// Fields by name, by the normal name of their credential.
type Named = BTreeMap<String, BTreeMap<String, Secret<String>>>;

/// Reads the credentials of the secrets file, if there is one, and those of the environment, which
/// count before the file's.
///
/// # Errors
/// All that is wrong, without any value.
pub fn credentials(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Credentials, Problems> {
    let mut problems = Problems::default();
    let mut named = Named::new();
    if let Some(path) = file {
        match read(path) {
            Ok(node) => of_file(&node, &mut named, &mut problems),
            Err(problem) => problems.push(problem),
        }
    }
    for (name, value) in environment {
        if let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) {
            of_variable(rest, &value, &mut named, &mut problems);
        }
    }
    let credentials = named
        .into_iter()
        .map(|(name, fields)| (name, Credential::new(fields)));
    let credentials = Credentials::new(credentials);
    problems
        .into_result(credentials)
        .map(|(credentials, _)| credentials)
}

fn about(path: &Path, line: u32, column: u32, message: impl Into<String>) -> Problem {
    let file = SourceFile::new(path.display().to_string(), "");
    Problem::error(&file.location(line, column), &file, message)
}

fn read(path: &Path) -> Result<Node, Problem> {
    let failed = |error| about(path, 1, 1, format!("cannot read: {error}"));
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, not of the name, which could lead elsewhere by now.
    check_mode(&file, path)?;
    let mut text = String::new();
    let size = file
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if size as u64 > FILE_BYTES_MAX {
        let message = format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(about(path, 1, 1, message));
    }
    // The parser's own words may quote the file.
    Node::parse(&SourceFile::new(path.display().to_string(), text)).map_err(|problems| {
        let at = problems.iter().next().map(|first| first.location().clone());
        let (line, column) = at.map_or((1, 1), |at| (at.line, at.column));
        let message = "this is not the YAML that is expected in a secrets file";
        about(path, line, column, message).with_help(SHAPE)
    })
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file
        .metadata()
        .map_err(|error| about(path, 1, 1, format!("cannot read: {error}")))?;
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_file() {
        return Err(about(path, 1, 1, "this is not a regular file"));
    }
    if mode & 0o077 != 0 {
        let message = format!("the secrets file can be read by others (mode {mode:04o})");
        let help = format!(
            "run `chmod 600 {}`, and change its secrets if somebody may have read them",
            path.display()
        );
        return Err(about(path, 1, 1, message).with_help(help));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), Problem> {
    Ok(())
}

/// A problem at a place of the secrets file.
fn wrong(node: &Node, message: impl Into<String>) -> Problem {
    let at = node.location();
    about(Path::new(&*at.file), at.line, at.column, message)
}

fn of_file(node: &Node, named: &mut Named, problems: &mut Problems) {
    if node.is_null() {
        return;
    }
    let Some(entries) = node.as_map() else {
        return problems.push(wrong(node, "expected a map of credentials").with_help(SHAPE));
    };
    for entry in entries {
        let Some(fields) = entry.value.as_map() else {
            let found = entry.value.kind_name();
            let message = format!("expected the fields of a credential, found {found}");
            problems.push(wrong(&entry.value, message).with_help(SHAPE));
            continue;
        };
        let name = Credentials::normal(&entry.name);
        if named.contains_key(&name) {
            let message = "a credential of this name stands here twice; `-` and `_` are the same";
            problems.push(wrong(&entry.key, message));
        }
        let credential = named.entry(name).or_default();
        for field in fields {
            if !Credential::FIELDS.contains(&&*field.name) {
                problems.push(no_field(
                    wrong(&field.key, "no credential has this field"),
                    &field.name,
                ));
                continue;
            }
            let Some(value) = field.value.as_str() else {
                let message = format!("expected text, found {}", field.value.kind_name());
                problems.push(wrong(&field.value, message).with_help("put it in quotes"));
                continue;
            };
            credential.insert(field.name.to_string(), Secret::new(value.to_owned()));
        }
    }
}

/// A name that is no field is not repeated: it may be a value that slipped.
fn no_field(problem: Problem, name: &str) -> Problem {
    match nearest(name, Credential::FIELDS.iter().copied()) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(format!("the fields are {}", Credential::FIELDS.join(", "))),
    }
}

/// A variable `SCRIM_CREDENTIALS_<NAME>_<FIELD>`; `rest` is what follows the prefix.
fn of_variable(rest: &str, value: &OsStr, named: &mut Named, problems: &mut Problems) {
    let variable = format!("{PREFIX}{rest}");
    let problem = |message: &str| {
        about(
            Path::new("the environment"),
            1,
            1,
            format!("`{variable}` {message}"),
        )
    };
    // A name may end like a field begins: the longest field counts.
    let lower = rest.to_lowercase();
    let split = |field: &&'static str| {
        let name = lower.strip_suffix(*field)?.strip_suffix('_')?;
        Some((name, *field))
    };
    let found = Credential::FIELDS
        .iter()
        .filter_map(split)
        .filter(|(name, _)| !name.is_empty())
        .max_by_key(|(_, field)| field.len());
    let Some((name, field)) = found else {
        let help = format!(
            "write {PREFIX}NAME_FIELD; the fields are {}",
            Credential::FIELDS.join(", ")
        );
        return problems.push(problem("names no field of a credential").with_help(help));
    };
    match value.to_str() {
        Some(value) => {
            let credential = named.entry(Credentials::normal(name)).or_default();
            credential.insert(field.to_owned(), Secret::new(value.to_owned()));
        }
        None => problems.push(problem("is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let pair = |(name, value): &(&str, &str)| (name.into(), value.into());
        variables.iter().map(pair).collect()
    }

    fn written(text: &str) -> tempfile::NamedTempFile {
        // Such a file is made for its owner alone.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn read_text(text: &str, variables: &[(&str, &str)]) -> Result<Credentials, Problems> {
        let file = written(text);
        credentials(Some(file.path()), environment(variables))
    }

    fn value(credentials: &Credentials, name: &str, field: &str) -> Option<String> {
        let credential = credentials.of(Some(name)).unwrap().unwrap();
        credential.get(field).map(|secret| secret.expose().clone())
    }

    const FILE: &str = "# who reads what
hospital-db: {user: reader, password: \"7\"}
lake:
  access_key_id: key
  secret_access_key: 'a: #b'
";

    #[test]
    fn credentials_come_from_the_file_and_the_environment() {
        let read = read_text(
            FILE,
            &[
                ("SCRIM_CREDENTIALS_HOSPITAL_DB_PASSWORD", "8"),
                ("SCRIM_CREDENTIALS_LAKE_SESSION_TOKEN", "t"),
                ("SCRIM_CREDENTIALS_AWAY_SECRET_ACCESS_KEY", "s"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        for (name, field, expected) in [
            ("hospital-db", "user", Some("reader")),
            ("hospital-db", "password", Some("8")),
            ("hospital_db", "password", Some("8")),
            ("lake", "secret_access_key", Some("a: #b")),
            ("lake", "session_token", Some("t")),
            ("lake", "password", None),
            ("away", "secret_access_key", Some("s")),
        ] {
            let found = value(&read, name, field);
            assert_eq!(found.as_deref(), expected, "{name}.{field}");
        }
        assert!(read.of(Some("nobody")).is_err());
        assert!(read.of(None).unwrap().is_none());
        let none = credentials(None, environment(&[])).unwrap();
        assert!(none.of(Some("lake")).is_err());
        assert!(read_text("", &[]).is_ok());
    }

    #[test]
    fn inv_15_no_message_about_secrets_repeats_one() {
        for (text, place, said) in [
            ("hunter2", "1:1", "a map of credentials"),
            ("- hunter2", "1:1", "a map of credentials"),
            ("db: hunter2", "1:5", "found text"),
            ("db: {password: 42}", "1:16", "put it in quotes"),
            ("db: {password: [hunter2]}", "1:16", "found a list"),
            ("db: {pasword: hunter2}", "1:6", "did you mean `password`?"),
            ("db: {hunter2: x}", "1:6", "the fields are"),
            (
                "db: {password: !hunter2}",
                "1:16",
                "expected in a secrets file",
            ),
            (
                "db: {password: 1e999hunter2\n",
                "2:1",
                "expected in a secrets file",
            ),
            ("db: {password: a}\nDB: {password: hunter2}", "2:1", "twice"),
            (
                "db: {password: \"hunter2\u{1}\"}",
                "1:24",
                "expected in a secrets file",
            ),
        ] {
            let problems = read_text(text, &[]).unwrap_err();
            let (line, shown) = (problems.to_string(), problems.render());
            assert!(line.contains(&format!(":{place}: ")), "{text}: {line}");
            assert!(line.contains(said), "{text}: {line}");
            assert!(
                !line.contains("hunter2") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
        let variables = [
            ("SCRIM_CREDENTIALS_DB_PASWORD", "hunter2"),
            ("SCRIM_CREDENTIALS_USER", "hunter2"),
        ];
        let said = read_text("", &variables).unwrap_err().to_string();
        assert!(
            said.contains("write SCRIM_CREDENTIALS_NAME_FIELD"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        let read = read_text(FILE, &[]).unwrap();
        assert!(!format!("{read:?}").contains("reader"), "{read:?}");
    }

    #[cfg(unix)]
    #[test]
    fn inv_15_a_secrets_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = written(FILE);
        let read = || credentials(Some(file.path()), environment(&[]));
        for mode in [0o644, 0o640, 0o604, 0o620] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let said = read().unwrap_err().to_string();
            assert!(
                said.contains("chmod 600") && said.contains(&format!("{mode:04o}")),
                "{said}"
            );
        }
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
        read().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let said = credentials(Some(folder.path()), environment(&[])).unwrap_err();
        assert!(said.to_string().contains("not a regular file"), "{said}");
        let missing = folder.path().join("none.yaml");
        let said = credentials(Some(&missing), environment(&[])).unwrap_err();
        assert!(
            said.to_string().contains("none.yaml:1:1: cannot read"),
            "{said}"
        );
    }
}
