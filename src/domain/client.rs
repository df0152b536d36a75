//! What a session shows of the client it was issued to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};

use crate::domain::audit::Source;
use crate::domain::text;

/// In bytes.
pub const MAX_USER_AGENT_LENGTH: usize = 256;

/// Who sent a request, as far as it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub source: Source,
    pub user_agent: Option<UserAgent>,
}

/// A `User-Agent` as sent, cut to 256 bytes, unprintable characters replaced.
/// Millions of sessions have a few thousand of them: a clone is the same text.
#[derive(Clone)]
pub struct UserAgent(Arc<Agent>);

struct Agent {
    text: Box<str>,
    device: OnceLock<Box<str>>,
}

impl UserAgent {
    /// `None` if there is nothing to show.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let mut text: String = String::from_utf8_lossy(header)
            .trim()
            .chars()
            .map(|c| if text::is_deceptive(c) { '\u{fffd}' } else { c })
            .collect();
        text.truncate(text.floor_char_boundary(MAX_USER_AGENT_LENGTH));
        text.truncate(text.trim_end().len());
        let agent = |text: String| Agent {
            text: text.into(),
            device: OnceLock::new(),
        };
        (!text.is_empty()).then(|| Self(Arc::new(agent(text))))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// A short name for a person to recognise, such as `Firefox on Linux`.
    #[must_use]
    pub fn device(&self) -> &str {
        self.0.device.get_or_init(|| device(&self.0.text).into())
    }
}

fn device(user_agent: &str) -> String {
    let named = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    match (named(BROWSERS), named(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => system.to_owned(),
        (None, None) => {
            let product = user_agent.split(['/', ' ', '(']).next().unwrap_or_default();
            if product.is_empty() {
                "Unknown"
            } else {
                product
            }
            .to_owned()
        }
    }
}

impl PartialEq for UserAgent {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for UserAgent {}

impl Hash for UserAgent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Serialize for UserAgent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The first mark found wins: most browsers also claim to be the ones below them.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn device(header: &str) -> String {
        UserAgent::parse(header.as_bytes())
            .unwrap()
            .device()
            .to_owned()
    }

    #[test]
    fn devices_are_recognised() {
        assert_eq!(
            device("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "Firefox on Linux"
        );
        assert_eq!(
            device(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
            ),
            "Safari on iPhone"
        );
        assert_eq!(
            device(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
            ),
            "Edge on Windows"
        );
        assert_eq!(device("curl/8.5.0"), "curl");
        assert_eq!(device("/"), "Unknown");
    }

    #[test]
    fn a_hostile_header_is_cut_and_cleaned() {
        assert_eq!(UserAgent::parse(b"  "), None);
        assert_eq!(
            UserAgent::parse(b"a\xffb\x1b").unwrap().as_str(),
            "a\u{fffd}b\u{fffd}"
        );
        let cut_at_a_space = UserAgent::parse(format!("{} b", "a".repeat(255)).as_bytes());
        assert_eq!(cut_at_a_space.unwrap().as_str().len(), 255);
        let long = "é".repeat(1000);
        assert_eq!(
            UserAgent::parse(long.as_bytes()).unwrap().as_str().len(),
            256
        );
    }
}
