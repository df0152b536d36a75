//! What others make of JWTs (in Python), and the keys that they make (`OpenSSL`).

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::python;
use super::servers::debian;

/// A kind of JWT signed by a key of the ring, and one by a key of its own.
pub const TEMPLATES: &str = r#"
[tokens]
es256_keys_file = "es256.pem"

[[tokens.templates]]
name = "derived"
audience = "orders"

[[tokens.templates]]
name = "own"
audience = "orders"
algorithm = "ES256"
"#;

#[derive(Serialize)]
pub struct Token {
    pub jwt: String,
    pub audience: String,
    /// The one that is taken.
    pub algorithm: String,
}

/// What each token is found to say, or why it is refused.
pub fn verify(jwks: &Value, issuer: &str, tokens: &[&Token]) -> Vec<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/pyjwt");
    let folder = python::environment("pyjwt", &here.join("requirements.txt"));
    let mut python = Command::new(folder.join("bin/python"))
        .arg(here.join("verify.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let given = json!({ "jwks": jwks, "issuer": issuer, "tokens": tokens });
    let mut input = python.stdin.take().unwrap();
    input.write_all(given.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A new private key for an algorithm, as docs/tokens.md has it made.
pub fn private_key(algorithm: &str) -> String {
    let kind: &[&str] = match algorithm {
        "ES256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        _ => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    };
    let openssl = debian("openssl", "openssl");
    let made = Command::new(openssl).arg("genpkey").args(kind).output();
    String::from_utf8(made.unwrap().stdout).unwrap()
}

/// The header or the claims, unverified.
pub fn part(jwt: &str, number: usize) -> Value {
    let part = jwt.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
