//! Rights that end while their results are read, and access that is taken back.

use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::ipc::root_as_message;
use arrow_flight::sql::CommandPreparedStatementQuery;
use arrow_flight::{FlightData, FlightInfo};
use bytes::Bytes;
use chrono::TimeDelta;
use scrim::demo::world::PASSWORD;
use scrim_ledger::{Outcome, Record};
use scrim_model::RevocationScope;
use scrim_server::revoke::{AccessChange, RevokeError};
use tonic::{Code, Status, Streaming};

use super::renewal::{entries, with_session};
use super::streams::{MANY, end_of, left, open, ticket};
use crate::client::{Client, code, statement};
use crate::kit::{Hosted, Scratch, accounts, read_ledger};

const SECOND: Duration = Duration::from_secs(1);
const VISITS: &str = "policies/agreements/harbor-visits.yaml";

fn change(scope: RevocationScope, id: &str) -> AccessChange {
    AccessChange {
        scope,
        id: id.to_owned(),
        reason: "the pilot is over".to_owned(),
        by: "owner".to_owned(),
    }
}

/// A result that is being read, and who reads it.
struct Reading {
    client: Client,
    stream: Streaming<FlightData>,
    rows: i64,
}

impl Reading {
    async fn start(host: &Hosted, id: &str, sql: &str) -> Self {
        let mut client = Client::persona(host.address(), id).await;
        let info = client.info(&statement(sql)).await.unwrap();
        let stream = open(&mut client, ticket(&info)).await.unwrap();
        let mut reading = Self {
            client,
            stream,
            rows: 0,
        };
        assert!(reading.goes_on().await, "{id} has rows to read");
        reading
    }

    /// Takes one message; whether there was one.
    async fn goes_on(&mut self) -> bool {
        let message = self.stream.message().await.unwrap();
        let Some(message) = message else {
            return false;
        };
        let header = root_as_message(&message.data_header).unwrap();
        self.rows += header.header_as_record_batch().unwrap().length();
        true
    }

    /// All rows, and a good end.
    async fn finish(mut self) -> i64 {
        while self.goes_on().await {}
        self.rows
    }

    /// It has ended with the error that says so.
    async fn ends_revoked(&mut self) -> Status {
        let status = end_of(&mut self.stream).await;
        let told = (status.code(), code(&status));
        assert_eq!(told, (Code::PermissionDenied, "revoked"), "{status:?}");
        status
    }
}

/// The records that were closed as revoked, once there are so many.
async fn revoked(world: &Scratch, count: usize) -> Vec<Record> {
    for _ in 0..500 {
        let mut records = read_ledger(&world.path("ledger/ledger.jsonl"));
        records.retain(|record| record.outcome == Outcome::Revoked);
        if records.len() >= count {
            assert_eq!(records.len(), count, "{records:?}");
            return records;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no record is closed as revoked");
}

/// A world in which sessions last longer than any test's days.
fn patient() -> Scratch {
    with_session("{ttl: 10d, max: 10d}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_17_of_fifty_streams_one_loses_its_right_and_the_others_do_not_notice() {
    let world = patient();
    world.edit(
        "scrim.yaml",
        "concurrent_per_principal: 8",
        "concurrent_per_principal: 64",
    );
    let host = Hosted::start(world).await;
    let sql = "SELECT a.visit_id, a.patient_id, a.ward, a.region, b.visit_id, c.visit_id FROM \
               care.visits a CROSS JOIN care.visits b CROSS JOIN care.visits c LIMIT 120000";
    let claims = "SELECT a.claim_id, a.patient_id, a.provider, a.region, b.claim_id, c.claim_id \
                  FROM insurance.claims a CROSS JOIN insurance.claims b CROSS JOIN \
                  insurance.claims c LIMIT 120000";
    let mut others = vec![Reading::start(&host, "iris", claims).await];
    for (id, count) in [("nora", 40), ("rolf", 4), ("rhea", 4)] {
        for _ in 0..count {
            others.push(Reading::start(&host, id, sql).await);
        }
    }
    let mut loser = Reading::start(&host, "ivan", MANY).await;
    assert_eq!(others.len() + 1, 50);
    assert_eq!(*host.engine().working().borrow(), 50, "all are running");
    host.world.edit(VISITS, "status: active", "status: ended");
    host.reload().await;
    let swapped = Instant::now();
    left(49, host.engine().working(), SECOND).await;
    loser.ends_revoked().await;
    let took = swapped.elapsed();
    assert!(took < SECOND, "{took:?}");
    for one in others {
        assert_eq!(one.finish().await, 120_000);
    }
    let records = revoked(&host.world, 1).await;
    let record = &records[0];
    assert_eq!(
        (record.principal.as_str(), record.sql.as_str()),
        ("ivan", MANY)
    );
    assert_eq!(record.code.as_deref(), Some("revoked"));
    assert!(record.rows.unwrap() > 0);
    let reason = record.reason.as_deref().unwrap();
    assert!(
        reason.contains("`harbor-visits` does not match any more: it is ended")
            && reason.contains("harbor-visits.yaml:"),
        "{reason}"
    );
}

fn to(host: &Hosted, time: &str) {
    host.clock.set(format!("2026-03-{time}Z").parse().unwrap());
}

async fn with_accounts(host: &Hosted, from: &str, to: &str) {
    host.world.edit("accounts.yaml", from, to);
    let accounts = accounts(&host.world.config());
    host.running().replace_accounts(accounts).await.unwrap();
}

/// Ivan reads visits since noon, and Nora for an hour less; then something happens that ends what
/// Ivan reads, for a reason in his record, and nothing else.
async fn ends(
    world: Scratch,
    reason: &str,
    happens: impl AsyncFnOnce(&Hosted),
) -> (Hosted, Reading) {
    let host = Hosted::start(world).await;
    let mut ivan = Reading::start(&host, "ivan", MANY).await;
    to(&host, "02T13:00:00");
    let mut nora = Reading::start(&host, "nora", MANY).await;
    happens(&host).await;
    left(1, host.engine().working(), SECOND).await;
    let status = ivan.ends_revoked().await;
    assert!(!status.message().contains("harbor-visits"), "{status:?}");
    let record = revoked(&host.world, 1).await.remove(0);
    let told = record.reason.unwrap();
    assert!(told.contains(reason), "{told} instead of {reason}");
    assert!(record.rows.unwrap() > 0);
    assert!(nora.goes_on().await);
    (host, ivan)
}

#[tokio::test]
async fn inv_17_a_stream_ends_when_its_agreement_does() {
    let world = patient();
    world.edit(VISITS, "end: 2099-12-31", "end: 2026-03-02");
    let (_host, mut ivan) = ends(world, "it ended on 2026-03-02", async |host| {
        to(host, "03T00:00:00");
    })
    .await;
    let status = ivan.client.query(MANY).await.unwrap_err();
    assert_eq!(code(&status), "name-not-found");
    let world = patient();
    let hours = "end: 2099-12-31\nwhen: context.hour < 15";
    world.edit(VISITS, "end: 2099-12-31", hours);
    ends(world, "`when` is not true", async |host| {
        to(host, "02T15:00:00");
    })
    .await;
}

#[tokio::test]
async fn inv_17_a_stream_ends_when_policies_change_what_it_shows() {
    let visits = "policies/contracts/visits.odcs.yaml";
    for (file, from, into, reason) in [
        (
            visits,
            "length: 3}\n            length_of_stay: clear",
            "length: 2}\n            length_of_stay: clear",
            "other columns or masks",
        ),
        (
            visits,
            "rows: payer = agreement.organisation",
            "rows: payer = agreement.organisation AND cost < 1000",
            "other rows",
        ),
        (
            VISITS,
            "profile: insurer",
            "profile: research",
            "other profiles",
        ),
        (
            VISITS,
            "purpose: fraud-analytics",
            "purpose: research",
            "it serves `research`",
        ),
    ] {
        ends(patient(), reason, async |host| {
            host.world.edit(file, from, into);
            host.reload().await;
        })
        .await;
    }
}

#[tokio::test]
async fn inv_17_a_stream_ends_with_its_session() {
    let world = with_session("{ttl: 8h, max: 8h}");
    ends(world, "session", async |host| to(host, "02T20:00:00")).await;
}

#[tokio::test]
async fn inv_17_a_stream_ends_with_its_account_or_what_the_account_is() {
    let (_host, mut ivan) = ends(patient(), "the account is gone", async |host| {
        with_accounts(host, "id: ivan,", "id: ivo,").await;
    })
    .await;
    let status = ivan.client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let fraud = |clearance: u8| {
        let account =
            "org: harbor, groups: [fraud], roles: [], kind: human, attributes: {clearance: ";
        format!("id: ivan, {account}{clearance}")
    };
    ends(
        patient(),
        "`harbor-visits` does not match any more: `who`",
        async |host| {
            // More is no reason to end, less is.
            with_accounts(host, &fraud(2), &fraud(3)).await;
            assert_eq!(*host.engine().working().borrow(), 2);
            with_accounts(host, &fraud(3), &fraud(1)).await;
        },
    )
    .await;
}

/// The session that signed in for an account.
fn session_of(world: &Scratch, principal: &str) -> String {
    let signed_in = entries(world, "signed_in");
    let of = signed_in
        .iter()
        .find(|entry| entry["principal"] == principal);
    of.unwrap()["session"].as_str().unwrap().to_owned()
}

const SCOPES: [(RevocationScope, &str); 4] = [
    (RevocationScope::Principal, "ivan"),
    (RevocationScope::Organisation, "harbor"),
    (RevocationScope::Agreement, "harbor-visits"),
    (RevocationScope::Session, ""),
];

/// What is to be revoked; the session is Ivan's first.
fn taken(host: &Hosted, (scope, id): (RevocationScope, &str)) -> AccessChange {
    match scope {
        RevocationScope::Session => change(scope, &session_of(&host.world, "ivan")),
        RevocationScope::Principal | RevocationScope::Organisation | RevocationScope::Agreement => {
            change(scope, id)
        }
    }
}

#[tokio::test]
async fn inv_17_revoking_ends_what_runs_at_once() {
    for scope in SCOPES {
        let agreement = scope.0 == RevocationScope::Agreement;
        let reason = if agreement {
            "it was revoked at 2026-03-02T13:00:00Z"
        } else {
            "the pilot is over"
        };
        let (host, mut ivan) = ends(patient(), reason, async |host| {
            let done = host.running().revoke(&taken(host, scope)).await.unwrap();
            assert_eq!((done.streams, done.already), (1, false));
            // Already when it returns.
            assert_eq!(*host.running().streams().borrow(), 2);
            let again = host.running().revoke(&taken(host, scope)).await.unwrap();
            assert_eq!((again.streams, again.already), (0, true));
        })
        .await;
        let status = ivan.client.query(MANY).await.unwrap_err();
        let expected = if agreement {
            (Code::NotFound, "name-not-found")
        } else {
            (Code::PermissionDenied, "revoked")
        };
        assert_eq!((status.code(), code(&status)), expected);
        assert!(!status.message().contains("pilot"), "{status:?}");
        let recorded = entries(&host.world, "revoked");
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0]["reason"], "the pilot is over");
        assert_eq!(recorded[0]["by"], "owner");
    }
}

fn row(text: &str) -> RecordBatch {
    let column: ArrayRef = std::sync::Arc::new(StringArray::from(vec![text]));
    RecordBatch::try_from_iter([("$1", column)]).unwrap()
}

/// Everything that a client can hold that names a result.
struct Held {
    info: FlightInfo,
    prepared: Bytes,
    bound: Bytes,
}

impl Held {
    async fn by(client: &mut Client) -> Self {
        let sql = "SELECT visit_id FROM care.visits WHERE ward = $1";
        let unbound = client.handle(sql).await;
        Self {
            info: client
                .info(&statement("SELECT visit_id FROM care.visits"))
                .await
                .unwrap(),
            prepared: client.handle("SELECT visit_id FROM care.visits").await,
            bound: client.bind(unbound, row("Sunroom")).await.unwrap(),
        }
    }

    /// What becomes of each: the ticket, and the statements announced and fetched by their handle.
    async fn used(&self, client: &mut Client) -> Vec<Result<(), Status>> {
        let mut answers = vec![client.get(ticket(&self.info)).await.map(drop)];
        for handle in [&self.prepared, &self.bound] {
            let command = CommandPreparedStatementQuery {
                prepared_statement_handle: handle.clone(),
            };
            answers.push(client.info(&command).await.map(drop));
            let command = arrow_flight::Ticket::new(crate::client::packed(&command));
            answers.push(client.get(command).await.map(drop));
        }
        answers
    }
}

#[tokio::test]
async fn inv_12_nothing_that_was_issued_before_works_after_a_revocation_or_a_restart() {
    for scope in SCOPES {
        let host = Hosted::demo().await;
        let mut ivan = Client::persona(host.address(), "ivan").await;
        let mut nora = Client::persona(host.address(), "nora").await;
        let (held, others) = (Held::by(&mut ivan).await, Held::by(&mut nora).await);
        for answer in held.used(&mut ivan).await {
            answer.unwrap();
        }
        let taken = taken(&host, scope);
        host.running().revoke(&taken).await.unwrap();
        let refuses = async |ivan: &mut Client, nora: &mut Client| {
            let mut codes = Vec::new();
            for answer in held.used(ivan).await {
                codes.push(code(&answer.unwrap_err()).to_owned());
            }
            let expected = match scope.0 {
                // The ticket was announced, and so may be told to have ended.
                RevocationScope::Agreement => {
                    let mut codes = vec!["name-not-found"; 5];
                    codes[0] = "revoked";
                    codes
                }
                _ => vec!["revoked"; 5],
            };
            assert_eq!(codes, expected, "{scope:?}");
            for answer in others.used(nora).await {
                answer.unwrap();
            }
        };
        refuses(&mut ivan, &mut nora).await;
        // A restart forgets nothing.
        let tokens = (ivan.token.clone(), nora.token.clone());
        let headers = (ivan.headers.clone(), nora.headers.clone());
        let host = Hosted::start(host.stop().await).await;
        let mut ivan = Client::connect(host.address()).await;
        (ivan.token, ivan.headers) = (tokens.0, headers.0);
        let mut nora = Client::connect(host.address()).await;
        (nora.token, nora.headers) = (tokens.1, headers.1);
        let in_force: Vec<_> = host.running().revocations().in_force().cloned().collect();
        assert_eq!(in_force.len(), 1);
        assert_eq!(
            (in_force[0].scope, &in_force[0].id),
            (taken.scope, &taken.id)
        );
        refuses(&mut ivan, &mut nora).await;
        // Whoever may sign in does so, and sees what is left.
        let mut fresh = Client::connect(host.address()).await;
        let signed_in = fresh.sign_in("ivan", PASSWORD).await;
        let may = matches!(
            scope.0,
            RevocationScope::Agreement | RevocationScope::Session
        );
        assert_eq!(signed_in.is_ok(), may, "{signed_in:?}");
        if let Err(status) = signed_in {
            assert_eq!(
                (status.code(), code(&status)),
                (Code::PermissionDenied, "revoked")
            );
        }
        given_again(host, &taken).await;
    }
}

/// What was taken back can be given again, but for a session, and stays so.
async fn given_again(host: Hosted, taken: &AccessChange) {
    let given = host.running().reinstate(taken).await;
    if taken.scope == RevocationScope::Session {
        assert!(
            matches!(given, Err(RevokeError::SessionIsOver)),
            "{given:?}"
        );
        return;
    }
    assert_eq!(given.unwrap().id, taken.id);
    let again = host.running().reinstate(taken).await;
    assert!(
        matches!(again, Err(RevokeError::NotRevoked { .. })),
        "{again:?}"
    );
    let host = Hosted::start(host.stop().await).await;
    assert_eq!(host.running().revocations().in_force().count(), 0);
    host.clock.advance(TimeDelta::seconds(1));
    let mut ivan = Client::persona(host.address(), "ivan").await;
    ivan.query("SELECT visit_id FROM care.visits")
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_revoked() {
    let host = Hosted::demo().await;
    for (scope, id, said) in [
        (RevocationScope::Principal, "ivam", "did you mean `ivan`?"),
        (
            RevocationScope::Organisation,
            "habor",
            "did you mean `harbor`?",
        ),
        (
            RevocationScope::Agreement,
            "harbor-visit",
            "did you mean `harbor-visits`?",
        ),
        (RevocationScope::Session, "ivan", "no id of a session"),
    ] {
        let refused = host.running().revoke(&change(scope, id)).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert!(entries(&host.world, "revoked").is_empty());
    assert_eq!(host.running().revocations().in_force().count(), 0);
}

#[tokio::test]
async fn a_reload_that_changes_nothing_for_a_stream_does_not_end_it() {
    let host = Hosted::start(patient()).await;
    let mut ivan = Reading::start(&host, "ivan", MANY).await;
    // One whose row filter asks a look-up table, and who may have so many rows.
    let wide = MANY.replace("a.visit_id, b.visit_id", "a.*, b.*");
    let many = format!("{wide} LIMIT 190000");
    let mut rolf = Reading::start(&host, "rolf", &many).await;
    for (file, from, into) in [
        (VISITS, "apiVersion", "# a comment\n\napiVersion"),
        (VISITS, "end: 2099-12-31", "end: 2098-12-31"),
        (
            "policies/agreements/northgate-visits.yaml",
            "status: active",
            "status: suspended",
        ),
        (
            "policies/contracts/patients.odcs.yaml",
            "{mask: zip3}",
            "hidden",
        ),
        (
            "policies/agreements/harbor-claims.yaml",
            "status: active",
            "status: ended",
        ),
    ] {
        host.world.edit(file, from, into);
        host.reload().await;
        to(&host, "02T14:00:00");
        // When this returns, everything has been looked at under the new policies.
        let mut nora = Client::persona(host.address(), "nora").await;
        nora.query("SELECT 1").await.unwrap();
        let sessions = entries(&host.world, "signed_in");
        let session = sessions.last().unwrap()["session"].as_str().unwrap();
        let session = change(RevocationScope::Session, session);
        let done = host.running().revoke(&session).await.unwrap();
        assert_eq!(done.streams, 0, "{file}: {into}");
        assert!(ivan.goes_on().await && rolf.goes_on().await);
    }
    assert_eq!(rolf.finish().await, 190_000);
    assert_eq!(*host.engine().working().borrow(), 1, "Ivan's has no end");
}

#[tokio::test]
async fn inv_17_access_ends_also_when_the_ledger_cannot_be_written() {
    let host = Hosted::demo().await;
    let mut ivan = Reading::start(&host, "ivan", MANY).await;
    let ledger = host.world.path("ledger/ledger.jsonl");
    std::fs::rename(&ledger, host.world.path("ledger/moved")).unwrap();
    let ivans = change(RevocationScope::Principal, "ivan");
    let refused = host.running().revoke(&ivans).await.unwrap_err();
    assert!(
        matches!(refused, RevokeError::NotRecorded(_)),
        "{refused:?}"
    );
    // Whoever asks again is not told that it is done.
    let refused = host.running().revoke(&ivans).await.unwrap_err();
    assert!(
        matches!(refused, RevokeError::NotRecorded(_)),
        "{refused:?}"
    );
    ivan.ends_revoked().await;
    let status = ivan.client.query("SELECT 1").await.unwrap_err();
    assert_eq!(code(&status), "revoked");
    // Giving again is not done by half, either.
    let refused = host.running().reinstate(&ivans).await.unwrap_err();
    assert!(matches!(refused, RevokeError::Ledger(_)), "{refused:?}");
    assert_eq!(host.running().revocations().in_force().count(), 1);
}
