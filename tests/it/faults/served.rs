//! A server whose sources fail, a client of it, and what the client may hear.

use std::fs;
use std::path::PathBuf;

use arrow::util::pretty::pretty_format_batches;
use arrow_flight::FlightData;
use scrim_ledger::Outcome;
use scrim_testkit::postgres::PASSWORD;
use scrim_testkit::s3::{ACCESS_KEY, SECRET_KEY};
use tonic::{Status, Streaming};

use crate::cli::serve::{Serving, query};
use crate::client::{Client, code, is_clean, metadata_bytes};
use crate::elsewhere::{Base, Store};
use crate::kit::{Hosted, Scratch};
use crate::support::observe::holds;

/// Nothing of where a table lies and how it is read may be heard.
const UNHEARD: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "lake",
    "s3:",
    "s3.",
    "postgres",
    "public",
    "test_",
    "parquet",
    "SQLSTATE",
    "/tmp",
    "password",
    PASSWORD,
    ACCESS_KEY,
    SECRET_KEY,
];

/// A server, and what was asked of it in vain.
pub(super) struct Served {
    host: Hosted,
    pub(super) client: Client,
    failed: Vec<(String, String)>,
}

/// Adds settings of sources to the configuration.
pub(super) fn settings(world: &Scratch, settings: &str) {
    let text = fs::read_to_string(world.path("scrim.yaml")).unwrap();
    let text = format!("{text}\nsources: {{{settings}}}\n");
    world.write("scrim.yaml", &text);
}

/// Reads a stream to its end.
pub(super) async fn drained(mut stream: Streaming<FlightData>) -> Result<usize, Status> {
    let mut messages = 0;
    while stream.message().await?.is_some() {
        messages += 1;
    }
    Ok(messages)
}

/// A refusal tells nothing of where a table lies.
pub(super) fn is_safe(status: &Status) {
    is_clean(status);
    let mut heard = status.message().as_bytes().to_vec();
    heard.extend_from_slice(status.details());
    heard.extend(metadata_bytes(status.metadata()));
    for word in UNHEARD {
        assert!(!holds(&heard, word.as_bytes()), "{word}: {status:?}");
    }
}

impl Served {
    pub(super) async fn start(world: Scratch) -> Self {
        let host = Hosted::start(world).await;
        let client = Client::persona(host.address(), "nora").await;
        Self {
            host,
            client,
            failed: Vec::new(),
        }
    }

    pub(super) async fn persona(&self, id: &str) -> Client {
        Client::persona(self.host.address(), id).await
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.host.world.path(path)
    }

    /// The answer to a statement, as text.
    pub(super) async fn text(&mut self, sql: &str) -> String {
        let fetched = self.client.query(sql).await;
        let fetched = fetched.unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        let batch = fetched.batch();
        pretty_format_batches(&[batch]).unwrap().to_string()
    }

    /// A statement fails with one of these codes and tells no more.
    pub(super) async fn fails(&mut self, sql: &str, codes: &[&str]) {
        match self.client.query(sql).await {
            Ok(fetched) => panic!("{sql}: {:?}", fetched.batch()),
            Err(status) => self.failed(sql, &status, codes),
        }
    }

    /// A failure is safe, has one of these codes, and is expected in the ledger.
    pub(super) fn failed(&mut self, sql: &str, status: &Status, codes: &[&str]) {
        is_safe(status);
        let code = code(status);
        assert!(codes.contains(&code), "{sql}: {status:?}");
        self.failed.push((sql.to_owned(), code.to_owned()));
    }

    /// Stops it; every record is closed, and those of the failures as failed, in their order.
    pub(super) async fn stop(self) -> Scratch {
        let Self {
            host,
            client,
            failed,
        } = self;
        drop(client);
        let world = host.stop().await;
        let records = world.records();
        assert!(
            records.iter().all(|record| record.outcome != Outcome::Open),
            "{records:?}"
        );
        let found: Vec<(String, String)> = records
            .into_iter()
            .filter(|record| record.outcome == Outcome::Failed)
            .map(|record| (record.sql, record.code.unwrap_or_default()))
            .collect();
        assert_eq!(found, failed);
        world
    }
}

/// What a partner does not hear, the owner finds in the log under the query's id.
#[test]
fn inv_07_where_a_source_lies_is_told_to_its_owner_alone() {
    let world = Scratch::demo();
    world.write("password.txt", "demo\n");
    world.add_table("ids", &[crate::elsewhere::texts("id\n1\n2")]);
    let (store, base) = (Store::new(&world), Base::new(&world));
    store.take(&world, "visits");
    base.take(&world, "ids");
    let serving = Serving::start(&world);
    let ask = |sql: &str| query(&world, &serving.url, "nora", &[sql]);
    let (visits, ids) = (
        "SELECT count(notes) FROM care.visits",
        "SELECT max(id) FROM care.ids",
    );
    ask(visits).good();
    ask(ids).good();
    store.proxy.refuse();
    base.proxy.refuse();
    let heard = [ask(visits).bad(1), ask(ids).bad(1)];
    let (_, log) = serving.stop();
    let port = base.proxy.address().port();
    let told = ["s3://lake/visits".to_owned(), format!("localhost:{port}")];
    for (heard, told) in heard.iter().zip(told) {
        for word in UNHEARD {
            assert!(!heard.contains(word), "{word}: {heard}");
        }
        let mut words = heard.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        let id = words.rfind(|word| word.len() == 36);
        let id = id.unwrap_or_else(|| panic!("no id: {heard}"));
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(id)).collect();
        assert!(
            lines.iter().any(|line| line.contains(&told)),
            "{id} {told}: {lines:?}"
        );
    }
    assert!(!log.contains(PASSWORD) && !log.contains(SECRET_KEY));
}
