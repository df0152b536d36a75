//! A client that keeps the session cookie as a browser would, with a verb per
//! endpoint.

use std::net::SocketAddr;

use reqwest::header::{ACCEPT, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::app::PASSWORD;

pub const COOKIE_NAME: &str = "gatelodge_session";
pub const DEVICE_NAME: &str = "gatelodge_device";

#[derive(Clone)]
pub struct Browser {
    client: Client,
    address: SocketAddr,
    /// The session cookie's value.
    pub token: Option<String>,
    /// The value of the cookie that stays after the session.
    pub device: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect()
    }

    /// An error of that status and code, in the form all errors have.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let challenge = match (status, code) {
            (401, "unknown_service") => Some("Bearer realm=\"gatelodge\""),
            (401, _) => Some("Cookie realm=\"gatelodge\""),
            _ => None,
        };
        assert_eq!(self.header("www-authenticate"), challenge);
        let must_say_when = status == 503 || status == 429;
        assert_eq!(self.header("retry-after").is_some(), must_say_when);
        assert_eq!(
            self.set_cookies(),
            Vec::<&str>::new(),
            "an error leaves the cookie alone"
        );
    }

    /// The answer to somebody who is not logged in.
    #[track_caller]
    pub fn assert_refused(&self) {
        self.assert_problem(401, "unauthenticated");
    }

    /// The fields a 422 complains of.
    #[track_caller]
    pub fn wrong_fields(&self) -> Vec<String> {
        self.assert_problem(422, "invalid_input");
        let problem = self.json();
        let errors = problem["errors"].as_array().expect("errors");
        errors
            .iter()
            .map(|error| error["field"].as_str().expect("a field").to_owned())
            .collect()
    }
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        let client = Client::builder()
            .timeout(std::time::Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            client,
            address,
            token: None,
            device: None,
        }
    }

    /// The same browser, sent to another instance.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        let cookies = [(COOKIE_NAME, &self.token), (DEVICE_NAME, &self.device)];
        let cookies = cookies
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let cookies: Vec<_> = cookies.collect();
        if cookies.is_empty() {
            request
        } else {
            request.header(COOKIE, cookies.join("; "))
        }
    }

    /// Sends a request, and keeps or drops the cookie as the answer says.
    pub async fn send(&mut self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let answer = Answer {
            status,
            headers,
            text,
        };
        for cookie in answer.set_cookies() {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().expect("a value");
            let kept = match name {
                COOKIE_NAME => &mut self.token,
                DEVICE_NAME => &mut self.device,
                _ => panic!("a cookie called {name}"),
            };
            *kept = (!value.is_empty()).then(|| value.to_owned());
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Asks for a page, as a browser does for people.
    pub async fn page(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path);
        self.send(request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"))
            .await
    }

    /// Sends a form as a page of the service's own would.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.request(Method::POST, path).form(fields);
        self.send(
            form.header("sec-fetch-site", "same-origin")
                .header(ACCEPT, "text/html"),
        )
        .await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn register(&mut self, email: &str, password: &str) -> Answer {
        let name = email.split('@').next().unwrap_or_default();
        let body = json!({ "email": email, "name": name, "password": password });
        self.post("/api/register", &body).await
    }

    pub async fn log_in(&mut self, email: &str, password: &str) -> Answer {
        self.post(
            "/api/login",
            &json!({ "email": email, "password": password }),
        )
        .await
    }

    pub async fn log_in_remembered(&mut self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD, "remember_me": true });
        self.post("/api/login", &body).await
    }

    pub async fn log_out(&mut self) -> Answer {
        self.send(self.request(Method::POST, "/api/logout")).await
    }

    /// Logs in with another system's JWT.
    pub async fn exchange(&mut self, jwt: &str) -> Answer {
        self.post("/api/sessions/exchange", &json!({ "jwt": jwt }))
            .await
    }

    pub async fn whoami(&mut self) -> Answer {
        self.send(self.request(Method::GET, "/api/sessions/whoami"))
            .await
    }

    pub async fn list_sessions(&mut self) -> Answer {
        self.send(self.request(Method::GET, "/api/sessions")).await
    }

    pub async fn revoke_session(&mut self, id: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/api/sessions/{id}")))
            .await
    }

    pub async fn revoke_others(&mut self) -> Answer {
        self.send(self.request(Method::DELETE, "/api/sessions"))
            .await
    }

    pub async fn revoke_all(&mut self) -> Answer {
        self.send(self.request(Method::DELETE, "/api/sessions?include_current=true"))
            .await
    }

    pub async fn change_password(&mut self, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        self.post("/api/password", &body).await
    }

    pub async fn update_account(&mut self, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, "/api/account").json(body))
            .await
    }

    pub async fn delete_account(&mut self, password: &str) -> Answer {
        let body = json!({ "password": password });
        self.send(self.request(Method::DELETE, "/api/account").json(&body))
            .await
    }

    /// The id of the user this browser is logged in as.
    pub async fn user_id(&mut self) -> String {
        let whoami = self.whoami().await;
        whoami.json()["user"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// The public id of the session this browser has.
    pub async fn session_id(&mut self) -> String {
        let whoami = self.whoami().await;
        whoami.json()["session"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }
}
