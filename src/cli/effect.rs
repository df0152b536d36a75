//! Waiting until what a command has ended is refused by every instance.

use std::time::Duration;

use super::print::print;
use crate::domain::instance::LONGEST_LEASE;
use crate::sessions::Effect;
use crate::startup::Operator;

/// Longer than it takes until nobody waits for an instance that has crashed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says so if some instance has not said in time that it knows.
pub(super) async fn wait(operator: &Operator) -> anyhow::Result<()> {
    let Effect::Pending(instances) = operator.sessions.effect(PATIENCE).await else {
        return Ok(());
    };
    let names: Vec<_> = instances.iter().map(ToString::to_string).collect();
    print(&format!(
        "it is written down, but not confirmed by every instance: {} (cut off, frozen or \
         crashed; such a one accepts nothing once its lease ({LONGEST_LEASE:?} at most), or its grace, is over)",
        names.join(", ")
    ))
}
