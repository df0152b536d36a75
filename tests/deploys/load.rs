//! People who use the service all the while, and note every answer that is not the one
//! that is right.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::app::PASSWORD;

/// Between two requests of one of them.
const PAUSE: Duration = Duration::from_millis(60);

/// What all of them know.
pub struct Load {
    /// Cookies of sessions that live as long as this does, with whose they are.
    pub living: Vec<(String, String)>,
    /// Cookies of sessions that have ended everywhere.
    pub ended: Mutex<Vec<String>>,
    failures: Mutex<Vec<Failure>>,
    asked: AtomicUsize,
    is_over: AtomicBool,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub began: Instant,
    pub what: String,
}

/// Somebody with connections of their own, which they keep.
pub struct Visitor {
    client: Client,
    address: SocketAddr,
    load: Arc<Load>,
}

pub struct Heard {
    pub status: u16,
    pub body: Value,
    /// The session's cookie, if it was set.
    pub cookie: Option<String>,
}

impl Load {
    pub fn new(living: Vec<(String, String)>) -> Arc<Self> {
        Arc::new(Self {
            living,
            ended: Mutex::default(),
            failures: Mutex::default(),
            asked: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> Vec<Failure> {
        self.failures.lock().unwrap().clone()
    }

    /// Has them stop, and waits until they have.
    pub async fn end(&self, visitors: Vec<JoinHandle<()>>) {
        self.is_over.store(true, Ordering::Relaxed);
        for visitor in visitors {
            visitor.await.expect("no panic");
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Some who check sessions, and some who log in, change something and log out: users
    /// of their own, of those with living sessions, from the `first` on.
    pub fn begin(self: &Arc<Self>, address: SocketAddr, first: usize) -> Vec<JoinHandle<()>> {
        let checks = (0..2).map(|nth| {
            let visitor = Visitor::new(address, self);
            tokio::spawn(async move { visitor.check_sessions(nth).await })
        });
        let comes = (0..2).map(|nth| {
            let visitor = Visitor::new(address, self);
            let (_, email) = self.living[first + nth].clone();
            tokio::spawn(async move { visitor.come_and_go(&email).await })
        });
        checks.chain(comes).collect()
    }
}

impl Visitor {
    pub fn new(address: SocketAddr, load: &Arc<Load>) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(10)).build();
        Self {
            client: client.expect("a client"),
            address,
            load: Arc::clone(load),
        }
    }

    /// Asks, and notes it unless the answer has this status.
    pub async fn ask(
        &self,
        expected: u16,
        method: Method,
        path: &str,
        cookie: &str,
        body: Option<Value>,
    ) -> Option<Heard> {
        let began = Instant::now();
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method.clone(), url);
        if !cookie.is_empty() {
            request = request.header(COOKIE, cookie);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.load.asked.fetch_add(1, Ordering::Relaxed);
        let heard = hear(request).await;
        let wrong = match heard {
            Ok(heard) if heard.status == expected => return Some(heard),
            Ok(Heard { status, body, .. }) => format!("{status}, not {expected}: {body}"),
            Err(error) => format!("{error:?}"),
        };
        let what = format!("{method} {} {path}: {wrong}", self.address);
        self.load
            .failures
            .lock()
            .unwrap()
            .push(Failure { began, what });
        None
    }

    /// A session's cookie.
    pub async fn log_in(&self, email: &str) -> Option<String> {
        let body = json!({ "email": email, "password": PASSWORD });
        let heard = self
            .ask(200, Method::POST, "/api/login", "", Some(body))
            .await?;
        heard.cookie
    }

    pub async fn check(&self, expected: u16, cookie: &str) -> Option<Heard> {
        let whoami = "/api/sessions/whoami";
        self.ask(expected, Method::GET, whoami, cookie, None).await
    }

    async fn check_sessions(&self, mut nth: usize) {
        while self.load.goes_on() {
            nth += 1;
            let (cookie, email) = &self.load.living[nth % self.load.living.len()];
            if let Some(heard) = self.check(200, cookie).await {
                assert_eq!(heard.body["user"]["email"], **email);
            }
            let ended = {
                let ended = self.load.ended.lock().unwrap();
                ended.get(nth % ended.len().max(1)).cloned()
            };
            if let Some(cookie) = ended {
                self.check(401, &cookie).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn come_and_go(&self, email: &str) {
        while self.load.goes_on() {
            tokio::time::sleep(PAUSE).await;
            let Some(cookie) = self.log_in(email).await else {
                continue;
            };
            let name = Some(json!({ "name": "Ada, and not for the first time" }));
            self.ask(200, Method::PATCH, "/api/account", &cookie, name)
                .await;
            self.check(200, &cookie).await;
            self.ask(204, Method::POST, "/api/logout", &cookie, None)
                .await;
        }
    }
}

async fn hear(request: reqwest::RequestBuilder) -> reqwest::Result<Heard> {
    let answer = request.send().await?;
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let cookie = cookies
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .find(|cookie| cookie.starts_with("gatelodge_session="));
    Ok(Heard {
        status: answer.status().as_u16(),
        cookie: cookie.map(str::to_owned),
        body: serde_json::from_str(&answer.text().await?).unwrap_or_default(),
    })
}
