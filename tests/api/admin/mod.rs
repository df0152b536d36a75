//! The admins' half of the API.

mod events;
mod gate;
mod last_admin;
mod revoke_sessions;
mod sessions;
mod users;
