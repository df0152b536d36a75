//! What handlers, gates and middleware share.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};

use super::authz::identity::IdentityHeaders;
use super::cookie::SessionCookie;
use super::device_cookie::DeviceCookie;
use super::edge::Edge;
use super::ending::Ending;
use super::feed::Feed;
use super::inner_cookie::InnerCookie;
use super::links::Links;
use super::return_to::ReturnOrigins;
use super::store::Store;
use super::trusted_proxies::TrustedProxies;
use crate::accounts::Accounts;
use crate::config::Settings;
use crate::domain::access::Rules;
use crate::domain::password::PasswordPolicy;
use crate::sessions::{Mint, Sessions};

/// Everything an actix app needs to log users in and to know who they are.
/// Cheap to clone; one for the whole process.
#[derive(Clone)]
pub struct Services {
    pub(super) accounts: Arc<Accounts>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) mint: Arc<Mint>,
    pub(super) cookie: SessionCookie,
    pub(super) device_cookie: DeviceCookie,
    pub(super) inner_cookie: InnerCookie,
    pub(super) edge: Edge,
    pub(super) ending: Ending,
    pub(super) feed: Feed,
    pub(super) links: Links,
    pub(super) return_origins: ReturnOrigins,
    pub(super) rules: Arc<Rules>,
    pub(super) identity_headers: IdentityHeaders,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) password_policy: PasswordPolicy,
    pub(super) shows_docs: bool,
}

impl Services {
    /// Must be called on the runtime that outlives all requests.
    #[must_use]
    pub fn new(
        accounts: Arc<Accounts>,
        sessions: Arc<Sessions>,
        mint: Arc<Mint>,
        links: Links,
        settings: &Settings,
    ) -> Self {
        let server = &settings.server;
        let ending = Ending::default();
        Self {
            accounts,
            feed: Feed::start(&sessions, &ending, &settings.revocations),
            sessions,
            mint,
            cookie: SessionCookie::new(&server.public_url, &settings.cookie),
            device_cookie: DeviceCookie::new(&server.public_url, &settings.cookie),
            inner_cookie: InnerCookie::new(),
            edge: Edge::new(settings),
            ending,
            links,
            return_origins: ReturnOrigins::new(
                &server.public_url,
                &settings.authz.allowed_return_origins,
            ),
            rules: Arc::new(settings.authz.rules.clone()),
            identity_headers: IdentityHeaders::new(settings.authz.header_style),
            trusted_proxies: TrustedProxies::new(server.trusted_proxies.clone()),
            password_policy: settings.password_policy(),
            shows_docs: settings.docs.enabled,
        }
    }

    /// Lets an app use [`Gate`](super::Gate) and the extractors, and nothing else.
    pub fn attach(&self, app: &mut ServiceConfig) {
        app.app_data(Data::new(self.clone()));
    }

    /// Creates, finds, changes and locks users.
    #[must_use]
    pub const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Lists, checks and ends sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The addresses of pages that people are led to.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Announces the end of the app that these are mounted in: from then on
    /// `/health/ready` is 503 `draining`, and streams end.
    #[must_use]
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Sessions by their token, in the words of actix-session. Its middleware cannot read the
    /// browser's cookie with it, which is not in one of the forms that it signs: that is for
    /// [`CurrentSession`](super::CurrentSession).
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(Arc::clone(&self.sessions))
    }

    /// Waits for revocations under way and writes what is still to be written.
    pub async fn stop(&self) {
        self.sessions.stop().await;
    }
}
