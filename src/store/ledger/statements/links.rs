//! Links that set a password, once.

use super::Result;
use crate::domain::id::UserId;
use crate::domain::link::LinkDigest;
use crate::domain::time::Timestamp;
use crate::domain::user::CredentialVersion;
use crate::store::ledger::connection::{Link, execute, fetch};

/// Whom a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::ledger) enum Bearer {
    /// Whoever becomes the first admin.
    FirstAdmin,
    /// A user, as long as that credential is theirs.
    User(UserId, CredentialVersion),
}

pub(in crate::store::ledger) async fn insert_link(
    link: Link<'_>,
    digest: &LinkDigest,
    bearer: Bearer,
    expires_at: Timestamp,
) -> Result<u64> {
    let (user, version) = match bearer {
        Bearer::FirstAdmin => (None, None),
        Bearer::User(user, version) => (Some(user), Some(version)),
    };
    execute!(
        link,
        "insert into password_links (digest, user_id, credential_version, expires_at) \
         values ($1, $2, $3, $4)",
        digest,
        user,
        version,
        expires_at,
    )
}

/// The link of that digest, if it can be used at `now`: whom it is for.
pub(in crate::store::ledger) async fn find_link(
    link: Link<'_>,
    digest: &LinkDigest,
    now: Timestamp,
) -> Result<Option<Bearer>> {
    let row = fetch!(
        link,
        fetch_optional::<(Option<UserId>, Option<CredentialVersion>)>,
        "select l.user_id, l.credential_version from password_links l \
         left join users u on u.id = l.user_id where l.digest = $1 and l.expires_at > $2 \
         and (l.user_id is null \
         or u.status = 'active' and u.credential_version = l.credential_version)",
        digest,
        now,
    )?;
    Ok(row.map(|(user, version)| match user.zip(version) {
        Some((user, version)) => Bearer::User(user, version),
        None => Bearer::FirstAdmin,
    }))
}

pub(in crate::store::ledger) async fn delete_link(
    link: Link<'_>,
    digest: &LinkDigest,
) -> Result<u64> {
    execute!(link, "delete from password_links where digest = $1", digest)
}

pub(in crate::store::ledger) async fn delete_link_of(link: Link<'_>, user: UserId) -> Result<u64> {
    execute!(link, "delete from password_links where user_id = $1", user)
}

pub(in crate::store::ledger) async fn delete_setup_links(link: Link<'_>) -> Result<u64> {
    execute!(link, "delete from password_links where user_id is null")
}

pub(in crate::store::ledger) async fn delete_expired_links(
    link: Link<'_>,
    now: Timestamp,
) -> Result<u64> {
    execute!(
        link,
        "delete from password_links where expires_at <= $1",
        now
    )
}

pub(in crate::store::ledger) async fn delete_all(link: Link<'_>) -> Result<u64> {
    execute!(link, "delete from password_links")
}
