//! bcrypt: over an HMAC, as passwords are hashed here, and alone, as elsewhere.

use std::hint::black_box;

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use blowfish::Blowfish;
use ring::hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Password;
use super::scheme::InvalidHash;

pub(super) const SALT_LENGTH: usize = 16;
const CHECKSUM_LENGTH: usize = 23;
/// How much of its input bcrypt takes.
const INPUT_LENGTH: usize = 72;

/// Some systems set the bits that are left over in a salt's last letter.
const BASE_64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// bcrypt's work factor: 2^cost rounds. Beyond 16, one hash takes longer than a request may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u32);

impl Cost {
    pub const MIN: u32 = 4;
    pub const MAX: u32 = 16;

    #[must_use]
    pub const fn new(cost: u32) -> Option<Self> {
        match cost {
            Self::MIN..=Self::MAX => Some(Self(cost)),
            _ => None,
        }
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn rounds(self) -> u64 {
        1 << self.0
    }
}

/// What bcrypt is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// `base64(HMAC-SHA-256(salt, password))`: 44 bytes whatever the password's length, so
    /// that bcrypt's cut at 72 bytes and its end at NUL never matter. The key is the salt, so
    /// that nothing hashed elsewhere can be tried here.
    Hmac,
    /// The password, of which 72 bytes count.
    Password,
    /// The password as the `crypt_blowfish` of before 2011 took it, by mistake: bytes beyond
    /// ASCII overwrite the up to three before them.
    SignedBytes,
}

pub struct Bcrypt {
    input: Input,
    cost: Cost,
    salt: [u8; SALT_LENGTH],
    checksum: [u8; CHECKSUM_LENGTH],
}

impl Bcrypt {
    /// Takes the work of one bcrypt hash of that cost.
    pub(super) fn of(password: &Password, cost: Cost, salt: [u8; SALT_LENGTH]) -> Self {
        let input = Input::Hmac;
        Self {
            input,
            cost,
            salt,
            checksum: checksum(&input.of(password, &salt), cost, salt),
        }
    }

    /// No password is known to have that checksum.
    pub(super) const fn of_nobody(cost: Cost) -> Self {
        Self {
            input: Input::Hmac,
            cost,
            salt: [0; SALT_LENGTH],
            checksum: [0; CHECKSUM_LENGTH],
        }
    }

    pub(super) fn parse(
        input: Input,
        cost: &str,
        salt: &str,
        checksum: &str,
    ) -> Result<Self, InvalidHash> {
        let cost = cost.parse().map_err(|_| InvalidHash::Damaged)?;
        if cost > Cost::MAX {
            return Err(InvalidHash::TooMuchWork);
        }
        Ok(Self {
            input,
            cost: Cost::new(cost).ok_or(InvalidHash::Damaged)?,
            salt: decode(salt).ok_or(InvalidHash::Damaged)?,
            checksum: decode(checksum).ok_or(InvalidHash::Damaged)?,
        })
    }

    /// Takes the work of one bcrypt hash of the stored cost.
    pub(super) fn is_of(&self, password: &Password) -> bool {
        // Elsewhere than here, a password ends at NUL: what comes after it would not count.
        let is_whole = self.input == Input::Hmac || !password.0.contains('\0');
        let actual = checksum(&self.input.of(password, &self.salt), self.cost, self.salt);
        bool::from(actual.ct_eq(&self.checksum)) && is_whole
    }

    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn is_ours(&self) -> bool {
        self.input == Input::Hmac
    }

    /// As passlib writes it.
    pub(super) fn to_text(&self) -> String {
        let (salt, checksum) = (BASE_64.encode(self.salt), BASE_64.encode(self.checksum));
        format!(
            "$bcrypt-sha256$v=2,t=2b,r={}${salt}${checksum}",
            self.cost.get()
        )
    }
}

impl Input {
    fn of(self, password: &Password, salt: &[u8; SALT_LENGTH]) -> Zeroizing<Vec<u8>> {
        // The end at NUL is a part of the input, as in every implementation of `$2b$`.
        let text = password.0.as_bytes();
        let mut input = Zeroizing::new(Vec::with_capacity(text.len() + INPUT_LENGTH));
        match self {
            Self::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, BASE_64.encode(salt).as_bytes());
                let mac = hmac::sign(&key, text);
                input.extend_from_slice(STANDARD.encode(mac.as_ref()).as_bytes());
                input.push(0);
            }
            Self::Password => {
                input.extend_from_slice(text);
                input.push(0);
                input.truncate(INPUT_LENGTH);
            }
            Self::SignedBytes => {
                let mut bytes = text.iter().chain(&[0]).cycle();
                for _ in 0..INPUT_LENGTH / 4 {
                    let word = bytes.by_ref().take(4).fold(0_u32, |word, byte| {
                        word << 8 | i32::from(byte.cast_signed()).cast_unsigned()
                    });
                    input.extend_from_slice(&word.to_be_bytes());
                }
            }
        }
        input
    }
}

fn checksum(input: &[u8], cost: Cost, salt: [u8; SALT_LENGTH]) -> [u8; CHECKSUM_LENGTH] {
    let whole = bcrypt::bcrypt(cost.get(), salt, input);
    let mut checksum = [0; CHECKSUM_LENGTH];
    checksum.copy_from_slice(&whole[..CHECKSUM_LENGTH]);
    checksum
}

fn decode<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    BASE_64.decode(text).ok()?.try_into().ok()
}

/// Does so many of bcrypt's rounds, for nothing but the time they take.
pub fn spin(rounds: u64) {
    // As long as the input of our own hashes.
    let (input, salt) = ([1; 45], [1; SALT_LENGTH]);
    let mut state = Blowfish::bc_init_state();
    for _ in 0..rounds {
        state.bc_expand_key(&input);
        state.bc_expand_key(&salt);
    }
    black_box(&state);
}
