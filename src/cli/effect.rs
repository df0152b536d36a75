//! Waiting until what a command has ended is refused by every instance.

use std::time::Duration;

use super::print::print;
use crate::sessions::Effect;
use crate::startup::Operator;

/// As the API waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says so if some instance has not said in time that it knows.
pub(super) async fn wait(operator: &Operator) -> anyhow::Result<()> {
    let Effect::Pending(instances) = operator.sessions.effect(PATIENCE).await else {
        return Ok(());
    };
    let lease = operator.sessions.policy().lease;
    let names: Vec<_> = instances.iter().map(ToString::to_string).collect();
    print(&format!(
        "it is written down; not confirmed yet by {} (cut off, frozen or lost: such an instance \
         accepts nothing once its lease of {lease:?}, or its grace, is over)",
        names.join(", ")
    ))
}
