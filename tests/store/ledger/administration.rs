use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use gatelodge::domain::audit::{Act, Action, EventFilter, Outcome, Recorded};
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::domain::link::LinkToken;
use gatelodge::domain::page::{Limit, PageOf};
use gatelodge::domain::revocation::Revocation;
use gatelodge::domain::session::{Draft, Selection, SessionFilter};
use gatelodge::domain::user::{Role, Status};
use gatelodge::entropy;
use gatelodge::store::ledger::{Earlier, FirstAdmin, Ledger, NewLink, NewUser, Refusal};
use rstest::rstest;
use sqlx::{Connection as _, PgConnection};
use zeroize::Zeroizing;

use super::Backend::{self, Postgres, Sqlite};
use super::{
    CURRENT, NOW, act, draft, draft_at, hash, is_alive, issued, log, new_user, open, place,
    registered, verified,
};

fn link() -> NewLink {
    NewLink {
        digest: LinkToken::new(Zeroizing::new(entropy::random())).digest(),
        expires_at: NOW + Duration::from_hours(1),
    }
}

/// A few at a time: each has a second from when it begins.
async fn issue_many(ledger: &Ledger, user: UserId, count: usize) {
    let issue = stream::iter(0..count).map(|_| issued(ledger, user));
    issue.buffer_unordered(4).count().await;
}

/// A link to set up the first admin, which must be had.
async fn setup_link(ledger: &Ledger, earlier: Earlier) -> NewLink {
    let link = link();
    let is_issued = ledger.issue_setup_link(&link, earlier, act()).await;
    assert!(is_issued.unwrap());
    link
}

fn admin(email: &str) -> NewUser {
    let mut new = new_user(email);
    new.user.role = Role::Admin;
    new
}

/// A ledger with an admin in it.
async fn with_admin(backend: Backend) -> (super::TestLedger, NewUser) {
    let ledger = open(backend).await;
    let root = admin("root@example.com");
    let first = ledger.create_first_admin(&root, act()).await.unwrap();
    assert_eq!(first, FirstAdmin::Created);
    (ledger, root)
}

fn all_of(user: UserId) -> Selection {
    let filter = SessionFilter {
        user: Some(user),
        ..SessionFilter::default()
    };
    Selection::of(filter).unwrap()
}

async fn everyone(ledger: &Ledger) {
    let committed = ledger.revoke_everyone(None, act()).await.unwrap();
    assert_eq!(committed.appended.entries.len(), 1);
}

#[rstest]
#[tokio::test]
async fn everyone_ends_who_was_born_before(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let second = issued(&ledger, user).await;
    everyone(&ledger).await;
    let after = issued(&ledger, user).await;

    for dead in [&first, &second] {
        assert!(!is_alive(&ledger, dead).await);
        assert_eq!(ledger.session(dead.id, NOW).await.unwrap(), None);
        let revoked = ledger.revoke_session(user, dead.id, act()).await.unwrap();
        assert!(revoked.is_none(), "it has ended already");
        let spared = ledger
            .revoke_other_sessions(user, dead.id, act())
            .await
            .unwrap();
        assert!(spared.is_none(), "the dead are not spared");
        let change = ledger
            .change_password(user, dead.id, CURRENT, &hash("2"), &draft(), act())
            .await
            .unwrap();
        assert_eq!(change.unwrap_err(), Refusal::SessionEnded);
    }
    assert!(is_alive(&ledger, &after).await);
    let listed = ledger.list_sessions(user, NOW).await.unwrap();
    assert_eq!(listed.len(), 1);
    let (count, _) = ledger.revoke_all_sessions(user, None, act()).await.unwrap();
    assert_eq!(count, 1);
    everyone(&ledger).await;
    assert!(!is_alive(&ledger, &after).await);
    let entries = log(&ledger).await.entries;
    let kinds: Vec<_> = entries.iter().map(|entry| entry.revocation).collect();
    let ended = Revocation::UserEnded { user, spared: None };
    assert_eq!(
        kinds,
        [Revocation::EveryoneEnded, ended, Revocation::EveryoneEnded]
    );
}

/// Which of these are still in the ledger, dead or alive.
async fn left(ledger: &Ledger, drafts: &[Draft]) -> Vec<bool> {
    let mut left = Vec::new();
    for draft in drafts {
        left.push(ledger.owner_of(draft.id).await.unwrap().is_some());
    }
    left
}

#[rstest]
#[tokio::test]
async fn what_is_over_is_reaped_and_nothing_else(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let (bobs, bob) = registered(&ledger, "bob@example.com").await;
    let (user, bob) = (issue.user.id, bob.user.id);
    let second = issued(&ledger, user).await;
    let all = [first, second, bobs];
    let reap = async |now| {
        assert_eq!(ledger.delete_dead_sessions(None, now).await.unwrap(), None);
        left(&ledger, &all).await
    };
    assert_eq!(reap(NOW).await, [true, true, true]);

    // Of an older generation, but for the one spared.
    let others = ledger.revoke_other_sessions(user, all[1].id, act()).await;
    assert_eq!(others.unwrap().unwrap().0, 1);
    assert_eq!(reap(NOW).await, [false, true, true]);

    // Idle for so long that nobody can have seen it.
    let idle = NOW + Duration::from_hours(2);
    assert_eq!(reap(idle).await, [false, true, true]);
    let touched = ledger.touch_sessions(vec![(all[2].id, idle)]).await;
    assert_eq!(touched.unwrap().recorded, [all[2].id]);
    let long_idle = NOW + Duration::from_mins(153);
    assert_eq!(reap(long_idle).await, [false, false, true]);

    // Without its user.
    assert!(ledger.delete_user(bob, act()).await.unwrap().is_ok());
    assert!(!is_alive(&ledger, &all[2]).await);
    assert_eq!(left(&ledger, &all).await, [false, false, true]);
    assert_eq!(reap(long_idle).await, [false, false, false]);
}

#[rstest]
#[tokio::test]
async fn what_ended_with_everyones_or_expired_is_reaped_step_by_step(
    #[values(Postgres, Sqlite)] backend: Backend,
    #[values("everyone", "expiry")] over_by: &str,
) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    issue_many(&ledger, user, 1100).await;
    let now = if over_by == "everyone" {
        everyone(&ledger).await;
        NOW
    } else {
        NOW + Duration::from_hours(24)
    };
    let later = draft_at(now);
    let issue = ledger
        .issue_session(verified(user), &later, None, None, act())
        .await;
    assert!(issue.unwrap().is_some());
    let next = ledger.delete_dead_sessions(None, now).await.unwrap();
    assert!(next.is_some());
    assert_eq!(ledger.delete_dead_sessions(next, now).await.unwrap(), None);
    let listed = ledger.list_sessions(user, now).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|session| session.id).collect();
    assert_eq!(ids, [later.id]);
    assert!(is_alive(&ledger, &later).await);
}

#[rstest]
#[tokio::test]
async fn chores_are_done_by_one(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let due = NOW - Duration::from_mins(1);
    let begun = join_all((0..4).map(|_| ledger.begin_chores(NOW, due))).await;
    let winners = begun
        .into_iter()
        .filter(|one| *one.as_ref().unwrap())
        .count();
    assert_eq!(winners, 1);
    let later = NOW + Duration::from_mins(1);
    assert!(ledger.begin_chores(later, NOW).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn a_selection_ends_in_steps(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let (other, _) = registered(&ledger, "bob@example.com").await;
    issue_many(&ledger, user, 300).await;
    let selection = all_of(user);
    let counted = ledger.count_matching(&selection, None, NOW).await.unwrap();
    assert_eq!((counted.matched, counted.next), (301, None));

    let (first, committed) = ledger
        .revoke_matching(&selection, None, None, act())
        .await
        .unwrap();
    assert_eq!((first.matched, committed.ended.len()), (200, 200));
    assert_eq!(committed.appended.entries.len(), 200);
    let (second, committed) = ledger
        .revoke_matching(&selection, first.next, None, act())
        .await
        .unwrap();
    assert_eq!(
        (second.matched, committed.ended.len(), second.next),
        (101, 101, None)
    );
    assert!(is_alive(&ledger, &other).await);
    let (again, committed) = ledger
        .revoke_matching(&selection, None, None, act())
        .await
        .unwrap();
    assert_eq!((again.matched, again.next), (0, None));
    assert!(committed.appended.entries.is_empty());
}

/// A session that the ledger takes for idle may have been seen by a hot store.
#[rstest]
#[tokio::test]
async fn a_selection_ends_idle_sessions_as_well(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (idle, issue) = registered(&ledger, "ada@example.com").await;
    let selection = all_of(issue.user.id);
    let later = Act {
        at: NOW + Duration::from_hours(3),
        ..act()
    };
    let page = ledger
        .list_all_sessions(selection.filter(), later.at, PageOf::first(Limit::MAX))
        .await;
    assert!(page.unwrap().items.is_empty());
    let counted = ledger
        .count_matching(&selection, None, later.at)
        .await
        .unwrap();
    assert_eq!(counted.matched, 1);
    let (swept, _) = ledger
        .revoke_matching(&selection, None, None, later)
        .await
        .unwrap();
    assert_eq!(swept.matched, 1);
    assert!(!is_alive(&ledger, &idle).await);
}

/// While a selection is swept, the user ends all others and spares one that it
/// is for: it ends all the same.
#[tokio::test]
async fn a_sweep_that_waits_for_a_spared_session_ends_it() {
    let (url, _data, _database) = place(Postgres).await;
    let ledger = Ledger::connect(&url, 5).await.unwrap();
    ledger.migrate().await.unwrap();
    let (spared, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let mut meanwhile = PgConnection::connect(&url).await.unwrap();
    let id = spared.id;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "begin; update users set session_generation = 2 where id = '{user}'; \
         update sessions set generation = 2 where id = '{id}'"
    )))
    .execute(&mut meanwhile)
    .await
    .unwrap();
    let selection = all_of(user);
    let sweep = ledger.revoke_matching(&selection, None, None, act());
    let commit = async {
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                     and datname = current_database()";
        let mut watcher = PgConnection::connect(&url).await.unwrap();
        crate::support::eventually("the sweep waits", async || {
            let (waiting,): (i64,) = sqlx::query_as(waits).fetch_one(&mut watcher).await.unwrap();
            waiting > 0
        })
        .await;
        sqlx::raw_sql("commit")
            .execute(&mut meanwhile)
            .await
            .unwrap();
    };
    let (swept, ()) = tokio::join!(sweep, commit);
    let (_, committed) = swept.unwrap();
    assert_eq!(committed.ended.len(), 1);
    assert!(!is_alive(&ledger, &spared).await);
}

#[rstest]
#[tokio::test]
async fn there_is_one_first_admin(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let first = setup_link(&ledger, Earlier::Kept).await;
    let second = setup_link(&ledger, Earlier::Kept).await;
    assert_eq!(
        ledger.find_link_holder(&first.digest, NOW).await.unwrap(),
        None
    );
    let many: Vec<_> = (0..8)
        .map(|n| admin(&format!("admin{n}@example.com")))
        .collect();
    let set_up = many.iter().enumerate().map(|(n, new)| {
        let link = if n % 2 == 0 { &first } else { &second };
        ledger.set_up(&link.digest, new, act())
    });
    let outcomes = join_all(set_up).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let created = outcomes
        .iter()
        .filter(|one| **one == FirstAdmin::Created)
        .count();
    assert_eq!(created, 1, "{outcomes:?}");
    assert!(!ledger.is_setup_link(&second.digest, NOW).await.unwrap());
    assert!(
        !ledger
            .issue_setup_link(&link(), Earlier::Replaced, act())
            .await
            .unwrap()
    );
    let late = ledger
        .create_first_admin(&admin("x@example.com"), act())
        .await
        .unwrap();
    assert_eq!(late, FirstAdmin::Exists);
}

#[rstest]
#[tokio::test]
async fn a_newer_setup_link_can_replace_the_others(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let first = setup_link(&ledger, Earlier::Kept).await;
    let second = setup_link(&ledger, Earlier::Replaced).await;
    let new = admin("root@example.com");
    assert_eq!(
        ledger.set_up(&first.digest, &new, act()).await.unwrap(),
        FirstAdmin::Exists
    );
    let set_up = ledger.set_up(&second.digest, &new, act()).await.unwrap();
    assert_eq!(set_up, FirstAdmin::Created);
}

#[rstest]
#[tokio::test]
async fn links_of_users_and_of_the_setup_are_not_mistaken(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let setup = setup_link(&ledger, Earlier::Kept).await;
    let password = link();
    assert!(
        ledger
            .issue_link(issue.user.id, &password, act())
            .await
            .unwrap()
    );
    let redeemed = ledger
        .redeem_link(&setup.digest, &hash("2"), act())
        .await
        .unwrap();
    assert_eq!(redeemed.unwrap_err(), Refusal::NotFound);
    let set_up = ledger
        .set_up(&password.digest, &admin("eve@example.com"), act())
        .await;
    assert_eq!(set_up.unwrap(), FirstAdmin::Exists);
    assert!(
        ledger
            .find_link_holder(&password.digest, NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert!(ledger.is_setup_link(&setup.digest, NOW).await.unwrap());
    let nobody = UserId::new(NOW, entropy::random());
    assert!(!ledger.issue_link(nobody, &link(), act()).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn a_link_is_redeemed_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (session, issue) = registered(&ledger, "ada@example.com").await;
    let link = link();
    assert!(
        ledger
            .issue_link(issue.user.id, &link, act())
            .await
            .unwrap()
    );
    let hashes: Vec<_> = (0..8).map(|n| hash(&n.to_string())).collect();
    let redeem = hashes
        .iter()
        .map(|hash| ledger.redeem_link(&link.digest, hash, act()));
    let outcomes = join_all(redeem).await;
    let won: Vec<_> = outcomes
        .into_iter()
        .zip(&hashes)
        .filter(|(one, _)| one.as_ref().unwrap().is_ok())
        .collect();
    assert_eq!(won.len(), 1);
    let now = ledger.credentials_of(issue.user.id).await.unwrap().unwrap();
    assert_eq!(now.password_hash.as_ref(), Some(won[0].1));
    assert!(!is_alive(&ledger, &session).await);
}

#[rstest]
#[tokio::test]
async fn links_are_reaped_when_they_are_old(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let link = link();
    assert!(
        ledger
            .issue_link(issue.user.id, &link, act())
            .await
            .unwrap()
    );
    ledger.delete_expired_links(NOW).await.unwrap();
    let holder = ledger.find_link_holder(&link.digest, NOW).await.unwrap();
    assert_eq!(holder, Some(issue.user));
    let late = ledger.find_link_holder(&link.digest, link.expires_at);
    assert_eq!(late.await.unwrap(), None);
    ledger.delete_expired_links(link.expires_at).await.unwrap();
    assert_eq!(
        ledger.find_link_holder(&link.digest, NOW).await.unwrap(),
        None
    );
}

#[rstest]
#[tokio::test]
async fn an_admin_who_cannot_log_in_does_not_count(#[values(Postgres, Sqlite)] backend: Backend) {
    let (ledger, root) = with_admin(backend).await;
    let invited = NewUser {
        password_hash: None,
        ..admin("invited@example.com")
    };
    assert!(
        ledger
            .create_user(&invited, Some(&link()), act())
            .await
            .unwrap()
    );
    let locked = admin("locked@example.com");
    assert!(ledger.create_user(&locked, None, act()).await.unwrap());
    let done = ledger
        .set_status(locked.user.id, Status::Locked, act())
        .await
        .unwrap();
    assert!(done.is_ok());
    for outcome in [
        ledger
            .set_status(root.user.id, Status::Locked, act())
            .await
            .unwrap(),
        ledger
            .set_role(root.user.id, Role::User, act())
            .await
            .unwrap(),
        ledger.delete_user(root.user.id, act()).await.unwrap(),
    ] {
        assert_eq!(outcome.unwrap_err(), Refusal::LastAdmin);
    }
    // Those who do not count can be taken away.
    for user in [&invited, &locked] {
        assert!(
            ledger
                .delete_user(user.user.id, act())
                .await
                .unwrap()
                .is_ok()
        );
        let again = ledger.delete_user(user.user.id, act()).await.unwrap();
        assert_eq!(again.unwrap_err(), Refusal::NotFound);
    }
}

#[rstest]
#[tokio::test]
async fn the_audit_log_is_read_on_from_where_it_was_left(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    for n in 0..5 {
        let at = NOW + Duration::from_millis(n);
        let act = Act { at, ..act() };
        let failed = act.did_to_nobody(Action::LoginFailed);
        ledger.record(&failed.with(n.to_string())).await.unwrap();
    }
    let all = EventFilter::default();
    let mut read = Vec::new();
    loop {
        let after = read.last().map(|event: &Recorded| event.id);
        let page = ledger.events_after(all, after, 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let details: Vec<_> = read.iter().filter_map(|e| e.detail.as_deref()).collect();
    assert_eq!(details, ["0", "1", "2", "3", "4"]);
    for event in &read {
        assert_eq!(event.source, act().source);
        assert_eq!(event.outcome, Outcome::Failure);
    }
    let some = EventFilter {
        action: Some(Action::LoginFailed),
        since: Some(NOW + Duration::from_millis(1)),
        until: Some(NOW + Duration::from_millis(3)),
        ..all
    };
    let page = ledger.events_after(some, None, 9).await.unwrap();
    let details: Vec<_> = page.iter().filter_map(|e| e.detail.as_deref()).collect();
    assert_eq!(details, ["1", "2"]);
}

#[rstest]
#[tokio::test]
async fn old_events_are_forgotten_in_batches(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    for n in 0..5 {
        registered(&ledger, &format!("user{n}@example.com")).await;
    }
    assert_eq!(ledger.delete_events(NOW, 3).await.unwrap(), 0);
    let later = NOW + Duration::from_millis(1);
    assert_eq!(ledger.delete_events(later, 3).await.unwrap(), 3);
    assert_eq!(ledger.delete_events(later, 3).await.unwrap(), 2);
    let left = ledger
        .list_events(EventFilter::default(), PageOf::first(Limit::MAX))
        .await;
    assert!(left.unwrap().items.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_session_is_known_by_its_public_id(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (draft, issue) = registered(&ledger, "ada@example.com").await;
    let shown = ledger.session(draft.id, NOW).await.unwrap();
    assert_eq!(shown, Some(issue.session));
    assert_eq!(
        ledger.owner_of(draft.id).await.unwrap(),
        Some(issue.user.id)
    );
    let idle = NOW + Duration::from_hours(3);
    assert_eq!(ledger.session(draft.id, idle).await.unwrap(), None);
    let unknown = SessionId::new(NOW, entropy::random());
    assert_eq!(ledger.session(unknown, NOW).await.unwrap(), None);
    assert_eq!(ledger.owner_of(unknown).await.unwrap(), None);
    let digest = TokenDigest::from_bytes([9; 32]);
    assert!(ledger.find_session(&digest).await.unwrap().is_none());
}

/// A database of the schema before, with a user, two sessions and an event.
const BEFORE: [(&str, &str); 2] = [
    (
        include_str!("../../../migrations/sqlite/0001_users_sessions_revocations.sql"),
        "insert into users (id, email, name, role, status, password_hash, created_at) values
            (x'01900000000070008000000000000001', 'ada@example.com', 'Ada', 'user', 'active', 'x', 0);
        insert into sessions values
            (x'01900000000070008000000000000002', zeroblob(32), x'01900000000070008000000000000001',
             1, 0, 1800000000000, 1800000000000, 1800000000000, 1800086400000, 7200000, 0,
             '203.0.113.9', 'curl');
        insert into events values (x'01900000000070008000000000000003', 1800000000000, 'logged_in',
            x'01900000000070008000000000000001', x'01900000000070008000000000000001', null, '::1');",
    ),
    (
        include_str!("../../../migrations/postgres/0001_users_sessions_revocations.sql"),
        "insert into users (id, email, name, role, status, password_hash, created_at) values
            ('01900000-0000-7000-8000-000000000001', 'ada@example.com', 'Ada', 'user', 'active', 'x', now());
        insert into sessions values
            ('01900000-0000-7000-8000-000000000002', decode(repeat('00', 32), 'hex'),
             '01900000-0000-7000-8000-000000000001', 1, 0, to_timestamp(1800000000),
             to_timestamp(1800000000), to_timestamp(1800000000), to_timestamp(1800086400), 7200000,
             false, '203.0.113.9', 'curl');
        insert into events values ('01900000-0000-7000-8000-000000000003', to_timestamp(1800000000),
            'logged_in', '01900000-0000-7000-8000-000000000001',
            '01900000-0000-7000-8000-000000000001', null, '::1');",
    ),
];

#[rstest]
#[tokio::test]
async fn what_the_schema_before_held_is_kept(#[values(Postgres, Sqlite)] backend: Backend) {
    let (url, _data, _database) = place(backend).await;
    let ledger = Ledger::connect(&url, 2).await.unwrap();
    ledger.migrate().await.unwrap();
    let (rewind, [sqlite, postgres]) = ("delete from _sqlx_migrations where version > 1", BEFORE);
    match backend {
        Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            let tables = "drop table password_links; drop table admin_roster; drop table chores;
                drop table sessions; drop table users; drop table revocations;
                drop table revocation_head; drop table events; drop table instances; drop table attempts;
                drop table exchanged_jwts;";
            for sql in [tables, sqlite.0, sqlite.1, rewind] {
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
        Postgres => {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let tables = "drop table password_links, admin_roster, chores, sessions, users,
                revocations, revocation_head, events, instances, attempts, exchanged_jwts;";
            for sql in [tables, postgres.0, postgres.1, rewind] {
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
    }
    ledger.migrate().await.unwrap();
    let record = ledger
        .find_session(&TokenDigest::from_bytes([0; 32]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.email.as_str(), "ada@example.com");
    let address = record.session.address.unwrap();
    assert_eq!(address.to_string(), "203.0.113.9");
    let events = ledger
        .list_events(EventFilter::default(), PageOf::first(Limit::MAX))
        .await;
    let event = &events.unwrap().items[0];
    assert_eq!(event.source.address.unwrap().to_string(), "::1");
    assert_eq!(event.subject, Some(record.session.user_id));
}
