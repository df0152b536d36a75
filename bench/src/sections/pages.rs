//! What a page costs.

use anyhow::Result;
use gatelodge::domain::audit::{Actor, Source};
use gatelodge::domain::id::UserId;
use gatelodge::domain::user::Role;

use crate::baselines::COOKIES;
use crate::load::Target;
use crate::process::{OTHERS, SERVER};
use crate::report::{Figure, Results, shown};
use crate::rounds::{Contender, rounds};
use crate::stand::{Stand, build_service, cookie};

pub const ABOUT: &str = "\
Pages as an administrator sees them, with 1000 users and as many sessions, a full list
of 50 on each of the lists. The server has one worker, alone on core 0. Fifteen rounds; medians
of the server's CPU time, what it takes to ask the ledger included.";

const PAGES: [&str; 5] = [
    "/login",
    "/account",
    "/admin/users",
    "/admin/sessions",
    "/admin/events",
];

/// Of the server's CPU time, in milliseconds.
const BAR: f64 = 2.0;

pub fn run() -> Result<Results> {
    build_service()?;
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    let users = stand.logged_in(COOKIES)?;
    let admin = &users[0];
    promote(&stand, admin.record.session.user_id)?;
    let service = stand.service(SERVER, &[("GATELODGE_SERVER__WORKERS", "1")])?;
    let contenders = PAGES.map(|path| Contender {
        name: path,
        process: &service,
        target: Target {
            address: service.address,
            path,
            // Who is logged in is led on from there.
            cookies: vec![if path == "/login" {
                "a=b".to_owned()
            } else {
                cookie(&admin.token)
            }],
            expected: 200,
        },
    });
    let rounds = rounds(&contenders)?;
    let figures = PAGES.iter().enumerate().flat_map(|(index, page)| {
        let speed = shown(rounds.per_second(index), " pages/s");
        [
            Figure::at_most(*page, rounds.cpu(index) / 1000.0, BAR, " ms"),
            Figure::plain(format!("{page}, with one worker"), speed),
        ]
    });
    Ok(Results {
        comparison: None,
        costs: Vec::new(),
        figures: figures.collect(),
    })
}

fn promote(stand: &Stand, user: UserId) -> Result<()> {
    let settings = stand.settings(&[])?;
    stand.runtime.block_on(async {
        let services = gatelodge::connect(&settings).await?;
        let act = services.sessions().act(Actor::Operator, Source::default());
        let accounts = services.accounts();
        accounts.set_role(user, Role::Admin, act).await?;
        services.stop().await;
        Ok(())
    })
}
