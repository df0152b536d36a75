//! Hashes that are not as they would be made now.

use rstest::rstest;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{TestApp, eventually};

const ADA: &str = "ada@example.com";
const CURRENT: &str = "$bcrypt-sha256$v=2,t=2b,r=5$";

/// Of [`PASSWORD`], made by the software named.
const OUTDATED: [&str; 5] = [
    // passlib 1.7.4, as we do, of another cost
    "$bcrypt-sha256$v=2,t=2b,r=6$kHIoZ9DAnor2Zr5ux0BL1.$tCWCnNAbPaPZjLbLfXNbYgh9vtt0sU2",
    // libxcrypt
    "$2y$04$a15nJoij2jbFU7KGYKA0XeG5J25hyvK3Ws0l4tTSk7SI.6nT0hXS.",
    // argon2-cffi 25.1.0
    "$argon2id$v=19$m=1024,t=2,p=1$ZRZjNNELqXJTdINmgzuL1A$knTBRhPWSWRFhh1H1E51nRgLWjgg2GwrxHYotYT2bY4",
    // Django 5.2.19
    "pbkdf2_sha256$1000$lFO5I8v6G55dTJFAkSLx7C$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
    // passlib 1.7.4
    "$scrypt$ln=10,r=8,p=1$I0RojRECIMSYM6a09j5nDA$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
];

const STORE: &str = "update users set password_hash = $1 where email = $2";
const STORED: &str = "select password_hash, credential_version from users where email = $1";

/// What the ledger has of Ada's password, and the version of her credential.
async fn stored(app: &TestApp) -> (String, i64) {
    let url = app.database_url();
    let row = if url.starts_with("sqlite:") {
        let mut ledger = SqliteConnection::connect(url).await.unwrap();
        let row = sqlx::query_as(STORED).bind(ADA);
        row.fetch_one(&mut ledger).await
    } else {
        let mut ledger = PgConnection::connect(url).await.unwrap();
        let row = sqlx::query_as(STORED).bind(ADA);
        row.fetch_one(&mut ledger).await
    };
    row.unwrap()
}

/// Puts a hash into the ledger, behind the service's back.
async fn store(app: &TestApp, hash: &str) {
    let url = app.database_url();
    let changed = if url.starts_with("sqlite:") {
        let mut ledger = SqliteConnection::connect(url).await.unwrap();
        let change = sqlx::query(STORE).bind(hash).bind(ADA);
        change.execute(&mut ledger).await.unwrap().rows_affected()
    } else {
        let mut ledger = PgConnection::connect(url).await.unwrap();
        let change = sqlx::query(STORE).bind(hash).bind(ADA);
        change.execute(&mut ledger).await.unwrap().rows_affected()
    };
    assert_eq!(changed, 1);
}

async fn is_renewed(app: &TestApp) {
    eventually("the hash is as it is made now", async || {
        stored(app).await.0.starts_with(CURRENT)
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn the_next_log_in_renews_an_outdated_hash_and_ends_no_session(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let cost = [("GATELODGE_PASSWORD__BCRYPT_COST", "5")];
    let app = TestApp::spawn_with(stack, &cost).await;
    let mut ada = app.registered(ADA).await;
    let (_, version) = stored(&app).await;
    for hash in OUTDATED {
        store(&app, hash).await;
        let mut again = app.logged_in(ADA).await;
        is_renewed(&app).await;
        assert_eq!(stored(&app).await.1, version, "it is the same credential");
        assert_eq!(ada.whoami().await.status, 200);
        assert_eq!(again.whoami().await.status, 200);
        app.logged_in(ADA).await;
    }
}

#[tokio::test]
async fn a_hash_that_is_current_or_was_not_opened_stays() {
    let cost = [("GATELODGE_PASSWORD__BCRYPT_COST", "5")];
    let mut app = TestApp::spawn_with(Embedded, &cost).await;
    app.registered(ADA).await;
    let before = stored(&app).await;
    assert!(before.0.starts_with(CURRENT));
    app.logged_in(ADA).await;
    let wrong = "not the password at all";
    for hash in OUTDATED {
        store(&app, hash).await;
        let answer = app.browser().log_in(ADA, wrong).await;
        answer.assert_problem(401, "invalid_credentials");
    }
    // What was begun is finished before it stops.
    app.stop().await;
    assert_eq!(stored(&app).await, (OUTDATED[4].to_owned(), before.1));
}

/// A request that asks for the password again takes an imported one as well.
#[tokio::test]
async fn an_imported_password_can_be_changed_without_a_log_in() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered(ADA).await;
    store(&app, OUTDATED[2]).await;
    let new = "an entirely new password";
    let wrong = ada.change_password("not the password at all", new).await;
    wrong.assert_problem(403, "wrong_password");
    assert_eq!(ada.change_password(PASSWORD, new).await.status, 204);
    assert_eq!(app.browser().log_in(ADA, new).await.status, 200);
}
