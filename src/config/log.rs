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

/// The library takes a word that is no level for a target, of which everything is to be
/// heard, and of everything else nothing. What names spans is left to it.
fn is_filter(text: &str) -> bool {
    let has_level = |part: &str| {
        let level = part.rsplit('=').next().unwrap_or_default();
        !level.is_empty() && level.parse::<LevelFilter>().is_ok()
    };
    let names_spans = |part: &str| part.contains('[');
    text.split(',')
        .all(|part| has_level(part) || names_spans(part))
        && EnvFilter::try_new(text).is_ok()
}
