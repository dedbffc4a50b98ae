//! Actions: prepared statements and sessions, and nothing that does not work.

use std::collections::BTreeMap;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{Action, ActionType};
use bytes::Bytes;
use prost::Message;
use scrim_model::{Code, Refusal};
use tonic::Status;

use super::Flight;
use super::context::Caller;
use super::info::{malformed, not_served};
use super::options::{
    CloseSessionResult, CloseStatus, CreatePreparedStatementResult, GetSessionOptionsResult,
    OptionError, OptionErrorValue, OptionValue, SessionOptionValue, SetSessionOptionsRequest,
    SetSessionOptionsResult,
};
use super::settings::{Setting, Settings};
use crate::admin::{self, Operator};
use crate::status::to_status;

/// Options in one request.
const OPTIONS_MAX: usize = 64;

/// Every action that is served, with what it is.
const ACTIONS: [(&str, &str); 7] = [
    ("CreatePreparedStatement", "prepares a statement"),
    ("ClosePreparedStatement", "closes a prepared statement"),
    (
        "SetSessionOptions",
        "sets catalog, schema, time_zone, native_types, max_endpoints, scrim.purpose, \
         scrim.agreement, scrim.release",
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
    /// Runs one action; gives the messages of its answer.
    pub(crate) async fn action(
        &self,
        caller: &Caller,
        action: Action,
    ) -> Result<Vec<Bytes>, Status> {
        if action.r#type == admin::ACTION && self.administrators.contains(caller.principal()) {
            let operator = Operator::Account(caller.principal().to_owned());
            return self.answer_operator(&operator, &action.body).await;
        }
        Ok(self.own_action(caller, action).await?.into_iter().collect())
    }

    /// Runs one of the actions that anybody may ask for; `None` when it answers nothing.
    async fn own_action(&self, caller: &Caller, action: Action) -> Result<Option<Bytes>, Status> {
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
                    self.set_options(caller, request)
                        .await?
                        .encode_to_vec()
                        .into(),
                ))
            }
            "GetSessionOptions" => {
                let result = self.get_options(caller).await?;
                Ok(Some(result.encode_to_vec().into()))
            }
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
    async fn set_options(
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
        let mut options: Vec<_> = request.session_options.into_iter().collect();
        // The schema last: whether it can be chosen may depend on the others.
        options.sort_by_key(|(name, _)| Setting::from_name(name) == Some(Setting::Schema));
        for (name, value) in options {
            let set = self.set_option(caller, &mut settings, &name, value.value);
            if let Err(error) = set.await {
                let value = error.into();
                errors.insert(name, OptionError { value });
            }
        }
        self.sessions
            .set(session.id, settings, session.ends, self.clock.now())
            .map_err(|refusal| to_status(&refusal, None))?;
        Ok(SetSessionOptionsResult { errors })
    }

    async fn set_option(
        &self,
        caller: &Caller,
        settings: &mut Settings,
        name: &str,
        value: Option<OptionValue>,
    ) -> Result<(), OptionErrorValue> {
        let setting = Setting::from_name(name).ok_or(OptionErrorValue::InvalidName)?;
        let text = setting
            .text_of(value)
            .ok_or(OptionErrorValue::InvalidValue)?;
        self.change(caller, settings, setting, text.as_deref())
            .await
            .map_err(|refusal| match refusal.code() {
                Code::RequestInvalid | Code::NameNotFound => OptionErrorValue::InvalidValue,
                _ => OptionErrorValue::Error,
            })
    }

    /// Changes one setting of a session. Only a schema that the caller sees can be chosen; a hidden
    /// one is as good as none.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        settings: &mut Settings,
        setting: Setting,
        value: Option<&str>,
    ) -> Result<(), Refusal> {
        let mut changed = settings.clone();
        setting.read(&mut changed, value)?;
        if setting == Setting::Schema
            && let Some(schema) = &changed.schema
        {
            let effective = caller.stated.clone().or(changed.clone());
            let visible = self.visible_schemas(caller, &effective).await?;
            if !visible.contains(schema) {
                let message = format!("schema \"{schema}\" does not exist");
                return Err(Refusal::new(Code::NameNotFound, message));
            }
        }
        *settings = changed;
        Ok(())
    }

    async fn get_options(&self, caller: &Caller) -> Result<GetSessionOptionsResult, Status> {
        let mut settings = self.effective(caller);
        if settings.schema.is_none() {
            let visible = self
                .visible_schemas(caller, &settings)
                .await
                .map_err(|refusal| to_status(&refusal, None))?;
            settings.schema = visible.into_iter().next();
        }
        let session_options = Setting::ALL
            .into_iter()
            .filter_map(|setting| {
                let value = Some(setting.value(&settings)?);
                Some((setting.name().to_owned(), SessionOptionValue { value }))
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
