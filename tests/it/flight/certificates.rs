//! Clients that show certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};
use scrim::demo::world::PASSWORD;
use scrim_server::{Server, StartError};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::{Code, Request, Status};

use super::renewal::entries;
use super::tls::{CERTIFICATE, with_tls};
use crate::cli::scrim;
use crate::cli::serve::Serving;
use crate::client::{Client, basic, code, is_clean};
use crate::kit::{Hosted, Scratch, TestClock};

/// One who issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
struct Identity {
    pem: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = named("the clients' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn issue(&self, mut params: CertificateParams) -> Identity {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        Identity {
            pem: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Northgate");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

fn spiffe(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

/// The demo world behind TLS, with certificates for Nora and Ivan.
fn world(authority: &Authority, auth: &str) -> Scratch {
    let world = with_tls();
    world.write("clients.pem", &authority.pem);
    world.edit(
        "scrim.yaml",
        "key: server.key}",
        &format!("key: server.key, client_ca: clients.pem, client_auth: {auth}}}"),
    );
    world.edit(
        "scrim.yaml",
        "  session: {ttl: 8h}\n",
        "  session: {ttl: 8h}
  certificates:
    - {subject: 'CN=Nora,O=Northgate', account: nora}
    - {san: 'spiffe://harbor.example/ivan', account: ivan}
",
    );
    world
}

async fn connect(address: SocketAddr, identity: &Identity) -> Client {
    let identity = (&identity.pem[..], &identity.key[..]);
    let client = Client::connect_mutual_tls(address, CERTIFICATE, identity).await;
    let mut client = client.unwrap();
    client
        .headers
        .push(("x-scrim-purpose", "operations".to_owned()));
    client
}

async fn whoami(client: &mut Client) -> Result<usize, Status> {
    let answer = client.query("SELECT count(*) FROM care.visits").await?;
    Ok(answer.batch().num_rows())
}

#[tokio::test]
async fn a_certificate_is_enough() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "required")).await;
    let nora = authority.issue(named("Nora"));
    let mut client = connect(host.address(), &nora).await;
    for _ in 0..3 {
        whoami(&mut client).await.unwrap();
    }
    // many at once over one connection are still in one session
    let calls = (0..8).map(|_| {
        let mut client = client.clone();
        async move { whoami(&mut client).await }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    let ivan = authority.issue(spiffe("spiffe://harbor.example/ivan"));
    let mut other = connect(host.address(), &ivan).await;
    other.headers = vec![("x-scrim-purpose", "fraud-analytics".to_owned())];
    other
        .query("SELECT count(*) FROM care.visits")
        .await
        .unwrap();
    drop((client, other));
    let world = host.stop().await;
    let signed_in = entries(&world, "signed_in");
    let who: Vec<_> = signed_in
        .iter()
        .map(|entry| entry["principal"].as_str().unwrap())
        .collect();
    assert_eq!(who, ["nora", "ivan"]);
    for entry in &signed_in {
        assert_eq!(entry["certificate"].as_str().unwrap().len(), 64, "{entry}");
        assert_eq!(entry["address"], "127.0.0.1");
    }
    let records = world.records();
    assert!(records.iter().any(|record| record.principal == "nora"));
    assert!(records.iter().any(|record| record.principal == "ivan"));
}

#[tokio::test]
async fn a_connection_has_one_session_until_it_closes_it() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "required")).await;
    let nora = authority.issue(named("Nora"));
    let mut client = connect(host.address(), &nora).await;
    let mut beside = connect(host.address(), &nora).await;
    for client in [&mut client, &mut beside] {
        client.headers.clear();
    }
    // a purpose for which nothing is shown
    client
        .query("SET scrim.purpose = 'sightseeing'")
        .await
        .unwrap();
    whoami(&mut client).await.unwrap_err();
    let handle = client
        .prepare("SELECT 1")
        .await
        .unwrap()
        .prepared_statement_handle;
    // what one connection sets is not for another
    whoami(&mut beside).await.unwrap();
    assert!(beside.close_prepared(handle.clone()).await.is_err());
    client.action("CloseSession", Bytes::new()).await.unwrap();
    whoami(&mut client).await.unwrap();
    assert_eq!(
        code(&client.close_prepared(handle).await.unwrap_err()),
        "ticket-invalid"
    );
    drop((client, beside));
    let world = host.stop().await;
    assert_eq!(entries(&world, "signed_in").len(), 3);
    assert_eq!(entries(&world, "session_closed").len(), 1);
}

#[tokio::test]
async fn a_connections_session_is_renewed_without_tokens() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "required")).await;
    let mut client = connect(host.address(), &authority.issue(named("Nora"))).await;
    let handle = client
        .prepare("SELECT 1")
        .await
        .unwrap()
        .prepared_statement_handle;
    for _ in 0..3 {
        host.clock.advance(TimeDelta::hours(7));
        let answer = client.query("SELECT 1").await.unwrap();
        assert!(answer.headers.get("authorization").is_none());
    }
    client.close_prepared(handle).await.unwrap();
    // after its longest life comes the next one
    host.clock.advance(TimeDelta::hours(7));
    client.query("SELECT 1").await.unwrap();
    drop(client);
    let world = host.stop().await;
    assert_eq!(entries(&world, "signed_in").len(), 2);
    assert_eq!(entries(&world, "session_renewed").len(), 3);
}

#[tokio::test]
async fn a_handshake_with_a_certificate_gives_a_token() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "optional")).await;
    let mut client = connect(host.address(), &authority.issue(named("Nora"))).await;
    let request = Request::new(futures::stream::empty());
    let answer = client.inner.handshake(request).await.unwrap();
    let header = answer.metadata().get("authorization").unwrap();
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    client.token = Some(token.to_owned());
    whoami(&mut client).await.unwrap();
    let again = client.handshake(&format!("Bearer {token}")).await.unwrap();
    // it is a token like any other
    let mut plain = Client::connect_tls(host.address(), CERTIFICATE)
        .await
        .unwrap();
    plain.token = Some(again);
    plain.query("SELECT 1").await.unwrap();
    plain.token = None;
    let status = plain.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn credentials_of_another_account_are_refused_beside_a_certificate() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "optional")).await;
    let mut plain = Client::connect_tls(host.address(), CERTIFICATE)
        .await
        .unwrap();
    plain.sign_in("ivan", PASSWORD).await.unwrap();
    let ivans = plain.token.unwrap();
    let mut client = connect(host.address(), &authority.issue(named("Nora"))).await;
    client.token = Some(ivans.clone());
    let by_token = whoami(&mut client).await.unwrap_err();
    let by_handshake = client.handshake(&format!("Bearer {ivans}")).await;
    let by_password = client.handshake(&basic("ivan", PASSWORD, true)).await;
    let by_guess = client.handshake(&basic("ivan", "guess", true)).await;
    for status in [
        by_token,
        by_handshake.unwrap_err(),
        by_password.unwrap_err(),
        by_guess.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains("another account"), "{status:?}");
        is_clean(&status);
    }
    // nonsense is no way to fall back on the certificate
    client.token = Some("None".to_owned());
    assert!(whoami(&mut client).await.is_err());
    client.sign_in("nora", PASSWORD).await.unwrap();
    whoami(&mut client).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_nobody_is_named_and_takes_credentials() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "required")).await;
    let mut client = connect(host.address(), &authority.issue(named("Mallory"))).await;
    let shaken = client
        .inner
        .handshake(Request::new(futures::stream::empty()));
    for status in [
        shaken.await.err().unwrap(),
        whoami(&mut client).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unauthenticated);
        let message = status.message();
        assert!(message.contains("`CN=Mallory,O=Northgate`"), "{message}");
        assert!(message.contains("password"), "{message}");
        is_clean(&status);
    }
    client.sign_in("nora", PASSWORD).await.unwrap();
    whoami(&mut client).await.unwrap();
}

#[tokio::test]
async fn a_certificate_ends_with_its_time_and_so_does_its_session() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "optional")).await;
    let mut client = connect(host.address(), &authority.issue(named("Nora"))).await;
    let end = "2090-01-01T00:00:00Z".parse().unwrap();
    host.clock.set(end - TimeDelta::hours(1));
    let request = Request::new(futures::stream::empty());
    let answer = client.inner.handshake(request).await.unwrap();
    let header = answer.metadata().get("authorization").unwrap();
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let mut plain = Client::connect_tls(host.address(), CERTIFICATE)
        .await
        .unwrap();
    plain.token = Some(token.to_owned());
    client.query("SELECT 1").await.unwrap();
    plain.query("SELECT 1").await.unwrap();
    host.clock.set(end);
    let status = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("not valid now"), "{status:?}");
    let status = plain.query("SELECT 1").await.unwrap_err();
    assert_eq!(code(&status), "session-ended");
}

#[tokio::test]
async fn strangers_do_not_get_past_the_transport() {
    let authority = Authority::new();
    let host = Hosted::start(world(&authority, "required")).await;
    let none = Client::connect_tls(host.address(), CERTIFICATE).await;
    let forged = Authority::new().issue(named("Nora"));
    let forged = (&forged.pem[..], &forged.key[..]);
    let forged = Client::connect_mutual_tls(host.address(), CERTIFICATE, forged).await;
    // some learn it while connecting, the others from the first call
    for mut client in [none, forged].into_iter().flatten() {
        client.sign_in("nora", PASSWORD).await.unwrap_err();
    }
    let world = host.stop().await;
    assert!(entries(&world, "signed_in").is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_certificates_stops_the_start() {
    let authority = Authority::new();
    let scratch = world(&authority, "optional");
    scratch.edit("scrim.yaml", "account: ivan}", "account: ivna}");
    let error = Server::start(scratch.config(), TestClock::noon()).await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("scrim.yaml:"), "{error}");
    assert!(error.contains("there is no account `ivna`"), "{error}");
    assert!(error.contains("did you mean `ivan`?"), "{error}");
    for text in ["garbage", ""] {
        let scratch = world(&authority, "optional");
        scratch.write("clients.pem", text);
        let error = Server::start(scratch.config(), TestClock::noon()).await;
        assert!(matches!(error, Err(StartError::Tls(_))), "{text}");
    }
    let scratch = world(&authority, "optional");
    std::fs::remove_file(scratch.path("clients.pem")).unwrap();
    let error = Server::start(scratch.config(), TestClock::noon()).await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("clients.pem"), "{error}");
}

/// The certificate bears a name and no address, and the operator's stands for no account.
#[test]
fn an_operator_on_the_servers_machine_needs_the_key_file_and_where_it_is_asked_for_a_certificate() {
    let authority = Authority::new();
    let world = world(&authority, "optional");
    let mut params = named("the server");
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::DnsName("data.example.org".try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    world.write("server.pem", &params.self_signed(&key).unwrap().pem());
    world.write("server.key", &key.serialize_pem());
    let operator = authority.issue(named("Olga"));
    world.write("olga.pem", &operator.pem);
    world.write("olga.key", &operator.key);
    let shown = ["--cert", "olga.pem", "--key", "olga.key"];
    let at = |serving: &Serving| serving.url.replace("grpc://", "grpc+tls://");
    let serving = Serving::start(&world);
    let url = at(&serving);
    let status = ["status", "--url", url.as_str()];
    let said = scrim(world.root(), status).good();
    assert!(said.contains("3 served"), "{said}");
    scrim(world.root(), status.iter().chain(&shown)).good();
    // Another server than the configuration's is not taken for it.
    let other = include_str!("../data/test-only-other-certificate.pem");
    world.write("other.pem", other);
    scrim(world.root(), status.iter().chain(&["--ca", "other.pem"])).bad(1);
    serving.stop();
    world.edit(
        "scrim.yaml",
        "client_auth: optional",
        "client_auth: required",
    );
    let serving = Serving::start(&world);
    let url = at(&serving);
    let status = ["status", "--url", url.as_str()];
    let said = scrim(world.root(), status).bad(2);
    assert!(
        said.contains("client_auth: required") && said.contains("--cert"),
        "{said}"
    );
    let half = scrim(world.root(), status.iter().chain(&shown[..2])).bad(2);
    assert!(half.contains("--key"), "{half}");
    let said = scrim(world.root(), status.iter().chain(&shown)).good();
    assert!(said.contains("3 served"), "{said}");
    let revoke = [
        "revoke",
        "--principal",
        "ivan",
        "--reason",
        "why",
        "--url",
        &url,
    ];
    let said = scrim(world.root(), revoke.iter().chain(&shown)).good();
    assert!(said.contains("revoked: principal ivan, at once"), "{said}");
    // Who asks queries shows a certificate, too.
    world.write("password", PASSWORD);
    let server = [
        "--ca",
        "server.pem",
        "--user",
        "nora",
        "--password-file",
        "password",
    ];
    let url = url.replace("127.0.0.1", "localhost");
    let query = ["query", "--url", &url, "SELECT 1"];
    let unnamed = scrim(world.root(), query.iter().chain(&server).chain(&shown)).bad(1);
    assert!(unnamed.contains("cannot reach"), "{unnamed}");
    serving.stop();
    world.write("server.pem", CERTIFICATE);
    world.write("server.key", super::tls::KEY);
    let serving = Serving::start(&world);
    let url = at(&serving).replace("127.0.0.1", "localhost");
    let query = ["query", "--url", &url, "SELECT 1"];
    let nora = authority.issue(named("Nora"));
    world.write("nora.pem", &nora.pem);
    world.write("nora.key", &nora.key);
    let shown = ["--cert", "nora.pem", "--key", "nora.key"];
    scrim(world.root(), query.iter().chain(&server).chain(&shown)).good();
    scrim(world.root(), query.iter().chain(&server)).bad(1);
    serving.stop();
}

/// grpc-go refuses servers that do not settle on HTTP/2 in the TLS handshake.
#[tokio::test]
async fn tls_settles_on_http_2() {
    let host = Hosted::start(with_tls()).await;
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    for (offered, expected) in [
        (&["h2"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], None),
    ] {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let socket = tokio::net::TcpStream::connect(host.address())
            .await
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let settled = stream.await.ok().and_then(|stream| {
            let (_, session) = stream.get_ref();
            session.alpn_protocol().map(<[u8]>::to_vec)
        });
        assert_eq!(settled.as_deref(), expected, "{offered:?}");
    }
}
