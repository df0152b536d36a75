//! The arrows of `docs/architecture.md`, read off the `use crate::` lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may use. Whatever is not named here may use none.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("entropy", &[]),
    ("clocks", &["domain"]),
    ("feed", &["domain"]),
    (
        "verifier",
        &["verifier", "feed", "domain", "entropy", "clocks"],
    ),
    ("config", &["config", "domain", "entropy"]),
    ("telemetry", &["telemetry", "config", "domain"]),
    ("store", &["store", "domain", "entropy", "telemetry"]),
    (
        "sessions",
        &[
            "sessions",
            "store",
            "domain",
            "entropy",
            "clocks",
            "telemetry",
        ],
    ),
    (
        "accounts",
        &[
            "accounts",
            "sessions",
            "store",
            "domain",
            "entropy",
            "telemetry",
        ],
    ),
    (
        "http",
        &[
            "http",
            "feed",
            "accounts",
            "sessions",
            "store",
            "domain",
            "config",
            "telemetry",
        ],
    ),
    (
        "startup",
        &[
            "http", "accounts", "sessions", "store", "domain", "config", "entropy",
        ],
    ),
    (
        "cli",
        &[
            "cli",
            "startup",
            "http",
            "accounts",
            "sessions",
            "domain",
            "config",
            "telemetry",
        ],
    ),
    ("main", &[]),
    ("lib", &[]),
];

/// Libraries that belong to one place.
const ROOMS: &[(&str, &[&str])] = &[
    ("actix_web", &["http", "startup"]),
    ("actix_http", &["http/server.rs"]),
    ("actix_service", &["http/server.rs"]),
    ("actix_session", &["http"]),
    ("sqlx", &["store/ledger"]),
    ("deadpool", &["store/ledger/pool.rs"]),
    ("deadpool_redis", &["store/redis"]),
    (
        "redis",
        &["store/redis", "store/hot/mod.rs", "store/bus/mod.rs"],
    ),
    ("bcrypt", &["domain/password"]),
    ("blowfish", &["domain/password"]),
    ("argon2", &["domain/password"]),
    ("scrypt", &["domain/password"]),
    ("clap", &["cli"]),
    ("csv", &["cli/import"]),
    ("indicatif", &["cli/progress.rs"]),
    ("utoipa", &["http", "feed.rs"]),
    ("askama", &["http"]),
    ("tracing_subscriber", &["telemetry", "config/log.rs"]),
    ("tracing_opentelemetry", &["telemetry/traces"]),
    ("opentelemetry", &["telemetry/traces"]),
    ("opentelemetry_sdk", &["telemetry/traces"]),
    ("opentelemetry_proto", &["telemetry/traces"]),
    ("ureq", &["telemetry/traces", "verifier"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// The first name after `crate::`, wherever it stands in code.
fn used_modules(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.split("crate::")
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = path
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is not in the table"));
        for used in used_modules(&text) {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_library_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let place = path.to_str().unwrap();
        for (library, rooms) in ROOMS {
            let is_used = text.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with(&format!("use {library}::"))
                    || (!line.starts_with("//") && line.contains(&format!(" {library}::")))
            });
            if is_used && !rooms.iter().any(|room| place.starts_with(room)) {
                wrong.push(format!("{place} uses {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_migration_exists_in_both_dialects() {
    let names = |dialect: &str| -> BTreeSet<_> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(dialect);
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
}

/// What a page says shows that something holds must be there to show it.
#[test]
fn every_test_that_is_named_in_asvs_md_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/asvs.md")).unwrap();
    let named: BTreeSet<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|text| text.split_once(".rs::"))
        .collect();
    assert!(named.len() > 80, "{named:#?}");
    let mut missing = Vec::new();
    for (file, name) in named {
        let text = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        if !text.contains(&format!("fn {name}(")) {
            missing.push(format!("{file}.rs::{name}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
