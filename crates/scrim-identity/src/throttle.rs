//! How often somebody may guess.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

/// Failures that an account may have before it must wait. Unknown accounts are counted like known
/// ones, or the throttle would tell them apart.
const ACCOUNT_FAILURES_FREE: u32 = 5;
/// Failures that an address may have: more, because a whole office may share one.
const ADDRESS_FAILURES_FREE: u32 = 20;
/// The longest wait. An attacker can make an account wait, so it must end soon; at one guess in
/// five minutes nothing is guessed.
const WAIT_S_MAX: i64 = 300;
/// After the wait, how long until the failures are forgotten.
const FORGET_S: i64 = 900;
/// How many accounts and how many addresses are remembered.
const ENTRIES_MAX: usize = 10_000;

/// The failures of accounts and addresses.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    accounts: Table<[u8; 32]>,
    addresses: Table<IpAddr>,
}

impl Throttle {
    /// How many seconds must pass before the next attempt; 0 for none.
    pub(crate) fn wait_s(
        &mut self,
        account: &str,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> u64 {
        let account = self
            .accounts
            .wait_s(&account_key(account), ACCOUNT_FAILURES_FREE, now);
        let address = address.map_or(0, |address| {
            self.addresses
                .wait_s(&address_key(address), ADDRESS_FAILURES_FREE, now)
        });
        account.max(address)
    }

    /// Counts a failure.
    pub(crate) fn failed(&mut self, account: &str, address: Option<IpAddr>, now: DateTime<Utc>) {
        self.accounts
            .failed(account_key(account), ACCOUNT_FAILURES_FREE, now);
        if let Some(address) = address {
            self.addresses
                .failed(address_key(address), ADDRESS_FAILURES_FREE, now);
        }
    }

    /// Forgets the account's failures. The address's stay: whoever has one account could otherwise
    /// guess at others for ever.
    pub(crate) fn succeeded(&mut self, account: &str) {
        self.accounts.entries.remove(&account_key(account));
    }
}

/// Names have any length, their digests have one.
fn account_key(account: &str) -> [u8; 32] {
    Sha256::digest(account).into()
}

/// Who has one IPv6 address has 2^64 of them.
fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    failures: u32,
    last: DateTime<Utc>,
}

impl Entry {
    /// How long to wait after the last failure: 1, 2, 4, … seconds.
    fn wait(self, free: u32) -> TimeDelta {
        let seconds = match self.failures.checked_sub(free) {
            None => 0,
            Some(beyond) => 1_i64
                .checked_shl(beyond.min(16))
                .unwrap_or(WAIT_S_MAX)
                .min(WAIT_S_MAX),
        };
        TimeDelta::seconds(seconds)
    }

    fn is_forgotten(self, free: u32, now: DateTime<Utc>) -> bool {
        now - self.last > self.wait(free) + TimeDelta::seconds(FORGET_S)
    }
}

/// A bounded table of failures.
#[derive(Debug)]
struct Table<K> {
    entries: BTreeMap<K, Entry>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Table<K> {
    fn wait_s(&mut self, key: &K, free: u32, now: DateTime<Utc>) -> u64 {
        let Some(entry) = self.entries.get_mut(key) else {
            return 0;
        };
        // A clock that was set back must not make anybody wait longer than the whole wait, which
        // begins anew.
        entry.last = entry.last.min(now);
        let left = entry.wait(free) - (now - entry.last);
        let left = left.num_milliseconds().max(0);
        u64::try_from(left).unwrap_or_default().div_ceil(1000)
    }

    fn failed(&mut self, key: K, free: u32, now: DateTime<Utc>) {
        let known = self
            .entries
            .get(&key)
            .filter(|entry| !entry.is_forgotten(free, now));
        let failures = known.map_or(0, |entry| entry.failures).saturating_add(1);
        if known.is_none() && self.entries.len() >= ENTRIES_MAX {
            self.make_room(free, now);
        }
        self.entries.insert(
            key,
            Entry {
                failures,
                last: now,
            },
        );
    }

    /// Drops what is forgotten; if nothing is, whoever failed least and longest ago, so that a
    /// spray of new names drives out other new names and not the accounts that must wait.
    fn make_room(&mut self, free: u32, now: DateTime<Utc>) {
        self.entries
            .retain(|_, entry| !entry.is_forgotten(free, now));
        if self.entries.len() >= ENTRIES_MAX {
            let least = self.entries.iter().min_by_key(|(_, entry)| **entry);
            if let Some(key) = least.map(|(key, _)| *key) {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{ENTRIES_MAX, Throttle};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn waits_double_after_five_failures_and_end_at_five_minutes() {
        let mut throttle = Throttle::default();
        let mut waits = Vec::new();
        let mut now = 0;
        for _ in 0..16 {
            throttle.failed("alice", None, at(now));
            let wait = throttle.wait_s("alice", None, at(now));
            waits.push(wait);
            now += i64::try_from(wait).unwrap();
            assert_eq!(throttle.wait_s("alice", None, at(now)), 0);
        }
        assert_eq!(
            waits,
            [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        assert_eq!(throttle.wait_s("bob", None, at(now)), 0);
        // Long after, all is forgotten.
        throttle.failed("alice", None, at(now + 2000));
        assert_eq!(throttle.wait_s("alice", None, at(now + 2000)), 0);
    }

    #[test]
    fn addresses_wait_whatever_the_account_and_success_frees_the_account_only() {
        let mut throttle = Throttle::default();
        let here = Some("2001:db8::1".parse().unwrap());
        let same_network = Some("2001:db8::ffff:1".parse().unwrap());
        for number in 0..25 {
            throttle.failed(&format!("account-{number}"), here, at(0));
        }
        assert_eq!(throttle.wait_s("alice", here, at(0)), 32);
        assert_eq!(throttle.wait_s("alice", same_network, at(0)), 32);
        assert_eq!(
            throttle.wait_s("alice", Some("2001:db9::1".parse().unwrap()), at(0)),
            0
        );
        for _ in 0..6 {
            throttle.failed("bob", None, at(0));
        }
        throttle.succeeded("bob");
        assert_eq!(throttle.wait_s("bob", None, at(0)), 0);
        throttle.succeeded("alice");
        assert_eq!(throttle.wait_s("alice", here, at(0)), 32);
        let mapped = Some("::ffff:192.0.2.1".parse().unwrap());
        for _ in 0..25 {
            throttle.failed("x", mapped, at(0));
        }
        assert_eq!(
            throttle.wait_s("y", Some("192.0.2.1".parse().unwrap()), at(0)),
            32
        );
    }

    #[test]
    fn a_clock_that_is_set_back_makes_the_wait_begin_anew_and_no_longer() {
        let mut throttle = Throttle::default();
        for _ in 0..10 {
            throttle.failed("alice", None, at(100_000));
        }
        assert_eq!(throttle.wait_s("alice", None, at(100_000)), 32);
        assert_eq!(throttle.wait_s("alice", None, at(5)), 32);
        assert_eq!(throttle.wait_s("alice", None, at(36)), 1);
        assert_eq!(throttle.wait_s("alice", None, at(37)), 0);
    }

    #[test]
    fn a_spray_of_names_does_not_free_an_account_that_must_wait() {
        let mut throttle = Throttle::default();
        for _ in 0..10 {
            throttle.failed("alice", None, at(0));
        }
        for number in 0..ENTRIES_MAX + 50 {
            throttle.failed(&format!("name-{number}"), None, at(1));
        }
        assert_eq!(throttle.accounts.entries.len(), ENTRIES_MAX);
        assert!(throttle.wait_s("alice", None, at(1)) > 0);
    }
}
