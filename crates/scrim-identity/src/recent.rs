//! Passwords that were found right a short while ago.
//!
//! A run of Argon2id is slow on purpose: it is the price of a guess. Who proved a password just now
//! and opens the next connection with it does not guess, and need not pay again. Nothing here can
//! be read back: a password is kept only as a MAC of what was proven, under a key that lives as
//! long as the process, and a password that was wrong is not kept at all.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use scrim_model::Secret;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::IdentityError;

/// How long a proof spares the next run.
const LIFE: TimeDelta = TimeDelta::minutes(15);
/// How many proofs are remembered.
const ENTRIES_MAX: usize = 4096;
/// As long as a block of SHA-256, so that HMAC takes it as it is.
const KEY_BYTES: usize = 64;

/// An account, a password, and the hash that the password is checked against, as one MAC: another
/// password or another hash is another credential.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Credential([u8; 32]);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// Makes credentials that nobody else can make, nor this process after a restart.
pub(crate) struct CredentialKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialKey(..)")
    }
}

impl CredentialKey {
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(|error| IdentityError::Random(error.to_string()))?;
        Ok(Self(key))
    }

    /// `hash` is that of the account, or the one that stands in for that of an unknown account.
    pub(crate) fn credential(
        &self,
        account: &str,
        password: &Secret<String>,
        hash: &str,
    ) -> Credential {
        let mut mac = Hmac::<Sha256>::new((&*self.0).into());
        // Each part behind its length, so that no two triples are the same message.
        for part in [account, password.expose(), hash] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Credential(mac.finalize().into_bytes().into())
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    proven: DateTime<Utc>,
    /// Grows with every use of any entry.
    used: u64,
}

impl Entry {
    /// A proof from the future is none: the clock was set back, and nobody knows how old it is.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        (TimeDelta::zero()..LIFE).contains(&(now - self.proven))
    }
}

/// The credentials that were proven within the last minutes.
///
/// It belongs to the accounts of an [`Authenticator`](crate::Authenticator): other accounts begin
/// with an empty one.
#[derive(Debug)]
pub(crate) struct RecentProofs {
    // Found by comparing MACs, not in constant time: what that tells of a MAC tells nothing of the
    // password under it.
    entries: BTreeMap<Credential, Entry>,
    uses: u64,
    entries_max: usize,
}

impl Default for RecentProofs {
    fn default() -> Self {
        Self::with_room_for(ENTRIES_MAX)
    }
}

impl RecentProofs {
    fn with_room_for(entries_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            uses: 0,
            entries_max,
        }
    }

    /// Whether this credential was proven a short while ago. Asking does not make its life longer.
    pub(crate) fn contains(&mut self, credential: &Credential, now: DateTime<Utc>) -> bool {
        let entry = self.entries.get_mut(credential);
        let Some(entry) = entry.filter(|entry| entry.is_fresh(now)) else {
            return false;
        };
        self.uses += 1;
        entry.used = self.uses;
        true
    }

    /// Remembers a credential that was proven now, and forgets what is too old or, if there is too
    /// much, what was not used for the longest time.
    pub(crate) fn insert(&mut self, credential: Credential, now: DateTime<Utc>) {
        // Whoever comes here has paid for a run of Argon2id, beside which this is nothing.
        self.entries.retain(|_, entry| entry.is_fresh(now));
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(&credential) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(credential, _)| credential.clone()) {
                self.entries.remove(&oldest);
            }
        }
        self.uses += 1;
        let (proven, used) = (now, self.uses);
        self.entries.insert(credential, Entry { proven, used });
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use scrim_model::Secret;
    use zeroize::ZeroizeOnDrop;

    use super::{Credential, CredentialKey, ENTRIES_MAX, RecentProofs};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn credential(key: &CredentialKey, account: &str, password: &str, hash: &str) -> Credential {
        key.credential(account, &Secret::new(password.to_owned()), hash)
    }

    fn numbered(number: u8) -> Credential {
        Credential([number; 32])
    }

    #[test]
    fn a_credential_is_the_account_the_password_the_hash_and_the_process() {
        let key = CredentialKey::generate().unwrap();
        let own = credential(&key, "alice", "pw", "hash");
        assert_eq!(own, credential(&key, "alice", "pw", "hash"));
        let other = CredentialKey::generate().unwrap();
        assert_ne!(own, credential(&other, "alice", "pw", "hash"));
        // The last three hold the same bytes in the same order, cut elsewhere.
        for (account, password, hash) in [
            ("bob", "pw", "hash"),
            ("alice", "pW", "hash"),
            ("alice", "pw", "hasH"),
            ("alicep", "w", "hash"),
            ("alice", "pwh", "ash"),
            ("", "alicepw", "hash"),
        ] {
            assert_ne!(own, credential(&key, account, password, hash));
        }
    }

    #[test]
    fn a_proof_ends_after_a_quarter_of_an_hour_however_often_it_is_used() {
        let mut recent = RecentProofs::default();
        recent.insert(numbered(1), at(0));
        for seconds in (0..900).step_by(60) {
            assert!(recent.contains(&numbered(1), at(seconds)), "{seconds}");
        }
        assert!(recent.contains(&numbered(1), at(899)));
        assert!(!recent.contains(&numbered(1), at(900)));
        assert!(!recent.contains(&numbered(2), at(1)));
        // A clock that was set back makes no proof younger.
        assert!(!recent.contains(&numbered(1), at(-1)));
        // What is over does not wait in memory for somebody to ask.
        recent.insert(numbered(2), at(900));
        assert_eq!(recent.entries.len(), 1);
    }

    #[test]
    fn too_many_proofs_drive_out_what_was_not_used_for_the_longest_time() {
        let mut recent = RecentProofs::with_room_for(3);
        for number in 1..=3 {
            recent.insert(numbered(number), at(0));
        }
        assert!(recent.contains(&numbered(1), at(1)));
        // One that is there already takes no room.
        recent.insert(numbered(3), at(1));
        assert_eq!(recent.entries.len(), 3);
        recent.insert(numbered(4), at(1));
        assert_eq!(recent.entries.len(), 3);
        let known = |recent: &mut RecentProofs, number| recent.contains(&numbered(number), at(2));
        assert!(!known(&mut recent, 2));
        assert!([1, 3, 4].iter().all(|number| known(&mut recent, *number)));
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut recent = RecentProofs::default();
        let key = CredentialKey::generate().unwrap();
        for number in 0..=ENTRIES_MAX {
            recent.insert(credential(&key, &number.to_string(), "pw", "hash"), at(0));
        }
        assert_eq!(recent.entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn inv_15_neither_a_password_nor_its_mac_is_kept_or_shown() {
        fn is_wiped_when_dropped<T: ZeroizeOnDrop>(_: &T) {}
        let key = CredentialKey::generate().unwrap();
        let own = credential(&key, "alice", "wonderland", "hash");
        is_wiped_when_dropped(&own);
        is_wiped_when_dropped(&key.0);
        let mut recent = RecentProofs::default();
        recent.insert(own.clone(), at(0));
        let shown = format!("{key:?} {own:?} {recent:?}");
        let bytes = format!("{:?}", own.0);
        assert!(!shown.contains("wonderland") && !shown.contains(bytes.trim_matches(['[', ']'])));
        assert!(
            shown.contains("CredentialKey(..) Credential(..)"),
            "{shown}"
        );
    }
}
