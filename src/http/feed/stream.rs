//! One stream.

use std::convert::Infallible;
use std::pin::Pin;

use actix_web::web::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::event::{self, Batch, Rest};
use super::{Feed, News};
use crate::domain::revocation::{Head, Position};
use crate::http::connection::UnderWay;
use crate::sessions::Extract;
use crate::store::Unavailable;

/// How many entries a stream has at hand.
const PAGE: u16 = 100;

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
    /// What is to be sent before anything else.
    first: Option<Bytes>,
    at: Head,
    /// There is more in the ledger.
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
        // Before the ledger is read, so that nothing is missed in between.
        let groups = self.0.groups.load_full();
        let Some(news) = groups.map(|groups| groups.join()) else {
            return Ok(Opened::Closed);
        };
        let Some(extract) = self.read(after, PAGE).await? else {
            return Ok(Opened::UnknownPosition);
        };
        let reader = Reader {
            feed: self.clone(),
            news,
            first: Some(self.first(&extract)),
            at: extract.end(),
            is_behind: !extract.is_last(),
            _under_way: under_way,
        };
        let events = unfold(reader, async |mut reader| {
            let bytes = reader.next().await?;
            Some((Ok(bytes), reader))
        });
        Ok(Opened::Stream(Box::pin(events)))
    }

    /// With a head, if the view vouches for what the ledger has said.
    fn first(&self, extract: &Extract) -> Bytes {
        let sessions = &self.0.sessions;
        let vouching = sessions.vouches().filter(|it| it.head == extract.end());
        let head = vouching.map(|it| event::head(&it, sessions.clock().now()));
        let events = Batch::each(&extract.entries).map(Batch::into_events);
        let all = [event::window(extract)]
            .into_iter()
            .chain(events)
            .chain(head);
        all.flatten().collect()
    }
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.feed.0.ending.is_announced() {
                return None;
            }
            if let Some(first) = self.first.take() {
                return Some(first);
            }
            if self.is_behind {
                match self.read_up().await? {
                    Some(events) => return Some(events),
                    None => continue,
                }
            }
            match self.news.recv().await {
                Ok(News::Entries(batch)) => match batch.rest(self.at.number) {
                    Rest::New(events) => {
                        self.at = batch.last;
                        return Some(events);
                    }
                    Rest::Nothing => {}
                    Rest::Gap => self.is_behind = true,
                },
                Ok(News::Head(head, event)) if head == self.at => return Some(event),
                Ok(News::Head(head, _)) => self.is_behind = self.at.number < head.number,
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What the ledger has next, if anything. `None`: the stream ends.
    async fn read_up(&mut self) -> Option<Option<Bytes>> {
        let after = Position {
            number: self.at.number,
            mark: Some(self.at.mark),
        };
        // Whoever comes again hears what is wrong.
        let extract = self.feed.read(Some(after), PAGE).await.ok()??;
        self.is_behind = !extract.is_last();
        self.at = extract.end();
        let events = Batch::each(&extract.entries).map(Batch::into_events);
        let events: Bytes = events.flatten().collect();
        Some((!events.is_empty()).then_some(events))
    }
}
