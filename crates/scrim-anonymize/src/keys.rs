//! Keys of pseudonyms: who may link what.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key of a contract and the recipient it is used for.
///
/// Tokens of two recipients cannot be joined: the recipient is part of the key of every token,
/// unless a mask names a group in its `scope`.
#[derive(Clone)]
pub struct MaskKeys {
    contract: Arc<Zeroizing<[u8; 32]>>,
    recipient: Arc<str>,
}

impl MaskKeys {
    /// Derives the key of a contract's major version from the owner's root key.
    pub fn for_contract(
        root: &[u8; 32],
        contract_id: &str,
        contract_major: &str,
        recipient: &str,
    ) -> Self {
        let parts = [contract_id, contract_major];
        Self::from_contract_key(*derive(root, "scrim/contract/v1", &parts), recipient)
    }

    /// Takes a contract key as it is.
    pub fn from_contract_key(key: [u8; 32], recipient: &str) -> Self {
        Self {
            contract: Arc::new(Zeroizing::new(key)),
            recipient: Arc::from(recipient),
        }
    }

    /// Who the tokens are for.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The key of one identifier space: `K_dom` of the design's golden vectors.
    pub(crate) fn domain(&self, domain: &str, scope: &str) -> Zeroizing<[u8; 32]> {
        derive(&self.contract, "dsq-anon/v1", &["pseudonym", domain, scope])
    }
}

impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKeys")
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA-256 over a label and parts, each part behind its length as four big-endian bytes, so
/// that no two lists of parts are the same message.
fn derive(key: &[u8; 32], label: &str, parts: &[&str]) -> Zeroizing<[u8; 32]> {
    // HMAC fills a short key up with zeros; given a whole block it cannot fail.
    let mut block = Zeroizing::new([0; 64]);
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(label.as_bytes());
    for part in parts {
        // A name of more than 4 GiB does not exist.
        mac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(part.as_bytes());
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Stands for texts that must not be told: equal for equal texts, and of no use to whoever guesses
/// them, since it is made under the owner's root key. 64 hexadecimal digits.
pub fn blinded(root: &[u8; 32], label: &str, texts: &[&str]) -> String {
    let digest = derive(root, label, texts);
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MaskKeys, blinded};

    #[test]
    fn domain_keys_match_the_golden_vector() {
        let keys = MaskKeys::from_contract_key(std::array::from_fn(|i| i as u8), "uni-a");
        let expected = "07c88d7fee1779f330a79e61104861ac7aafd31830fe4aa6ef5ec79ff7d4f318";
        let key = keys.domain("patient_id", "uni-a");
        for (byte, digits) in key.iter().zip(expected.as_bytes().chunks(2)) {
            assert_eq!(format!("{byte:02x}").as_bytes(), digits);
        }
    }

    #[test]
    fn contract_keys_differ_by_root_contract_and_version() {
        let key = |root: u8, id, major| {
            *MaskKeys::for_contract(&[root; 32], id, major, "r").domain("d", "r")
        };
        let base = key(1, "claims", "1");
        assert_eq!(base, key(1, "claims", "1"));
        assert_ne!(base, key(2, "claims", "1"));
        assert_ne!(base, key(1, "claims", "2"));
        assert_ne!(base, key(1, "claim", "s1"));
    }

    #[test]
    fn inv_15_keys_are_not_printed() {
        let keys = MaskKeys::from_contract_key([0xAB; 32], "uni-a");
        let shown = format!("{keys:?}");
        assert!(shown.contains("uni-a") && !shown.contains("171") && !shown.contains("ab, "));
    }

    #[test]
    fn what_stands_for_a_text_depends_on_key_label_and_text() {
        let a = blinded(&[1; 32], "l", &["a", "b"]);
        assert_eq!(a.len(), 64);
        assert_eq!(a, blinded(&[1; 32], "l", &["a", "b"]));
        for other in [
            blinded(&[2; 32], "l", &["a", "b"]),
            blinded(&[1; 32], "m", &["a", "b"]),
            blinded(&[1; 32], "l", &["ab", ""]),
        ] {
            assert_ne!(a, other);
        }
    }
}
