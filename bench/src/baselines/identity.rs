//! The empty handler of a proxy's question: it looks at nothing, and names the same user
//! to everybody. What no check at all costs a proxy that passes identities on.

use actix_web::HttpResponse;
use actix_web::web::{get, resource};
use anyhow::Result;

use super::{PATH, run};

const IDENTITY: [(&str, &str); 6] = [
    ("remote-user", "01939d5e-7e1c-7a3b-9f60-1b2f3a4c5d6e"),
    ("remote-email", "user-0@example.com"),
    ("remote-name", "User 0"),
    ("remote-groups", "user"),
    ("remote-session", "01939d5e-8f00-7c11-8a2b-0c1d2e3f4a5b"),
    ("cookie", ""),
];

pub(super) async fn serve() -> Result<()> {
    run(&[], |app| {
        app.service(resource(PATH).route(get().to(pass)));
    })
    .await
}

async fn pass() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    for header in IDENTITY {
        answer.insert_header(header);
    }
    answer.finish()
}
