//! The other remedy: tokens that live for minutes, and refresh tokens, kept in
//! PostgreSQL, each good for one new pair. Who presents one again that was used has
//! stolen it, or was stolen from: its whole family ends (RFC 9700, 4.14.2).

use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::entropy;
use sqlx::PgPool;

#[derive(Clone)]
pub(super) struct Refresh {
    pool: PgPool,
    kept: Kept,
}

/// What the table has of a token.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    Digest,
    /// As many tutorials keep it.
    Token,
}

/// Who may have a new pair.
#[derive(sqlx::FromRow)]
pub(super) struct Family {
    #[sqlx(rename = "family")]
    pub(super) id: String,
    pub(super) email: String,
}

const TABLE: &str = "
create table if not exists refresh_tokens (
    token text primary key,
    family text not null,
    email text not null,
    used_at timestamptz,
    expires_at timestamptz not null
);
create index if not exists refresh_tokens_by_family on refresh_tokens (family);";

const BEGIN: &str = "
insert into refresh_tokens (token, family, email, expires_at)
values ($1, $2, $3, now() + interval '7 days')";

const ROTATE: &str = "
with used as (
    update refresh_tokens set used_at = now()
    where token = $1 and used_at is null and expires_at > now()
    returning family, email
)
insert into refresh_tokens (token, family, email, expires_at)
select $2, family, email, now() + interval '7 days' from used
returning family, email";

const END: &str = "
delete from refresh_tokens
where family = (select family from refresh_tokens where token = $1)";

impl Refresh {
    pub(super) async fn connect(url: &str, kept: Kept) -> Result<Self> {
        let pool = PgPool::connect(url).await?;
        sqlx::raw_sql(TABLE).execute(&pool).await?;
        Ok(Self { pool, kept })
    }

    pub(super) async fn begin(&self, family: &Family) -> Result<String> {
        let token = new_token();
        sqlx::query(BEGIN)
            .bind(self.kept.of(&token))
            .bind(&family.id)
            .bind(&family.email)
            .execute(&self.pool)
            .await?;
        Ok(token)
    }

    /// The next token of the family.
    pub(super) async fn rotate(&self, token: &str) -> Result<Option<(Family, String)>> {
        let next = new_token();
        let family = sqlx::query_as(ROTATE)
            .bind(self.kept.of(token))
            .bind(self.kept.of(&next))
            .fetch_optional(&self.pool)
            .await?;
        if family.is_none() {
            self.end(token).await?;
        }
        Ok(family.map(|family| (family, next)))
    }

    pub(super) async fn end(&self, token: &str) -> Result<()> {
        let end = sqlx::query(END).bind(self.kept.of(token));
        end.execute(&self.pool).await?;
        Ok(())
    }
}

impl Kept {
    fn of(self, token: &str) -> String {
        match self {
            Self::Digest => URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())),
            Self::Token => token.to_owned(),
        }
    }
}

fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(entropy::random::<32>())
}
