//! Secrets that are looked for wherever they must not be (ASVS 16.2.5, 14.2.1): in the
//! log of every level, in traces, in what the program says, in every answer, and in the stores.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use gatelodge::sessions::Clock;
use gatelodge::startup::generate_key;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use ring::hkdf;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Program, command};
use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::browser::COOKIE_NAME;
use crate::support::collector::Collector;
use crate::support::foreign::{BY_SECRET, Key, SECRET, claims};
use crate::support::jwt::{TEMPLATES, private_key};
use crate::support::servers::{OwnPostgres, OwnRedis, connection_to};
use crate::support::{Answer, Browser, eventually};

/// What must be found, or the search finds nothing at all.
const PLANTED: &str = "planted@example.com";

/// The canaries by their names, and every way to write them.
#[derive(Default)]
struct Canaries(BTreeMap<Vec<u8>, String>);

impl Canaries {
    /// Something of which neither the whole nor a part may be seen.
    fn secret(&mut self, name: &str, whole: &[u8]) {
        for (way, spelling) in spellings(whole) {
            self.0.insert(spelling, format!("{name}, {way}"));
        }
    }

    /// A password of which each half is a canary, with what encodings change between.
    fn password(&mut self, name: &str) -> String {
        let [first, last] = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string());
        let password = format!("{first} \"é\\&<+%{last}");
        for secret in [&password, &first, &last] {
            self.secret(name, secret.as_bytes());
        }
        password
    }

    /// A token of base64url, in which the secret follows the first characters.
    fn token(&mut self, name: &str, token: &str, prefix: usize) {
        self.secret(name, token.as_bytes());
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        let (_, secret) = bytes.split_at(prefix);
        assert!(secret.len() >= 32);
        for part in [&secret[..32], &secret[..16], &secret[16..32]] {
            self.secret(name, part);
        }
    }

    /// A key of the ring, and the private key of JWTs that is derived from it (RFC 5869),
    /// of which the public half is given back.
    fn key(&mut self, key: &str) -> String {
        let bytes = STANDARD.decode(key).unwrap();
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatelodge").extract(&bytes);
        let mut seed = [0; 32];
        let derived = root.expand(&[b"jwt"], hkdf::HKDF_SHA256).unwrap();
        derived.fill(&mut seed).unwrap();
        self.secret("the key", key.as_bytes());
        self.secret("the key", &bytes);
        self.secret("the key of JWTs", &seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        URL_SAFE_NO_PAD.encode(pair.public_key())
    }

    /// A private key on the curve P-256 (RFC 5915, 3).
    fn pem(&mut self, pem: &str) {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(lines).unwrap();
        let before = [2, 1, 1, 4, 32];
        let at = der.windows(5).position(|window| window == before).unwrap() + 5;
        self.secret("the key of a file", &der[at..at + 32]);
        self.secret("the key of a file", &der);
    }

    fn search(&self) -> Search<'_> {
        let needles: Vec<_> = self.0.keys().collect();
        Search {
            automaton: AhoCorasick::new(&needles).unwrap(),
            names: self.0.values().collect(),
        }
    }
}

struct Search<'a> {
    automaton: AhoCorasick,
    names: Vec<&'a String>,
}

impl Search<'_> {
    /// The canaries in there.
    fn find(&self, place: &str, haystack: &[u8], found: &mut BTreeSet<String>) {
        for hit in self.automaton.find_overlapping_iter(haystack) {
            let around = hit.start().saturating_sub(60)..haystack.len().min(hit.end() + 20);
            let around = String::from_utf8_lossy(&haystack[around]).into_owned();
            let name = self.names[hit.pattern().as_usize()];
            found.insert(format!("{place}: {name}: {around:?}"));
        }
    }
}

fn spellings(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut ways = vec![("raw".to_owned(), secret.to_vec())];
    let percent = percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let every = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    });
    let hex: String = every.split('%').collect();
    let listed: Vec<_> = secret.iter().map(u8::to_string).collect();
    for (way, text) in [
        ("percent", percent.clone()),
        ("percent, lower case", percent.to_lowercase()),
        ("percent, every byte", every.clone()),
        ("percent, every byte, lower case", every.to_lowercase()),
        ("form", percent.replace("%20", "+")),
        ("hex", hex.to_lowercase()),
        ("hex, upper case", hex),
        ("debug", secret.escape_ascii().to_string()),
        ("list", listed.join(",")),
        ("list, spaced", listed.join(", ")),
    ] {
        ways.push((way.to_owned(), text.into_bytes()));
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        let html = text
            .replace('&', "&#38;")
            .replace('<', "&#60;")
            .replace('"', "&#34;");
        let json = json!(text).to_string();
        let json = json.trim_matches('"').to_owned();
        ways.push(("html".to_owned(), html.into_bytes()));
        ways.push((
            "debug text".to_owned(),
            format!("{text:?}").trim_matches('"').into(),
        ));
        ways.push((
            "json in json".to_owned(),
            json!(json).to_string().trim_matches('"').into(),
        ));
        ways.push(("json".to_owned(), json.into_bytes()));
    }
    // Whatever stands before it: as the second or third byte of a group as well.
    for skipped in 0..3 {
        let rest = &secret[skipped..];
        let groups = &rest[..rest.len() / 3 * 3];
        for (way, base64) in [("base64", STANDARD), ("base64url", URL_SAFE_NO_PAD)] {
            ways.push((
                format!("{way} at {skipped}"),
                base64.encode(groups).into_bytes(),
            ));
        }
    }
    ways
}

/// A way to send requests that keeps every answer.
struct Recorder {
    canaries: Canaries,
    answers: Vec<(String, Vec<u8>)>,
}

impl Recorder {
    /// Sends it, and keeps what came but for the cookie, whose token is a canary now.
    async fn send(&mut self, browser: &mut Browser, request: RequestBuilder) -> Answer {
        let label = {
            let request = request.try_clone().unwrap().build().unwrap();
            format!("{} {}", request.method(), request.url().path())
        };
        let answer = browser.send(request).await;
        if let (Some(token), false) = (&browser.token, answer.set_cookies().is_empty()) {
            self.canaries.token("a session's token", token, 3);
        }
        let mut headers = answer.headers.clone();
        headers.remove(SET_COOKIE);
        let text = format!("{headers:?}\n{}", answer.text);
        self.answers.push((label, text.into_bytes()));
        answer
    }

    async fn json(
        &mut self,
        browser: &mut Browser,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = browser.request(method, path).json(body);
        self.send(browser, request).await
    }

    async fn post(&mut self, browser: &mut Browser, path: &str, body: &Value) -> Answer {
        self.json(browser, Method::POST, path, body).await
    }

    async fn get(&mut self, browser: &mut Browser, path: &str) -> Answer {
        let request = browser.request(Method::GET, path);
        self.send(browser, request).await
    }

    async fn page(&mut self, browser: &mut Browser, path: &str) -> Answer {
        let request = browser
            .request(Method::GET, path)
            .header(ACCEPT, "text/html");
        self.send(browser, request).await
    }

    async fn submit(
        &mut self,
        browser: &mut Browser,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let form = browser.request(Method::POST, path).form(fields);
        let form = form
            .header("sec-fetch-site", "same-origin")
            .header(ACCEPT, "text/html");
        self.send(browser, form).await
    }

    /// What the last answer is there to give, which may stand in that answer alone.
    fn minted(&mut self, jwt: &str) {
        let (_, answer) = self.answers.last_mut().unwrap();
        let text = String::from_utf8(answer.clone()).unwrap();
        *answer = text.replace(jwt, "").into_bytes();
        let (_, signature) = jwt.rsplit_once('.').unwrap();
        self.canaries.secret("a JWT", jwt.as_bytes());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        self.canaries.secret("a JWT's signature", &signature);
    }

    /// The token in a link that the last answer is there to give; it is a canary now,
    /// and may stand in that answer alone.
    fn link(&mut self) -> String {
        let (_, answer) = self.answers.last_mut().unwrap();
        let text = String::from_utf8(answer.clone()).unwrap();
        let (_, rest) = text.split_once("token=").unwrap();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
        let token = rest[..end.unwrap()].to_owned();
        *answer = text.replace(&token, "").into_bytes();
        self.canaries.token("a link's token", &token, 0);
        token
    }

    /// The last answer is the page of a link, with its token in a hidden field.
    fn has_the_link(&mut self, token: &str) {
        let (_, answer) = self.answers.last_mut().unwrap();
        let text = String::from_utf8(answer.clone()).unwrap();
        let field = format!("name=\"token\" value=\"{token}\"");
        assert_eq!(text.matches(token).count(), 1);
        *answer = text.replace(&field, "").into_bytes();
    }
}

/// What the service runs on, of this test alone.
struct Stores {
    postgres: OwnPostgres,
    redis: OwnRedis,
    redis_password: String,
    key: String,
}

struct Scene {
    folder: tempfile::TempDir,
    collector: Collector,
    stores: Option<Stores>,
    program: Program,
    recorder: Recorder,
    admin_password: String,
}

impl Scene {
    async fn set(stack: Stack, level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut canaries = Canaries::default();
        let admin_password = canaries.password("the first administrator's password");
        canaries.secret("the old system's secret", SECRET.as_bytes());
        let collector = Collector::start();
        let mut command = command(folder.path());
        command
            .env("GATELODGE_LOG__LEVEL", level)
            .env("GATELODGE_TRACES__ENDPOINT", &collector.endpoint)
            .env("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1")
            .envs(BY_SECRET)
            .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", PLANTED)
            .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", &admin_password);
        let stores = match stack {
            Embedded => None,
            Scaled => {
                let (postgres, redis) = (OwnPostgres::start(), OwnRedis::start());
                let [database_password, redis_password] =
                    ["the database's", "Redis'"].map(|whose| {
                        let password = uuid::Uuid::new_v4().simple().to_string();
                        canaries.secret(&format!("{whose} password"), password.as_bytes());
                        password
                    });
                redis.require_password(&redis_password).await;
                let key = generate_key();
                let database = postgres
                    .url()
                    .replace('@', &format!(":{database_password}@"));
                command
                    .env("DATABASE_URL", database)
                    .env("REDIS_URL", redis.url_with(&redis_password))
                    .env("GATELODGE_SECRETS__KEYS", &key);
                Some(Stores {
                    postgres,
                    redis,
                    redis_password,
                    key,
                })
            }
        };
        let pem = private_key("ES256");
        canaries.pem(&pem);
        fs::write(folder.path().join("es256.pem"), pem).unwrap();
        fs::write(folder.path().join("gatelodge.toml"), TEMPLATES).unwrap();
        let program = Program::run(command);
        let key = match &stores {
            Some(stores) => stores.key.clone(),
            None => fs::read_to_string(folder.path().join("data/gatelodge.key")).unwrap(),
        };
        let public = canaries.key(key.trim());
        let published = program.browser().get("/.well-known/jwks.json").await;
        assert!(published.text.contains(&public), "{}", published.text);
        Self {
            folder,
            collector,
            stores,
            program,
            recorder: Recorder {
                canaries,
                answers: Vec::new(),
            },
            admin_password,
        }
    }
}

/// Who does everything there is to do, and with which passwords.
struct People {
    address: SocketAddr,
    root: Browser,
    ada: Browser,
    id: String,
    first: String,
    second: String,
    third: String,
    wrong: String,
    short: String,
    /// The token of a link that nobody uses.
    unused: String,
}

impl People {
    async fn meet(scene: &mut Scene) -> Self {
        let to = &mut scene.recorder;
        let [first, second, third, wrong, short] = [
            "a password",
            "a new password",
            "a password by a link",
            "a wrong password",
            "a refused password",
        ]
        .map(|name| to.canaries.password(name));
        let (mut root, mut ada) = (scene.program.browser(), scene.program.browser());
        let credentials = json!({ "email": PLANTED, "password": scene.admin_password });
        let answer = to.post(&mut root, "/api/login", &credentials).await;
        assert_eq!(answer.status, 200);
        let new = json!({ "email": "ada@example.com", "name": "Ada", "password": first });
        let answer = to.post(&mut ada, "/api/register", &new).await;
        assert_eq!(answer.status, 201);
        let taken = to.post(&mut ada, "/api/register", &new).await;
        taken.assert_problem(409, "email_taken");
        Self {
            address: scene.program.address,
            id: ada.user_id().await,
            root,
            ada,
            first,
            second,
            third,
            wrong,
            short: short[..10].to_owned(),
            unused: String::new(),
        }
    }

    fn stranger(&self) -> Browser {
        Browser::new(self.address)
    }

    /// Log-ins and changes that are wrong in every way a body can be.
    async fn err(&mut self, to: &mut Recorder) {
        let (wrong, short) = (&self.wrong, &self.short);
        for body in [
            json!({ "email": "ada@example.com", "password": wrong }),
            json!({ "email": "nobody@example.com", "password": wrong }),
            json!({ "email": "ada@example.com", "password": short, "more": wrong }),
            json!({ "email": wrong, "password": wrong }),
            json!({ "email": "ada@example.com", "password": { "is": wrong } }),
            json!([wrong]),
        ] {
            let refused = to.post(&mut self.stranger(), "/api/login", &body).await;
            assert!(refused.status >= 400, "{body}");
        }
        for (path, method) in [
            ("/api/password", Method::POST),
            ("/api/account", Method::DELETE),
            ("/api/account", Method::PATCH),
        ] {
            for body in [
                json!({ "current_password": wrong, "new_password": self.second }),
                json!({ "current_password": self.first, "new_password": short }),
                json!({ "password": wrong }),
                json!({ "email": "countess@example.com", "password": wrong }),
                json!({ "name": "Ada", "password": wrong }),
            ] {
                let refused = to.json(&mut self.ada, method.clone(), path, &body).await;
                assert!(refused.status >= 400, "{body}");
            }
        }
        for (path, fields) in [
            (
                "/account/password",
                [
                    ("current_password", &**wrong),
                    ("new_password", &self.second),
                ],
            ),
            (
                "/account/password",
                [("current_password", &self.first), ("new_password", short)],
            ),
            (
                "/account/email",
                [("email", "x@example.com"), ("password", wrong)],
            ),
            (
                "/login",
                [("email", "ada@example.com"), ("password", wrong)],
            ),
            (
                "/register",
                [("email", "y@example.com"), ("password", wrong)],
            ),
        ] {
            to.submit(&mut self.ada, path, &fields).await;
        }
    }

    /// What a user does with an account.
    async fn use_the_account(&mut self, to: &mut Recorder) {
        let ada = &mut self.ada;
        for path in [
            "/api/sessions/whoami",
            "/api/sessions",
            "/api/admin/users",
            "/health/ready",
            "/health/alive",
            "/openapi.json",
            "/.well-known/jwks.json",
        ] {
            to.get(ada, path).await;
        }
        for template in ["derived", "own"] {
            let path = format!("/api/sessions/whoami?tokenize_as={template}");
            let answer = to.get(ada, &path).await.json();
            to.minted(answer["tokenized"].as_str().unwrap());
        }
        let changed = json!({ "current_password": self.first, "new_password": self.second });
        assert_eq!(to.post(ada, "/api/password", &changed).await.status, 204);
        let moved = json!({ "email": "countess@example.com", "password": self.second });
        let answer = to.json(ada, Method::PATCH, "/api/account", &moved).await;
        assert_eq!(answer.status, 200);
        for path in [
            "/account",
            "/account/name",
            "/account/email",
            "/account/password",
            "/account/delete",
            "/docs",
            "/login",
            "/register",
            "/",
        ] {
            to.page(ada, path).await;
        }
        let mut visitor = self.stranger();
        let log_in = [
            ("email", "countess@example.com"),
            ("password", &*self.second),
        ];
        let answer = to.submit(&mut visitor, "/login", &log_in).await;
        assert_eq!(answer.status, 303);
        to.submit(&mut visitor, "/logout", &[]).await;
    }

    /// What a user does who has a JWT of the old system: right, used, and wrong.
    async fn come_over(&self, to: &mut Recorder) {
        let key = Key::secret();
        let jwt = key.signed(claims(&Clock::new(), "countess@example.com"));
        let nobodys = key.signed(claims(&Clock::new(), "nobody@example.com"));
        let wrong = Key::Secret(b"another".to_vec()).signed(claims(&Clock::new(), PLANTED));
        for (jwt, status) in [(&jwt, 200), (&jwt, 401), (&nobodys, 401), (&wrong, 401)] {
            let (_, signature) = jwt.rsplit_once('.').unwrap();
            for secret in [jwt, signature] {
                to.canaries.secret("a JWT", secret.as_bytes());
            }
            let body = json!({ "jwt": jwt });
            let path = "/api/sessions/exchange";
            let answer = to.post(&mut self.stranger(), path, &body).await;
            assert_eq!(answer.status, status);
            let misplaced = json!({ jwt: true, "jwt": [jwt], "remember_me": jwt });
            to.post(&mut self.stranger(), path, &misplaced).await;
        }
    }

    /// What an administrator does, and what becomes of the links.
    async fn administer(&mut self, to: &mut Recorder) {
        let (mut stranger, root) = (self.stranger(), &mut self.root);
        let user = format!("/api/admin/users/{}", self.id);
        for path in [
            "/api/admin/users",
            "/api/admin/sessions",
            "/api/admin/events",
            &user,
            &format!("{user}/sessions"),
        ] {
            assert_eq!(to.get(root, path).await.status, 200, "{path}");
        }
        for path in [
            "/admin/users",
            "/admin/sessions",
            "/admin/events",
            "/admin/users/new",
        ] {
            assert_eq!(to.page(root, path).await.status, 200, "{path}");
        }
        let invited = json!({ "email": "bob@example.com", "name": "Bob" });
        to.post(root, "/api/admin/users", &invited).await;
        self.unused = to.link();
        let fields = [
            ("email", "eve@example.com"),
            ("name", "Eve"),
            ("role", "user"),
        ];
        to.submit(root, "/admin/users/new", &fields).await;
        to.link();
        to.post(root, &format!("{user}/password-link"), &json!({}))
            .await;
        let link = to.link();
        to.page(&mut stranger, &format!("/password?token={link}"))
            .await;
        to.has_the_link(&link);
        let fields = [("token", &*link), ("new_password", &self.short)];
        to.submit(&mut stranger, "/password", &fields).await;
        to.has_the_link(&link);
        let redeem = "/api/password/redeem";
        for (password, status) in [(&self.short, 422), (&self.third, 204), (&self.third, 422)] {
            let body = json!({ "token": link, "new_password": password });
            assert_eq!(to.post(&mut stranger, redeem, &body).await.status, status);
        }
        to.page(&mut stranger, &format!("/password?token={link}"))
            .await;
        to.page(&mut stranger, &format!("/setup?token={}", self.unused))
            .await;
        for path in ["lock", "unlock"] {
            to.post(root, &format!("{user}/{path}"), &json!({})).await;
        }
        let role = json!({ "role": "user" });
        to.json(root, Method::PUT, &format!("{user}/role"), &role)
            .await;
    }

    /// Secrets where none belongs.
    async fn lose_secrets(&mut self, to: &mut Recorder) {
        let log_in = json!({ "email": "countess@example.com", "password": self.third });
        let answer = to.post(&mut self.ada, "/api/login", &log_in).await;
        assert_eq!(answer.status, 200);
        let token = self.ada.token.clone().unwrap();
        let forged = [&[1, 0, 0][..], &[(); 48].map(|()| random_byte())].concat();
        let forged = URL_SAFE_NO_PAD.encode(forged);
        to.canaries.token("a forged token", &forged, 3);
        for secret in [&*token, &*forged, &*self.unused, &*self.third] {
            let encoded = percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string();
            self.lose_in_heads(to, secret, &encoded).await;
            for path in [
                "/api/sessions",
                "/api/admin/users",
                "/api/admin/sessions",
                "/admin/users",
                "/account/sessions",
            ] {
                for method in [Method::GET, Method::DELETE, Method::POST] {
                    let request = self.root.request(method, &format!("{path}/{encoded}"));
                    to.send(&mut self.root, request).await;
                }
            }
            for path in [
                "/api/login",
                "/api/register",
                "/api/password/redeem",
                "/api/account",
            ] {
                for body in [
                    format!("{{\"password\": \"{secret}"),
                    format!("{secret}{{"),
                    format!("[\"{encoded}\"]"),
                ] {
                    for content_type in ["application/json", "text/plain"] {
                        let request = self.ada.request(Method::POST, path).body(body.clone());
                        let request = request.header(CONTENT_TYPE, content_type);
                        to.send(&mut self.ada, request).await;
                    }
                }
            }
        }
    }

    async fn lose_in_heads(&self, to: &mut Recorder, secret: &str, encoded: &str) {
        let basic = STANDARD.encode(format!("ada:{secret}"));
        for path in [
            "/api/sessions/whoami",
            "/api/sessions",
            "/api/nothing",
            "/nothing",
            "/api/authz/forward-auth",
            "/api/authz/auth-request",
        ] {
            for (name, value) in [
                (AUTHORIZATION.as_str(), format!("Bearer {encoded}")),
                (AUTHORIZATION.as_str(), format!("Basic {basic}")),
                ("x-session-id", encoded.to_owned()),
                ("x-forwarded-uri", format!("/app/{encoded}?token={encoded}")),
                (
                    COOKIE.as_str(),
                    format!("{COOKIE_NAME}={encoded}; {COOKIE_NAME}={encoded}"),
                ),
            ] {
                let request = self.stranger().request(Method::GET, path);
                let request = request
                    .header("x-forwarded-proto", "http")
                    .header("x-forwarded-host", "app.example.com")
                    .header("x-forwarded-method", "GET");
                to.send(&mut self.stranger(), request.header(name, value))
                    .await;
            }
            let query = format!("{path}?token={encoded}&password={encoded}");
            to.get(&mut self.stranger(), &query).await;
            to.get(&mut self.stranger(), &format!("{path}/{encoded}"))
                .await;
        }
    }

    /// Every operation there is, by everybody, with a body that is wrong.
    async fn try_everything(&self, to: &mut Recorder) {
        let document = self.stranger().get("/openapi.json").await.json();
        for (path, item) in document["paths"].as_object().unwrap() {
            let random = uuid::Uuid::now_v7().to_string();
            let path = path.replace("{id}", &random).replace("{path}", "app");
            for method in item.as_object().unwrap().keys() {
                let method: Method = method.to_uppercase().parse().unwrap();
                for who in [&self.stranger(), &self.ada, &self.root] {
                    let body = json!({
                        "password": self.wrong,
                        "token": self.unused,
                        "new_password": self.second,
                    });
                    let request = who.request(method.clone(), &path).json(&body);
                    to.send(&mut who.clone(), request).await;
                }
            }
        }
    }
}

fn random_byte() -> u8 {
    uuid::Uuid::new_v4().into_bytes()[0]
}

/// All that is in a folder, but the files that are there to hold the keys.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .file_name()
            .is_some_and(|name| name != "gatelodge.key" && name != "es256.pem")
        {
            // What the server has removed meanwhile is no place any more.
            if let Ok(bytes) = fs::read(&path) {
                found.push((path.display().to_string(), bytes));
            }
        }
    }
}

#[rstest]
#[case(Embedded, "trace")]
#[case(Scaled, "trace")]
#[case(Scaled, "trace,actix_http=trace,actix_server=trace")]
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_an_answer_or_a_store(#[case] stack: Stack, #[case] level: &str) {
    let mut scene = Scene::set(stack, level).await;
    let overheard = Arc::new(Mutex::new(Vec::new()));
    if let Some(stores) = &scene.stores {
        let mut everything = stores.redis.overhear(&stores.redis_password).await;
        let heard = Arc::clone(&overheard);
        tokio::spawn(async move {
            let mut messages = everything.on_message();
            while let Some(message) = messages.next().await {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend_from_slice(message.get_payload_bytes());
            }
        });
    }
    let mut people = People::meet(&mut scene).await;
    let to = &mut scene.recorder;
    people.err(to).await;
    people.use_the_account(to).await;
    people.come_over(to).await;
    people.administer(to).await;
    people.lose_secrets(to).await;
    people.try_everything(to).await;

    let mut places = Vec::new();
    if let Some(stores) = &scene.stores {
        let mut redis = connection_to(&stores.redis.url_with(&stores.redis_password)).await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut redis)
            .await
            .unwrap();
        assert!(!keys.is_empty());
        for key in keys {
            let value: Vec<u8> = redis::cmd("GET")
                .arg(&key)
                .query_async(&mut redis)
                .await
                .unwrap();
            places.push(("Redis".to_owned(), [key, value].concat()));
        }
        // What there is to say of a store that is lost.
        stores.redis.kill().await;
        eventually("it is missed", async || {
            scene.program.log().contains("Redis is lost")
        })
        .await;
        let heard = overheard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        assert!(!heard.is_empty());
        places.push(("what Redis passes on".to_owned(), heard));
        stores.postgres.checkpoint().await;
        files(stores.postgres.folder(), &mut places);
    }
    files(scene.folder.path(), &mut places);
    let kept = places
        .iter()
        .filter(|(_, bytes)| contains(bytes, PLANTED.as_bytes()))
        .count();
    assert_ne!(kept, 0, "the stores are searched");

    let Scene {
        collector,
        program,
        recorder,
        ..
    } = scene;
    eventually("all is traced", async || {
        contains(&collector.bodies(), b"DELETE /api/admin/users/{id}")
    })
    .await;
    places.push(("traces".to_owned(), collector.bodies()));
    let (said, log) = program.end();
    assert!(log.contains("\"level\":\"TRACE\"") && log.lines().count() > 500);
    assert!(contains(log.as_bytes(), b"/api/admin/users/{id}"));
    for line in log.lines() {
        let line: Result<Value, _> = serde_json::from_str(line);
        assert!(
            line.is_ok_and(|line| line["level"].is_string()),
            "each line is an event"
        );
    }
    places.push(("standard output".to_owned(), said.into_bytes()));
    places.push(("the log".to_owned(), log.into_bytes()));
    places.extend(recorder.answers);

    let (mut found, search) = (BTreeSet::new(), recorder.canaries.search());
    for (place, bytes) in &places {
        search.find(place, bytes, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    AhoCorasick::new([needle]).unwrap().is_match(haystack)
}

/// The search itself finds a secret, however it is written.
#[test]
fn a_canary_is_found_in_every_spelling() {
    let mut canaries = Canaries::default();
    let password = canaries.password("a password");
    let search = canaries.search();
    for written in [
        password.clone(),
        json!({ "password": password }).to_string(),
        json!({ "body": json!({ "password": password }).to_string() }).to_string(),
        serde_urlencoded::to_string([("password", &password)]).unwrap(),
        STANDARD.encode(format!("ada:{password}")),
        STANDARD_NO_PAD.encode(format!("root:{password}")),
        format!("{:?}", password.as_bytes()),
        password.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        password[..40].to_owned(),
    ] {
        let mut found = BTreeSet::new();
        search.find("here", written.as_bytes(), &mut found);
        assert!(!found.is_empty(), "{written}");
    }
}
