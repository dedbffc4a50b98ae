//! Adding an account to the accounts file without touching what stands there.

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::SecondsFormat;
use scrim_document::{Node, Problems, SourceFile};
use scrim_model::{PrincipalKind, Value, ValueType};

use crate::{
    Accounts,
    accounts::{check_id, differences},
};

/// An account to be added.
#[derive(Clone)]
pub struct NewAccount {
    /// Its id, which must be new.
    pub id: String,
    /// The organisation on whose behalf it asks.
    pub org: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Person, program or agent.
    pub kind: PrincipalKind,
    /// The authentication context class that its sign-in reaches.
    pub acr: Option<String>,
    /// The person for whom an agent acts.
    pub on_behalf_of: Option<String>,
    /// Its attributes, of the declared types.
    pub attributes: BTreeMap<String, Value>,
    /// The hash that [`hash_password`](crate::hash_password) made.
    pub password_hash: String,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewAccount({:?}, {:?})", self.id, self.org)
    }
}

/// Why an account cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The file has problems already.
    #[error("the accounts file has problems, see to them first")]
    File(#[source] Problems),
    /// There is an account with this id.
    #[error("the account `{0}` exists already: choose another id, or edit the file")]
    Exists(String),
    /// The new account itself is wrong.
    #[error("the new account is not valid: {0}")]
    Account(String),
    /// The file is written in a way that cannot be added to safely; the line to add is given.
    #[error(
        "the accounts file is written in a way that cannot be added to; add this to the list `accounts` by hand: {0}"
    )]
    Layout(String),
}

/// The text of an accounts file with one account more; what was there, comments included, stays
/// byte for byte.
pub fn append_account(
    file: &SourceFile,
    attribute_types: &BTreeMap<String, ValueType>,
    account: &NewAccount,
) -> Result<String, AppendError> {
    let before = Accounts::parse(file, attribute_types).map_err(AppendError::File)?;
    check_id(&account.id).map_err(AppendError::Account)?;
    if before.get(&account.id).is_some() {
        return Err(AppendError::Exists(account.id.clone()));
    }
    let item = item(account);
    // The item alone first, so that what is wrong with it is not blamed on the file's layout.
    let alone = SourceFile::new("new account", format!("accounts:\n  - {item}\n"));
    let alone = Accounts::parse(&alone, attribute_types)
        .map_err(|problems| AppendError::Account(problems.to_string()))?;
    let layout = || AppendError::Layout(item.clone());
    let text = insert(file, &item).ok_or_else(layout)?;
    // Trust the parser, not the insertion: exactly this account must have come in.
    let shown = SourceFile::new(file.path(), text.as_str());
    let after = Accounts::parse(&shown, attribute_types).map_err(|_| layout())?;
    let changed = differences(&before, &after);
    let is_exact = changed.len() == 1 && after.mark(&account.id) == alone.mark(&account.id);
    if is_exact { Ok(text) } else { Err(layout()) }
}

/// The account as a YAML map on one line.
fn item(account: &NewAccount) -> String {
    let list = |texts: &[String]| {
        texts
            .iter()
            .map(|t| scalar(t))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut fields = vec![
        format!("id: {}", scalar(&account.id)),
        format!("org: {}", scalar(&account.org)),
        format!("groups: [{}]", list(&account.groups)),
        format!("roles: [{}]", list(&account.roles)),
        format!("kind: {}", account.kind.as_str()),
    ];
    fields.extend(
        account
            .acr
            .iter()
            .map(|acr| format!("acr: {}", scalar(acr))),
    );
    fields.extend(
        account
            .on_behalf_of
            .iter()
            .map(|id| format!("on_behalf_of: {}", scalar(id))),
    );
    if !account.attributes.is_empty() {
        let pairs = account.attributes.iter();
        let pairs = pairs.map(|(name, value)| format!("{}: {}", scalar(name), literal(value)));
        fields.push(format!(
            "attributes: {{{}}}",
            pairs.collect::<Vec<_>>().join(", ")
        ));
    }
    fields.push(format!("password_hash: {}", quoted(&account.password_hash)));
    format!("{{{}}}", fields.join(", "))
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float64(value) => format!("{value:?}"),
        Value::Timestamp(value) => quoted(&value.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        Value::Text(text) => scalar(text),
        Value::TextList(texts) => {
            format!(
                "[{}]",
                texts
                    .iter()
                    .map(|t| scalar(t))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    }
}

/// Text as YAML: bare where nothing could mistake it for something else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan",
    ];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Text as a double-quoted YAML scalar on one line.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing to a string cannot fail.
                write!(out, "\\u{:04x}", c as u32).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text with the item at the end of the list, or at its start if it is one in brackets.
fn insert(file: &SourceFile, item: &str) -> Option<String> {
    let text = file.text();
    let root = Node::parse(file).ok()?;
    let list = root.get("accounts");
    let newline = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let Some(list) = list.filter(|list| !list.is_null()) else {
        let key = if list.is_none() { "accounts:\n" } else { "" };
        return Some(format!("{text}{newline}{key}  - {item}\n"));
    };
    let at = list.location();
    let (number, column) = (
        at.line.checked_sub(1)? as usize,
        at.column.checked_sub(1)? as usize,
    );
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(number).map(str::len).sum();
    let line = lines.next()?;
    let (lead, from) = line.split_at_checked(line.char_indices().nth(column)?.0)?;
    if from.starts_with('[') {
        let (head, tail) = text.split_at_checked(before + lead.len() + 1)?;
        let is_empty = list.as_list()?.is_empty();
        return Some(format!(
            "{head}{item}{}{tail}",
            if is_empty { "" } else { ", " }
        ));
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    line.trim_start()
        .starts_with('-')
        .then(|| format!("{text}{newline}{indent}- {item}\n"))
}
