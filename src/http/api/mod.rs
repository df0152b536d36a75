//! The API, one file per endpoint.

pub(super) mod admin;
pub(super) mod change_password;
pub(super) mod delete_account;
pub(super) mod exchange;
pub(super) mod health;
pub(super) mod jwks;
pub(super) mod list_revocations;
pub(super) mod list_sessions;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod redeem_password;
pub(super) mod register;
pub(super) mod revoke_session;
pub(super) mod revoke_sessions;
pub(super) mod update_account;
pub(super) mod whoami;
