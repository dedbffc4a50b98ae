//! Credentials of sources, by the name that contracts call them.

use std::collections::BTreeMap;

use scrim_model::Secret;

use crate::SourceError;

/// The fields of one credential: `user` and `password`, `access_key_id` and `secret_access_key`, …
#[derive(Debug, Clone, Default)]
pub struct Credential(BTreeMap<String, Secret<String>>);

impl Credential {
    /// The fields that some kind of source reads.
    pub const FIELDS: &'static [&'static str] = &[
        "access_key",
        "access_key_id",
        "account",
        "anonymous",
        "client_id",
        "client_secret",
        "password",
        "profile",
        "sas_token",
        "secret_access_key",
        "service_account_file",
        "service_account_key",
        "session_token",
        "tenant_id",
        "token",
        "user",
    ];

    /// A credential of these fields.
    pub fn new(fields: impl IntoIterator<Item = (String, Secret<String>)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// A field, if it is given.
    pub fn get(&self, field: &str) -> Option<&Secret<String>> {
        self.0.get(field)
    }

    /// The names of its fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// All credentials that the owner has given, by name.
///
/// Names are the same in whatever case, with `-` or `_`: variables of the environment cannot tell.
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<String, Credential>);

impl Credentials {
    /// Credentials by name.
    pub fn new(named: impl IntoIterator<Item = (String, Credential)>) -> Self {
        let named = named.into_iter();
        Self(
            named
                .map(|(name, one)| (Self::normal(&name), one))
                .collect(),
        )
    }

    /// A name as it is looked for.
    pub fn normal(name: &str) -> String {
        name.to_lowercase().replace('-', "_")
    }

    /// The credential of a server: none when it names none.
    ///
    /// # Errors
    /// When there is no credential of the name.
    pub fn of(&self, name: Option<&str>) -> Result<Option<&Credential>, SourceError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let missing = || SourceError::Credentials(name.to_owned());
        let found = self.0.get(&Self::normal(name));
        found.map(Some).ok_or_else(missing)
    }
}
