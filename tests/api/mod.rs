//! The API over HTTP, a file per endpoint or rule.

mod account;
mod admin;
mod cache;
mod change_password;
mod cookie;
mod cost;
mod cross_site;
mod deployments;
mod documents;
mod edge;
mod effect;
mod gate;
mod health;
mod instances;
mod lifetime;
mod list_sessions;
mod login;
mod logout;
mod outages;
mod redeem_password;
mod register;
mod restore;
mod revoke_session;
mod revoke_sessions;
mod setup;
mod whoami;
