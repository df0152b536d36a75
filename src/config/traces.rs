//! `traces.*`: where spans of requests go, and of how many.

use url::Url;

use super::origin::parse_origin;
use super::reader::Reader;

#[derive(Clone)]
pub struct Traces {
    /// Of a collector that takes OTLP over HTTP. Left out, there are no traces.
    pub endpoint: Option<Url>,
    /// Of the requests that no trusted proxy has decided on: from 0 to 1.
    pub sample_ratio: f64,
}

impl Traces {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            endpoint: from.optional(
                "traces.endpoint",
                "An OpenTelemetry collector that takes traces by OTLP over HTTP, such as \
                 http://localhost:4318. Unset: no traces",
                |text| {
                    let url = parse_origin(text).filter(|url| url.scheme() == "http");
                    url.ok_or_else(|| {
                        "the origin of a collector such as http://localhost:4318".to_owned()
                    })
                },
            ),
            sample_ratio: from.value(
                "traces.sample_ratio",
                "1",
                "Which part of the requests is traced, from 0 to 1, if no trusted proxy has \
                 decided",
                |text| {
                    let ratio = text.parse().ok();
                    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
                    ratio.ok_or_else(|| "a number from 0 to 1".to_owned())
                },
            ),
        }
    }
}
