//! The React app in a real browser: of one origin with the API, behind nginx and behind
//! Vite, and of another.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::app::{PASSWORD, Stack};
use crate::support::chromium::Visitor;
use crate::support::servers::{free_port, started};
use crate::support::{TestApp, eventually};

use super::nginx::Nginx;
use super::packages::{node, recipe, succeeds, with_npm};

const EMAIL: &str = "ada@example.com";

/// Gatelodge at a port that was chosen before, for whoever is to find it there.
async fn gatelodge(port: u16, public_url: &str, allowed_origin: &str) -> TestApp {
    let settings = [
        ("GATELODGE_SERVER__BIND", &*format!("127.0.0.1:{port}")),
        ("GATELODGE_SERVER__PUBLIC_URL", public_url),
        ("GATELODGE_CORS__ALLOWED_ORIGINS", allowed_origin),
    ];
    let service = TestApp::spawn_with(Stack::Embedded, &settings).await;
    service.registered(EMAIL).await;
    service
}

/// What somebody does who comes to the app.
async fn is_used(origin: &str, service: &TestApp) {
    let visitor = Visitor::to(origin).await;
    visitor.go("/").await;
    visitor.shows("Log in").await;
    let submit = "document.querySelector('form').requestSubmit()";

    visitor.fill("email", EMAIL).await;
    visitor
        .fill("password", "a wrong horse battery staple")
        .await;
    visitor.run(submit).await;
    visitor
        .shows("The e-mail address or the password is wrong.")
        .await;

    visitor.fill("password", PASSWORD).await;
    visitor.run(submit).await;
    visitor.shows("Hello, ada").await;
    visitor.shows(", this one").await;

    // Ended elsewhere; the browser keeps the cookie.
    let mut elsewhere = service.logged_in(EMAIL).await;
    assert_eq!(elsewhere.revoke_others().await.status, 200);
    visitor
        .run("window.dispatchEvent(new Event('focus'))")
        .await;
    visitor.shows("Log in").await;

    visitor.fill("email", EMAIL).await;
    visitor.fill("password", PASSWORD).await;
    visitor.run(submit).await;
    visitor.shows("Hello, ada").await;
    visitor.shows("End").await;
    visitor
        .run("document.querySelector('li button').click()")
        .await;
    eventually("the other session is ended", async || {
        elsewhere.whoami().await.status == 401
    })
    .await;
    visitor
        .run("document.querySelector('#log-out').click()")
        .await;
    visitor.shows("Log in").await;
    visitor.go("/").await;
    visitor.shows("Log in").await;
    visitor.leave().await;
}

/// The app as it is shipped, in a folder of that name.
fn built(app: &Path, name: &str, api: &str) -> PathBuf {
    let mut build = Command::new(node("node"));
    build
        .arg("node_modules/vite/bin/vite.js")
        .args(["build", "--outDir", name]);
    succeeds(build.env("VITE_GATELODGE", api).current_dir(app));
    app.join(name)
}

/// nginx with the recipe's file, in front of the app's files.
fn nginx(files: &Path, gatelodge: u16) -> Nginx {
    let names = vec![
        ("/srv/app/dist", files.display().to_string()),
        ("127.0.0.1:8080", format!("127.0.0.1:{gatelodge}")),
    ];
    Nginx::start(&recipe("react").join("nginx.conf"), names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_react_app_is_of_one_origin_with_the_api_behind_nginx() {
    let (app, port) = (with_npm("react"), free_port());
    let proxy = nginx(&built(&app, "dist", ""), port);
    let service = gatelodge(port, &proxy.origin(), "").await;
    is_used(&proxy.origin(), &service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_react_app_is_of_another_origin_of_the_same_site() {
    let (app, port) = (with_npm("react"), free_port());
    let api = format!("http://localhost:{port}");
    let elsewhere = nginx(&built(&app, "dist-elsewhere", &api), port);
    let service = gatelodge(port, &api, &elsewhere.origin()).await;
    is_used(&elsewhere.origin(), &service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_react_app_is_of_one_origin_with_the_api_while_it_is_developed() {
    let (app, api) = (with_npm("react"), free_port());
    let proxy = started("vite", "TERM", |_, port| {
        let mut command = Command::new("env");
        command
            .arg(format!("--chdir={}", app.display()))
            .arg(format!("GATELODGE=http://127.0.0.1:{api}"))
            .arg(node("node"))
            .args([
                "node_modules/vite/bin/vite.js",
                "--host=127.0.0.1",
                "--strictPort",
            ])
            .arg(format!("--port={port}"));
        command
    });
    let origin = format!("http://localhost:{}", proxy.address.port());
    let service = gatelodge(api, &origin, "").await;
    is_used(&origin, &service).await;
}
