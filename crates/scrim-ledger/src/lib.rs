//! One append-only, hash-chained log of all that matters: which query was opened under which
//! decisions and how it ended, which query was refused, who signed in, which policies were loaded,
//! what was revoked.
//!
//! Only this crate turns decisions into a [`Permit`], and it does so after the record is durable:
//! no ledger, no data. A record is closed exactly once, because its permit is one value that every
//! way of closing consumes, dropping it included; what a crash leaves open is closed as `abandoned`
//! at the next start.
//!
//! This crate must never know how a query is run, and it never sees a value of a result.
//!
//! # The file
//!
//! `<dir>/ledger.jsonl`, one entry a line, every line one JSON object that ends with a newline:
//!
//! ```json
//! {"seq":7,"at":"2026-01-02T03:04:05.000006Z","prev":"<64 hex>","len":31,"body":{"entry":"server_stopped"},"hash":"<64 hex>"}
//! ```
//!
//! | field | what it is | set by |
//! | --- | --- | --- |
//! | `seq` | 1, 2, 3, … without a gap | the ledger |
//! | `at` | when the entry was written, UTC | the server's clock |
//! | `prev` | the `hash` of the line before; 64 zeros on line 1 | the ledger |
//! | `len` | the number of bytes of `body` | the ledger |
//! | `body` | the entry; its field `entry` says of what kind | see below |
//! | `hash` | SHA-256 of the line's bytes up to, and without, `,"hash":` | the ledger |
//!
//! The fields come in this order and without spaces between them, so the last 76 bytes of a line
//! are `,"hash":"`, 64 hexadecimal digits, `"}` and a newline, and everything before them is what
//! the hash covers: `seq`, `at`, `prev`, `len` and the exact bytes of `body`. Control characters,
//! and characters that change the direction of text, are always written as `\u` escapes.
//!
//! Anybody can check a ledger:
//!
//! ```python
//! import hashlib, json, sys
//! prev = "0" * 64
//! for number, line in enumerate(open(sys.argv[1], "rb"), 1):
//!     covered, tail, entry = line[:-76], line[-76:], json.loads(line)
//!     digest = hashlib.sha256(covered).hexdigest()
//!     assert tail == b',"hash":"%s"}\n' % digest.encode(), f"line {number}: changed"
//!     assert entry["seq"] == number and entry["prev"] == prev, f"line {number}: moved"
//!     assert entry["len"] == len(covered.split(b',"body":', 1)[1]), f"line {number}: length"
//!     prev = digest
//! print(number, "entries, head", prev)
//! ```
//!
//! or, one line, with `sed` and `sha256sum`: `sed -n 7p ledger.jsonl | tr -d '\n' | head -c -75 |
//! sha256sum`, compared with `sed -n 7p ledger.jsonl | jq -r .hash`.
//!
//! A chain shows any change in the middle. It cannot show that whole lines at the *end* were cut
//! off, or that the whole file was replaced by an older copy: keep the head that [`verify`] returns
//! somewhere else, and compare.
//!
//! # The kinds of entries
//!
//! | `entry` | when it is written | fields that the client chose, unverified |
//! | --- | --- | --- |
//! | `created` | the first line | |
//! | `recovered` | a start found a torn last line and cut it off: `bytes`, `sha256` of what was cut | |
//! | `opened` | before the first byte of data is read; an *attempt*, its `closed` says how it ended | `client`, `purpose`, `sql`, and of `facts` `agreement`, `release`, `schema`, `zone` |
//! | `closed` | after the last batch, or at the next start: `outcome`, `rows`, `bytes`, `code`, `reason` | |
//! | `refused` | a query was refused before it was opened; its tables as far as the statement could be read | the same |
//! | `server_started`, `server_stopped` | as named | |
//! | `policy_loaded` | a policy set decides from now on: `version`, `cause`, `by`; `files`, each with its hash, or else those `changed` and `removed` since the `policy_loaded` before; `folder` while a rollback is in force | |
//! | `policy_refused` | policies could not be loaded: `version`, `cause`, `by`, `problems` | |
//! | `shadow_loaded`, `shadow_lost`, `shadow_differed`, `shadow_missed` | policies that are not enforced were loaded, could not be loaded any more, would have decided otherwise about a query, could not be asked about some | |
//! | `signed_in`, `sign_in_refused`, `session_renewed`, `session_closed` | as named | `account` of a refused sign-in |
//! | `revoked`, `reinstated` | the owner took access back, or gave it again; a start folds them, so that it stays so | |
//!
//! A query's entry holds all that its decisions were made from and what they were, so that they can
//! be told and made again: `facts` (who asks and in what circumstances; what is not known is left
//! out), `policy_version`, and in `decided` one decision for each table: `[schema, table]`, its
//! verdict, the agreements that matched (`arms`) with the clauses and the values bound to them,
//! `guards`, `columns` (neighbours that are shown alike stand together), the agreements that did not
//! match (16 of them; `unmatched_more` counts the rest), limits, hash, and in `used` the columns that
//! the query uses (`"*"` is all that it sees). A place is `file:line:column`, its file a number in
//! `files`. Ledgers of older versions have `decisions` instead, without facts; they are read, too.
//!
//! # Durability
//!
//! One thread writes. It takes everything that is queued, appends it in one write, calls
//! `fdatasync` once, and wakes all that wait. A write or `fdatasync` that fails is never tried
//! again, because after a failed `fdatasync` the kernel may report success for pages that it
//! dropped: the ledger is *poisoned*, every later opening is refused, and [`Ledger::healthy`] is
//! false until the process is started again on a disk that works.

mod decided;
mod entry;
mod error;
mod facts;
mod ledger;
mod line;
mod permit;
mod policies;
mod read;
mod replay;
mod shadow;
mod sink;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

pub use decided::{Reading, TableUse};
pub use entry::{Event, LoadCause, Opening, Outcome, RefusedQuery};
pub use error::{Damage, LedgerError};
pub use facts::Facts;
pub use ledger::{FILE_NAME, Head, Ledger, Recovery, Torn};
pub use permit::Permit;
pub use policies::{Load, Loads, Rollback, loads};
pub use read::{Filter, Record, Records, read};
pub use replay::{Verified, revocations, verify};
pub use shadow::{ShadowChange, ShadowDifference, shadow};
pub use summary::{ShadowCounts, ShadowDifferences, ShadowSummary};
