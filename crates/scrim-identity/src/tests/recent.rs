//! What a password costs that was right a short while ago, and what every other one costs.

use std::{sync::atomic::Ordering, thread};

use super::{at, cheap, parse, rules, secret, two_accounts};
use crate::{Accounts, Authenticator, KeyFile, LoginRefusal, hash_password};

fn authenticator(accounts: Accounts) -> Authenticator {
    let keys = KeyFile::generate(at(0)).unwrap();
    Authenticator::new(accounts, keys.sealer(), rules(8 * 3600, 8 * 3600), at(0))
}

fn runs(auth: &Authenticator) -> usize {
    auth.accounts().runs.load(Ordering::SeqCst)
}

/// Signs in and says whether that went well, and how many runs of Argon2id it took.
fn cost(auth: &Authenticator, user: &str, password: &str, second: i64) -> (bool, usize) {
    let before = runs(auth);
    let signed_in = auth.login(user, &secret(password), None, at(second));
    assert!(signed_in.is_ok() || matches!(signed_in, Err(LoginRefusal::Wrong)));
    (signed_in.is_ok(), runs(auth) - before)
}

#[test]
fn a_right_password_is_paid_once_and_again_when_the_proof_is_old() {
    let auth = authenticator(two_accounts());
    assert_eq!(cost(&auth, "alice", "wonderland", 0), (true, 1));
    for second in [0, 1, 600, 899] {
        assert_eq!(cost(&auth, "alice", "wonderland", second), (true, 0));
    }
    assert_eq!(cost(&auth, "alice", "wonderland", 900), (true, 1));
    assert_eq!(cost(&auth, "alice", "wonderland", 900), (true, 0));
    // Each sign-in still opens a session of its own, at its own time.
    let signed_in = |second| auth.login("alice", &secret("wonderland"), None, at(second));
    let (first, second) = (signed_in(901).unwrap(), signed_in(902).unwrap());
    assert_ne!(first.session.id, second.session.id);
    assert_eq!(
        second.session.principal.get().authenticated_at,
        Some(at(902))
    );
    // A clock that is set back makes no proof younger.
    assert_eq!(cost(&auth, "alice", "wonderland", 0), (true, 1));
}

/// Whatever is not right costs one run, each time: for accounts with and without a proof, and for
/// those that do not exist, so that time tells nobody which is which.
#[test]
fn a_wrong_password_and_an_unknown_account_cost_one_run_each_time() {
    for has_proof in [false, true] {
        let auth = authenticator(two_accounts());
        if has_proof {
            assert_eq!(cost(&auth, "alice", "wonderland", 0), (true, 1));
        }
        for (user, password) in [
            ("alice", "wonderlan"),
            ("alice", "builder"),
            ("bob", "wonderland"),
            ("nobody", "wonderland"),
            ("nobody", "builder"),
            ("", ""),
        ] {
            for _ in 0..2 {
                assert_eq!(cost(&auth, user, password, 1), (false, 1), "{user}");
            }
        }
    }
    let nobody = authenticator(parse("accounts: []").unwrap());
    assert_eq!(cost(&nobody, "nobody", "x", 0), (false, 1));
    assert_eq!(cost(&nobody, "nobody", "x", 0), (false, 1));
}

#[test]
fn another_hash_or_password_or_a_reload_makes_a_proof_worth_nothing() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let (old, new) = (cheap("old"), cheap("new"));
    let text = |hash: &str| format!("accounts: [{{id: a, org: o, password_hash: '{hash}'}}]");
    let start = |hash: &str| {
        let accounts = parse(&text(hash)).unwrap();
        Authenticator::new(accounts, keys.sealer(), rules(8 * 3600, 8 * 3600), at(0))
    };
    let before = start(&old);
    assert_eq!(cost(&before, "a", "old", 0), (true, 1));
    // The same accounts read again know of no proof.
    let again = start(&old);
    assert_eq!(cost(&again, "a", "old", 1), (true, 1));
    let after = start(&new);
    assert_eq!(cost(&after, "a", "old", 1), (false, 1));
    assert_eq!(cost(&after, "a", "new", 1), (true, 1));
    // The same password under another salt is another credential, even for one process.
    let (hash, other) = (
        parse(&text(&old)).unwrap(),
        parse(&text(&cheap("old"))).unwrap(),
    );
    let credential = |accounts: &Accounts| {
        let hash = accounts.hash_of("a").unwrap().to_string();
        let key = before.credential_key.as_ref().unwrap();
        key.credential("a", &secret("old"), &hash)
    };
    assert_eq!(credential(&hash), credential(&before.accounts()));
    assert_ne!(credential(&other), credential(&before.accounts()));
}

#[test]
fn a_throttled_account_waits_with_the_right_password_too() {
    let auth = authenticator(two_accounts());
    assert_eq!(cost(&auth, "alice", "wonderland", 0), (true, 1));
    for _ in 0..6 {
        drop(auth.login("alice", &secret("guess"), None, at(1)));
    }
    let refused = auth.login("alice", &secret("wonderland"), None, at(1));
    assert!(matches!(refused, Err(LoginRefusal::Throttled { .. })));
    assert_eq!(cost(&auth, "alice", "wonderland", 2), (true, 0));
}

#[test]
fn one_password_that_many_bring_at_once_is_computed_once() {
    // A hash that takes its time, so that all are there before the first is through.
    let hash = hash_password(&secret("wonderland")).unwrap();
    let text = format!("accounts: [{{id: alice, org: o, password_hash: '{hash}'}}]");
    let auth = authenticator(parse(&text).unwrap());
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                auth.login("alice", &secret("wonderland"), None, at(0))
                    .unwrap()
            });
        }
    });
    assert_eq!(runs(&auth), 1);
}
