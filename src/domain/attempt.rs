//! Attempts to tell a password. Those that went wrong are counted, and beyond a limit
//! none is made any more (ASVS 6.3.1; NIST SP 800-63B-4, 3.2.2).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::domain::device::DeviceId;
use crate::domain::email::Email;
use crate::domain::time::Timestamp;

/// How many attempts may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In a row, at one account, or from one browser that the account knows.
    pub per_account: u32,
    /// From one address within the window, whatever the account.
    pub per_address: u32,
    /// How long a count lasts.
    pub window: Duration,
}

/// How long an attempt is under way at most: one that is not settled by then is lost, as
/// with the instance that made it.
pub const UNDER_WAY: Duration = Duration::from_secs(10);

/// What attempts are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Whether or not there is one.
    Account,
    /// A browser that has logged in before has a budget of its own, so that no stranger
    /// can use it up.
    Device,
    Address,
}

impl Scope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Device => "device",
            Self::Address => "address",
        }
    }

    /// Whether wrong attempts in a row are counted: a right one ends the row, and each
    /// begins the window anew, so that no window, whenever it begins, has more of them
    /// than the limit.
    ///
    /// At an address, all within a window are counted, for it is no better for an
    /// account that somebody has there; and the window ends, for many may share it.
    #[must_use]
    pub const fn is_in_a_row(self) -> bool {
        matches!(self, Self::Account | Self::Device)
    }
}

/// SHA-256 of what is counted: it tells nobody which addresses were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetKey([u8; 32]);

impl BudgetKey {
    #[must_use]
    pub fn of_account(email: &Email) -> Self {
        Self::of(Scope::Account, email.as_str().as_bytes())
    }

    /// Of an IPv6 address only the first 64 bits count: the rest is its holder's choice
    /// (RFC 4291, 2.5.4).
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::of(Scope::Address, &v4.octets()),
            IpAddr::V6(v6) => {
                let network = Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64));
                Self::of(Scope::Address, &network.octets())
            }
        }
    }

    fn of_device(account: Self, device: DeviceId) -> Self {
        let both = [account.0.as_slice(), device.as_bytes()].concat();
        Self::of(Scope::Device, &both)
    }

    fn of(scope: Scope, what: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(scope.as_str().as_bytes());
        context.update(&[0]);
        context.update(what);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One of the counts that an attempt falls under.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub scope: Scope,
    pub key: BudgetKey,
    /// The account that it is cleared with; `None` for an address.
    pub account: Option<BudgetKey>,
    pub limit: u32,
    pub window: Duration,
}

impl Limits {
    /// What an attempt at an account falls under. A browser that the account knows is
    /// not held to what others do at the account or at its address.
    #[must_use]
    pub fn budgets(
        &self,
        email: &Email,
        device: Option<DeviceId>,
        address: Option<IpAddr>,
    ) -> Vec<Budget> {
        let account = BudgetKey::of_account(email);
        let at_account = |scope, key| Budget {
            scope,
            key,
            account: Some(account),
            limit: self.per_account,
            window: self.window,
        };
        if let Some(device) = device {
            let key = BudgetKey::of_device(account, device);
            return vec![at_account(Scope::Device, key)];
        }
        let at_address = address.map(|address| Budget {
            scope: Scope::Address,
            key: BudgetKey::of_address(address),
            account: None,
            limit: self.per_address,
            window: self.window,
        });
        // The address first: one that is refused leaves no trace at accounts.
        at_address
            .into_iter()
            .chain([at_account(Scope::Account, account)])
            .collect()
    }
}

/// What has become of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Right,
    Wrong,
    /// Nobody has looked at the password.
    Untried,
}

/// What is counted under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Attempts that went wrong.
    pub failures: u32,
    /// When they are forgotten, if no more are made.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        per_account: 10,
        per_address: 100,
        window: Duration::from_mins(15),
    };

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    fn keys(device: Option<DeviceId>, address: Option<&str>) -> Vec<BudgetKey> {
        let address = address.map(|address| address.parse().unwrap());
        let budgets = LIMITS.budgets(&email("ada@example.com"), device, address);
        budgets.into_iter().map(|budget| budget.key).collect()
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let key = |address: &str| BudgetKey::of_address(address.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("203.0.113.9"), key("203.0.113.8"));
        assert_eq!(key("203.0.113.9"), key("::ffff:203.0.113.9"));
    }

    #[test]
    fn strangers_fall_under_account_and_address_and_a_known_browser_under_neither() {
        let device = DeviceId::from_bytes([7; 16]);
        let strangers = keys(None, Some("203.0.113.9"));
        let known = keys(Some(device), Some("203.0.113.9"));
        assert_eq!((strangers.len(), known.len()), (2, 1));
        assert!(!strangers.contains(&known[0]));
        assert_eq!(keys(None, None), strangers[1..]);
    }

    #[test]
    fn a_browser_has_a_budget_for_each_account() {
        let device = Some(DeviceId::from_bytes([7; 16]));
        let of = |text| LIMITS.budgets(&email(text), device, None)[0].key;
        assert_ne!(of("ada@example.com"), of("bob@example.com"));
        assert_eq!(of("ada@example.com"), of("ADA@example.com"));
    }
}
