//! How the service ends.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::port::Port;
use crate::domain::time::millis;
use crate::http::Ending;

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As SIGTERM does: first goes on for a while, but is not ready, so that load
    /// balancers notice. Alone on its ledger, it does not: nobody else could answer.
    Drain,
    /// As SIGINT does: finishes what is under way.
    Finish,
    /// As a second signal does: whoever waits for an answer gets none.
    Cut,
}

/// Ends [`Application::run`](super::Application::run).
#[derive(Clone)]
pub struct Handle(UnboundedSender<Stop>);

impl Handle {
    /// After another, the second cuts what the first lets finish.
    pub fn stop(&self, stop: Stop) {
        let _ = self.0.send(stop);
    }
}

/// Whatever tells the service to end.
pub(super) struct Orders {
    given: UnboundedReceiver<Stop>,
    handle: Handle,
}

impl Orders {
    pub(super) fn new() -> Self {
        let (sender, given) = unbounded_channel();
        let handle = Handle(sender);
        Self { given, handle }
    }

    /// Until then, a signal ends the process as it is.
    pub(super) fn with_signals(self) -> io::Result<Signals> {
        Ok(Signals {
            orders: self,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

pub(super) struct Signals {
    orders: Orders,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn handle(&self) -> Handle {
        self.orders.handle.clone()
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Drain,
            _ = self.interrupt.recv() => Stop::Finish,
            Some(stop) = self.orders.given.recv() => stop,
        }
    }
}

/// Resolves at the first signal that would end the service: for commands that end as they
/// can.
pub async fn stop_signal() {
    match Orders::new().with_signals() {
        Ok(mut signals) => {
            signals.next().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// What `server.shutdown_grace` is spent on.
#[derive(Clone, Copy)]
pub(super) struct Grace {
    /// For load balancers to notice: a quarter.
    drain: Duration,
    /// For all that clients may notice: three quarters.
    answers: Duration,
    /// For what is to be written after that: the rest.
    pub(super) last_words: Duration,
}

impl Grace {
    pub(super) fn of(whole: Duration, is_alone: bool) -> Self {
        let quarter = whole / 4;
        Self {
            drain: if is_alone { Duration::ZERO } else { quarter },
            answers: quarter * 3,
            last_words: quarter,
        }
    }
}

/// Waits until the service is told to end, and then until nobody waits for an answer any
/// more, or has waited for too long.
pub(super) async fn stopped(
    mut signals: Signals,
    server: ServerHandle,
    port: Port,
    ending: &Ending,
    grace: Grace,
) {
    let stop = signals.next().await;
    let answered = async {
        ending.announce();
        if stop == Stop::Drain && !grace.drain.is_zero() {
            tracing::info!(
                for_ms = millis(grace.drain),
                "drains: answers, and is not ready"
            );
            sleep(grace.drain).await;
        }
        port.close(&server).await;
        // Sent by now; its own end would come later than ours.
        drop(server.stop(true));
        ending.close_connections();
        ending.is_closed().await;
    };
    tokio::select! {
        biased;
        () = std::future::ready(()), if stop == Stop::Cut => {}
        () = answered => {}
        _ = signals.next() => tracing::warn!("told to stop again: what is under way is cut"),
        () = sleep(grace.answers) => {
            tracing::warn!("server.shutdown_grace is over: what is under way is cut");
        }
    }
}
