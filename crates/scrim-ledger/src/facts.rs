//! What a query was asked with, as a record holds it: enough to decide it again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use scrim_model::{Context, Principal, PrincipalKind, Release, SessionSettings, Value};
use serde::{Deserialize, Serialize};

/// Everything that a decision is made from, beside the policy set and its sources.
///
/// These are facts about who asks and how, never values of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Who asked, with what was known about it.
    pub principal: Principal,
    /// The circumstances.
    pub context: Context,
    /// What the client had set for its session.
    pub settings: SessionSettings,
    /// The schema that bare table names were looked up in, if one was set.
    pub default_schema: Option<String>,
    /// The time zone in which the statement speaks of time, if one was set.
    pub time_zone: Option<String>,
}

/// The facts that have no field of their own in an entry; what is not known is not written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rest<'a> {
    time: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "is_human")]
    kind: PrincipalKind,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    groups: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    roles: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acr: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authenticated_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<Cow<'a, str>, Written<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    networks: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_trusted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    risk: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queries_last_hour: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows_last_day: Option<i64>,
    #[serde(default, skip_serializing_if = "nothing_is_revoked")]
    revoked: Cow<'a, BTreeMap<String, DateTime<Utc>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Cow<'a, str>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_human(kind: &PrincipalKind) -> bool {
    *kind == PrincipalKind::Human
}

fn nothing_is_revoked(revoked: &BTreeMap<String, DateTime<Utc>>) -> bool {
    revoked.is_empty()
}

/// A value from which its type can be read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Written<'a> {
    Bool(bool),
    Int64(i64),
    Text(Cow<'a, str>),
    TextList(Cow<'a, [String]>),
    Timestamp {
        instant: DateTime<Utc>,
    },
    /// As text: the numbers of JSON have no infinity, and are not read back to the last bit, which
    /// stands in the hash of a decision.
    Float64 {
        float64: Cow<'a, str>,
    },
}

impl<'a> From<&'a Value> for Written<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int64(value) => Self::Int64(*value),
            Value::Float64(value) => Self::Float64 {
                float64: value.to_string().into(),
            },
            Value::Timestamp(value) => Self::Timestamp { instant: *value },
            Value::Text(value) => Self::Text(value.into()),
            Value::TextList(values) => Self::TextList(values.into()),
        }
    }
}

impl From<Written<'_>> for Value {
    fn from(written: Written<'_>) -> Self {
        match written {
            Written::Bool(value) => Self::Bool(value),
            Written::Int64(value) => Self::Int64(value),
            Written::Text(value) => Self::Text(value.into_owned()),
            Written::TextList(values) => Self::TextList(values.into_owned()),
            Written::Timestamp { instant } => Self::Timestamp(instant),
            Written::Float64 { float64 } => Self::Float64(float64.parse().unwrap_or(f64::NAN)),
        }
    }
}

fn borrowed(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(Into::into)
}

fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

impl Facts {
    /// What has no field of its own in an entry.
    pub(crate) fn rest(&self) -> Rest<'_> {
        let Self {
            principal,
            context,
            settings,
            default_schema,
            time_zone,
        } = self;
        let Principal {
            id: _,
            org: _,
            groups,
            roles,
            kind,
            acr,
            authenticated_at,
            on_behalf_of,
            attributes,
        } = principal;
        let Context {
            ip: _,
            country,
            networks,
            device,
            device_trusted,
            time,
            risk,
            queries_last_hour,
            rows_last_day,
            client: _,
            revoked,
        } = context;
        let SessionSettings {
            purpose: _,
            agreement,
            release,
        } = settings;
        Rest {
            time: *time,
            kind: *kind,
            groups: groups.into(),
            roles: roles.into(),
            acr: borrowed(acr.as_ref()),
            authenticated_at: *authenticated_at,
            on_behalf_of: borrowed(on_behalf_of.as_ref()),
            attributes: attributes
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            country: borrowed(country.as_ref()),
            networks: networks.into(),
            device: borrowed(device.as_ref()),
            device_trusted: *device_trusted,
            risk: *risk,
            queries_last_hour: *queries_last_hour,
            rows_last_day: *rows_last_day,
            revoked: Cow::Borrowed(revoked),
            agreement: borrowed(agreement.as_ref()),
            release: *release,
            schema: borrowed(default_schema.as_ref()),
            zone: borrowed(time_zone.as_ref()),
        }
    }
}

/// The facts that have a field of their own in an entry.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) principal: String,
    pub(crate) org: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) client: Option<String>,
    pub(crate) purpose: Option<String>,
}

impl Rest<'_> {
    /// The facts as they were.
    pub(crate) fn with(self, named: Named) -> Facts {
        let attributes = self.attributes.into_iter();
        Facts {
            principal: Principal {
                id: named.principal,
                org: named.org,
                groups: self.groups.into_owned(),
                roles: self.roles.into_owned(),
                kind: self.kind,
                acr: owned(self.acr),
                authenticated_at: self.authenticated_at,
                on_behalf_of: owned(self.on_behalf_of),
                attributes: attributes
                    .map(|(name, value)| (name.into_owned(), value.into()))
                    .collect(),
            },
            context: Context {
                ip: named.address,
                country: owned(self.country),
                networks: self.networks.into_owned(),
                device: owned(self.device),
                device_trusted: self.device_trusted,
                time: self.time,
                risk: self.risk,
                queries_last_hour: self.queries_last_hour,
                rows_last_day: self.rows_last_day,
                client: named.client,
                revoked: self.revoked.into_owned(),
            },
            settings: SessionSettings {
                purpose: named.purpose,
                agreement: owned(self.agreement),
                release: self.release,
            },
            default_schema: owned(self.schema),
            time_zone: owned(self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use scrim_model::Value;

    use super::Written;

    #[test]
    fn values_come_back_with_their_types() {
        for value in [
            Value::Bool(true),
            Value::Int64(-3),
            Value::Float64(1.0),
            Value::Float64(f64::NEG_INFINITY),
            Value::Timestamp("2026-03-02T12:00:00.000000001Z".parse().unwrap()),
            Value::Text("2026-03-02T12:00:00Z".to_owned()),
            Value::Text("1".to_owned()),
            Value::TextList(vec!["a".to_owned(), String::new()]),
        ] {
            let text = serde_json::to_string(&Written::from(&value)).unwrap();
            let read: Written<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(Value::from(read), value, "{text}");
        }
    }

    #[test]
    fn floats_come_back_to_the_last_bit() {
        // Numbers of every size, from a fixed sequence.
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..10_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            for number in [f64::from_bits(bits), (bits >> 11) as f64 / 1e9] {
                if !number.is_finite() {
                    continue;
                }
                let text = serde_json::to_string(&Written::from(&Value::Float64(number))).unwrap();
                let read: Written<'_> = serde_json::from_str(&text).unwrap();
                let Value::Float64(read) = Value::from(read) else {
                    panic!("{text} is no float");
                };
                assert_eq!(read.to_bits(), number.to_bits(), "{text}");
            }
        }
    }
}
