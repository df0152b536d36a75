//! The seam to what keeps state: the ledger, which is the truth, and the hot
//! store, which is a copy. They speak in domain types; SQL and Redis stay inside.

pub mod hot;
pub mod ledger;

/// A store did not answer, or what it answered makes no sense. Never a sign
/// that something is absent: absent is `None`.
#[derive(Debug, thiserror::Error)]
#[error("the {store} is unavailable")]
pub struct Unavailable {
    store: &'static str,
    source: anyhow::Error,
}

impl Unavailable {
    fn ledger(source: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "ledger",
            source: source.into(),
        }
    }

    pub(crate) fn task(source: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "service",
            source: source.into(),
        }
    }

    fn hot(source: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "hot store",
            source: source.into(),
        }
    }
}
