//! A client's connection, cut if the client is slow. actix times the first head of a
//! connection, the guard times bodies and answers, and a connection without a request is
//! closed in time. Here is what is left: any later head, a client that does not take
//! its answer, and the end of the service.

use std::cell::Cell;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::ending::Open;

/// How long a client may take to send a request's head.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be without a request: longer than proxies and load balancers
/// keep one for their next (a minute, mostly), so that it is they who close it. Otherwise
/// a request could be lost to a connection that has just been closed.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// For actix to have closed it.
const TOO_LONG: Duration = Duration::from_secs(80);

/// How long a client may take to take what is ready for it: 32 KiB, or less.
const TAKING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    socket: TcpStream,
    requests: Requests,
    last_read: Instant,
    /// The head that is being read: when it began, and how many had come before it.
    head: Option<(Instant, u64)>,
    /// Goes off when it may be too late, and is not set anew for every head.
    alarm: Pin<Box<Sleep>>,
    /// Until when the client must have taken all that is ready for it.
    stall: Option<Pin<Box<Sleep>>>,
    open: Open,
    /// The service ends, and this connection once it has no request.
    closes: bool,
    /// Who is woken when that begins.
    heard_by: Option<Waker>,
}

/// How many requests of a connection have got how far.
#[derive(Clone, Default)]
pub(super) struct Requests(Rc<Counts>);

#[derive(Default)]
struct Counts {
    begun: Cell<u64>,
    /// With their bodies.
    whole: Cell<u64>,
    answered: Cell<u64>,
    /// The last of them is answered for as long as the service lasts.
    streams: Cell<bool>,
}

/// A request that is not answered yet.
pub(super) struct UnderWay(Requests);

impl Requests {
    /// A head has come.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.begun.set(self.0.begun.get() + 1);
        UnderWay(self.clone())
    }

    /// The answer is a stream, which ends with the service.
    pub(super) fn begin_stream(&self) {
        self.0.streams.set(true);
    }
}

impl UnderWay {
    /// Whatever comes now is of another request.
    pub(super) fn is_whole(&self) {
        let Self(Requests(counts)) = self;
        counts.whole.set(counts.begun.get());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.is_whole();
        let Self(Requests(counts)) = self;
        counts.answered.set(counts.answered.get() + 1);
    }
}

impl Connection {
    pub(super) fn new(socket: TcpStream, open: Open) -> Self {
        Self {
            socket,
            requests: Requests::default(),
            last_read: Instant::now(),
            head: None,
            alarm: Box::pin(sleep(HEAD_TIMEOUT)),
            stall: None,
            open,
            closes: false,
            heard_by: None,
        }
    }

    pub(super) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    fn has_read(&mut self) {
        self.last_read = Instant::now();
        self.forget_a_head_that_has_come();
        let Requests(counts) = &self.requests;
        if self.head.is_none() && counts.whole == counts.begun {
            self.head = Some((self.last_read, counts.begun.get()));
            let end = self.last_read + HEAD_TIMEOUT;
            if self.alarm.deadline() > end {
                self.alarm.as_mut().reset(end);
            }
        }
    }

    fn forget_a_head_that_has_come(&mut self) {
        let Requests(counts) = &self.requests;
        let begun = counts.begun.get();
        self.head = self.head.filter(|(_, before)| *before == begun);
    }

    fn is_too_slow(&mut self, context: &mut Context<'_>) -> bool {
        self.forget_a_head_that_has_come();
        let Requests(counts) = &self.requests;
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let end = match self.head {
                _ if counts.answered != counts.begun => now + HEAD_TIMEOUT,
                Some((begun, _)) => begun + HEAD_TIMEOUT,
                None => self.last_read + TOO_LONG,
            };
            if end <= now {
                return true;
            }
            self.alarm.as_mut().reset(end);
        }
        false
    }

    /// Whether nobody can lose a request if this connection ends now, since the service
    /// does: all that has come is answered, and nothing is on its way that could be known.
    /// One that was not used yet is about to be.
    fn is_to_end(&mut self, context: &mut Context<'_>) -> bool {
        self.closes = self.closes || self.hears_the_end(context);
        let Requests(counts) = &self.requests;
        let is_idle = self.head.is_none() && counts.answered == counts.begun;
        self.closes
            && is_idle
            && counts.begun.get() > 0
            && ioctl_fionread(&self.socket).is_ok_and(|unread| unread == 0)
    }

    /// Asks only if there may be news: all connections wait in the same few queues, behind
    /// locks.
    fn hears_the_end(&mut self, context: &mut Context<'_>) -> bool {
        let waker = context.waker();
        let listens = self.heard_by.as_ref().is_some_and(|it| it.will_wake(waker));
        if listens && !self.open.ending.is_announced() {
            return false;
        }
        self.heard_by = Some(waker.clone());
        self.open.closes.as_mut().poll(context).is_ready()
    }

    /// Of a stream that is to end, nobody waits for the rest.
    fn stalls(&mut self, context: &mut Context<'_>) -> bool {
        let Requests(counts) = &self.requests;
        if counts.streams.get() && self.open.ending.is_announced() {
            return true;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(sleep(TAKING_TIMEOUT)));
        stall.as_mut().poll(context).is_ready()
    }
}

fn too_slow<T>() -> Poll<Result<T>> {
    Poll::Ready(Err(Error::from(ErrorKind::TimedOut)))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.has_read();
        }
        match read {
            Poll::Pending if self.is_too_slow(context) => too_slow(),
            // As if the client had closed it.
            Poll::Pending if self.is_to_end(context) => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        match Pin::new(&mut self.socket).poll_write(context, bytes) {
            Poll::Pending if self.stalls(context) => too_slow(),
            written => written,
        }
    }

    /// Called when all that is ready has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.stall = None;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match Pin::new(&mut self.socket).poll_write_vectored(context, slices) {
            Poll::Pending if self.stalls(context) => too_slow(),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
