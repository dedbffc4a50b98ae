//! What is known when a decision is made: the principal, the request, the session's settings.

use chrono::{DateTime, Datelike, Timelike, Utc};
use scrim_model::{Context, Principal, SessionSettings, Value};

/// Everything that a condition may ask about, by the full names of the policy language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) context: &'a Context,
    pub(crate) settings: &'a SessionSettings,
    /// The time at which agreements, `who` and `when` are judged; not the context's.
    pub(crate) now: DateTime<Utc>,
    /// The time whose values row filters hold.
    pub(crate) bound: DateTime<Utc>,
}

/// The members whose values change by themselves.
pub(crate) const CLOCKS: [&str; 4] = [
    "context.time",
    "context.hour",
    "context.weekday",
    "principal.auth_age",
];

fn text(value: Option<&String>) -> Option<Value> {
    value.map(|value| Value::Text(value.clone()))
}

impl<'a> Facts<'a> {
    /// What is known when a request is decided for the first time.
    pub(crate) fn at_once(
        principal: &'a Principal,
        context: &'a Context,
        settings: &'a SessionSettings,
    ) -> Self {
        Self {
            principal,
            context,
            settings,
            now: context.time,
            bound: context.time,
        }
    }

    /// The value of a member as a row filter holds it.
    pub(crate) fn bound_value(self, member: &str) -> Option<Value> {
        let now = self.bound;
        Self { now, ..self }.value(member)
    }

    /// The value of a member of `principal` or `context`; `None` when it is not known.
    pub(crate) fn value(&self, member: &str) -> Option<Value> {
        match member.split_once('.')? {
            ("principal", name) => self.of_principal(name),
            ("context", name) => self.of_context(name),
            _ => None,
        }
    }

    fn of_principal(&self, name: &str) -> Option<Value> {
        let principal = self.principal;
        match name {
            "id" => Some(Value::Text(principal.id.clone())),
            "org" => Some(Value::Text(principal.org.clone())),
            "groups" => Some(Value::TextList(principal.groups.clone())),
            "roles" => Some(Value::TextList(principal.roles.clone())),
            "acr" => text(principal.acr.as_ref()),
            "auth_age" => {
                let age = self.now.signed_duration_since(principal.authenticated_at?);
                // A sign-in in the future proves nothing.
                Some(age.num_seconds())
                    .filter(|age| *age >= 0)
                    .map(Value::Int64)
            }
            "kind" => Some(Value::Text(principal.kind.as_str().to_owned())),
            "on_behalf_of" => text(principal.on_behalf_of.as_ref()),
            attribute => principal.attributes.get(attribute).cloned(),
        }
    }

    fn of_context(&self, name: &str) -> Option<Value> {
        let context = self.context;
        match name {
            "ip" => context
                .ip
                .map(|ip| Value::Text(ip.to_canonical().to_string())),
            "country" => text(context.country.as_ref()),
            // Without an address nothing is known about networks, not even that it is in none.
            "network" => context
                .ip
                .map(|_| Value::TextList(context.networks.clone())),
            "device" => text(context.device.as_ref()),
            "device_trusted" => context.device_trusted.map(Value::Bool),
            "time" => Some(Value::Timestamp(self.now)),
            "hour" => Some(Value::Int64(i64::from(self.now.hour()))),
            "weekday" => Some(Value::Int64(i64::from(
                self.now.weekday().number_from_monday(),
            ))),
            "purpose" => text(self.settings.purpose.as_ref()),
            "risk" => context.risk.map(Value::Int64),
            "queries_last_hour" => context.queries_last_hour.map(Value::Int64),
            "rows_last_day" => context.rows_last_day.map(Value::Int64),
            "client" => text(context.client.as_ref()),
            _ => None,
        }
    }
}
