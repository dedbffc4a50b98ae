//! Somebody changed the file.

use std::{fs, sync::Arc};

use super::{Ticking, file_in, folder, lines, open, opening, run, written};
use crate::{
    Damage, Ledger, LedgerError, line,
    replay::{Entries, verify_entries},
    verify,
};

/// What is said of a ledger with these bytes: by the check, and by a start, which must agree.
fn judge(bytes: &[u8]) -> Result<(), Damage> {
    let dir = folder();
    fs::write(file_in(&dir), bytes).unwrap();
    let started = Ledger::open(dir.path(), Arc::new(Ticking::default()));
    match started {
        Ok((ledger, _)) => {
            run(ledger.shutdown()).unwrap();
            Ok(())
        }
        Err(LedgerError::Damaged { damage, path }) => {
            assert_eq!(verify(&path).unwrap_err(), damage);
            assert_eq!(
                fs::read(&path).unwrap(),
                bytes,
                "a refused ledger is left as it is"
            );
            let advice = LedgerError::Damaged {
                damage: damage.clone(),
                path,
            }
            .to_string();
            assert!(
                advice.contains(&format!("line {}", damage.line)),
                "{advice}"
            );
            Err(damage)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_changed_byte_is_found_on_its_line() {
    let bytes = written(&folder(), 3);
    let whole = lines(&bytes);
    let mut at = 0;
    for (number, line) in (1..).zip(&whole) {
        let is_last = number == whole.len() as u64;
        for offset in 0..line.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at + offset] ^= flip;
                let damage = verify_entries(Entries::new(&changed[..])).unwrap_err();
                assert_eq!(
                    damage.line,
                    number,
                    "byte {} ^ {flip:#x}: {damage}",
                    at + offset
                );
                // A start costs a few syncs, so it is tried at some places only.
                if !is_last || flip != 0x01 || !offset.is_multiple_of(13) {
                    continue;
                }
                // On the last line a change is refused too, or it makes the line unreadable, and
                // then it is cut off in the open: with a `recovered` entry.
                if judge(&changed).is_ok() {
                    let (ledger, recovery) = {
                        let dir = folder();
                        fs::write(file_in(&dir), &changed).unwrap();
                        open(dir.path())
                    };
                    assert!(recovery.torn.is_some());
                    drop(ledger);
                }
            }
        }
        at += line.len();
    }
}

#[test]
fn removed_repeated_swapped_and_joined_lines_are_found() {
    let bytes = written(&folder(), 4);
    let whole = lines(&bytes);
    for at in 0..whole.len() - 1 {
        let mut removed = whole.clone();
        removed.remove(at);
        assert_eq!(judge(&removed.concat()).unwrap_err().line, at as u64 + 1);

        let mut repeated = whole.clone();
        repeated.insert(at, whole[at].clone());
        assert_eq!(judge(&repeated.concat()).unwrap_err().line, at as u64 + 2);

        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        assert_eq!(judge(&swapped.concat()).unwrap_err().line, at as u64 + 1);

        let mut joined = whole.clone();
        joined[at].pop();
        let verdict = judge(&joined.concat());
        // The last two lines joined are one unreadable last line, which is cut off.
        if at + 2 < whole.len() {
            assert_eq!(verdict.unwrap_err().line, at as u64 + 1);
        }
    }
    let mut repeated = whole.clone();
    repeated.push(whole.last().unwrap().clone());
    assert_eq!(
        judge(&repeated.concat()).unwrap_err().line,
        whole.len() as u64 + 1
    );
    let blank = [whole[0].clone(), b"\n".to_vec(), whole[1].clone()].concat();
    assert_eq!(judge(&blank).unwrap_err().line, 2);
}

#[test]
fn a_cut_in_the_middle_is_a_torn_tail_and_never_passes_unseen() {
    let bytes = written(&folder(), 3);
    let whole = lines(&bytes);
    let end_of_third: usize = whole[..3].iter().map(Vec::len).sum();
    let dir = folder();
    fs::write(file_in(&dir), &bytes[..end_of_third - 7]).unwrap();
    assert_eq!(verify(&file_in(&dir)).unwrap_err().line, 3);
    let (ledger, recovery) = open(dir.path());
    run(ledger.shutdown()).unwrap();
    assert!(recovery.torn.is_some());
}

#[test]
fn the_end_that_was_cut_off_shows_in_the_head() {
    let dir = folder();
    fs::write(file_in(&dir), written(&folder(), 3)).unwrap();
    let before = verify(&file_in(&dir)).unwrap();
    let mut fewer = lines(&fs::read(file_in(&dir)).unwrap());
    fewer.pop();
    fs::write(file_in(&dir), fewer.concat()).unwrap();
    let after = verify(&file_in(&dir)).unwrap();
    assert_eq!(after.entries + 1, before.entries);
    assert_ne!(after.head, before.head);
}

/// A forger who can compute hashes still cannot write what makes no sense.
#[test]
fn well_chained_nonsense_is_refused() {
    let created = r#"{"entry":"created","format":1,"id":"x"}"#;
    let id = super::query(1);
    let opened = format!(r#"{{"entry":"opened","query":"{id}"}}"#);
    let closed = format!(r#"{{"entry":"closed","query":"{id}","outcome":"completed"}}"#);
    let chain = |bodies: &[&str]| {
        let (mut out, mut head) = (Vec::new(), line::NO_LINE);
        for (seq, body) in (1..).zip(bodies) {
            head = line::write(&mut out, seq, super::second(0), &head, body.as_bytes());
        }
        judge(&out)
    };
    assert_eq!(chain(&[created, &opened, &closed]), Ok(()));
    for (bodies, line, what) in [
        (&[created, &closed][..], 2, "not open"),
        (&[created, &opened, &opened], 3, "while it is open"),
        (&[created, &opened, &closed, &closed], 4, "not open"),
        (&[&opened], 1, "created"),
        (&[created, created], 2, "created"),
        (&[r#"{"entry":"created","format":2}"#], 1, "version"),
        (&[created, r#"{"entry":"sold"}"#], 2, "version"),
        (&[created, r#"{"entry":"opened"}"#], 2, "no query"),
        (&[created, "[]"], 2, "not JSON"),
        (&[created, "{"], 2, "not JSON"),
        (&[created, ""], 2, "not JSON"),
    ] {
        let damage = chain(bodies).unwrap_err();
        assert_eq!(damage.line, line, "{bodies:?}");
        assert!(damage.what.contains(what), "{damage}");
    }
}

#[test]
fn a_file_that_is_replaced_or_cut_under_a_running_server_stops_it() {
    for harm in ["replace", "cut", "append", "remove"] {
        run(async {
            let dir = folder();
            let path = file_in(&dir);
            let (ledger, _) = open(dir.path());
            let permit = ledger.open_query(opening(1)).await.unwrap();
            let bytes = fs::read(&path).unwrap();
            match harm {
                "replace" => {
                    fs::rename(&path, dir.path().join("moved")).unwrap();
                    fs::write(&path, &bytes).unwrap();
                }
                "cut" => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                "append" => fs::write(&path, [&bytes[..], b"x"].concat()).unwrap(),
                _ => fs::remove_file(&path).unwrap(),
            }
            let refused = ledger.open_query(opening(2)).await.unwrap_err();
            assert!(
                matches!(refused, LedgerError::Poisoned { .. }),
                "{harm}: {refused}"
            );
            assert!(!ledger.healthy());
            permit.completed(1, 1);
        });
    }
}

#[test]
fn two_servers_cannot_share_a_ledger() {
    let dir = folder();
    let (ledger, _) = open(dir.path());
    let second = Ledger::open(dir.path(), Arc::new(Ticking::default()));
    assert!(matches!(second, Err(LedgerError::Locked { .. })));
    run(ledger.shutdown()).unwrap();
    assert!(Ledger::open(dir.path(), Arc::new(Ticking::default())).is_ok());
}
