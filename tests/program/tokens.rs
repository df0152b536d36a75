//! The keys of JWTs are changed while the program runs.

use std::fs;

use gatelodge::startup::generate_key;
use serde_json::Value;

use super::{Program, command};
use crate::support::app::PASSWORD;
use crate::support::jwt::{TEMPLATES, Token, part, private_key, verify};
use crate::support::{Browser, eventually};

/// A program with keys in files, and who is logged in there.
struct Scene {
    folder: tempfile::TempDir,
    program: Program,
    ada: Browser,
}

impl Scene {
    async fn set(ring: &str, pem: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::write(path("gatelodge.toml"), TEMPLATES).unwrap();
        fs::write(path("keys"), ring).unwrap();
        fs::write(path("es256.pem"), pem).unwrap();
        let mut command = command(folder.path());
        command.env("GATELODGE_SECRETS__KEYS_FILE", "keys");
        let program = Program::run(command);
        let mut ada = program.browser();
        assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
        Self {
            folder,
            program,
            ada,
        }
    }

    /// Has the program read other keys: so many of each kind.
    async fn change(&mut self, ring: &[&str], pem: &[&str]) {
        fs::write(self.folder.path().join("keys"), ring.join("\n")).unwrap();
        fs::write(self.folder.path().join("es256.pem"), pem.concat()).unwrap();
        let told = |log: &str| log.matches("of each algorithm signs").count();
        let before = told(&self.program.log());
        self.program.signal("HUP");
        eventually("it has read its files", async || {
            told(&self.program.log()) > before
        })
        .await;
        let algorithms: Vec<_> = self.published().await["keys"].as_array().unwrap().clone();
        let of = |alg: &str| algorithms.iter().filter(|key| key["alg"] == alg).count();
        assert_eq!((of("EdDSA"), of("ES256")), (ring.len(), pem.len()));
    }

    async fn published(&mut self) -> Value {
        self.ada.get("/.well-known/jwks.json").await.json()
    }

    /// A JWT of each kind.
    async fn minted(&mut self) -> [Token; 2] {
        let mut minted = Vec::new();
        for (template, algorithm) in [("derived", "EdDSA"), ("own", "ES256")] {
            let path = format!("/api/sessions/whoami?tokenize_as={template}");
            let answer = self.ada.get(&path).await.json();
            minted.push(Token {
                jwt: answer["tokenized"].as_str().unwrap().to_owned(),
                audience: "orders".to_owned(),
                algorithm: algorithm.to_owned(),
            });
        }
        minted.try_into().ok().unwrap()
    }

    /// What a service says of tokens that has just read the keys.
    async fn verified(&mut self, tokens: &[Token; 2]) -> [bool; 2] {
        let published = self.published().await;
        let tokens: Vec<_> = tokens.iter().collect();
        let said = verify(&published, "http://localhost:8080", &tokens);
        let said: Vec<_> = said
            .iter()
            .map(|said| said.get("claims").is_some())
            .collect();
        said.try_into().unwrap()
    }
}

fn signed_by(tokens: &[Token; 2]) -> [Value; 2] {
    tokens
        .each_ref()
        .map(|token| part(&token.jwt, 0)["kid"].clone())
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_until_it_is_dropped() {
    let (old, new) = (generate_key(), generate_key());
    let [old_pem, new_pem] = ["ES256"; 2].map(private_key);
    let mut scene = Scene::set(&old, &old_pem).await;
    let first = scene.minted().await;

    scene.change(&[&old, &new], &[&old_pem, &new_pem]).await;
    let appended = scene.minted().await;
    assert_eq!(signed_by(&appended), signed_by(&first));
    let known = scene.published().await;

    scene.change(&[&new, &old], &[&new_pem, &old_pem]).await;
    let moved = scene.minted().await;
    for (old, new) in signed_by(&first).iter().zip(&signed_by(&moved)) {
        assert_ne!(old, new);
        let was_known = |key: &Value| key["kid"] == *new;
        assert!(known["keys"].as_array().unwrap().iter().any(was_known));
    }
    assert_eq!(scene.verified(&first).await, [true, true]);
    assert_eq!(scene.verified(&moved).await, [true, true]);

    scene.change(&[&new], &[&new_pem]).await;
    assert_eq!(scene.verified(&first).await, [false, false]);
    assert_eq!(scene.verified(&moved).await, [true, true]);
    assert!(
        scene
            .program
            .log()
            .contains(signed_by(&moved)[1].as_str().unwrap())
    );
}

#[tokio::test]
async fn keys_of_jwts_that_cannot_be_used_change_nothing_until_they_are_right() {
    let (old, new) = (generate_key(), generate_key());
    let [pem, other, rsa] = ["ES256", "ES256", "RS256"].map(private_key);
    let mut scene = Scene::set(&old, &pem).await;
    let file = scene.folder.path().join("es256.pem");
    let before = scene.published().await;
    let takes = "tokens.es256_keys_file is \\\"es256.pem\\\"; it takes the path of a file of private \
                 keys, PKCS#8 in PEM";
    for (content, wrong) in [
        (None, "No such file"),
        (Some("nothing".to_owned()), "there is none in this one"),
        (Some(pem[..pem.len() / 2].to_owned()), ""),
        (
            Some(format!("{pem}{rsa}")),
            "key 2 must be a private key on the curve P-256",
        ),
        (Some(format!("{pem}{pem}")), "one of them is there twice"),
    ] {
        match content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let told = format!("the keys of JWTs stay as they were: {takes} ({wrong}");
        eventually(&told, async || scene.program.log().contains(&told)).await;
        assert_eq!(scene.published().await, before);
    }
    // The ring goes on meanwhile.
    fs::write(scene.folder.path().join("keys"), format!("{old}\n{new}")).unwrap();
    eventually("the ring has a key more", async || {
        scene.published().await["keys"].as_array().unwrap().len() == 3
    })
    .await;
    fs::write(&file, format!("{other}{pem}")).unwrap();
    eventually("both are published", async || {
        scene.published().await["keys"].as_array().unwrap().len() == 4
    })
    .await;
    let minted = scene.minted().await;
    assert_eq!(scene.verified(&minted).await, [true, true]);
    assert_ne!(signed_by(&minted)[1], before["keys"][1]["kid"]);
    let log = scene.program.log();
    for secret in [&pem, &other, &rsa] {
        let line = secret.lines().nth(1).unwrap();
        assert!(!log.contains(line));
    }
}
