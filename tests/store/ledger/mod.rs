//! What a ledger must do, whichever it is.

mod administration;
mod attempts;
mod connections;
mod exchanges;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use gatelodge::domain::audit::{Act, Actor, Source};
use gatelodge::domain::client::{Client, UserAgent};
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::email::Email;
use gatelodge::domain::id::{RequestId, SessionId, UserId};
use gatelodge::domain::password::PasswordHash;
use gatelodge::domain::revocation::{LogNumber, Revocation};
use gatelodge::domain::session::{Draft, Lifetime};
use gatelodge::domain::time::Timestamp;
use gatelodge::domain::user::{CredentialVersion, Role, Status, User, UserName};
use gatelodge::entropy;
use gatelodge::store::ledger::{
    ChangedEmail, Issue, Ledger, LogPage, NewUser, Proof, Refusal, Touched,
};
use rstest::rstest;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::app::TestDatabase;

#[derive(Clone, Copy, Debug)]
enum Backend {
    Postgres,
    Sqlite,
}
use Backend::{Postgres, Sqlite};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CURRENT: CredentialVersion = CredentialVersion(1);

struct TestLedger {
    ledger: Ledger,
    _data: TempDir,
    _database: Option<TestDatabase>,
}

impl std::ops::Deref for TestLedger {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

async fn open(backend: Backend) -> TestLedger {
    let (url, data, database) = place(backend).await;
    let ledger = Ledger::connect(&url, 5).await.unwrap();
    ledger.migrate().await.unwrap();
    TestLedger {
        ledger,
        _data: data,
        _database: database,
    }
}

/// Where a ledger can be, and what holds the place.
async fn place(backend: Backend) -> (String, TempDir, Option<TestDatabase>) {
    let data = tempfile::tempdir().unwrap();
    match backend {
        Sqlite => {
            let path = data.path().join("ledger.db");
            (format!("sqlite://{}", path.display()), data, None)
        }
        Postgres => {
            let database = TestDatabase::create().await;
            (database.url.clone(), data, Some(database))
        }
    }
}

fn act() -> Act {
    Act {
        at: NOW,
        actor: Actor::Stranger,
        source: Source {
            address: Some("203.0.113.9".parse().unwrap()),
            request: Some(RequestId::first_at(NOW)),
        },
    }
}

fn draft() -> Draft {
    draft_at(NOW)
}

fn draft_at(issued_at: Timestamp) -> Draft {
    Draft {
        id: SessionId::new(issued_at, entropy::random()),
        digest: TokenDigest::from_bytes(entropy::random()),
        issued_at,
        lifetime: Lifetime {
            idle: Duration::from_hours(2),
            absolute: Duration::from_hours(24),
        },
        remember_me: false,
        client: Client {
            source: Source {
                address: Some("2001:db8::1".parse().unwrap()),
                request: None,
            },
            user_agent: UserAgent::parse(b"curl/8.5.0"),
        },
    }
}

fn new_user(email: &str) -> NewUser {
    NewUser {
        user: User {
            id: UserId::new(NOW, entropy::random()),
            email: Email::parse(email).unwrap(),
            name: UserName::parse("Ada").unwrap(),
            role: Role::User,
            status: Status::Active,
            created_at: NOW,
        },
        password_hash: Some(hash("1")),
    }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

/// A user with one session.
async fn registered(ledger: &Ledger, email: &str) -> (Draft, Issue) {
    let draft = draft();
    let issue = ledger
        .register(&new_user(email), &draft, None, act())
        .await
        .unwrap();
    (draft, issue.expect("the address is free"))
}

async fn issued(ledger: &Ledger, user: UserId) -> Draft {
    let draft = draft();
    let issue = ledger
        .issue_session(verified(user), &draft, None, None, act())
        .await
        .unwrap();
    issue.expect("the credential is current");
    draft
}

fn verified(user: UserId) -> Proof<'static> {
    Proof {
        user,
        version: CURRENT,
        budgets: &[],
    }
}

async fn is_alive(ledger: &Ledger, draft: &Draft) -> bool {
    ledger.find_session(&draft.digest).await.unwrap().is_some()
}

async fn log(ledger: &Ledger) -> LogPage {
    let mut reader = ledger.log_reader().await.unwrap();
    reader.read(Some(LogNumber::new(0))).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_user_is_registered_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    let again = ledger
        .register(&new_user("ada@example.com"), &draft(), None, act())
        .await
        .unwrap();
    assert!(again.is_none());
    let credentials = ledger
        .find_credentials(&Email::parse("ada@example.com").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(credentials.user, issue.user);
    assert_eq!(credentials.password_hash, Some(hash("1")));
    assert_eq!(credentials.version, CURRENT);
    let by_id = ledger.credentials_of(issue.user.id).await.unwrap().unwrap();
    assert_eq!(by_id.user, issue.user);
    let nobody = ledger
        .find_credentials(&Email::parse("bob@example.com").unwrap())
        .await;
    assert!(nobody.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_session_is_found_as_it_was_inserted(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (draft, issue) = registered(&ledger, "ada@example.com").await;
    let record = ledger.find_session(&draft.digest).await.unwrap().unwrap();
    assert_eq!(record.session, issue.session);
    assert_eq!(record.session.address, draft.client.source.address);
    assert_eq!(record.session.user_agent, draft.client.user_agent);
    assert_eq!(record.session.expires_at, NOW + Duration::from_hours(24));
    assert_eq!(record.user(), issue.user);
    assert_eq!(record.ledger_seen_at, NOW);
    assert_eq!(record.session.born.get(), record.vouched.number.get());
    let unknown = TokenDigest::from_bytes([0; 32]);
    assert!(ledger.find_session(&unknown).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_session_is_issued_only_to_the_credential_verified(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let (user, session) = (issue.user.id, issue.session.id);
    let changed = draft();
    let change = ledger
        .change_password(user, session, CURRENT, &hash("2"), &changed, act())
        .await;
    assert!(change.unwrap().is_ok());

    let late = draft();
    let issue = ledger
        .issue_session(verified(user), &late, None, None, act())
        .await
        .unwrap();
    assert!(
        issue.is_none(),
        "the password was changed while it was verified"
    );
    assert!(!is_alive(&ledger, &late).await);
    let again = ledger
        .change_password(user, session, CURRENT, &hash("3"), &draft(), act())
        .await;
    assert_eq!(again.unwrap().unwrap_err(), Refusal::SessionEnded);
    assert!(!is_alive(&ledger, &first).await);
    assert!(is_alive(&ledger, &changed).await);
    let nobody = UserId::new(NOW, entropy::random());
    let issue = ledger
        .issue_session(verified(nobody), &draft(), None, None, act())
        .await
        .unwrap();
    assert!(issue.is_none());
}

#[rstest]
#[tokio::test]
async fn every_end_is_in_the_log_with_its_number(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let (second, third, fourth) = (
        issued(&ledger, user).await,
        issued(&ledger, user).await,
        issued(&ledger, user).await,
    );
    assert_eq!(
        log(&ledger).await.head.number,
        LogNumber::new(0),
        "logging in is no entry"
    );

    let logged_out = ledger
        .log_out(first.digest.into(), act())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(logged_out.ended, [first.digest]);
    assert!(
        ledger
            .log_out(first.digest.into(), act())
            .await
            .unwrap()
            .is_none()
    );
    let revoked = ledger
        .revoke_session(user, second.id, act())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(revoked.ended, [second.digest]);
    assert!(
        ledger
            .revoke_session(user, second.id, act())
            .await
            .unwrap()
            .is_none()
    );
    let others = ledger
        .revoke_other_sessions(user, third.id, act())
        .await
        .unwrap();
    let (count, others) = others.unwrap();
    assert_eq!(count, 1);
    let (_, renamed) = ledger
        .change_name(
            user,
            third.id,
            &UserName::parse("Ada Lovelace").unwrap(),
            act(),
        )
        .await
        .unwrap()
        .unwrap();
    assert!(renamed.ended.is_empty());
    let (count, all) = ledger.revoke_all_sessions(user, None, act()).await.unwrap();
    assert_eq!(count, 1);

    let page = log(&ledger).await;
    let revocations: Vec<_> = page.entries.iter().map(|entry| entry.revocation).collect();
    assert_eq!(
        revocations,
        [
            Revocation::SessionEnded(first.id),
            Revocation::SessionEnded(second.id),
            Revocation::UserEnded {
                user,
                spared: Some(third.id)
            },
            Revocation::UserChanged(user),
            Revocation::UserEnded { user, spared: None },
        ]
    );
    let appended = [logged_out, revoked, others, renamed, all].map(|committed| committed.appended);
    let told = appended.each_ref().map(|one| one.entries.clone()).concat();
    let mut predecessors = vec![page.known_mark];
    predecessors.extend(told[..4].iter().map(|entry| Some(entry.mark)));
    assert_eq!(appended.map(|one| one.after).to_vec(), predecessors);
    assert_eq!(
        page.entries, told,
        "who commits knows what everybody will read"
    );
    let numbers: Vec<_> = told.iter().map(|entry| entry.number.get()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(page.head.number, LogNumber::new(5));
    assert_eq!(page.head.mark, told[4].mark);
    let marks: BTreeSet<_> = told.iter().map(|entry| entry.mark.0).collect();
    assert_eq!(marks.len(), 5);
    for draft in [first, second, third, fourth] {
        assert!(!is_alive(&ledger, &draft).await);
    }
}

#[rstest]
#[tokio::test]
async fn the_log_is_read_from_where_one_stands(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (_, issue) = registered(&ledger, "ada@example.com").await;
    for _ in 0..3 {
        let draft = issued(&ledger, issue.user.id).await;
        let _ = ledger.log_out(draft.digest.into(), act()).await.unwrap();
    }
    let all = log(&ledger).await;
    assert_eq!(all.entries.len(), 3);
    assert!(!all.is_read_only);
    let mut reader = ledger.log_reader().await.unwrap();

    let head = reader.read(None).await.unwrap();
    assert_eq!(
        (head.head, head.known_mark, head.entries.len()),
        (all.head, None, 0)
    );
    let from_two = reader.read(Some(LogNumber::new(2))).await.unwrap();
    assert_eq!(from_two.known_mark, Some(all.entries[1].mark));
    assert_eq!(from_two.entries, all.entries[2..]);
    let at_head = reader.read(Some(LogNumber::new(3))).await.unwrap();
    assert_eq!(
        (at_head.known_mark, at_head.entries.len()),
        (Some(all.head.mark), 0)
    );
    let beyond = reader.read(Some(LogNumber::new(9))).await.unwrap();
    assert_eq!((beyond.known_mark, beyond.head), (None, all.head));
}

#[rstest]
#[tokio::test]
async fn born_and_vouched_tell_what_came_before(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let second = issued(&ledger, issue.user.id).await;
    let _ = ledger.log_out(first.digest.into(), act()).await.unwrap();
    let third = issued(&ledger, issue.user.id).await;
    let record = |draft: Draft| {
        let ledger = &ledger;
        async move { ledger.find_session(&draft.digest).await.unwrap().unwrap() }
    };
    let (second, third) = (record(second).await, record(third).await);
    assert_eq!(
        (second.session.born.get(), second.vouched.number.get()),
        (0, 1)
    );
    assert_eq!(
        (third.session.born.get(), third.vouched.number.get()),
        (1, 1)
    );
}

#[rstest]
#[tokio::test]
async fn a_hash_is_renewed_only_for_the_credential_verified(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    ledger.renew_hash(user, CURRENT, &hash("2")).await.unwrap();
    let renewed = ledger.credentials_of(user).await.unwrap().unwrap();
    assert_eq!(renewed.password_hash, Some(hash("2")));
    assert_eq!(renewed.version, CURRENT, "it is the same credential");
    assert!(is_alive(&ledger, &first).await);

    let changed = draft();
    let change = ledger
        .change_password(user, first.id, CURRENT, &hash("3"), &changed, act())
        .await;
    assert!(change.unwrap().is_ok());
    ledger.renew_hash(user, CURRENT, &hash("2")).await.unwrap();
    let after = ledger.credentials_of(user).await.unwrap().unwrap();
    assert_eq!(after.password_hash, Some(hash("3")));
}

#[rstest]
#[tokio::test]
async fn a_changed_password_ends_all_sessions_but_the_new_one(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let second = issued(&ledger, user).await;
    let new = draft();
    let changed = ledger
        .change_password(user, second.id, CURRENT, &hash("2"), &new, act())
        .await
        .unwrap()
        .unwrap();
    for ended in [&first, &second] {
        assert!(!is_alive(&ledger, ended).await);
    }
    let [entry] = changed.committed.appended.entries.as_slice() else {
        panic!("one entry")
    };
    assert_eq!(
        entry.revocation,
        Revocation::UserEnded {
            user,
            spared: Some(new.id)
        }
    );
    assert!(is_alive(&ledger, &new).await);
    let after = ledger.credentials_of(user).await.unwrap().unwrap();
    assert_eq!(after.password_hash, Some(hash("2")));
    assert_ne!(after.version, CURRENT);
}

#[rstest]
#[tokio::test]
async fn a_changed_address_is_free_and_ends_the_others(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    registered(&ledger, "bob@example.com").await;
    let user = issue.user.id;
    let second = issued(&ledger, user).await;
    let to = |email: &str| Email::parse(email).unwrap();

    let taken = ledger
        .change_email(user, first.id, CURRENT, &to("bob@example.com"), act())
        .await
        .unwrap();
    assert!(matches!(taken, ChangedEmail::EmailTaken));
    assert!(is_alive(&ledger, &second).await);
    let dead = ledger
        .change_email(user, draft().id, CURRENT, &to("new@example.com"), act())
        .await
        .unwrap();
    assert!(
        matches!(dead, ChangedEmail::Refused(Refusal::SessionEnded)),
        "the session that asks must be alive"
    );

    let changed = ledger
        .change_email(user, first.id, CURRENT, &to("new@example.com"), act())
        .await
        .unwrap();
    let ChangedEmail::Changed(after, committed) = changed else {
        panic!("{changed:?}")
    };
    assert_eq!(after.email, to("new@example.com"));
    assert!(!is_alive(&ledger, &second).await);
    assert_eq!(committed.appended.entries.len(), 2);
    let record = ledger.find_session(&first.digest).await.unwrap().unwrap();
    assert_eq!(record.user(), after);
    let outdated = ledger
        .change_email(user, first.id, CURRENT, &to("third@example.com"), act())
        .await
        .unwrap();
    assert!(matches!(
        outdated,
        ChangedEmail::Refused(Refusal::CredentialChanged)
    ));
}

#[rstest]
#[tokio::test]
async fn a_deleted_account_leaves_only_the_audit_log(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (draft, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    let outdated = ledger
        .delete_account(user, draft.id, CredentialVersion(2), act())
        .await
        .unwrap();
    assert_eq!(outdated.unwrap_err(), Refusal::CredentialChanged);
    let committed = ledger
        .delete_account(user, draft.id, CURRENT, act())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(committed.appended.entries.len(), 1);
    assert!(ledger.credentials_of(user).await.unwrap().is_none());
    assert!(!is_alive(&ledger, &draft).await);
    assert!(
        ledger
            .delete_account(user, draft.id, CURRENT, act())
            .await
            .unwrap()
            .is_err()
    );
}

#[rstest]
#[tokio::test]
async fn the_others_end_only_if_the_one_spared_is_alive(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let second = issued(&ledger, issue.user.id).await;
    let _ = ledger.log_out(first.digest.into(), act()).await.unwrap();
    let others = ledger
        .revoke_other_sessions(issue.user.id, first.id, act())
        .await
        .unwrap();
    assert!(others.is_none());
    assert!(is_alive(&ledger, &second).await);
}

#[rstest]
#[tokio::test]
async fn a_session_of_another_user_cannot_be_revoked(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (draft, _) = registered(&ledger, "ada@example.com").await;
    let (_, bob) = registered(&ledger, "bob@example.com").await;
    assert!(
        ledger
            .revoke_session(bob.user.id, draft.id, act())
            .await
            .unwrap()
            .is_none()
    );
    assert!(is_alive(&ledger, &draft).await);
}

#[rstest]
#[tokio::test]
async fn a_touch_moves_forward_and_creates_nothing(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (draft, _) = registered(&ledger, "ada@example.com").await;
    let (other, _) = registered(&ledger, "bob@example.com").await;
    let touch = async |touches: &[_]| ledger.touch_sessions(touches.to_vec()).await.unwrap();
    let later = NOW + Duration::from_mins(10);
    let stranger = SessionId::new(NOW, entropy::random());
    let touched = touch(&[(stranger, later), (draft.id, later)]).await;
    assert_eq!(touched.recorded, [draft.id]);
    assert_eq!(touched.absent, HashSet::from([stranger]));
    let touched = touch(&[(draft.id, NOW)]).await;
    assert_eq!(touched, Touched::default(), "never back");
    let record = ledger.find_session(&draft.digest).await.unwrap().unwrap();
    assert_eq!(record.session.last_seen_at, later);

    let _ = ledger.log_out(draft.digest.into(), act()).await.unwrap();
    let latest = later + Duration::from_mins(1);
    let touched = touch(&[(draft.id, latest), (other.id, latest)]).await;
    assert_eq!(touched.recorded, [other.id]);
    assert_eq!(touched.absent, HashSet::from([draft.id]));
    assert!(!is_alive(&ledger, &draft).await);
    let record = ledger.find_session(&other.digest).await.unwrap().unwrap();
    assert_eq!(record.session.last_seen_at, latest);
    assert_eq!(touch(&[]).await, Touched::default());
}

#[rstest]
#[tokio::test]
async fn only_the_living_are_listed_newest_first(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    registered(&ledger, "bob@example.com").await;
    let later = draft_at(NOW + Duration::from_hours(1));
    let issue = ledger
        .issue_session(verified(user), &later, None, None, act())
        .await
        .unwrap();
    assert!(issue.is_some());
    let ids = async |now| {
        let sessions = ledger.list_sessions(user, now).await.unwrap();
        sessions
            .into_iter()
            .map(|session| session.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(NOW).await, [later.id, first.id]);
    assert_eq!(
        ids(NOW + Duration::from_mins(150)).await,
        [later.id],
        "the first is idle"
    );
    assert_eq!(ids(NOW + Duration::from_hours(48)).await, []);
}

#[rstest]
#[tokio::test]
async fn numbers_follow_each_other_in_the_order_of_commits(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    const WRITERS: u64 = 4;
    const EACH: u64 = 25;
    let ledger = open(backend).await;
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        let (_, issue) = registered(&ledger, &format!("user{n}@example.com")).await;
        let ledger = ledger.ledger.clone();
        writers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                let draft = issued(&ledger, issue.user.id).await;
                let committed = ledger
                    .log_out(draft.digest.into(), act())
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(committed.appended.entries.len(), 1);
            }
        }));
    }
    // A reader beside them never sees a number without all that precede it.
    let mut reader = ledger.log_reader().await.unwrap();
    let mut reached = LogNumber::new(0);
    let mut all_is_written = false;
    while !all_is_written {
        all_is_written = writers.iter().all(JoinHandle::is_finished);
        let page = reader.read(Some(reached)).await.unwrap();
        for entry in &page.entries {
            assert_eq!(entry.number.get(), reached.get() + 1);
            reached = entry.number;
        }
        assert_eq!(reached, page.head.number);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(reached.get(), WRITERS * EACH);
}

#[rstest]
#[tokio::test]
async fn the_schema_can_be_applied_again_and_is_missed(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    ledger.migrate().await.unwrap();
    ledger.check_schema().await.unwrap();

    let (url, _data, _database) = place(backend).await;
    let empty = Ledger::connect(&url, 2).await.unwrap();
    assert!(empty.check_schema().await.is_err());
}

#[rstest]
#[tokio::test]
async fn the_limit_ends_the_oldest_however_many_there_are(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (first, issue) = registered(&ledger, "ada@example.com").await;
    let user = issue.user.id;
    for minute in 1..60 {
        let draft = draft_at(NOW + Duration::from_mins(minute));
        let issue = ledger
            .issue_session(verified(user), &draft, None, None, act())
            .await;
        assert!(issue.unwrap().is_some());
    }
    let newest = draft_at(NOW + Duration::from_hours(1));
    let issue = ledger
        .issue_session(verified(user), &newest, None, Some(3), act())
        .await
        .unwrap();
    let committed = issue.unwrap().committed;
    assert_eq!(
        (committed.appended.entries.len(), committed.ended.len()),
        (58, 58)
    );
    let left = ledger
        .list_sessions(user, NOW + Duration::from_hours(1))
        .await
        .unwrap();
    let minutes: Vec<_> = left
        .iter()
        .map(|session| session.issued_at().since(NOW).as_secs() / 60)
        .collect();
    assert_eq!(minutes, [60, 59, 58]);
    assert!(!is_alive(&ledger, &first).await);
}

/// A session is spared into a new generation while somebody who holds its token
/// waits for its lock to log out.
#[tokio::test]
async fn a_log_out_that_waits_for_the_others_to_end_ends_the_one_spared() {
    let place = place(Postgres).await;
    let ledger = Ledger::connect(&place.0, 5).await.unwrap();
    ledger.migrate().await.unwrap();
    let mut sparing = PgConnection::connect(&place.0).await.unwrap();
    let mut watching = PgConnection::connect(&place.0).await.unwrap();
    for by_id in [false, true] {
        let (draft, issue) = registered(&ledger, &format!("user{by_id}@example.com")).await;
        let user = issue.user.id.as_uuid();
        sqlx::raw_sql("begin").execute(&mut sparing).await.unwrap();
        for statement in [
            "select 1 from users where id = $1 for no key update",
            "select 1 from sessions where user_id = $1 for update",
            "update users set session_generation = session_generation + 1 where id = $1",
            "update sessions set generation = generation + 1 where user_id = $1",
        ] {
            sqlx::query(statement)
                .bind(user)
                .execute(&mut sparing)
                .await
                .unwrap();
        }
        let revoke = async {
            if by_id {
                ledger.revoke_session(issue.user.id, draft.id, act()).await
            } else {
                ledger.log_out(draft.digest.into(), act()).await
            }
        };
        let let_go = async {
            crate::support::eventually("somebody waits for the lock", async || {
                let (waiting,): (i64,) = sqlx::query_as(
                    "select count(*) from pg_stat_activity where datname = current_database() \
                     and wait_event_type = 'Lock'",
                )
                .fetch_one(&mut watching)
                .await
                .unwrap();
                waiting > 0
            })
            .await;
            sqlx::raw_sql("commit").execute(&mut sparing).await.unwrap();
        };
        let (revoked, ()) = tokio::join!(revoke, let_go);
        assert!(revoked.unwrap().is_some());
        assert!(!is_alive(&ledger, &draft).await);
    }
}
