//! `redis.*`: the hot store, if it is not this process's memory.

use std::time::Duration;

use super::reader::{Reader, duration};

#[derive(Clone)]
pub struct Redis {
    pub url: Option<String>,
    pub key_prefix: String,
    pub command_timeout: Duration,
}

impl Redis {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            url: from.secret(
                "redis.url",
                None,
                "The hot store, with PostgreSQL: redis://host:port or \
                 rediss://host:port. Unset: this process's memory",
                |url| {
                    if url.starts_with("redis://") || url.starts_with("rediss://") {
                        Ok(url.to_owned())
                    } else {
                        Err("redis://host:port or rediss://host:port".to_owned())
                    }
                },
            ),
            key_prefix: from.value(
                "redis.key_prefix",
                "gatelodge",
                "What the names of all keys in Redis begin with",
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
}
