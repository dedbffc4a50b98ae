//! With a certificate, and that nothing travels in the clear without one.

use scrim_server::{Server, StartError};
use tonic::Code;

use crate::client::Client;
use crate::kit::{Hosted, Scratch, TestClock};

/// For tests only, and good for a hundred years; see the files' own names.
pub(super) const CERTIFICATE: &str = include_str!("../data/test-only-certificate.pem");
pub(super) const KEY: &str = include_str!("../data/test-only-private-key.pem");

pub(super) fn with_tls() -> Scratch {
    let world = Scratch::demo();
    world.write("server.pem", CERTIFICATE);
    world.write("server.key", KEY);
    world.edit(
        "scrim.yaml",
        "policies: policies",
        "tls: {cert: server.pem, key: server.key}\npolicies: policies",
    );
    world
}

#[tokio::test]
async fn everything_works_over_tls_and_nothing_beside_it() {
    let host = Hosted::start(with_tls()).await;
    let mut client = Client::connect_tls(host.address(), CERTIFICATE)
        .await
        .unwrap();
    client
        .sign_in("nora", scrim::demo::world::PASSWORD)
        .await
        .unwrap();
    let rows = client
        .query("SELECT ward FROM care.patients WHERE ward = 'Sunroom'")
        .await
        .unwrap();
    assert_eq!(rows.batch().num_rows(), 1);
    // the address is known behind TLS, too: visits are shown to this machine only
    client
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap();
    let mut plain = Client::connect(host.address()).await;
    let status = plain
        .sign_in("nora", scrim::demo::world::PASSWORD)
        .await
        .unwrap_err();
    assert_ne!(status.code(), Code::Ok);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_no_certificate() {
    let host = Hosted::start(with_tls()).await;
    let other = include_str!("../data/test-only-other-certificate.pem");
    assert!(Client::connect_tls(host.address(), other).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start() {
    for (path, text) in [
        ("server.pem", "garbage"),
        ("server.key", "garbage"),
        ("server.key", ""),
    ] {
        let world = with_tls();
        world.write(path, text);
        let error = Server::start(world.config(), TestClock::noon()).await.err();
        assert!(
            matches!(error, Some(StartError::Tls(_))),
            "{path}: {error:?}"
        );
    }
    let world = with_tls();
    std::fs::remove_file(world.path("server.key")).unwrap();
    let error = Server::start(world.config(), TestClock::noon())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("server.key"), "{error}");
}

#[tokio::test]
async fn plaintext_stays_on_this_machine_unless_told_otherwise() {
    let world = Scratch::demo();
    world.edit("scrim.yaml", "127.0.0.1:0", "0.0.0.0:0");
    let text = std::fs::read_to_string(world.path("scrim.yaml")).unwrap();
    let file = scrim_document::SourceFile::new("scrim.yaml", text);
    let problems = scrim_server::Config::parse(&file, world.root())
        .unwrap_err()
        .to_string();
    assert!(problems.contains("scrim.yaml:2:"), "{problems}");
    assert!(problems.contains("unencrypted"), "{problems}");
    assert!(
        problems.contains("allow_plaintext_beyond_loopback"),
        "{problems}"
    );
    world.edit(
        "scrim.yaml",
        "0.0.0.0:0\"}",
        "0.0.0.0:0\", allow_plaintext_beyond_loopback: true}",
    );
    let mut config = world.config();
    Server::start(config.clone(), TestClock::noon())
        .await
        .unwrap();
    // a configuration that was put together by hand is no way around
    config.listen.allow_plaintext_beyond_loopback = false;
    let error = Server::start(config, TestClock::noon()).await.err();
    assert!(matches!(error, Some(StartError::Plaintext(_))), "{error:?}");
}
