//! JWTs of another system that have been exchanged for a session.

use super::Result;
use crate::domain::exchange::ForeignJwt;
use crate::domain::time::Timestamp;
use crate::store::ledger::connection::{Link, execute};

/// Changes no row if it was exchanged before.
pub(in crate::store::ledger) async fn insert_jwt(link: Link<'_>, jwt: &ForeignJwt) -> Result<u64> {
    execute!(
        link,
        "insert into exchanged_jwts (digest, expires_at) values ($1, $2) on conflict do nothing",
        jwt.digest,
        jwt.expires_at,
    )
}

pub(in crate::store::ledger) async fn delete_expired(
    link: Link<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    execute!(
        link,
        "delete from exchanged_jwts where digest in (select digest from exchanged_jwts \
         where expires_at <= $1 limit $2)",
        now,
        i64::from(limit),
    )
}
