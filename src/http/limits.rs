//! How large a request may be, and where its body ends.

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::problem::{Kind, Problem};

const MAX_URI: usize = 8 * 1024;
const MAX_HEADERS: usize = 16 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// The request's body, read whole; none is left with the request if it is empty.
#[derive(Clone, Default)]
pub(super) struct Body(pub(super) Bytes);

pub(super) fn limit(request: &ServiceRequest) -> Result<(), Problem> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > MAX_URI {
        return Err(Kind::UriTooLong.into());
    }
    if size(request.headers()) > MAX_HEADERS {
        return Err(Kind::HeadersTooLarge.into());
    }
    Ok(())
}

/// As the headers stand on the wire: `name: value\r\n`.
fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

pub(super) async fn read_body(
    request: &ServiceRequest,
    payload: &mut Payload,
) -> Result<Bytes, Kind> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Kind::ContentTooLarge);
    }
    let end_of_tunnel = is_tunnel(request).then_some(announced.unwrap_or(0));
    let mut body = BytesMut::new();
    while end_of_tunnel.is_none_or(|end| (body.len() as u64) < end) {
        let Some(chunk) = payload.next().await else {
            break;
        };
        let chunk = chunk.map_err(|_| Kind::IncompleteBody)?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Kind::ContentTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    if let Some(end) = end_of_tunnel {
        body.truncate(usize::try_from(end).unwrap_or(MAX_BODY));
    }
    Ok(body.freeze())
}

/// Whether actix takes all that follows the head for the bytes of a tunnel. We
/// open none: an upgrade we do not speak is passed over (RFC 9110, 7.8), and
/// nothing that follows on the connection is read as a request.
pub(super) fn is_tunnel(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let is_websocket = |value: &HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"websocket")
    };
    let asks_for_one =
        request.method() == Method::CONNECT || headers.get_all(UPGRADE).any(is_websocket);
    asks_for_one && !headers.contains_key(TRANSFER_ENCODING)
}
