//! Cancelling what a FlightInfo announced.

use std::collections::BTreeSet;

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Command};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
};
use bytes::Bytes;
use prost::Message;
use scrim_model::QueryId;
use tonic::Status;

use super::Flight;
use super::context::Caller;
use super::info::{command, malformed};
use super::tickets::Kind;
use crate::status::to_status;

/// Endpoints of one FlightInfo.
const ENDPOINTS_MAX: usize = 1_024;

impl Flight {
    /// Answers CancelFlightInfo, whose messages are not wrapped.
    pub(crate) fn cancel_flight_info(
        &self,
        caller: &Caller,
        body: Bytes,
    ) -> Result<CancelFlightInfoResult, Status> {
        let info = CancelFlightInfoRequest::decode(body)
            .ok()
            .and_then(|request| request.info)
            .ok_or_else(|| malformed("this is no CancelFlightInfoRequest with a FlightInfo"))?;
        self.cancel(caller, info).map(CancelFlightInfoResult::new)
    }

    /// Answers CancelQuery, its form in Flight SQL.
    pub(crate) fn cancel_query(
        &self,
        caller: &Caller,
        request: ActionCancelQueryRequest,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(request.info)
            .map_err(|_| malformed("this is no CancelQuery request with a FlightInfo"))?;
        let result = self.cancel(caller, info)?.into();
        // Its numbers are those of CancelStatus.
        Ok(ActionCancelQueryResult { result })
    }

    /// Ends what the caller's session fetches with the tickets of a FlightInfo, and refuses them
    /// from now on.
    fn cancel(&self, caller: &Caller, info: FlightInfo) -> Result<CancelStatus, Status> {
        if info.endpoint.is_empty() || info.endpoint.len() > ENDPOINTS_MAX {
            return Err(malformed("the FlightInfo has no endpoints, or too many"));
        }
        // All or none: a ticket that is not the caller's spoils the request as a whole.
        let statements: BTreeSet<QueryId> = info
            .endpoint
            .into_iter()
            .filter_map(|endpoint| self.cancellable(caller, endpoint).transpose())
            .collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Ok(CancelStatus::NotCancellable);
        }
        let (now, session) = (self.clock.now(), &caller.session);
        let expires = Kind::Ticket.expiry(caller, now);
        for statement in statements {
            self.streams
                .cancel(session.id, statement, expires, now)
                .map_err(|refusal| to_status(&refusal, Some(statement)))?;
        }
        Ok(CancelStatus::Cancelled)
    }

    /// The statement behind an endpoint; what is fetched by its command is answered at once.
    fn cancellable(
        &self,
        caller: &Caller,
        endpoint: FlightEndpoint,
    ) -> Result<Option<QueryId>, Status> {
        let ticket = endpoint
            .ticket
            .ok_or_else(|| malformed("an endpoint of the FlightInfo has no ticket"))?;
        match command(&ticket.ticket)? {
            Command::TicketStatementQuery(ticket) => {
                // An expired ticket may have a stream that runs.
                let sealed = self.unseal(Kind::Ticket, caller, &ticket.statement_handle)?;
                Ok(sealed.statement.promise.map(|promise| promise.id))
            }
            _ => Ok(None),
        }
    }
}
