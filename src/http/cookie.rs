//! Our cookies: their names, their attributes, and their one parser.

use std::time::Duration;

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memchr2_iter;

use super::problem::Problem;
use crate::config::{Cookie, PublicUrl, SameSite};
use crate::domain::session::Session;
use crate::domain::token::{Claim, Token};

/// What the names of the session's cookie have in common.
const SESSION: &str = "gatelodge_session";
/// What the names of the device's cookie have in common.
pub(super) const DEVICE: &str = "gatelodge_device";

/// A cookie of ours, as it is called and set here.
#[derive(Clone)]
pub(super) struct OwnCookie {
    name: String,
    attributes: String,
}

impl OwnCookie {
    /// The prefixes have browsers refuse a cookie that another host or plain
    /// http has set (RFC 6265bis, 4.1.3). On plain http, which is a loopback
    /// address, there is no prefix to be had.
    pub(super) fn new(plain_name: &str, public_url: &PublicUrl, settings: &Cookie) -> Self {
        let prefix = match (&settings.domain, public_url.is_https()) {
            (Some(_), _) => "__Secure-",
            (None, true) => "__Host-",
            (None, false) => "",
        };
        let same_site = match settings.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        let domain = settings
            .domain
            .as_ref()
            .map(|domain| format!("; Domain={domain}"))
            .unwrap_or_default();
        let secure = if public_url.is_https() {
            "; Secure"
        } else {
            ""
        };
        Self {
            name: format!("{prefix}{plain_name}"),
            attributes: format!("; Path=/{domain}{secure}; HttpOnly; SameSite={same_site}"),
        }
    }

    /// The value that a request has it with. Names and values are compared
    /// byte by byte, neither decoded nor trimmed, since a name that is decoded
    /// can be forged past its prefix; of two cookies of the name, none counts.
    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        let mut found = None;
        for header in headers.get_all(COOKIE) {
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let pair = pair.strip_prefix(b" ").unwrap_or(pair);
                let after_name = pair.strip_prefix(self.name.as_bytes());
                let value = after_name.and_then(|rest| rest.strip_prefix(b"="));
                if value.is_some() && found.is_some() {
                    return None;
                }
                found = found.or(value);
            }
        }
        found
    }

    /// `Set-Cookie`; without a lifetime, until the browser is closed.
    pub(super) fn set(
        &self,
        value: &str,
        lifetime: Option<Duration>,
    ) -> Result<HeaderValue, Problem> {
        let Self { name, attributes } = self;
        let max_age = lifetime
            .map(|lifetime| format!("; Max-Age={}", lifetime.as_secs()))
            .unwrap_or_default();
        HeaderValue::try_from(format!("{name}={value}{max_age}{attributes}"))
            .map_err(Problem::internal)
    }
}

#[derive(Clone)]
pub(super) struct SessionCookie(OwnCookie);

impl SessionCookie {
    pub(super) fn new(public_url: &PublicUrl, settings: &Cookie) -> Self {
        Self(OwnCookie::new(SESSION, public_url, settings))
    }

    /// What a request's cookie claims.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<Claim> {
        Claim::parse(self.0.read(headers)?)
    }

    /// `Set-Cookie` for a session just issued.
    pub(super) fn set(&self, token: &Token, session: &Session) -> Result<HeaderValue, Problem> {
        let lifetime = session
            .remember_me
            .then(|| session.expires_at.since(session.issued_at()));
        self.0.set(&token.expose(), lifetime)
    }

    /// `Set-Cookie` that removes the cookie, with the attributes it was set with.
    pub(super) fn remove(&self) -> Result<HeaderValue, Problem> {
        self.0.set("", Some(Duration::ZERO))
    }
}

/// A request's cookies but for those in which a name of ours is found, in
/// whatever configuration, and wherever a lenient parser would find it: some
/// proxies join two headers by a comma.
pub(super) fn others(headers: &HeaderMap) -> Vec<u8> {
    let begins_with = |place: &[u8], name: &str| {
        let beginning = place.get(..name.len());
        beginning.is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
    };
    let is_ours = |pair: &[u8]| {
        memchr2_iter(b'g', b'G', pair).any(|at| {
            [SESSION, DEVICE]
                .iter()
                .any(|name| begins_with(&pair[at..], name))
        })
    };
    let mut others = Vec::new();
    for header in headers.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            if !is_ours(pair) {
                others.push(pair);
            }
        }
    }
    others.join(&b"; "[..])
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::domain::keys::KeyRing;
    use crate::domain::keys::tests::key;

    fn cookie() -> SessionCookie {
        SessionCookie(OwnCookie {
            name: "__Host-gatelodge_session".to_owned(),
            attributes: String::new(),
        })
    }

    fn reads(headers: &[&[u8]]) -> bool {
        let keys = KeyRing::new(&key(1), &[]);
        let token = Token::mint(&Zeroizing::new([7; 32]), &keys);
        let mut map = HeaderMap::new();
        for header in headers {
            let at = header.iter().position(|byte| *byte == b'$');
            let filled = match at {
                Some(at) => [&header[..at], token.expose().as_bytes(), &header[at + 1..]].concat(),
                None => header.to_vec(),
            };
            map.append(COOKIE, HeaderValue::from_bytes(&filled).unwrap());
        }
        cookie().read(&map).is_some()
    }

    #[test]
    fn the_cookie_is_found_among_junk() {
        assert!(reads(&[b"__Host-gatelodge_session=$"]));
        assert!(reads(&[
            b"a; =x; b=%ff; c=\xff; __Host-gatelodge_session=$; ; d=\"e"
        ]));
        assert!(reads(&[b"a=b", b"__Host-gatelodge_session=$"]));
        assert!(reads(&[b"a=b;__Host-gatelodge_session=$"]));
    }

    #[test]
    fn a_name_that_only_looks_like_it_is_another() {
        for header in [
            &b"__host-gatelodge_session=$"[..],
            b"%5f_Host-gatelodge_session=$",
            b"a=b;  __Host-gatelodge_session=$",
            b"\t__Host-gatelodge_session=$",
            b"__Host-gatelodge_session =$",
            b"__Host-gatelodge_session2=$",
            b"__Host-gatelodge_session",
            b"gatelodge_session=$",
        ] {
            assert!(!reads(&[header]), "{}", String::from_utf8_lossy(header));
        }
    }

    #[test]
    fn the_others_are_those_that_are_not_called_like_ours() {
        let mut map = HeaderMap::new();
        for header in [
            &b"a=1; __Host-gatelodge_session=x; b=\"2; \xff"[..],
            b"gatelodge_session=x",
            b"; \t__secure-Gatelodge_session =x;c=3; gatelodge_session",
            b"d=4,gatelodge_session=x; e=5",
            b"__Host-gatelodge_device=x",
        ] {
            map.append(COOKIE, HeaderValue::from_bytes(header).unwrap());
        }
        assert_eq!(others(&map), b"a=1; b=\"2; \xff; ; c=3; e=5");
        assert!(others(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn two_are_none() {
        assert!(!reads(&[
            b"__Host-gatelodge_session=$; __Host-gatelodge_session=x"
        ]));
        assert!(!reads(&[
            b"__Host-gatelodge_session=",
            b"__Host-gatelodge_session=$"
        ]));
    }

    #[test]
    fn a_value_is_taken_as_it_is() {
        for header in [
            &b"__Host-gatelodge_session= $"[..],
            b"__Host-gatelodge_session=\"$\"",
            b"__Host-gatelodge_session=$ ",
            b"__Host-gatelodge_session=",
        ] {
            assert!(!reads(&[header]), "{}", String::from_utf8_lossy(header));
        }
    }

    /// What a client's header is made of.
    #[derive(Debug, bolero::TypeGenerator)]
    enum Piece {
        Name,
        PlainName,
        Equals,
        Genuine,
        Separator,
        Space,
        Byte(u8),
    }

    /// A fuzz target.
    #[test]
    fn whatever_a_header_holds_only_the_token_that_stands_there_once_is_read() {
        let keys = KeyRing::new(&key(1), &[]);
        let token = Token::mint(&Zeroizing::new([7; 32]), &keys);
        let value = token.expose();
        let cookie = cookie();
        let pair = format!("{}={}", cookie.0.name, *value);
        bolero::check!()
            .with_type::<Vec<Piece>>()
            .for_each(|pieces: &Vec<Piece>| {
                let header: Vec<u8> = pieces
                    .iter()
                    .flat_map(|piece| match piece {
                        Piece::Name => cookie.0.name.as_bytes().to_vec(),
                        Piece::PlainName => SESSION.to_ascii_uppercase().into_bytes(),
                        Piece::Equals => b"=".to_vec(),
                        Piece::Genuine => value.as_bytes().to_vec(),
                        Piece::Separator => b";".to_vec(),
                        Piece::Space => b" ".to_vec(),
                        Piece::Byte(byte) => vec![*byte],
                    })
                    .collect();
                let Ok(header) = HeaderValue::from_bytes(&header) else {
                    return;
                };
                let mut headers = HeaderMap::new();
                headers.append(COOKIE, header.clone());
                let read = cookie.read(&headers);
                let genuine = read.and_then(|claim| claim.verify(&keys));
                if let Some(genuine) = genuine {
                    assert_eq!(genuine.digest(), token.digest());
                    let pairs = header.as_bytes().split(|byte| *byte == b';');
                    // One space belongs between cookies (RFC 6265, 4.2.1); a name has none.
                    let pairs = pairs.map(|it| it.strip_prefix(b" ").unwrap_or(it));
                    let ours = pairs.filter(|it| *it == pair.as_bytes());
                    assert_eq!(ours.count(), 1);
                }
                let left = others(&headers).to_ascii_lowercase();
                let mut places = left.windows(SESSION.len());
                assert!(!places.any(|place| place == SESSION.as_bytes()));

                let had_one = cookie.read(&headers).is_some();
                headers.append(COOKIE, HeaderValue::try_from(&pair).unwrap());
                assert!(!had_one || cookie.read(&headers).is_none(), "two are none");
            });
    }
}
