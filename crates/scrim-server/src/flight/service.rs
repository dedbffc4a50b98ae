//! The Flight service itself. It is implemented here, not through arrow-flight's Flight SQL trait:
//! that one fixes several answers which clients depend on (GetSchema, ListActions, the result of
//! preparing) and cannot be overridden method by method.

use std::pin::Pin;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::Command;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::Flight;
use super::actions::action_types;
use super::context::Caller;
use super::info::{Announced, command_of, malformed, not_served, read_only, schema_bytes};
use super::peer::Peer;
use super::prepared::no_transaction;
use super::statements::{Effect, caller_of};
use crate::admin::Shown;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn once<T: Send + 'static>(
    items: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
) -> Answers<T> {
    Box::pin(futures::stream::iter(items).map(Ok))
}

impl Flight {
    /// Announces the result of a command.
    async fn describe(
        &self,
        caller: &Caller,
        descriptor: &FlightDescriptor,
        effect: Effect,
    ) -> Result<Announced, Status> {
        match command_of(descriptor)? {
            Command::CommandStatementQuery(query) => {
                no_transaction(query.transaction_id.as_deref())?;
                self.announce(caller, query.query, None, effect).await
            }
            Command::CommandPreparedStatementQuery(query) => {
                let (sql, params) = self.prepared(caller, &query.prepared_statement_handle)?;
                self.announce(caller, sql, params, effect).await
            }
            Command::CommandStatementSubstraitPlan(_) => Err(not_served("Substrait")),
            Command::CommandStatementUpdate(_)
            | Command::CommandPreparedStatementUpdate(_)
            | Command::CommandStatementIngest(_) => Err(read_only()),
            other => match Self::listing_schema(&other)? {
                // The command itself is the ticket: it carries no right, and is answered anew.
                Some(schema) => Ok(Announced {
                    schema,
                    tickets: vec![descriptor.cmd.clone()],
                    ordered: false,
                    id: None,
                }),
                None => Err(malformed("this is no command that has a result")),
            },
        }
    }
}

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let peer = Peer::of(request.extensions());
        let response = self.sign_in(request.metadata(), &peer).await?;
        Ok(response.map(|answer| once([answer])))
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(not_served("ListFlights"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = caller_of(&request)?;
        let descriptor = request.into_inner();
        let announced = self.describe(&caller, &descriptor, Effect::Apply).await?;
        Ok(Response::new(announced.info(descriptor)?))
    }

    /// Results stream from the start, so there is nothing to poll for: the answer is complete.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(PollInfo {
            info: Some(info),
            ..PollInfo::default()
        }))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let caller = caller_of(&request)?;
        let announced = self
            .describe(&caller, request.get_ref(), Effect::None)
            .await?;
        Ok(Response::new(SchemaResult {
            schema: schema_bytes(&announced.schema)?,
        }))
    }

    /// The door answers DoGet itself, with one copy less; this is the same by the ordinary way.
    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let stream = self.stream(request).await?;
        Ok(Response::new(stream.map_ok(FlightData::from).boxed()))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = caller_of(&request)?;
        self.put(&caller, request.into_inner()).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let bodies = if let Some(shown) = request.extensions().get::<Shown>().cloned() {
            self.administer(shown, request.get_ref()).await?
        } else {
            let caller = caller_of(&request)?;
            self.action(&caller, request.into_inner()).await?
        };
        let results = bodies.into_iter().map(|body| arrow_flight::Result { body });
        Ok(Response::new(once(results)))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(once(action_types())))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(not_served("DoExchange"))
    }
}
