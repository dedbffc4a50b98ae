//! Whatever bytes come in as tickets, handles, descriptors and bodies: never a panic, never
//! INTERNAL, and never anything that the bytes were not made for.

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest, Any,
    CommandPreparedStatementQuery, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{Action, CancelFlightInfoRequest, FlightDescriptor, FlightInfo, Ticket};
use bytes::Bytes;
use futures::TryStreamExt;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message as _;
use tonic::{Code, Status};

use crate::client::{Client, code, packed, statement};
use crate::kit::Hosted;

/// What is done to bytes that were good.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Replace(Vec<u8>),
    Swap(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        vec(any::<u8>(), 0..400).prop_map(Change::Replace),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

impl Change {
    fn apply(&self, good: &Bytes) -> Bytes {
        let mut bytes = good.to_vec();
        let len = bytes.len();
        match self {
            Self::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Insert(at, more) => {
                drop(bytes.splice(at.index(len)..at.index(len), more.clone()));
            }
            Self::Replace(other) => bytes.clone_from(other),
            Self::Swap(a, b) => bytes.swap(a.index(len), b.index(len)),
        }
        bytes.into()
    }
}

const ACTIONS: [&str; 8] = [
    "CancelFlightInfo",
    "CancelQuery",
    "CreatePreparedStatement",
    "ClosePreparedStatement",
    "SetSessionOptions",
    "GetSessionOptions",
    "BeginTransaction",
    "no such action",
];

/// Good bytes to start from.
struct Good {
    ticket: Bytes,
    /// The sealed text in the ticket.
    sealed: Bytes,
    handle: Bytes,
    info: FlightInfo,
    commands: Vec<Bytes>,
    bodies: Vec<Bytes>,
}

impl Good {
    async fn new(client: &mut Client) -> Self {
        let info = client.info(&statement("SELECT 1 AS one")).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap().ticket;
        let any = Any::decode(ticket.clone()).unwrap();
        let sealed = any.unpack::<TicketStatementQuery>().unwrap().unwrap();
        let handle = client.prepare("SELECT 1 AS one").await.unwrap();
        let handle = handle.prepared_statement_handle;
        let prepared = CommandPreparedStatementQuery {
            prepared_statement_handle: handle.clone(),
        };
        let close = ActionClosePreparedStatementRequest {
            prepared_statement_handle: handle.clone(),
        };
        let cancel = ActionCancelQueryRequest {
            info: info.encode_to_vec().into(),
        };
        let commands = vec![
            packed(&statement("SELECT 1")),
            packed(&prepared),
            ticket.clone(),
        ];
        let raw = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
        let bodies = vec![raw.into(), packed(&cancel), packed(&close), ticket.clone()];
        Self {
            ticket,
            sealed: sealed.statement_handle,
            handle,
            info,
            commands,
            bodies,
        }
    }
}

fn clean(status: &Status, what: &str) {
    assert!(
        !matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss
        ),
        "{what}: {status:?}"
    );
}

/// A sealed text that was changed opens nothing; some changes change nothing.
async fn sealed(client: &mut Client, good: &Good, bytes: &Bytes) {
    if *bytes == good.sealed {
        return;
    }
    let query = TicketStatementQuery {
        statement_handle: bytes.clone(),
    };
    let ticket = Ticket::new(query.as_any().encode_to_vec());
    let status = client.get(ticket.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::InvalidArgument, "ticket-invalid"),
        "{status:?}"
    );
    let mut info = good.info.clone();
    info.endpoint[0].ticket = Some(ticket);
    let body = CancelFlightInfoRequest::new(info).encode_to_vec();
    let cancelled = client.action("CancelFlightInfo", body.into()).await;
    assert_eq!(code(&cancelled.unwrap_err()), "ticket-invalid");
}

async fn everything(client: &mut Client, good: &Good, change: &Change, which: usize, action: &str) {
    sealed(client, good, &change.apply(&good.sealed)).await;
    let ticket = Ticket::new(change.apply(&good.ticket));
    if let Err(status) = client.get(ticket).await {
        clean(&status, "ticket");
    }
    let command = change.apply(&good.commands[which % good.commands.len()]);
    let descriptor = FlightDescriptor::new_cmd(command);
    let request = client.request(descriptor.clone());
    if let Err(status) = client.inner.get_flight_info(request).await {
        clean(&status, "descriptor");
    }
    let request = client.request(descriptor);
    if let Err(status) = client.inner.get_schema(request).await {
        clean(&status, "descriptor");
    }
    let handle = CommandPreparedStatementQuery {
        prepared_statement_handle: change.apply(&good.handle),
    };
    if let Err(status) = client.info(&handle).await {
        clean(&status, "handle");
    }
    let body = change.apply(&good.bodies[which % good.bodies.len()]);
    let request = client.request(Action {
        r#type: action.to_owned(),
        body,
    });
    let answered = match client.inner.do_action(request).await {
        Ok(answers) => answers.into_inner().try_collect::<Vec<_>>().await.map(drop),
        Err(status) => Err(status),
    };
    if let Err(status) = answered {
        clean(&status, action);
    }
}

#[test]
fn inv_12_changed_and_random_bytes_open_nothing_and_break_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let host = runtime.block_on(Hosted::demo());
    let client = runtime.block_on(Client::persona(host.address(), "nora"));
    let good = runtime.block_on(Good::new(&mut client.clone()));
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = (change(), any::<usize>(), select(&ACTIONS[..]));
    let outcome = runner.run(&strategy, |(change, which, action)| {
        let mut client = client.clone();
        runtime.block_on(everything(&mut client, &good, &change, which, action));
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
    // The server is as it was.
    let mut client = client;
    runtime.block_on(client.query("SELECT 1")).unwrap();
    runtime.block_on(host.stop());
}
