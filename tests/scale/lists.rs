//! Each page of a list goes by an index, and is there in 50 ms.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gatelodge::domain::audit::{Action, Actor, EventFilter};
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::domain::network::Network;
use gatelodge::domain::page::{Cursor, Limit, PageOf};
use gatelodge::domain::session::SessionFilter;
use gatelodge::domain::text::Fragment;
use gatelodge::domain::time::Timestamp;
use gatelodge::store::ledger::Ledger;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::support::app::TestDatabase;

const PROMISED: Duration = Duration::from_millis(50);
/// How long a page is asked for again, in the hope of a moment without neighbours.
const PATIENCE: Duration = Duration::from_secs(2);
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What the server says of the plans it has used (`auto_explain`).
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Plans {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice" {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Plans {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            writeln!(self.0.lock().unwrap(), "{value:?}").unwrap();
        }
    }
}

struct Asked {
    ledger: Ledger,
    plans: Plans,
}

impl Asked {
    async fn of(database: &TestDatabase) -> Self {
        let explained = format!(
            "{}?options[session_preload_libraries]=auto_explain\
             &options[auto_explain.log_min_duration]=0&options[client_min_messages]=log",
            database.url
        );
        Self {
            ledger: Ledger::connect(&explained, 2).await.unwrap(),
            plans: Plans::default(),
        }
    }

    /// An answer by an index and in time, the best of a few: others use the machine, too.
    async fn answer<T>(&self, what: &str, ask: impl AsyncFn(&Ledger) -> T) -> T {
        let subscriber = tracing_subscriber::registry().with(self.plans.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        let mut answer = ask(&self.ledger).await;
        drop(guard);
        let plan = std::mem::take(&mut *self.plans.0.lock().unwrap());
        assert!(plan.contains("Index"), "{what}: {plan}");
        for table in ["sessions", "users", "events"] {
            let whole = format!("Seq Scan on {table}");
            assert!(!plan.contains(&whole), "{what}: {plan}");
        }
        let (mut best, since) = (Duration::MAX, Instant::now());
        while best > PROMISED / 2 && since.elapsed() < PATIENCE {
            let started = Instant::now();
            answer = ask(&self.ledger).await;
            best = best.min(started.elapsed());
        }
        println!("{what}: {best:?}");
        assert!(best < PROMISED, "{what} took {best:?}: {plan}");
        answer
    }

    async fn users(&self) -> UserId {
        let first = PageOf::first(Limit::MAX);
        let users = self
            .answer("users", async |l| l.list_users(None, first).await.unwrap())
            .await;
        let next = PageOf {
            after: users.next,
            ..first
        };
        self.answer("users, next page", async |l| {
            l.list_users(None, next).await.unwrap()
        })
        .await;
        for (search, expected) in [
            ("user77777@example.com", 1),
            ("@example.com", 200),
            ("name 7777", 2),
            ("no such user", 0),
        ] {
            let part = Fragment::parse(search).unwrap();
            let found = self
                .answer(search, async |l| {
                    l.list_users(Some(&part), first).await.unwrap()
                })
                .await;
            assert_eq!(found.items.len(), expected, "{search}");
        }
        users.items[100].id
    }

    async fn sessions(&self, what: &str, filter: SessionFilter, expected: usize) {
        let first = PageOf::first(Limit::MAX);
        let page = self
            .answer(what, async |l| {
                l.list_all_sessions(&filter, NOW, first).await.unwrap()
            })
            .await;
        assert_eq!(page.items.len(), expected, "{what}");
        for (from, seconds) in [("noon", 1_799_956_800), ("the end", 1_799_913_610)] {
            let after = SessionId::first_at(Timestamp::from_millis(seconds * 1000));
            let page = PageOf {
                after: Some(Cursor(after)),
                ..first
            };
            self.answer(&format!("{what}, from {from}"), async |l| {
                l.list_all_sessions(&filter, NOW, page).await.unwrap()
            })
            .await;
        }
    }

    async fn events(&self, what: &str, filter: EventFilter) {
        let first = PageOf::first(Limit::MAX);
        let page = self
            .answer(what, async |l| l.list_events(filter, first).await.unwrap())
            .await;
        assert_eq!(page.items.is_empty(), what.starts_with("no "), "{what}");
    }
}

pub async fn every_page_goes_by_an_index_and_is_there_in_time(database: &TestDatabase) {
    let asked = Asked::of(database).await;
    let user = asked.users().await;
    for (what, filter, expected) in session_filters(user) {
        asked.sessions(what, filter, expected).await;
    }
    asked
        .answer("a user's sessions", async |l| {
            l.list_sessions(user, NOW).await.unwrap()
        })
        .await;
    let (subject, actor) = (Some(user), Some(Actor::User(user)));
    let action = Some;
    let none = EventFilter::default();
    for (what, filter) in [
        ("events", none),
        ("an actor", EventFilter { actor, ..none }),
        (
            "operators",
            EventFilter {
                actor: Some(Actor::Operator),
                ..none
            },
        ),
        ("a subject", EventFilter { subject, ..none }),
        (
            "a common action",
            EventFilter {
                action: action(Action::LoggedIn),
                ..none
            },
        ),
        (
            "a rare action",
            EventFilter {
                action: action(Action::UserLocked),
                ..none
            },
        ),
        (
            "no action",
            EventFilter {
                action: action(Action::SetUp),
                ..none
            },
        ),
        (
            "no action of a subject",
            EventFilter {
                subject,
                action: action(Action::SetUp),
                ..none
            },
        ),
    ] {
        asked.events(what, filter).await;
    }
}

/// Each filter alone, common and rare, and all at once; and how many a page has.
fn session_filters(user: UserId) -> Vec<(&'static str, SessionFilter, usize)> {
    let all = SessionFilter::default;
    let in_network = |text| SessionFilter {
        network: Network::parse(text).ok(),
        ..all()
    };
    let with_agent = |text| SessionFilter {
        user_agent: Fragment::parse(text).ok(),
        ..all()
    };
    let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
    vec![
        ("all sessions", all(), 200),
        (
            "a user",
            SessionFilter {
                user: Some(user),
                ..all()
            },
            10,
        ),
        ("an address", in_network("10.7.3.2"), 1),
        ("a /24", in_network("10.7.3.0/24"), 20),
        ("a /16", in_network("10.7.0.0/16"), 200),
        ("a /8", in_network("10.0.0.0/8"), 200),
        ("an empty range", in_network("192.0.2.0/24"), 0),
        ("a common agent", with_agent("iphone"), 200),
        ("a rare agent", with_agent("build/c4ca4238"), 200),
        ("no agent", with_agent("python-requests"), 0),
        (
            "issued late",
            SessionFilter {
                issued_after: at(1_799_999_000),
                ..all()
            },
            200,
        ),
        (
            "issued early",
            SessionFilter {
                issued_before: at(1_799_913_620),
                ..all()
            },
            200,
        ),
        (
            "rarely not seen",
            SessionFilter {
                last_seen_before: at(1_799_990_000),
                ..all()
            },
            200,
        ),
        (
            "long not seen",
            SessionFilter {
                last_seen_before: at(1_799_914_000),
                ..all()
            },
            9,
        ),
        (
            "all at once",
            SessionFilter {
                user: Some(user),
                network: Network::parse("10.0.0.0/8").ok(),
                user_agent: Fragment::parse("mozilla").ok(),
                issued_after: at(1_799_913_600),
                issued_before: at(1_800_000_001),
                last_seen_before: at(1_800_000_001),
            },
            10,
        ),
    ]
}
