//! `redis.*`: the hot store, if there is one.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use super::reader::Reader;
use super::values::{NOT_PEM, duration, read_file};

#[derive(Clone)]
pub struct Redis {
    pub url: Option<String>,
    /// In PEM. Only what one of these has signed is then believed to be Redis.
    pub ca: Option<Vec<u8>>,
    pub key_prefix: String,
    pub command_timeout: Duration,
}

impl Redis {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            url: from.secret(
                "redis.url",
                None,
                "The hot store, with PostgreSQL: redis://host:port, \
                 redis+sentinel://host:port,host:port/master-name or \
                 redis+cluster://host:port,host:port; the same with rediss for TLS; \
                 user:password@ before the first host. Unset: none; what an instance does not \
                 remember it asks the ledger",
                url,
            ),
            ca: from.optional(
                "redis.ca_file",
                "With TLS, the file of the certificates, in PEM, of who may sign Redis's. \
                 Unset: whom the public trusts",
                certificates,
            ),
            key_prefix: from.value(
                "redis.key_prefix",
                "gatelodge",
                "What the names of all keys in Redis begin with: another for each deployment on one Redis",
                |prefix| {
                    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-:.".contains(&b);
                    if prefix.bytes().all(is_plain) {
                        Ok(prefix.to_owned())
                    } else {
                        Err("ASCII letters, digits and _ - : .".to_owned())
                    }
                },
            ),
            command_timeout: from.value(
                "redis.command_timeout",
                "250ms",
                "How long Redis may take to answer",
                duration,
            ),
        }
    }

    /// For people.
    #[must_use]
    pub const fn system(&self) -> &'static str {
        if self.url.is_some() { "Redis" } else { "none" }
    }

    pub(super) fn has_tls(&self) -> bool {
        let url = self.url.as_ref();
        url.is_some_and(|url| url.starts_with("rediss"))
    }
}

fn url(text: &str) -> Result<String, String> {
    let right = |form: &str| format!("{form} (or the same with rediss, for TLS)");
    let (scheme, place) = text.split_once("://").unwrap_or_default();
    let (hosts, form, is_whole) = match scheme {
        "redis" | "rediss" => {
            let is_whole = Url::parse(text).is_ok();
            (place, "redis://user:password@host:port", is_whole)
        }
        "redis+sentinel" | "rediss+sentinel" => {
            let (hosts, master) = place.split_once('/').unwrap_or_default();
            let is_whole = !master.is_empty() && !master.contains(['/', '?', '#']);
            let form = "redis+sentinel://user:password@host:port,host:port/master-name";
            (hosts, form, is_whole)
        }
        "redis+cluster" | "rediss+cluster" => {
            let hosts = place.strip_suffix('/').unwrap_or(place);
            let form = "redis+cluster://user:password@host:port,host:port";
            (hosts, form, !hosts.contains(['/', '?', '#']))
        }
        _ => {
            return Err(right(
                "redis://host:port, redis+sentinel://host:port,host:port/master-name or \
                 redis+cluster://host:port,host:port",
            ));
        }
    };
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
    let is_host = |host| Url::parse(&format!("redis://{host}")).is_ok_and(|url| url.has_host());
    if is_whole && hosts.split(',').all(is_host) {
        Ok(text.to_owned())
    } else {
        Err(right(form))
    }
}

fn certificates(path: &str) -> Result<Vec<u8>, String> {
    let right = |wrong: &dyn std::fmt::Display| {
        format!("the path of a file with certificates in PEM ({wrong})")
    };
    let pem = read_file(Path::new(path)).map_err(|error| right(&error))?;
    let mut found = CertificateDer::pem_slice_iter(pem.as_bytes()).peekable();
    if found.peek().is_none() {
        return Err(right(&"there is none in this one"));
    }
    match found.find_map(Result::err) {
        Some(_) => Err(right(&NOT_PEM)),
        None => Ok(pem.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_redis_say_how_it_is_deployed() {
        for right in [
            "redis://localhost",
            "rediss://user:pass%40word@[::1]:6380/2",
            "redis+sentinel://a,b:26380/main",
            "rediss+sentinel://:secret@a:1,[::1]:2/main",
            "redis+cluster://user:p@ss@10.0.0.1:1,10.0.0.2:2/",
        ] {
            assert_eq!(url(right).as_deref(), Ok(right));
        }
        for (wrong, form) in [
            ("localhost:6379", "redis://host:port, redis+sentinel://"),
            ("unix:///run/redis.sock", "redis://host:port, redis+"),
            ("redis://", "redis://user"),
            ("redis://host:port", "redis://user"),
            ("redis+sentinel://a,b", "/master-name"),
            ("redis+sentinel://a,b/", "/master-name"),
            ("redis+sentinel://a,,b/main", "/master-name"),
            ("redis+cluster://", "redis+cluster://"),
            ("redis+cluster://a:b", "redis+cluster://"),
            ("redis+cluster://a,b/2", "redis+cluster://"),
        ] {
            let told = url(wrong).unwrap_err();
            assert!(told.contains(form), "{wrong}: {told}");
        }
    }
}
