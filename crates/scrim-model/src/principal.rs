//! Who asks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Someone or something that asks, with what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Principal {
    /// The account's id, unique over the server.
    pub id: String,
    /// The organisation on whose behalf agreements are made.
    pub org: String,
    /// The groups that the owner of the accounts put it in.
    pub groups: Vec<String>,
    /// The roles it holds.
    pub roles: Vec<String>,
    /// Person, program or agent.
    pub kind: PrincipalKind,
    /// The authentication context class that its sign-in reached, if known.
    pub acr: Option<String>,
    /// When it signed in, if it did.
    pub authenticated_at: Option<DateTime<Utc>>,
    /// The id of the person for whom an agent acts.
    pub on_behalf_of: Option<String>,
    /// Further attributes, of the types that the configuration declares.
    pub attributes: BTreeMap<String, Value>,
}

/// What kind of caller a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person.
    #[default]
    Human,
    /// A program with an account of its own.
    Service,
    /// A program that acts for a person.
    Agent,
}

impl PrincipalKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Human, Self::Service, Self::Agent];

    /// The word for it in policies and accounts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}

/// The value of an attribute or a parameter.
///
/// Written without its type, so it cannot be read back: a text may look like an instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int64(i64),
    /// A number.
    Float64(f64),
    /// An instant.
    Timestamp(DateTime<Utc>),
    /// Text.
    Text(String),
    /// A list of texts.
    TextList(Vec<String>),
}

impl Value {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Bool(_) => ValueType::Bool,
            Self::Int64(_) => ValueType::Int64,
            Self::Float64(_) => ValueType::Float64,
            Self::Timestamp(_) => ValueType::Timestamp,
            Self::Text(_) => ValueType::Text,
            Self::TextList(_) => ValueType::TextList,
        }
    }
}

/// The declared type of an attribute or a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// True or false.
    Bool,
    /// A whole number.
    Int64,
    /// A number.
    Float64,
    /// An instant.
    Timestamp,
    /// Text.
    Text,
    /// A list of texts.
    TextList,
}

impl ValueType {
    const BY_WORD: [(&'static str, Self); 6] = [
        ("bool", Self::Bool),
        ("int64", Self::Int64),
        ("float64", Self::Float64),
        ("timestamp", Self::Timestamp),
        ("text", Self::Text),
        ("text_list", Self::TextList),
    ];

    /// The words for them in `scrim.yaml`.
    pub fn words() -> Vec<&'static str> {
        Self::BY_WORD.iter().map(|(word, _)| *word).collect()
    }

    /// The type that a word of `scrim.yaml` means.
    pub fn from_word(word: &str) -> Option<Self> {
        let found = Self::BY_WORD.iter().find(|(known, _)| *known == word);
        found.map(|(_, meant)| *meant)
    }
}
