//! Signing in and staying signed in.

use std::{net::IpAddr, thread};

use proptest::prelude::*;
use scrim_model::{Code, Refusal, SessionId};

use super::{at, cheap, parse, rules, secret, two_accounts};
use crate::{Authenticator, KeyFile, LoginRefusal, SessionRules, TokenRefusal};

const TTL_S: i64 = 8 * 3600;

fn authenticator() -> (Authenticator, KeyFile) {
    let keys = KeyFile::generate(at(0)).unwrap();
    (with_keys(&keys), keys)
}

fn with_keys(keys: &KeyFile) -> Authenticator {
    let rules = rules(TTL_S as u64, TTL_S as u64);
    Authenticator::new(two_accounts(), keys.sealer(), rules, at(0))
}

#[test]
fn the_right_password_opens_a_session_and_its_token_shows_it() {
    let (auth, _) = authenticator();
    let signed_in = auth
        .login("alice", &secret("wonderland"), None, at(1))
        .unwrap();
    let session = auth.verify(signed_in.token.expose(), at(2)).unwrap();
    assert_eq!(session.id, signed_in.session.id);
    let alice = session.principal.get();
    assert_eq!((alice.id.as_str(), alice.org.as_str()), ("alice", "acme"));
    assert_eq!(alice.authenticated_at, Some(at(1)));
    assert_eq!((session.issued, session.expires), (at(1), at(1 + TTL_S)));
    assert!(!format!("{signed_in:?}").contains(signed_in.token.expose()));
}

#[test]
fn wrong_names_and_passwords_are_refused_alike() {
    let (auth, _) = authenticator();
    let long = "x".repeat(100_000);
    for (user, password) in [
        ("alice", "wonderlan"),
        ("alice", ""),
        ("alice", "builder"),
        ("bob", "wonderland"),
        ("Alice", "wonderland"),
        ("alice ", "wonderland"),
        ("", ""),
        ("nobody", "wonderland"),
        ("nobody", "builder"),
        (&long, "wonderland"),
        ("bob", &long),
    ] {
        let refused = auth
            .login(user, &secret(password), None, at(1))
            .unwrap_err();
        assert!(matches!(refused, LoginRefusal::Wrong), "{refused}");
        let refusal = Refusal::from(refused);
        assert_eq!(refusal.code(), Code::Unauthenticated);
        assert_eq!(refusal.message(), "the account or the password is wrong");
    }
}

/// Nobody may learn from the time that an answer takes whether there is such an account: the same
/// work is done. Times are not asserted; that a hash is found for every name is.
#[test]
fn an_unknown_account_is_checked_against_some_hash() {
    for accounts in [two_accounts(), parse("accounts: []").unwrap()] {
        for name in ["nobody", "x", ""] {
            assert!(!accounts.check(name, &secret("wonderland")));
            assert!(accounts.hash_of(name).is_some());
            assert_eq!(accounts.hash_of(name), accounts.hash_of(name));
        }
    }
}

#[test]
fn guessing_is_slowed_down_for_known_and_unknown_accounts() {
    let here: IpAddr = "192.0.2.1".parse().unwrap();
    for user in ["alice", "nobody"] {
        let (auth, _) = authenticator();
        for _ in 0..5 {
            let refused = auth
                .login(user, &secret("guess"), Some(here), at(0))
                .unwrap_err();
            assert!(matches!(refused, LoginRefusal::Wrong));
        }
        let refused = auth
            .login(user, &secret("wonderland"), None, at(0))
            .unwrap_err();
        assert!(
            matches!(refused, LoginRefusal::Throttled { retry_after_s: 1 }),
            "{refused}"
        );
        assert_eq!(Refusal::from(refused).code(), Code::Throttled);
        // Attempts that were throttled do not make the wait longer, and others may sign in.
        assert_eq!(
            auth.login(user, &secret("wonderland"), None, at(1)).is_ok(),
            user == "alice"
        );
        assert!(
            auth.login("bob", &secret("builder"), Some(here), at(1))
                .is_ok()
        );
    }
}

#[test]
fn names_and_passwords_that_are_too_long_count_as_guesses() {
    let (auth, _) = authenticator();
    let here: IpAddr = "192.0.2.1".parse().unwrap();
    let long = "x".repeat(5000);
    for number in 0..20 {
        let user = format!("{long}{number}");
        let refused = auth.login(&user, &secret(&long), Some(here), at(0));
        assert!(matches!(refused.unwrap_err(), LoginRefusal::Wrong));
    }
    let refused = auth.login(&long, &secret(&long), Some(here), at(0));
    assert!(matches!(
        refused.unwrap_err(),
        LoginRefusal::Throttled { .. }
    ));
}

#[test]
fn a_burst_of_guesses_meets_the_throttle() {
    let (auth, _) = authenticator();
    let checked = thread::scope(|scope| {
        let guesses: Vec<_> = (0..64)
            .map(|_| scope.spawn(|| auth.login("alice", &secret("guess"), None, at(0))))
            .collect();
        let refused = guesses
            .into_iter()
            .map(|guess| guess.join().unwrap().unwrap_err());
        refused
            .filter(|refused| matches!(refused, LoginRefusal::Wrong))
            .count()
    });
    // Five, and those that were computing when the fifth failed.
    assert!((5..5 + 8).contains(&checked), "{checked}");
}

#[test]
fn many_may_sign_in_at_once() {
    let (auth, _) = authenticator();
    let here = Some("192.0.2.1".parse().unwrap());
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                auth.login("alice", &secret("wonderland"), here, at(0))
                    .unwrap()
            });
        }
    });
}

#[test]
fn tokens_end_by_time_and_by_closing() {
    let (auth, _) = authenticator();
    let signed_in = auth
        .login("alice", &secret("wonderland"), None, at(0))
        .unwrap();
    let token = signed_in.token.expose();
    assert!(auth.verify(token, at(TTL_S - 1)).is_ok());
    assert_eq!(
        auth.verify(token, at(TTL_S)).unwrap_err(),
        TokenRefusal::Expired
    );
    assert_eq!(
        auth.verify(token, at(-3600)).map(|_| ()),
        Ok(()),
        "a clock that was set back a bit"
    );

    let other = auth
        .login("alice", &secret("wonderland"), None, at(0))
        .unwrap();
    auth.close(&signed_in.session, at(5));
    assert_eq!(auth.verify(token, at(6)).unwrap_err(), TokenRefusal::Closed);
    assert_eq!(
        auth.verify(token, at(TTL_S - 1)).unwrap_err(),
        TokenRefusal::Closed
    );
    assert!(auth.verify(other.token.expose(), at(6)).is_ok());
    assert_eq!(
        Refusal::from(TokenRefusal::Closed).code(),
        Code::SessionEnded
    );
    assert_eq!(
        Refusal::from(TokenRefusal::Expired).code(),
        Code::SessionEnded
    );
    assert_eq!(
        Refusal::from(TokenRefusal::Invalid).code(),
        Code::Unauthenticated
    );
}

#[test]
fn after_a_restart_tokens_hold_and_closed_sessions_stay_closed() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let text = format!(
        "accounts: [{{id: alice, org: acme, password_hash: '{}'}}]",
        cheap("pw")
    );
    let start = |text: &str, now| {
        Authenticator::new(parse(text).unwrap(), keys.sealer(), rules(60, 60), at(now))
    };
    let first = start(&text, 0);
    let signed_in = first.login("alice", &secret("pw"), None, at(0)).unwrap();
    let token = signed_in.token.expose();
    let second = start(&text, 10);
    assert!(second.verify(token, at(11)).is_ok());
    second.close_until(signed_in.session.id, signed_in.session.expires, at(11));
    assert_eq!(
        second.verify(token, at(12)).unwrap_err(),
        TokenRefusal::Closed
    );
    // Started after the session's end, with a clock that says otherwise later.
    assert_eq!(
        start(&text, 60).verify(token, at(1)).unwrap_err(),
        TokenRefusal::Expired
    );
    // The account is gone, or has a new password.
    assert_eq!(
        start("accounts: []", 0).verify(token, at(1)).unwrap_err(),
        TokenRefusal::Invalid
    );
    let changed = format!(
        "accounts: [{{id: alice, org: acme, password_hash: '{}'}}]",
        cheap("pw")
    );
    assert_eq!(
        start(&changed, 0).verify(token, at(1)).unwrap_err(),
        TokenRefusal::Invalid
    );
}

#[test]
fn inv_14_one_session_too_many_ends_the_idlest_for_good() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let rules = SessionRules {
        per_account: 2,
        ..rules(600, 600)
    };
    let accounts = two_accounts();
    let start = || Authenticator::new(accounts.clone(), keys.sealer(), rules, at(0));
    let login = |auth: &Authenticator| {
        let signed_in = auth.login("alice", &secret("wonderland"), None, at(1));
        signed_in.unwrap()
    };
    let auth = start();
    let first = login(&auth);
    let second = login(&auth);
    auth.verify(first.token.expose(), at(2)).unwrap();
    let third = login(&auth);
    assert_eq!(third.dropped.unwrap().id, second.session.id);
    assert_eq!(
        auth.verify(second.token.expose(), at(2)).unwrap_err(),
        TokenRefusal::Closed
    );
    auth.verify(first.token.expose(), at(2)).unwrap();
    // another account is another matter
    let bob = auth.login("bob", &secret("builder"), None, at(2)).unwrap();
    assert!(bob.dropped.is_none());
    // sessions of before a restart count, once they are seen
    let auth = start();
    auth.verify(first.token.expose(), at(3)).unwrap();
    assert!(login(&auth).dropped.is_none());
    let dropped = login(&auth).dropped.unwrap();
    assert_eq!(dropped.id, first.session.id);
    assert_eq!(
        auth.verify(first.token.expose(), at(3)).unwrap_err(),
        TokenRefusal::Closed
    );
}

#[test]
fn a_session_of_before_a_restart_is_open_until_it_is_closed_room_or_not() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let rules = SessionRules {
        per_account: 1,
        ..rules(600, 600)
    };
    let accounts = two_accounts();
    let start = || Authenticator::new(accounts.clone(), keys.sealer(), rules, at(0));
    let login = |auth: &Authenticator| auth.login("alice", &secret("wonderland"), None, at(1));
    let before = login(&start()).unwrap();
    let auth = start();
    let now = login(&auth).unwrap();
    // There is no room for it beside the new one.
    let session = auth.verify(before.token.expose(), at(2)).unwrap();
    assert!(auth.is_open(&session) && auth.is_open(&now.session));
    auth.close(&session, at(2));
    auth.close(&now.session, at(2));
    assert!(!auth.is_open(&session) && !auth.is_open(&now.session));
}

#[test]
fn a_closed_session_stays_closed_when_the_clock_was_wrong_for_a_while() {
    let (auth, _) = authenticator();
    let sign_in = |second| auth.login("alice", &secret("wonderland"), None, at(second));
    let signed_in = sign_in(0).unwrap();
    auth.close(&signed_in.session, at(1));
    // The clock jumps a month ahead, somebody signs out, and the clock is put right.
    auth.close_until(SessionId::new(), at(31 * 24 * 3600), at(30 * 24 * 3600));
    assert_eq!(
        auth.verify(signed_in.token.expose(), at(2)).unwrap_err(),
        TokenRefusal::Closed
    );
    let later = sign_in(3600).unwrap();
    assert!(auth.verify(later.token.expose(), at(3601)).is_ok());
}

#[test]
fn a_session_lives_no_longer_than_the_server_gives_now() {
    let (long, keys) = authenticator();
    let accounts = (*long.accounts()).clone();
    let short = Authenticator::new(accounts, keys.sealer(), rules(60, 60), at(0));
    let signed_in = long.login("alice", &secret("wonderland"), None, at(0));
    let signed_in = signed_in.unwrap();
    let token = signed_in.token.expose();
    assert!(short.verify(token, at(59)).is_ok());
    assert_eq!(
        short.verify(token, at(60)).unwrap_err(),
        TokenRefusal::Expired
    );
    // Closed is for ever, also when the closing is forgotten.
    short.close(&signed_in.session, at(30));
    short.close_until(SessionId::new(), at(7200), at(3600));
    for second in [31, 3600] {
        assert!(short.verify(token, at(second)).is_err(), "{second}");
    }
}

#[test]
fn tokens_from_elsewhere_are_refused() {
    let (auth, keys) = authenticator();
    let (stranger, _) = authenticator();
    let foreign = stranger
        .login("alice", &secret("wonderland"), None, at(0))
        .unwrap();
    let ticket = keys.sealer().seal("ticket", b"{}").unwrap();
    let nonsense = keys.sealer().seal("session", b"{}").unwrap();
    let own = auth
        .login("alice", &secret("wonderland"), None, at(0))
        .unwrap();
    let early = auth
        .login("alice", &secret("wonderland"), None, at(1000))
        .unwrap();
    assert_eq!(
        auth.verify(early.token.expose(), at(1)).unwrap_err(),
        TokenRefusal::Invalid
    );
    let padded = format!("{}=", own.token.expose());
    let long = "x".repeat(1 << 20);
    for token in [
        foreign.token.expose(),
        &ticket,
        &nonsense,
        &padded,
        &long,
        "",
    ] {
        assert_eq!(
            auth.verify(token, at(1)).unwrap_err(),
            TokenRefusal::Invalid
        );
    }
    stranger.close(&own.session, at(1));
    assert!(auth.verify(own.token.expose(), at(1)).is_ok());
}

proptest! {
    #[test]
    fn no_token_of_a_stranger_is_accepted(token: String, at_second in 0i64..100_000) {
        let keys = KeyFile::generate(at(0)).unwrap();
        let accounts = parse("accounts: []").unwrap();
        let auth = Authenticator::new(accounts, keys.sealer(), rules(1, 1), at(0));
        prop_assert!(auth.verify(&token, at(at_second)).is_err());
    }
}
