//! `log.*`: what is logged, and how it looks.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::reader::Reader;

const LEVELS: &str = "error, warn, info, debug, trace, or a filter such as info,sqlx=debug";

#[derive(Clone)]
pub struct Log {
    /// A level, or a filter such as `info,sqlx=debug`.
    pub level: String,
    /// Left out, text on a terminal and JSON elsewhere.
    pub format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Log {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            level: from.value("log.level", "info", LEVELS, |text| {
                if is_filter(text) {
                    Ok(text.to_owned())
                } else {
                    Err(LEVELS.to_owned())
                }
            }),
            format: from.optional(
                "log.format",
                "text or json. Unset: text on a terminal, JSON elsewhere",
                |text| match text {
                    "text" => Ok(Format::Text),
                    "json" => Ok(Format::Json),
                    _ => Err("text or json".to_owned()),
                },
            ),
        }
    }
}

/// The library takes a word alone that is no level for a target, of which everything is to
/// be heard, and of everything else nothing.
fn is_filter(text: &str) -> bool {
    let is_meant = |part: &str| {
        part.parse::<LevelFilter>().is_ok() || part.contains(['=', '[']) && !part.ends_with('=')
    };
    text.split(',').all(is_meant) && EnvFilter::try_new(text).is_ok()
}
