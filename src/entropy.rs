//! The one source of randomness: the operating system's.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes fit for secrets.
///
/// # Panics
/// If the operating system has none to give. There is nothing to go on with then.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a predictable secret is worse than no service"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system gives random bytes");
    bytes
}

/// For signatures that draw of it themselves.
#[must_use]
pub fn source() -> SystemRandom {
    SystemRandom::new()
}
