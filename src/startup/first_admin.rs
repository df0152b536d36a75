//! The first admin: created as configured, or by whoever opens a link.

use anyhow::bail;

use crate::accounts::{Earlier, FirstAdmin, NewAccount, SetUp};
use crate::config::{Bootstrap, Settings};
use crate::domain::user::{Role, UserName};
use crate::http::Services;

/// Where the first admin is set up, if there is none.
pub(super) async fn setup_link(services: &Services) -> anyhow::Result<Option<String>> {
    let act = services.sessions().operators_act();
    let link = services.accounts().issue_setup_link(Earlier::Kept, act);
    let link = link.await?;
    Ok(link.map(|link| services.links().setup(&link.token)))
}

/// Creates the one that is configured, if there is no admin.
pub(super) async fn create(
    services: &Services,
    bootstrap: &Bootstrap,
    settings: &Settings,
) -> anyhow::Result<()> {
    let by = SetUp {
        account: NewAccount {
            email: bootstrap.email.clone(),
            name: UserName::parse("Administrator")?,
            role: Role::Admin,
        },
        password: bootstrap.password(&settings.password_policy())?,
    };
    let act = services.sessions().operators_act();
    match services.accounts().bootstrap(by, act).await? {
        FirstAdmin::Created | FirstAdmin::Exists => Ok(()),
        FirstAdmin::EmailTaken => bail!(
            "bootstrap_admin_email is the address of a user who cannot administer, maybe of \
             somebody else who has registered it: name another, or, if it is not you, `gatelodge \
             users delete` them; if it is, see `users set-role`, `unlock` and `password-link`"
        ),
    }
}
