//! The keys of a server.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use scrim_model::Secret;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{IdentityError, Sealer};

const FORMAT: u32 = 1;
const KEY_BYTES: usize = 32;

/// How many sealing keys are kept: what was sealed with an older one is refused.
const SEALING_KEYS_MAX: usize = 8;

/// The keys of a server: those that seal tokens and tickets, and the root of all pseudonyms.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The newest last.
    sealing: Vec<Key>,
    root: Key,
}

#[derive(Debug, Clone)]
struct Key {
    id: String,
    created: DateTime<Utc>,
    bytes: Secret<[u8; KEY_BYTES]>,
}

/// What may be told about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id; for a sealing key it is part of every sealed text.
    pub id: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// What it is for.
    pub used_for: KeyUse,
    /// Whether new texts are sealed, or pseudonyms made, with it.
    pub active: bool,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Sealing tokens and tickets; rotates.
    Sealing,
    /// The root of the keys of pseudonyms; never rotates by itself, because every pseudonym that
    /// was handed out would change.
    Pseudonyms,
}

impl KeyUse {
    /// The word for it in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Pseudonyms => "pseudonyms",
        }
    }
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: u32,
    sealing: Vec<KeyText>,
    pseudonyms: KeyText,
}

/// Its key is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    id: String,
    created: DateTime<Utc>,
    key: String,
}

impl Drop for KeyText {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyFile {
    /// Makes a sealing key and a pseudonym root from the operating system's randomness.
    pub fn generate(now: DateTime<Utc>) -> Result<Self, IdentityError> {
        Ok(Self {
            sealing: vec![Key::generate("s", now)?],
            root: Key::generate("p", now)?,
        })
    }

    /// Reads the text of a key file; errors never repeat a part of it.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let malformed = |what: &str| IdentityError::KeyFileMalformed(what.to_owned());
        let text: Text = serde_json::from_str(text).map_err(|error| {
            // The parser's own message may quote the value that it did not expect.
            IdentityError::KeyFileMalformed(format!(
                "it is not the JSON that `scrim keys new` writes (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        if text.format != FORMAT {
            return Err(malformed(
                "it is of a format that this version does not know",
            ));
        }
        if text.sealing.is_empty() {
            return Err(malformed("it holds no sealing key"));
        }
        if text.sealing.len() > SEALING_KEYS_MAX {
            return Err(malformed(
                "it holds more sealing keys than are kept: remove the oldest",
            ));
        }
        let sealing = text
            .sealing
            .iter()
            .map(Key::read)
            .collect::<Option<Vec<_>>>();
        let keys = sealing.zip(Key::read(&text.pseudonyms));
        let (sealing, root) =
            keys.ok_or_else(|| malformed("one of its keys is not 32 bytes in base64url"))?;
        let mut ids: Vec<_> = sealing
            .iter()
            .chain([&root])
            .map(|key| key.id.as_str())
            .collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(malformed("two of its keys have the same id"));
        }
        let is_good = |id: &&str| {
            (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if !ids.iter().all(is_good) {
            return Err(malformed("the id of a key has 1 to 32 letters and digits"));
        }
        Ok(Self { sealing, root })
    }

    /// The text of the key file.
    pub fn to_json(&self) -> Result<Secret<String>, IdentityError> {
        let text = Text {
            format: FORMAT,
            sealing: self.sealing.iter().map(Key::write).collect(),
            pseudonyms: self.root.write(),
        };
        let mut json = serde_json::to_string_pretty(&text)
            .map_err(|error| IdentityError::KeyFileMalformed(error.to_string()))?;
        json.push('\n');
        Ok(Secret::new(json))
    }

    /// Adds a sealing key, with which everything is sealed from now on. What was sealed with the
    /// keys before opens still; of those only the newest few are kept.
    pub fn rotate(&mut self, now: DateTime<Utc>) -> Result<KeyInfo, IdentityError> {
        let key = Key::generate("s", now)?;
        let info = key.info(KeyUse::Sealing, true);
        self.sealing.push(key);
        let surplus = self.sealing.len().saturating_sub(SEALING_KEYS_MAX);
        self.sealing.drain(..surplus);
        Ok(info)
    }

    /// What may be told about the keys, the oldest first.
    pub fn list(&self) -> Vec<KeyInfo> {
        let newest = self.sealing.len().saturating_sub(1);
        let sealing = self.sealing.iter().enumerate();
        let sealing = sealing.map(|(at, key)| key.info(KeyUse::Sealing, at == newest));
        sealing
            .chain([self.root.info(KeyUse::Pseudonyms, true)])
            .collect()
    }

    /// The root of the keys of pseudonyms.
    pub fn root_key(&self) -> Secret<[u8; 32]> {
        self.root.bytes.clone()
    }

    /// What seals tokens and tickets with these keys.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(self.sealing.iter().map(|key| (key.id.as_str(), &key.bytes)))
    }
}

impl Key {
    fn generate(prefix: &str, now: DateTime<Utc>) -> Result<Self, IdentityError> {
        let (mut id, mut bytes) = ([0; 4], Zeroizing::new([0; KEY_BYTES]));
        for part in [&mut id[..], &mut bytes[..]] {
            getrandom::fill(part).map_err(|error| IdentityError::Random(error.to_string()))?;
        }
        let id = format!("{prefix}{:08x}", u32::from_le_bytes(id));
        Ok(Self {
            id,
            created: now,
            bytes: Secret::new(*bytes),
        })
    }

    fn read(text: &KeyText) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(&text.key).ok()?);
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok()?);
        Some(Self {
            id: text.id.clone(),
            created: text.created,
            bytes: Secret::new(*bytes),
        })
    }

    fn write(&self) -> KeyText {
        let key = URL_SAFE_NO_PAD.encode(self.bytes.expose());
        KeyText {
            id: self.id.clone(),
            created: self.created,
            key,
        }
    }

    fn info(&self, used_for: KeyUse, active: bool) -> KeyInfo {
        KeyInfo {
            id: self.id.clone(),
            created: self.created,
            used_for,
            active,
        }
    }
}
