//! The request under way, on whatever task: so that all that is written down on its
//! behalf can name it.

use std::future::Future;

use futures_util::future::Either;
use tracing::{Instrument as _, Span};

use crate::domain::id::RequestId;

tokio::task_local! {
    static REQUEST: Request;
}

#[derive(Clone)]
pub struct Request {
    pub id: RequestId,
    pub span: Span,
    /// Whether the log shows the span with each line.
    pub is_seen: bool,
}

/// Does the work of a request, if it is known of which.
pub fn within<T>(
    request: Option<Request>,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    match request {
        Some(request) => Either::Left(REQUEST.scope(request, work)),
        None => Either::Right(work),
    }
}

/// Work for the request under way that is to be done on another task. The span inside
/// which it begins is entered there as well.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let request = REQUEST.try_with(Clone::clone).ok();
    let span = request
        .as_ref()
        .map_or_else(Span::none, |it| it.span.clone());
    within(request, work.in_current_span()).instrument(span)
}

/// The request under way.
#[must_use]
pub fn id() -> Option<RequestId> {
    REQUEST.try_with(|request| request.id).ok()
}

/// The request under way, if the log's lines do not show it by themselves.
#[must_use]
pub fn unseen() -> Option<RequestId> {
    REQUEST
        .try_with(|request| (!request.is_seen).then_some(request.id))
        .ok()
        .flatten()
}
