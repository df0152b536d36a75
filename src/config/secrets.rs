//! `secrets.*`: the key ring.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::reader::{Mistakes, Reader};
use super::source::Source;
use crate::domain::keys::SecretKey;

#[derive(Clone)]
pub struct Secrets {
    /// The first key signs and encrypts; every key verifies.
    pub keys: Vec<SecretKey>,
    /// Where they were read, if not in the environment.
    pub file: Option<PathBuf>,
    source: Source,
}

impl Secrets {
    pub(super) fn read(from: &mut Reader) -> Self {
        let file = from.file_of("secrets.keys");
        let keys: Vec<_> = from.secret_list(
            "secrets.keys",
            "Required with PostgreSQL: `gatelodge keys generate` prints one. The \
             first key signs and encrypts; every key verifies. In a file, they can be changed \
             while the service runs. Embedded, a key is generated into data/",
            secret_key,
        );
        if !SecretKey::are_distinct(&keys) {
            from.mistake(
                "secrets.keys",
                "has a key twice, or two that are too much alike: leave one out, or take \
                 another that `gatelodge keys generate` prints",
            );
        }
        Self {
            keys,
            file,
            source: from.source().clone(),
        }
    }

    /// The keys in a file, as `secrets.keys_file` takes it.
    ///
    /// # Errors
    /// All mistakes: what is wrong, and what would be right.
    pub fn in_file(path: &Path) -> Result<Self, Mistakes> {
        let path = path.display().to_string();
        Self::read_from(Source::of_variable("GATELODGE_SECRETS__KEYS_FILE", path))
    }

    /// The same, as the files say by now. Where these came from is not asked again:
    /// neither what the environment says nor what else is configured.
    ///
    /// # Errors
    /// All mistakes: what is wrong, and what would be right.
    pub fn read_again(&self) -> Result<Self, Mistakes> {
        Self::read_from(self.source.clone())
    }

    fn read_from(source: Source) -> Result<Self, Mistakes> {
        let mut reader = Reader::open(source)?;
        reader.keep_section("secrets");
        let secrets = Self::read(&mut reader);
        reader.finish()?;
        if secrets.keys.is_empty() {
            return Err(Mistakes::one("secrets.keys", MISSING));
        }
        Ok(secrets)
    }
}

pub(super) const MISSING: &str = "is missing: instances that share a PostgreSQL must share their keys; `gatelodge keys \
     generate` prints one";

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
