//! Apps behind forward-auth, each in its own framework and behind the real nginx with the
//! shipped files: they know whose request they have, and nobody can tell them otherwise.

use std::path::Path;
use std::process::Command;

use rstest::rstest;

use super::packages::{node, succeeds, with_npm, with_python};
use crate::proxies::client::{Answer, Request, headers};
use crate::proxies::proxy::Kind::NginxOneHost;
use crate::proxies::scene::{ADA, Scene};
use crate::support::servers::{Process, started};

#[derive(Clone, Copy, Debug)]
enum App {
    Express,
    Nest,
    FastApi,
    Django,
}

/// A command in a folder, with a port to listen on.
fn command_in(folder: &Path, program: &Path, port: u16) -> Command {
    let mut command = Command::new("env");
    command
        .arg(format!("--chdir={}", folder.display()))
        .arg(format!("PORT={port}"))
        .arg("DJANGO_SECRET_KEY=for tests alone")
        .arg("PYTHONDONTWRITEBYTECODE=1")
        .arg(program);
    command
}

impl App {
    fn start(self) -> Process {
        match self {
            Self::Express => {
                let folder = with_npm("express");
                started("express", "TERM", |_, port| {
                    let mut command = command_in(&folder, &node("node"), port);
                    command.arg("app.js");
                    command
                })
            }
            Self::Nest => {
                let folder = with_npm("nestjs");
                let compiler = folder.join("node_modules/typescript/bin/tsc");
                succeeds(
                    Command::new(node("node"))
                        .arg(compiler)
                        .current_dir(&folder),
                );
                started("nest", "TERM", |_, port| {
                    let mut command = command_in(&folder, &node("node"), port);
                    command.arg("dist/main.js");
                    command
                })
            }
            Self::FastApi => {
                let (folder, packages) = with_python("fastapi");
                started("uvicorn", "TERM", |_, port| {
                    let mut command = command_in(&folder, &packages.join("bin/uvicorn"), port);
                    command.args(["app:app", "--port", &port.to_string()]);
                    command
                })
            }
            Self::Django => {
                let (folder, packages) = with_python("django");
                let python = packages.join("bin/python");
                let mut migrate = command_in(&folder, &python, 0);
                succeeds(migrate.args(["manage.py", "migrate"]));
                started("waitress", "TERM", |_, port| {
                    let serve = packages.join("bin/waitress-serve");
                    let mut command = command_in(&folder, &serve, port);
                    command.arg(format!("--listen=127.0.0.1:{port}"));
                    command.arg("project.wsgi:application");
                    command
                })
            }
        }
    }
}

async fn asked(scene: &Scene, path: &str, lines: &[&str]) -> Answer {
    let request = Request::new("GET", path);
    let request = lines
        .iter()
        .fold(request, |request, line| request.header(*line));
    scene.send(request).await
}

#[rstest]
#[case::express(App::Express)]
#[case::nestjs(App::Nest)]
#[case::fastapi(App::FastApi)]
#[case::django(App::Django)]
#[tokio::test]
async fn an_app_of_a_recipe_knows_whose_request_it_has(#[case] app: App) {
    let app = tokio::task::spawn_blocking(move || app.start())
        .await
        .unwrap();
    let scene = Scene::before(NginxOneHost, app.address).await;
    let session = scene.registered().await;
    let cookie = format!("Cookie: {session}");
    let whoami = scene
        .call("GET", "/api/sessions/whoami", &session, String::new())
        .await;
    let whoami: serde_json::Value = serde_json::from_str(&whoami.body).unwrap();
    let id = whoami["user"]["id"].as_str().unwrap();
    let forged = [format!("Remote-User: {id}"), "Remote-Name: Eve".to_owned()];

    let refused = asked(&scene, "/", &[]).await;
    assert_eq!(refused.status, 401, "nobody: {refused:?}");
    let page = asked(&scene, "/", &["Sec-Fetch-Mode: navigate"]).await;
    assert_eq!(page.status, 302, "a page leads to the log-in: {page:?}");
    let refused = asked(&scene, "/", &[&forged[0], &forged[1]]).await;
    assert_eq!(refused.status, 401, "a claim is no session: {refused:?}");
    let stranger = asked(&scene, "/public/", &[&forged[0], &forged[1]]).await;
    assert!(stranger.body.contains("Hello, stranger."), "{stranger:?}");

    let greeting = format!("Hello, Ada é, who is {id}.");
    let hello = asked(&scene, "/", &[&cookie]).await;
    assert!(hello.body.contains(&greeting), "{hello:?}");
    let hello = asked(
        &scene,
        "/",
        &[&cookie, "Remote-User: root", "Remote-Name: Eve"],
    )
    .await;
    assert!(hello.body.contains(&greeting), "{hello:?}");

    // What the app itself has the browser keep must not outlive the session.
    let kept = headers(&hello.head).filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let kept = kept.map(|(_, cookie)| cookie.split(';').next().unwrap_or_default());
    let cookies = [session.as_str()]
        .into_iter()
        .chain(kept)
        .collect::<Vec<_>>()
        .join("; ");
    let logged_out = scene
        .call("POST", "/api/logout", &session, "{}".to_owned())
        .await;
    assert_eq!(logged_out.status, 204, "{logged_out:?}");
    let cookie = format!("Cookie: {cookies}");
    let refused = asked(&scene, "/", &[&cookie]).await;
    assert_eq!(
        refused.status, 401,
        "the session of {ADA} is over: {refused:?}"
    );
    let stranger = asked(&scene, "/public/", &[&cookie]).await;
    assert!(stranger.body.contains("Hello, stranger."), "{stranger:?}");
}
