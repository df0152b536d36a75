//! What goes wrong between us and Redis.

use std::sync::Arc;

use deadpool_redis::PoolError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::error::Elapsed;

use crate::domain::cause;
use crate::telemetry::metrics;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer in time")]
    TimedOut(#[from] Elapsed),
    #[error("no connection")]
    Pool(#[from] PoolError),
    #[error("no connection: {}", cause::chain(.0.as_ref().as_ref()))]
    Unreachable(Arc<anyhow::Error>),
    #[error("a command failed")]
    Command(#[from] RedisError),
    #[error("the subscription has ended")]
    Ended,
}

impl Failure {
    pub(super) fn kind(&self) -> metrics::Failure {
        match self {
            Self::TimedOut(_) | Self::Pool(PoolError::Timeout(_)) => metrics::Failure::Timeout,
            Self::Command(error) if error.is_timeout() => metrics::Failure::Timeout,
            failure if failure.is_an_answer() => metrics::Failure::Refused,
            _ => metrics::Failure::Connection,
        }
    }

    /// Whether Redis has answered what it has to say of the command, as it would
    /// by any other connection.
    pub(super) fn is_an_answer(&self) -> bool {
        let Self::Command(error) = self else {
            return false;
        };
        match error.kind() {
            ErrorKind::UnexpectedReturnType => true,
            ErrorKind::Server(kind) => !matches!(
                kind,
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
            ),
            // A master that has lost its replicas may have a successor.
            ErrorKind::Extension => error.code() != Some("NOREPLICAS"),
            _ => false,
        }
    }
}
