//! In Node, against the program: `clients/typescript/test`.

use std::sync::Arc;

use actix_web::web::{Data, Path, post};
use actix_web::{App, HttpResponse, HttpServer};

use super::{PACKAGE, npm_in, run};
use crate::support::app::{ADMIN, PASSWORD, Stack, TestApp};
use crate::support::foreign::BY_SECRET;
use crate::support::program::{self, Program};
use crate::support::servers::free_port;

#[test]
fn the_types_are_those_of_the_description_and_what_the_readme_shows_fits_them() {
    run(npm_in(&PACKAGE).args(["run", "check"]));
}

async fn allow_ledger(app: Data<TestApp>, allowed: Path<bool>) -> HttpResponse {
    app.allow_ledger(*allowed).await;
    HttpResponse::NoContent().finish()
}

/// Where a test in Node takes the ledger from an instance, and gives it back.
fn switch_of(app: Arc<TestApp>) -> String {
    let port = free_port();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::clone(&app)))
            .route("/{allowed}", post().to(allow_ledger))
    });
    let server = server.workers(1).disable_signals();
    tokio::spawn(server.bind(("127.0.0.1", port)).unwrap().run());
    format!("http://127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_does_what_it_says_and_bears_what_goes_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut usual = program::command(folder.path());
    usual
        .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN)
        .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)
        .envs(BY_SECRET);
    let usual = Program::run(usual);
    let settings = [
        ("GATELODGE_SESSION__LEASE", "1s"),
        ("GATELODGE_SESSION__LEDGER_GRACE", "0s"),
    ];
    let fragile = Arc::new(TestApp::spawn_with(Stack::Scaled, &settings).await);
    let addresses = [
        ("GATELODGE_URL", format!("http://{}", usual.address)),
        (
            "GATELODGE_FRAGILE_URL",
            format!("http://{}", fragile.address),
        ),
        ("GATELODGE_LEDGER_URL", switch_of(fragile)),
    ];
    let tests = move || run(npm_in(&PACKAGE).arg("test").envs(addresses).envs(BY_SECRET));
    let said = tokio::task::spawn_blocking(tests).await.unwrap();
    assert!(
        said.contains("\n# skipped 0\n") && !said.contains("\n# pass 0\n"),
        "{said}"
    );
}
