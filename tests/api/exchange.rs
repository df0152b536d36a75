//! Logging in with a JWT of the system that is left.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ORIGIN};
use ring::signature::KeyPair as _;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::foreign::{AUDIENCE, BY_SECRET, ISSUER, Key, SECRET, claims, encoded, key_set};
use crate::support::{Answer, Browser, TestApp, eventually, within};

const ADA: &str = "ada@example.com";
const EXCHANGE: &str = "/api/sessions/exchange";

async fn events(root: &mut Browser, query: &str) -> Vec<Value> {
    let events = root.get(&format!("/api/admin/events?{query}")).await;
    events.json()["events"].as_array().unwrap().clone()
}

#[rstest]
#[tokio::test]
async fn a_jwt_of_the_old_system_opens_a_session(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn_with(stack, &BY_SECRET).await;
    let user = app.registered(ADA).await.user_id().await;
    let mut browser = app.browser();
    let jwt = Key::secret().signed(claims(&app.clock, ADA));
    let answer = browser.exchange(&jwt).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["user"]["id"], user);
    assert_eq!(answer.json()["session"]["remember_me"], false);
    assert!(!answer.set_cookies()[0].contains("Max-Age"));
    assert_eq!(browser.whoami().await.json(), answer.json());

    let mut root = app.admin().await;
    let query = format!("action=jwt_exchanged&actor={user}&subject={user}");
    let events = events(&mut root, &query).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["session_id"], answer.json()["session"]["id"]);
    assert_eq!(events[0]["ip"], "127.0.0.1");
    assert_eq!(events[0]["outcome"], "success");
}

#[tokio::test]
async fn a_key_set_has_keys_for_each_algorithm_and_an_id_names_a_user() {
    let keys = [Key::secret(), Key::ed25519(), Key::p256(), Key::rsa()];
    let set = key_set(&keys.each_ref().map(Key::jwk));
    let settings = [
        ("GATELODGE_EXCHANGE__ISSUER", ISSUER),
        ("GATELODGE_EXCHANGE__AUDIENCE", AUDIENCE),
        (
            "GATELODGE_EXCHANGE__JWKS_FILE",
            set.path().to_str().unwrap(),
        ),
    ];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let user = app.registered(ADA).await.user_id().await;
    for key in &keys {
        let algorithm = key.algorithm();
        let claims = || {
            let mut claims = claims(&app.clock, "nobody@example.com");
            claims["sub"] = json!(user);
            claims["aud"] = json!(["reports", AUDIENCE]);
            claims
        };
        let unnamed = json!({ "alg": algorithm });
        for jwt in [key.signed(claims()), key.signed_under(unnamed, claims())] {
            let answer = app.browser().exchange(&jwt).await;
            assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text);
            assert_eq!(answer.json()["user"]["id"], user);
        }
        for kid in ["../../../../dev/null", "/dev/null", "' or 1 = 1 --", ""] {
            let header = json!({ "alg": algorithm, "kid": kid });
            let jwt = key.signed_under(header, claims());
            let answer = app.browser().exchange(&jwt).await;
            answer.assert_problem(401, "invalid_token");
        }
    }
}

/// RFC 8725, 2.1.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    let Key::Rsa(pair) = Key::rsa() else {
        unreachable!("it is one");
    };
    let pkcs1 = pair.public_key().as_ref().to_vec();
    let jwk = Key::Rsa(pair).jwk();
    let set = key_set(std::slice::from_ref(&jwk));
    let settings = [
        ("GATELODGE_EXCHANGE__ISSUER", ISSUER),
        ("GATELODGE_EXCHANGE__AUDIENCE", AUDIENCE),
        (
            "GATELODGE_EXCHANGE__JWKS_FILE",
            set.path().to_str().unwrap(),
        ),
        ("GATELODGE_EXCHANGE__EMAIL_CLAIM", "email"),
    ];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    app.registered(ADA).await;
    // What comes before it in a SubjectPublicKeyInfo, of 2048 bits (RFC 8017, A.1.1).
    let begin = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\0\x03\x82\x01\x0f\0";
    let spki = [begin, &*pkcs1].concat();
    let pem = |name: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap());
        let lines = lines.collect::<Vec<_>>().join("\n");
        format!("-----BEGIN {name}-----\n{lines}\n-----END {name}-----\n").into_bytes()
    };
    let secrets = [
        pem("PUBLIC KEY", &spki),
        pem("PUBLIC KEY", &spki).trim_ascii_end().to_vec(),
        pem("RSA PUBLIC KEY", &pkcs1),
        spki,
        pkcs1,
        jwk["n"].as_str().unwrap().into(),
        jwk.to_string().into(),
        Vec::new(),
    ];
    for secret in secrets {
        let key = Key::Secret(secret);
        for header in [
            json!({ "alg": "HS256", "kid": "RS256" }),
            json!({ "alg": "HS256" }),
            json!({ "alg": "RS256", "kid": "RS256" }),
        ] {
            let jwt = key.signed_under(header, claims(&app.clock, ADA));
            let answer = app.browser().exchange(&jwt).await;
            answer.assert_problem(401, "invalid_token");
        }
    }
    let jwt = Key::rsa().signed(claims(&app.clock, ADA));
    assert_eq!(app.browser().exchange(&jwt).await.status, 200);
}

/// JWTs that are wrong, each in its own way, made of one that is right.
fn wrong(right: &Value) -> Vec<String> {
    [
        with_other_claims(right),
        under_other_headers(right),
        of_another_form(right),
    ]
    .concat()
}

fn with_other_claims(right: &Value) -> Vec<String> {
    let (key, now) = (Key::secret(), right["iat"].as_i64().unwrap());
    let mut wrong = Vec::new();
    for (claim, value) in [
        ("exp", json!(now - 1)),
        ("exp", json!(now)),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!([now + 600])),
        ("exp", json!({ "at": now + 600 })),
        ("exp", json!(true)),
        ("exp", json!(-1)),
        ("exp", json!(-1e300)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", Value::Null),
        ("nbf", json!(now + 60)),
        ("nbf", json!("now")),
        ("iat", json!(now + 60)),
        ("iat", json!([])),
        ("iss", json!("https://other.example.com")),
        ("iss", json!(format!("{ISSUER}/"))),
        ("iss", json!([ISSUER])),
        ("iss", Value::Null),
        ("aud", json!("reports")),
        ("aud", json!(["reports", "SHOP"])),
        ("aud", json!([])),
        ("aud", json!({ "shop": true })),
        ("aud", json!([AUDIENCE, 1])),
        ("jti", json!("")),
        ("jti", json!(1)),
        ("jti", json!("j".repeat(257))),
        ("jti", Value::Null),
        ("email", json!("ada")),
        ("email", json!("nobody@example.com")),
        ("email", json!("01939d5e-7e1c-7a3b-9f60-1b2f3a4c5d6e")),
        ("email", json!([ADA])),
        ("email", json!({ "eq": ADA })),
        ("email", json!("' or 1 = 1 --@example.com")),
        ("padding", json!("a".repeat(6 * 1024))),
    ] {
        let mut claims = right.clone();
        claims[claim] = value;
        wrong.push(key.signed(claims));
    }
    for claim in ["exp", "iss", "aud", "jti", "email"] {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().remove(claim);
        wrong.push(key.signed(claims));
    }
    let exp = format!("\"exp\":{}", right["exp"]);
    for text in ["\"exp\":1e400", &format!("{exp},{exp}")] {
        let claims = right.to_string();
        assert!(claims.contains(&exp));
        wrong.push(key.signed(claims.replace(&exp, text)));
    }
    wrong.extend(["[]", "null", "4711", "{", "\u{feff}{}"].map(|claims| key.signed(claims)));
    let parts: Vec<_> = right.as_object().unwrap().values().collect();
    wrong.push(key.signed(json!(parts)));
    wrong
}

fn under_other_headers(right: &Value) -> Vec<String> {
    let (key, mut wrong) = (Key::secret(), Vec::new());
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "" }),
        json!({ "alg": "HS384" }),
        json!({ "alg": "hs256" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": ["HS256"] }),
        json!({ "typ": "JWT" }),
        json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }),
        json!({ "alg": "HS256", "crit": [] }),
        json!({ "alg": "HS256", "crit": null }),
        json!(["HS256", null, null]),
        json!("HS256"),
    ] {
        wrong.push(key.signed_under(header, right));
    }
    let unsigned = [json!({ "alg": "none" }).to_string(), right.to_string()];
    wrong.push(format!("{}.", unsigned.map(encoded).join(".")));
    let other = Key::Secret(SECRET.to_uppercase().into());
    for header in [
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS256", "kid": "/dev/null" }),
        json!({ "alg": "HS256", "jku": "http://127.0.0.1:1/keys" }),
        json!({ "alg": "HS256", "x5u": "http://127.0.0.1:1/cert" }),
        json!({ "alg": "HS256", "jwk": other.jwk() }),
        json!({ "alg": "EdDSA", "jwk": Key::ed25519().jwk(), "x5c": [encoded("x")] }),
    ] {
        wrong.push(other.signed_under(header, right));
    }
    wrong
}

fn of_another_form(right: &Value) -> Vec<String> {
    let whole = Key::secret().signed(right);
    let (message, signature) = whole.rsplit_once('.').unwrap();
    let (begin, end) = whole.split_at(20);
    vec![
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "null".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{whole}."),
        format!("{whole}="),
        format!(" {whole}"),
        format!("Bearer {whole}"),
        format!("{message}.{signature}.{signature}"),
        format!("{begin}\n{end}"),
        format!("{begin}\0{end}"),
        "a".repeat(60 * 1024),
    ]
}

#[rstest]
#[tokio::test]
async fn whatever_is_wrong_with_a_jwt_the_answer_is_the_same(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn_with(stack, &BY_SECRET).await;
    let (mut ada, key) = (app.registered(ADA).await, Key::secret());
    let eve = app.registered("eve@example.com").await.user_id().await;
    // The old system takes any text for an address.
    let mut disguised = claims(&app.clock, ADA);
    disguised["email"] = json!(ada.user_id().await);
    let disguised = key.signed(disguised);
    let used = key.signed(claims(&app.clock, ADA));
    assert_eq!(app.browser().exchange(&used).await.status, 200);
    let mut root = app.admin().await;
    let lock = format!("/api/admin/users/{eve}/lock");
    assert_eq!(root.post(&lock, &json!({})).await.status, 200);
    let eves = key.signed(claims(&app.clock, "eve@example.com"));
    let nobodys = key.signed(claims(&app.clock, "nobody@example.com"));

    let right = claims(&app.clock, ADA);
    let names = |answer: &Answer| -> BTreeSet<_> {
        let names = answer.headers.keys();
        names.map(ToString::to_string).collect()
    };
    let one = app.browser().exchange("nonsense").await;
    one.assert_problem(401, "invalid_token");
    for jwt in wrong(&right)
        .into_iter()
        .chain([used, eves.clone(), nobodys, disguised])
    {
        let mut browser = ada.clone();
        let answer = browser.exchange(&jwt).await;
        assert_eq!((answer.status, &answer.text), (401, &one.text), "{jwt}");
        assert_eq!(names(&answer), names(&one), "{jwt}");
    }
    assert_eq!(ada.whoami().await.status, 200, "its session goes on");
    let answer = app.browser().exchange(&key.signed(&right)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);

    eventually("those that were genuine are told", async || {
        let events = events(&mut root, "action=exchange_failed").await;
        let details = events.iter().map(|event| event["detail"].as_str().unwrap());
        let details: BTreeSet<_> = details.collect();
        details == BTreeSet::from(["locked", "unknown_account", "used"])
    })
    .await;
    let unlock = format!("/api/admin/users/{eve}/unlock");
    assert_eq!(root.post(&unlock, &json!({})).await.status, 200);
    let answer = app.browser().exchange(&eves).await;
    assert_eq!(answer.status, 200, "what opens no session is not used up");
}

#[tokio::test]
async fn a_jwt_is_taken_once_however_many_ask_wherever() {
    let app = TestApp::spawn_with(Scaled, &BY_SECRET).await;
    let other = app.another_instance().await;
    let mut ada = app.registered(ADA).await;
    for round in 0..3 {
        let jwt = Key::secret().signed(claims(&app.clock, ADA));
        let asking = [&app, &other].into_iter().cycle().take(12);
        let asking = asking.map(|instance| {
            let (mut browser, jwt) = (instance.browser(), jwt.clone());
            async move { browser.exchange(&jwt).await }
        });
        let answers = join_all(asking).await;
        let (taken, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(taken.len(), 1, "{answers:?}");
        for answer in refused {
            answer.assert_problem(401, "invalid_token");
        }
        let again = other.browser().exchange(&jwt).await;
        again.assert_problem(401, "invalid_token");
        let sessions = ada.list_sessions().await.json();
        assert_eq!(sessions["sessions"].as_array().unwrap().len(), round + 2);
    }
}

#[tokio::test]
async fn embedded_a_jwt_is_taken_once_too() {
    let app = TestApp::spawn_with(Embedded, &BY_SECRET).await;
    app.registered(ADA).await;
    let jwt = Key::secret().signed(claims(&app.clock, ADA));
    let asking = (0..12).map(|_| {
        let (mut browser, jwt) = (app.browser(), &jwt);
        async move { browser.exchange(jwt).await.status }
    });
    let mut answers = join_all(asking).await;
    answers.sort_unstable();
    assert_eq!(answers, [[200].as_slice(), &[401; 11]].concat());
}

#[tokio::test]
async fn a_session_that_could_not_be_issued_leaves_the_jwt_usable() {
    let app = TestApp::spawn_with(Scaled, &BY_SECRET).await;
    app.registered(ADA).await;
    let jwt = Key::secret().signed(claims(&app.clock, ADA));
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    let broken = "create function refuse() returns trigger language plpgsql \
                  as $$ begin raise 'no room'; end $$; \
                  create trigger refuse before insert on sessions execute function refuse()";
    ledger.execute(broken).await.unwrap();
    let answer = app.browser().exchange(&jwt).await;
    answer.assert_problem(503, "unavailable");
    let mended = "drop trigger refuse on sessions";
    ledger.execute(mended).await.unwrap();
    ledger.close().await.unwrap();

    app.allow_ledger(false).await;
    let answer = app.browser().exchange(&jwt).await;
    answer.assert_problem(503, "unavailable");
    app.allow_ledger(true).await;
    within(Duration::from_secs(10), "it is taken", async || {
        app.browser().exchange(&jwt).await.status == 200
    })
    .await;
    let again = app.browser().exchange(&jwt).await;
    again.assert_problem(401, "invalid_token");
}

#[rstest]
#[tokio::test]
async fn what_holds_at_a_log_in_holds_here(#[values(Embedded, Scaled)] stack: Stack) {
    let limit = ("GATELODGE_SESSION__MAX_PER_USER", "2");
    let settings: Vec<_> = BY_SECRET.into_iter().chain([limit]).collect();
    let app = TestApp::spawn_with(stack, &settings).await;
    let mut first = app.registered(ADA).await;
    let jwt = || Key::secret().signed(claims(&app.clock, ADA));
    let mut second = app.browser();
    assert_eq!(second.exchange(&jwt()).await.status, 200);
    assert_eq!(first.whoami().await.status, 200);

    // The session that comes with it ends, and is not adopted.
    let mut before = second.clone();
    let remembered = json!({ "jwt": jwt(), "remember_me": true });
    let answer = second.post(EXCHANGE, &remembered).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.set_cookies()[0].contains("; Max-Age=2592000;"));
    assert_ne!(second.token, before.token);
    before.whoami().await.assert_refused();
    assert_eq!(first.whoami().await.status, 200);

    // Over the limit, the oldest ends.
    let mut third = app.browser();
    let awaited = format!("{EXCHANGE}?wait=effective");
    let answer = third.post(&awaited, &json!({ "jwt": jwt() })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    first.whoami().await.assert_refused();
    assert_eq!(second.whoami().await.status, 200);
    assert_eq!(third.whoami().await.status, 200);

    // From another site's page it is not even looked at.
    let (mut strange, jwt) = (app.browser(), jwt());
    let request = strange.request(Method::POST, EXCHANGE);
    let request = request.header(ORIGIN, "https://evil.example.com");
    let answer = strange.send(request.json(&json!({ "jwt": jwt }))).await;
    answer.assert_problem(403, "csrf_failed");
    assert_eq!(app.browser().exchange(&jwt).await.status, 200);
    assert_eq!(app.browser().log_in(ADA, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_none_is_told_so() {
    let app = TestApp::spawn_with(Embedded, &BY_SECRET).await;
    let mut browser = app.browser();
    for (body, field) in [
        (json!({}), "jwt"),
        (json!({ "jwt": 4711 }), "jwt"),
        (json!({ "jwt": null }), "jwt"),
        (json!({ "jwt": ["a.b.c"] }), "jwt"),
        (
            json!({ "jwt": "a.b.c", "remember_me": "yes" }),
            "remember_me",
        ),
        (json!({ "jwt": "a.b.c", "email": ADA }), "email"),
    ] {
        let answer = browser.post(EXCHANGE, &body).await;
        assert_eq!(answer.wrong_fields(), [field], "{body}");
        assert!(!answer.text.contains("4711"));
    }
    let large = json!({ "jwt": "a".repeat(64 * 1024) });
    let answer = browser.post(EXCHANGE, &large).await;
    answer.assert_problem(413, "content_too_large");
    let form = browser.request(Method::POST, EXCHANGE);
    let form = form.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = browser.send(form.body("jwt=a.b.c")).await;
    answer.assert_problem(415, "unsupported_media_type");
    let answer = browser.get(EXCHANGE).await;
    answer.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn nothing_is_there_unless_an_issuer_is_configured() {
    let app = TestApp::spawn(Embedded).await;
    app.registered(ADA).await;
    let jwt = Key::secret().signed(claims(&app.clock, ADA));
    let answer = app.browser().exchange(&jwt).await;
    answer.assert_problem(404, "not_found");
}
