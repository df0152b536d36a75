//! Users.

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::{Result, user_columns};
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::password::PasswordHash;
use crate::domain::user::{CredentialVersion, Role, Status, UserName};
use crate::store::ledger::NewUser;
use crate::store::ledger::connection::{Link, execute, fetch};
use crate::store::ledger::rows::CredentialsRow;

macro_rules! select_credentials {
    ($rest:literal) => {
        concat!(
            "select ",
            user_columns!(),
            ", u.password_hash, u.credential_version \
             from users u ",
            $rest
        )
    };
}

pub(in crate::store::ledger) async fn credentials_by_email(
    link: Link<'_>,
    email: &Email,
) -> Result<Option<CredentialsRow>> {
    const SQL: &str = select_credentials!("where u.email = $1");
    fetch!(link, fetch_optional::<CredentialsRow>, [SQL, SQL], email)
}

pub(in crate::store::ledger) async fn credentials_by_id(
    link: Link<'_>,
    user: UserId,
) -> Result<Option<CredentialsRow>> {
    const SQL: &str = select_credentials!("where u.id = $1");
    fetch!(link, fetch_optional::<CredentialsRow>, [SQL, SQL], user)
}

/// Holds the user's lock until the transaction ends. (A SQLite transaction
/// holds the lock of the whole database from its beginning.)
pub(in crate::store::ledger) async fn lock_user(
    link: Link<'_>,
    user: UserId,
) -> Result<Option<CredentialsRow>> {
    const POSTGRES: &str = select_credentials!("where u.id = $1 for no key update");
    const SQLITE: &str = select_credentials!("where u.id = $1");
    fetch!(
        link,
        fetch_optional::<CredentialsRow>,
        [POSTGRES, SQLITE],
        user
    )
}

/// Changes no row if the e-mail address is taken.
pub(in crate::store::ledger) async fn insert_user(
    link: Link<'_>,
    NewUser {
        user,
        password_hash,
    }: &NewUser,
) -> Result<u64> {
    execute!(
        link,
        "insert into users (id, email, name, role, status, password_hash, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (email) do nothing",
        user.id,
        &user.email,
        &user.name,
        user.role,
        user.status,
        password_hash.as_ref(),
        user.created_at,
    )
}

/// Inserts those whose e-mail address nobody has: their ids.
pub(in crate::store::ledger) async fn insert_users(
    link: Link<'_>,
    users: &[NewUser],
) -> Result<Vec<UserId>> {
    macro_rules! insert {
        ($database:ty, $connection:ident) => {{
            let mut insert = QueryBuilder::<$database>::new(
                "insert into users (id, email, name, role, status, password_hash, created_at) ",
            );
            insert.push_values(users, |mut row, new| {
                row.push_bind(new.user.id)
                    .push_bind(&new.user.email)
                    .push_bind(&new.user.name)
                    .push_bind(new.user.role)
                    .push_bind(new.user.status)
                    .push_bind(new.password_hash.as_ref())
                    .push_bind(new.user.created_at);
            });
            insert.push(" on conflict (email) do nothing returning id");
            let inserted = insert.build_query_scalar().persistent(false);
            inserted.fetch_all($connection).await
        }};
    }
    if users.is_empty() {
        return Ok(Vec::new());
    }
    match link {
        Link::Postgres(connection) => insert!(Postgres, connection),
        Link::Sqlite(connection) => insert!(Sqlite, connection),
    }
}

/// Those of the addresses that somebody has.
pub(in crate::store::ledger) async fn emails_among(
    link: Link<'_>,
    emails: &[&Email],
) -> Result<Vec<Email>> {
    macro_rules! select {
        ($database:ty, $connection:ident) => {{
            let mut select =
                QueryBuilder::<$database>::new("select email from users where email in (");
            let mut list = select.separated(", ");
            for email in emails {
                list.push_bind(*email);
            }
            select.push(")");
            let found = select.build_query_scalar().persistent(false);
            found.fetch_all($connection).await
        }};
    }
    if emails.is_empty() {
        return Ok(Vec::new());
    }
    match link {
        Link::Postgres(connection) => select!(Postgres, connection),
        Link::Sqlite(connection) => select!(Sqlite, connection),
    }
}

pub(in crate::store::ledger) async fn set_password(
    link: Link<'_>,
    user: UserId,
    hash: &PasswordHash,
) -> Result<u64> {
    execute!(
        link,
        "update users set password_hash = $2, credential_version = credential_version + 1 \
         where id = $1",
        user,
        hash,
    )
}

/// The statement takes the user's lock itself, and looks at the version under it.
pub(in crate::store::ledger) async fn renew_hash(
    link: Link<'_>,
    user: UserId,
    verified: CredentialVersion,
    hash: &PasswordHash,
) -> Result<u64> {
    execute!(
        link,
        "update users set password_hash = $3 where id = $1 and credential_version = $2",
        user,
        verified,
        hash,
    )
}

pub(in crate::store::ledger) async fn set_email(
    link: Link<'_>,
    user: UserId,
    email: &Email,
) -> Result<u64> {
    execute!(
        link,
        "update users set email = $2, credential_version = credential_version + 1 where id = $1",
        user,
        email,
    )
}

pub(in crate::store::ledger) async fn set_name(
    link: Link<'_>,
    user: UserId,
    name: &UserName,
) -> Result<u64> {
    execute!(link, "update users set name = $2 where id = $1", user, name)
}

pub(in crate::store::ledger) async fn set_role(
    link: Link<'_>,
    user: UserId,
    role: Role,
) -> Result<u64> {
    execute!(link, "update users set role = $2 where id = $1", user, role)
}

pub(in crate::store::ledger) async fn set_status(
    link: Link<'_>,
    user: UserId,
    status: Status,
) -> Result<u64> {
    execute!(
        link,
        "update users set status = $2 where id = $1",
        user,
        status
    )
}

pub(in crate::store::ledger) async fn is_admin(link: Link<'_>, user: UserId) -> Result<bool> {
    let role = fetch!(
        link,
        fetch_optional::<(Role,)>,
        "select role from users where id = $1",
        user
    )?;
    Ok(role == Some((Role::Admin,)))
}

/// Taken before any user's lock by whatever may take the last admin away, or
/// make the first.
pub(in crate::store::ledger) async fn lock_roster(link: Link<'_>) -> Result<()> {
    const POSTGRES: &str = "select true from admin_roster for update";
    const SQLITE: &str = "select true from admin_roster";
    fetch!(link, fetch_one::<(bool,)>, [POSTGRES, SQLITE]).map(|_| ())
}

/// Whether there is an admin who can log in, other than `except`.
pub(in crate::store::ledger) async fn has_admin(
    link: Link<'_>,
    except: Option<UserId>,
) -> Result<bool> {
    let admin = fetch!(
        link,
        fetch_optional::<(UserId,)>,
        "select id from users where role = 'admin' and status = 'active' \
         and password_hash is not null and ($1 is null or id <> $1) limit 1",
        except,
    )?;
    Ok(admin.is_some())
}

pub(in crate::store::ledger) async fn delete_user(link: Link<'_>, user: UserId) -> Result<u64> {
    execute!(link, "delete from users where id = $1", user)
}

/// Ends all of a user's sessions, however many there are.
pub(in crate::store::ledger) async fn next_generation(link: Link<'_>, user: UserId) -> Result<u64> {
    execute!(
        link,
        "update users set session_generation = session_generation + 1 where id = $1",
        user,
    )
}
