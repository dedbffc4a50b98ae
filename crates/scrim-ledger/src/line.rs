//! One line of the file: the envelope around an entry.

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

/// What a line may have, newline included; longer lines are neither written nor read.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;

/// Room for the envelope around a body.
const ENVELOPE_BYTES_MAX: usize = 512;

/// What a body may have.
pub(crate) const BODY_BYTES_MAX: usize = LINE_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// The name of the hash, its quotes and the closing brace around 64 digits.
const HASH_OPEN: &[u8] = b",\"hash\":\"";
const HASH_CLOSE: &[u8] = b"\"}";
const DIGITS: usize = 64;
const TAIL: usize = HASH_OPEN.len() + DIGITS + HASH_CLOSE.len();

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// The `prev` of the first line.
pub(crate) const NO_LINE: Digest = [0; 32];

/// A line taken apart; its hash is not yet checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) seq: u64,
    pub(crate) at: &'a str,
    pub(crate) prev: &'a [u8],
    pub(crate) body: &'a [u8],
    covered: &'a [u8],
    hash: &'a [u8],
}

impl Line<'_> {
    /// The digest of what the hash covers, if it is the one that the line states.
    pub(crate) fn checked_hash(&self) -> Option<Digest> {
        let digest = sha256(self.covered);
        (hex(&digest).as_bytes() == self.hash).then_some(digest)
    }
}

/// Appends one line to `out` and returns its hash.
pub(crate) fn write(
    out: &mut Vec<u8>,
    seq: u64,
    at: DateTime<Utc>,
    prev: &Digest,
    body: &[u8],
) -> Digest {
    let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let start = out.len();
    let head = format!(
        r#"{{"seq":{seq},"at":"{at}","prev":"{}","len":{},"body":"#,
        hex(prev),
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
    let hash = sha256(out.get(start..).unwrap_or_default());
    out.extend_from_slice(HASH_OPEN);
    out.extend_from_slice(hex(&hash).as_bytes());
    out.extend_from_slice(HASH_CLOSE);
    out.push(b'\n');
    hash
}

/// Takes a line, without its newline, apart; there is exactly one way to write an entry.
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, &'static str> {
    const SHAPE: &str = "this is not a line of a ledger";
    let (covered, tail) = line
        .len()
        .checked_sub(TAIL)
        .and_then(|at| line.split_at_checked(at))
        .ok_or(SHAPE)?;
    let hash = tail
        .strip_prefix(HASH_OPEN)
        .and_then(|t| t.strip_suffix(HASH_CLOSE))
        .ok_or(SHAPE)?;
    let rest = covered.strip_prefix(b"{\"seq\":").ok_or(SHAPE)?;
    let (seq, rest) = number(rest).ok_or(SHAPE)?;
    let rest = rest.strip_prefix(b",\"at\":\"").ok_or(SHAPE)?;
    let quote = rest.iter().position(|byte| *byte == b'"').ok_or(SHAPE)?;
    let (at, rest) = rest.split_at_checked(quote).ok_or(SHAPE)?;
    let at = std::str::from_utf8(at).map_err(|_| SHAPE)?;
    let rest = rest.strip_prefix(b"\",\"prev\":\"").ok_or(SHAPE)?;
    let (prev, rest) = rest.split_at_checked(DIGITS).ok_or(SHAPE)?;
    let rest = rest.strip_prefix(b"\",\"len\":").ok_or(SHAPE)?;
    let (len, rest) = number(rest).ok_or(SHAPE)?;
    let body = rest.strip_prefix(b",\"body\":").ok_or(SHAPE)?;
    if u64::try_from(body.len()) != Ok(len) {
        return Err("the entry does not have the length that the line states");
    }
    Ok(Line {
        seq,
        at,
        prev,
        body,
        covered,
        hash,
    })
}

/// Reads a whole number without leading zeros.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = bytes.split_at_checked(digits)?;
    if digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// The SHA-256 digest of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| {
        ALPHABET
            .get(usize::from(nibble))
            .copied()
            .map_or('?', char::from)
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{BODY_BYTES_MAX, LINE_BYTES_MAX, NO_LINE, hex, parse, write};

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut out = Vec::new();
        let at = DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap();
        let hash = write(&mut out, 12, at, &NO_LINE, b"{\"a\":1}");
        let line = parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(
            (line.seq, line.at, line.body),
            (12, "2023-11-14T22:13:20.000001Z", &b"{\"a\":1}"[..])
        );
        assert_eq!(line.prev, hex(&NO_LINE).as_bytes());
        assert_eq!(line.checked_hash(), Some(hash));
        assert!(out.len() + 100 < LINE_BYTES_MAX - BODY_BYTES_MAX);
    }

    #[test]
    fn no_part_of_a_line_is_a_line() {
        let mut out = Vec::new();
        write(&mut out, 1, DateTime::UNIX_EPOCH, &NO_LINE, b"{}");
        out.pop();
        for end in 0..out.len() {
            assert!(parse(&out[..end]).is_err(), "{end}");
        }
        assert!(parse(b"").is_err());
        assert!(parse(&[0; 4096]).is_err());
    }
}
