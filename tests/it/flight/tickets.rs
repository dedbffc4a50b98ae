//! Tickets: sealed, bound to who asked, and decided again.

use arrow_flight::Ticket;
use arrow_flight::sql::{Any, ProstMessageExt, TicketStatementQuery};
use bytes::Bytes;
use chrono::TimeDelta;
use prost::Message as _;
use tonic::Code;

use crate::client::{Client, code, is_clean, packed, statement};
use crate::kit::Hosted;

/// The sealed text inside a ticket.
fn inner(ticket: &Bytes) -> Bytes {
    let any = Any::decode(ticket.clone()).unwrap();
    any.unpack::<TicketStatementQuery>()
        .unwrap()
        .unwrap()
        .statement_handle
}

fn outer(handle: impl Into<Bytes>) -> Ticket {
    let query = TicketStatementQuery {
        statement_handle: handle.into(),
    };
    Ticket::new(query.as_any().encode_to_vec())
}

#[tokio::test]
async fn inv_12_a_ticket_that_was_touched_opens_nothing() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let good = client
        .ticket("SELECT ward FROM care.patients LIMIT 1")
        .await;
    client.get(good.clone()).await.unwrap();
    let sealed = inner(&good.ticket);
    // every byte counts
    for place in 0..sealed.len() {
        let mut touched = sealed.to_vec();
        touched[place] = if touched[place] == b'A' { b'B' } else { b'A' };
        let status = client.get(outer(touched)).await.unwrap_err();
        assert_eq!(
            (status.code(), code(&status)),
            (Code::InvalidArgument, "ticket-invalid"),
            "{place}"
        );
    }
    for length in [0, 1, sealed.len() / 2, sealed.len() - 1] {
        let status = client.get(outer(sealed.slice(..length))).await.unwrap_err();
        assert_eq!(code(&status), "ticket-invalid", "{length}");
    }
    let longer = [&sealed[..], b"A"].concat();
    assert_eq!(
        code(&client.get(outer(longer)).await.unwrap_err()),
        "ticket-invalid"
    );
}

#[tokio::test]
async fn garbage_is_the_clients_mistake_never_ours() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let token = client.token.clone().unwrap();
    let prepared = client.handle("SELECT 1").await;
    let garbage: Vec<Bytes> = vec![
        Bytes::new(),
        Bytes::from_static(b"garbage"),
        Bytes::from_static(&[0xff; 4096]),
        Bytes::from_static(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        Bytes::from(vec![b'A'; 1 << 20]),
        // sealed by us, for something else
        outer(prepared.clone()).ticket,
        outer(token).ticket,
        prepared,
        packed(&statement("SELECT 1")),
    ];
    for bytes in garbage {
        let status = client.get(Ticket::new(bytes.clone())).await.unwrap_err();
        is_clean(&status);
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "{:.20?}: {status:?}",
            &bytes[..]
        );
    }
}

#[tokio::test]
async fn inv_12_a_ticket_is_its_askers_alone() {
    let host = Hosted::demo().await;
    let mut nora = Client::persona(host.address(), "nora").await;
    let stolen = nora.ticket("SELECT full_name FROM care.patients").await;
    for id in ["ivan", "rolf", "nora"] {
        // another session of the same account is another asker, too
        let mut thief = Client::persona(host.address(), id).await;
        let status = thief.get(stolen.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), code(&status)),
            (Code::PermissionDenied, "ticket-invalid"),
            "{id}"
        );
    }
    let mut nobody = Client::connect(host.address()).await;
    let status = nobody.get(stolen.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    nora.get(stolen).await.unwrap();
}

#[tokio::test]
async fn a_ticket_has_its_time() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let early = client.ticket("SELECT 1").await;
    host.clock.advance(TimeDelta::minutes(59));
    client.get(early.clone()).await.unwrap();
    host.clock.advance(TimeDelta::minutes(2));
    let status = client.get(early).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::FailedPrecondition, "ticket-expired")
    );
    is_clean(&status);
    // it says what to do, and that works
    client.query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn inv_12_a_ticket_is_decided_again_when_it_is_used() {
    let host = Hosted::demo().await;
    let mut batch = Client::connect(host.address()).await;
    // the nightly job's agreement holds at night only
    host.clock.advance(TimeDelta::hours(11));
    batch
        .sign_in("harbor-batch", scrim::demo::world::PASSWORD)
        .await
        .unwrap();
    let early = batch.ticket("SELECT visit_id FROM care.visits").await;
    batch.get(early.clone()).await.unwrap();
    host.clock
        .advance(TimeDelta::hours(6) - TimeDelta::minutes(1));
    let late = batch.ticket("SELECT visit_id FROM care.visits").await;
    batch.get(late.clone()).await.unwrap();
    host.clock.advance(TimeDelta::minutes(1));
    let status = batch.get(late).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::PermissionDenied, "revoked")
    );
}

#[tokio::test]
async fn a_ticket_survives_a_restart_and_a_rotation_but_not_other_keys() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let ticket = client.ticket("SELECT 1").await;
    let token = client.token.clone();
    let world = host.stop().await;
    let now = "2026-03-02T12:00:00Z".parse().unwrap();
    scrim_identity::rotate_key_file(&world.path("keys.json"), now).unwrap();
    let host = Hosted::start(world).await;
    let mut client = Client::connect(host.address()).await;
    client.token.clone_from(&token);
    client.get(ticket.clone()).await.unwrap();
    let world = host.stop().await;
    std::fs::remove_file(world.path("keys.json")).unwrap();
    let fresh = scrim_identity::KeyFile::generate(now).unwrap();
    scrim_identity::write_new_key_file(&world.path("keys.json"), &fresh).unwrap();
    let host = Hosted::start(world).await;
    let mut client = Client::connect(host.address()).await;
    client.token = token;
    let status = client.get(ticket).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}
