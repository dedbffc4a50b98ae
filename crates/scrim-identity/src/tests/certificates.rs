//! Certificates that stand for accounts. Issuers are the transport's business, so these sign
//! themselves.

use std::net::SocketAddr;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType, date_time_ymd,
    string::Ia5String,
};

use super::{at, rules, two_accounts};
use crate::{
    Authenticator, CertificateName, CertificateRefusal, Certificates, Certified, KeyFile,
    TokenRefusal,
};

/// A certificate of the year 2026.
fn certificate(subject: &[(DnType, DnValue)], names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    params.subject_alt_names = names;
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn text(text: &str) -> DnValue {
    DnValue::Utf8String(text.to_owned())
}

fn ascii(text: &str) -> Ia5String {
    text.try_into().unwrap()
}

pub(super) fn alice_of_acme() -> Vec<u8> {
    let subject = [
        (DnType::OrganizationName, text("Acme")),
        (DnType::CommonName, text("alice")),
    ];
    certificate(&subject, Vec::new())
}

fn with_names(names: &[(CertificateName, &str)]) -> Authenticator {
    let names = names
        .iter()
        .map(|(name, account)| (name.clone(), (*account).to_owned()));
    let keys = KeyFile::generate(at(0)).unwrap();
    Authenticator::new(two_accounts(), keys.sealer(), rules(3600, 7200), at(0))
        .with_certificates(Certificates::new(names))
}

pub(super) fn standing_for_alice(auth: Authenticator) -> Authenticator {
    let name = (subject("CN=alice,O=Acme"), "alice".to_owned());
    auth.with_certificates(Certificates::new([name]))
}

fn subject(text: &str) -> CertificateName {
    CertificateName::subject(text).unwrap()
}

fn alternative(text: &str) -> CertificateName {
    CertificateName::alternative(text).unwrap()
}

fn account(auth: &Authenticator, der: &[u8]) -> Result<String, CertificateRefusal> {
    let certified = auth.certified(der, at(1))?;
    Ok(certified.account().to_owned())
}

#[test]
fn the_whole_subject_stands_for_an_account() {
    let auth = with_names(&[(subject("CN=alice,O=Acme"), "alice")]);
    assert_eq!(account(&auth, &alice_of_acme()).unwrap(), "alice");
    let printable = |text: &str| DnValue::PrintableString(text.try_into().unwrap());
    let other_encoding = [
        (DnType::OrganizationName, printable("Acme")),
        (DnType::CommonName, printable("alice")),
    ];
    let der = certificate(&other_encoding, Vec::new());
    assert_eq!(account(&auth, &der).unwrap(), "alice");
    for other in [
        vec![(DnType::CommonName, text("alice"))],
        vec![(DnType::CommonName, text("alice,O=Acme"))],
        vec![
            (DnType::CommonName, text("Alice")),
            (DnType::OrganizationName, text("Acme")),
        ],
        vec![
            (DnType::CountryName, text("DE")),
            (DnType::OrganizationName, text("Acme")),
            (DnType::CommonName, text("alice")),
        ],
        vec![
            (DnType::CommonName, text("alice")),
            (DnType::OrganizationName, text("Acme")),
        ],
    ] {
        let refused = account(&auth, &certificate(&other, Vec::new())).unwrap_err();
        assert!(
            matches!(refused, CertificateRefusal::Unmapped(_)),
            "{other:?}"
        );
    }
}

#[test]
fn a_subject_is_read_as_openssl_prints_it() {
    let tricky = [(DnType::CommonName, text("Zoë \"Z\" A+B, C=D #1"))];
    let der = certificate(&tricky, Vec::new());
    let auth = with_names(&[(subject("CN=Zo\\C3\\AB \\\"Z\\\" A\\+B\\, C=D #1"), "bob")]);
    assert_eq!(account(&auth, &der).unwrap(), "bob");
    for wrong in [
        "alice",
        "",
        "CN=alice, O=Acme",
        "=alice",
        "C = DE, CN = alice",
    ] {
        assert!(CertificateName::subject(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn alternative_names_stand_for_accounts() {
    let auth = with_names(&[
        (alternative("spiffe://acme.example/batch"), "alice"),
        (alternative("batch.acme.example"), "bob"),
        (alternative("bob@acme.example"), "bob"),
    ]);
    let of = |names: Vec<SanType>| account(&auth, &certificate(&[], names));
    let uri = |text: &str| SanType::URI(ascii(text));
    let dns = |text: &str| SanType::DnsName(ascii(text));
    let email = |text: &str| SanType::Rfc822Name(ascii(text));
    assert_eq!(
        of(vec![uri("spiffe://acme.example/batch")]).unwrap(),
        "alice"
    );
    assert_eq!(of(vec![dns("Batch.Acme.Example")]).unwrap(), "bob");
    assert_eq!(of(vec![email("bob@acme.example")]).unwrap(), "bob");
    let both = vec![dns("batch.acme.example"), email("bob@acme.example")];
    assert_eq!(of(both).unwrap(), "bob");
    // a name of one kind is none of another
    for other in [
        uri("spiffe://acme.example/batch/2"),
        uri("spiffe://acme.example/Batch"),
        dns("spiffe://acme.example/batch"),
        email("batch.acme.example"),
        dns("*.acme.example"),
        dns("bob@acme.example"),
    ] {
        let refused = of(vec![other]).unwrap_err();
        assert!(matches!(refused, CertificateRefusal::Unmapped(_)));
    }
    let two = vec![
        dns("batch.acme.example"),
        uri("spiffe://acme.example/batch"),
    ];
    assert_eq!(of(two).unwrap_err(), CertificateRefusal::Ambiguous);
}

#[test]
fn what_cannot_be_read_or_is_out_of_time_stands_for_nobody() {
    let auth = with_names(&[(subject("CN=alice,O=Acme"), "alice")]);
    let der = alice_of_acme();
    for garbage in [&b""[..], b"x", &der[..der.len() - 1]] {
        assert_eq!(
            account(&auth, garbage).unwrap_err(),
            CertificateRefusal::Malformed
        );
    }
    let year = 365 * 86_400;
    assert!(auth.certified(&der, at(year - 1)).is_ok());
    assert_eq!(
        auth.certified(&der, at(year)).unwrap_err(),
        CertificateRefusal::OutOfTime
    );
    // a clock that was set back does not bring it back
    let started = KeyFile::generate(at(0)).unwrap();
    let names = Certificates::new([(subject("CN=alice,O=Acme"), "alice".into())]);
    let late = Authenticator::new(two_accounts(), started.sealer(), rules(60, 60), at(year))
        .with_certificates(names);
    assert_eq!(
        late.certified(&der, at(0)).unwrap_err(),
        CertificateRefusal::OutOfTime
    );
}

#[test]
fn who_stands_for_nobody_is_told_under_which_name() {
    let auth = with_names(&[]);
    let refused = account(&auth, &alice_of_acme()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the client certificate `CN=alice,O=Acme` stands for no account of this server"
    );
}

pub(super) fn certified(auth: &Authenticator, der: &[u8]) -> Certified {
    auth.certified(der, at(1)).unwrap()
}

#[test]
fn a_session_ends_no_later_than_its_certificate() {
    let auth = with_names(&[(subject("CN=alice,O=Acme"), "alice")]);
    let year = 365 * 86_400;
    let alice = certified(&auth, &alice_of_acme());
    let early = auth.open_certified(&alice, at(1)).unwrap().session;
    assert_eq!((early.expires, early.ends), (at(3601), at(7201)));
    assert_eq!(early.principal.get().id, "alice");
    assert_eq!(early.principal.get().authenticated_at, Some(at(1)));
    let late = auth.open_certified(&alice, at(year - 60)).unwrap();
    assert_eq!(
        (late.session.expires, late.session.ends),
        (at(year), at(year))
    );
    let token = late.token.expose();
    assert!(auth.verify(token, at(year - 1)).is_ok());
    assert_eq!(
        auth.verify(token, at(year)).unwrap_err(),
        TokenRefusal::Expired
    );
}

#[test]
fn a_token_is_no_better_than_the_certificate_that_opened_it() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let accounts = two_accounts();
    let start = |account: Option<&str>| {
        let names = account.map(|account| (subject("CN=alice,O=Acme"), account.to_owned()));
        Authenticator::new(accounts.clone(), keys.sealer(), rules(100, 250), at(0))
            .with_certificates(Certificates::new(names))
    };
    let auth = start(Some("alice"));
    let alice = certified(&auth, &alice_of_acme());
    let signed_in = auth.open_certified(&alice, at(1)).unwrap();
    let renewal = auth.renewal(&signed_in.session, at(90)).unwrap().unwrap();
    auth.renewed(&renewal.session);
    for token in [signed_in.token.expose(), renewal.token.expose()] {
        auth.verify(token, at(91)).unwrap();
        start(Some("alice")).verify(token, at(91)).unwrap();
        for changed in [None, Some("bob")] {
            assert_eq!(
                start(changed).verify(token, at(91)).unwrap_err(),
                TokenRefusal::Invalid
            );
        }
    }
}

#[test]
fn a_connection_keeps_its_session_until_it_is_closed() {
    let auth = with_names(&[(subject("CN=alice,O=Acme"), "alice")]);
    let alice = certified(&auth, &alice_of_acme());
    let here: SocketAddr = "127.0.0.1:1000".parse().unwrap();
    let there: SocketAddr = "127.0.0.1:1001".parse().unwrap();
    let find = |peer, now| auth.attached(&alice, peer, at(now)).map(|found| found.id);
    assert_eq!(find(here, 1), None);
    let session = auth.open_certified(&alice, at(1)).unwrap().session;
    assert_eq!(find(here, 1), None);
    auth.attach(&session, &alice, here);
    assert_eq!(find(here, 1), Some(session.id));
    assert_eq!(find(there, 1), None);
    // another certificate over the same socket address is another caller
    let renewed = certified(&auth, &alice_of_acme());
    assert!(auth.attached(&renewed, here, at(1)).is_none());
    let renewal = auth.renewal(&session, at(3000)).unwrap().unwrap();
    auth.renewed(&renewal.session);
    assert_eq!(find(here, 3700), Some(session.id));
    assert_eq!(find(here, 6600), None);
    let again = auth.open_certified(&alice, at(6600)).unwrap().session;
    auth.attach(&again, &alice, here);
    auth.close(&again, at(6601));
    assert_eq!(find(here, 6601), None);
}
