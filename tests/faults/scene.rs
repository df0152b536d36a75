//! A deployment with the oracle at work, and what scenarios do with both.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};

use super::deployment::{At, Company, Deployment, EVERYWHERE};
use super::oracle::{ANSWER, Bounds, Leave, Oracle, Watch};
use crate::support::app::PASSWORD;
use crate::support::{Browser, within};

/// Always, while all is healthy (P1).
pub const PROMISED: Duration = Duration::from_secs(1);

/// A login and the like (P7).
const LOGIN: Duration = Duration::from_secs(5);

pub struct Scene {
    pub oracle: Oracle,
    pub deployment: Deployment,
}

/// Somebody logged in, and watched.
pub struct Session {
    pub browser: Browser,
    pub id: String,
    pub watch: Watch,
}

impl Scene {
    /// Every session is asked about that often on every instance.
    const PACE: Duration = Duration::from_millis(25);

    pub async fn begin(settings: &[(&str, &str)]) -> Self {
        let deployment = Deployment::start(Company::Others, settings).await;
        Self::of(deployment, Self::PACE)
    }

    /// With nothing beside it, for figures.
    pub async fn begin_alone(settings: &[(&str, &str)], pace: Duration) -> Self {
        Self::of(Deployment::start(Company::Nobody, settings).await, pace)
    }

    /// On a PostgreSQL of its own.
    pub async fn begin_with_own_postgres(settings: &[(&str, &str)]) -> Self {
        let deployment = Deployment::with_own_postgres(settings).await;
        Self::of(deployment, Self::PACE)
    }

    fn of(deployment: Deployment, pace: Duration) -> Self {
        let addresses = EVERYWHERE.map(|at| deployment[at].address());
        Self {
            oracle: Oracle::start(addresses, pace),
            deployment,
        }
    }

    /// Somebody logs in there, who is registered if need be.
    pub async fn log_in(&self, at: At, email: &str) -> Session {
        let mut browser = self.deployment[at].browser();
        let begun = Instant::now();
        let mut answer = browser.log_in(email, PASSWORD).await;
        if answer.status == 401 {
            answer = browser.register(email, PASSWORD).await;
        }
        let taken = begun.elapsed();
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        assert!(taken < LOGIN, "logged in after {taken:?}");
        let body = answer.json();
        let id = body["session"]["id"].as_str().expect("an id").to_owned();
        let cookie = browser.token.as_deref().expect("a cookie");
        Session {
            watch: self.oracle.watch(email, cookie),
            browser,
            id,
        }
    }

    pub async fn log_in_several(&self, at: At, email: &str, count: usize) -> Vec<Session> {
        let mut sessions = Vec::new();
        for _ in 0..count {
            sessions.push(self.log_in(at, email).await);
        }
        sessions
    }

    /// Asks an instance to end a session. If that is answered with 204, it holds
    /// on each instance within its bound; if not, the oracle is told nothing yet.
    pub async fn end_at(&self, at: At, session: &Session, bounds: Bounds) -> Option<u16> {
        self.oracle
            .note(format!("{at:?} is asked to end {:?}", session.watch));
        self.oracle.end_is_asked(session.watch);
        let status = answer_to(self.ending_at(at, session, "")).await;
        self.oracle.note(format!(
            "{at:?} answers {status:?} about the end of {:?}",
            session.watch
        ));
        if status == Some(204) {
            self.oracle.end_is_answered(session.watch, bounds);
        }
        status
    }

    pub fn ending_at(&self, at: At, session: &Session, query: &str) -> RequestBuilder {
        let browser = session.browser.at(self.deployment[at].address());
        browser.request(
            Method::DELETE,
            &format!("/api/sessions/{}{query}", session.id),
        )
    }

    /// Ends a session where that must succeed.
    pub async fn must_end_at(&self, at: At, session: &Session, bounds: Bounds) {
        let status = self.end_at(at, session, bounds).await;
        assert_eq!(status, Some(204), "{at:?} does not end a session");
    }

    /// Ends a session and waits until nobody accepts it: from the answer on, nobody
    /// does.
    pub async fn ends_effectively(&self, at: At, session: &Session) {
        self.oracle.end_is_asked(session.watch);
        let status = answer_to(self.ending_at(at, session, "?wait=effective")).await;
        assert_eq!(
            status,
            Some(204),
            "{at:?} does not end a session everywhere"
        );
        let bounds = Bounds::all(Duration::ZERO);
        self.oracle.end_is_answered(session.watch, bounds);
    }

    /// Nothing can be changed there: neither a login nor an end is possible, and
    /// both say so in time.
    pub async fn refuses_changes(&self, at: At, session: &Session) {
        let status = self.end_at(at, session, Bounds::all(PROMISED)).await;
        assert_eq!(status, Some(503), "{at:?}, asked to end a session");
        let mut browser = self.deployment[at].browser();
        let begun = Instant::now();
        let answer = browser.log_in("ada@example.com", PASSWORD).await;
        let taken = begun.elapsed();
        answer.assert_problem(503, "unavailable");
        assert!(taken < ANSWER, "{at:?} refused a login after {taken:?}");
        self.oracle.end_is_off(session.watch);
    }

    /// Waits until that instance, asked from now on, says so about the session. What
    /// it may say until then is the oracle's business.
    pub async fn says(&self, at: At, watch: Watch, status: u16) {
        self.says_within(LOGIN, at, watch, status).await;
    }

    /// The same, where the time itself is promised.
    pub async fn says_within(&self, limit: Duration, at: At, watch: Watch, status: u16) {
        let since = Instant::now();
        within(limit, &format!("{at:?} says {status}"), async || {
            self.oracle.has_said(watch, at, since, status)
        })
        .await;
    }

    /// Everything works again everywhere, and with it the push: somebody who logs
    /// in on one is known to the others, and forgotten by all when logged out.
    pub async fn recovers_within(&self, limit: Duration, instances: &[At]) {
        let deadline = Instant::now() + limit;
        for &at in instances {
            let left = deadline.saturating_duration_since(Instant::now());
            let what = format!("{at:?} is as it was");
            within(left, &what, async || self.is_as_ever(at, instances).await).await;
        }
        self.oracle.note("all is as it was");
        self.oracle.expect_all(instances);
    }

    async fn is_as_ever(&self, at: At, instances: &[At]) -> bool {
        let mut browser = self.deployment[at].browser();
        if browser.log_in("ada@example.com", PASSWORD).await.status != 200 {
            return false;
        }
        let mut kept = Vec::new();
        for &other in instances {
            let mut there = browser.at(self.deployment[other].address());
            if there.whoami().await.status != 200 {
                return false;
            }
            kept.push(there);
        }
        if browser.log_out().await.status != 204 {
            return false;
        }
        let ended_at = Instant::now();
        for mut there in kept {
            while there.whoami().await.status == 200 {
                if ended_at.elapsed() > PROMISED {
                    return false;
                }
            }
        }
        true
    }

    /// The oracle's judgement, last of all.
    pub async fn ends(self) {
        self.oracle.judge().await;
    }

    /// From now on, these may say that they cannot tell.
    pub fn may_not_tell(&self, instances: &[At]) {
        self.oracle.allow(instances, Leave::CannotTell);
    }
}

/// Sends what changes something; the status, if there is an answer, which comes
/// in time.
pub async fn answer_to(request: RequestBuilder) -> Option<u16> {
    let begun = Instant::now();
    let response = request.send().await.ok()?;
    let taken = begun.elapsed();
    assert!(taken < ANSWER, "answered after {taken:?}");
    Some(response.status().as_u16())
}
