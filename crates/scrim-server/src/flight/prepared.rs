//! Prepared statements: sealed handles, and what is bound to them.

use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
};
use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use scrim_model::{QueryId, Refusal};
use tonic::{Code, Status};

use super::Flight;
use super::context::Caller;
use super::info::{not_served, schema_bytes};
use super::options::CreatePreparedStatementResult;
use super::set_statement::set_statement;
use super::settings::Settings;
use super::statements::{result_schema, setting_schema};
use super::tickets::{Kind, Statement};
use crate::status::to_status;
use crate::wire::{WireTypes, wire_schema};

impl Flight {
    /// Prepares: binds once for the schemas, and seals the text.
    pub(crate) async fn prepare(
        &self,
        caller: &Caller,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<CreatePreparedStatementResult, Status> {
        no_transaction(request.transaction_id.as_deref())?;
        let sql = request.query;
        let (result, parameters) = self.shapes(caller, &sql).await?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|e| to_status(&Refusal::internal(e), None))?;
        let statement = Statement {
            sql,
            params: None,
            settings: Settings::default(),
            promise: None,
            nonce,
        };
        Ok(CreatePreparedStatementResult {
            prepared_statement_handle: self.seal(Kind::Prepared, caller, statement)?,
            dataset_schema: schema_bytes(&result)?,
            parameter_schema: schema_bytes(&parameters)?,
            is_update: Some(false),
        })
    }

    async fn shapes(&self, caller: &Caller, sql: &str) -> Result<(SchemaRef, Schema), Status> {
        if let Some(set) = set_statement(sql) {
            set.map_err(|refusal| to_status(&refusal, None))?;
            return Ok((setting_schema(), Schema::empty()));
        }
        let settings = self.effective(caller);
        let bound = self
            .bind(QueryId::new(), caller, &settings, sql, None)
            .await?;
        let parameters = bound
            .parameters()
            .map_err(|refusal| to_status(&refusal, Some(bound.id())))?;
        // Some drivers write values into vectors of exactly these types: text is what everything
        // can be converted from.
        let fields: Vec<Field> = parameters
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type.unwrap_or(DataType::Utf8), true))
            .collect();
        let parameters = wire_schema(&Schema::new(fields), WireTypes::Plain);
        Ok((
            result_schema(&bound, &settings),
            parameters.as_ref().clone(),
        ))
    }

    /// Text and parameters behind a handle.
    pub(crate) fn prepared(
        &self,
        caller: &Caller,
        handle: &[u8],
    ) -> Result<(String, Option<Bytes>), Status> {
        let statement = self.open(Kind::Prepared, caller, handle)?;
        let bound = || self.bindings.get(caller.session.id, statement.nonce);
        let params = statement.params.or_else(bound);
        Ok((statement.sql, params))
    }

    /// Binds parameters: into a new handle, and beside the old one for clients that keep it.
    pub(crate) fn bind_params(
        &self,
        caller: &Caller,
        handle: &[u8],
        params: Option<Bytes>,
    ) -> Result<Bytes, Status> {
        let mut statement = self.open(Kind::Prepared, caller, handle)?;
        let session = &caller.session;
        self.bindings
            .set(
                (session.id, statement.nonce),
                params.clone(),
                session.ends,
                self.clock.now(),
            )
            .map_err(|refusal| to_status(&refusal, None))?;
        statement.params = params;
        self.seal(Kind::Prepared, caller, statement)
    }

    /// Closing twice, or after the session's end, is no error.
    pub(crate) fn close_prepared(
        &self,
        caller: &Caller,
        request: &ActionClosePreparedStatementRequest,
    ) -> Result<(), Status> {
        match self.open(Kind::Prepared, caller, &request.prepared_statement_handle) {
            Ok(statement) => {
                self.bindings.close(caller.session.id, statement.nonce);
                Ok(())
            }
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            Err(status) => Err(status),
        }
    }
}

/// Transactions are refused, not ignored: who asks for one relies on it.
pub(crate) fn no_transaction(id: Option<&[u8]>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(not_served("a transaction")),
        Some(_) | None => Ok(()),
    }
}
