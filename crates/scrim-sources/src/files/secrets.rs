//! What a store is opened with: a credential's fields, or the environment of the process.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use object_store::HeaderMap;

use crate::Credential;

/// The variables of the process's environment, as they were when it started.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// The variables whose names start so, in lower case.
    pub(super) fn starting_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (String, &'a str)> {
        let variables = self.0.iter();
        variables
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

/// Variables may hold secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}

/// The fields of a credential with its name; none when a contract names none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(Option<(&'a str, &'a Credential)>);

impl<'a> Fields<'a> {
    pub(crate) fn new(credential: Option<(&'a str, &'a Credential)>) -> Self {
        Self(credential)
    }

    pub(super) fn name(&self) -> Option<&'a str> {
        self.0.map(|(name, _)| name)
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a str> {
        let (_, credential) = self.0?;
        credential.get(field).map(|value| value.expose().as_str())
    }

    /// Whether the store is asked without a signature.
    pub(super) fn anonymous(&self) -> Result<bool, String> {
        match self.get("anonymous") {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => Err(format!(
                "`anonymous` of the credentials `{}` is \"true\" or \"false\"",
                self.name().unwrap_or_default()
            )),
        }
    }

    /// Refuses fields that this kind of store does not take: a misspelt one would be ignored.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        let Some((name, credential)) = self.0 else {
            return Ok(());
        };
        let unknown = credential
            .fields()
            .find(|field| *field != "anonymous" && !known.contains(field));
        match unknown {
            None => Ok(()),
            Some(field) if known.is_empty() => Err(format!(
                "the credentials `{name}` have the field `{field}`, but nothing is needed here"
            )),
            Some(field) => Err(format!(
                "the credentials `{name}` have the field `{field}`; this kind of store takes {} \
                 and anonymous",
                known.join(", ")
            )),
        }
    }

    /// What a web server is told: who asks.
    pub(super) fn authorization(&self) -> Result<Option<HeaderMap>, String> {
        self.only(&["user", "password", "token"])?;
        let value = match (self.get("user"), self.get("password"), self.get("token")) {
            (Some(user), password, None) => {
                let password = password.unwrap_or_default();
                let both = BASE64_STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {both}")
            }
            (None, None, Some(token)) => format!("Bearer {token}"),
            (None, None, None) => return Ok(None),
            _ => return Err("a web server takes user and password, or a token".to_owned()),
        };
        let mut value: object_store::HeaderValue = value
            .parse()
            .map_err(|_| "the credentials hold a character that no header can".to_owned())?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value);
        Ok(Some(headers))
    }
}
