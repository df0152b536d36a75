//! The admins' half of the API.

pub(in crate::http) mod clear_address_attempts;
pub(in crate::http) mod clear_user_attempts;
pub(in crate::http) mod create_user;
pub(in crate::http) mod delete_user;
pub(in crate::http) mod get_address_attempts;
pub(in crate::http) mod get_session;
pub(in crate::http) mod get_user;
pub(in crate::http) mod get_user_attempts;
pub(in crate::http) mod issue_password_link;
pub(in crate::http) mod list_events;
pub(in crate::http) mod list_sessions;
pub(in crate::http) mod list_user_sessions;
pub(in crate::http) mod list_users;
pub(in crate::http) mod lock_user;
pub(in crate::http) mod revoke_session;
pub(in crate::http) mod revoke_sessions;
pub(in crate::http) mod revoke_user_sessions;
pub(in crate::http) mod set_role;
pub(in crate::http) mod unlock_user;
