//! What the instances tell each other through the bus: pushes and heartbeats.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::clocks::uptime;
use crate::domain::instance::{Beat, Push};
use crate::domain::time::Uptime;
use crate::store::Unavailable;
use crate::store::bus::{Listener, Signal};
use crate::telemetry::metrics::Arrival;

/// Between two beats, however many revocations there are.
const PAUSE: Duration = Duration::from_millis(2);

/// What all may have Redis bring by beating after revocations, in beats a second times
/// those who hear them.
const BROUGHT: u32 = 25_000;

/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// One's own beats come back; a connection that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(2);

/// Says at every poll, and whenever another's push has moved the view, where it
/// stands.
pub(super) fn beat_forever(shared: &Arc<Shared>) -> impl Future<Output = ()> + Send + use<> {
    let (beat_now, interval) = (Arc::clone(&shared.beat_now), shared.poll_interval);
    let (bus, shared) = (shared.bus.clone(), Arc::downgrade(shared));
    async move {
        let Some(bus) = bus else { return };
        let present = || shared.upgrade().filter(|shared| !shared.has_left());
        while let Some(beat) = present().map(|shared| shared.next_beat(false)) {
            if let Some(beat) = beat {
                let told = bus.tell(&Signal::Beat(beat)).await;
                if let Some(shared) = shared.upgrade() {
                    shared.note(told);
                }
            }
            let Some(pause) = present().map(|shared| pause(shared.roster().present())) else {
                break;
            };
            let pause = pause.min(interval);
            tokio::time::sleep(pause).await;
            let rest = interval.saturating_sub(pause);
            let _ = tokio::time::timeout(rest, beat_now.notified()).await;
        }
    }
}

/// Everybody beats after a revocation, and everybody hears it: the more there are, the
/// longer the pause.
fn pause(instances: u32) -> Duration {
    let all = Duration::from_secs(1) / BROUGHT * instances.saturating_pow(2);
    PAUSE.max(all)
}

pub(super) fn listen_forever(shared: &Arc<Shared>) -> impl Future<Output = ()> + Send + use<> {
    let (bus, interval) = (shared.bus.clone(), shared.poll_interval);
    let shared = Arc::downgrade(shared);
    async move {
        let Some(bus) = bus else { return };
        loop {
            let listener = bus.listen().await;
            let Some(current) = shared.upgrade().filter(|shared| !shared.has_left()) else {
                break;
            };
            match listener {
                Ok(listener) => {
                    current.begin_to_listen();
                    drop(current);
                    let silence = SILENCE.max(interval * 4);
                    listen(listener, silence, |signal| {
                        let shared = shared.upgrade();
                        shared.map(|shared| shared.receive(signal))
                    })
                    .await;
                    if let Some(shared) = shared.upgrade() {
                        shared.stop_to_listen();
                    }
                }
                Err(_) => drop(current),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

/// Until the connection ends or says nothing any more.
async fn listen(mut listener: Listener, silence: Duration, receive: impl Fn(Signal) -> Option<()>) {
    while let Ok(Ok(signal)) = tokio::time::timeout(silence, listener.next()).await {
        if receive(signal).is_none() {
            break;
        }
    }
}

impl Shared {
    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Nothing while the view lags behind this instance's own revocations: a beat
    /// says that it has revoked nothing beyond.
    pub(super) fn next_beat(&self, is_last: bool) -> Option<Beat> {
        let mut roster = self.roster();
        let reached = self.view().stands_at();
        (!self.lags()).then(|| roster.beat(reached, is_last, uptime()))
    }

    /// Redis has taken what was told, or not. Whatever else fails by it goes on
    /// without, and need not be heard of each time.
    fn note(&self, told: Result<(), Unavailable>) {
        let was_told = self.redis_accepts.swap(told.is_ok(), Ordering::AcqRel);
        match told {
            Err(error) if was_told => {
                tracing::warn!(%error, "Redis is lost: the ledger answers instead");
            }
            Ok(()) if !was_told => tracing::info!("Redis answers again"),
            Ok(()) | Err(_) => {}
        }
    }

    pub(super) fn lags(&self) -> bool {
        self.reached() < self.own_appended()
    }

    /// Whether the bus takes what this instance says, and brings it back.
    pub(super) fn is_carried(&self) -> bool {
        let since = uptime() - self.poll_interval * 3;
        self.redis_accepts.load(Ordering::Acquire) && self.roster().hears_itself(since)
    }

    pub(super) fn listens_since(&self, then: Uptime) -> bool {
        self.listening().is_some_and(|since| since <= then)
    }

    fn begin_to_listen(&self) {
        *self.listening() = Some(uptime());
        // What was pushed before.
        self.poll_now.notify_one();
        self.beat_now.notify_one();
    }

    fn stop_to_listen(&self) {
        *self.listening() = None;
        self.roster().miss();
        self.judge();
    }

    fn listening(&self) -> MutexGuard<'_, Option<Uptime>> {
        let since = self.listens_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, signal: Signal) {
        match signal {
            Signal::Push(push) => self.take_push(&push),
            Signal::Beat(beat) => {
                if beat.reached.number.get() > self.reached().get() {
                    self.poll_now.notify_one();
                }
                self.roster().hear(&beat, uptime());
                self.judge();
            }
        }
    }

    /// A push out of sequence, or from who is not known, only triggers a poll.
    fn take_push(&self, push: &Push) {
        let Some(last) = push.appended.entries.last() else {
            return;
        };
        let is_admitted = self.roster().admits(push);
        if last.number <= self.reached() {
            return;
        }
        if is_admitted {
            self.roster().hear_of(last.number);
        }
        if is_admitted && self.follow(&push.appended, Arrival::Push).is_ok() {
            self.beat_now.notify_one();
        } else {
            self.poll_now.notify_one();
        }
        self.judge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_beat_after_revocations_redis_is_not_crowded() {
        for instances in 1..=2000_u32 {
            let pause = pause(instances);
            let brought = f64::from(instances.pow(2)) / pause.as_secs_f64();
            assert!(
                brought <= f64::from(BROUGHT) + 1.0,
                "{instances}: {brought}"
            );
        }
        assert_eq!(pause(3), PAUSE, "a few answer at once");
        assert_eq!(pause(100), Duration::from_millis(400));
        assert!(pause(u32::MAX) > Duration::from_hours(1));
    }
}
