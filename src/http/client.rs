//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;

use super::services::Services;
use crate::domain::client::{Client, UserAgent};

pub(super) fn address_of(request: &HttpRequest, services: &Services) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    Some(
        services
            .trusted_proxies
            .client_address(peer, request.headers()),
    )
}

pub(super) fn client_of(request: &HttpRequest, services: &Services) -> Client {
    let user_agent = request.headers().get(USER_AGENT);
    Client {
        address: address_of(request, services),
        user_agent: user_agent.and_then(|header| UserAgent::parse(header.as_bytes())),
    }
}
