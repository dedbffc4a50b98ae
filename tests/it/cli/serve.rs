//! `scrim serve` and `scrim query`: a process that serves, and one that asks.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use arrow::ipc::reader::StreamReader;
use scrim_testkit::postgres::PASSWORD;

use super::{Run, binary, scrim, scrim_with};
use crate::elsewhere::Base;
use crate::kit::Scratch;

/// A server in a process of its own.
pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
    log: JoinHandle<String>,
    out: BufReader<std::process::ChildStdout>,
}

impl Serving {
    pub(crate) fn start(world: &Scratch) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--config", "scrim.yaml"])
            .current_dir(world.root())
            // whoever asks for all that the transport says, too, gets no token
            .env(
                "RUST_LOG",
                "trace,h2::codec=trace,h2::proto=trace,hyper::proto=trace",
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Self {
            child,
            url: format!("grpc://{address}"),
            log,
            out,
        }
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id()]).status();
        assert!(sent.unwrap().success());
    }

    /// Stops it as an init system does; gives the rest of its output, and its log.
    pub(crate) fn stop(mut self) -> (String, String) {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        let mut out = String::new();
        self.out.read_to_string(&mut out).unwrap();
        let log = self.log.join().unwrap();
        assert!(status.success(), "{status} {log}");
        (out, log)
    }
}

pub(crate) fn query(world: &Scratch, url: &str, user: &str, arguments: &[&str]) -> Run {
    let base = [
        "query",
        "--url",
        url,
        "--user",
        user,
        "--password-file",
        "password.txt",
    ];
    scrim(world.root(), base.iter().chain(arguments))
}

#[test]
fn a_server_in_its_own_process_is_asked_in_every_format_and_stops_in_order() {
    let world = Scratch::demo();
    world.write("password.txt", "demo\nand nothing else\n");
    let serving = Serving::start(&world);
    let url = serving.url.clone();
    let sql = "SELECT ward, birth_date, contact['email'] AS mail, NULL AS nothing, 1.5 AS n FROM care.patients WHERE ward IN ('Lighthouse', 'Sunroom') ORDER BY ward";
    let table = query(&world, &url, "nora", &[sql]).good();
    assert!(
        table.contains("Lighthouse") && table.contains("1954-03-17") && table.contains("mail"),
        "{table}"
    );
    let csv = query(&world, &url, "nora", &["--format", "csv", sql]).good();
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        [
            "ward,birth_date,mail,nothing,n",
            "Lighthouse,1954-03-17,zoe.angstrom@example.org,,1.5",
            "Sunroom,1961-06-08,zoe.angstrom@example.org,,1.5",
        ]
    );
    let json = query(&world, &url, "nora", &["--format", "json", sql]).good();
    let rows: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["birth_date"], "1954-03-17");
    assert!(
        rows[0]
            .get("nothing")
            .is_none_or(serde_json::Value::is_null)
    );
    let bytes = Command::new(binary())
        .args([
            "query",
            "--url",
            &url,
            "--user",
            "nora",
            "--password-file",
            "password.txt",
            "--format",
            "arrow",
            sql,
        ])
        .current_dir(world.root())
        .output()
        .unwrap();
    let batches: Vec<_> = StreamReader::try_new(&bytes.stdout[..], None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        batches
            .iter()
            .map(arrow::array::RecordBatch::num_rows)
            .sum::<usize>(),
        2
    );
    let none = query(
        &world,
        &url,
        "nora",
        &[
            "--format",
            "csv",
            "SELECT ward FROM care.patients WHERE false",
        ],
    )
    .good();
    assert_eq!(none.trim(), "ward");
    // the statement and the password from standard input
    let base = ["query", "--url", &url, "--user", "nora"];
    let piped = [&base[..], &["--password-file", "password.txt", "-"]].concat();
    assert!(
        scrim_with(world.root(), piped, "SELECT 'through a pipe'")
            .good()
            .contains("through a pipe")
    );
    let piped = [&base[..], &["--password-file", "-", "SELECT 1"]].concat();
    scrim_with(world.root(), piped, "demo\n").good();
    let (out, _) = serving.stop();
    assert_eq!(out, "", "one line when ready, and no more");
    scrim(world.root(), ["ledger", "verify", "ledger"]).good();
    let shown = scrim(
        world.root(),
        ["ledger", "show", "ledger", "--outcome", "completed"],
    )
    .good();
    assert!(shown.contains("SELECT 'through a pipe'"), "{shown}");
}

#[test]
fn inv_15_exit_codes_tell_the_outcome_and_no_log_holds_a_secret_or_a_value() {
    let world = Scratch::demo();
    world.write("password.txt", "demo");
    world.write("wrong.txt", "open sesame 4711");
    let serving = Serving::start(&world);
    let url = serving.url.clone();
    query(
        &world,
        &url,
        "nora",
        &["SELECT full_name, contact FROM care.patients"],
    )
    .good();
    let said = query(
        &world,
        &url,
        "rolf",
        &["SELECT full_name FROM care.patients"],
    )
    .bad(1);
    assert!(
        said.contains("name-not-found: column full_name does not exist"),
        "{said}"
    );
    let said = query(&world, &url, "rolf", &["--purpose", "a\nb", "SELECT 1"]).bad(2);
    assert!(said.contains("the purpose cannot be sent"), "{said}");
    query(&world, &url, "rolf", &["--purpose", "für alle", "SELECT 1"]).good();
    let said = query(
        &world,
        &url,
        "rolf",
        &["--purpose", "marketing", "SELECT ward FROM care.patients"],
    )
    .bad(1);
    assert!(said.contains("name-not-found"), "{said}");
    query(
        &world,
        &url,
        "rhea",
        &[
            "--agreement",
            "meridian-study-7",
            "SELECT count(*) FROM care.patients",
        ],
    )
    .good();
    let run = query(
        &world,
        &url,
        "nora",
        &[
            "--format",
            "csv",
            "SELECT CAST(full_name AS INT) FROM care.patients",
        ],
    );
    assert!(run.bad(1).contains("cast-invalid"));
    let base = ["query", "--url", &url, "--user", "nora", "--password-file"];
    let said = scrim(world.root(), base.iter().chain(&["wrong.txt", "SELECT 1"])).bad(1);
    assert!(said.contains("unauthenticated"), "{said}");
    let said = scrim(world.root(), base.iter().chain(&["none.txt", "SELECT 1"])).bad(2);
    assert!(said.contains("none.txt"), "{said}");
    scrim(
        world.root(),
        [
            "query",
            "--url",
            "ftp://x",
            "--user",
            "a",
            "--password-file",
            "password.txt",
            "SELECT 1",
        ],
    )
    .bad(2);
    let (_, log) = serving.stop();
    assert!(log.contains("serving"), "the log is empty: {log}");
    let keys = std::fs::read_to_string(world.path("keys.json")).unwrap();
    let keys = keys.split('"').filter(|word| word.len() >= 40);
    let accounts = std::fs::read_to_string(world.path("accounts.yaml")).unwrap();
    let hash = accounts
        .split('"')
        .find(|word| word.starts_with("$argon2id$"))
        .unwrap();
    let basic = [
        "bm9yYTpkZW1v",
        "open sesame 4711",
        hash,
        "Zoë",
        "Okafor",
        "canary-",
        "zoe.angstrom",
    ];
    for secret in basic.into_iter().chain(keys) {
        assert!(
            !log.contains(secret),
            "the log holds {secret:.16}: {}",
            around(&log, secret)
        );
    }
    for mark in ["Bearer ", "bearer "] {
        assert!(
            !log.contains(mark),
            "the log holds a token: {}",
            around(&log, mark)
        );
    }
    // nobody is there any more
    let said = query(&world, &url, "nora", &["SELECT 1"]).bad(1);
    assert!(said.contains("cannot reach"), "{said}");
}

fn around(log: &str, what: &str) -> String {
    log.lines()
        .find(|line| line.contains(what))
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

/// The owner reads in the log what is left out and why; nobody reads a secret there.
#[test]
fn inv_15_a_server_without_a_source_says_so_in_its_log_and_tells_no_secret() {
    let world = Scratch::demo_with_data();
    let base = Base::new(&world);
    base.take(&world, "claims");
    base.proxy.refuse();
    world.write("password.txt", "demo\n");
    let serving = Serving::start(&world);
    let count = "SELECT count(*) FROM care.visits";
    query(&world, &serving.url, "nora", &[count]).good();
    let (_, log) = serving.stop();
    for words in [
        "insurance.claims is left out",
        "claims.odcs.yaml:",
        "table public.claims",
        "degraded",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!log.contains(PASSWORD), "{}", around(&log, PASSWORD));
}
