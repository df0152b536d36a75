//! Who is registered. An instance speaks of itself on the connection of its poll:
//! what confirms its view must not depend on a pool that others drain.

use super::log::LogReader;
use super::{Ledger, statements};
use crate::domain::instance::{InstanceId, Registered, Report};
use crate::store::Unavailable;

/// How many are struck off by one statement.
const AT_ONCE: usize = 1000;

impl LogReader {
    /// Registers an instance, or takes back that it was struck off. Must be done
    /// before its view is read: whoever then waits until all have come as far as
    /// some number knows of it, or need not.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn enrol(&mut self, instance: InstanceId) -> Result<(), Unavailable> {
        self.ask(async |mut link| {
            if statements::instances::enrol_again(link.reborrow(), instance).await? == 0 {
                statements::instances::insert_instance(link, instance).await?;
            }
            Ok(())
        })
        .await
    }

    /// Everybody who is registered.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn registered(&mut self) -> Result<Vec<Registered>, Unavailable> {
        let rows = self.ask(async |link| statements::instances::instances(link).await);
        let rows = rows.await?;
        Ok(rows.into_iter().map(Registered::from).collect())
    }

    /// Tells the others through the ledger.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn report(
        &mut self,
        instance: InstanceId,
        report: Report,
    ) -> Result<(), Unavailable> {
        self.ask(async |link| statements::instances::report(link, instance, report).await)
            .await
            .map(drop)
    }

    /// Strikes off instances that say nothing. One that is alive after all finds out
    /// at its next poll, and enrols again.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn strike_off(&mut self, instances: &[InstanceId]) -> Result<(), Unavailable> {
        for some in instances.chunks(AT_ONCE) {
            self.ask(async |link| statements::instances::strike_off(link, some).await)
                .await?;
        }
        Ok(())
    }
}

impl Ledger {
    /// Takes an instance off the register that accepts nothing any more.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn leave(&self, instance: InstanceId) -> Result<(), Unavailable> {
        self.write(async |link| statements::instances::delete_instance(link, instance).await)
            .await
            .map(drop)
    }

    /// Forgets those who were struck off long ago.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn forget_struck_off(&self) -> Result<(), Unavailable> {
        self.write(async |link| statements::instances::delete_struck_off(link).await)
            .await
            .map(drop)
    }
}
