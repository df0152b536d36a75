//! `secrets.*`: the key ring.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::reader::Reader;
use crate::domain::keys::SecretKey;

#[derive(Clone)]
pub struct Secrets {
    /// The first signs and seals, all verify.
    pub keys: Vec<SecretKey>,
}

impl Secrets {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            keys: from.secret_list(
                "secrets.keys",
                "Required with PostgreSQL: `gatelodge keys generate` prints one. The \
                 first signs and seals, all verify. Embedded, a key is generated into \
                 data/",
                secret_key,
            ),
        }
    }
}

/// A key as `gatelodge keys generate` prints it.
///
/// # Errors
/// Says what a key looks like.
pub fn secret_key(text: &str) -> Result<SecretKey, String> {
    let right = |wrong: &str| {
        format!("64 random bytes in base64, as `gatelodge keys generate` prints ({wrong})")
    };
    let bytes = Zeroizing::new(
        STANDARD
            .decode(text)
            .map_err(|_| right("this is no base64"))?,
    );
    SecretKey::parse(&bytes).map_err(|error| right(&error.to_string()))
}
