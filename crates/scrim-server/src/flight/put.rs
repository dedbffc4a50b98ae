//! DoPut: parameters are bound; everything that would write is refused.

use std::pin::Pin;

use arrow_flight::sql::{
    Command, CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementUpdate,
    DoPutPreparedStatementResult, DoPutUpdateResult,
};
use arrow_flight::{FlightData, PutResult};
use futures::{Stream, TryStreamExt};
use prost::Message;
use scrim_model::QueryId;
use tonic::{Response, Status};

use super::Flight;
use super::context::Caller;
use super::info::{command_of, malformed, not_served, read_only};
use super::params;
use super::prepared::no_transaction;
use super::set_statement::set_statement;
use crate::status::to_status;

type Results = Pin<Box<dyn Stream<Item = Result<PutResult, Status>> + Send>>;

impl Flight {
    /// Answers DoPut.
    pub(crate) async fn put<S>(
        &self,
        caller: &Caller,
        mut data: S,
    ) -> Result<Response<Results>, Status>
    where
        S: Stream<Item = Result<FlightData, Status>> + Send + Unpin,
    {
        let first = data
            .try_next()
            .await?
            .ok_or_else(|| malformed("DoPut without a message"))?;
        let descriptor = first
            .flight_descriptor
            .as_ref()
            .ok_or_else(|| malformed("the first message of DoPut has no descriptor"))?;
        let app_metadata = match command_of(descriptor)? {
            Command::CommandPreparedStatementQuery(query) => {
                self.put_params(caller, query, first, data).await?
            }
            Command::CommandStatementUpdate(update) => self.put_update(caller, update).await?,
            Command::CommandPreparedStatementUpdate(update) => {
                self.put_prepared_update(caller, update).await?
            }
            Command::CommandStatementIngest(_) => return Err(read_only()),
            Command::CommandStatementSubstraitPlan(_) => return Err(not_served("Substrait")),
            _ => return Err(malformed("this command cannot be put")),
        };
        let result = PutResult {
            app_metadata: app_metadata.into(),
        };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(result)]))))
    }

    async fn put_params<S>(
        &self,
        caller: &Caller,
        query: CommandPreparedStatementQuery,
        first: FlightData,
        rest: S,
    ) -> Result<Vec<u8>, Status>
    where
        S: Stream<Item = Result<FlightData, Status>> + Send + Unpin,
    {
        let params = params::read(first, rest).await?;
        let handle = self.bind_params(caller, &query.prepared_statement_handle, params)?;
        let result = DoPutPreparedStatementResult {
            prepared_statement_handle: Some(handle),
        };
        Ok(result.encode_to_vec())
    }

    async fn put_update(
        &self,
        caller: &Caller,
        update: CommandStatementUpdate,
    ) -> Result<Vec<u8>, Status> {
        no_transaction(update.transaction_id.as_deref())?;
        self.update(caller, &update.query).await
    }

    async fn put_prepared_update(
        &self,
        caller: &Caller,
        update: CommandPreparedStatementUpdate,
    ) -> Result<Vec<u8>, Status> {
        let (sql, _) = self.prepared(caller, &update.prepared_statement_handle)?;
        self.update(caller, &sql).await
    }

    /// The one statement with an effect is `SET`; all others are refused by the engine, which
    /// records it, or are queries that were sent the wrong way.
    async fn update(&self, caller: &Caller, sql: &str) -> Result<Vec<u8>, Status> {
        if let Some(set) = set_statement(sql) {
            let (setting, value) = set.map_err(|refusal| to_status(&refusal, None))?;
            self.apply(caller, setting, value.as_deref()).await?;
            return Ok(DoPutUpdateResult { record_count: 0 }.encode_to_vec());
        }
        self.bind(QueryId::new(), caller, &self.effective(caller), sql, None)
            .await?;
        Err(malformed(
            "this statement reads; send it as a query, not as an update",
        ))
    }
}
