//! `database.*`: the ledger.

use std::borrow::Cow;
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
const FORMS: &str = "postgres://user:password@host/database or sqlite://path";

/// What PostgreSQL's client takes beside the address. Anything else it passes over, and logs
/// with its value, which may be a secret.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "application_name",
    "options",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
];
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

impl Database {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            url: from
                .secret(
                    "database.url",
                    Some(DEFAULT_URL),
                    "The ledger: sqlite://path, or postgres://user:password@host/database",
                    url,
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
        let (path, _) = path_of_sqlite(self.url.strip_prefix("sqlite://")?);
        Some(path.as_ref().into())
    }
}

fn url(text: &str) -> Result<String, String> {
    let (scheme, place) = text.split_once("://").unwrap_or_default();
    match scheme {
        "postgres" | "postgresql" => look_at_postgres(text),
        "sqlite" => look_at_sqlite(place),
        _ => Err(FORMS.to_owned()),
    }?;
    Ok(text.to_owned())
}

fn look_at_postgres(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| FORMS.to_owned())?;
    for (name, value) in url.query_pairs() {
        if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            return Err(format!("no parameters but {}", PARAMETERS.join(", ")));
        }
        let is_mode = matches!(&*name, "sslmode" | "ssl-mode");
        if is_mode && !SSL_MODES.contains(&&*value.to_ascii_lowercase()) {
            return Err(format!("as sslmode one of {}", SSL_MODES.join(", ")));
        }
    }
    Ok(())
}

/// The path, without its encoding, and the parameters after it.
fn path_of_sqlite(place: &str) -> (Cow<'_, str>, &str) {
    let (path, parameters) = place.split_once('?').unwrap_or((place, ""));
    (percent_decode_str(path).decode_utf8_lossy(), parameters)
}

/// What `SQLite` would take for something else than a path is none.
fn look_at_sqlite(place: &str) -> Result<(), String> {
    let (path, parameters) = path_of_sqlite(place);
    let is_path = !path.is_empty()
        && !path.ends_with('/')
        && !path.starts_with(':')
        && !path.starts_with("file:")
        && !path.contains(['\0', char::REPLACEMENT_CHARACTER]);
    if is_path && matches!(parameters, "" | "mode=rw" | "mode=rwc") {
        Ok(())
    } else {
        Err("sqlite:// and the path of a file, without parameters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_would_pass_over_or_read_otherwise_is_refused() {
        for right in [
            "postgres://gatelodge:secret@db.example.com:5432/gatelodge?sslmode=verify-full",
            "postgresql:///gatelodge?host=/run/postgresql&application_name=gatelodge",
            "postgres://db/gatelodge?options[statement_timeout]=1s&sslrootcert=/etc/ca.pem",
            "sqlite://data/gatelodge.db",
            "sqlite:///srv/my%20data/gatelodge.db?mode=rwc",
        ] {
            assert_eq!(url(right).as_deref(), Ok(right));
        }
        for (wrong, told) in [
            ("mysql://db/gatelodge", "postgres://"),
            ("postgres://db:port/gatelodge", "postgres://"),
            ("postgres://db/gatelodge?sslpassword=hunter2", "sslmode, "),
            ("postgres://db/gatelodge?sslmode=hunter2", "verify-full"),
            (
                "postgres://a/b?target_session_attrs=any",
                "no parameters but",
            ),
            ("sqlite://", "the path of a file"),
            ("sqlite://:memory:", "the path of a file"),
            ("sqlite://file:data/gatelodge.db", "the path of a file"),
            ("sqlite://data/", "the path of a file"),
            ("sqlite://data/%00", "the path of a file"),
            ("sqlite://data/%ff", "the path of a file"),
            ("sqlite://data/gatelodge.db?mode=ro", "the path of a file"),
            (
                "sqlite://data/gatelodge.db?vfs=hunter2",
                "the path of a file",
            ),
        ] {
            let right = url(wrong).unwrap_err();
            assert!(right.contains(told), "{wrong}: {right}");
            assert!(!right.contains("hunter2"), "{right}");
        }
    }
}
