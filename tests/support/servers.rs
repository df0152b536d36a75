//! A PostgreSQL and a Redis for the tests, started once per process on free
//! ports. In this order: what `TEST_DATABASE_URL` and `TEST_REDIS_URL` name;
//! binaries of this machine; containers, if a Docker engine answers; packages,
//! installed by apt-get if the tests run as root.
//!
//! What is started here ends with the test process, however that ends: each
//! server has a supervisor that waits for its standard input to close.
//!
//! A test that breaks a server has one of its own: [`OwnRedis`], [`OwnPostgres`].

use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use super::within;

const START_TIMEOUT: Duration = Duration::from_mins(1);

pub struct Server {
    pub url: String,
    /// Whether it goes away with this process, so that nothing needs cleaning up.
    pub is_ours: bool,
    _process: Option<Process>,
}

pub static POSTGRES: LazyLock<Server> = LazyLock::new(|| {
    Server::given("TEST_DATABASE_URL")
        .or_else(|| postgres_directory().map(|bin| Server::postgres(&bin)))
        .or_else(|| {
            docker(
                "postgres:15",
                5432,
                &["-e", "POSTGRES_HOST_AUTH_METHOD=trust"],
                "postgres://postgres@",
            )
        })
        .or_else(|| installed("postgresql", postgres_directory).map(|bin| Server::postgres(&bin)))
        .unwrap_or_else(|| {
            no_way(
                "PostgreSQL",
                "set TEST_DATABASE_URL=postgres://user@host:port/database to a server they may use",
            )
        })
});

pub static REDIS: LazyLock<Server> = LazyLock::new(|| {
    Server::given("TEST_REDIS_URL")
        .or_else(|| redis_binary().map(|bin| Server::redis(&bin)))
        .or_else(|| docker("redis:7", 6379, &[], "redis://"))
        .or_else(|| installed("redis-server", redis_binary).map(|bin| Server::redis(&bin)))
        .unwrap_or_else(|| {
            no_way(
                "Redis",
                "set TEST_REDIS_URL=redis://host:port to a server they may use",
            )
        })
});

pub fn no_way(what: &str, other_way: &str) -> ! {
    panic!(
        "the tests need {what}. Any of these helps:\n\
         - {other_way};\n\
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
            _process: None,
        })
    }

    fn ours(url: String, process: Process) -> Self {
        Self {
            url,
            is_ours: true,
            _process: Some(process),
        }
    }

    fn postgres(bin: &Path) -> Self {
        let process = start_postgres(bin);
        Self::ours(postgres_url(&process), process)
    }

    fn redis(bin: &Path) -> Self {
        let process = start_redis(bin);
        Self::ours(redis_url(&process), process)
    }
}

fn postgres_url(process: &Process) -> String {
    format!("postgres://postgres@{}/postgres", process.address)
}

fn redis_url(process: &Process) -> String {
    format!("redis://{}", process.address)
}

/// A server's process, its port and its folder, which outlive each other: killed,
/// it can be started again as it was.
pub struct Process {
    pub address: SocketAddr,
    directory: PathBuf,
    supervisor: ChildStdin,
}

impl Process {
    fn id(&self) -> String {
        let id = fs::read_to_string(self.directory.join("pid")).expect("it was started");
        id.trim().to_owned()
    }

    pub fn signal(&self, name: &str) {
        signal(&self.id(), name);
    }

    fn signal_children(&self, name: &str) {
        // Fails if there are none.
        let _ = Command::new("pkill")
            .args([&format!("-{name}"), "-P", &self.id()])
            .status();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn accepts(&self) -> bool {
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok()
    }

    /// After it was killed: the same command, on the same port.
    fn start_again(&mut self) {
        self.supervisor.write_all(b"\n").expect("a supervisor");
    }

    /// Ends it in its own way, and starts it again.
    pub async fn restart(&mut self) {
        self.signal("TERM");
        within(PROMPT, "it is gone", async || !self.accepts()).await;
        self.start_again();
        within(START_TIMEOUT, "it is back", async || self.accepts()).await;
    }
}

/// Sends a signal to a process by its id.
pub fn signal(id: &str, name: &str) {
    assert!(
        succeeds("kill", &["-s", name, id]),
        "SIG{name} was not sent"
    );
}

fn start_postgres(bin: &Path) -> Process {
    start_postgres_with(bin, |as_user, data| {
        let mut initialise = as_user(bin.join("initdb").as_os_str());
        initialise
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C", "-D"])
            .arg(data);
        initialise
    })
}

/// With the data that a command makes, run as the server's user.
fn start_postgres_with(
    bin: &Path,
    prepare: impl Fn(&dyn Fn(&OsStr) -> Command, &Path) -> Command,
) -> Process {
    let process = started("PostgreSQL", "INT", |directory, port| {
        let data = directory.join("data");
        let as_user = unprivileged(directory);
        let prepared = prepare(&as_user, &data)
            .current_dir(directory)
            .stdout(Stdio::null())
            .status()
            .expect("its tools run");
        assert!(prepared.success(), "PostgreSQL has no data");
        let mut server = as_user(bin.join("postgres").as_os_str());
        server
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
    // It accepts connections a little before it answers them.
    let deadline = Instant::now() + START_TIMEOUT;
    while !process.log().contains("ready to accept") {
        assert!(Instant::now() < deadline, "PostgreSQL does not get ready");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    process
}

fn start_redis(bin: &Path) -> Process {
    started("Redis", "TERM", |directory, port| {
        let mut server = Command::new(bin);
        server
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(directory)
            .args(["--save", "", "--appendonly", "no"]);
        server
    })
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
    let process = started(image, "TERM", |_, host_port| {
        let mut container = Command::new("docker");
        container
            .args([
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
    Some(Server::ours(format!("{url}{}", process.address), process))
}

/// `sh -c SUPERVISE signal directory command…`: runs the command, and again at
/// every line, once it has ended. When standard input closes, sends it the signal,
/// waits, and removes the directory. What a test has stopped goes on for that.
const SUPERVISE: &str = r#"
signal=$0 directory=$1
shift
run() {
    "$@" </dev/null >>"$directory/log" 2>&1 &
    server=$!
    echo $server >"$directory/pid"
}
run "$@"
while read -r again; do
    wait "$server"
    run "$@"
done
pkill -CONT -P "$server"
kill -s CONT "$server"
kill -s "$signal" "$server"
wait "$server"
rm -rf "$directory"
"#;

/// Starts a server on a free port and waits until it accepts connections. A
/// port that somebody else took in between is given up for another.
#[expect(clippy::zombie_processes, reason = "a supervisor outlives the tests")]
pub fn started(name: &str, signal: &str, command: impl Fn(&Path, u16) -> Command) -> Process {
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        let (directory, port) = (temporary_directory(), free_port());
        let command = command(&directory, port);
        let mut supervisor: Child = Command::new("sh")
            .args(["-c", SUPERVISE, signal])
            .arg(&directory)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for the tests; this one cleans up after them.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let process = Process {
            address: ([127, 0, 0, 1], port).into(),
            directory,
            supervisor: supervisor.stdin.take().expect("its standard input"),
        };
        let patience = Instant::now() + START_TIMEOUT / 3;
        while Instant::now() < patience {
            if process.accepts() {
                return process;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    panic!("{name} does not start")
}

/// Below the ports that systems give to clients: a server that is away keeps its
/// own, and nobody who calls it in vain can be given it, and call themselves.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..1000_u64).map(|n| {
        let chosen = RandomState::new().hash_one(n) % 20_000;
        10_000 + u16::try_from(chosen).expect("a port")
    });
    ports.find(is_free).expect("a free port")
}

fn temporary_directory() -> PathBuf {
    tempfile::Builder::new()
        .prefix("gatelodge-test-")
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

pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
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

pub(super) fn redis_binary() -> Option<PathBuf> {
    executable(&["redis-server", "valkey-server"])
}

/// The first of the programs that this machine has.
pub fn executable(names: &[&str]) -> Option<PathBuf> {
    let usual = [
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
    ]
    .map(PathBuf::from);
    let folders: Vec<_> = path_folders().chain(usual).collect();
    let places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|binary| binary.is_file())
}

/// A program that this machine has, or else Debian's package of it.
pub fn program(names: &[&str], package: &str, other_way: &str) -> PathBuf {
    let look = || executable(names);
    look()
        .or_else(|| installed(package, look))
        .unwrap_or_else(|| no_way(names[0], other_way))
}

/// One that cannot be had in another way.
pub fn debian(name: &str, package: &str) -> PathBuf {
    program(&[name], package, "nothing else, for this one")
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Installs a Debian package without starting its service, and looks again.
pub fn installed<T>(package: &str, find: impl Fn() -> Option<T>) -> Option<T> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    if let Some(found) = find() {
        // Somebody else was first.
        return Some(found);
    }
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
    connection_to(&REDIS.url).await
}

pub async fn connection_to(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("a Redis URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("Redis answers")
}

/// A Redis of a test's own, to be broken.
pub struct OwnRedis(Process);

impl OwnRedis {
    pub fn start() -> Self {
        let binary = redis_binary().or_else(|| installed("redis-server", redis_binary));
        let binary = binary.unwrap_or_else(|| no_way("Redis", "nothing else, for these"));
        Self(start_redis(&binary))
    }

    pub fn url(&self) -> String {
        redis_url(&self.0)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Runs a command that it must be able to run.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let mut connection = connection_to(&self.url()).await;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let answer = command.query_async(&mut connection).await;
        answer.expect("Redis does as told")
    }

    /// How many keys it holds.
    pub async fn count(&self) -> usize {
        let count = self.command(&["DBSIZE"]).await;
        redis::from_redis_value(count).expect("a number")
    }

    /// Keeps what it holds now, for [`Self::come_back`] after everything else.
    pub async fn take_snapshot(&self) {
        self.command(&["SAVE"]).await;
    }

    pub async fn kill(&self) {
        self.0.signal("KILL");
        within(PROMPT, "Redis is gone", async || !self.0.accepts()).await;
    }

    /// On the same port, with what the last snapshot holds, or nothing.
    pub async fn come_back(&mut self) {
        self.0.start_again();
        within(START_TIMEOUT, "Redis is back", async || self.0.accepts()).await;
    }

    /// It takes connections and says nothing.
    pub fn freeze(&self) {
        self.0.signal("STOP");
    }

    pub fn thaw(&self) {
        self.0.signal("CONT");
    }
}

impl OwnRedis {
    /// From now on nobody is answered who does not know it.
    pub async fn require_password(&self, password: &str) {
        self.command(&["CONFIG", "SET", "requirepass", password])
            .await;
    }

    /// All that is published from now on, to whoever knows the password.
    pub async fn overhear(&self, password: &str) -> redis::aio::PubSub {
        let client = redis::Client::open(self.url_with(password)).expect("a Redis URL");
        let mut everything = client.get_async_pubsub().await.expect("Redis answers");
        everything.psubscribe("*").await.expect("Redis answers");
        everything
    }

    pub fn url_with(&self, password: &str) -> String {
        self.url().replace("://", &format!("://:{password}@"))
    }
}

/// How long a process takes to go once it is told to.
const PROMPT: Duration = Duration::from_secs(5);

/// A PostgreSQL of a test's own, to be broken.
pub struct OwnPostgres(Process);

impl OwnPostgres {
    pub fn start() -> Self {
        let bin = postgres_directory().or_else(|| installed("postgresql", postgres_directory));
        let bin = bin.unwrap_or_else(|| no_way("PostgreSQL", "nothing else, for these"));
        Self(start_postgres(&bin))
    }

    pub fn url(&self) -> String {
        postgres_url(&self.0)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// A standby, without which this one commits nothing from now on.
    pub async fn with_synchronous_standby(&self) -> Self {
        let standby = Self::standby_of(self.address());
        for statement in [
            "alter system set synchronous_standby_names = '*'",
            "select pg_reload_conf()",
        ] {
            self.run(statement).await;
        }
        within(START_TIMEOUT, "the standby is synchronous", async || {
            self.is("select count(*) = 1 from pg_stat_replication where sync_state = 'sync'")
                .await
        })
        .await;
        standby
    }

    /// A standby for which nobody waits, of a primary that it reaches there.
    pub fn standby_of(reached_at: SocketAddr) -> Self {
        let bin = postgres_directory().expect("it has started one");
        // A link to `postgres` need not have the others beside it.
        let tools = fs::canonicalize(bin.join("postgres")).expect("a path");
        let copy = tools.with_file_name("pg_basebackup");
        let port = reached_at.port().to_string();
        Self(start_postgres_with(&bin, |as_user, data| {
            let mut backup = as_user(copy.as_os_str());
            backup
                .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port])
                .args(["--no-sync", "--checkpoint=fast", "-X", "stream", "-R", "-D"])
                .arg(data);
            backup
        }))
    }

    /// Waits until all standbys have all that this one has.
    pub async fn is_followed(&self) {
        within(PROMPT, "the standby has everything", async || {
            self.is("select bool_and(replay_lsn = pg_current_wal_lsn()) from pg_stat_replication")
                .await
        })
        .await;
    }

    /// From now on it takes no writes, as a careful operator would have it.
    pub async fn retire(&self) {
        for statement in [
            "alter system set default_transaction_read_only = on",
            "select pg_reload_conf()",
        ] {
            self.run(statement).await;
        }
    }

    /// Makes a primary of a standby.
    pub async fn promote(&self) {
        self.run("select pg_promote()").await;
        within(START_TIMEOUT, "the standby is promoted", async || {
            self.is("select not pg_is_in_recovery()").await
        })
        .await;
    }

    /// Its folder, with its data and its log.
    pub fn folder(&self) -> &Path {
        &self.0.directory
    }

    /// Writes everything to its files.
    pub async fn checkpoint(&self) {
        self.run("checkpoint").await;
    }

    pub async fn run(&self, statement: &'static str) {
        let connection = PgConnection::connect(&self.url()).await;
        let mut connection = connection.expect("PostgreSQL answers");
        let done = sqlx::raw_sql(statement).execute(&mut connection).await;
        done.expect("PostgreSQL does as told");
    }

    pub async fn is(&self, question: &'static str) -> bool {
        let connection = PgConnection::connect(&self.url()).await;
        let mut connection = connection.expect("PostgreSQL answers");
        let answer = sqlx::query_scalar(question)
            .fetch_one(&mut connection)
            .await;
        answer.expect("an answer")
    }

    /// All of it at once, as if the power had failed.
    pub async fn kill(&self) {
        // The first of them would see that the others are gone.
        self.0.signal("STOP");
        self.0.signal_children("KILL");
        self.0.signal("KILL");
        within(PROMPT, "PostgreSQL is gone", async || !self.0.accepts()).await;
    }

    /// Without a checkpoint, as a crash would end it: what was committed is in its
    /// log alone.
    pub async fn crash(&self) {
        self.0.signal("QUIT");
        within(PROMPT, "PostgreSQL is gone", async || !self.0.accepts()).await;
    }

    /// On the same port, once it has recovered.
    pub async fn come_back(&mut self) {
        self.0.start_again();
        let url = self.url();
        within(START_TIMEOUT, "PostgreSQL is back", async || {
            PgConnection::connect(&url).await.is_ok()
        })
        .await;
    }

    /// It takes connections and says nothing, on old ones neither.
    pub fn freeze(&self) {
        // The first of them first: it would begin others.
        self.0.signal("STOP");
        self.0.signal_children("STOP");
    }

    pub fn thaw(&self) {
        self.0.signal_children("CONT");
        self.0.signal("CONT");
    }
}
