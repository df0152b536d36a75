//! What the program says of its configuration.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use gatelodge::config::Settings;
use gatelodge::startup::generate_key;

use super::{command, outcome, run};
use crate::support::certificates::Authority;
use crate::support::jwt::private_key;

#[test]
fn a_file_that_cannot_be_read_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "DATABASE_URL='postgres://u:hunter2@host/x\n",
    )
    .unwrap();
    let dotenv = run(folder.path(), &["serve"]);
    std::fs::remove_file(folder.path().join(".env")).unwrap();
    std::fs::write(
        folder.path().join("gatelodge.toml"),
        "[database]\nurl = \"postgres://u:hunter2@host/x\n",
    )
    .unwrap();
    let toml = run(folder.path(), &["serve"]);
    for refused in [dotenv, toml] {
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(
            error.contains(".env: assignment 1") || error.contains("line 2"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_dotenv_file_is_read_in_its_own_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "GATELODGE_PASSWORD__BCRYPT_COST=99\n",
    )
    .unwrap();
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let serve = |folder: &Path| {
        let mut command = command(folder);
        outcome(
            command
                .env_remove("GATELODGE_PASSWORD__BCRYPT_COST")
                .arg("migrate"),
        )
    };
    assert_eq!(serve(folder.path()).status.code(), Some(1));
    assert_eq!(serve(&below).status.code(), Some(0));
}

/// Without what they say, the service would begin with an empty database.
#[test]
fn what_cannot_be_read_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let told = |command: &mut Command| {
        let refused = outcome(command.args(["config", "check"]));
        assert_eq!(refused.status.code(), Some(1));
        String::from_utf8(refused.stderr).unwrap()
    };
    let not_text = OsStr::from_bytes(b"sqlite://hunter2\xff");
    let mut of_the_environment = command(folder.path());
    let error = told(of_the_environment.env("DATABASE_URL", not_text));
    assert!(error.contains("DATABASE_URL is not UTF-8"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let dotenv = folder.path().join(".env");
    std::fs::write(&dotenv, b"A=\xff\n").unwrap();
    let error = told(&mut command(folder.path()));
    assert!(error.contains(".env cannot be read: "), "{error}");
    std::fs::remove_file(&dotenv).unwrap();
    std::fs::create_dir(&dotenv).unwrap();
    let error = told(&mut command(folder.path()));
    assert!(error.contains(".env cannot be read: "), "{error}");
    std::fs::remove_dir(&dotenv).unwrap();
    for name in [".env", "gatelodge.toml"] {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let error = told(&mut command(folder.path()));
        assert!(error.contains(name), "{error}");
        std::fs::remove_file(link).unwrap();
    }
    let mut of_others = command(folder.path());
    let checked = of_others.env("OTHER", not_text).args(["config", "check"]);
    assert_eq!(outcome(checked).status.code(), Some(0));
}

/// Where SQLite opens it, and where its folder and the key are made.
#[test]
fn a_path_of_sqlite_is_read_without_its_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let mut migrate = command(folder.path());
    migrate.env("DATABASE_URL", "sqlite://my%20data/g.db?mode=rwc");
    let migrated = outcome(migrate.arg("migrate"));
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    assert!(folder.path().join("my data/g.db").exists());
    let made = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(made.count(), 1, "one folder is made");
}

/// Something wrong in every section, and between them.
const MISTAKEN: &str = r#"
bootstrap_admin_email = "ada"
bootstrap_admin_password = "hunter2"
cookie.domain = "example.com"
authz.allowed_return_origins = ["https://app", "https://app.example.org"]
authz.rules = [{ path = "" }, { require = "root", hosts = "a" }]
cors.allowed_origins = ["*"]
database.url = "postgres://u:hunter2@host:port/x"
metrics.bind = "0.0.0.0:8080"
nonsense.x = 1
redis.ca_file = "missing.pem"
redis.url = "redis://:hunter2@host"
revocations.credentials = ["hunter2"]
revocations.credentials_file = "hunter2"
secrets.keys = ["c2VjcmV0"]
server.bind = "127.0.0.1:8080"
server.public_url = "https://auth.example.net"
session.idle_timeout = "48h"
session.lease = "9s"
session.poll_interval = "6s"
session.remember_lifetime = "30"
[exchange]
issuer = "https://auth.example.net"
secret = "hunter2"
jwks_file = "{\"keys\":[{\"k\":\"hunter2\"}]}"
user_claim = "uid"
email_claim = "mail"
[tokens]
es256_keys_file = "es256.pem"
[[tokens.templates]]
name = "a"
audience = ""
algorithm = "RS256"
lifetime = "1h"
[[tokens.templates]]
name = "a"
claims = ["sub"]
"#;

/// What is said of it.
const TOLD: &[&str] = &[
    "database.url is not usable; it takes postgres://user:password@host/database or \
     sqlite://path",
    "redis.ca_file is \"missing.pem\"; it takes the path of a file with \
     certificates in PEM (No such file or directory (os error 2))",
    "secrets.keys is not usable; it takes 64 random bytes in base64, as `gatelodge \
     keys generate` prints (a key is 64 bytes long; this one has 6)",
    "session.remember_lifetime is \"30\"; it takes a duration such as 250ms, 30s, \
     15m, 24h or 30d",
    "session.lease is longer than 5s, for which a revocation is promised to hold",
    "session.poll_interval is more than half of session.lease",
    "session.idle_timeout is longer than session.lifetime",
    "password.bcrypt_cost is \"99\"; it takes a whole number from 4 to 16",
    "exchange.secret is not usable; it takes 32 bytes at least (RFC 7518, 3.2)",
    "exchange.jwks_file is not usable; it takes the path of a JWK Set (RFC 7517) \
     with a key for EdDSA, ES256, RS256 or HS256 (No such file or directory (os \
     error 2))",
    "exchange.audience is missing: set it, or leave out exchange.issuer, \
     exchange.secret, exchange.jwks_file, exchange.user_claim, exchange.email_claim",
    "exchange.secret and exchange.jwks_file are both set; leave one out",
    "exchange.user_claim and exchange.email_claim are both set; leave one out",
    "cors.allowed_origins is \"*\"; it takes exact origins such as \
     https://app.example.com, without a path and without *, each https:// but on \
     localhost",
    "authz.rules 1: require is missing; it takes nobody, anyone, user or admin",
    "authz.rules 1: path is empty; leave it out if any will do",
    "authz.rules 2: require is \"root\"; it takes nobody, anyone, user or admin",
    "authz.rules 2: hosts is not a key",
    "tokens.templates 1: audience is missing; it takes a URL such as \
     https://orders.example.com, or a name without colons and spaces",
    "tokens.templates 1: lifetime is \"1h\"; it takes a duration from 10s to 15m",
    "tokens.templates 2: audience is missing; it takes a URL such as \
     https://orders.example.com, or a name without colons and spaces",
    "tokens.templates 2: claims is \"sub\"; it takes email, name or auth_time",
    "tokens.es256_keys_file is \"es256.pem\"; it takes the path of a file of \
     private keys, PKCS#8 in PEM (key 1 must be a private key on the curve P-256; \
     key 2 must be a private key on the curve P-256)",
    "tokens.templates has two of the name \"a\"",
    "tokens.rs256_keys_file is missing; tokens.templates has one whose algorithm is \
     RS256",
    "bootstrap_admin_email is \"ada\"; it takes an e-mail address: it must be an \
     e-mail address such as name@example.com",
    "bootstrap_admin_password is not usable: it must be at least 15 characters \
     long; a few words make a good one",
    "revocations.credentials and revocations.credentials_file are both set; leave \
     one out",
    "revocations.credentials_file is not usable: No such file or directory (os \
     error 2)",
    "revocations.credentials is not usable; it takes at least 32 letters, digits \
     and -._~+/ (= at the end), such as `openssl rand -hex 32` prints",
    "redis.ca_file is set, but redis.url has no TLS: begin it with rediss, or leave \
     redis.ca_file out",
    "exchange.issuer is that of the JWTs that are minted here (tokens.issuer, or \
     the origin of server.public_url): it is for another system's",
    "metrics.bind is where server.bind is: strangers must not reach it, so give it \
     another port",
    "cookie.domain is \"example.com\", to which the host of server.public_url, \
     \"auth.example.net\", does not belong",
    "authz.allowed_return_origins has \"https://app\", to which browsers do not \
     send the session's cookie: set cookie.domain to a domain that it shares with \
     server.public_url",
    "authz.allowed_return_origins has \"https://app.example.org\", to which \
     browsers do not send the session's cookie: set cookie.domain to a domain that \
     it shares with server.public_url",
    "nonsense.x is not a key",
    "sesion.lease is not a key",
];

/// None waits for another to be mended.
#[test]
fn all_mistakes_in_the_configuration_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let rsa = private_key("RS256");
    std::fs::write(path("es256.pem"), format!("{rsa}{rsa}")).unwrap();
    std::fs::write(path("gatelodge.toml"), MISTAKEN).unwrap();
    let mut check = command(folder.path());
    check
        .env_remove("GATELODGE_SERVER__BIND")
        .env("GATELODGE_PASSWORD__BCRYPT_COST", "99")
        .env("GATELODGE_SESION__LEASE", "1s");
    let output = outcome(check.args(["config", "check"]));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let told: Vec<_> = error.lines().skip(1).map(str::trim).collect();
    assert_eq!(told, TOLD);
    assert!(!error.contains("hunter2") && !error.contains("c2VjcmV0"));
    assert!(!error.contains(rsa.lines().nth(1).unwrap()));
}

/// Nor are mistakes told that may be none once these are mended.
#[test]
fn where_everything_is_wrong_each_key_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = command(folder.path());
    let known = Settings::keys();
    check.envs(known.iter().map(|known| (known.variable(), "\u{200b}=[")));
    let error = outcome(check.args(["config", "check"])).stderr;
    let error = String::from_utf8(error).unwrap();
    let told = error.lines().skip(1);
    let mut told: Vec<_> = told
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut keys: Vec<_> = known.iter().map(|known| known.key).collect();
    // Of these two there may be one, right or wrong.
    keys.extend(["exchange.secret", "exchange.user_claim"]);
    // Whether this is long enough cannot be said yet.
    keys.retain(|key| *key != "bootstrap_admin_password");
    told.sort_unstable();
    keys.sort_unstable();
    assert_eq!(told, keys, "{error}");
}

#[test]
fn sections_are_held_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let error = |variables: &[(&str, &str)]| {
        let output = outcome(command(folder.path()).envs(variables.iter().copied()));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = error(&[("DATABASE_URL", "postgres://localhost/x")]);
    assert!(missing.contains("secrets.keys is missing"), "{missing}");
    let redis = error(&[("REDIS_URL", "redis://localhost")]);
    assert!(
        redis.contains("redis.url is set, but database.url is SQLite"),
        "{redis}"
    );
    let password = error(&[("DATABASE_URL", "mysql://root:hunter2@localhost/x")]);
    assert!(
        password.contains("database.url is not usable"),
        "{password}"
    );
    assert!(!password.contains("hunter2"), "{password}");
    let origin = error(&[
        ("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com"),
        (
            "GATELODGE_AUTHZ__ALLOWED_RETURN_ORIGINS",
            "https://auth.example.com:8443,https://app.example.com",
        ),
    ]);
    assert!(
        origin.contains("authz.allowed_return_origins has \"https://app.example.com\"")
            && !origin.contains("8443"),
        "{origin}"
    );
}

#[test]
fn what_is_wrong_with_redis_is_told_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let right = folder.path().join("ca.pem");
    std::fs::write(&right, Authority::new().pem).unwrap();
    for (url, ca, mistake) in [
        (
            "redis+sentinel://u:hunter2@host",
            None,
            "redis.url is not usable; it takes redis+sentinel://user:password@host:port,\
             host:port/master-name",
        ),
        (
            "redis://u:hunter2@host:port",
            None,
            "redis.url is not usable; it takes redis://user:password@host:port",
        ),
        (
            "rediss://u:hunter2@host",
            Some(empty.as_path()),
            "it takes the path of a file with certificates in PEM (there is none in this one)",
        ),
        (
            "rediss://u:hunter2@host",
            Some(Path::new("missing.pem")),
            "redis.ca_file is \"missing.pem\"; it takes the path of a file",
        ),
        (
            "rediss://u:hunter2@host",
            Some(Path::new("/dev/zero")),
            "certificates in PEM (is no file, or longer than 1 MiB)",
        ),
        (
            "redis://u:hunter2@host",
            Some(right.as_path()),
            "redis.ca_file is set, but redis.url has no TLS: begin it with rediss",
        ),
    ] {
        let mut check = command(folder.path());
        check
            .env("DATABASE_URL", "postgres://localhost/x")
            .env("REDIS_URL", url)
            .args(["config", "check"]);
        if let Some(ca) = ca {
            check.env("GATELODGE_REDIS__CA_FILE", ca);
        }
        let error = String::from_utf8(outcome(&mut check).stderr).unwrap();
        assert!(error.contains(mistake), "{mistake}\n{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn mistakes_in_rules_are_told_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str| {
        std::fs::write(folder.path().join("gatelodge.toml"), file).unwrap();
        let output = run(folder.path(), &["config", "check"]);
        String::from_utf8(output.stderr).unwrap()
    };
    let right = "[authz]\nheader_style = \"x-auth-request\"\n\
                 allowed_return_origins = [\"https://app.example.com\"]\n\
                 [[authz.rules]]\nhost = \"*.example.com\"\npath = \"/a%20b/\"\n\
                 methods = [\"GET\", \"POST\"]\nrequire = \"anyone\"\n\
                 [[authz.rules]]\nrequire = \"nobody\"\n";
    assert_eq!(check(right), "");
    for (rule, mistake) in [
        (
            "host = \"a\"",
            "require is missing; it takes nobody, anyone, user or admin",
        ),
        (
            "require = \"root\"",
            "require is \"root\"; it takes nobody, anyone, user or admin",
        ),
        (
            "host = \"https://a\"",
            "host is \"https://a\"; it takes a host such as app.example.com",
        ),
        (
            "host = \"app.example.com:8443\"",
            "host is \"app.example.com:8443\"; it takes a host such as app.example.com, or \
             *.example.com, without a port",
        ),
        (
            "path = \"/admin/*\"",
            "path is \"/admin/*\"; it takes a path such as /admin/",
        ),
        (
            "path = \"/admin?x=1\"",
            "path is \"/admin?x=1\"; it takes a path such as /admin/",
        ),
        (
            "host = \"a.*\"",
            "host is \"a.*\"; it takes a host such as app.example.com",
        ),
        ("host = \"\"", "host is empty; leave it out if any will do"),
        (
            "path = \"admin\"",
            "path is \"admin\"; it takes a path such as /admin/",
        ),
        (
            "path = \"/a/../b\"",
            "path is \"/a/../b\"; it takes a path such as /admin/",
        ),
        ("path = 5", "path is \"5\"; it takes a path such as /admin/"),
        (
            "methods = [\"get\"]",
            "methods is \"get\"; it takes methods in capital letters",
        ),
        (
            "methods = []",
            "methods is empty; leave it out if any will do",
        ),
        (
            "methods = [{ a = 1 }]",
            "methods is a table; it takes a list of values",
        ),
        (
            "methods = [[\"GET\"]]",
            "methods is \"\\\"GET, \\\"\"; it takes methods in capital letters",
        ),
        ("hosts = \"a\"", "hosts is not a key"),
        ("a.b = 1", "a.b is not a key"),
    ] {
        let file = format!("[[authz.rules]]\nrequire = \"user\"\n[[authz.rules]]\n{rule}\n");
        let error = check(&file);
        let expected = format!("authz.rules 2: {mistake}");
        assert!(error.contains(&expected), "{expected}\n{error}");
    }
    for (file, mistake) in [
        (
            "authz.rules = \"user\"",
            "authz.rules is no table; it takes [[authz.rules]] in the file",
        ),
        (
            "authz.rules = [\"user\"]",
            "authz.rules is no table; it takes [[authz.rules]] in the file",
        ),
        (
            "authz.rules.require = \"user\"",
            "authz.rules.require is not a key",
        ),
        (
            "authz.header_style = \"x\"",
            "authz.header_style is \"x\"; it takes remote or x-auth-request",
        ),
        (
            "authz.allowed_return_origins = [\"https://a/b\"]",
            "authz.allowed_return_origins is \"https://a/b\"; it takes origins such as \
             https://app.example.com, without a path",
        ),
    ] {
        let error = check(file);
        assert!(error.contains(mistake), "{mistake}\n{error}");
    }
}

/// Whoever is on that list acts with everybody's session.
#[test]
fn origins_of_cors_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let check = |origin: &str| {
        let file = format!("[cors]\nallowed_origins = [\"{origin}\"]\n");
        std::fs::write(folder.path().join("gatelodge.toml"), file).unwrap();
        let output = run(folder.path(), &["config", "check"]);
        String::from_utf8(output.stderr).unwrap()
    };
    for right in [
        "https://app.example.com",
        "https://app.example.com:8443",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
    ] {
        assert_eq!(check(right), "");
    }
    for wrong in [
        "*",
        "null",
        "app.example.com",
        "https://*.example.com",
        "https://app.example.com/path",
        "https://app.example.com?a",
        "https://user@app.example.com",
        "http://app.example.com",
        "file:///tmp",
        "https://",
    ] {
        let mistake = format!(
            "cors.allowed_origins is \"{wrong}\"; it takes exact origins such as \
             https://app.example.com, without a path and without *, each https:// but on localhost"
        );
        let error = check(wrong);
        assert!(error.contains(&mistake), "{mistake}\n{error}");
    }
}

/// What `config check` says of `exchange.*`, which must not be what is secret in it.
fn told_of_exchange(folder: &Path, settings: &[(&str, &str)]) -> String {
    let mut check = command(folder);
    for (name, value) in settings {
        check.env(format!("GATELODGE_EXCHANGE__{name}"), value);
    }
    let error = outcome(check.args(["config", "check"])).stderr;
    let error = String::from_utf8(error).unwrap();
    assert!(
        !error.contains("hunter2") && !error.contains("aHVudGVyMg"),
        "{error}"
    );
    error
}

#[test]
fn the_system_that_is_left_is_described_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let secret = "hunter2 hunter2 hunter2 hunter2!";
    let set = r#"{"keys":[{"kty":"oct","k":"aHVudGVyMiBodW50ZXIyIGh1bnRlcjIgaHVudGVyMiE"}]}"#;
    let (set, secret_file) = (file("set.json", set), file("secret", secret));
    let issuer = ("ISSUER", "https://old.example.com");
    let audience = ("AUDIENCE", "shop");
    for right in [
        vec![],
        vec![issuer, audience, ("SECRET", secret)],
        vec![issuer, audience, ("SECRET_FILE", &secret_file)],
        vec![issuer, audience, ("JWKS_FILE", &set), ("USER_CLAIM", "uid")],
        vec![
            issuer,
            audience,
            ("JWKS_FILE", &set),
            ("EMAIL_CLAIM", "email"),
        ],
    ] {
        assert_eq!(told_of_exchange(folder.path(), &right), "");
    }
    for (wrong, mistakes) in [
        (
            vec![issuer],
            vec![
                "exchange.audience is missing: set it, or leave out exchange.issuer",
                "exchange.secret is missing: set it or exchange.jwks_file, or leave out \
                 exchange.issuer",
            ],
        ),
        (
            vec![
                audience,
                ("SECRET_FILE", &secret_file),
                ("USER_CLAIM", "uid"),
                ("EMAIL_CLAIM", "email"),
            ],
            vec![
                "exchange.issuer is missing: set it, or leave out exchange.audience, \
                 exchange.secret, exchange.user_claim, exchange.email_claim",
                "exchange.user_claim and exchange.email_claim are both set; leave one out",
            ],
        ),
        (
            vec![("JWKS_FILE", &set)],
            vec![
                "exchange.issuer is missing: set it, or leave out exchange.jwks_file",
                "exchange.audience is missing: set it, or leave out exchange.jwks_file",
            ],
        ),
        (
            vec![
                issuer,
                audience,
                ("SECRET", secret),
                ("USER_CLAIM", "sub"),
                ("EMAIL_CLAIM", "email"),
            ],
            vec!["exchange.user_claim and exchange.email_claim are both set; leave one out"],
        ),
        (
            vec![
                ("ISSUER", "http://localhost:8080"),
                audience,
                ("SECRET", secret),
            ],
            vec!["exchange.issuer is that of the JWTs that are minted here"],
        ),
        (
            vec![issuer, audience, ("SECRET", secret), ("JWKS_FILE", &set)],
            vec!["exchange.secret and exchange.jwks_file are both set; leave one out"],
        ),
        (
            vec![issuer, audience, ("SECRET", &secret[1..])],
            vec!["exchange.secret is not usable; it takes 32 bytes at least (RFC 7518, 3.2)"],
        ),
        (
            vec![
                ("ISSUER", "https://old\u{200b}.example.com"),
                audience,
                ("JWKS_FILE", &set),
            ],
            vec!["it takes text on one line, exactly as in the JWT"],
        ),
    ] {
        let error = told_of_exchange(folder.path(), &wrong);
        for mistake in &mistakes {
            assert!(error.contains(mistake), "{mistake}\n{error}");
        }
        assert_eq!(error.matches("\n  ").count(), mistakes.len(), "{error}");
    }
}

#[test]
fn a_key_set_of_the_system_that_is_left_is_one_of_use() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let useless =
        r#"{"keys":[{"kty":"oct","k":"aHVudGVyMg"},{"kty":"RSA","n":"aHVudGVyMg","e":"AQAB"}]}"#;
    let (useless, no_set) = (file("useless.json", useless), file("no.json", "hunter2"));
    let alike = r#"{"keys":[{"kid":"a","kty":"oct","k":"aHVudGVyMiBodW50ZXIyIGh1bnRlcjIgaHVudGVyMiE"},
        {"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let alike = file("alike.json", alike);
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let pipe = pipe.display().to_string();
    for (set, mistake) in [
        (
            "missing.json",
            "exchange.jwks_file is not usable; it takes the path of a JWK Set",
        ),
        (&*no_set, "HS256 (this is none)"),
        (&useless, "HS256 (there is none in this one)"),
        (&alike, "HS256 (two in this one have the same kid, or none)"),
        (&pipe, "HS256 (is no file, or longer than 1 MiB)"),
    ] {
        let settings = [
            ("ISSUER", "https://old.example.com"),
            ("AUDIENCE", "shop"),
            ("JWKS_FILE", set),
        ];
        let error = told_of_exchange(folder.path(), &settings);
        assert!(error.contains(mistake), "{mistake}\n{error}");
        assert_eq!(error.matches("\n  ").count(), 1, "{error}");
    }
}

/// After a change that is meant, `gatelodge config env > .env.example`, and likewise each
/// of the others into its file.
#[test]
fn what_is_documented_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (command, file) in [
        ("env", ".env.example"),
        ("reference", "docs/configuration.md"),
        ("metrics", "docs/metrics.md"),
        ("commands", "docs/commands.md"),
        ("problems", "docs/problems.md"),
    ] {
        let printed = run(folder.path(), &["config", command]).stdout;
        let written = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let written = std::fs::read_to_string(written).unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), written, "{file}");
    }
}

#[test]
fn metrics_are_not_told_where_the_service_is() {
    let folder = tempfile::tempdir().unwrap();
    let check = |metrics: &str| {
        let mut command = command(folder.path());
        command
            .env("GATELODGE_SERVER__BIND", "127.0.0.1:8080")
            .env("GATELODGE_METRICS__BIND", metrics);
        outcome(command.args(["config", "check"]))
    };
    for wrong in ["127.0.0.1:8080", "0.0.0.0:8080", "nowhere"] {
        let refused = check(wrong);
        assert_eq!(refused.status.code(), Some(1), "{wrong}");
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains("metrics.bind is "), "{error}");
    }
    for right in ["127.0.0.1:9100", "127.0.0.2:8080", "[::1]:8080"] {
        assert_eq!(check(right).status.code(), Some(0), "{right}");
    }
}

#[test]
fn a_configuration_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let right = run(folder.path(), &["config", "check"]);
    assert_eq!(right.status.code(), Some(0));
    assert!(
        !folder.path().join("data").exists(),
        "looking changes nothing"
    );
    let wrong = outcome(
        command(folder.path())
            .env("GATELODGE_SERVER__BIND", "nowhere")
            .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", "root@example.com")
            .env("GATELODGE_AUDIT__RETENTION", "forever")
            .args(["config", "check"]),
    );
    assert_eq!(wrong.status.code(), Some(1));
    let error = String::from_utf8(wrong.stderr).unwrap();
    for mistake in [
        "server.bind is \"nowhere\"; it takes an address and a port",
        "bootstrap_admin_password is missing",
        "audit.retention is \"forever\"; it takes a duration",
    ] {
        assert!(error.contains(mistake), "{mistake}\n{error}");
    }
}

#[test]
fn the_first_admins_password_must_be_one_a_user_could_choose() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let refused = outcome(
        command(folder.path())
            .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", "root@example.com")
            .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD_FILE", &file)
            .args(["config", "check"]),
    );
    let error = String::from_utf8(refused.stderr).unwrap();
    let expected = "bootstrap_admin_password is not usable: it must be at least 15 characters";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn weak_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [
        "short".to_owned(),
        "A".repeat(86) + "==",
        "QUFB".repeat(21) + "QQ==",
    ];
    for key in keys {
        let refused = outcome(
            command(folder.path())
                .env("GATELODGE_SECRETS__KEYS", &key)
                .args(["config", "check"]),
        );
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains("secrets.keys is not usable"), "{error}");
        assert!(!error.contains(&key), "{error}");
    }
}

#[test]
fn a_file_of_keys_has_some_and_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let key = generate_key();
    for (content, mistake) in [
        (String::new(), "secrets.keys_file is an empty file"),
        ("\n \n".to_owned(), "secrets.keys_file is an empty file"),
        (format!("{key}\n{key}\n"), "secrets.keys has a key twice"),
        (
            format!("{key}\n{}\n", &key[..80]),
            "secrets.keys is not usable",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let refused = outcome(
            command(folder.path())
                .env("GATELODGE_SECRETS__KEYS_FILE", &file)
                .args(["config", "check"]),
        );
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains(mistake), "{mistake}\n{error}");
        assert!(!error.contains(&key[..20]), "{error}");
    }
}

/// Whoever reads on does not come to an end.
#[test]
fn a_device_is_no_file_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let refused = outcome(
        command(folder.path())
            .env("GATELODGE_SECRETS__KEYS_FILE", "/dev/zero")
            .args(["config", "check"]),
    );
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    let mistake = "secrets.keys_file is \"/dev/zero\": is no file, or longer than 1 MiB";
    assert!(error.contains(mistake), "{error}");
}

#[test]
fn env_example_can_be_used_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    std::fs::copy(example, folder.path().join(".env")).unwrap();
    let migrated = outcome(command(folder.path()).env_clear().arg("migrate"));
    let error = String::from_utf8_lossy(&migrated.stderr);
    assert!(migrated.status.success(), "{error}");
    assert!(folder.path().join("data/gatelodge.db").exists());
}

#[test]
fn mistakes_in_templates_of_jwts_are_told_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let check = |file: &str| {
        std::fs::write(path("gatelodge.toml"), file).unwrap();
        let output = run(folder.path(), &["config", "check"]);
        String::from_utf8(output.stderr).unwrap()
    };
    let [es256, rs256] = ["ES256", "RS256"].map(private_key);
    std::fs::write(path("es256.pem"), &es256).unwrap();
    std::fs::write(path("rs256.pem"), &rs256).unwrap();
    std::fs::write(path("none.pem"), "nothing").unwrap();
    let files = "[tokens]\nes256_keys_file = \"es256.pem\"\nrs256_keys_file = \"rs256.pem\"\n";
    let template = |rest: &str| format!("[[tokens.templates]]\naudience = \"a\"\n{rest}\n");
    let right = template(
        "name = \"a-1\"\nlifetime = \"15m\"\nalgorithm = \"RS256\"\nclaims = [\"name\", \"auth_time\"]",
    );
    let other = template("name = \"b_2\"\nalgorithm = \"ES256\"");
    assert_eq!(check(&format!("{files}{right}{other}")), "");

    let twice = template("name = \"a\"");
    let bare = "[[tokens.templates]]\nclaims = [\"sub\"]\nroles = [\"admin\"]\n";
    let wrong = template("name = \"A\"\nlifetime = \"16m\"\nalgorithm = \"HS256\"");
    let short = template("name = \"c\"\nlifetime = \"9s\"");
    let told = check(&format!(
        "[tokens]\nissuer = \"a b\"\n{twice}{twice}{bare}{wrong}{short}{right}{other}"
    ));
    for mistake in [
        "tokens.issuer is \"a b\"; it takes a URL such as",
        "tokens.templates has two of the name \"a\"",
        "tokens.templates 3: name is missing; it takes a word of 1 to 32",
        "tokens.templates 3: audience is missing; it takes a URL",
        "tokens.templates 3: claims is \"sub\"; it takes email, name or auth_time",
        "tokens.templates 3: roles is not a key",
        "tokens.templates 4: name is \"A\"; it takes a word of 1 to 32 lower-case letters",
        "tokens.templates 4: lifetime is \"16m\"; it takes a duration from 10s to 15m",
        "tokens.templates 4: algorithm is \"HS256\"; it takes EdDSA, ES256 or RS256",
        "tokens.templates 5: lifetime is \"9s\"; it takes a duration from 10s to 15m",
        "tokens.rs256_keys_file is missing; tokens.templates has one whose algorithm is RS256",
        "tokens.es256_keys_file is missing; tokens.templates has one whose algorithm is ES256",
    ] {
        assert!(told.contains(mistake), "{mistake}\n{told}");
    }
    let takes = "it takes the path of a file of private keys, PKCS#8 in PEM";
    let told = check(&format!(
        "[tokens]\nes256_keys_file = \"rs256.pem\"\nrs256_keys_file = \"none.pem\"\n{right}{other}"
    ));
    for mistake in [
        format!(
            "tokens.es256_keys_file is \"rs256.pem\"; {takes} (key 1 must be a private key on the \
             curve P-256)"
        ),
        format!("tokens.rs256_keys_file is \"none.pem\"; {takes} (there is none in this one)"),
    ] {
        assert!(told.contains(&mistake), "{mistake}\n{told}");
    }
    assert!(!told.contains("tokens.templates"), "{told}");
}

/// As YAML and variables do it.
#[test]
fn a_file_of_keys_whose_lines_were_joined_is_told_without_a_byte_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let key = private_key("ES256");
    let file = "[tokens]\nes256_keys_file = \"es256.pem\"\n";
    std::fs::write(path("gatelodge.toml"), file).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let in_numbers = format!("{:?}", &secret.as_bytes()[..8]);
    for between in [" ", "", "\\n"] {
        std::fs::write(path("es256.pem"), key.replace('\n', between)).unwrap();
        let output = run(folder.path(), &["config", "check"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("tokens.es256_keys_file is \"es256.pem\""),
            "{told}"
        );
        assert!(!told.contains(&secret[..8]), "{told}");
        assert!(
            !told.contains(in_numbers.trim_matches(['[', ']'])),
            "{told}"
        );
    }
}

/// A word that is no level would silence everything else.
#[test]
fn a_log_level_is_one_of_the_levels() {
    let folder = tempfile::tempdir().unwrap();
    let check = |level: &str| {
        let mut check = command(folder.path());
        check.env("GATELODGE_LOG__LEVEL", level);
        outcome(check.args(["config", "check"])).stderr
    };
    for right in [
        "info",
        "WARN",
        "off",
        "info,sqlx=debug",
        "gatelodge::http=trace",
        "info,[request{method=GET}]=debug",
    ] {
        assert_eq!(check(right), b"", "{right}");
    }
    for wrong in [
        "inof",
        "info,sqlx",
        "info,sqlx=debgu",
        "info,sqlx=",
        "info,",
        "=info",
    ] {
        let error = String::from_utf8(check(wrong)).unwrap();
        let told = format!("log.level is {wrong:?}; it takes error, warn, info");
        assert!(error.contains(&told), "{wrong}: {error}");
    }
}

#[test]
fn the_urls_of_stores_can_be_given_by_file_under_their_plain_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("url"),
        "postgres://u:hunter2@127.0.0.1:1/x\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("redis"), "redis://localhost\n").unwrap();
    let told = |variables: &[(&str, &str)]| {
        let mut check = command(folder.path());
        check.envs(variables.iter().copied());
        let error = outcome(check.args(["config", "check"])).stderr;
        let error = String::from_utf8(error).unwrap();
        assert!(!error.contains("hunter2"), "{error}");
        error
    };
    let keys = generate_key();
    let keys = ("GATELODGE_SECRETS__KEYS", keys.as_str());
    let both = [("DATABASE_URL_FILE", "url"), ("REDIS_URL_FILE", "redis")];
    assert_eq!(told(&[both[0], both[1], keys]), "");
    let missing = told(&both);
    assert!(missing.contains("secrets.keys is missing"), "{missing}");
    let embedded = told(&both[1..]);
    assert!(embedded.contains("redis.url is set, but"), "{embedded}");
    let nowhere = told(&[("DATABASE_URL_FILE", "nowhere"), keys]);
    assert!(
        nowhere.contains("database.url_file is not usable: No such file"),
        "{nowhere}"
    );
    let twice = told(&[both[0], ("DATABASE_URL", "sqlite://x.db"), keys]);
    assert!(twice.contains("are both set; leave one out"), "{twice}");
    let whole = ("GATELODGE_DATABASE__URL_FILE", "url");
    for plain in [
        ("DATABASE_URL_FILE", "nowhere"),
        ("DATABASE_URL", "sqlite://x.db"),
    ] {
        assert_eq!(told(&[plain, whole, keys]), "", "{plain:?} gives way");
    }
    assert_eq!(told(&[both[0], ("DATABASE_URL", ""), keys]), "");
}

#[test]
fn a_file_of_keys_that_is_not_there_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = command(folder.path());
    check
        .env("DATABASE_URL", "postgres://localhost/x")
        .env("GATELODGE_SECRETS__KEYS_FILE", "nowhere");
    let error = outcome(check.args(["config", "check"])).stderr;
    let error = String::from_utf8(error).unwrap();
    assert!(
        error.contains("secrets.keys_file is not usable: No such file"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 2, "{error}");
}
