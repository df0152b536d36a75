//! `database.*`: the ledger.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::reader::Reader;
use super::values::{count, flag};

#[derive(Clone)]
pub struct Database {
    pub url: String,
    pub max_connections: u32,
    /// Whether to bring the schema up to date at the start.
    pub migrate: bool,
}

const DEFAULT_URL: &str = "sqlite://data/gatelodge.db";

impl Database {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            url: from
                .secret(
                    "database.url",
                    Some(DEFAULT_URL),
                    "The ledger: sqlite://path, or postgres://user:password@host/database",
                    |url| {
                        let is_one = match url.split_once("://") {
                            Some(("postgres" | "postgresql", _)) => Url::parse(url).is_ok(),
                            Some(("sqlite", _)) => true,
                            _ => false,
                        };
                        if is_one {
                            Ok(url.to_owned())
                        } else {
                            Err("postgres://user:password@host/database or sqlite://path"
                                .to_owned())
                        }
                    },
                )
                .unwrap_or_else(|| DEFAULT_URL.to_owned()),
            max_connections: from.value(
                "database.max_connections",
                "10",
                "Connections to the database at once",
                count,
            ),
            migrate: from.value(
                "database.migrate",
                "true",
                "Whether starting brings the schema up to date. false: refuse to start \
                 on an old one",
                flag,
            ),
        }
    }

    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite://")
    }

    /// For people.
    #[must_use]
    pub fn system(&self) -> &'static str {
        if self.is_sqlite() {
            "SQLite"
        } else {
            "PostgreSQL"
        }
    }

    /// The folder of a SQLite database, where all of an embedded instance lies.
    #[must_use]
    pub fn data_directory(&self) -> Option<PathBuf> {
        self.file()?.parent().map(PathBuf::from)
    }

    /// Where a SQLite database is.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite://")?;
        let path = path.split('?').next().unwrap_or_default();
        Some(percent_decode_str(path).decode_utf8_lossy().as_ref().into())
    }
}
