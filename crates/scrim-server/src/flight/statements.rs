//! Statements: announced at GetFlightInfo, decided again and run at DoGet.

use arrow_flight::Ticket;
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;
use prost::Message;
use scrim_engine::{Bound, Query};
use scrim_model::{Code, Refusal};
use tonic::{Request, Status};

use super::Flight;
use super::context::Caller;
use super::info::{Announced, command, malformed};
use super::params;
use super::set_statement::set_statement;
use super::settings::{Setting, Settings};
use super::tickets::{Kind, Statement};
use crate::status::to_status;
use crate::wire::{Outgoing, Shape, Source, WireTypes, schema_hash, wire_schema, with_masks};

/// Whether describing a statement may have its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// GetFlightInfo: some clients never fetch what they expect no rows of.
    Apply,
    /// GetSchema, Prepare: only look.
    None,
}

impl Flight {
    /// Binds a statement and seals a ticket for its result.
    pub(crate) async fn announce(
        &self,
        caller: &Caller,
        sql: String,
        params: Option<Bytes>,
        effect: Effect,
    ) -> Result<Announced, Status> {
        let settings = self.effective(caller);
        let schema = if let Some(set) = set_statement(&sql) {
            let (setting, value) = set.map_err(|refusal| to_status(&refusal, None))?;
            if effect == Effect::Apply {
                self.apply(caller, setting, value.as_deref())?;
            }
            setting_schema()
        } else {
            let bound = self
                .bind(caller, &settings, &sql, params.as_deref())
                .await?;
            complete(&bound)?;
            result_schema(&bound, &settings)
        };
        let statement = Statement {
            sql,
            params,
            settings,
            schema_hash: schema_hash(&schema).to_vec(),
            nonce: [0; 16],
        };
        let statement_handle = self.seal(Kind::Ticket, caller, statement)?;
        let ticket = TicketStatementQuery { statement_handle }
            .as_any()
            .encode_to_vec()
            .into();
        Ok(Announced { schema, ticket })
    }

    /// Decides and binds, under these settings, now.
    pub(crate) async fn bind(
        &self,
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Query<Bound>, Status> {
        self.try_bind(caller, settings, sql, params)
            .await
            .map_err(|refusal| to_status(&refusal, None))
    }

    async fn try_bind(
        &self,
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Query<Bound>, Refusal> {
        let values = params.map(params::values).transpose()?;
        self.engine
            .bind(&self.ask(caller, settings), sql, values)
            .await
    }

    /// Answers DoGet.
    pub(crate) async fn stream(&self, request: Request<Ticket>) -> Result<Outgoing, Status> {
        let caller = caller_of(&request)?;
        match command(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let statement = self.open(Kind::Ticket, &caller, &ticket.statement_handle)?;
                self.redeem(&caller, statement).await
            }
            Command::CommandPreparedStatementQuery(query) => {
                let (sql, params) = self.prepared(&caller, &query.prepared_statement_handle)?;
                let settings = self.effective(&caller);
                self.run(&caller, &settings, &sql, params.as_deref()).await
            }
            other => match self.listing(&caller, &other)? {
                Some(batch) => self.send_batch(&caller, batch),
                None => Err(malformed("this is no ticket of this server")),
            },
        }
    }

    /// A ticket carries no right: what it names is decided again, and must still have the shape
    /// that was announced.
    async fn redeem(&self, caller: &Caller, statement: Statement) -> Result<Outgoing, Status> {
        let Statement {
            sql,
            params,
            settings,
            schema_hash: announced,
            nonce: _,
        } = statement;
        if set_statement(&sql).is_some() {
            return self.send_batch(caller, RecordBatch::new_empty(setting_schema()));
        }
        let bound = self
            .try_bind(caller, &settings, &sql, params.as_deref())
            .await
            .map_err(|refusal| {
                // It existed when the ticket was made: the caller is told that the right ended.
                let refusal = match refusal.code() {
                    Code::NameNotFound => Refusal::new(
                        Code::Revoked,
                        "the right to this result has ended since it was announced",
                    ),
                    _ => refusal,
                };
                to_status(&refusal, None)
            })?;
        let schema = result_schema(&bound, &settings);
        if schema_hash(&schema).as_slice() != announced {
            let refusal = Refusal::new(
                Code::ResultChanged,
                "the result's definition has changed since it was announced; run the statement again",
            );
            return Err(to_status(&refusal, Some(bound.id())));
        }
        self.start(caller, bound, schema).await
    }

    async fn run(
        &self,
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Outgoing, Status> {
        if let Some(set) = set_statement(sql) {
            let (setting, value) = set.map_err(|refusal| to_status(&refusal, None))?;
            self.apply(caller, setting, value.as_deref())?;
            return self.send_batch(caller, RecordBatch::new_empty(setting_schema()));
        }
        let bound = self.bind(caller, settings, sql, params).await?;
        let schema = result_schema(&bound, settings);
        self.start(caller, bound, schema).await
    }

    async fn start(
        &self,
        caller: &Caller,
        bound: Query<Bound>,
        schema: SchemaRef,
    ) -> Result<Outgoing, Status> {
        let query = bound.id();
        let failed = |refusal: Refusal| to_status(&refusal, Some(query));
        let results = self.engine.start(bound).await.map_err(failed)?;
        let source = Source::Query(Box::new(results));
        Outgoing::new(source, Shape::Wire(schema), self.ending(caller)).map_err(failed)
    }

    /// Sends a batch of the protocol's own, as it is.
    pub(crate) fn send_batch(
        &self,
        caller: &Caller,
        batch: RecordBatch,
    ) -> Result<Outgoing, Status> {
        let schema = batch.schema();
        let source = Source::Batches(futures::stream::iter([Ok(batch)]).boxed());
        Outgoing::new(source, Shape::Exact(schema), self.ending(caller))
            .map_err(|refusal| to_status(&refusal, None))
    }

    /// Has a `SET` take effect for the session.
    pub(crate) fn apply(
        &self,
        caller: &Caller,
        setting: Setting,
        value: Option<&str>,
    ) -> Result<(), Status> {
        let session = &caller.session;
        let mut settings = self.sessions.get(session.id);
        self.change(caller, &mut settings, setting, value)
            .and_then(|()| {
                self.sessions
                    .set(session.id, settings, session.expires, self.clock.now())
            })
            .map_err(|refusal| to_status(&refusal, None))
    }
}

/// What a statement that sets something answers: no rows, but a column, since some drivers take a
/// result without columns for an update.
pub(crate) fn setting_schema() -> SchemaRef {
    let result = Field::new("result", DataType::Utf8, true);
    wire_schema(&Schema::new(vec![result]), WireTypes::Plain)
}

/// The schema under which a query's result is announced and sent.
pub(crate) fn result_schema(bound: &Query<Bound>, settings: &Settings) -> SchemaRef {
    let schema = wire_schema(&bound.schema(), settings.types());
    with_masks(&schema, bound.masks())
}

/// A statement can be announced once all its parameters have values.
fn complete(bound: &Query<Bound>) -> Result<(), Status> {
    let open = bound
        .parameters()
        .map_err(|refusal| to_status(&refusal, Some(bound.id())))?;
    let Some((name, _)) = open.first() else {
        return Ok(());
    };
    let refusal = Refusal::new(
        Code::ParameterInvalid,
        format!("parameter {name} has no value; prepare the statement and bind its parameters"),
    );
    Err(to_status(&refusal, Some(bound.id())))
}

/// The caller that the door let in.
pub(crate) fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| {
            to_status(
                &Refusal::new(Code::Unauthenticated, "the request came past the door"),
                None,
            )
        })
}
