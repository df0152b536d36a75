//! The limit on wrong passwords. Every way to try one leads through here: an attempt is
//! counted in the ledger before the password is looked at, alike for accounts that do
//! not exist, so that no number of instances verifies more than the limit together.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Accounts, Busy, Error};
use crate::domain::attempt::{Budget, BudgetKey, Count, Limits, Outcome};
use crate::domain::audit::{Act, Event};
use crate::domain::device::{DEVICE_LIFETIME, DeviceClaim, DeviceId};
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::domain::user::CredentialVersion;
use crate::entropy;
use crate::sessions::Issued;
use crate::store::Unavailable;
use crate::store::ledger::Reserved;

/// How long an attempt waits for others at its account.
const PATIENCE: Duration = Duration::from_millis(1500);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// How many may wait at once: they ask the ledger again and again.
const CROWD: usize = 32;

pub(super) struct Throttle {
    limits: Limits,
    crowd: Semaphore,
}

impl Throttle {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            crowd: Semaphore::const_new(CROWD),
        }
    }
}

/// An attempt that may be made, and is counted as what comes of it.
pub(super) struct Attempt {
    pub(super) budgets: Vec<Budget>,
    /// Whose account it is made at, if there is one.
    at: Option<UserId>,
    act: Act,
    pub(super) reserved_at: Timestamp,
}

impl Accounts {
    /// Counts an attempt at an account, there or not, as one that may go wrong.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], [`Error::Busy`] or [`Error::Unavailable`].
    pub(super) async fn reserve_attempt(
        &self,
        email: &Email,
        at: Option<(UserId, CredentialVersion)>,
        device: Option<DeviceClaim>,
        act: Act,
    ) -> Result<Attempt, Error> {
        // A storm costs the ledger nothing.
        self.hasher.ensure_room()?;
        let (now, keys) = (act.at, self.sessions.keys());
        let device = at
            .zip(device)
            .and_then(|((user, credential), claim)| claim.of(user, credential, now, keys));
        let at = at.map(|(user, _)| user);
        let budgets = self
            .throttle
            .limits
            .budgets(email, device, act.source.address);
        let reserved_at = match self.may_be_made(&budgets).await? {
            Some(reserved_at) => reserved_at,
            None => self.wait_for_room(&budgets).await?,
        };
        Ok(Attempt {
            budgets,
            at,
            act,
            reserved_at,
        })
    }

    /// Waits for what becomes of others, of which maybe none goes wrong.
    async fn wait_for_room(&self, budgets: &[Budget]) -> Result<Timestamp, Error> {
        let _waits = self.throttle.crowd.try_acquire().map_err(|_| Busy)?;
        let mut pause = FIRST_PAUSE;
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            tokio::time::sleep(pause).await;
            if let Some(reserved_at) = self.may_be_made(budgets).await? {
                return Ok(reserved_at);
            }
            waited += pause;
            pause *= 2;
        }
        Err(Busy.into())
    }

    /// Tries to reserve a place: when it was reserved, or `None` if the last places are taken
    /// by attempts under way.
    async fn may_be_made(&self, budgets: &[Budget]) -> Result<Option<Timestamp>, Error> {
        let now = self.sessions.clock().now();
        match self.ledger.reserve_attempt(budgets, now).await? {
            Reserved::Yes => Ok(Some(now)),
            Reserved::Crowded => Ok(None),
            Reserved::Exhausted { until } => Err(Error::TooManyAttempts {
                retry_after: until.since(now),
            }),
        }
    }

    /// Counts an attempt as right, or as one that nobody has looked at.
    pub(super) async fn settle_attempt(
        &self,
        attempt: &Attempt,
        outcome: Outcome,
    ) -> Result<(), Unavailable> {
        let Attempt {
            budgets, at, act, ..
        } = attempt;
        self.ledger
            .settle_attempt(budgets, outcome, *at, *act, None)
            .await
    }

    /// Counts an attempt as wrong, and writes down what it was: by the same statements
    /// whatever the reason, so that time does not tell it.
    pub(super) async fn fail_attempt(
        &self,
        attempt: &Attempt,
        event: Event,
    ) -> Result<(), Unavailable> {
        let Attempt {
            budgets, at, act, ..
        } = attempt;
        let (wrong, event) = (Outcome::Wrong, self.refusal(event));
        self.ledger
            .settle_attempt(budgets, wrong, *at, *act, event.as_ref())
            .await
    }

    /// What a browser is to show from now on, in which a user has just logged in: as what
    /// it was known, if the account knew it.
    #[must_use]
    pub fn known_device(&self, issued: &Issued, claimed: Option<DeviceClaim>) -> String {
        let (now, keys) = (self.sessions.clock().now(), self.sessions.keys());
        let (user, credential) = (issued.record.session.user_id, issued.credential);
        let device = claimed
            .and_then(|claim| claim.of(user, credential, now, keys))
            .unwrap_or_else(|| DeviceId::from_bytes(entropy::random()));
        device.known_to(user, credential, now + DEVICE_LIFETIME, keys)
    }

    /// What has gone wrong at a user's account, other than in browsers that it knows.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unavailable`].
    pub async fn attempts_at(&self, user: UserId) -> Result<Attempts, Error> {
        let user = self.user(user).await?;
        let key = BudgetKey::of_account(&user.email);
        Ok(self.attempts(key, self.throttle.limits.per_account).await?)
    }

    /// What has gone wrong from an address; of IPv6, from its /64.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn attempts_from(&self, address: IpAddr) -> Result<Attempts, Unavailable> {
        let key = BudgetKey::of_address(address);
        self.attempts(key, self.throttle.limits.per_address).await
    }

    async fn attempts(&self, key: BudgetKey, limit: u32) -> Result<Attempts, Unavailable> {
        let now = self.sessions.clock().now();
        let count = self.ledger.count_attempts(key, now).await?;
        Ok(Attempts { count, limit })
    }

    /// Lets a user try again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unavailable`].
    pub async fn clear_attempts_at(&self, user: UserId, act: Act) -> Result<(), Error> {
        let user = self.user(user).await?;
        let key = BudgetKey::of_account(&user.email);
        Ok(self.ledger.clear_attempts(key, Some(user.id), act).await?)
    }

    /// Lets all who come from an address try again at once.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn clear_attempts_from(&self, address: IpAddr, act: Act) -> Result<(), Unavailable> {
        let key = BudgetKey::of_address(address);
        self.ledger.clear_attempts(key, None, act).await
    }
}

/// Wrong passwords, as administrators see them.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    count: Option<Count>,
    limit: u32,
}

impl Attempts {
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.count.map_or(0, |count| count.failures)
    }

    /// Until when none is tried, if too many have gone wrong.
    #[must_use]
    pub fn blocked_until(&self) -> Option<Timestamp> {
        let count = self.count.filter(|count| count.failures >= self.limit)?;
        Some(count.expires_at)
    }
}
