//! `tokens.*`: the JWTs that are minted from sessions.

use std::collections::HashSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::reader::{Mistakes, Reader};
use super::values::{NOT_PEM, duration, read_file};
use crate::domain::jwt::{
    Addition, Algorithm, MAX_LIFETIME, MIN_LIFETIME, PemKeys, SigningKey, StringOrUri, Template,
    TemplateName,
};
use crate::entropy;

#[derive(Clone)]
pub struct Tokens {
    /// Left out, it is the origin of `server.public_url`.
    pub issuer: Option<StringOrUri>,
    pub templates: Vec<Template>,
    pub files: KeyFiles,
    /// What was in the files.
    pub keys: PemKeys,
}

/// Where the keys are that are not derived.
#[derive(Clone, Default)]
pub struct KeyFiles {
    es256: Option<PathBuf>,
    rs256: Option<PathBuf>,
}

/// A template, and what is known of it before all of it is right.
struct Draft {
    name: Option<TemplateName>,
    algorithm: Algorithm,
    whole: Option<Template>,
}

const TEMPLATES: &str = "tokens.templates";
const ES256_FILE: &str = "tokens.es256_keys_file";
const RS256_FILE: &str = "tokens.rs256_keys_file";

impl Tokens {
    pub(super) fn read(from: &mut Reader) -> Self {
        let issuer = from.optional(
            "tokens.issuer",
            "By whom JWTs are said to be issued. Unset: the origin of server.public_url",
            |text| StringOrUri::parse(text).map_err(|right| right.to_string()),
        );
        let templates = from.tables(
            TEMPLATES,
            "The kinds of JWTs that whoami?tokenize_as=… mints from sessions: name, audience, \
             and, if they are not left out, lifetime (5m; at most 15m), algorithm (EdDSA, ES256 \
             or RS256) and claims (a list of email, name, auth_time)",
            template,
        );
        let files = KeyFiles {
            es256: from.file_of("tokens.es256_keys"),
            rs256: from.file_of("tokens.rs256_keys"),
        };
        let es256 = from.optional_file(
            ES256_FILE,
            "A file of private keys on the curve P-256, PKCS#8 in PEM: the first signs the JWTs \
             of templates with ES256, all are published. Can be changed while the service runs",
            |path| keys_in(Path::new(path), Algorithm::Es256),
        );
        let rs256 = from.optional_file(
            RS256_FILE,
            "The same with RSA keys of 2048 to 4096 bits, for RS256",
            |path| keys_in(Path::new(path), Algorithm::Rs256),
        );
        look_at_the_whole(&templates, from);
        Self {
            issuer,
            templates: templates.into_iter().filter_map(|it| it.whole).collect(),
            files,
            keys: PemKeys {
                es256: es256.unwrap_or_default(),
                rs256: rs256.unwrap_or_default(),
            },
        }
    }
}

fn look_at_the_whole(templates: &[Draft], from: &mut Reader) {
    let mut names = HashSet::new();
    for name in templates.iter().filter_map(|it| it.name.as_ref()) {
        let name = name.as_str();
        if !names.insert(name) {
            from.mistake(TEMPLATES, &format!("has two of the name {name:?}"));
        }
    }
    for (algorithm, file) in [
        (Algorithm::Es256, ES256_FILE),
        (Algorithm::Rs256, RS256_FILE),
    ] {
        let is_needed = templates.iter().any(|it| it.algorithm == algorithm);
        if is_needed && !from.is_given(file) {
            let algorithm = algorithm.as_str();
            let wrong = format!("is missing; {TEMPLATES} has one whose algorithm is {algorithm}");
            from.mistake(file, &wrong);
        }
    }
}

impl KeyFiles {
    /// The keys, as the files say by now.
    ///
    /// # Errors
    /// All mistakes: what is wrong, and what would be right.
    pub fn read(&self) -> Result<PemKeys, Mistakes> {
        let mut reader = Reader::default();
        let mut keys = |key, path: &Option<PathBuf>, algorithm| {
            let path = path.as_deref()?;
            let told = path.to_string_lossy();
            keys_in(path, algorithm)
                .map_err(|right| reader.mistake(key, &format!("is {told:?}; it takes {right}")))
                .ok()
        };
        let keys = PemKeys {
            es256: keys(ES256_FILE, &self.es256, Algorithm::Es256).unwrap_or_default(),
            rs256: keys(RS256_FILE, &self.rs256, Algorithm::Rs256).unwrap_or_default(),
        };
        reader.finish()?;
        Ok(keys)
    }
}

/// Says what is right instead.
fn keys_in(path: &Path, algorithm: Algorithm) -> Result<Vec<Arc<SigningKey>>, String> {
    let right = |wrong: &dyn Display| {
        format!("the path of a file of private keys, PKCS#8 in PEM ({wrong})")
    };
    let pem = Zeroizing::new(read_file(path).map_err(|error| right(&error))?);
    let (mut keys, mut wrong) = (Vec::new(), Vec::new());
    for (key, number) in PrivateKeyDer::pem_slice_iter(pem.as_bytes()).zip(1..) {
        let key = key.map_err(|_| right(&NOT_PEM))?;
        match signing_key(&key, algorithm) {
            Ok(key) => keys.push(Arc::new(key)),
            Err(what) => wrong.push(format!("key {number} {what}")),
        }
    }
    let kids: HashSet<_> = keys.iter().map(|key| key.public().kid()).collect();
    if kids.len() < keys.len() {
        wrong.push("one of them is there twice".to_owned());
    }
    if keys.is_empty() && wrong.is_empty() {
        wrong.push("there is none in this one".to_owned());
    }
    if wrong.is_empty() {
        Ok(keys)
    } else {
        Err(right(&wrong.join("; ")))
    }
}

/// Says what is wrong.
fn signing_key(key: &PrivateKeyDer<'_>, algorithm: Algorithm) -> Result<SigningKey, String> {
    let PrivateKeyDer::Pkcs8(der) = key else {
        let mend = "`openssl pkcs8 -topk8 -nocrypt` makes it so";
        return Err(format!("is not PKCS#8: {mend}"));
    };
    let der = der.secret_pkcs8_der();
    SigningKey::from_pkcs8(algorithm, der, &entropy::source())
        .map_err(|invalid| format!("must be {invalid}"))
}

fn template(from: &mut Reader) -> Draft {
    let name = from.required("name", |text| {
        TemplateName::parse(text).map_err(|right| right.to_string())
    });
    let audience = from.required("audience", |text| {
        StringOrUri::parse(text).map_err(|right| right.to_string())
    });
    let lifetime = from.value("lifetime", "5m", "", lifetime);
    let algorithm = from.value("algorithm", "EdDSA", "", algorithm);
    let additions = from.list("claims", "", addition);
    let whole = name.clone().zip(audience);
    let whole = whole.map(|(name, audience)| Template {
        name,
        audience,
        lifetime,
        algorithm,
        additions,
    });
    Draft {
        name,
        algorithm,
        whole,
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|lifetime| (MIN_LIFETIME..=MAX_LIFETIME).contains(lifetime))
        .ok_or_else(|| "a duration from 10s to 15m".to_owned())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    match text {
        "EdDSA" => Ok(Algorithm::EdDsa),
        "ES256" => Ok(Algorithm::Es256),
        "RS256" => Ok(Algorithm::Rs256),
        _ => Err("EdDSA, ES256 or RS256".to_owned()),
    }
}

fn addition(text: &str) -> Result<Addition, String> {
    match text {
        "email" => Ok(Addition::Email),
        "name" => Ok(Addition::Name),
        "auth_time" => Ok(Addition::AuthTime),
        _ => Err("email, name or auth_time".to_owned()),
    }
}
