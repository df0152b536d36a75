//! What somebody makes of the copies in Redis who can write there: they get no
//! identity, they bring nobody back, and they log nobody out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::config::secret_key;
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::keys::{KeyRing, SecretKey};
use gatelodge::domain::token::Claim;
use gatelodge::entropy;
use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::json;

use crate::support::Stack::Scaled;
use crate::support::servers::connection_to;
use crate::support::{Browser, TestApp, eventually};

const USERS: [&str; 2] = ["ada@example.com", "eve@example.com"];

/// The version that copies have, and where their parts begin: the key's id, the nonce,
/// the sealed record.
const VERSION: u8 = 2;
const ID: usize = 1;
const NONCE: usize = 3;
const BODY: usize = 15;

/// An instance where people log in, another that has never seen them, and the Redis
/// between the two, with its keys.
struct Scene {
    here: TestApp,
    there: TestApp,
    redis: MultiplexedConnection,
    prefix: String,
    keys: KeyRing,
}

/// Somebody logged in.
struct Victim {
    browser: Browser,
    email: &'static str,
    digest: TokenDigest,
    place: String,
    copy: Vec<u8>,
}

impl Scene {
    async fn begin() -> Self {
        let here = TestApp::spawn(Scaled).await;
        for email in USERS {
            here.registered(email).await;
        }
        let there = here.another_instance().await;
        let environment = here.environment();
        let key = secret_key(&environment["GATELODGE_SECRETS__KEYS"]).unwrap();
        Self {
            redis: connection_to(&environment["REDIS_URL"]).await,
            prefix: environment["GATELODGE_REDIS__KEY_PREFIX"].clone(),
            keys: KeyRing::new(&key, &[]),
            here,
            there,
        }
    }

    async fn victim(&mut self, email: &'static str) -> Victim {
        let browser = self.here.logged_in(email).await;
        let token = browser.token.as_deref().unwrap();
        let digest = Claim::parse(token.as_bytes()).unwrap().digest();
        let name = URL_SAFE_NO_PAD.encode(digest.as_bytes());
        let place = format!("{}:s:{name}", self.prefix);
        let get = redis::cmd("GET").arg(&place).clone();
        let copy: Vec<u8> = get.query_async(&mut self.redis).await.unwrap();
        assert_eq!(copy[0], VERSION);
        Victim {
            browser,
            email,
            digest,
            place,
            copy,
        }
    }

    async fn put(&mut self, place: &str, copy: &[u8]) {
        let put = redis::cmd("SET").arg(place).arg(copy).clone();
        put.exec_async(&mut self.redis).await.unwrap();
    }

    /// Puts something else than a text there.
    async fn put_by(&mut self, command: &str, place: &str, arguments: &[&str]) {
        let delete = redis::cmd("DEL").arg(place).clone();
        delete.exec_async(&mut self.redis).await.unwrap();
        let put = redis::cmd(command).arg(place).arg(arguments).clone();
        put.exec_async(&mut self.redis).await.unwrap();
    }

    /// What is in a copy, and the same sealed anew.
    fn resealed(&self, victim: &Victim, keys: &KeyRing, version: u8) -> Vec<u8> {
        let (id, nonce) = (&victim.copy[ID..NONCE], &victim.copy[NONCE..BODY]);
        let (id, nonce) = (id.try_into().unwrap(), nonce.try_into().unwrap());
        let body = &victim.copy[BODY..];
        let opened = self.keys.open(id, &victim.digest, VERSION, nonce, body);
        sealed(keys, victim, version, &opened.unwrap())
    }

    /// One victim for each thing that can be done to a copy, once it is done.
    async fn victims(&mut self) -> Vec<(String, Victim)> {
        let mut victims = Vec::new();
        let [ada, eve] = USERS;

        let (copied, original) = (self.victim(ada).await, self.victim(eve).await);
        self.put(&copied.place, &original.copy).await;
        victims.push(("copied".to_owned(), copied));

        let (one, other) = (self.victim(ada).await, self.victim(eve).await);
        self.put(&one.place, &other.copy).await;
        self.put(&other.place, &one.copy).await;
        victims.push(("swapped".to_owned(), one));
        victims.push(("swapped".to_owned(), other));

        for length in 0..original.copy.len() {
            let victim = self.victim(ada).await;
            let end = length.min(victim.copy.len() - 1);
            self.put(&victim.place, &victim.copy[..end]).await;
            victims.push((format!("cut to {end}"), victim));
        }
        for position in 0..original.copy.len() {
            let victim = self.victim(ada).await;
            let mut copy = victim.copy.clone();
            let position = position.min(copy.len() - 1);
            copy[position] ^= 1 << (position % 8);
            self.put(&victim.place, &copy).await;
            victims.push((format!("another bit in {position}"), victim));
        }
        for length in [1, 14, 15, 31, 200, 100_000] {
            let victim = self.victim(ada).await;
            let garbage = entropy::random::<200>().repeat(500);
            self.put(&victim.place, &garbage[..length]).await;
            victims.push((format!("{length} of garbage"), victim));
            let victim = self.victim(ada).await;
            let garbage = sealed(&self.keys, &victim, VERSION, &garbage[..length]);
            self.put(&victim.place, &garbage).await;
            victims.push((format!("{length} of garbage, sealed"), victim));
        }
        for (command, arguments) in [
            ("RPUSH", &["a", "b"][..]),
            ("HSET", &["a", "b"]),
            ("SADD", &["a"]),
            ("ZADD", &["1", "a"]),
            ("XADD", &["*", "a", "b"]),
        ] {
            let victim = self.victim(ada).await;
            self.put_by(command, &victim.place, arguments).await;
            victims.push((command.to_owned(), victim));
        }
        for version in [VERSION - 1, VERSION + 1, u8::MAX] {
            let victim = self.victim(ada).await;
            let other = self.resealed(&victim, &self.keys, version);
            self.put(&victim.place, &other).await;
            victims.push((format!("version {version}"), victim));
        }
        let victim = self.victim(ada).await;
        let unknown = SecretKey::parse(&entropy::random::<64>()).unwrap();
        let other = self.resealed(&victim, &KeyRing::new(&unknown, &[]), VERSION);
        self.put(&victim.place, &other).await;
        victims.push(("an unknown key".to_owned(), victim));
        victims
    }
}

fn sealed(keys: &KeyRing, victim: &Victim, version: u8, plaintext: &[u8]) -> Vec<u8> {
    let nonce = entropy::random();
    let (id, body) = keys.seal(&victim.digest, version, nonce, plaintext);
    [&[version][..], &id, &nonce, &body].concat()
}

#[tokio::test]
async fn a_copy_that_was_tampered_with_logs_nobody_out_and_is_nobody_else() {
    let mut scene = Scene::begin().await;
    for (tampering, victim) in scene.victims().await {
        let mut there = victim.browser.at(scene.there.address);
        let answer = there.whoami().await;
        assert_eq!(answer.status, 200, "{tampering}: {}", answer.text);
        assert_eq!(answer.json()["user"]["email"], victim.email, "{tampering}");
        assert_eq!(there.log_out().await.status, 204, "{tampering}");
        // Not by its connection from before, which has been idle for long.
        let mut here = scene.here.browser();
        here.token.clone_from(&victim.browser.token);
        eventually("it has ended", async || here.whoami().await.status == 401).await;
    }
}

/// Shown by taking the sessions away behind the service's back: but for their copies
/// they are gone.
#[tokio::test]
async fn a_copy_that_was_tampered_with_is_not_believed() {
    let mut scene = Scene::begin().await;
    let mut untouched = Vec::new();
    for email in USERS {
        let mut victim = scene.victim(email).await;
        let same = scene.resealed(&victim, &scene.keys, VERSION);
        scene.put(&victim.place, &same).await;
        victim.copy = same;
        untouched.push(victim);
    }
    let victims = scene.victims().await;
    scene.here.lose_sessions().await;
    for (tampering, victim) in victims {
        let answer = victim.browser.at(scene.there.address).whoami().await;
        assert_eq!(answer.status, 401, "{tampering}: {}", answer.text);
        answer.assert_refused();
    }
    for victim in untouched {
        let answer = victim.browser.at(scene.there.address).whoami().await;
        assert_eq!(answer.json()["user"]["email"], victim.email);
    }
}

#[tokio::test]
async fn an_old_copy_that_is_put_back_brings_nobody_back() {
    let mut scene = Scene::begin().await;
    let [ada, eve] = USERS;
    let (ended, all_ended) = (scene.victim(ada).await, scene.victim(eve).await);
    let mut elsewhere = all_ended.browser.at(scene.there.address);
    assert_eq!(elsewhere.whoami().await.status, 200);
    assert_eq!(ended.browser.clone().log_out().await.status, 204);
    assert_eq!(all_ended.browser.clone().revoke_all().await.status, 200);
    let fresh = scene.here.another_instance().await;
    for victim in [&ended, &all_ended] {
        for address in [scene.here.address, scene.there.address, fresh.address] {
            let mut browser = victim.browser.at(address);
            scene.put(&victim.place, &victim.copy).await;
            eventually("it is refused", async || {
                browser.whoami().await.status == 401
            })
            .await;
            for _ in 0..3 {
                scene.put(&victim.place, &victim.copy).await;
                browser.whoami().await.assert_refused();
            }
        }
    }
}

#[tokio::test]
async fn an_old_copy_that_is_put_back_shows_nobody_as_they_were() {
    let mut scene = Scene::begin().await;
    let [ada, _] = USERS;
    let victim = scene.victim(ada).await;
    let renaming = victim.browser.request(Method::PATCH, "/api/account");
    let renaming = renaming.json(&json!({ "name": "Ada, Countess of Lovelace" }));
    let answer = victim.browser.clone().send(renaming).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let fresh = scene.here.another_instance().await;
    for address in [scene.there.address, fresh.address] {
        scene.put(&victim.place, &victim.copy).await;
        let mut browser = victim.browser.at(address);
        eventually("it is the new name", async || {
            browser.whoami().await.json()["user"]["name"] == "Ada, Countess of Lovelace"
        })
        .await;
    }
}
