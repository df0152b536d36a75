//! One of those that are compared, as a browser sees it: two instances, a way to log in
//! and out, and a way to ask who is logged in.

use std::cell::Cell;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::baselines::{LOG_IN, LOG_OUT, PATH, REFRESH};
use crate::http::{Answer, Client};
use crate::process::{Process, SERVER};
use crate::stand::{PASSWORD, Stand, WHOAMI, email};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Jwt,
    Refresh,
    Denylist,
    /// Keeps refresh tokens as they are; not one of the four.
    CarelessRefresh,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Session, Self::Jwt, Self::Refresh, Self::Denylist];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Session => "session cookie",
            Self::Jwt => "JWT",
            Self::Refresh => "JWT + refresh rotation",
            Self::Denylist => "JWT + denylist",
            Self::CarelessRefresh => "JWT + refresh rotation, done carelessly",
        }
    }

    /// Of [`crate::baselines`].
    pub(super) const fn baseline(self) -> &'static str {
        match self {
            Self::Session => "gate",
            Self::Jwt => "hs256",
            Self::Refresh => "refresh",
            Self::Denylist => "denylist",
            Self::CarelessRefresh => "refresh-kept-as-they-are",
        }
    }

    const fn log_in(self) -> &'static str {
        match self {
            Self::Session => "/api/login",
            _ => LOG_IN,
        }
    }

    const fn log_out(self) -> &'static str {
        match self {
            Self::Session => "/api/logout",
            _ => LOG_OUT,
        }
    }

    const fn check(self) -> &'static str {
        match self {
            Self::Session => WHOAMI,
            _ => PATH,
        }
    }
}

pub(super) struct Side {
    pub(super) kind: Kind,
    instances: [Process; 2],
    users: Cell<usize>,
}

/// The cookies that a browser sends after a log-in.
pub(super) struct Browser {
    pub(super) answer: Answer,
    /// To where it is asked who is logged in: as a thief may copy them.
    pub(super) cookies: String,
    /// To where one logs out and renews.
    pub(super) at_exits: String,
}

impl Side {
    pub(super) fn start(stand: &Stand, kind: Kind) -> Result<Self> {
        Ok(Self {
            kind,
            instances: instances(stand, kind)?,
            users: Cell::new(0),
        })
    }

    /// Both instances at once, without notice.
    pub(super) fn restart(self, stand: &Stand) -> Result<Self> {
        let Self {
            kind,
            instances,
            users,
        } = self;
        drop(instances);
        Ok(Self {
            users,
            ..Self::start(stand, kind)?
        })
    }

    pub(super) fn log_in(&self) -> Result<Browser> {
        let email = email(self.users.get());
        self.users.set(self.users.get() + 1);
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = self.first()?.1.post(self.kind.log_in(), &body)?;
        ensure!(answer.status == 200, "not logged in: {}", answer.text());
        Ok(Browser {
            cookies: answer.cookies(self.kind.check()),
            at_exits: answer.cookies(self.kind.log_out()),
            answer,
        })
    }

    pub(super) fn log_out(&self, browser: &Browser) -> Result<()> {
        let path = self.kind.log_out();
        let answer = self.first()?.1.post_as(&browser.at_exits, path)?;
        ensure!(answer.status == 204, "not logged out: {}", answer.text());
        Ok(())
    }

    /// Whether cookies are good for anything, at the other instance than one logs in at.
    pub(super) fn accepts(&self, cookies: &str) -> Result<bool> {
        self.accepts_from(&mut self.elsewhere()?, cookies)
    }

    pub(super) fn accepts_from(&self, client: &mut Client, cookies: &str) -> Result<bool> {
        is_accepted(&client.get(self.kind.check(), cookies)?)
    }

    /// Whether a new token is to be had for them.
    pub(super) fn renews(&self, cookies: &str) -> Result<bool> {
        is_accepted(&self.elsewhere()?.post_as(cookies, REFRESH)?)
    }

    /// The instance at which one logs in and out.
    pub(super) fn first(&self) -> Result<(&Process, Client)> {
        let first = &self.instances[0];
        Ok((first, Client::connect(first.address)?))
    }

    pub(super) fn elsewhere(&self) -> Result<Client> {
        Client::connect(self.instances[1].address)
    }
}

fn instances(stand: &Stand, kind: Kind) -> Result<[Process; 2]> {
    let instance = |_| match kind {
        Kind::Session => stand.service(SERVER, &[("GATELODGE_PASSWORD__BCRYPT_COST", "4")]),
        _ => Ok(stand.baseline(kind.baseline(), 0, &[])?.0),
    };
    let both = (0..2).map(instance).collect::<Result<Vec<_>>>()?;
    both.try_into().ok().context("two instances")
}

fn is_accepted(answer: &Answer) -> Result<bool> {
    match answer.status {
        200 => Ok(true),
        401 => Ok(false),
        _ => bail!("neither accepted nor refused: {}", answer.text()),
    }
}
