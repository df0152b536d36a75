//! What an instance and what it does cost those that it shares, to reckon with.

use std::thread;
use std::time::Duration;

use actix_session::storage::SessionStore as _;
use anyhow::{Context as _, Result};
use gatelodge::Services;
use gatelodge::accounts::LogIn;
use gatelodge::domain::client::Client;
use gatelodge::domain::email::Email;
use gatelodge::domain::password::Password;
use gatelodge::domain::time::Timestamp;
use gatelodge::sessions::Issued;
use gatelodge::store::ledger::Ledger;
use sqlx::{Connection as _, PgConnection};

use crate::process::Cores;
use crate::report::{Figure, Results, shown};
use crate::stand::{PASSWORD, Stand, build_service, email};

pub const ABOUT: &str = "\
What docs/capacity.md reckons with. Transactions, bytes of PostgreSQL's log and connections
are counted by the servers; the log has no images of full pages here, which come on top
after each checkpoint. Sizes of rows are those of a million sessions of 100 000 users,
indexes included. What a session takes in Redis and in an instance is above, under
\"A million sessions\".";

const POPULATION: &str = include_str!("../../../tests/support/population.sql");

/// How long an instance that nobody asks anything is watched.
const WATCHED: Duration = Duration::from_secs(10);
const TIMES: usize = 200;

macro_rules! size_of {
    ($table:literal) => {
        concat!(
            "select pg_total_relation_size('",
            $table,
            "')::float8 / count(*) from ",
            $table
        )
    };
}
pub fn run() -> Result<Results> {
    build_service()?;
    Cores::All.keep_to()?;
    let mut figures = of_an_idle_instance()?;
    figures.extend(of_what_is_done()?);
    figures.extend(of_rows()?);
    Ok(Results {
        comparison: None,
        costs: Vec::new(),
        figures,
    })
}

fn of_an_idle_instance() -> Result<Vec<Figure>> {
    let stand = Stand::start()?;
    let service = stand.service(Cores::All, &[])?;
    thread::sleep(WATCHED / 5);
    let (before, cpu) = (stand.counts()?, service.cpu_time()?);
    thread::sleep(WATCHED);
    let (after, cpu_after) = (stand.counts()?, service.cpu_time()?);
    let seconds = WATCHED.as_secs_f64();
    let share = cpu_after.saturating_sub(cpu).as_secs_f64() / seconds;
    Ok(vec![
        plain("an idle instance, resident", megabytes(service.resident()?)),
        plain("its CPU", shown(share * 100.0, " % of a core")),
        plain(
            "its transactions in PostgreSQL",
            shown((after.transactions - before.transactions) / seconds, "/s"),
        ),
        plain(
            "its connections to PostgreSQL",
            shown(after.connections, ""),
        ),
        plain(
            "its commands to Redis",
            shown((after.commands - before.commands) / seconds, "/s"),
        ),
        plain("its connections to Redis", shown(after.clients, "")),
    ])
}

fn of_what_is_done() -> Result<Vec<Figure>> {
    let stand = Stand::start()?;
    stand.logged_in(1)?;
    let settings = stand.settings(&[
        ("GATELODGE_PASSWORD__BCRYPT_COST", "4"),
        // The polls are counted above.
        ("GATELODGE_SESSION__POLL_INTERVAL", "2s"),
    ])?;
    let (services, ledger) = stand.runtime.block_on(async {
        let url = settings.database.url.as_str();
        anyhow::Ok((
            gatelodge::connect(&settings).await?,
            Ledger::connect(url, 1).await?,
        ))
    })?;
    let mut figures = Vec::new();
    let (issued, cost) = stand.cost(async || log_in(&services).await)?;
    figures.extend(cost.figures("a log-in"));
    let at = Timestamp::from_millis(issued[0].record.session.issued_at().as_millis() + 60_000);
    let touches = issued.iter().map(|issued| (issued.record.session.id, at));
    let touches: Vec<_> = touches.collect();
    let before = stand.counts()?;
    stand.runtime.block_on(ledger.touch_sessions(touches))?;
    let cost = Cost::between(&before, &stand.counts()?, TIMES);
    figures.push(plain(
        "a touch, in PostgreSQL's log",
        shown(cost.log, " bytes"),
    ));
    let (store, mut issued) = (services.store(), issued.iter());
    let (_, cost) = stand.cost(async || {
        let token = &issued.next().context("a session")?.token;
        store.delete(&(*token.expose()).clone().try_into()?).await
    })?;
    figures.extend(cost.figures("the end of a session"));
    stand.runtime.block_on(services.stop());
    Ok(figures)
}

async fn log_in(services: &Services) -> Result<Issued> {
    let issued = services.accounts().log_in(LogIn {
        email: Email::parse(&email(0))?,
        password: Password::parse(PASSWORD)?,
        remember_me: false,
        client: Client::default(),
        device: None,
        presented: None,
    });
    Ok(issued.await?)
}

fn of_rows() -> Result<Vec<Figure>> {
    let stand = Stand::start()?;
    // It makes the schema.
    stand.logged_in(0)?;
    let url = stand.settings(&[])?.database.url;
    stand.runtime.block_on(async {
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql(POPULATION).execute(&mut connection).await?;
        let mut figures = Vec::new();
        for (what, question) in [
            ("a session", size_of!("sessions")),
            ("a user", size_of!("users")),
            ("an event of the audit log", size_of!("events")),
        ] {
            let size: f64 = sqlx::query_scalar(question)
                .fetch_one(&mut connection)
                .await?;
            figures.push(plain(
                format!("{what}, in PostgreSQL"),
                shown(size, " bytes"),
            ));
        }
        Ok(figures)
    })
}

fn plain(what: impl Into<String>, measured: String) -> Figure {
    Figure::plain(what, measured)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn megabytes(bytes: u64) -> String {
    shown(bytes as f64 / 1e6, " MB")
}

/// What the servers have counted.
struct Counts {
    transactions: f64,
    /// Bytes of PostgreSQL's log.
    log: f64,
    connections: f64,
    commands: f64,
    clients: f64,
}

/// By one time.
struct Cost {
    transactions: f64,
    log: f64,
    commands: f64,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    fn between(before: &Counts, after: &Counts, times: usize) -> Self {
        let by_one = |before: f64, after: f64| (after - before) / times as f64;
        Self {
            transactions: by_one(before.transactions, after.transactions),
            log: by_one(before.log, after.log),
            commands: by_one(before.commands, after.commands),
        }
    }

    fn figures(&self, what: &str) -> [Figure; 3] {
        [
            (self.transactions, "transactions", ""),
            (self.log, "in PostgreSQL's log", " bytes"),
            (self.commands, "commands to Redis", ""),
        ]
        .map(|(figure, of, unit)| plain(format!("{what}, {of}"), shown(figure, unit)))
    }
}

impl Stand {
    /// What it costs to do something, done so many times, and what came of it.
    fn cost<T>(&self, mut work: impl AsyncFnMut() -> Result<T>) -> Result<(Vec<T>, Cost)> {
        let before = self.counts()?;
        let done = self.runtime.block_on(async {
            let mut done = Vec::new();
            for _ in 0..TIMES {
                done.push(work().await?);
            }
            anyhow::Ok(done)
        })?;
        // They are published a second late.
        thread::sleep(Duration::from_secs(2));
        Ok((done, Cost::between(&before, &self.counts()?, TIMES)))
    }

    fn counts(&self) -> Result<Counts> {
        const QUESTION: &str = "select \
            (select sum(xact_commit + xact_rollback)::float8 from pg_stat_database), \
            pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8, \
            (select count(*)::float8 from pg_stat_activity \
             where application_name = 'gatelodge')";
        let url = self.settings(&[])?.database.url;
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await?;
            let (transactions, log, connections) =
                sqlx::query_as(QUESTION).fetch_one(&mut connection).await?;
            let info: String = redis::from_redis_value(self.redis.command(&["INFO", "all"]).await)?;
            let field = |name: &str| -> Result<f64> {
                let mut fields = info.lines().filter_map(|line| line.split_once(':'));
                let (_, value) = fields
                    .find(|(field, _)| *field == name)
                    .context("a field")?;
                Ok(value.parse()?)
            };
            Ok(Counts {
                transactions,
                log,
                connections,
                commands: field("total_commands_processed")?,
                clients: field("connected_clients")?,
            })
        })
    }
}
