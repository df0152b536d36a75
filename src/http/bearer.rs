//! Services that show a credential (RFC 6750, 2.1).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::problem::{Kind, Problem};
use super::services::Services;

/// One of those that may hear of revocations has asked.
pub(super) struct Verifier;

impl FromRequest for Verifier {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let services = request.app_data::<Data<Services>>();
        let is_known = services
            .zip(shown_by(request))
            .is_some_and(|(services, shown)| services.feed.knows(shown));
        ready(if is_known {
            Ok(Self)
        } else {
            Err(Kind::UnknownService.into())
        })
    }
}

/// The token of the one `Authorization` there is.
fn shown_by(request: &HttpRequest) -> Option<&[u8]> {
    let mut given = request.headers().get_all(AUTHORIZATION);
    let (Some(only), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, token) = only.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

const SCHEME: &[u8] = b"bearer ";
