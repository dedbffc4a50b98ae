//! Keys, key files and sealing.

use std::{fs, os::unix::fs::PermissionsExt};

use proptest::prelude::*;

use super::at;
use crate::{
    IdentityError, KeyFile, KeyUse, Sealer, read_key_file, rotate_key_file, write_new_key_file,
};

fn sealer() -> Sealer {
    KeyFile::generate(at(0)).unwrap().sealer()
}

#[test]
fn what_is_sealed_opens_for_its_purpose_only() {
    let sealer = sealer();
    let text = sealer.seal("ticket", b"hello").unwrap();
    assert!(text.starts_with("s1.s"), "{text}");
    assert!(
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
        "{text}"
    );
    assert_eq!(sealer.open("ticket", &text).unwrap(), b"hello");
    assert!(sealer.open("session", &text).is_err());
    assert!(sealer.open("", &text).is_err());
    assert_ne!(
        sealer.seal("ticket", b"hello").unwrap(),
        text,
        "nonces do not repeat"
    );
    assert_eq!(
        sealer.open("e", &sealer.seal("e", b"").unwrap()).unwrap(),
        b""
    );
}

#[test]
fn changed_cut_and_foreign_texts_are_refused() {
    let sealer = sealer();
    let text = sealer.seal("ticket", b"hello, world").unwrap();
    for at in 0..text.len() {
        assert!(
            sealer.open("ticket", text.get(..at).unwrap()).is_err(),
            "cut at {at}"
        );
        for other in ['A', 'B', '.', '-', '='] {
            let mut changed: Vec<char> = text.chars().collect();
            if changed[at] != other {
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert!(sealer.open("ticket", &changed).is_err(), "{changed}");
            }
        }
    }
    for changed in [
        format!("{text}="),
        format!("{text}A"),
        format!(" {text}"),
        format!("{text}\n"),
    ] {
        assert!(sealer.open("ticket", &changed).is_err());
    }
    assert!(
        self::sealer().open("ticket", &text).is_err(),
        "other keys, other ids"
    );
    // The right id over the wrong key.
    let mut json = KeyFile::generate(at(0))
        .unwrap()
        .to_json()
        .unwrap()
        .expose()
        .clone();
    let id = |text: &str| text.split('.').nth(1).unwrap().to_owned();
    let theirs = KeyFile::parse(&json)
        .unwrap()
        .sealer()
        .seal("ticket", b"x")
        .unwrap();
    json = json.replace(&id(&theirs), &id(&text));
    assert!(
        KeyFile::parse(&json)
            .unwrap()
            .sealer()
            .open("ticket", &text)
            .is_err()
    );
}

proptest! {
    #[test]
    fn whatever_is_sealed_comes_back(bytes: Vec<u8>, purpose: String) {
        let sealer = sealer();
        let text = sealer.seal(&purpose, &bytes).unwrap();
        prop_assert_eq!(sealer.open(&purpose, &text).unwrap(), bytes);
    }

    #[test]
    fn no_text_of_a_stranger_opens_or_panics(text: String, encoded in "[A-Za-z0-9_-]{0,90}") {
        let sealer = sealer();
        prop_assert!(sealer.open("session", &text).is_err());
        let ours = sealer.seal("session", b"x").unwrap();
        let id = ours.split('.').nth(1).unwrap();
        let forged = format!("s1.{id}.{encoded}");
        prop_assert!(sealer.open("session", &forged).is_err());
        prop_assert!(KeyFile::parse(&text).is_err());
    }
}

#[test]
fn rotated_keys_open_what_older_ones_sealed_until_they_are_dropped() {
    let mut keys = KeyFile::generate(at(0)).unwrap();
    let root = keys.root_key();
    let old = keys.sealer().seal("ticket", b"old").unwrap();
    for turn in 1..=7 {
        let info = keys.rotate(at(turn)).unwrap();
        assert_eq!(
            keys.sealer().open("ticket", &old).unwrap(),
            b"old",
            "{turn}"
        );
        let new = keys.sealer().seal("ticket", b"new").unwrap();
        assert!(new.starts_with(&format!("s1.{}.", info.id)));
    }
    keys.rotate(at(8)).unwrap();
    assert!(keys.sealer().open("ticket", &old).is_err());
    assert_eq!(
        keys.root_key().expose(),
        root.expose(),
        "pseudonyms stay what they are"
    );
    let list = keys.list();
    assert_eq!(
        list.iter()
            .filter(|key| key.used_for == KeyUse::Sealing)
            .count(),
        8
    );
    let active: Vec<_> = list
        .iter()
        .filter(|key| key.active)
        .map(|key| key.used_for)
        .collect();
    assert_eq!(active, [KeyUse::Sealing, KeyUse::Pseudonyms]);
}

fn half(text: &str) -> &str {
    text.get(..text.len() / 2).unwrap()
}

#[test]
fn inv_15_keys_are_never_shown() {
    let keys = KeyFile::generate(at(0)).unwrap();
    let json = keys.to_json().unwrap();
    let read = KeyFile::parse(json.expose()).unwrap();
    assert_eq!(read.root_key().expose(), keys.root_key().expose());
    assert_eq!(read.list(), keys.list());
    let secrets: Vec<_> = json
        .expose()
        .split('"')
        .filter(|part| part.len() == 43)
        .collect();
    assert_eq!(secrets.len(), 2);
    let shown = format!("{keys:?} {:?} {:?} {json:?}", keys.sealer(), keys.list());
    assert!(
        secrets.iter().all(|secret| !shown.contains(secret)),
        "{shown}"
    );
    // Not in the message about a broken file either.
    for broken in [
        json.expose().replace("\"key\"", "\"kex\""),
        json.expose().replace(secrets[0], half(secrets[0])),
        json.expose().replace("\"format\": 1", "\"format\": 2"),
        json.expose()
            .replace("\"format\": 1", &format!("\"format\": \"{}\"", secrets[1])),
        json.expose().replacen("\"s", "\"s.s", 1),
        half(json.expose()).to_owned(),
    ] {
        let error = KeyFile::parse(&broken).unwrap_err();
        assert!(
            matches!(error, IdentityError::KeyFileMalformed(_)),
            "{error}"
        );
        let shown = format!("{error} {error:?}");
        assert!(
            secrets.iter().all(|secret| !shown.contains(half(secret))),
            "{shown}"
        );
    }
}

#[test]
fn a_key_file_is_new_private_and_replaced_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let keys = KeyFile::generate(at(0)).unwrap();
    write_new_key_file(&path, &keys).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let again = write_new_key_file(&path, &keys);
    assert!(matches!(again, Err(IdentityError::KeyFileExists { .. })));
    assert_eq!(read_key_file(&path).unwrap().list(), keys.list());

    let info = rotate_key_file(&path, at(1)).unwrap();
    assert_eq!(mode(), 0o600);
    let rotated = read_key_file(&path).unwrap();
    assert_eq!(rotated.list().len(), 3);
    assert_eq!(rotated.list()[1], info);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );

    for exposed in [0o640, 0o604, 0o660, 0o601, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
        for error in [
            read_key_file(&path).unwrap_err(),
            rotate_key_file(&path, at(2)).unwrap_err(),
        ] {
            assert!(matches!(error, IdentityError::KeyFileExposed { mode, .. } if mode == exposed));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(read_key_file(&path).is_ok());
    let missing = read_key_file(&dir.path().join("none.json")).unwrap_err();
    assert!(missing.to_string().contains("none.json"), "{missing}");
    assert!(read_key_file(dir.path()).is_err());
}
