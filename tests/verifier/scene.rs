//! A service that verifies JWTs, beside the instances that mint them.

use std::time::Duration;

use gatelodge::verifier::{Credential, Refused, Settings, Verifier};

use crate::support::proxy::FaultProxy;
use crate::support::{Browser, Stack, TestApp, within};

/// Always, while all is healthy (P1).
pub const PROMISED: Duration = Duration::from_secs(1);

/// From when the instances can be reached again (P8).
pub const RECOVERY: Duration = Duration::from_secs(10);

const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "orders";
const CREDENTIAL: &str = "credential-of-the-orders-service";

const TEMPLATES: &str = r#"
[tokens]
issuer = "https://auth.example.com"

[[tokens.templates]]
name = "orders"
audience = "orders"

[[tokens.templates]]
name = "brief"
audience = "orders"
lifetime = "10s"

[[tokens.templates]]
name = "notes"
audience = "notes"
"#;

/// An instance that mints and tells.
pub async fn spawn(stack: Stack) -> TestApp {
    spawn_with(stack, &[]).await
}

pub async fn spawn_with(stack: Stack, settings: &[(&str, &str)]) -> TestApp {
    let credential = ("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL);
    let settings = [settings, &[credential]].concat();
    TestApp::spawn_with_file(stack, &settings, TEMPLATES).await
}

pub fn settings(address: std::net::SocketAddr) -> Settings {
    let address = format!("http://{address}").parse().unwrap();
    Settings {
        credential: Some(Credential::new(CREDENTIAL).unwrap()),
        ..Settings::new(address, ISSUER, AUDIENCE)
    }
}

/// A verifier that hears the instance there.
pub async fn verifier(address: std::net::SocketAddr) -> Verifier {
    let verifier = Verifier::connect(settings(address)).unwrap();
    is_ready(&verifier).await;
    verifier
}

pub async fn is_ready(verifier: &Verifier) {
    let ready = tokio::time::timeout(RECOVERY, verifier.until_ready()).await;
    ready.expect("keys are known, and revocations heard of");
}

/// The same, on the way to which the network can break.
pub async fn verifier_by_proxy(app: &TestApp) -> (Verifier, FaultProxy) {
    let proxy = FaultProxy::before(app.address);
    (verifier(proxy.address).await, proxy)
}

pub async fn mint(browser: &mut Browser) -> String {
    mint_as(browser, "orders").await
}

pub async fn mint_as(browser: &mut Browser, template: &str) -> String {
    let path = format!("/api/sessions/whoami?tokenize_as={template}");
    let answer = browser.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["tokenized"].as_str().unwrap().to_owned()
}

/// Whether a JWT is accepted by a verifier that hears of revocations.
#[track_caller]
pub fn assert_accepted(verifier: &Verifier, jwt: &str) {
    let accepted = verifier.verify(jwt).unwrap();
    assert!(accepted.is_current());
}

/// Waits until it is refused, and says how long that took.
pub async fn is_refused(verifier: &Verifier, jwt: &str, why: Refused) -> Duration {
    within(PROMISED, "it is refused", async || {
        match verifier.verify(jwt) {
            Ok(_) => false,
            Err(refused) => {
                assert_eq!(refused, why);
                true
            }
        }
    })
    .await
}
