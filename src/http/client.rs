//! Where a request comes from.

use std::net::IpAddr;

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpMessage as _, HttpRequest};
use uuid::Uuid;

use super::services::Services;
use crate::domain::audit::{Act, Actor, Source};
use crate::domain::client::{Client, UserAgent};
use crate::domain::id::{RequestId, UserId};

pub(super) fn address_of(request: &HttpRequest, services: &Services) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    Some(
        services
            .trusted_proxies
            .client_address(peer, request.headers()),
    )
}

/// As the request's span names it, if the app has spans: as a trusted proxy has, or else
/// by an id of its own.
pub(super) fn id_of(request: &HttpRequest) -> Option<RequestId> {
    let extensions = request.extensions();
    if let Some(given) = extensions.get::<RequestId>() {
        return Some(*given);
    }
    let id = extensions.get::<tracing_actix_web::RequestId>()?;
    Some(Uuid::from(*id).into())
}

/// Whether the request comes from a proxy that is believed.
pub(super) fn is_of_trusted_proxy(request: &HttpRequest, services: &Services) -> bool {
    let peer = request.peer_addr();
    peer.is_some_and(|peer| services.trusted_proxies.contains(peer.ip()))
}

pub(super) fn source_of(request: &HttpRequest, services: &Services) -> Source {
    Source {
        address: address_of(request, services),
        request: id_of(request),
    }
}

/// An act of now, by a user who is logged in.
pub(super) fn act_of(request: &HttpRequest, services: &Services, user: UserId) -> Act {
    let source = source_of(request, services);
    services.sessions.act(Actor::User(user), source)
}

/// An act of now, by nobody known.
pub(super) fn strangers_act(request: &HttpRequest, services: &Services) -> Act {
    let source = source_of(request, services);
    services.sessions.act(Actor::Stranger, source)
}

pub(super) fn client_of(request: &HttpRequest, services: &Services) -> Client {
    let user_agent = request.headers().get(USER_AGENT);
    Client {
        source: source_of(request, services),
        user_agent: user_agent.and_then(|header| UserAgent::parse(header.as_bytes())),
    }
}
