//! Credentials of sources, by the name that contracts call them.

use std::collections::BTreeMap;

use scrim_model::Secret;

use crate::SourceError;

/// The fields of one credential: `user` and `password`, `access_key_id` and `secret_access_key`, …
#[derive(Debug, Clone, Default)]
pub struct Credential(BTreeMap<String, Secret<String>>);

impl Credential {
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
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<String, Credential>);

impl Credentials {
    /// Credentials by name.
    pub fn new(named: impl IntoIterator<Item = (String, Credential)>) -> Self {
        Self(named.into_iter().collect())
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
        self.0.get(name).map(Some).ok_or_else(missing)
    }
}
