//! What a list is asked for: which page, and of which sessions.

use super::body::Fields;
use crate::domain::id::UserId;
use crate::domain::network::Network;
use crate::domain::page::{Cursor, Limit, PageKey, PageOf};
use crate::domain::session::SessionFilter;
use crate::domain::text::Fragment;
use crate::domain::time::Timestamp;

pub(super) fn page_of<Id: PageKey>(
    fields: &mut Fields,
    cursor: Option<&String>,
    limit: Option<&String>,
) -> PageOf<Id> {
    PageOf {
        after: fields.optional("cursor", cursor, Cursor::parse),
        limit: fields
            .optional("limit", limit, Limit::parse)
            .unwrap_or_default(),
    }
}

/// A filter of sessions as a request gives it.
#[derive(Default)]
pub(super) struct Given<'a> {
    pub(super) user_id: Option<&'a String>,
    pub(super) ip: Option<&'a String>,
    pub(super) user_agent: Option<&'a String>,
    pub(super) issued_after: Option<&'a String>,
    pub(super) issued_before: Option<&'a String>,
    pub(super) last_seen_before: Option<&'a String>,
}

pub(super) fn session_filter(fields: &mut Fields, given: &Given) -> SessionFilter {
    let filter = SessionFilter {
        user: fields.optional("user_id", given.user_id, user_id),
        network: fields.optional("ip", given.ip, Network::parse),
        user_agent: fields.optional("user_agent", given.user_agent, Fragment::parse),
        issued_after: fields.optional("issued_after", given.issued_after, Timestamp::parse),
        issued_before: fields.optional("issued_before", given.issued_before, Timestamp::parse),
        last_seen_before: fields.optional(
            "last_seen_before",
            given.last_seen_before,
            Timestamp::parse,
        ),
    };
    if filter.contradicts_itself() {
        fields.refuse(
            "issued_after",
            "leaves no time before the other times of the filter",
        );
    }
    filter
}

pub(super) fn user_id(text: &str) -> Result<UserId, &'static str> {
    text.parse().map_err(|_| "must be the id of a user")
}
