//! The way over from JWTs. An app goes through the steps of its page and back from each,
//! while a browser that gets each version, and a client that stays as it is, use it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use super::nginx::Nginx;
use super::packages::{node, recipe, succeeds, with_npm};
use crate::page::{Kind, Page};
use crate::support::Browser;
use crate::support::chromium::Visitor;
use crate::support::program::{Program, command};
use crate::support::servers::{Process, free_port, program, started};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const GRACE: &str = "grace@example.com";
/// Another address to the app.
const NOT_ADA: &str = "Ada@example.com";
/// Shorter than Gatelodge would take a new one.
const PASSWORD: &str = "0ld password";
const NEW_PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "what the app signs its access tokens with";

/// The app in a folder of its own, nginx before it, and Gatelodge beside it from the first
/// step on.
struct Deployment {
    folder: TempDir,
    app: Process,
    nginx: Nginx,
    gatelodge_port: u16,
    gatelodge: Option<Program>,
}

impl Deployment {
    fn as_it_is() -> Self {
        let packages = with_npm("leaving-jwt").join("node_modules");
        let folder = tempfile::tempdir().unwrap();
        let files = format!("{}/.", recipe("leaving-jwt").display());
        succeeds(Command::new("cp").args(["-R", &files]).arg(folder.path()));
        let installed = folder.path().join("node_modules");
        fs::create_dir(&installed).unwrap();
        for package in ["bcryptjs", "express", "jsonwebtoken"] {
            std::os::unix::fs::symlink(packages.join(package), installed.join(package)).unwrap();
        }
        let secrets = format!("ACCESS_SECRET={SECRET}\nREFRESH_SECRET=another\n");
        fs::write(folder.path().join("secrets.env"), secrets).unwrap();

        let gatelodge_port = free_port();
        let app = started("the app", "TERM", |_, port| {
            let mut command = Command::new("env");
            command
                .arg(format!("--chdir={}", folder.path().display()))
                .arg(format!("PORT={port}"))
                .arg(format!("GATELODGE=http://127.0.0.1:{gatelodge_port}"))
                .arg(node("node"))
                .args(["--env-file=secrets.env", "server.js"]);
            command
        });
        let names = vec![
            ("127.0.0.1:8080", format!("127.0.0.1:{gatelodge_port}")),
            ("127.0.0.1:3000", app.address.to_string()),
        ];
        Self {
            nginx: Nginx::start(&folder.path().join("nginx.conf"), names),
            folder,
            app,
            gatelodge_port,
            gatelodge: None,
        }
    }

    async fn goes_on(&mut self, step: &str) {
        self.takes(step, &["apply"]).await;
    }

    async fn goes_back(&mut self, step: &str) {
        self.takes(step, &["apply", "--reverse"]).await;
    }

    /// Starts again what is changed, and nothing else.
    async fn takes(&mut self, step: &str, apply: &[&str]) {
        let diff = self.folder.path().join(format!("steps/{step}.diff"));
        let git = program(&["git"], "git", "put git into PATH");
        let mut git = Command::new(git);
        succeeds(git.args(apply).arg(&diff).current_dir(&self.folder));
        let diff = fs::read_to_string(diff).unwrap();
        if diff.contains("b/gatelodge.toml") {
            self.stop_gatelodge().await;
            self.start_gatelodge();
        }
        if diff.contains("b/server.js") {
            self.app.restart().await;
        }
        if diff.contains("b/nginx.conf") {
            let file = self.folder.path().join("nginx.conf");
            self.nginx.start_again(&file).await;
        }
    }

    async fn stop_gatelodge(&mut self) {
        if let Some(mut gatelodge) = self.gatelodge.take() {
            gatelodge.signal("TERM");
            gatelodge.ends_within(Duration::from_secs(10)).await;
        }
    }

    fn start_gatelodge(&mut self) {
        self.gatelodge = Some(Program::run(self.gatelodge_with(&[])));
    }

    /// Gatelodge's program, with the settings that are not in its file.
    fn gatelodge_with(&self, arguments: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut command = command(folder);
        let bind = format!("127.0.0.1:{}", self.gatelodge_port);
        command.env("GATELODGE_SERVER__BIND", bind);
        command.env("GATELODGE_SERVER__PUBLIC_URL", self.nginx.origin());
        let file = fs::read_to_string(folder.join("gatelodge.toml")).unwrap();
        if file.contains("[exchange]") {
            command.env("GATELODGE_EXCHANGE__SECRET", SECRET);
        }
        command.args(arguments);
        command
    }

    /// Types what the page has for that.
    fn moves_users(&self) {
        let page = Page::read(Path::new("docs/leaving-jwt.md"));
        let mut blocks = page.blocks.iter();
        let moving = blocks.find(|block| block.text.contains("link-users.js"));
        let moving = moving.expect("commands to move users");
        assert_eq!(moving.kind, Kind::NotRun);
        let usual = std::env::var("PATH").unwrap();
        let gatelodge = Path::new(env!("CARGO_BIN_EXE_gatelodge")).parent();
        let path = format!("{}:{usual}", gatelodge.unwrap().display());
        let settings = self.gatelodge_with(&[]);
        let settings = settings
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &moving.text])
            .envs(settings)
            .env("PATH", path)
            .current_dir(self.folder.path());
        succeeds(&mut shell);
    }

    /// The libraries, and the secrets.
    async fn loses_what_made_tokens(&mut self) {
        let folder = self.folder.path();
        for package in ["bcryptjs", "jsonwebtoken"] {
            fs::remove_file(folder.join("node_modules").join(package)).unwrap();
        }
        fs::write(folder.join("secrets.env"), "").unwrap();
        self.app.restart().await;
    }

    /// A client at the app's address.
    fn client(&self) -> Browser {
        Browser::new(SocketAddr::from(([127, 0, 0, 1], self.nginx.port())))
    }

    async fn registered(&self, email: &str, name: &str) {
        let body = json!({ "email": email, "name": name, "password": PASSWORD });
        let answer = self.client().post("/auth/register", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn exchanged(&self, jwt: &str) -> (u16, Browser) {
        let mut client = self.client();
        let body = json!({ "jwt": jwt });
        let answer = client.post("/api/sessions/exchange", &body).await;
        (answer.status, client)
    }
}

/// A client that knows tokens and is never updated.
struct OldClient {
    http: Browser,
    token: String,
    refresh_token: String,
}

impl OldClient {
    async fn logged_in(at: &Deployment, email: &str) -> Self {
        let mut http = at.client();
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = http.post("/auth/login", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let tokens = answer.json();
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Self {
            token: token("accessToken"),
            refresh_token: token("refreshToken"),
            http,
        }
    }

    async fn is_taken(&mut self, token: &str) -> bool {
        let request = self.http.request(Method::GET, "/notes").bearer_auth(token);
        match self.http.send(request).await.status {
            200 => true,
            401 => false,
            status => panic!("{status}"),
        }
    }

    async fn refresh(&mut self) -> u16 {
        let body = json!({ "refreshToken": self.refresh_token });
        let answer = self.http.post("/auth/refresh", &body).await;
        if answer.status == 200 {
            answer.json()["accessToken"]
                .as_str()
                .unwrap()
                .clone_into(&mut self.token);
        }
        answer.status
    }

    /// With the token it has, and with a fresh one.
    async fn goes_on(&mut self) {
        let token = self.token.clone();
        assert!(self.is_taken(&token).await, "the old token");
        assert_eq!(self.refresh().await, 200);
        let token = self.token.clone();
        assert!(self.is_taken(&token).await, "a fresh token");
    }
}

/// Somebody at the app's page, which is of a later version each time it is loaded.
struct User(Visitor);

impl User {
    async fn at(deployment: &Deployment) -> Self {
        let visitor = Visitor::to(&deployment.nginx.origin()).await;
        visitor.go("/").await;
        Self(visitor)
    }

    async fn logs_in(&self) {
        self.logs_in_as(ADA).await;
        self.0.shows("Hello, Ada").await;
    }

    async fn logs_in_as(&self, email: &str) {
        self.0.shows("Log in").await;
        self.0.fill("email", email).await;
        self.0.fill("password", PASSWORD).await;
        let submit = "document.querySelector('#log-in').requestSubmit()";
        self.0.run(submit).await;
    }

    /// In the page as it was loaded, of whatever version.
    async fn writes(&self, note: &str) {
        self.0.fill("note", note).await;
        let submit = "document.querySelector('#add').requestSubmit()";
        self.0.run(submit).await;
        self.0.shows(note).await;
    }

    async fn comes_back(&self) {
        self.0.go("/").await;
        self.0.shows("Hello, Ada").await;
    }

    async fn clicks_log_out(&self) {
        let click = "document.querySelector('#log-out').click()";
        self.0.run(click).await;
        self.0.shows("Log in").await;
    }

    async fn logs_out(&self) {
        self.clicks_log_out().await;
        self.0.go("/").await;
        self.0.shows("Log in").await;
    }

    async fn has_tokens(&self) -> bool {
        let has = self.0.run("return 'refreshToken' in localStorage").await;
        has.as_bool().unwrap()
    }

    async fn has_a_session(&self) -> bool {
        let asked = "fetch('/api/sessions/whoami').then((answer) => answer.status)";
        self.0.promised(asked).await == 200
    }

    async fn has_a_session_of(&self, email: &str) -> bool {
        let asked = "fetch('/api/sessions/whoami').then((answer) => answer.json())\
                     .then(({ user }) => user.email)";
        self.0.promised(asked).await == email
    }
}

/// All of them, on their way.
struct Everybody {
    app: Deployment,
    /// Loads the page at each step.
    ada: User,
    /// Ada's as well.
    phone: OldClient,
    /// A token that the phone got at step 0.
    first_token: String,
}

impl Everybody {
    async fn at_step_0() -> Self {
        let app = Deployment::as_it_is();
        app.registered(ADA, "Ada").await;
        app.registered(BOB, "Bob").await;
        let ada = User::at(&app).await;
        ada.logs_in().await;
        ada.writes("of step 0").await;
        let phone = OldClient::logged_in(&app, ADA).await;
        let first_token = phone.token.clone();
        Self {
            app,
            ada,
            phone,
            first_token,
        }
    }

    /// In a page of the step before, in one of this step, and with tokens alone.
    async fn go_on_from_before(&mut self, note: &str) {
        self.ada.writes(note).await;
        self.go_on().await;
    }

    async fn go_on(&mut self) {
        self.ada.comes_back().await;
        self.phone.goes_on().await;
    }

    async fn take_step_1(&mut self) {
        self.app.goes_on("1-beside").await;
        self.app.moves_users();
        self.go_on_from_before("of step 1").await;
        let gatelodge = self.app.gatelodge.as_ref().unwrap().address;
        let answer = Browser::new(gatelodge).log_in(ADA, PASSWORD).await;
        assert_eq!(answer.status, 200, "the password is moved: {answer:?}");
        let answer = self.app.client().log_in(ADA, PASSWORD).await;
        assert_eq!(answer.status, 404, "nobody is led there yet");
    }

    /// Answers with two who register too late to be moved; the second has an address that
    /// is Ada's to Gatelodge.
    async fn take_step_2(&mut self) -> [OldClient; 2] {
        self.app.goes_on("2-claims").await;
        self.go_on_from_before("of step 2").await;
        self.app.registered(GRACE, "Grace").await;
        self.app.registered(NOT_ADA, "Mallory").await;
        let grace = OldClient::logged_in(&self.app, GRACE).await;
        let mallory = OldClient::logged_in(&self.app, NOT_ADA).await;
        for (token, why) in [
            (&self.first_token, "it has no id"),
            (&self.phone.refresh_token, "it is no access token"),
            (&grace.token, "its user is not moved yet"),
        ] {
            assert_eq!(self.app.exchanged(token).await.0, 401, "{why}");
        }
        self.app.goes_back("2-claims").await;
        self.go_on().await;
        self.app.goes_on("2-claims").await;
        [grace, mallory]
    }

    async fn take_step_3(&mut self) {
        self.app.goes_on("3-either").await;
        self.go_on_from_before("of step 3").await;
        assert!(self.ada.has_a_session().await && self.ada.has_tokens().await);
        self.a_token_becomes_a_session_once().await;

        self.app.stop_gatelodge().await;
        self.go_on().await;
        self.nobody_is_taken_for_who_was_here_before().await;
        self.app.goes_back("3-either").await;
        self.go_on().await;
        let everyone = ["sessions", "revoke", "--everyone"];
        succeeds(&mut self.app.gatelodge_with(&everyone));
        self.app.goes_on("3-either").await;
        self.ada.comes_back().await;
        assert!(self.ada.has_a_session().await);
        // As if she came back after a week.
        succeeds(&mut self.app.gatelodge_with(&everyone));
        self.ada.0.run("localStorage.accessToken = 'expired'").await;
    }

    /// Whose log-out Gatelodge did not hear of.
    async fn nobody_is_taken_for_who_was_here_before(&mut self) {
        self.ada.clicks_log_out().await;
        self.app.start_gatelodge();
        self.ada.logs_in_as(BOB).await;
        self.ada.0.shows("Hello, Bob").await;
        assert!(self.ada.has_a_session_of(BOB).await);
        self.ada.logs_out().await;
        self.ada.logs_in().await;
        assert!(self.ada.has_a_session_of(ADA).await);

        let bob = OldClient::logged_in(&self.app, BOB).await;
        assert_eq!(self.phone.refresh().await, 200);
        let (status, mut adas) = self.app.exchanged(&self.phone.token).await;
        assert_eq!(status, 200);
        for (token, right) in [(&bob.token, 401), (&self.phone.token, 200)] {
            let notes = adas.request(Method::GET, "/notes").bearer_auth(token);
            assert_eq!(adas.send(notes).await.status, right);
        }
    }

    async fn a_token_becomes_a_session_once(&mut self) {
        assert_eq!(self.phone.refresh().await, 200);
        let token = self.phone.token.clone();
        let (status, mut session) = self.app.exchanged(&token).await;
        assert_eq!(status, 200);
        assert_eq!(self.app.exchanged(&token).await.0, 401, "once");
        assert_eq!(session.get("/notes").await.json()["name"], "Ada");
        let mut stolen = session.clone();
        assert_eq!(session.log_out().await.status, 204);
        assert_eq!(stolen.whoami().await.status, 401);
        assert_eq!(stolen.get("/notes").await.status, 401);
        assert_eq!(self.app.exchanged(&token).await.0, 401, "once and for all");
        assert!(self.phone.is_taken(&token).await, "until it expires");
    }

    /// Answers with the session of who was moved last.
    async fn take_step_4(&mut self, [mut grace, mut mallory]: [OldClient; 2]) -> Browser {
        let refresh_token = self.ada.0.run("return localStorage.refreshToken").await;
        self.app.goes_on("4-sessions").await;
        self.app.moves_users();
        self.go_on_from_before("of step 4").await;
        assert!(self.ada.has_a_session().await && !self.ada.has_tokens().await);
        let body = json!({ "refreshToken": refresh_token });
        let answer = self.app.client().post("/auth/refresh", &body).await;
        assert_eq!(answer.status, 401, "it is taken away");

        grace.goes_on().await;
        let (status, mut session) = self.app.exchanged(&grace.token).await;
        assert_eq!(status, 200, "she is moved now");
        assert_eq!(session.get("/notes").await.json()["name"], "Grace");
        mallory.goes_on().await;
        let (status, _) = self.app.exchanged(&mallory.token).await;
        assert_eq!(status, 401, "who is not Ada");
        self.app.stop_gatelodge().await;
        assert_eq!(session.get("/notes").await.status, 500, "no log-out");
        self.app.start_gatelodge();
        let note = session.request(Method::POST, "/notes");
        let note = note.json(&json!({ "note": "" }));
        let note = session.send(note.header("sec-fetch-site", "same-site"));
        assert_eq!(note.await.status, 401, "a page of another host's");
        let mut stranger = self.app.client();
        let answer = stranger.register("eve@example.com", NEW_PASSWORD).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(stranger.get("/notes").await.json()["name"], "eve");

        self.ada.logs_out().await;
        self.ada.logs_in().await;
        self.app.goes_back("4-sessions").await;
        self.go_on().await;
        self.ada.logs_out().await;
        self.ada.logs_in().await;
        assert!(self.ada.has_a_session().await && self.ada.has_tokens().await);
        self.app.goes_on("4-sessions").await;
        self.go_on().await;
        assert!(self.ada.has_a_session().await && !self.ada.has_tokens().await);
        session
    }

    async fn take_step_5(&mut self, mut session: Browser) {
        self.app.goes_on("5-no-tokens").await;
        self.ada.comes_back().await;
        self.app.goes_back("5-no-tokens").await;
        self.go_on().await;
        self.app.goes_on("5-no-tokens").await;
        self.app.loses_what_made_tokens().await;
        self.ada.writes("of step 5").await;
        self.ada.comes_back().await;
        assert_eq!(session.get("/notes").await.json()["name"], "Grace");
        for token in [&self.first_token, &self.phone.token.clone()] {
            assert!(!self.phone.is_taken(token).await);
            assert_eq!(self.app.exchanged(token).await.0, 404);
        }
        assert_eq!(self.phone.refresh().await, 404);
        self.ada.logs_out().await;
        self.ada.logs_in().await;
        self.ada.0.shows("of step 0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_leaves_its_jwts_in_five_steps_and_nobody_has_to_log_in_again() {
    let mut all = Everybody::at_step_0().await;
    all.take_step_1().await;
    let latecomers = all.take_step_2().await;
    all.take_step_3().await;
    let session = all.take_step_4(latecomers).await;
    all.take_step_5(session).await;
    all.ada.0.leave().await;
}
