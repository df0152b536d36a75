//! Everything that is counted, made to happen.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use gatelodge::sessions::Clock;
use gatelodge::startup::generate_key;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::expressions::labels_in;
use super::instance::Instance;
use super::prometheus::Prometheus;
use crate::support::app::{ADMIN, PASSWORD, TestDatabase};
use crate::support::browser::Browser;
use crate::support::foreign::{BY_SECRET, Key, claims};
use crate::support::program::command;
use crate::support::proxy::FaultProxy;
use crate::support::servers::{REDIS, connection_to};
use crate::support::within;

const WRONG: &str = "not the password at all";

/// Two instances on the same stores, and Prometheus, which collects from both.
struct Scene {
    one: Instance,
    /// Its way to the ledger can be broken.
    other: Instance,
    way_to_ledger: FaultProxy,
    way_to_redis: FaultProxy,
    database: TestDatabase,
    prometheus: Prometheus,
}

impl Scene {
    async fn begin(folder: &Path) -> Self {
        let database = TestDatabase::create().await;
        let (way_to_ledger, proxied) = FaultProxy::before_url(&database.url);
        let (way_to_redis, redis) = FaultProxy::before_url(&REDIS.url);
        let key = generate_key();
        let instance = |url: &str| {
            let mut command: Command = command(folder);
            command
                .env("DATABASE_URL", url)
                .env("REDIS_URL", &redis)
                .env("GATELODGE_REDIS__KEY_PREFIX", &database.name)
                .env("GATELODGE_SECRETS__KEYS", &key)
                .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN)
                .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)
                // A touch is due after 1.2 s.
                .env("GATELODGE_SESSION__IDLE_TIMEOUT", "1m")
                .env("GATELODGE_SESSION__LEASE", "1s")
                .env("GATELODGE_PASSWORD__BCRYPT_COST", "8")
                .env("GATELODGE_PASSWORD__HASH_CONCURRENCY", "1")
                .env("GATELODGE_PASSWORD__HASH_QUEUE", "2")
                .env("GATELODGE_THROTTLE__MAX_ATTEMPTS", "3")
                .envs(BY_SECRET);
            Instance::start(command)
        };
        let (one, other) = (instance(&database.url), instance(&proxied));
        let prometheus = Prometheus::start(&[one.metrics, other.metrics]);
        Self {
            one,
            other,
            way_to_ledger,
            way_to_redis,
            database,
            prometheus,
        }
    }

    /// Who has registered at the one instance.
    async fn registered(&self, email: &str) -> Browser {
        let mut browser = self.one.program.browser();
        let answer = browser.register(email, PASSWORD).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        browser
    }

    /// Who logs in at the one instance.
    async fn logged_in(&self, email: &str) -> Browser {
        let mut browser = self.one.program.browser();
        let answer = browser.log_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        browser
    }

    fn at_other(&self, browser: &Browser) -> Browser {
        browser.at(self.other.program.address)
    }

    async fn drop_copies(&self) {
        let mut redis = connection_to(&REDIS.url).await;
        let mut keys = redis::cmd("KEYS");
        let keys = keys.arg(format!("{}:s:*", self.database.name));
        let keys: Vec<Vec<u8>> = keys.query_async(&mut redis).await.unwrap();
        let dropped = redis::cmd("DEL").arg(keys).exec_async(&mut redis).await;
        dropped.unwrap();
    }

    async fn checks_are_counted_by_who_decides_them(&self) {
        let mut ada = self.registered("ada@example.com").await;
        let series = |source, outcome| {
            format!("gatelodge_checks_total{{source=\"{source}\",outcome=\"{outcome}\"}}")
        };
        let (one, other) = (&self.one, &self.other);
        let whoami = async |browser: &mut Browser, status| {
            assert_eq!(browser.whoami().await.status, status);
        };
        let decided = series("cache", "alive");
        one.counts(&decided, async || whoami(&mut ada, 200).await)
            .await;
        let answered = [
            "gatelodge_http_requests_total{route=\"/api/sessions/whoami\",method=\"GET\",status=\"2xx\"}",
            "gatelodge_http_request_duration_seconds_count{route=\"/api/sessions/whoami\",method=\"GET\"}",
            "gatelodge_http_request_duration_seconds_bucket{route=\"/api/sessions/whoami\",method=\"GET\",le=\"5\"}",
        ];
        one.counts_all(&answered, async || whoami(&mut ada, 200).await)
            .await;

        let mut there = self.at_other(&ada);
        let decided = series("hot_store", "alive");
        other
            .counts(&decided, async || whoami(&mut there, 200).await)
            .await;
        let mut bob = self.registered("bob@example.com").await;
        let mut bob_there = self.at_other(&bob);
        self.drop_copies().await;
        let decided = series("ledger", "alive");
        other
            .counts(&decided, async || whoami(&mut bob_there, 200).await)
            .await;

        let mut forged = self.at_other(&ada);
        let token = forged.token.take().unwrap();
        let (begin, end) = token.split_at(token.len() - 5);
        let other_end: String = end
            .chars()
            .map(|c| if c == 'A' { 'B' } else { 'A' })
            .collect();
        forged.token = Some(format!("{begin}{other_end}"));
        let decided = series("token", "forged");
        other
            .counts(&decided, async || whoami(&mut forged, 401).await)
            .await;

        let decided = series("cache", "ended");
        let ends = async || {
            assert_eq!(ada.log_out().await.status, 204);
            within(Duration::from_secs(2), "it is over there", async || {
                there.whoami().await.status == 401
            })
            .await;
        };
        other.counts(&decided, ends).await;

        let lost = self.logged_in("bob@example.com").await;
        let mut lost = self.at_other(&lost);
        self.drop_copies().await;
        let mut ledger = PgConnection::connect(&self.database.url).await.unwrap();
        let newest =
            "delete from sessions where id = (select id from sessions order by id desc limit 1)";
        sqlx::query(newest).execute(&mut ledger).await.unwrap();
        let decided = series("ledger", "unknown");
        other
            .counts(&decided, async || whoami(&mut lost, 401).await)
            .await;
        let decided = series("cache", "unknown");
        other
            .counts(&decided, async || whoami(&mut lost, 401).await)
            .await;
        whoami(&mut bob, 200).await;
    }

    async fn log_ins_are_counted_by_what_came_of_them(&self) {
        let one = &self.one;
        let log_in = async |email: &str, password: &str, status| {
            let answer = one.program.browser().log_in(email, password).await;
            assert_eq!(answer.status, status, "{}", answer.text);
        };
        let series = |outcome| format!("gatelodge_logins_total{{outcome=\"{outcome}\"}}");
        let hashed = [
            &series("success"),
            "gatelodge_hashing_wait_seconds_count",
            "gatelodge_hashing_work_seconds_count",
        ];
        one.counts_all(&hashed, async || {
            log_in("bob@example.com", PASSWORD, 200).await;
        })
        .await;
        one.counts(&series("unknown_account"), async || {
            log_in("nobody@example.com", PASSWORD, 401).await;
        })
        .await;
        let carol = self.registered("carol@example.com").await.user_id().await;
        let mut root = self.logged_in(ADMIN).await;
        let lock = format!("/api/admin/users/{carol}/lock");
        assert_eq!(root.post(&lock, &json!({})).await.status, 200);
        one.counts(&series("locked"), async || {
            log_in("carol@example.com", PASSWORD, 401).await;
        })
        .await;
        let mut dan = self.registered("dan@example.com").await;
        one.counts(&series("wrong_password"), async || {
            for _ in 0..3 {
                log_in("dan@example.com", WRONG, 401).await;
            }
        })
        .await;
        one.counts(&series("throttled"), async || {
            log_in("dan@example.com", PASSWORD, 429).await;
        })
        .await;
        let crowded = [
            &series("busy"),
            "gatelodge_hashing_refused_total{reason=\"queue_full\"}",
        ];
        one.counts_all(&crowded, async || {
            let crowd = (0..30).map(|n| async move {
                let email = format!("nobody{n}@example.com");
                one.program.browser().log_in(&email, WRONG).await
            });
            join_all(crowd).await;
        })
        .await;
        one.counts("gatelodge_audit_dropped_total", async || {
            // A minute's worth and one; twice, in case the minute ends meanwhile.
            while one.shows("gatelodge_audit_dropped_total").await < 1.0 {
                for _ in 0..601 {
                    assert_eq!(dan.get("/api/admin/users").await.status, 403);
                }
            }
        })
        .await;
    }

    async fn exchanged_jwts_are_counted_by_what_came_of_them(&self) {
        let one = &self.one;
        let series = |outcome| format!("gatelodge_exchanges_total{{outcome=\"{outcome}\"}}");
        let jwt = |email| Key::secret().signed(claims(&Clock::new(), email));
        let bobs = jwt("bob@example.com");
        for (outcome, jwt, status) in [
            ("success", &*bobs, 200),
            ("used", &*bobs, 401),
            ("invalid", "nonsense", 401),
            ("unknown_account", &*jwt("nobody@example.com"), 401),
            ("locked", &*jwt("carol@example.com"), 401),
        ] {
            one.counts(&series(outcome), async || {
                let answer = one.program.browser().exchange(jwt).await;
                assert_eq!(answer.status, status, "{}", answer.text);
            })
            .await;
        }
    }

    async fn revocations_are_counted_and_timed_where_they_arrive(&self) {
        let (one, other) = (&self.one, &self.other);
        let series = |kind| format!("gatelodge_revocations_total{{kind=\"{kind}\"}}");
        let delay = |via| format!("gatelodge_revocation_delay_seconds_count{{via=\"{via}\"}}");
        let mut ada = self.logged_in("ada@example.com").await;
        let pushed = delay("push");
        other
            .counts(&pushed, async || {
                one.counts_all(&[&series("session_ended"), &delay("own")], async || {
                    assert_eq!(ada.log_out().await.status, 204);
                })
                .await;
            })
            .await;
        let sum = "gatelodge_revocation_delay_seconds_sum{via=\"push\"}";
        let (sum, count) = (other.shows(sum).await, other.shows(&pushed).await);
        assert!(sum > 0.0 && sum < count, "{sum} s for {count}");

        let mut ada = self.logged_in("ada@example.com").await;
        one.counts(&series("user_changed"), async || {
            let name = json!({ "name": "Augusta" });
            assert_eq!(ada.update_account(&name).await.status, 200);
        })
        .await;
        one.counts(&series("user_ended"), async || {
            assert_eq!(ada.revoke_all().await.status, 200);
        })
        .await;
        let mut root = self.logged_in(ADMIN).await;
        one.counts(&series("everyone_ended"), async || {
            let everyone = json!({ "filter": { "everyone": true } });
            let ended = root.post("/api/admin/sessions/revoke", &everyone).await;
            assert_eq!(ended.status, 200, "{}", ended.text);
        })
        .await;
        let (known, there) = (one.shows("gatelodge_log_reached").await, async || {
            other.shows("gatelodge_log_reached").await
        });
        assert!(known > 4.0);
        within(
            Duration::from_secs(2),
            "the other knows it, too",
            async || there().await >= known,
        )
        .await;
        assert!((one.shows("gatelodge_instances").await - 2.0).abs() < 0.1);
        assert!(one.shows("gatelodge_sessions").await >= 1.0);
    }

    async fn without_redis_it_is_told_who_takes_its_place(&self) {
        let (one, other) = (&self.one, &self.other);
        let fallback = |name| format!("gatelodge_fallbacks_total{{fallback=\"{name}\"}}");
        let mut ada = self.logged_in("ada@example.com").await;
        let mut bob = self.logged_in("bob@example.com").await;
        self.way_to_redis.cut();
        let errors = [
            "gatelodge_store_errors_total{store=\"redis\",failure=\"connection\"}",
            &fallback("hot_store_silent"),
        ];
        let mut there = self.at_other(&ada);
        other
            .counts_all(&errors, async || {
                assert_eq!(there.whoami().await.status, 200);
            })
            .await;
        let late = [&fallback("copy_not_kept")];
        one.counts(late[0], async || {
            drop(self.logged_in("ada@example.com").await);
        })
        .await;
        let polled = "gatelodge_revocation_delay_seconds_count{via=\"poll\"}";
        other
            .counts(polled, async || {
                let late = [&*fallback("push_lost"), &fallback("copies_dropped_later")];
                one.counts_all(&late, async || assert_eq!(ada.log_out().await.status, 204))
                    .await;
            })
            .await;
        one.counts(&fallback("touches_later"), async || {
            let noted = fallback("touches_later");
            within(Duration::from_secs(10), "a touch is due", async || {
                assert_eq!(bob.whoami().await.status, 200);
                one.shows(&noted).await > 0.0
            })
            .await;
        })
        .await;
        let replaced = "gatelodge_connections_replaced_total{pool=\"redis\"}";
        assert!(one.shows(replaced).await > 0.0);
        self.way_to_redis.pass();
    }

    async fn an_instance_cut_off_from_everything_says_so(&self) {
        let other = &self.other;
        let mut ada = self.at_other(&self.logged_in("ada@example.com").await);
        assert_eq!(ada.whoami().await.status, 200);
        assert!(other.shows("gatelodge_view_fresh").await > 0.0);
        let failed = [
            "gatelodge_store_errors_total{store=\"ledger_poll\",failure=\"connection\"}",
            "gatelodge_fallbacks_total{fallback=\"view_stale\"}",
            "gatelodge_checks_total{source=\"ledger\",outcome=\"unavailable\"}",
            "gatelodge_store_errors_total{store=\"ledger\",failure=\"connection\"}",
            "gatelodge_logins_total{outcome=\"unavailable\"}",
            "gatelodge_exchanges_total{outcome=\"unavailable\"}",
            "gatelodge_http_requests_total{route=\"/api/login\",method=\"POST\",status=\"5xx\"}",
        ];
        other
            .counts_all(&failed, async || {
                self.way_to_ledger.cut();
                self.way_to_redis.cut();
                within(
                    Duration::from_secs(5),
                    "it cannot tell any more",
                    async || ada.whoami().await.status == 503,
                )
                .await;
                let mut browser = other.program.browser();
                let refused = browser.log_in("ada@example.com", PASSWORD).await;
                assert_eq!(refused.status, 503);
                let jwt = Key::secret().signed(claims(&Clock::new(), "ada@example.com"));
                assert_eq!(browser.exchange(&jwt).await.status, 503);
            })
            .await;
        let told = other.scrape().await;
        assert_eq!(told.get("gatelodge_view_fresh"), Some(0.0));
        assert_eq!(told.get("gatelodge_ledger_silent"), Some(1.0));
        assert!(told.get("gatelodge_view_age_seconds").unwrap() >= 1.0);
        self.way_to_ledger.pass();
        self.way_to_redis.pass();
        let replaced = "gatelodge_connections_replaced_total{pool=\"ledger\"}";
        within(Duration::from_secs(10), "it has recovered", async || {
            ada.whoami().await.status == 200 && other.shows(replaced).await > 0.0
        })
        .await;
    }

    /// Each panel shows something, and names nothing that there is not.
    async fn the_dashboard_shows_it(&self) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/gatelodge.json");
        let dashboard: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut shown = 0;
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let (expression, legend) = (&target["expr"], &target["legendFormat"]);
                let expression = of_now(expression.as_str().unwrap());
                let labels = labels_in(&expression);
                for name in legend.as_str().unwrap().split("{{").skip(1) {
                    let name = name.split("}}").next().unwrap();
                    assert!(
                        labels.contains(name),
                        "no label {name} for {}",
                        panel["title"]
                    );
                }
                let what = format!("{} shows {expression}", panel["title"]);
                within(Duration::from_secs(20), &what, async || {
                    self.prometheus.evaluate(&expression).await > 0
                })
                .await;
                shown += 1;
            }
        }
        assert!(shown > 40);
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            let expression = of_now(annotation["expr"].as_str().unwrap());
            labels_in(&expression);
            self.prometheus.evaluate(&expression).await;
        }
    }

    async fn the_alert_rules_name_what_there_is(&self) {
        let rules = self.prometheus.rules().await;
        assert!(rules.len() > 20);
        for rule in rules {
            assert_eq!(rule["health"], "ok", "{rule}");
            labels_in(rule["query"].as_str().unwrap());
            for annotation in ["summary", "promise", "runbook"] {
                assert!(rule["annotations"][annotation].is_string(), "{rule}");
            }
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(["critical", "warning"].contains(&severity), "{rule}");
        }
    }
}

/// As Grafana fills it in.
fn of_now(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "1m")
        .replace("$job", "gatelodge")
        .replace("$instance", ".*")
}

#[tokio::test]
async fn whatever_happens_is_counted_and_the_dashboard_and_the_alerts_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::begin(folder.path()).await;
    scene.checks_are_counted_by_who_decides_them().await;
    scene.log_ins_are_counted_by_what_came_of_them().await;
    scene
        .exchanged_jwts_are_counted_by_what_came_of_them()
        .await;
    scene
        .revocations_are_counted_and_timed_where_they_arrive()
        .await;
    scene.without_redis_it_is_told_who_takes_its_place().await;
    scene.an_instance_cut_off_from_everything_says_so().await;
    for instance in [&scene.one, &scene.other] {
        let missing = instance.scrape().await.missing();
        assert!(missing.is_empty(), "{missing:?}");
    }
    scene.the_dashboard_shows_it().await;
    scene.the_alert_rules_name_what_there_is().await;
}
