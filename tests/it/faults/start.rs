//! Files of the owner's with which a server does not start.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use scrim_server::{Server, StartError};

use crate::kit::{Hosted, Scratch, TestClock};

#[tokio::test]
async fn keys_that_others_can_read_stop_the_start() {
    let world = Scratch::demo();
    let path = world.path("keys.json");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Server::start(world.config(), TestClock::noon()).await.err();
        assert!(
            matches!(error, Some(StartError::Keys(_))),
            "{mode:o}: {error:?}"
        );
        let text = error.unwrap().to_string();
        assert!(
            text.contains("keys.json") && text.contains("chmod 600"),
            "{text}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Hosted::start(world).await;
}

#[tokio::test]
async fn broken_keys_and_accounts_stop_the_start() {
    for (file, text) in [
        ("keys.json", "{}"),
        ("keys.json", "garbage"),
        ("accounts.yaml", "accounts:\n  - {id: nora}\n"),
        ("accounts.yaml", "accounts: 7\n"),
        (
            "accounts.yaml",
            "accounts:\n  - {id: a, org: b, groups: [], roles: [], kind: human, password_hash: \"plain\"}\n",
        ),
        (
            "accounts.yaml",
            "accounts:\n  - {id: a, org: b, kind: human, attributes: {unheard: 1}, password_hash: \"x\"}\n",
        ),
    ] {
        let world = Scratch::demo();
        // written in place, so the mode stays
        fs::write(world.path(file), text).unwrap();
        let error = Server::start(world.config(), TestClock::noon()).await.err();
        let error = error
            .unwrap_or_else(|| panic!("{file}: {text}"))
            .to_string();
        assert!(error.contains(file), "{text}: {error}");
        assert!(!error.contains("garbage"), "{error}");
    }
}
