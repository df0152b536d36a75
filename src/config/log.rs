//! `log.*`: what is logged, and how it looks.

use super::reader::Reader;

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
            level: from.value(
                "log.level",
                "info",
                "error, warn, info, debug, trace, or a filter such as info,sqlx=debug",
                |text| {
                    tracing_subscriber::EnvFilter::try_new(text)
                        .map(|_| text.to_owned())
                        .map_err(|_| {
                            "error, warn, info, debug, trace, or a filter such as info,sqlx=debug"
                                .to_owned()
                        })
                },
            ),
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
