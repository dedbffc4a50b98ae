//! Tests of the whole crate: small accounts files, with hashes that cost little.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_document::{Problems, SourceFile};
use scrim_model::{Secret, ValueType};

use crate::{Accounts, SessionRules, password::hash_with};

mod accounts;
mod certificates;
mod keys;
mod recent;
mod renewal;
mod sessions;
mod standing;

/// Sessions of this length, as many as anybody likes.
fn rules(ttl_s: u64, max_s: u64) -> SessionRules {
    SessionRules {
        ttl: Duration::from_secs(ttl_s),
        max: Duration::from_secs(max_s),
        per_account: 1000,
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A hash that costs next to nothing.
fn cheap(password: &str) -> String {
    hash_with(&secret(password), 8, 1).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn types() -> BTreeMap<String, ValueType> {
    [
        ("clearance", ValueType::Int64),
        ("trusted", ValueType::Bool),
        ("weight", ValueType::Float64),
        ("since", ValueType::Timestamp),
        ("region", ValueType::Text),
        ("wards", ValueType::TextList),
        // What every principal has can be declared, and cannot be given.
        ("auth_age", ValueType::Int64),
    ]
    .into_iter()
    .map(|(name, value_type)| (name.to_owned(), value_type))
    .collect()
}

fn parse(text: &str) -> Result<Accounts, Problems> {
    Accounts::parse(&SourceFile::new("accounts.yaml", text), &types())
}

/// Alice, with the password `wonderland`, and Bob, with `builder`.
fn two_accounts() -> Accounts {
    parse(&format!(
        "accounts:\n  - {{id: alice, org: acme, groups: [analyst], attributes: {{clearance: 2}}, password_hash: \"{}\"}}\n  - {{id: bob, org: evil, kind: service, password_hash: \"{}\"}}\n",
        cheap("wonderland"),
        cheap("builder"),
    ))
    .unwrap()
}
