//! Tokens that follow one another.

use super::{at, parse, rules, secret, two_accounts};
use crate::{Accounts, Authenticator, KeyFile, Session, SignedIn, TokenRefusal};

/// Tokens of 100 seconds, sessions of 250.
struct Server(KeyFile, Accounts);

impl Server {
    fn new() -> Self {
        Self(KeyFile::generate(at(0)).unwrap(), two_accounts())
    }

    fn start(&self, now: i64) -> Authenticator {
        let Self(keys, accounts) = self;
        Authenticator::new(accounts.clone(), keys.sealer(), rules(100, 250), at(now))
    }
}

fn sign_in(auth: &Authenticator) -> SignedIn {
    let signed_in = auth.login("alice", &secret("wonderland"), None, at(0));
    signed_in.unwrap()
}

/// The next token and the session that it shows.
fn next(auth: &Authenticator, old: &Session, now: i64) -> Option<(String, Session)> {
    let renewal = auth.renewal(old, at(now)).unwrap()?;
    auth.renewed(&renewal.session);
    let token = renewal.token.expose().clone();
    let session = auth.verify(&token, at(now)).unwrap();
    assert_eq!(session.expires, renewal.session.expires);
    Some((token, session))
}

#[test]
fn a_session_is_renewed_in_its_tokens_last_quarter_up_to_its_end() {
    let server = Server::new();
    let auth = server.start(0);
    let first = sign_in(&auth);
    assert!(next(&auth, &first.session, 74).is_none());
    let (second, session) = next(&auth, &first.session, 75).unwrap();
    assert_eq!(
        (session.id, session.issued, session.expires),
        (first.session.id, at(0), at(175))
    );
    assert_eq!(session.principal, first.session.principal);
    // the old token lives out its days, and no longer
    assert!(auth.verify(first.token.expose(), at(99)).is_ok());
    assert_eq!(
        auth.verify(first.token.expose(), at(100)).unwrap_err(),
        TokenRefusal::Expired
    );
    assert!(auth.verify(&second, at(174)).is_ok());
    assert!(next(&auth, &session, 149).is_none());
    let (_, session) = next(&auth, &session, 160).unwrap();
    assert_eq!(session.expires, at(250));
    // that was the last one
    assert!(next(&auth, &session, 249).is_none());
    assert_eq!(auth.expiry(&first.session), Some(at(250)));
}

#[test]
fn each_token_is_followed_by_one_only() {
    let server = Server::new();
    let auth = server.start(0);
    let first = sign_in(&auth).session;
    let renewal = auth.renewal(&first, at(80)).unwrap().unwrap();
    assert!(renewal.is_new);
    // not handed out, since it could not be recorded: the next one is new again
    assert!(auth.renewal(&first, at(81)).unwrap().unwrap().is_new);
    auth.renewed(&renewal.session);
    let again = auth.renewal(&first, at(90)).unwrap().unwrap();
    assert!(!again.is_new);
    assert_eq!(again.session.expires, renewal.session.expires);
    assert!(auth.verify(again.token.expose(), at(90)).is_ok());
}

#[test]
fn an_old_token_comes_too_late() {
    let server = Server::new();
    let auth = server.start(0);
    let first = sign_in(&auth).session;
    assert!(auth.renewal(&first, at(100)).unwrap().is_none());
}

#[test]
fn what_is_closed_is_not_renewed_and_all_its_tokens_are_closed() {
    let server = Server::new();
    let auth = server.start(0);
    let first = sign_in(&auth);
    let (second, session) = next(&auth, &first.session, 80).unwrap();
    auth.close(&first.session, at(81));
    for token in [first.token.expose(), &second] {
        assert_eq!(
            auth.verify(token, at(82)).unwrap_err(),
            TokenRefusal::Closed
        );
    }
    assert!(auth.renewal(&first.session, at(90)).unwrap().is_none());
    assert!(auth.renewal(&session, at(160)).unwrap().is_none());
    auth.renewed(&session);
    assert_eq!(auth.expiry(&session), None);
    // and after a restart, which the ledger tells of it
    let auth = server.start(90);
    auth.close_until(first.session.id, first.session.ends, at(90));
    assert_eq!(
        auth.verify(&second, at(91)).unwrap_err(),
        TokenRefusal::Closed
    );
}

#[test]
fn sessions_of_before_a_restart_are_renewed_too() {
    let server = Server::new();
    let first = sign_in(&server.start(0));
    let auth = server.start(80);
    let session = auth.verify(first.token.expose(), at(81)).unwrap();
    let (second, session) = next(&auth, &session, 81).unwrap();
    assert_eq!(session.expires, at(181));
    auth.close(&session, at(82));
    for token in [first.token.expose(), &second] {
        assert_eq!(
            auth.verify(token, at(83)).unwrap_err(),
            TokenRefusal::Closed
        );
    }
}

#[test]
fn an_account_that_is_gone_gets_nothing() {
    let server = Server::new();
    let first = sign_in(&server.start(0));
    let nobody = parse("accounts: []").unwrap();
    let auth = Server(server.0, nobody).start(0);
    assert!(auth.renewal(&first.session, at(80)).unwrap().is_none());
}
