//! A PostgreSQL and a Redis for the tests, started once per process on free
//! ports. In this order: what `TEST_DATABASE_URL` and `TEST_REDIS_URL` name;
//! binaries of this machine; containers, if a Docker engine answers; packages,
//! installed by apt-get if the tests run as root.
//!
//! What is started here ends with the test process, however that ends: each
//! server has a supervisor that waits for its standard input to close.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_mins(1);

pub struct Server {
    pub url: String,
    /// Whether it goes away with this process, so that nothing needs cleaning up.
    pub is_ours: bool,
    _supervisor: Option<ChildStdin>,
}

pub static POSTGRES: LazyLock<Server> = LazyLock::new(|| {
    Server::given("TEST_DATABASE_URL")
        .or_else(|| postgres_directory().map(|bin| start_postgres(&bin)))
        .or_else(|| {
            docker(
                "postgres:15",
                5432,
                &["-e", "POSTGRES_HOST_AUTH_METHOD=trust"],
                "postgres://postgres@",
            )
        })
        .or_else(|| installed("postgresql", postgres_directory).map(|bin| start_postgres(&bin)))
        .unwrap_or_else(|| {
            no_way(
                "PostgreSQL",
                "TEST_DATABASE_URL=postgres://user@host:port/database",
            )
        })
});

pub static REDIS: LazyLock<Server> = LazyLock::new(|| {
    Server::given("TEST_REDIS_URL")
        .or_else(|| redis_binary().map(|bin| start_redis(&bin)))
        .or_else(|| docker("redis:7", 6379, &[], "redis://"))
        .or_else(|| installed("redis-server", redis_binary).map(|bin| start_redis(&bin)))
        .unwrap_or_else(|| no_way("Redis", "TEST_REDIS_URL=redis://host:port"))
});

fn no_way(what: &str, variable: &str) -> ! {
    panic!(
        "the tests need {what}. Any of these helps:\n\
         - set {variable} to a server they may use;\n\
         - install {what}, with its binaries in PATH or the usual folders;\n\
         - start a Docker engine;\n\
         - on Debian or Ubuntu, run the tests as root: they install it themselves."
    )
}

impl Server {
    fn given(variable: &str) -> Option<Self> {
        let url = std::env::var(variable).ok().filter(|url| !url.is_empty())?;
        Some(Self {
            url,
            is_ours: false,
            _supervisor: None,
        })
    }

    fn ours(url: String, supervisor: &mut Child) -> Self {
        Self {
            url,
            is_ours: true,
            _supervisor: supervisor.stdin.take(),
        }
    }
}

fn start_postgres(bin: &Path) -> Server {
    let directory = temporary_directory("postgres");
    let data = directory.join("data");
    let as_user = unprivileged(&directory);
    let initialised = as_user(bin.join("initdb").as_os_str())
        .args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data)
        .current_dir(&directory)
        .stdout(Stdio::null())
        .status()
        .expect("initdb runs");
    assert!(initialised.success(), "initdb failed");
    let (port, mut supervisor) = started("PostgreSQL", |port| {
        let mut server = as_user(OsStr::new("sh"));
        server
            .args(["-c", SUPERVISE, "INT"])
            .arg(&directory)
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1"])
            .args([
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
                "-c",
                "max_connections=300",
            ]);
        server
    });
    Server::ours(
        format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        &mut supervisor,
    )
}

fn start_redis(bin: &Path) -> Server {
    let directory = temporary_directory("redis");
    let (port, mut supervisor) = started("Redis", |port| {
        let mut server = Command::new("sh");
        server
            .args(["-c", SUPERVISE, "TERM"])
            .arg(&directory)
            .arg(bin)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(&directory)
            .args(["--save", "", "--appendonly", "no"]);
        server
    });
    Server::ours(format!("redis://127.0.0.1:{port}"), &mut supervisor)
}

fn docker(image: &str, port: u16, options: &[&str], url: &str) -> Option<Server> {
    let answers = Command::new("docker")
        .arg("info")
        .output()
        .ok()?
        .status
        .success();
    if !answers {
        return None;
    }
    let name = format!("gatelodge-test-{}-{port}", std::process::id());
    let (host_port, mut supervisor) = started(image, |host_port| {
        let mut container = Command::new("sh");
        container
            .args(["-c", SUPERVISE, "TERM"])
            .arg(temporary_directory("docker"))
            .args([
                "docker",
                "run",
                "--rm",
                "--name",
                &name,
                "-p",
                &format!("127.0.0.1:{host_port}:{port}"),
            ])
            .args(options)
            .arg(image);
        container
    });
    Some(Server::ours(
        format!("{url}127.0.0.1:{host_port}"),
        &mut supervisor,
    ))
}

/// `sh -c SUPERVISE signal directory command…`: runs the command until standard
/// input closes, then sends it the signal, waits, and removes the directory.
const SUPERVISE: &str = r#"
signal=$0 directory=$1
shift
"$@" </dev/null >"$directory/log" 2>&1 &
server=$!
cat >/dev/null
kill -s "$signal" "$server"
wait "$server"
rm -rf "$directory"
"#;

/// Starts a server on a free port and waits until it accepts connections. A
/// port that somebody else took in between is given up for another.
#[expect(clippy::zombie_processes, reason = "a supervisor outlives the tests")]
fn started(name: &str, command: impl Fn(u16) -> Command) -> (u16, Child) {
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        let port = free_port();
        let mut supervisor = command(port)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for the tests; this one cleans up after them.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let patience = Instant::now() + START_TIMEOUT / 3;
        while Instant::now() < patience {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (port, supervisor);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        drop(supervisor.stdin.take());
    }
    panic!("{name} does not start")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn temporary_directory(name: &str) -> PathBuf {
    tempfile::Builder::new()
        .prefix(&format!("gatelodge-test-{name}-"))
        .tempdir()
        .expect("a temporary directory")
        .keep()
}

/// PostgreSQL refuses to run as root: as root, gives the directory to another
/// user and runs commands as them.
fn unprivileged(directory: &Path) -> impl Fn(&OsStr) -> Command + use<> {
    let user = is_root().then(|| {
        let user = ["postgres", "nobody"]
            .into_iter()
            .find(|user| succeeds("id", &["-u", user]))
            .expect("a user other than root");
        let given = Command::new("chown")
            .arg("-R")
            .arg(user)
            .arg(directory)
            .status();
        assert!(given.is_ok_and(|status| status.success()), "chown failed");
        user
    });
    move |program| match user {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", user, "--clear-groups", "--"])
                .arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A folder with both `initdb` and `postgres`, of one version therefore.
fn postgres_directory() -> Option<PathBuf> {
    let usual = [
        "/usr/lib/postgresql",
        "/usr/local/pgsql/bin",
        "/opt/homebrew/opt",
        "/usr/local/opt",
    ];
    let versions = usual.iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path().join("bin")).collect();
        paths.sort();
        paths.into_iter().rev()
    });
    path_folders()
        .chain(versions)
        .chain(usual.iter().map(PathBuf::from))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn redis_binary() -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    path_folders()
        .chain(usual)
        .flat_map(|folder| ["redis-server", "valkey-server"].map(|name| folder.join(name)))
        .find(|binary| binary.is_file())
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Installs a Debian package without starting its service, and looks again.
fn installed<T>(package: &str, find: fn() -> Option<T>) -> Option<T> {
    if !is_root() || !succeeds("apt-get", &["--version"]) {
        return None;
    }
    let announcement = "with apt-get; nothing of it is started but by them";
    // Not `eprintln!`, which the test harness would keep to itself.
    let _ = writeln!(io::stderr(), "the tests install {package} {announcement}");
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let is_ours = !policy.exists();
    if is_ours {
        fs::write(policy, "#!/bin/sh\nexit 101\n").ok()?;
        succeeds("chmod", &["+x", "/usr/sbin/policy-rc.d"]);
    }
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let done = apt(&["update"]) && apt(&["install", "-y", "--no-install-recommends", package]);
    if is_ours {
        let _ = fs::remove_file(policy);
    }
    done.then(find)?
}

pub async fn redis_connection() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(REDIS.url.as_str()).expect("a Redis URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("Redis answers")
}
