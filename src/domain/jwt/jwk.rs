//! Public keys as JSON (RFC 7517; RFC 7518, 6; RFC 8037, 2).

use base64::Engine as _;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Algorithm, BASE64};

/// Public keys, of which a token names one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    pub keys: Vec<Jwk>,
}

/// A public key for signatures, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    #[serde(flatten)]
    members: Members,
    /// The thumbprint (RFC 7638).
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

/// Of which a key's thumbprint is made: in the order of their names (RFC 7638, 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Members {
    Ed25519 {
        crv: &'static str,
        kty: &'static str,
        x: String,
    },
    P256 {
        crv: &'static str,
        kty: &'static str,
        x: String,
        y: String,
    },
    Rsa {
        e: String,
        kty: &'static str,
        n: String,
    },
}

impl Members {
    pub(super) fn ed25519(x: &[u8]) -> Self {
        Self::Ed25519 {
            crv: "Ed25519",
            kty: "OKP",
            x: BASE64.encode(x),
        }
    }

    /// Of the two coordinates of a point, one after the other.
    pub(super) fn p256(point: &[u8]) -> Self {
        let (x, y) = point.split_at(point.len() / 2);
        Self::P256 {
            crv: "P-256",
            kty: "EC",
            x: BASE64.encode(x),
            y: BASE64.encode(y),
        }
    }

    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            e: BASE64.encode(e),
            kty: "RSA",
            n: BASE64.encode(n),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519 { .. } => Algorithm::EdDsa,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }

    fn thumbprint(&self) -> String {
        let json = match self {
            Self::Ed25519 { crv, kty, x } => {
                format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#)
            }
            Self::P256 { crv, kty, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#)
            }
            Self::Rsa { e, kty, n } => format!(r#"{{"e":"{e}","kty":"{kty}","n":"{n}"}}"#),
        };
        BASE64.encode(digest(&SHA256, json.as_bytes()))
    }
}

impl Jwk {
    pub(super) fn new(members: Members) -> Self {
        Self {
            kid: members.thumbprint(),
            alg: members.algorithm().as_str(),
            usage: "sig",
            members,
        }
    }

    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// A key as somebody else has written it: a public one, or a shared secret.
#[derive(Deserialize)]
pub(super) struct Foreign {
    pub(super) kty: String,
    pub(super) crv: Option<String>,
    pub(super) x: Option<String>,
    pub(super) y: Option<String>,
    pub(super) n: Option<String>,
    pub(super) e: Option<String>,
    pub(super) k: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) alg: Option<String>,
    #[serde(rename = "use")]
    pub(super) usage: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ForeignSet {
    pub(super) keys: Vec<serde_json::Value>,
}
