//! Statements: announced at GetFlightInfo, decided again and run at DoGet.

use std::sync::Arc;

use arrow_flight::Ticket;
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;
use prost::Message;
use scrim_engine::{Bound, Query, Share};
use scrim_model::{Code, QueryId, Refusal};
use tonic::{Request, Status};

use super::about::described;
use super::context::Caller;
use super::info::{Announced, command, malformed};
use super::params;
use super::running::{Place, Run};
use super::set_statement::set_statement;
use super::settings::{Setting, Settings};
use super::tickets::{Kind, Promise, Statement};
use super::{Flight, session_ended};
use crate::status::to_status;
use crate::wire::{
    Outgoing, Shape, Source, Terms, WireTypes, schema_hash, wire_schema, with_masks,
};

/// Whether describing a statement may have its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// GetFlightInfo: some clients never fetch what they expect no rows of.
    Apply,
    /// GetSchema, Prepare: only look.
    None,
}

impl Flight {
    /// Binds a statement and seals tickets for its result.
    pub(crate) async fn announce(
        &self,
        caller: &Caller,
        sql: String,
        params: Option<Bytes>,
        effect: Effect,
    ) -> Result<Announced, Status> {
        let id = QueryId::new();
        let settings = self.effective(caller);
        let mut promise = Promise {
            id,
            schema_hash: schema_hash(&setting_schema()),
            policy_version: String::new(),
            share: None,
        };
        let (mut schema, mut ordered, mut shares) = (setting_schema(), false, Vec::new());
        if let Some(set) = set_statement(&sql) {
            let (setting, value) = set.map_err(|refusal| to_status(&refusal, None))?;
            if effect == Effect::Apply {
                self.apply(caller, setting, value.as_deref()).await?;
            }
        } else {
            let bound = self
                .bind(id, caller, &settings, &sql, params.as_deref())
                .await?;
            complete(&bound)?;
            let fields = result_schema(&bound, &settings);
            promise.schema_hash = schema_hash(&fields);
            bound
                .policy_version()
                .clone_into(&mut promise.policy_version);
            // Without a ticket there is no result yet that could say anything about itself.
            schema = match effect {
                Effect::Apply => described(&fields, id, bound.about()),
                Effect::None => fields,
            };
            ordered = bound.is_ordered();
            shares = shares_of(&bound, settings.max_endpoints).await?;
        }
        let statement = Statement {
            sql,
            params,
            settings,
            promise: Some(promise),
            nonce: [0; 16],
        };
        Ok(Announced {
            schema,
            tickets: self.tickets(caller, &statement, shares)?,
            ordered,
            id: Some(id),
        })
    }

    /// One ticket for each share, or one for all.
    fn tickets(
        &self,
        caller: &Caller,
        statement: &Statement,
        shares: Vec<Share>,
    ) -> Result<Vec<Bytes>, Status> {
        let seal = |share: Option<Share>| {
            let mut statement = statement.clone();
            if let Some(promise) = &mut statement.promise {
                promise.share = share;
            }
            let statement_handle = self.seal(Kind::Ticket, caller, statement)?;
            let ticket = TicketStatementQuery { statement_handle };
            Ok(ticket.as_any().encode_to_vec().into())
        };
        if shares.is_empty() {
            return Ok(vec![seal(None)?]);
        }
        shares.into_iter().map(|share| seal(Some(share))).collect()
    }

    /// Decides and binds, under these settings, now.
    pub(crate) async fn bind(
        &self,
        id: QueryId,
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Query<Bound>, Status> {
        self.try_bind((id, None), caller, settings, sql, params)
            .await
            .map_err(|refusal| to_status(&refusal, Some(id)))
    }

    /// Binds under an id, as a run of an announced statement if it is one.
    async fn try_bind(
        &self,
        (id, statement): (QueryId, Option<QueryId>),
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Query<Bound>, Refusal> {
        let values = params.map(params::values).transpose()?;
        self.engine
            .bind_as(id, statement, &self.ask(caller, settings), sql, values)
            .await
    }

    /// Answers DoGet.
    pub(crate) async fn stream(&self, request: Request<Ticket>) -> Result<Outgoing, Status> {
        let caller = caller_of(&request)?;
        match command(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let statement = self.open(Kind::Ticket, &caller, &ticket.statement_handle)?;
                Box::pin(self.redeem(&caller, statement)).await
            }
            Command::CommandPreparedStatementQuery(query) => {
                let (sql, params) = self.prepared(&caller, &query.prepared_statement_handle)?;
                let settings = self.effective(&caller);
                self.run(&caller, &settings, &sql, params.as_deref()).await
            }
            other => match self.listing(&caller, &other).await? {
                Some(batch) => self.send_batch(&caller, batch),
                None => Err(malformed("this is no ticket of this server")),
            },
        }
    }

    /// A ticket carries no right: what it names is decided again, and must still have the shape
    /// that was announced. Each run is a query of its own, with its own id and record.
    async fn redeem(&self, caller: &Caller, statement: Statement) -> Result<Outgoing, Status> {
        let Statement {
            sql,
            params,
            settings,
            promise: Some(promise),
            nonce: _,
        } = statement
        else {
            return Err(malformed("this is no ticket of this server"));
        };
        let run = Run::new(promise.id);
        let failed = |refusal: Refusal| to_status(&refusal, Some(run.id));
        let place = self.enter(caller, run).map_err(failed)?;
        if set_statement(&sql).is_some() {
            let batch = RecordBatch::new_empty(setting_schema());
            return self.send(caller, batch, place);
        }
        let ids = (run.id, Some(promise.id));
        let mut bound = self
            .try_bind(ids, caller, &settings, &sql, params.as_deref())
            .await
            .map_err(|refusal| failed(ended_right(refusal)))?;
        let fields = result_schema(&bound, &settings);
        if schema_hash(&fields) != promise.schema_hash {
            let policies = bound.policy_version() != promise.policy_version;
            return Err(failed(changed(policies)));
        }
        let schema = described(&fields, promise.id, bound.about());
        if let Some(share) = promise.share {
            bound = bound.only(share).map_err(failed)?;
        }
        self.start(caller, bound, schema, place).await
    }

    /// Runs what was never announced: some clients fetch a prepared statement by its handle.
    async fn run(
        &self,
        caller: &Caller,
        settings: &Settings,
        sql: &str,
        params: Option<&[u8]>,
    ) -> Result<Outgoing, Status> {
        let id = QueryId::new();
        let place = self
            .enter(caller, Run { id, statement: id })
            .map_err(|refusal| to_status(&refusal, Some(id)))?;
        if let Some(set) = set_statement(sql) {
            let (setting, value) = set.map_err(|refusal| to_status(&refusal, None))?;
            self.apply(caller, setting, value.as_deref()).await?;
            return self.send(caller, RecordBatch::new_empty(setting_schema()), place);
        }
        let bound = self.bind(id, caller, settings, sql, params).await?;
        let schema = described(&result_schema(&bound, settings), id, bound.about());
        self.start(caller, bound, schema, place).await
    }

    async fn start(
        &self,
        caller: &Caller,
        bound: Query<Bound>,
        schema: SchemaRef,
        place: Place,
    ) -> Result<Outgoing, Status> {
        let query = bound.id();
        let failed = |refusal: Refusal| to_status(&refusal, Some(query));
        // Before it is planned: what ends meanwhile must end it.
        place.basis.rights.get_or_init(|| bound.rights());
        let results = self.engine.start(bound).await.map_err(failed)?;
        let source = Source::Query(Box::new(results));
        Outgoing::new(source, Shape::Wire(schema), self.terms(caller, place)).map_err(failed)
    }

    /// Sends a batch of the protocol's own, as it is.
    pub(crate) fn send_batch(
        &self,
        caller: &Caller,
        batch: RecordBatch,
    ) -> Result<Outgoing, Status> {
        let id = QueryId::new();
        let place = self
            .enter(caller, Run { id, statement: id })
            .map_err(|refusal| to_status(&refusal, None))?;
        self.send(caller, batch, place)
    }

    fn send(&self, caller: &Caller, batch: RecordBatch, place: Place) -> Result<Outgoing, Status> {
        let schema = batch.schema();
        let source = Source::Batches(futures::stream::iter([Ok(batch)]).boxed());
        Outgoing::new(source, Shape::Exact(schema), self.terms(caller, place))
            .map_err(|refusal| to_status(&refusal, None))
    }

    /// Takes a place for a stream, if its session still stands.
    fn enter(&self, caller: &Caller, run: Run) -> Result<Place, Refusal> {
        let session = &caller.session;
        let principal = caller.principal();
        let place = self.streams.enter(principal, session.id, run)?;
        place.basis.session.get_or_init(|| session.clone());
        // A session that closes ends what has entered; what enters later must see that it closed.
        if self.authenticator.is_open(session) {
            Ok(place)
        } else {
            Err(session_ended())
        }
    }

    fn terms(&self, caller: &Caller, place: Place) -> Terms {
        Terms {
            valve: Arc::clone(&place.basis.valve),
            ending: self.ending(caller),
            idle: self.limits.idle_reader,
            place: Box::new(place),
            compression: caller.compression,
        }
    }

    /// Has a `SET` take effect for the session.
    pub(crate) async fn apply(
        &self,
        caller: &Caller,
        setting: Setting,
        value: Option<&str>,
    ) -> Result<(), Status> {
        let session = &caller.session;
        let mut settings = self.sessions.get(session.id);
        let changed = self.change(caller, &mut settings, setting, value).await;
        changed
            .and_then(|()| {
                self.sessions
                    .set(session.id, settings, session.ends, self.clock.now())
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

/// The parts of a result, if more than one is wanted and possible.
async fn shares_of(bound: &Query<Bound>, wanted: Option<u16>) -> Result<Vec<Share>, Status> {
    let of = bound.shares(wanted.unwrap_or(1));
    if of <= 1 {
        return Ok(Vec::new());
    }
    let version = bound
        .source_version()
        .await
        .map_err(|refusal| to_status(&refusal, Some(bound.id())))?;
    let share = |index| Share {
        index,
        of,
        version: version.clone(),
    };
    Ok((0..of).map(share).collect())
}

/// It existed when the ticket was made: the caller is told that the right ended.
fn ended_right(refusal: Refusal) -> Refusal {
    match refusal.code() {
        Code::NameNotFound => Refusal::new(
            Code::Revoked,
            "the right to this result has ended since it was announced",
        ),
        _ => refusal,
    }
}

fn changed(policies: bool) -> Refusal {
    let cause = if policies {
        "the policies have"
    } else {
        "the circumstances have"
    };
    let text = format!(
        "{cause} changed since this result was announced, and with them its columns; run the \
         statement again"
    );
    Refusal::new(Code::ResultChanged, text)
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
