//! The empty handler: what no check at all costs.

use anyhow::Result;

use super::{COOKIES, route, run};
use crate::stand::COOKIE_NAME;

pub(super) async fn serve() -> Result<()> {
    // As long as a session's, so that as many bytes are read.
    let cookie = |number| format!("{COOKIE_NAME}={number:068}");
    let cookies: Vec<_> = (0..COOKIES).map(cookie).collect();
    run(&cookies, |app| {
        app.service(route());
    })
    .await
}
