//! Handshakes, tokens, and that nothing answers without one.

use std::collections::BTreeSet;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket,
};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};
use scrim::demo::world::PASSWORD;
use scrim_identity::hash_password;
use scrim_model::Secret;
use tonic::body::Body;
use tonic::codegen::{Service as _, http};
use tonic::{Code, Request, Status};

use crate::client::{Client, basic, code, is_clean, packed, statement};
use crate::kit::{Hosted, Scratch};

/// The demo world with one more account: an awkward password.
async fn with_awkward_password(password: &str) -> Hosted {
    let world = Scratch::demo();
    let hash = hash_password(&Secret::new(password.to_owned())).unwrap();
    world.edit(
        "accounts.yaml",
        "accounts:\n",
        &format!(
            "accounts:\n  - {{id: odd, org: northgate, groups: [analyst], roles: [], kind: human, \
             password_hash: \"{hash}\"}}\n"
        ),
    );
    Hosted::start(world).await
}

#[tokio::test]
async fn every_form_of_handshake_that_drivers_use() {
    let host = with_awkward_password("a:b::ç 12").await;
    let mut client = Client::connect(host.address()).await;
    for padded in [true, false] {
        for (user, password) in [("nora", PASSWORD), ("odd", "a:b::ç 12")] {
            let token = client
                .handshake(&basic(user, password, padded))
                .await
                .unwrap();
            // JDBC shakes hands with a token, too, and fails when that fails
            let again = client.handshake(&format!("Bearer {token}")).await.unwrap();
            client.token = Some(again);
            client.query("SELECT 1").await.unwrap();
        }
    }
    for (basics, bearers) in [
        ("basic", "bearer"),
        ("BASIC", "BEARER"),
        ("bAsIc", "bEaReR"),
    ] {
        let header = basic("nora", PASSWORD, true).replace("Basic", basics);
        let token = client.handshake(&header).await.unwrap();
        let header = format!("{bearers} {token}");
        client.handshake(&header).await.unwrap();
        client.token = None;
        client.headers = vec![("authorization", header)];
        client.query("SELECT 1").await.unwrap();
    }
}

#[tokio::test]
async fn a_handshake_is_answered_whatever_its_stream_holds() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let payload = HandshakeRequest {
        protocol_version: 7,
        payload: Bytes::from_static(b"nobody:nothing"),
    };
    let empty = HandshakeRequest::default;
    let nothing = || futures::stream::empty().boxed();
    // drivers that wait for the answer before they say anything, or before they close their side
    let silent = || futures::stream::pending().boxed();
    let waiting = || futures::stream::iter([empty()]).chain(silent()).boxed();
    let basic = basic("nora", PASSWORD, false);
    let mut authorization = basic.clone();
    for stream in [
        nothing(),
        futures::stream::iter([empty()]).boxed(),
        futures::stream::iter([payload]).boxed(),
        silent(),
        waiting(),
    ] {
        let mut request = Request::new(stream);
        let headers = request.metadata_mut();
        headers.insert("authorization", authorization.parse().unwrap());
        // ODBC sends this one, empty
        headers.insert_bin(
            "auth-token-bin",
            tonic::metadata::BinaryMetadataValue::from_bytes(b""),
        );
        let response = client.inner.handshake(request).await.unwrap();
        let header = response.metadata().get("authorization").unwrap();
        let token = header.to_str().unwrap().to_owned();
        let answer = response.into_inner().message().await.unwrap().unwrap();
        assert_eq!(
            token,
            format!("Bearer {}", String::from_utf8_lossy(&answer.payload))
        );
        // with a token first, then without
        authorization = if authorization == basic {
            token
        } else {
            basic.clone()
        };
    }
}

/// DBeaver without a password shakes no hands and asks at once.
#[tokio::test]
async fn who_brings_nothing_is_told_what_to_bring() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let by_call = client.query("SELECT 1").await.unwrap_err();
    let by_handshake = client.inner.handshake(futures::stream::empty()).await;
    for status in [by_call, by_handshake.err().unwrap()] {
        assert_eq!(status.code(), Code::Unauthenticated);
        for word in [
            "account",
            "password",
            "DBeaver",
            "ADBC",
            "authorization: Bearer",
        ] {
            assert!(status.message().contains(word), "{word}: {status:?}");
        }
        is_clean(&status);
    }
}

/// A method that the service does not have is behind the door like all others.
#[tokio::test]
async fn unknown_methods_need_a_session_too() {
    let host = Hosted::demo().await;
    let token = Client::persona(host.address(), "nora").await.token.unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", host.address()));
    let mut channel = endpoint.unwrap().connect().await.unwrap();
    let bearer = format!("Bearer {token}");
    for (authorization, expected) in [
        (vec![], Code::Unauthenticated),
        (vec!["Bearer x"], Code::Unauthenticated),
        (vec![&bearer[..], &bearer], Code::Unauthenticated),
        (vec![&bearer[..]], Code::Unimplemented),
    ] {
        let path = "/arrow.flight.protocol.FlightService/NoSuchMethod";
        let mut request = http::Request::post(format!("http://{}{path}", host.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for value in &authorization {
            request = request.header("authorization", *value);
        }
        std::future::poll_fn(|cx| channel.poll_ready(cx))
            .await
            .unwrap();
        let response = channel
            .call(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), expected, "{authorization:?}");
    }
}

#[tokio::test]
async fn the_ready_made_client_signs_in_and_asks() {
    let host = Hosted::demo().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", host.address()));
    let mut client = FlightSqlServiceClient::new(channel.unwrap().connect().await.unwrap());
    let token = client.handshake("nora", PASSWORD).await.unwrap();
    assert!(!token.is_empty());
    let info = client.execute(
        "SELECT ward FROM care.patients WHERE ward = 'Sunroom'".into(),
        None,
    );
    let ticket = info.await.unwrap().endpoint[0].ticket.clone().unwrap();
    let batches: Vec<_> = client
        .do_get(ticket)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        batches
            .iter()
            .map(arrow::array::RecordBatch::num_rows)
            .sum::<usize>(),
        1
    );
}

#[tokio::test]
async fn wrong_credentials_get_one_and_the_same_answer() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let mut answers = BTreeSet::new();
    let wrong = [
        ("nora", "wrong"),
        ("nobody", "wrong"),
        ("ivan", ""),
        ("", "demo"),
        ("rhea", "demo2"),
        ("rolf", "dem"),
    ];
    for (user, password) in wrong {
        let status = client
            .handshake(&basic(user, password, true))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{user}");
        is_clean(&status);
        answers.insert(status.message().to_owned());
    }
    assert_eq!(
        answers.len(),
        1,
        "an answer tells which accounts exist: {answers:?}"
    );
}

#[tokio::test]
async fn malformed_credentials_are_never_internal_errors() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let long = format!("Bearer {}", "a".repeat(16_000));
    for authorization in [
        "",
        "Basic",
        "Basic !!!!",
        "Basic bm9yYQ==",
        "Basic /w==",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Digest realm",
        "Bearer None",
        "nora:demo",
        &long,
    ] {
        let status = client.handshake(authorization).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{authorization:.20}");
        is_clean(&status);
    }
    let empty = client
        .inner
        .handshake(futures::stream::empty())
        .await
        .err()
        .unwrap();
    assert_eq!(empty.code(), Code::Unauthenticated);
    // whoever forgot to sign in is told how
    assert!(empty.message().contains("authorization"), "{empty:?}");
}

#[tokio::test]
async fn failed_log_ins_are_throttled_by_account_and_time() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let mut throttled = None;
    for _ in 0..64 {
        let status = client
            .handshake(&basic("nora", "wrong", true))
            .await
            .unwrap_err();
        if code(&status) == "throttled" {
            throttled = Some(status);
            break;
        }
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let status = throttled.expect("nobody may guess without end");
    assert_eq!(status.code(), Code::ResourceExhausted);
    // not even the right password opens now, or guessing would tell when it is right
    let right = client
        .handshake(&basic("nora", PASSWORD, true))
        .await
        .unwrap_err();
    assert_eq!(code(&right), "throttled");
    host.clock.advance(TimeDelta::hours(2));
    client
        .handshake(&basic("nora", PASSWORD, true))
        .await
        .unwrap();
}

/// Calls every method of the service, and gives what each said.
async fn every_call(client: &mut Client) -> Vec<(&'static str, Option<Status>)> {
    let descriptor = FlightDescriptor::new_cmd(packed(&statement("SELECT 1")));
    let ticket = Ticket::new("garbage");
    let action = Action {
        r#type: "CloseSession".to_owned(),
        ..Action::default()
    };
    let other = Action {
        r#type: "NoSuchAction".to_owned(),
        ..Action::default()
    };
    let data = || futures::stream::iter([FlightData::default()]);
    let mut said = Vec::new();
    let mut flight: FlightServiceClient<_> = client.inner.clone();
    macro_rules! call {
        ($method:ident, $message:expr) => {
            let request: Request<_> = client.request($message);
            said.push((stringify!($method), flight.$method(request).await.err()));
        };
    }
    call!(list_flights, Criteria::default());
    call!(get_flight_info, descriptor.clone());
    call!(poll_flight_info, descriptor.clone());
    call!(get_schema, descriptor);
    call!(do_get, ticket);
    call!(do_put, data());
    call!(do_exchange, data());
    call!(list_actions, Empty::default());
    call!(do_action, other);
    call!(do_action, action);
    said
}

#[tokio::test]
async fn without_a_good_token_every_method_says_unauthenticated() {
    let host = Hosted::demo().await;
    let mut client = Client::connect(host.address()).await;
    let good = client
        .handshake(&basic("nora", PASSWORD, true))
        .await
        .unwrap();
    let mut flipped = good.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let tokens = [
        None,
        Some(String::new()),
        Some("x".to_owned()),
        Some(good[..good.len() - 1].to_owned()),
        Some(flipped),
    ];
    for token in tokens {
        client.token.clone_from(&token);
        for (method, status) in every_call(&mut client).await {
            let status = status.unwrap_or_else(|| panic!("{method} answered {token:?}"));
            assert_eq!(
                status.code(),
                Code::Unauthenticated,
                "{method} {token:?}: {status:?}"
            );
            is_clean(&status);
        }
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_a_ticket_is_no_token() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let ticket = client.ticket("SELECT 1").await;
    let token = client.token.clone();
    client.token =
        Some(String::from_utf8_lossy(&ticket.ticket).replace(|c: char| !c.is_ascii_graphic(), ""));
    assert_eq!(
        client.query("SELECT 1").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    client.token = token;
    client.query("SELECT 1").await.unwrap();
    host.clock.advance(TimeDelta::hours(9));
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        ["session-ended", "unauthenticated"].contains(&code(&status)),
        "{status:?}"
    );
}

#[tokio::test]
async fn spoofed_addresses_change_nothing() {
    let host = Hosted::demo().await;
    // from this machine, visits are shown; a header must not say otherwise, nor the other way round
    let mut client = Client::persona(host.address(), "nora").await;
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-envoy-external-address",
    ] {
        client.headers.push((name, "203.0.113.9".to_owned()));
    }
    client
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap();
    host.world.edit(
        "scrim.yaml",
        "trusted: [127.0.0.0/8, \"::1/128\"]",
        "trusted: [203.0.113.0/24]",
    );
    let host = Hosted::start(host.stop().await).await;
    let mut client = Client::persona(host.address(), "nora").await;
    client
        .headers
        .push(("x-forwarded-for", "203.0.113.9".to_owned()));
    let status = client
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap_err();
    assert_eq!(code(&status), "table-closed");
}
