//! Actions: prepared statements and sessions, and nothing that does not work.

use std::collections::BTreeMap;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{Action, ActionType};
use bytes::Bytes;
use prost::Message;
use scrim_model::CATALOG;
use tonic::Status;

use super::Flight;
use super::context::{Caller, release_word};
use super::info::{malformed, not_served};
use super::options::{
    CloseSessionResult, CloseStatus, CreatePreparedStatementResult, GetSessionOptionsResult,
    OptionError, OptionErrorValue, OptionValue, SessionOptionValue, SetSessionOptionsRequest,
    SetSessionOptionsResult,
};
use super::sessions::{Setting, Settings};
use crate::status::to_status;

/// Options in one request.
const OPTIONS_MAX: usize = 64;

/// Every action that is served, with what it is.
const ACTIONS: [(&str, &str); 7] = [
    ("CreatePreparedStatement", "prepares a statement"),
    ("ClosePreparedStatement", "closes a prepared statement"),
    (
        "SetSessionOptions",
        "sets catalog, schema, scrim.purpose, scrim.agreement, scrim.release",
    ),
    ("GetSessionOptions", "the options of the session"),
    (
        "CloseSession",
        "ends the session and its streams; its token is refused from then on",
    ),
    (
        "CancelFlightInfo",
        "ends the streams of a FlightInfo; its tickets are refused from then on",
    ),
    ("CancelQuery", "the deprecated form of CancelFlightInfo"),
];

/// The actions for ListActions.
pub(crate) fn action_types() -> Vec<ActionType> {
    ACTIONS
        .iter()
        .map(|(name, description)| ActionType {
            r#type: (*name).to_owned(),
            description: (*description).to_owned(),
        })
        .collect()
}

impl Flight {
    /// Runs one action; `None` when it answers nothing.
    pub(crate) async fn action(
        &self,
        caller: &Caller,
        action: Action,
    ) -> Result<Option<Bytes>, Status> {
        let body = action.body;
        match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let request = unpack::<ActionCreatePreparedStatementRequest>(&body)?;
                let result = self.prepare(caller, request).await?;
                let any = Any {
                    type_url: CreatePreparedStatementResult::TYPE_URL.to_owned(),
                    value: result.encode_to_vec().into(),
                };
                Ok(Some(any.encode_to_vec().into()))
            }
            "ClosePreparedStatement" => {
                let request = unpack::<ActionClosePreparedStatementRequest>(&body)?;
                self.close_prepared(caller, &request).map(|()| None)
            }
            "SetSessionOptions" => {
                let request = SetSessionOptionsRequest::decode(body)
                    .map_err(|_| malformed("this is no SetSessionOptionsRequest"))?;
                Ok(Some(
                    self.set_options(caller, request)?.encode_to_vec().into(),
                ))
            }
            "GetSessionOptions" => Ok(Some(self.get_options(caller)?.encode_to_vec().into())),
            "CloseSession" => {
                let closed = self.sign_out(&caller.session).await;
                closed.map_err(|refusal| to_status(&refusal, None))?;
                let result = CloseSessionResult {
                    status: CloseStatus::Closed.into(),
                };
                Ok(Some(result.encode_to_vec().into()))
            }
            "CancelFlightInfo" => {
                let result = self.cancel_flight_info(caller, body)?;
                Ok(Some(result.encode_to_vec().into()))
            }
            "CancelQuery" => {
                let request = unpack::<ActionCancelQueryRequest>(&body)?;
                let result = self.cancel_query(caller, request)?;
                Ok(Some(result.as_any().encode_to_vec().into()))
            }
            _ => Err(not_served("this action")),
        }
    }

    /// Each option is set or has its own error; the request as a whole succeeds.
    fn set_options(
        &self,
        caller: &Caller,
        request: SetSessionOptionsRequest,
    ) -> Result<SetSessionOptionsResult, Status> {
        if request.session_options.len() > OPTIONS_MAX {
            return Err(malformed("too many session options"));
        }
        let session = &caller.session;
        let mut settings = self.sessions.get(session.id);
        let mut errors = BTreeMap::new();
        for (name, value) in request.session_options {
            if let Err(error) = self.set_option(caller, &mut settings, &name, value.value) {
                errors.insert(
                    name,
                    OptionError {
                        value: error.into(),
                    },
                );
            }
        }
        self.sessions
            .set(session.id, settings, session.ends, self.clock.now())
            .map_err(|refusal| to_status(&refusal, None))?;
        Ok(SetSessionOptionsResult { errors })
    }

    fn set_option(
        &self,
        caller: &Caller,
        settings: &mut Settings,
        name: &str,
        value: Option<OptionValue>,
    ) -> Result<(), OptionErrorValue> {
        let text = match value {
            None => None,
            Some(OptionValue::Text(text)) => Some(text).filter(|text| !text.is_empty()),
            Some(
                OptionValue::Bool(_)
                | OptionValue::Int64(_)
                | OptionValue::Double(_)
                | OptionValue::TextList(_),
            ) => return Err(OptionErrorValue::InvalidValue),
        };
        if let Some(setting) = Setting::from_name(name) {
            let applied = setting.apply(settings, text.as_deref());
            return applied.map_err(|_| OptionErrorValue::InvalidValue);
        }
        match name {
            // There is one catalog; to choose it is fine.
            "catalog" if text.as_deref().is_none_or(|text| text == CATALOG) => Ok(()),
            "catalog" => Err(OptionErrorValue::InvalidValue),
            "schema" => self.set_schema(caller, settings, text),
            _ => Err(OptionErrorValue::InvalidName),
        }
    }

    /// Only a schema that the caller sees can be chosen; a hidden one is as good as none.
    fn set_schema(
        &self,
        caller: &Caller,
        settings: &mut Settings,
        schema: Option<String>,
    ) -> Result<(), OptionErrorValue> {
        if let Some(name) = &schema {
            let schemas = self
                .visible_schemas(caller)
                .map_err(|_| OptionErrorValue::Error)?;
            if !schemas.contains(name) {
                return Err(OptionErrorValue::InvalidValue);
            }
        }
        settings.schema = schema;
        Ok(())
    }

    fn get_options(&self, caller: &Caller) -> Result<GetSessionOptionsResult, Status> {
        let settings = self.effective(caller);
        let first = || Ok::<_, Status>(self.visible_schemas(caller)?.into_iter().next());
        let schema = match settings.schema {
            Some(schema) => Some(schema),
            None => first()?,
        };
        let options = [
            ("catalog", Some(CATALOG.to_owned())),
            ("schema", schema),
            ("scrim.purpose", settings.stated.purpose),
            ("scrim.agreement", settings.stated.agreement),
            (
                "scrim.release",
                settings.stated.release.map(|r| release_word(r).to_owned()),
            ),
        ];
        let session_options = options
            .into_iter()
            .filter_map(|(name, text)| {
                let value = SessionOptionValue {
                    value: Some(OptionValue::Text(text?)),
                };
                Some((name.to_owned(), value))
            })
            .collect();
        Ok(GetSessionOptionsResult { session_options })
    }
}

/// Flight SQL's own actions come wrapped in `Any`.
fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    Any::decode(body)
        .ok()
        .and_then(|any| any.unpack::<M>().ok().flatten())
        .ok_or_else(|| malformed("the action's body is not the message that it takes"))
}
