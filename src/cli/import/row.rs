//! What a row says of a user.

use crate::accounts::{ImportedUser, NewAccount};
use crate::domain::email::Email;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, Status, UserName};

macro_rules! columns {
    ($($column:ident = $name:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Column {
            $($column),*
        }

        impl Column {
            pub(super) const ALL: &[Self] = &[$(Self::$column),*];
            pub(super) const NAMES: &[&str] = &[$($name),*];

            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$column => $name),*
                }
            }
        }
    };
}

columns! {
    Email = "email",
    Name = "name",
    Role = "role",
    Status = "status",
    PasswordHash = "password_hash",
    CreatedAt = "created_at",
    // What a report adds. It says nothing of the user.
    Line = "line",
    Reason = "reason",
}

impl Column {
    /// # Errors
    /// Says what there is; `unnamed`, of what is hardly a name.
    pub(super) fn parse(name: &str, unnamed: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter().copied();
        all.find(|column| column.as_str() == name).ok_or_else(|| {
            let what = if is_like_a_name(name) {
                format!("there is no column {name:?}")
            } else {
                unnamed.to_owned()
            };
            format!("{what}: there are email, name, role, status, password_hash and created_at")
        })
    }
}

/// Of a file without a line of names, values stand in their place: they are not shown.
fn is_like_a_name(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))
}

/// A row's values as they were read; none is empty.
#[derive(Default)]
pub(super) struct Values(Vec<(Column, String)>);

impl Values {
    pub(super) fn put(&mut self, column: Column, value: String) {
        if !value.is_empty() {
            self.0.push((column, value));
        }
    }

    pub(super) fn get(&self, column: Column) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == column);
        found.map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// Says what is wrong, and nothing of a hash.
    pub(super) fn parse(&self) -> Result<ImportedUser, String> {
        Ok(ImportedUser {
            account: NewAccount {
                email: self.required(Column::Email, Email::parse)?,
                name: self.required(Column::Name, UserName::parse)?,
                role: self
                    .optional(Column::Role, Role::parse)?
                    .unwrap_or(Role::User),
            },
            status: self
                .optional(Column::Status, Status::parse)?
                .unwrap_or(Status::Active),
            password_hash: self.optional(Column::PasswordHash, PasswordHash::import)?,
            created_at: self.optional(Column::CreatedAt, Timestamp::parse)?,
        })
    }

    fn required<T, E: std::fmt::Display>(
        &self,
        column: Column,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, String> {
        let value = self.optional(column, parse)?;
        value.ok_or_else(|| format!("{} is missing", column.as_str()))
    }

    fn optional<T, E: std::fmt::Display>(
        &self,
        column: Column,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, String> {
        let parsed = self.get(column).map(parse).transpose();
        parsed.map_err(|error| format!("{} {error}", column.as_str()))
    }
}
