//! Digests that other systems have derived from a password: Argon2, PBKDF2, scrypt.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, MIN_SALT_LEN, Params, Version};
use ring::pbkdf2;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Password;
use super::scheme::InvalidHash;

/// What verifying one may take: a second or so, and not the machine's memory.
pub(super) const MAX_MEMORY: u64 = 256 << 20;
/// Bytes gone over, in all passes together.
pub(super) const MAX_PASSAGE: u64 = 1 << 30;
pub(super) const MAX_ITERATIONS: u32 = 5_000_000;

/// A digest that is any shorter could be hit by chance.
const MIN_DIGEST_LENGTH: usize = 16;
const MAX_DIGEST_LENGTH: usize = 64;

pub struct Derived {
    function: Function,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

pub(super) enum Function {
    Argon2(Argon2<'static>),
    Pbkdf2(NonZeroU32),
    Scrypt(scrypt::Params),
}

impl Function {
    pub(super) fn argon2(
        algorithm: Algorithm,
        version: Version,
        kibibytes: u32,
        passes: u32,
        lanes: u32,
    ) -> Result<Self, InvalidHash> {
        let memory = u64::from(kibibytes) << 10;
        bounded(memory, memory.saturating_mul(passes.into()))?;
        let params = Params::new(kibibytes, passes, lanes, None);
        let params = params.map_err(|_| InvalidHash::Damaged)?;
        Ok(Self::Argon2(Argon2::new(algorithm, version, params)))
    }

    pub(super) fn pbkdf2(iterations: u32) -> Result<Self, InvalidHash> {
        if iterations > MAX_ITERATIONS {
            return Err(InvalidHash::TooMuchWork);
        }
        let iterations = NonZeroU32::new(iterations).ok_or(InvalidHash::Damaged)?;
        Ok(Self::Pbkdf2(iterations))
    }

    /// `n`, `r` and `p` of RFC 7914, `n` by its logarithm.
    pub(super) fn scrypt(log_n: u32, r: u32, p: u32) -> Result<Self, InvalidHash> {
        let n = 1_u64.checked_shl(log_n).unwrap_or(u64::MAX);
        let block = u64::from(r) * 128;
        let memory = n.saturating_add(p.into()).saturating_mul(block);
        let passage = n.saturating_mul(p.into()).saturating_mul(block);
        bounded(memory, passage)?;
        let log_n = log_n.try_into().map_err(|_| InvalidHash::Damaged)?;
        let params = scrypt::Params::new(log_n, r, p).map_err(|_| InvalidHash::Damaged)?;
        Ok(Self::Scrypt(params))
    }
}

const fn bounded(memory: u64, passage: u64) -> Result<(), InvalidHash> {
    if memory > MAX_MEMORY || passage > MAX_PASSAGE {
        Err(InvalidHash::TooMuchWork)
    } else {
        Ok(())
    }
}

impl Derived {
    pub(super) fn new(
        function: Function,
        salt: Vec<u8>,
        digest: Vec<u8>,
    ) -> Result<Self, InvalidHash> {
        let is_sound = (MIN_DIGEST_LENGTH..=MAX_DIGEST_LENGTH).contains(&digest.len())
            && salt.len() >= MIN_SALT_LEN;
        is_sound
            .then_some(Self {
                function,
                salt,
                digest,
            })
            .ok_or(InvalidHash::Damaged)
    }

    pub(super) fn is_of(&self, password: &Password) -> bool {
        let (password, salt) = (password.0.as_bytes(), &self.salt);
        let mut actual = Zeroizing::new(vec![0; self.digest.len()]);
        let is_derived = match &self.function {
            Function::Argon2(argon2) => argon2
                .hash_password_into(password, salt, &mut actual)
                .is_ok(),
            Function::Pbkdf2(iterations) => {
                pbkdf2::derive(
                    pbkdf2::PBKDF2_HMAC_SHA256,
                    *iterations,
                    salt,
                    password,
                    &mut actual,
                );
                true
            }
            Function::Scrypt(params) => scrypt::scrypt(password, salt, params, &mut actual).is_ok(),
        };
        is_derived && actual.ct_eq(&self.digest).into()
    }
}
