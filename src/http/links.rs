//! Links that are handed to people. Their origin is the configured one, whatever
//! a request says of its host.

use std::sync::Arc;

use url::form_urlencoded::byte_serialize;

use crate::config::PublicUrl;
use crate::domain::link::LinkToken;

#[derive(Clone)]
pub struct Links {
    origin: Arc<str>,
}

impl Links {
    #[must_use]
    pub fn new(public_url: &PublicUrl) -> Self {
        Self {
            origin: public_url.origin().into(),
        }
    }

    /// Where a user logs in, and comes back from to where they wanted to go.
    #[must_use]
    pub fn login(&self, return_to: Option<&str>) -> String {
        let mut link = format!("{}/login", self.origin);
        if let Some(return_to) = return_to {
            link.push_str("?return_to=");
            link.extend(byte_serialize(return_to.as_bytes()));
        }
        link
    }

    /// Where a user sets a password.
    #[must_use]
    pub fn password(&self, token: &LinkToken) -> String {
        format!("{}/password?token={}", self.origin, *token.expose())
    }

    /// Where the first admin is set up.
    #[must_use]
    pub fn setup(&self, token: &LinkToken) -> String {
        format!("{}/setup?token={}", self.origin, *token.expose())
    }
}
