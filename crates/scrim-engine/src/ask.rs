//! Who asks, in what circumstances.

use datafusion::common::ScalarValue;
use scrim_identity::Authenticated;
use scrim_ledger::Facts;
use scrim_model::{Context, Principal, SessionId, SessionSettings};

use crate::zone::TimeZone;

/// One principal's standing to ask: everything about a request but its SQL.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who asks; there is no asking without proof of it.
    pub principal: Authenticated<Principal>,
    /// The circumstances.
    pub context: Context,
    /// What the client set for its session.
    pub settings: SessionSettings,
    /// The session, if it asks over the network.
    pub session: Option<SessionId>,
    /// The schema that bare table names are looked up in; `None` is the first one it can see.
    pub default_schema: Option<String>,
    /// The time zone in which its statements speak of time; `None` is UTC.
    pub time_zone: Option<TimeZone>,
}

impl Ask {
    /// What a record holds of it.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            principal: self.principal.get().clone(),
            context: self.context.clone(),
            settings: self.settings.clone(),
            default_schema: self.default_schema.clone(),
            time_zone: self.time_zone.as_ref().map(ToString::to_string),
        }
    }
}

/// Values for the parameters of a statement, `$1` first.
pub type Params = Vec<ScalarValue>;
