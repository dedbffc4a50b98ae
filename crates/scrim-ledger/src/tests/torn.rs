//! A crash while the last line was written.

use std::fs;

use super::{file_in, folder, lines, open, query, records, run, written};
use crate::{
    Outcome,
    line::{hex, sha256},
    verify,
};

#[test]
fn inv_05_a_torn_tail_at_any_byte_is_cut_off_recorded_and_its_record_abandoned() {
    let bytes = written(&folder(), 2);
    let whole = lines(&bytes);
    let last = whole.last().unwrap().len();
    let before = bytes.len() - last;
    for cut in 0..=last {
        let dir = folder();
        let torn = &bytes[..before + cut];
        fs::write(file_in(&dir), torn).unwrap();
        // Few times only: the check waits a while for the rest of a line.
        if cut % 97 == 0 || cut + 1 >= last {
            assert_eq!(
                verify(&file_in(&dir)).is_ok(),
                cut == 0 || cut == last,
                "{cut}"
            );
        }

        let (ledger, recovery) = open(dir.path());
        run(ledger.shutdown()).unwrap();
        match &recovery.torn {
            None => assert!(cut == 0 || cut == last, "{cut}"),
            Some(found) => {
                assert_eq!(found.bytes, cut as u64);
                assert_eq!(found.sha256, hex(&sha256(&torn[before..])));
            }
        }
        // The last line opens query 2: it is there only if the whole line is.
        let abandoned = if cut == last { vec![query(2)] } else { vec![] };
        assert_eq!(recovery.abandoned, abandoned, "{cut}");

        // What is left is whole, remembers the cut, and has nothing open.
        let verified = verify(&file_in(&dir)).unwrap();
        assert_eq!(verified.open, 0);
        let text = fs::read_to_string(file_in(&dir)).unwrap();
        assert_eq!(
            text.matches("\"recovered\"").count(),
            usize::from(recovery.torn.is_some())
        );
        assert!(text.as_bytes().starts_with(&bytes[..before]));
        let (ledger, again) = open(dir.path());
        run(ledger.shutdown()).unwrap();
        assert_eq!((again.torn, again.abandoned), (None, vec![]));
    }
}

#[test]
fn a_torn_first_line_and_an_empty_file_start_a_new_ledger() {
    let bytes = written(&folder(), 1);
    let first = lines(&bytes)[0].len();
    for cut in [0, 1, first / 2, first - 1] {
        let dir = folder();
        fs::write(file_in(&dir), &bytes[..cut]).unwrap();
        let (ledger, recovery) = open(dir.path());
        run(ledger.shutdown()).unwrap();
        assert_eq!(recovery.created, cut == 0);
        assert_eq!(recovery.entries, 0);
        assert!(verify(&file_in(&dir)).is_ok());
    }
}

#[test]
fn a_last_line_that_is_garbage_is_cut_off_like_a_torn_one() {
    for garbage in [
        &b"\n"[..],
        b"garbage\n",
        &[0; 8192],
        b"{\"seq\":99}\n",
        b"\xff\xfe\n",
    ] {
        let dir = folder();
        let mut bytes = written(&folder(), 2);
        bytes.extend_from_slice(garbage);
        fs::write(file_in(&dir), &bytes).unwrap();
        let (ledger, recovery) = open(dir.path());
        run(ledger.shutdown()).unwrap();
        assert_eq!(recovery.torn.unwrap().bytes, garbage.len() as u64);
        assert_eq!(recovery.abandoned, [query(2)]);
        let ended: Vec<_> = records(&dir).iter().map(|record| record.outcome).collect();
        assert_eq!(ended, [Outcome::Completed, Outcome::Abandoned]);
    }
}
