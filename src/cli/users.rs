//! `gatelodge users`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::consent::{Answer, Consent};
use super::print::{print, print_json, print_table};
use super::progress::Voice;
use super::{effect, import, password};
use crate::accounts::{self, IssuedLink, NewAccount};
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::page::{Limit, PageOf};
use crate::domain::password::Owner;
use crate::domain::text::Fragment;
use crate::domain::user::{Role, Status, User, UserName};
use crate::http::UserView;
use crate::startup::Operator;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a user
    ///
    /// The password is asked for twice on a terminal, and otherwise read from the
    /// first line of standard input.
    Create(Create),
    /// Create many users, from a CSV file or JSON lines of another system
    ///
    /// The columns are email, name, role (user or admin), status (active or locked),
    /// `password_hash` and `created_at` (RFC 3339). email and name are required. Users
    /// without a `password_hash` set one through a link (`users password-link`). Hashes are
    /// taken as `users create --password-hash` takes them.
    ///
    /// Users who are there already, by e-mail address, are left as they are. So an import
    /// that was interrupted is run again as it was, and goes on. It keeps the addresses of the file in memory.
    Import(import::Import),
    /// List users, the newest first
    List {
        /// Those in whose name or e-mail address this is found
        #[arg(long, value_parser = Fragment::parse)]
        search: Option<Fragment>,
        /// As JSON, like the API
        #[arg(long)]
        json: bool,
    },
    /// Lock an account, and end its sessions at once
    Lock(Whom),
    /// Unlock an account; its sessions stay ended
    Unlock(Whom),
    /// Forget wrong passwords at an account, so that its user can try again at once
    ClearAttempts(Whom),
    /// Make somebody an admin, or no longer one
    SetRole {
        #[command(flatten)]
        whom: Whom,
        /// user or admin
        #[arg(value_parser = Role::parse)]
        role: Role,
    },
    /// Print a link by which a user sets a new password, once, within an hour
    PasswordLink(Whom),
    /// Delete a user, and end their sessions
    Delete {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Args)]
pub(super) struct Create {
    /// What the user logs in with
    #[arg(long, value_parser = Email::parse)]
    email: Email,
    /// What the user is called
    #[arg(long, value_parser = UserName::parse)]
    name: UserName,
    /// user or admin
    #[arg(long, default_value = "user", value_parser = Role::parse)]
    role: Role,
    /// Ask for no password: print a link by which the user sets one
    #[arg(long)]
    invite: bool,
    /// Read no password but the hash of one, as another system has stored it
    ///
    /// bcrypt, Argon2, scrypt, or PBKDF2 as Django writes it. The user's next log-in
    /// replaces it.
    #[arg(long, conflicts_with = "invite")]
    password_hash: bool,
}

#[derive(Args)]
pub(super) struct Whom {
    /// The user's e-mail address or id
    user: String,
}

pub(super) async fn run(command: Command, operator: &Operator, voice: Voice) -> anyhow::Result<()> {
    let act = operator.sessions.operators_act();
    let accounts = &operator.accounts;
    match command {
        Command::Create(new) => create(new, operator).await,
        Command::Import(asked) => import::run(asked, operator, voice).await,
        Command::List { search, json } => list(search.as_ref(), json, operator).await,
        Command::Lock(whom) => {
            let user = find(operator, &whom.user).await?;
            let user = accounts.set_status(user.id, Status::Locked, act).await?;
            done(&user, "is locked")?;
            effect::wait(operator).await
        }
        Command::Unlock(whom) => {
            let user = find(operator, &whom.user).await?;
            let user = accounts.set_status(user.id, Status::Active, act).await?;
            done(&user, "is unlocked")
        }
        Command::ClearAttempts(whom) => {
            let user = find(operator, &whom.user).await?;
            accounts.clear_attempts_at(user.id, act).await?;
            done(&user, "can try again")
        }
        Command::SetRole { whom, role } => {
            let user = find(operator, &whom.user).await?;
            let user = accounts.set_role(user.id, role, act).await?;
            done(&user, &format!("has the role {}", role.as_str()))?;
            effect::wait(operator).await
        }
        Command::PasswordLink(whom) => {
            let user = find(operator, &whom.user).await?;
            let link = accounts.issue_password_link(user.id, act).await?;
            print_link(operator, &link)
        }
        Command::Delete { whom, consent } => {
            let user = find(operator, &whom.user).await?;
            let question = format!(
                "Delete {} ({}) and end their sessions?",
                user.email, user.id
            );
            if consent.ask(&question)? == Answer::No {
                return print("deleted nobody");
            }
            let user = accounts.delete_user(user.id, act).await?;
            done(&user, "is deleted")?;
            effect::wait(operator).await
        }
    }
}

async fn create(new: Create, operator: &Operator) -> anyhow::Result<()> {
    let account = NewAccount {
        email: new.email,
        name: new.name,
        role: new.role,
    };
    let (accounts, sessions) = (&operator.accounts, &operator.sessions);
    if new.invite {
        let act = sessions.operators_act();
        let created = accounts.invite(account, act).await?;
        done(&created.user, "is invited")?;
        print_link(operator, &created.invitation)
    } else if new.password_hash {
        let hash = password::read_hash()?;
        let act = sessions.operators_act();
        let user = accounts.import_user(account, hash, act).await?;
        done(&user, "is created")
    } else {
        let owner = Owner {
            name: Some(&account.name),
            email: Some(&account.email),
        };
        let password = password::read_new(&operator.password_policy, owner)?;
        let act = sessions.operators_act();
        let user = accounts.create_user(account, password, act).await?;
        done(&user, "is created")
    }
}

async fn list(search: Option<&Fragment>, json: bool, operator: &Operator) -> anyhow::Result<()> {
    let (mut users, mut page) = (Vec::new(), PageOf::first(Limit::MAX));
    loop {
        let found = operator.accounts.list_users(search, page).await?;
        users.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    if json {
        let users: Vec<_> = users.iter().map(UserView::from).collect();
        return print_json(&json!({ "users": users }));
    }
    let row = |user: &User| {
        [
            user.id.to_string(),
            user.email.to_string(),
            user.role.as_str().to_owned(),
            user.status.as_str().to_owned(),
            user.created_at.to_string(),
            user.name.to_string(),
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    print_table(["ID", "EMAIL", "ROLE", "STATUS", "CREATED", "NAME"], &rows)
}

/// The user of that id or e-mail address.
pub(super) async fn find(operator: &Operator, whom: &str) -> anyhow::Result<User> {
    let found = if let Ok(id) = whom.parse() {
        operator.accounts.user(id).await
    } else {
        let email = Email::parse(whom)
            .map_err(|_| anyhow::anyhow!("{whom:?} is no e-mail address and no user's id"))?;
        operator.accounts.user_by_email(&email).await
    };
    match found {
        Err(accounts::Error::NotFound) => anyhow::bail!("there is no user {whom:?}"),
        found => Ok(found?),
    }
}

/// The id, of a user who may be deleted by now, or that of whose e-mail address it is.
pub(super) async fn id_of(operator: &Operator, whom: &str) -> anyhow::Result<UserId> {
    match whom.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(operator, whom).await?.id),
    }
}

fn done(user: &User, what: &str) -> anyhow::Result<()> {
    print(&format!("{} ({}) {what}", user.email, user.id))
}

fn print_link(operator: &Operator, link: &IssuedLink) -> anyhow::Result<()> {
    print(&format!(
        "{}\n(works once, until {})",
        operator.links.password(&link.token),
        link.expires_at
    ))
}
