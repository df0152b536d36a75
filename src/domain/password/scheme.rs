//! The schemes that a stored hash can be of: our own, and those that users bring from
//! other systems.

use argon2::{Algorithm, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::Password;
use super::bcrypt::{Bcrypt, Cost, Input};
use super::derived::{Derived, Function, MAX_ITERATIONS, MAX_MEMORY, MAX_PASSAGE};

/// A stored hash, understood.
pub enum Scheme {
    Bcrypt(Bcrypt),
    Derived(Derived),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    #[error(
        "is of no scheme known here, which are: bcrypt ($2a$, $2b$, $2x$, $2y$), Argon2 \
         ($argon2id$, $argon2i$, $argon2d$), scrypt ($scrypt$ of passlib, scrypt$ of Django), \
         PBKDF2 (pbkdf2_sha256$ of Django), and our own ($bcrypt-sha256$)"
    )]
    UnknownScheme,
    #[error("has a parameter, a salt or a digest that its scheme does not allow")]
    Damaged,
    #[error(
        "takes more work than a log-in may: bcrypt of cost {}, {MAX_ITERATIONS} iterations of \
         PBKDF2, or {} MiB of memory and {} MiB gone over in all passes",
        Cost::MAX, MAX_MEMORY >> 20, MAX_PASSAGE >> 20
    )]
    TooMuchWork,
}

impl Scheme {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidHash> {
        let fields: Vec<&str> = text.split('$').collect();
        match *fields {
            ["", "bcrypt-sha256", parameters, salt, checksum] => {
                let cost = parameters.strip_prefix("v=2,t=2b,r=");
                bcrypt(Input::Hmac, cost, Some((salt, checksum)))
            }
            ["", "2a" | "2b" | "2y", cost, rest] => {
                bcrypt(Input::Password, Some(cost), rest.split_at_checked(22))
            }
            ["", "2x", cost, rest] => {
                bcrypt(Input::SignedBytes, Some(cost), rest.split_at_checked(22))
            }
            ["", name, "v=19", costs, salt, digest] if name.starts_with("argon2") => {
                argon2(name, Version::V0x13, costs, salt, digest)
            }
            ["", name, "v=16", costs, salt, digest] | ["", name, costs, salt, digest]
                if name.starts_with("argon2") =>
            {
                argon2(name, Version::V0x10, costs, salt, digest)
            }
            ["", "scrypt", costs, salt, digest] => {
                let [log_n, r, p] = parameters(costs, ["ln", "r", "p"])?;
                let (salt, digest) = (unpadded(salt)?, unpadded(digest)?);
                derived(Function::scrypt(log_n, r, p)?, salt, digest)
            }
            ["scrypt", n, salt, r, p, digest] => {
                let n = number(n)?;
                if !n.is_power_of_two() {
                    return Err(InvalidHash::Damaged);
                }
                let function = Function::scrypt(n.ilog2(), number(r)?, number(p)?)?;
                derived(function, salt.into(), padded(digest)?)
            }
            ["pbkdf2_sha256", iterations, salt, digest] => {
                let function = Function::pbkdf2(number(iterations)?)?;
                derived(function, salt.into(), padded(digest)?)
            }
            _ => Err(InvalidHash::UnknownScheme),
        }
    }

    /// One that no password opens, for accounts that do not exist: it takes as long to
    /// verify as one of ours.
    #[must_use]
    pub const fn of_nobody(cost: Cost) -> Self {
        Self::Bcrypt(Bcrypt::of_nobody(cost))
    }

    /// Takes the work of verifying it.
    #[must_use]
    pub fn is_of(&self, password: &Password) -> bool {
        match self {
            Self::Bcrypt(bcrypt) => bcrypt.is_of(password),
            Self::Derived(derived) => derived.is_of(password),
        }
    }

    /// How many of bcrypt's rounds that takes, if it is bcrypt.
    #[must_use]
    pub const fn rounds(&self) -> Option<u64> {
        match self {
            Self::Bcrypt(bcrypt) => Some(bcrypt.cost().rounds()),
            Self::Derived(_) => None,
        }
    }

    /// Whether it is a hash as it would be made now.
    #[must_use]
    pub fn is_current(&self, cost: Cost) -> bool {
        matches!(self, Self::Bcrypt(bcrypt) if bcrypt.is_ours() && bcrypt.cost() == cost)
    }
}

fn bcrypt(
    input: Input,
    cost: Option<&str>,
    rest: Option<(&str, &str)>,
) -> Result<Scheme, InvalidHash> {
    let (cost, (salt, checksum)) = cost.zip(rest).ok_or(InvalidHash::Damaged)?;
    Bcrypt::parse(input, cost, salt, checksum).map(Scheme::Bcrypt)
}

fn argon2(
    name: &str,
    version: Version,
    costs: &str,
    salt: &str,
    digest: &str,
) -> Result<Scheme, InvalidHash> {
    let algorithm = Algorithm::new(name).map_err(|_| InvalidHash::UnknownScheme)?;
    let [memory, passes, lanes] = parameters(costs, ["m", "t", "p"])?;
    let (salt, digest) = (unpadded(salt)?, unpadded(digest)?);
    let function = Function::argon2(algorithm, version, memory, passes, lanes)?;
    derived(function, salt, digest)
}

fn derived(function: Function, salt: Vec<u8>, digest: Vec<u8>) -> Result<Scheme, InvalidHash> {
    Derived::new(function, salt, digest).map(Scheme::Derived)
}

/// `a=1,b=2`, with exactly these names in this order.
fn parameters<const COUNT: usize>(
    text: &str,
    names: [&str; COUNT],
) -> Result<[u32; COUNT], InvalidHash> {
    let mut parts = text.split(',');
    let mut values = [0; COUNT];
    for (value, name) in values.iter_mut().zip(names) {
        let part = parts.next().and_then(|part| part.split_once('='));
        let (_, text) = part
            .filter(|(key, _)| *key == name)
            .ok_or(InvalidHash::Damaged)?;
        *value = number(text)?;
    }
    match parts.next() {
        Some(_) => Err(InvalidHash::Damaged),
        None => Ok(values),
    }
}

fn number(text: &str) -> Result<u32, InvalidHash> {
    text.parse().map_err(|_| InvalidHash::Damaged)
}

fn padded(text: &str) -> Result<Vec<u8>, InvalidHash> {
    STANDARD.decode(text).map_err(|_| InvalidHash::Damaged)
}

fn unpadded(text: &str) -> Result<Vec<u8>, InvalidHash> {
    STANDARD_NO_PAD
        .decode(text)
        .map_err(|_| InvalidHash::Damaged)
}
