//! `scrim accounts`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use scrim_document::SourceFile;
use scrim_identity::{AppendError, NewAccount, append_account, hash_password};
use scrim_model::{PrincipalKind, Value, ValueType};
use scrim_server::Config;

use super::read_password;
use crate::cli::{Accounts, AddAccount, Kind};
use crate::out::Out;
use crate::outcome::{Failure, chain};

/// Adds an account or hashes a password.
pub(crate) fn run(command: &Accounts, out: &mut Out) -> Result<(), Failure> {
    match command {
        Accounts::Add(account) => add(account, out),
        Accounts::Hash(_) => Ok(out.line(hash()?)?),
    }
}

fn hash() -> Result<String, Failure> {
    let password = read_password(Path::new("-"))?;
    hash_password(&password).map_err(|error| Failure::usage(&error))
}

fn add(arguments: &AddAccount, out: &mut Out) -> Result<(), Failure> {
    let types = attribute_types(arguments)?;
    let attributes = attributes(&arguments.attributes, &types)?;
    let file = accounts_file(&arguments.file)?;
    let account = NewAccount {
        id: arguments.id.clone(),
        org: arguments.org.clone(),
        groups: arguments.groups.clone(),
        roles: arguments.roles.clone(),
        kind: kind(arguments.kind),
        acr: None,
        on_behalf_of: None,
        attributes,
        password_hash: hash()?,
    };
    let text = append_account(&file, &types, &account).map_err(|error| match error {
        AppendError::File(problems) => Failure::Problems(problems),
        AppendError::Exists(_) | AppendError::Account(_) | AppendError::Layout(_) => {
            Failure::Usage(chain(&error))
        }
    })?;
    replace(&arguments.file, &text).map_err(|(path, error)| {
        let path = path.display();
        Failure::Failed(if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{path} is in the way: remove it, unless somebody adds an account right now")
        } else {
            format!("cannot write {path}: {error}")
        })
    })?;
    out.line(format_args!(
        "{}: added {} of {}",
        arguments.file.display(),
        account.id,
        account.org
    ))?;
    Ok(())
}

/// The types that `scrim.yaml` declares: the given one, else the one beside the accounts file.
fn attribute_types(arguments: &AddAccount) -> Result<BTreeMap<String, ValueType>, Failure> {
    let beside = arguments.file.with_file_name("scrim.yaml");
    let path = match &arguments.config {
        Some(path) => path,
        None if beside.is_file() => &beside,
        None => return Ok(BTreeMap::new()),
    };
    Ok(Config::load(path)?.identity.attributes)
}

fn kind(kind: Kind) -> PrincipalKind {
    match kind {
        Kind::Human => PrincipalKind::Human,
        Kind::Service => PrincipalKind::Service,
        Kind::Agent => PrincipalKind::Agent,
    }
}

fn attributes(
    said: &[String],
    types: &BTreeMap<String, ValueType>,
) -> Result<BTreeMap<String, Value>, Failure> {
    let mut attributes = BTreeMap::new();
    for text in said {
        let wrong = |what: String| Failure::Usage(format!("--attribute {text}: {what}"));
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| wrong("write it as NAME=VALUE".to_owned()))?;
        let value_type = types.get(name).ok_or_else(|| {
            wrong(format!(
                "declare `{name}` under `identity: {{attributes: …}}` in scrim.yaml"
            ))
        })?;
        let value = parse(value, *value_type).ok_or_else(|| {
            wrong(format!(
                "`{value}` is not of the declared type {value_type:?}"
            ))
        })?;
        attributes.insert(name.to_owned(), value);
    }
    Ok(attributes)
}

fn parse(text: &str, value_type: ValueType) -> Option<Value> {
    Some(match value_type {
        ValueType::Bool => Value::Bool(text.parse().ok()?),
        ValueType::Int64 => Value::Int64(text.parse().ok()?),
        ValueType::Float64 => Value::Float64(text.parse().ok()?),
        ValueType::Timestamp => Value::Timestamp(text.parse().ok()?),
        ValueType::Text => Value::Text(text.to_owned()),
        ValueType::TextList => Value::TextList(text.split(',').map(str::to_owned).collect()),
    })
}

fn accounts_file(path: &Path) -> Result<SourceFile, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "accounts:\n".to_owned(),
        Err(error) => {
            return Err(Failure::Usage(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    };
    Ok(SourceFile::new(path.display().to_string(), text))
}

/// Puts the new text in the place of the old in one step, so that there is always a whole file. When
/// that fails, says with which file.
fn replace(path: &Path, text: &str) -> Result<(), (PathBuf, io::Error)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    // it holds hashes of passwords
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(&beside) {
        Ok(file) => file,
        Err(error) => return Err((beside, error)),
    };
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| {
            if let Ok(old) = fs::metadata(path) {
                fs::set_permissions(&beside, old.permissions())?;
            }
            fs::rename(&beside, path)
        })
        .map_err(|error| {
            // what is left beside the old file is of no use
            drop(fs::remove_file(&beside));
            (path.to_owned(), error)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scrim_model::{Value, ValueType};

    use super::attributes;

    #[test]
    fn attributes_have_their_declared_types() {
        let types = BTreeMap::from([("clearance".to_owned(), ValueType::Int64)]);
        let read = |text: &str| attributes(&[text.to_owned()], &types);
        assert_eq!(read("clearance=2").unwrap()["clearance"], Value::Int64(2));
        assert!(read("clearance=high").is_err());
        assert!(read("rank=2").is_err());
        assert!(read("clearance").is_err());
    }
}
