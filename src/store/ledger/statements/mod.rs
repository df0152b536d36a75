//! The ledger's statements, one function each. Both databases run them; what
//! differs between the two is written side by side.

pub(super) mod attempts;
pub(super) mod chores;
pub(super) mod exchanges;
pub(super) mod instances;
pub(super) mod links;
pub(super) mod lists;
pub(super) mod log;
pub(super) mod sessions;
pub(super) mod users;

type Result<T> = std::result::Result<T, sqlx::Error>;

macro_rules! user_columns {
    () => {
        "u.id as user_id, u.email, u.name, u.role, u.status, u.created_at"
    };
}

use user_columns;
