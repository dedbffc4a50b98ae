//! Sources that are not there when a server starts: their tables exist for nobody, the others are
//! served, and what comes back is served without a new start.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use arrow::util::pretty::pretty_format_batches;
use arrow_flight::sql::CommandGetTables;
use futures::StreamExt;
use scrim_policy::LeftOut;
use tokio::sync::watch;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{Client, Fetched};
use crate::elsewhere::Base;
use crate::kit::{Hosted, Scratch};

const CLAIMS: &str = "SELECT count(*) FROM insurance.claims";
const PATIENTS: &str = "SELECT count(*) FROM care.patients";

/// A file of a table, put aside.
struct Aside {
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    fn put(world: &Scratch, table: &str) -> Self {
        let path = world.path(&format!("data/{table}.parquet"));
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        Self { path, aside }
    }

    fn back(self) {
        fs::rename(self.aside, self.path).unwrap();
    }
}

/// Has the server try, and waits until it has.
async fn tried(host: &Hosted, left_out: &mut watch::Receiver<Vec<LeftOut>>) -> Vec<String> {
    left_out.mark_unchanged();
    host.running().try_left_out();
    left_out.changed().await.unwrap();
    let left_out = left_out.borrow_and_update();
    left_out.iter().map(|one| one.contract.clone()).collect()
}

async fn health(host: &Hosted) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", host.address())).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn status(host: &Hosted, service: &str) -> ServingStatus {
    let answer = health(host).await.check(of(service)).await.unwrap();
    answer.into_inner().status()
}

fn shown(fetched: &Fetched) -> String {
    pretty_format_batches(&fetched.batches())
        .unwrap()
        .to_string()
}

/// Everything that somebody can ask about the table of claims and gets to hear.
async fn heard(host: &Hosted, id: &str) -> String {
    let mut client = Client::persona(host.address(), id).await;
    let mut heard = String::new();
    for sql in [
        CLAIMS,
        "SELECT amount FROM insurance.claims WHERE 1 / 0 = 1",
        "SELECT * FROM claims",
        "DESCRIBE insurance.claims",
        "EXPLAIN SELECT * FROM insurance.claims",
        "SELECT * FROM care.visits v JOIN insurance.claims c ON true",
    ] {
        let status = client.query(sql).await.unwrap_err();
        let said = status
            .message()
            .split(" (query ")
            .next()
            .unwrap()
            .to_owned();
        writeln!(heard, "{sql}: {:?} {said}", status.code()).unwrap();
    }
    for sql in [
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2",
        "SELECT table_name, column_name FROM information_schema.columns ORDER BY 1, 2",
    ] {
        heard += &shown(&client.query(sql).await.unwrap());
    }
    let all = CommandGetTables::default();
    heard + &shown(&client.fetch(&all).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_a_table_whose_source_is_gone_is_as_one_that_never_was() {
    let never = Scratch::demo_with_data();
    for file in [
        "contracts/claims.odcs.yaml",
        "agreements/harbor-claims.yaml",
        "agreements/lumen-claims.yaml",
        "agreements/meridian-claims.yaml",
        "agreements/northgate-claims.yaml",
    ] {
        fs::remove_file(never.path(&format!("policies/{file}"))).unwrap();
    }
    let never = Hosted::start(never).await;
    let gone = Scratch::demo_with_data();
    drop(Aside::put(&gone, "claims"));
    let other = Scratch::demo_with_data();
    other.edit(
        "policies/contracts/claims.odcs.yaml",
        "physicalType: BIGINT",
        "physicalType: BOOLEAN",
    );
    for world in [gone, other] {
        let host = Hosted::start(world).await;
        assert_eq!(host.running().left_out().borrow().len(), 1);
        for id in ["ivan", "nora", "rolf"] {
            assert_eq!(heard(&host, id).await, heard(&never, id).await, "{id}");
        }
        let mut nora = Client::persona(host.address(), "nora").await;
        nora.query(PATIENTS).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_served_without_a_new_start() {
    let world = Scratch::demo_with_data();
    let claims = Aside::put(&world, "claims");
    let host = Hosted::start(world).await;
    let mut left_out = host.running().left_out();
    assert_eq!(left_out.borrow()[0].contract, "claims");
    let mut ivan = Client::persona(host.address(), "ivan").await;
    ivan.query(CLAIMS).await.unwrap_err();
    assert_eq!(tried(&host, &mut left_out).await, ["claims"]);
    // Documents that became wrong meanwhile do not stand in the way of those in force.
    let agreement = "policies/agreements/harbor-claims.yaml";
    host.world.edit(agreement, "status: active", "status: on");
    assert_eq!(tried(&host, &mut left_out).await, ["claims"]);
    let mut nora = Client::persona(host.address(), "nora").await;
    nora.query(PATIENTS).await.unwrap();
    claims.back();
    assert!(tried(&host, &mut left_out).await.is_empty());
    ivan.query(CLAIMS).await.unwrap();
    let world = host.stop().await;
    let ledger = fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    let loads: Vec<&str> = ledger
        .lines()
        .filter(|line| line.contains("policy_loaded"))
        .collect();
    assert_eq!(loads.len(), 2, "{loads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_away_for_a_moment_does_not_take_its_table_along() {
    let world = Scratch::demo_with_data();
    let claims = Aside::put(&world, "claims");
    let host = Hosted::start(world).await;
    let mut left_out = host.running().left_out();
    let patients = Aside::put(&host.world, "patients");
    claims.back();
    assert!(tried(&host, &mut left_out).await.is_empty());
    let mut ivan = Client::persona(host.address(), "ivan").await;
    ivan.query(CLAIMS).await.unwrap();
    let mut nora = Client::persona(host.address(), "nora").await;
    let status = nora.query(PATIENTS).await.unwrap_err();
    assert_eq!(
        crate::client::code(&status),
        "source-unavailable",
        "{status}"
    );
    // Nor does a load that looks at all sources anew.
    host.reload().await;
    assert!(left_out.borrow().is_empty());
    patients.back();
    nora.query(PATIENTS).await.unwrap();
}

/// A database that is down, or has other columns by now, when the server starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_down_or_other_at_the_start_heals() {
    let world = Scratch::demo_with_data();
    let base = Base::new(&world);
    base.take(&world, "claims");
    base.proxy.refuse();
    let host = Hosted::start(world).await;
    let mut left_out = host.running().left_out();
    let mut ivan = Client::persona(host.address(), "ivan").await;
    let mut nora = Client::persona(host.address(), "nora").await;
    let status = ivan.query(CLAIMS).await.unwrap_err();
    assert_eq!(crate::client::code(&status), "name-not-found", "{status}");
    nora.query(PATIENTS).await.unwrap();
    base.database
        .execute("ALTER TABLE claims RENAME COLUMN amount TO total");
    base.proxy.heal();
    assert_eq!(tried(&host, &mut left_out).await, ["claims"]);
    let said = left_out.borrow()[0].problems.to_string();
    assert!(said.contains("no column `amount`"), "{said}");
    base.database
        .execute("ALTER TABLE claims RENAME COLUMN total TO amount");
    assert!(tried(&host, &mut left_out).await.is_empty());
    ivan.query(CLAIMS).await.unwrap();
    host.stop().await;
}

/// While a look-up table is away, the tables whose rules ask it are closed, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_03_without_a_look_up_table_the_tables_that_ask_it_are_closed() {
    let world = Scratch::demo_with_data();
    let base = Base::new(&world);
    base.take_entitlements(&world);
    base.proxy.refuse();
    let host = Hosted::start(world).await;
    let mut left_out = host.running().left_out();
    let names: Vec<String> = left_out
        .borrow()
        .iter()
        .map(|one| one.contract.clone())
        .collect();
    assert_eq!(names, ["patients", "visits"]);
    let mut nora = Client::persona(host.address(), "nora").await;
    let visits = "SELECT count(*) FROM care.visits";
    let status = nora.query(visits).await.unwrap_err();
    assert_eq!(crate::client::code(&status), "name-not-found", "{status}");
    let mut ivan = Client::persona(host.address(), "ivan").await;
    ivan.query(CLAIMS).await.unwrap();
    base.proxy.heal();
    assert!(tried(&host, &mut left_out).await.is_empty());
    nora.query(visits).await.unwrap();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_to_anybody_whether_all_sources_are_there_and_nothing_else() {
    let world = Scratch::demo_with_data();
    let claims = Aside::put(&world, "claims");
    let host = Hosted::start(world).await;
    assert_eq!(status(&host, "").await, ServingStatus::Serving);
    assert_eq!(
        status(&host, "scrim.sources").await,
        ServingStatus::NotServing
    );
    for name in [
        "claims",
        "insurance.claims",
        "arrow.flight.protocol.FlightService",
    ] {
        let status = health(&host).await.check(of(name)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name}");
    }
    let long = "x".repeat(5_000);
    health(&host).await.check(of(&long)).await.unwrap_err();
    let mut client = health(&host).await;
    let mut watching = client
        .watch(of("scrim.sources"))
        .await
        .unwrap()
        .into_inner();
    let first = watching.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::NotServing);
    claims.back();
    assert!(
        tried(&host, &mut host.running().left_out())
            .await
            .is_empty()
    );
    let then = watching.next().await.unwrap().unwrap();
    assert_eq!(then.status(), ServingStatus::Serving);
    assert_eq!(status(&host, "scrim.sources").await, ServingStatus::Serving);
    // Whoever watches does not hold up the end.
    host.stop().await;
    assert!(watching.next().await.is_none());
}
