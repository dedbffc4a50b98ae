//! Passwords and their hashes.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use scrim_model::Secret;

use crate::IdentityError;

/// How long a password may be, in bytes: Argon2 reads all of it before it becomes slow, so the
/// length that a stranger may send has a bound.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// What new hashes cost: the first choice of OWASP's password storage cheat sheet.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a hash in the accounts file may cost. Each sign-in pays it before the password is known to
/// be right, so a hash beyond these would let anybody stop the server.
const MEMORY_KIB_MAX: u32 = 256 << 10;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 8;

/// Shorter hashes could be met by chance.
const HASH_BYTES_MIN: usize = 16;
const SALT_BYTES_MIN: usize = 8;
const SALT_BYTES: usize = 16;

/// Hashes a password with Argon2id for the accounts file, as a PHC string.
pub fn hash_password(password: &Secret<String>) -> Result<String, IdentityError> {
    hash_with(password, MEMORY_KIB, PASSES)
}

/// Tests hash cheaply; everybody else uses [`hash_password`].
pub(crate) fn hash_with(
    password: &Secret<String>,
    memory_kib: u32,
    passes: u32,
) -> Result<String, IdentityError> {
    let password = password.expose().as_bytes();
    if password.is_empty() {
        return Err(IdentityError::PasswordEmpty);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(IdentityError::PasswordTooLong);
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| IdentityError::Random(error.to_string()))?;
    let failed = |error: &dyn std::fmt::Display| IdentityError::Hash(error.to_string());
    let params = Params::new(memory_kib, passes, LANES, None).map_err(|e| failed(&e))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2
        .hash_password_with_salt(password, &salt)
        .map_err(|e| failed(&e))?;
    Ok(hash.to_string())
}

/// Whether a password belongs to a hash; the comparison takes the same time wherever they differ.
pub(crate) fn verify(password: &Secret<String>, hash: &PasswordHash) -> bool {
    let password = password.expose().as_bytes();
    password.len() <= PASSWORD_BYTES_MAX
        && Argon2::default().verify_password(password, hash).is_ok()
}

/// Reads a PHC string; the error says what is wrong and never repeats the string.
pub(crate) fn parse(text: &str) -> Result<PasswordHash, String> {
    let hash = PasswordHash::new(text)
        .map_err(|_| "this is not a password hash in PHC form".to_owned())?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err("the password hash is not an Argon2id hash".to_owned());
    }
    if hash.version != Some(19) {
        return Err("the password hash does not have version 19 of Argon2 (`v=19`)".to_owned());
    }
    let params = Params::try_from(&hash)
        .map_err(|_| "the parameters of the password hash are not those of Argon2".to_owned())?;
    if !params.keyid().is_empty() || !params.data().is_empty() {
        return Err("`keyid` and `data` in a password hash are not supported".to_owned());
    }
    if params.m_cost() > MEMORY_KIB_MAX
        || params.t_cost() > PASSES_MAX
        || params.p_cost() > LANES_MAX
    {
        return Err(format!(
            "the password hash costs too much: at most m={MEMORY_KIB_MAX}, t={PASSES_MAX} and p={LANES_MAX} are accepted"
        ));
    }
    let salt = hash.salt.as_ref().map_or(0, |salt| salt.len());
    let length = hash
        .hash
        .as_ref()
        .map_or(0, argon2::password_hash::phc::Output::len);
    if salt < SALT_BYTES_MIN || length < HASH_BYTES_MIN {
        return Err(
            "the password hash lacks its salt or its end, or they are too short".to_owned(),
        );
    }
    Ok(hash)
}
