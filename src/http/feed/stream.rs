//! One stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::web::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::event::{self, Batch, Rest};
use super::pages::{NoPage, Pages};
use super::{AT_ONCE, Feed, News};
use crate::domain::revocation::{Head, Position};
use crate::http::connection::UnderWay;
use crate::store::Unavailable;

/// How a stream begins.
pub(in crate::http) enum Opened {
    Stream(EventStream),
    /// The log does not have that position.
    UnknownPosition,
    /// Nothing is heard here: the log has been set back, or the service ends.
    Closed,
}

pub(in crate::http) type EventStream = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>>>>;

struct Reader {
    feed: Feed,
    news: Receiver<News>,
    pages: Arc<Pages>,
    /// What is told before anything else.
    first: Option<Bytes>,
    at: Head,
    /// There is more than what is heard.
    is_behind: bool,
    /// The request is not answered before the stream ends.
    _under_way: Option<UnderWay>,
}

impl Feed {
    /// A stream that goes on after that position, or begins with the last minutes.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub(in crate::http) async fn open(
        &self,
        after: Option<Position>,
        under_way: Option<UnderWay>,
    ) -> Result<Opened, Unavailable> {
        let Some((news, pages)) = self.join() else {
            return Ok(Opened::Closed);
        };
        let after = match self.beginning(&pages, after).await {
            Ok(after) => after,
            Err(NoPage::Unavailable(error)) => return Err(error),
            Err(NoPage::Unknown) => return Ok(Opened::UnknownPosition),
        };
        // Never before the stream was asked for: who follows it reckons from then.
        let now = self.0.sessions.clock().now();
        let reader = Reader {
            feed: self.clone(),
            news,
            pages,
            first: Some(event::window(after, now)),
            at: after,
            is_behind: true,
            _under_way: under_way,
        };
        let events = unfold(reader, async |mut reader| {
            let bytes = reader.next().await?;
            Some((Ok(bytes), reader))
        });
        Ok(Opened::Stream(Box::pin(events)))
    }

    /// The ledger is asked only for what this instance does not know.
    async fn beginning(&self, pages: &Pages, after: Option<Position>) -> Result<Head, NoPage> {
        let sessions = &self.0.sessions;
        let after = match after {
            None => return pages.beginning(&self.0).await,
            Some(Position { mark: None, .. }) => {
                return self.0.look_up(after).await?.ok_or(NoPage::Unknown);
            }
            Some(Position {
                number,
                mark: Some(mark),
            }) => Head { number, mark },
        };
        if !sessions.is_ready() || sessions.latest_after(after, 0).is_none() {
            pages.after(&self.0, after).await?;
        }
        Ok(after)
    }
}

impl Reader {
    /// `None`: the stream ends. Whoever comes again hears why.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.feed.0.ending.is_announced() {
                return None;
            }
            if let Some(first) = self.first.take() {
                return Some(first);
            }
            let told = if self.is_behind {
                self.catch_up().await?
            } else {
                self.hear().await?
            };
            if let Some(told) = told {
                return Some(told);
            }
        }
    }

    /// What is heard next, if it is new.
    async fn hear(&mut self) -> Option<Option<Bytes>> {
        match self.news.recv().await {
            Ok(News::Entries(batch)) => match batch.rest(self.at) {
                Rest::New(events) => {
                    self.at = batch.last;
                    return Some(Some(events));
                }
                Rest::Nothing => {}
                Rest::Gap => self.is_behind = true,
            },
            Ok(News::Head(head, event)) if head == self.at => return Some(Some(event)),
            Ok(News::Head(head, _)) => self.is_behind = self.at.number < head.number,
            Err(RecvError::Lagged(_)) => self.is_behind = true,
            Err(RecvError::Closed) => return None,
        }
        Some(None)
    }

    /// What comes next, from what the view has at hand or else from the ledger; at the
    /// end, whether the view vouches for it.
    async fn catch_up(&mut self) -> Option<Option<Bytes>> {
        let sessions = &self.feed.0.sessions;
        let batch = match sessions.latest_after(self.at, AT_ONCE.into()) {
            Some(entries) => Batch::new(self.at, &entries).map(Arc::new),
            None => match self.pages.after(&self.feed.0, self.at).await {
                Ok(batch) => batch,
                Err(NoPage::Unknown | NoPage::Unavailable(_)) => return None,
            },
        };
        if let Some(batch) = batch {
            self.at = batch.last;
            return Some(Some(batch.events()));
        }
        self.is_behind = false;
        Some(self.feed.0.vouch_for(self.at))
    }
}
