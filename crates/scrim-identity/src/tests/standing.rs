//! Sessions under accounts that change and access that is taken back.

use std::{net::SocketAddr, sync::Barrier, thread};

use chrono::{DateTime, Utc};
use scrim_model::{Code, Refusal, Revocation, RevocationScope};

use super::certificates::{alice_of_acme, certified, standing_for_alice};
use super::{at, cheap, parse, rules, secret};
use crate::{Accounts, Authenticator, KeyFile, LoginRefusal, SignedIn, TokenRefusal};

struct World {
    alice: String,
    bob: String,
    keys: KeyFile,
}

impl World {
    fn new() -> Self {
        Self {
            alice: cheap("wonderland"),
            bob: cheap("builder"),
            keys: KeyFile::generate(at(0)).unwrap(),
        }
    }

    /// Alice, with what is said of her, and Bob of another organisation.
    fn accounts(&self, alice: &str) -> Accounts {
        let (hash, bob) = (&self.alice, &self.bob);
        let alice = alice.replace("HASH", &format!("password_hash: \"{hash}\""));
        parse(&format!(
            "accounts:\n{alice}  - {{id: bob, org: evil, password_hash: \"{bob}\"}}\n"
        ))
        .unwrap()
    }

    fn usual(&self) -> Accounts {
        self.accounts("  - {id: alice, org: acme, groups: [analyst], HASH}\n")
    }

    fn start(&self, now: i64) -> Authenticator {
        Authenticator::new(self.usual(), self.keys.sealer(), rules(3600, 7200), at(now))
    }
}

fn sign_in(auth: &Authenticator, user: &str, now: i64) -> Result<SignedIn, LoginRefusal> {
    let password = if user == "alice" {
        "wonderland"
    } else {
        "builder"
    };
    auth.login(user, &secret(password), None, at(now))
}

fn revocation(scope: RevocationScope, id: &str, now: i64) -> Revocation {
    Revocation {
        scope,
        id: id.to_owned(),
        reason: "left the firm".to_owned(),
        by: "owner".to_owned(),
        at: at(now),
    }
}

/// What becomes of a token and of the session that it showed.
fn standing(auth: &Authenticator, signed_in: &SignedIn, now: i64) -> Option<TokenRefusal> {
    let verified = auth.verify(signed_in.token.expose(), at(now)).err();
    let current = auth.current(&signed_in.session, at(now)).err();
    assert_eq!(verified, current, "the two ways to ask agree");
    verified
}

#[test]
fn a_session_has_what_its_account_says_now() {
    let world = World::new();
    let auth = world.start(0);
    let alice = sign_in(&auth, "alice", 1).unwrap();
    let changed = "  - {id: alice, org: acme, groups: [boss], attributes: {clearance: 3}, HASH}\n";
    assert!(
        auth.replace_accounts(world.accounts(changed), at(2))
            .is_empty()
    );
    let current = auth.current(&alice.session, at(3)).unwrap();
    let principal = current.principal.get();
    assert_eq!(principal.groups, ["boss"]);
    assert_eq!(principal.authenticated_at, Some(at(1)));
    assert_eq!(
        auth.verify(alice.token.expose(), at(3))
            .unwrap()
            .principal
            .get(),
        principal
    );
}

#[test]
fn sessions_end_with_their_account_or_its_password_and_do_not_come_back() {
    let world = World::new();
    let other = cheap("looking-glass");
    let password = format!("  - {{id: alice, org: acme, password_hash: \"{other}\"}}\n");
    for changed in ["", &password] {
        let (before, auth) = (world.start(0), world.start(0));
        let (own, bob) = (
            sign_in(&auth, "alice", 1).unwrap(),
            sign_in(&auth, "bob", 1).unwrap(),
        );
        let foreign = sign_in(&before, "alice", 1).unwrap();
        auth.verify(foreign.token.expose(), at(2)).unwrap();
        let ended = auth.replace_accounts(world.accounts(changed), at(3));
        let mut ids: Vec<_> = ended.iter().map(|one| one.session).collect();
        let mut expected = [own.session.id, foreign.session.id];
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected);
        assert!(ended.iter().all(|one| one.account == "alice"));
        assert_eq!(standing(&auth, &own, 4), Some(TokenRefusal::Invalid));
        assert_eq!(standing(&auth, &bob, 4), None);
        assert!(matches!(
            sign_in(&auth, "alice", 4),
            Err(LoginRefusal::Wrong)
        ));
        // The old file again: what was closed stays closed.
        auth.replace_accounts(world.usual(), at(5));
        assert_eq!(standing(&auth, &own, 6), Some(TokenRefusal::Closed));
        let token = foreign.token.expose();
        assert_eq!(auth.verify(token, at(6)).unwrap_err(), TokenRefusal::Closed);
        sign_in(&auth, "alice", 6).unwrap();
    }
}

#[test]
fn no_renewal_outlives_a_changed_password() {
    let world = World::new();
    let auth = world.start(0);
    let alice = sign_in(&auth, "alice", 0).unwrap();
    assert!(auth.renewal(&alice.session, at(3000)).unwrap().is_some());
    let other = cheap("looking-glass");
    let changed = format!("  - {{id: alice, org: acme, password_hash: \"{other}\"}}\n");
    auth.replace_accounts(world.accounts(&changed), at(3000));
    assert!(auth.renewal(&alice.session, at(3000)).unwrap().is_none());
}

#[test]
fn a_proven_password_is_proven_of_the_accounts_that_were() {
    let world = World::new();
    let auth = world.start(0);
    sign_in(&auth, "alice", 1).unwrap();
    let accounts = world.usual();
    let runs = std::sync::Arc::clone(&accounts.runs);
    auth.replace_accounts(accounts, at(2));
    sign_in(&auth, "alice", 3).unwrap();
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn who_is_revoked_neither_signs_in_nor_goes_on_and_others_do() {
    let world = World::new();
    for (scope, id) in [
        (RevocationScope::Principal, "alice"),
        (RevocationScope::Organisation, "acme"),
    ] {
        let auth = world.start(0);
        let (alice, bob) = (
            sign_in(&auth, "alice", 1).unwrap(),
            sign_in(&auth, "bob", 1).unwrap(),
        );
        let ended = auth.revoke(revocation(scope, id, 2), at(2));
        assert_eq!(ended.len(), 1);
        assert_eq!(standing(&auth, &alice, 3), Some(TokenRefusal::Revoked));
        assert_eq!(standing(&auth, &bob, 3), None);
        assert!(matches!(
            sign_in(&auth, "alice", 3),
            Err(LoginRefusal::Revoked)
        ));
        // Only who proves to be Alice learns of it.
        let guess = auth.login("alice", &secret("guess"), None, at(3));
        assert!(matches!(guess, Err(LoginRefusal::Wrong)));
        // A start that knows of it keeps to it.
        let again = world
            .start(4)
            .with_revocations((*auth.revocations()).clone());
        let token = alice.token.expose();
        assert_eq!(
            again.verify(token, at(5)).unwrap_err(),
            TokenRefusal::Revoked
        );
        assert!(matches!(
            sign_in(&again, "alice", 5),
            Err(LoginRefusal::Revoked)
        ));
        // Given again: a new session, none of the old ones.
        for auth in [auth, again] {
            let given = auth.reinstate(scope, id, at(6)).unwrap();
            assert_eq!(given, revocation(scope, id, 2));
            assert_eq!(auth.verify(token, at(7)).unwrap_err(), TokenRefusal::Closed);
            let new = sign_in(&auth, "alice", 7).unwrap();
            assert_eq!(standing(&auth, &new, 8), None);
            assert_eq!(auth.reinstate(scope, id, at(9)), None);
        }
    }
}

#[test]
fn a_revoked_session_is_over_whether_it_was_seen_or_not() {
    let world = World::new();
    let (before, auth) = (world.start(0), world.start(0));
    let own = sign_in(&auth, "alice", 1).unwrap();
    let other = sign_in(&auth, "alice", 1).unwrap();
    let unseen = sign_in(&before, "alice", 1).unwrap();
    let revoke = |signed_in: &SignedIn| {
        let id = signed_in.session.id.to_string();
        auth.revoke(revocation(RevocationScope::Session, &id, 2), at(2))
    };
    assert_eq!(revoke(&own).len(), 1);
    assert_eq!(revoke(&unseen).len(), 0);
    for signed_in in [&own, &unseen] {
        let token = signed_in.token.expose();
        let refused = auth.verify(token, at(3)).unwrap_err();
        assert_eq!(refused, TokenRefusal::SessionRevoked);
        assert_eq!(Refusal::from(refused).code(), Code::Revoked);
    }
    assert_eq!(standing(&auth, &other, 3), None);
    sign_in(&auth, "alice", 4).unwrap();
}

#[test]
fn a_session_of_a_connection_is_revoked_with_its_account() {
    let world = World::new();
    let auth = standing_for_alice(world.start(0));
    let alice = certified(&auth, &alice_of_acme());
    let peer: SocketAddr = "127.0.0.1:1000".parse().unwrap();
    let session = auth.open_certified(&alice, at(1)).unwrap().session;
    auth.attach(&session, &alice, peer);
    let find = |now: DateTime<Utc>| auth.attached(&alice, peer, now).map(|one| one.id);
    assert_eq!(find(at(2)), Some(session.id));
    auth.revoke(revocation(RevocationScope::Principal, "alice", 2), at(2));
    assert_eq!(find(at(2)), None);
    let refused = auth.open_certified(&alice, at(2)).unwrap_err();
    assert!(matches!(refused, LoginRefusal::Revoked));
    auth.reinstate(RevocationScope::Principal, "alice", at(3));
    auth.open_certified(&alice, at(4)).unwrap();
    auth.replace_accounts(world.accounts(""), at(5));
    let refused = auth.open_certified(&alice, at(6)).unwrap_err();
    assert_eq!(Refusal::from(refused).code(), Code::Unauthenticated);
}

/// Many times, since either may come first.
#[test]
fn inv_17_no_session_slips_in_beside_a_revocation() {
    let world = World::new();
    let der = alice_of_acme();
    for _ in 0..500 {
        let auth = standing_for_alice(world.start(0));
        let alice = auth.certified(&der, at(1)).unwrap();
        let both = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                drop(auth.open_certified(&alice, at(2)));
            });
            both.wait();
            auth.revoke(revocation(RevocationScope::Principal, "alice", 2), at(2));
        });
        assert_eq!(auth.sessions_open(at(2)), 0);
    }
}

#[test]
fn a_session_that_was_verified_before_a_revocation_is_not_open_after_it() {
    let world = World::new();
    let elsewhere = world.start(0);
    let token = sign_in(&elsewhere, "alice", 1).unwrap().token;
    for (scope, id) in [
        (RevocationScope::Principal, "alice"),
        (RevocationScope::Organisation, "acme"),
    ] {
        let auth = world.start(0);
        let session = auth.verify(token.expose(), at(2)).unwrap();
        assert!(auth.is_open(&session));
        auth.revoke(revocation(scope, id, 3), at(3));
        // Taken in again by a request that was verified meanwhile.
        let span = session.span();
        auth.sessions().open.adopt("alice", session.id, span, at(3));
        assert!(!auth.is_open(&session), "{scope}");
    }
}
