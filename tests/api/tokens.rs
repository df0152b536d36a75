//! JWTs that are minted from sessions, and the keys that they are verified by.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::jwt::{Token, part, private_key, verify};
use crate::support::{Answer, Browser, TestApp};

const ISSUER: &str = "http://localhost:8080";
const JWKS: &str = "/.well-known/jwks.json";

const TEMPLATES: &str = r#"
[[tokens.templates]]
name = "orders"
audience = "https://orders.example.com"

[[tokens.templates]]
name = "mail"
audience = "mail"
lifetime = "15m"
claims = ["email", "name", "auth_time"]
"#;

async fn spawn(stack: Stack) -> TestApp {
    TestApp::spawn_with_file(stack, &[], TEMPLATES).await
}

async fn tokenize(browser: &mut Browser, template: &str) -> Answer {
    let path = format!("/api/sessions/whoami?tokenize_as={template}");
    browser.get(&path).await
}

/// What a JWT says that has just been asked for, whoever has signed it.
async fn claims(browser: &mut Browser, template: &str) -> Value {
    let answer = tokenize(browser, template).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    part(answer.json()["tokenized"].as_str().unwrap(), 1)
}

async fn jwks(browser: &mut Browser) -> Value {
    browser.get(JWKS).await.json()
}

#[rstest]
#[tokio::test]
async fn a_jwt_says_what_its_template_asks_for_and_no_more(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let plain = ada.whoami().await.json();
    assert_eq!(plain.get("tokenized"), None);
    let answer = tokenize(&mut ada, "orders").await.json();
    let identity = (&answer["user"], &answer["session"]["id"]);
    assert_eq!(identity, (&plain["user"], &plain["session"]["id"]));

    let jwt = answer["tokenized"].as_str().unwrap();
    let [header, claims] = [0, 1].map(|number| part(jwt, number));
    let keys = jwks(&mut ada).await;
    let kid = &keys["keys"][0]["kid"];
    assert_eq!(header, json!({ "alg": "EdDSA", "kid": kid, "typ": "JWT" }));
    let issued_at = claims["iat"].as_i64().unwrap();
    let now = app.clock.now().as_millis() / 1000;
    assert!((now - 10..=now).contains(&issued_at), "{issued_at}, {now}");
    let id = claims["jti"].as_str().unwrap().parse::<uuid::Uuid>();
    assert_eq!(id.unwrap().get_version_num(), 7);
    let rev = &claims["rev"];
    assert_eq!(number(rev), 0, "{rev}");
    let expected = json!({
        "iss": ISSUER,
        "sub": plain["user"]["id"],
        "aud": "https://orders.example.com",
        "exp": issued_at + 300,
        "nbf": issued_at,
        "iat": issued_at,
        "jti": claims["jti"],
        "sid": plain["session"]["id"],
        "roles": ["user"],
        "rev": rev,
    });
    assert_eq!(claims, expected);

    let mail = self::claims(&mut ada, "mail").await;
    assert_ne!(mail["jti"], claims["jti"]);
    assert_eq!(mail["aud"], "mail");
    let lives = mail["exp"].as_i64().unwrap() - mail["iat"].as_i64().unwrap();
    assert_eq!(lives, 900);
    assert_eq!(mail["email"], "ada@example.com");
    assert_eq!(mail["name"], "ada");
    assert_eq!(
        mail["auth_time"].as_i64().unwrap(),
        seconds(&plain["session"]["authenticated_at"])
    );
    assert_eq!(
        mail.as_object().unwrap().len(),
        expected.as_object().unwrap().len() + 3
    );
}

/// Of the log, before the first bytes of its mark.
fn number(rev: &Value) -> u64 {
    let vouched = gatelodge::domain::revocation::Vouched::parse(rev.as_str().unwrap());
    vouched.unwrap().number.get()
}

fn seconds(time: &Value) -> i64 {
    let time = gatelodge::domain::time::Timestamp::parse(time.as_str().unwrap());
    time.unwrap().as_millis().div_euclid(1000)
}

#[tokio::test]
async fn each_algorithm_is_verified_by_others_from_what_is_published() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys");
    let (es256, rs256) = (keys.with_extension("ec"), keys.with_extension("rsa"));
    std::fs::write(&es256, private_key("ES256")).unwrap();
    std::fs::write(&rs256, private_key("RS256")).unwrap();
    let settings = [
        ("GATELODGE_TOKENS__ES256_KEYS_FILE", es256.to_str().unwrap()),
        ("GATELODGE_TOKENS__RS256_KEYS_FILE", rs256.to_str().unwrap()),
        (
            "GATELODGE_TOKENS__ISSUER",
            "https://auth.example.com/tenant",
        ),
    ];
    let algorithms = ["EdDSA", "ES256", "RS256"];
    let templates = algorithms.map(|algorithm| {
        let name = algorithm.to_lowercase();
        format!("[[tokens.templates]]\nname = {name:?}\naudience = {name:?}\nalgorithm = {algorithm:?}\n")
    });
    let app = TestApp::spawn_with_file(Embedded, &settings, &templates.concat()).await;
    let mut ada = app.registered("ada@example.com").await;
    let user = ada.user_id().await;
    let mut tokens = Vec::new();
    for algorithm in algorithms {
        let audience = algorithm.to_lowercase();
        let answer = tokenize(&mut ada, &audience).await.json();
        let jwt = answer["tokenized"].as_str().unwrap().to_owned();
        for (audience, is_meant) in [(audience, true), ("another".to_owned(), false)] {
            let algorithm = algorithm.to_owned();
            tokens.push((
                Token {
                    jwt: jwt.clone(),
                    audience,
                    algorithm,
                },
                is_meant,
            ));
        }
    }
    let published = jwks(&mut ada).await;
    assert_eq!(published["keys"].as_array().unwrap().len(), 3);
    let all: Vec<_> = tokens.iter().map(|(token, _)| token).collect();
    let said = verify(&published, "https://auth.example.com/tenant", &all);
    for ((token, is_meant), said) in tokens.iter().zip(said) {
        if *is_meant {
            assert_eq!(said["header"]["alg"], token.algorithm, "{said}");
            assert_eq!(said["claims"]["sub"], user, "{said}");
        } else {
            assert_eq!(said, json!({ "refused": "InvalidAudienceError" }));
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_template_that_is_not_there_is_told_so() {
    let app = spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    for query in [
        "tokenize_as=other",
        "tokenize_as=",
        "tokenize_as=orders&tokenize_as=mail",
        "tokenize_as=ORDERS",
    ] {
        let answer = ada.get(&format!("/api/sessions/whoami?{query}")).await;
        assert_eq!(answer.wrong_fields(), ["tokenize_as"], "{query}");
    }
    let answer = ada.get("/api/sessions/whoami?tokenise_as=orders").await;
    assert_eq!(answer.wrong_fields(), ["tokenise_as"]);
    tokenize(&mut app.browser(), "other").await.assert_refused();
}

#[tokio::test]
async fn what_is_published_may_be_kept_for_five_minutes() {
    let app = spawn(Embedded).await;
    let mut browser = app.browser();
    let first = browser.get(JWKS).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(first.set_cookies(), Vec::<&str>::new());
    let tag = first.header("etag").unwrap();
    for (known, status) in [
        (tag.to_owned(), 304),
        (format!("\"other\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        ("nonsense".to_owned(), 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = browser.request(method.clone(), JWKS);
            let answer = browser.send(request.header("if-none-match", &known)).await;
            assert_eq!(answer.status, status, "{known}");
            assert_eq!(answer.header("etag"), Some(tag), "{known}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            let is_whole = status == 200 && method == Method::GET;
            assert_eq!(answer.text.is_empty(), !is_whole, "{method} {known}");
        }
    }
    let post = browser.request(Method::POST, JWKS);
    let answer = browser.send(post).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    let kept = browser.get("/api/sessions/whoami").await;
    assert_eq!(kept.header("cache-control"), Some("no-store"));
}

/// What ends the session of that id and that user, at another instance.
type Ending = fn(&str, &str) -> (Method, String, Value);

const ENDINGS: [Ending; 4] = [
    |session, _| (Method::DELETE, format!("sessions/{session}"), json!({})),
    |_, user| (Method::POST, format!("users/{user}/lock"), json!({})),
    |_, user| (Method::DELETE, format!("users/{user}"), json!({})),
    |_, _| {
        let everyone = json!({ "filter": { "everyone": true } });
        (Method::POST, "sessions/revoke".to_owned(), everyone)
    },
];

#[rstest]
#[tokio::test]
async fn nothing_is_minted_from_a_session_that_was_ended_anywhere(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = spawn(stack).await;
    let other = match stack {
        Embedded => None,
        Scaled => Some(app.another_instance().await),
    };
    let there = other.as_ref().unwrap_or(&app).address;
    for (number, ending) in ENDINGS.iter().enumerate() {
        let mut ada = app.registered(&format!("ada{number}@example.com")).await;
        for at in [app.address, there] {
            let answer = tokenize(&mut ada.at(at), "orders").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let (session, user) = (ada.session_id().await, ada.user_id().await);
        let (method, path, body) = ending(&session, &user);
        let mut root = app.admin().await.at(there);
        let path = format!("/api/admin/{path}?wait=effective");
        let ended = root.send(root.request(method, &path).json(&body)).await;
        assert!([200, 204].contains(&ended.status), "{}", ended.text);
        for at in [app.address, there] {
            tokenize(&mut ada.at(at), "orders").await.assert_refused();
        }
    }
}

#[tokio::test]
async fn nothing_is_minted_from_a_session_past_its_limits_and_nothing_outlives_them() {
    let limits = [
        ("GATELODGE_SESSION__IDLE_TIMEOUT", "20m"),
        ("GATELODGE_SESSION__LIFETIME", "30m"),
    ];
    let app = TestApp::spawn_with_file(Embedded, &limits, TEMPLATES).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut idle = app.logged_in("ada@example.com").await;
    let end = seconds(&ada.whoami().await.json()["session"]["expires_at"]);
    let ends = async |ada: &mut Browser| {
        let claims = claims(ada, "mail").await;
        let [issued, ends] = ["iat", "exp"].map(|claim| claims[claim].as_i64().unwrap());
        assert!(ends <= end && ends <= issued + 900, "{claims}");
        ends
    };
    assert!(ends(&mut ada).await < end);
    app.let_pass(Duration::from_mins(19));
    assert_eq!(ends(&mut ada).await, end);
    app.let_pass(Duration::from_mins(2));
    tokenize(&mut idle, "mail").await.assert_refused();
    app.let_pass(Duration::from_mins(8));
    assert_eq!(ends(&mut ada).await, end);
    app.let_pass(Duration::from_mins(2));
    tokenize(&mut ada, "mail").await.assert_refused();
}

#[rstest]
#[tokio::test]
async fn the_next_jwt_has_the_new_role_and_knows_the_log_that_far(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let (user, root) = (ada.user_id().await, app.admin().await);
    let before = claims(&mut ada, "orders").await;
    assert_eq!(before["roles"], json!(["user"]));
    let there = match stack {
        Embedded => None,
        Scaled => Some(app.another_instance().await),
    };
    let mut root = root.at(there.as_ref().unwrap_or(&app).address);
    let path = format!("/api/admin/users/{user}/role?wait=effective");
    let changed = root.put(&path, &json!({ "role": "admin" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let after = claims(&mut ada, "orders").await;
    assert_eq!(after["roles"], json!(["admin"]));
    let rev = |claims: &Value| number(&claims["rev"]);
    assert_eq!(
        rev(&after),
        rev(&before) + 1,
        "the change is an entry of the log"
    );
    let path = format!("/api/admin/users/{user}/role?wait=effective");
    assert_eq!(
        root.put(&path, &json!({ "role": "user" })).await.status,
        200
    );
    assert_eq!(claims(&mut ada, "orders").await["roles"], json!(["user"]));

    let changed = ada
        .change_password(PASSWORD, "an entirely new password")
        .await;
    assert_eq!(changed.status, 204);
    let fresh = claims(&mut ada, "orders").await;
    assert!(
        rev(&fresh) > rev(&after),
        "it was not ended by what ended the one before"
    );
    assert_ne!(fresh["sid"], after["sid"]);
}
