//! The API over HTTP, a file per endpoint or rule.

mod account;
mod change_password;
mod cookie;
mod cost;
mod cross_site;
mod edge;
mod gate;
mod health;
mod instances;
mod lifetime;
mod list_sessions;
mod login;
mod logout;
mod outages;
mod register;
mod revoke_session;
mod revoke_sessions;
mod whoami;
