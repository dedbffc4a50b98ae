//! The circumstances of a request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The circumstances of one request, as the server knows them; `None` is "not known", which never
/// grants anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The address the request came from.
    pub ip: Option<IpAddr>,
    /// The country of that address, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The names of the configured networks that contain the address.
    pub networks: Vec<String>,
    /// The device's id.
    pub device: Option<String>,
    /// Whether the device is a managed one.
    pub device_trusted: Option<bool>,
    /// When the request is decided.
    pub time: DateTime<Utc>,
    /// A risk score from 0 to 100.
    pub risk: Option<i64>,
    /// How many queries this principal ran in the last hour.
    pub queries_last_hour: Option<i64>,
    /// How many rows this principal received in the last day.
    pub rows_last_day: Option<i64>,
    /// What the client calls itself.
    pub client: Option<String>,
    /// The agreements of the principal's organisation that their owner revoked, and when; they
    /// grant nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revoked: BTreeMap<String, DateTime<Utc>>,
}

impl Context {
    /// A context in which only the time is known.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self {
            ip: None,
            country: None,
            networks: Vec::new(),
            device: None,
            device_trusted: None,
            time,
            risk: None,
            queries_last_hour: None,
            rows_last_day: None,
            client: None,
            revoked: BTreeMap::new(),
        }
    }
}

/// What a client may set for its session; each setting can only narrow what it gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionSettings {
    /// The purpose for which it asks.
    pub purpose: Option<String>,
    /// The one agreement under which it wants to act.
    pub agreement: Option<String>,
    /// The kind of release it wants.
    pub release: Option<Release>,
}

/// In what form data leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// Rows, filtered and masked.
    Rows,
    /// Aggregates over enough entities.
    Aggregates,
    /// Differentially private aggregates.
    Private,
}
