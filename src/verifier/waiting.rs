//! Those who wait for the end of a session. Thousands may, and most of what the log says
//! concerns one of them or none: few others are woken.

use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::id::{SessionId, UserId};

/// Each is rung for some sessions and users. Of 10 000 who wait, an entry wakes about five
/// in vain.
const BELLS: usize = 4096;

/// Whom it may concern what was learnt. Those who wait for entries to come are to hear of
/// everything besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    Nobody,
    Session(SessionId),
    User(UserId),
    Everyone,
}

pub(super) struct Waiting(Box<[Notify]>);

impl Waiting {
    pub(super) fn new() -> Self {
        Self((0..BELLS).map(|_| Notify::new()).collect())
    }

    /// Waits until the session or its user may be concerned by what is learnt after this
    /// call: from then on, polled or not, nothing is missed.
    pub(super) fn concerned(&self, session: SessionId, user: UserId) -> impl Future<Output = ()> {
        let session = self.bell(session.as_uuid()).notified();
        let user = self.bell(user.as_uuid()).notified();
        async {
            tokio::select! {
                () = session => {}
                () = user => {}
            }
        }
    }

    pub(super) fn wake(&self, concerned: Concerned) {
        match concerned {
            Concerned::Nobody => {}
            Concerned::Session(session) => self.bell(session.as_uuid()).notify_waiters(),
            Concerned::User(user) => self.bell(user.as_uuid()).notify_waiters(),
            Concerned::Everyone => self.0.iter().for_each(Notify::notify_waiters),
        }
    }

    /// The last bytes of an id are random (RFC 9562, 5.7).
    fn bell(&self, id: Uuid) -> &Notify {
        let [.., high, low] = *id.as_bytes();
        &self.0[usize::from(u16::from_be_bytes([high, low])) % BELLS]
    }
}
