//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;

use super::services::Services;
use crate::domain::audit::{Act, Actor};
use crate::domain::client::{Client, UserAgent};
use crate::domain::id::UserId;

pub(super) fn address_of(request: &HttpRequest, services: &Services) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    Some(
        services
            .trusted_proxies
            .client_address(peer, request.headers()),
    )
}

/// An act of now, by a user who is logged in.
pub(super) fn act_of(request: &HttpRequest, services: &Services, user: UserId) -> Act {
    let address = address_of(request, services);
    services.sessions.act(Actor::User(user), address)
}

/// An act of now, by nobody known.
pub(super) fn strangers_act(request: &HttpRequest, services: &Services) -> Act {
    let address = address_of(request, services);
    services.sessions.act(Actor::Stranger, address)
}

pub(super) fn client_of(request: &HttpRequest, services: &Services) -> Client {
    let user_agent = request.headers().get(USER_AGENT);
    Client {
        address: address_of(request, services),
        user_agent: user_agent.and_then(|header| UserAgent::parse(header.as_bytes())),
    }
}
