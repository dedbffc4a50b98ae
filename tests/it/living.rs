//! Policies that change while a server runs: what comes into force and when, what does not, and what
//! is written down of it.

mod admin;
mod changes;
mod versions;

use std::path::Path;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use scrim_identity::read_key_file;
use scrim_ledger::{Load, loads};
use scrim_model::Clock as _;
use scrim_server::Policies;
use scrim_server::admin::{ACTION, AdminRequest, LoadReply, Reply, decode, operator_token};
use tokio::sync::watch;
use tonic::Status;

use crate::client::Client;
use crate::kit::{Hosted, Scratch};

const CONTRACT: &str = "policies/contracts/patients.odcs.yaml";
const AGREEMENT: &str = "policies/agreements/meridian-patients.yaml";
const PATIENTS: &str = "SELECT count(*) FROM care.patients";
/// Nothing here takes so long; without a bound a test that fails would not end.
const LONG: Duration = Duration::from_mins(1);

/// Waits until the policies in force are as they are to be.
async fn until(
    policies: &mut watch::Receiver<Policies>,
    what: impl FnMut(&Policies) -> bool,
) -> Policies {
    let found = tokio::time::timeout(LONG, policies.wait_for(what)).await;
    found.expect("it did not come about").unwrap().clone()
}

/// Waits until another version is in force than this one.
async fn another(policies: &mut watch::Receiver<Policies>, version: &str) -> String {
    let now = until(policies, |now| now.policy.version() != version).await;
    now.policy.version().to_owned()
}

fn version(host: &Hosted) -> String {
    let policies = host.running().policies();
    let policies = policies.borrow();
    policies.policy.version().to_owned()
}

async fn count(client: &mut Client, sql: &str) -> Result<i64, Status> {
    let batch = client.query(sql).await?.batch();
    Ok(batch.column(0).as_primitive::<Int64Type>().value(0))
}

/// A client that holds the key file.
struct Operator<'a> {
    host: &'a Hosted,
    client: Client,
}

impl<'a> Operator<'a> {
    async fn of(host: &'a Hosted) -> Self {
        let client = Client::connect(host.address()).await;
        Self { host, client }
    }

    fn token(&self, body: &[u8]) -> String {
        let keys = read_key_file(&self.host.world.config().keys).unwrap();
        let token = operator_token(&keys.sealer(), "tester", body, self.host.clock.now());
        token.unwrap().expose().clone()
    }

    async fn ask<R: Reply>(&mut self, request: &AdminRequest) -> Result<R, Status> {
        let body = request.encode().unwrap();
        self.client.token = Some(self.token(&body));
        let parts = self.client.action(ACTION, body.into()).await?;
        let reply: Vec<u8> = parts.concat();
        Ok(decode(&reply).unwrap())
    }

    async fn roll_back(&mut self, version: &str) -> LoadReply {
        let version = version.to_owned();
        let request = AdminRequest::Rollback { version };
        self.ask(&request).await.unwrap()
    }
}

fn history(world: &Scratch) -> Vec<Load> {
    read_history(&world.path("ledger/ledger.jsonl"))
}

fn read_history(path: &Path) -> Vec<Load> {
    loads(path).unwrap().map(Result::unwrap).collect()
}
