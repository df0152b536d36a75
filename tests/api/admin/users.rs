use rstest::rstest;
use serde_json::{Value, json};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp};

async fn emails(admin: &mut Browser, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/api/admin/users?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let users = answer.json()["users"].as_array().unwrap().clone();
    users
        .iter()
        .map(|user| user["email"].as_str().unwrap().to_owned())
        .collect()
}

#[rstest]
#[tokio::test]
async fn users_are_found_by_parts_of_their_name_or_address(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    for (email, name) in [
        ("ada@example.com", "Ada Lovelace"),
        ("grace@navy.example", "Grace Hopper"),
        ("percent@example.com", "100% _legal\\"),
    ] {
        let body = json!({ "email": email, "name": name });
        assert_eq!(root.post("/api/admin/users", &body).await.status, 201);
    }
    assert_eq!(emails(&mut root, "search=LOVE").await, ["ada@example.com"]);
    assert_eq!(
        emails(&mut root, "search=navy.ex").await,
        ["grace@navy.example"]
    );
    assert_eq!(
        emails(&mut root, "search=@example.com").await,
        ["percent@example.com", "ada@example.com", "root@example.com"],
        "newest first"
    );
    // What stands for others in patterns stands for itself.
    assert_eq!(
        emails(&mut root, "search=100%25").await,
        ["percent@example.com"]
    );
    assert_eq!(
        emails(&mut root, "search=_legal%5C").await,
        ["percent@example.com"]
    );
    for none in ["%25%25%25", "___", "a*a", "zzz", "' OR 1=1--"] {
        assert_eq!(
            emails(&mut root, &format!("search={none}")).await,
            [""; 0],
            "{none}"
        );
    }
    assert_eq!(
        emails(&mut root, "search=&cursor=&limit=").await.len(),
        4,
        "left out"
    );
}

#[rstest]
#[tokio::test]
async fn pages_follow_each_other_whatever_is_created_meanwhile(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    for n in 0..6 {
        app.registered(&format!("user{n}@example.com")).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/admin/users?limit=3&cursor={cursor}");
        let page = root.get(&path).await.json();
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 3);
        seen.extend(
            users
                .iter()
                .map(|user| user["email"].as_str().unwrap().to_owned()),
        );
        app.registered(&format!("late{}@example.com", seen.len()))
            .await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected = ["user5", "user4", "user3", "user2", "user1", "user0", "root"];
    assert_eq!(seen, expected.map(|name| format!("{name}@example.com")));
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let id = root.user_id().await;
    app.registered("ada@example.com").await;
    let sessions = root.get("/api/admin/sessions?limit=1").await.json();
    let of_sessions = sessions["next_cursor"].as_str().unwrap().to_owned();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        (&*format!("cursor={id}"), "cursor"),
        (&*format!("cursor={of_sessions}"), "cursor"),
        ("search=ab", "search"),
        ("search=a%00b", "search"),
        ("offset=3", "offset"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = root.get(&format!("/api/admin/users?{query}")).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
    let path = "/api/admin/users?limit=0&cursor=x&search=a";
    assert_eq!(
        root.get(path).await.wrong_fields(),
        ["search", "cursor", "limit"]
    );
}

#[rstest]
#[tokio::test]
async fn an_invited_user_sets_a_password_by_the_link(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let body = json!({ "email": "Ada@Example.com", "name": "Ada", "role": "admin" });
    let created = root.post("/api/admin/users", &body).await;
    assert_eq!(created.status, 201);
    let user = &created.json()["user"];
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(user["role"], "admin");
    assert_eq!(user["status"], "active");
    let fields: Vec<_> = user.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        fields,
        ["created_at", "email", "id", "name", "role", "status"]
    );
    let link = created.json()["password_link"].as_str().unwrap().to_owned();
    let (page, token) = link.split_once("?token=").unwrap();
    assert_eq!(page, "http://localhost:8080/password");

    let mut ada = app.browser();
    for password in ["", "null", PASSWORD] {
        let answer = ada.log_in("ada@example.com", password).await;
        assert_ne!(answer.status, 200);
    }
    let redeem = json!({ "token": token, "new_password": PASSWORD });
    assert_eq!(ada.post("/api/password/redeem", &redeem).await.status, 204);
    assert_eq!(ada.token, None, "nobody is logged in by it");
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    assert_eq!(ada.get("/api/admin/users").await.status, 200);
    let again = root.post("/api/admin/users", &body).await;
    again.assert_problem(409, "email_taken");
}

#[tokio::test]
async fn a_user_to_be_must_be_sound() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    for (body, fields) in [
        (json!({}), vec!["email", "name"]),
        (
            json!({ "email": "a@b.c", "name": "a\u{202e}b" }),
            vec!["name"],
        ),
        (json!({ "email": "a@b.c", "name": "a\nb" }), vec!["name"]),
        (
            json!({ "email": "a@b.c", "name": "A", "role": "root" }),
            vec!["role"],
        ),
        (
            json!({ "email": "a@b.c", "name": "A", "password": PASSWORD }),
            vec!["password"],
        ),
        (
            json!({ "email": "a@b.c", "name": "A", "status": "locked" }),
            vec!["status"],
        ),
    ] {
        let answer = root.post("/api/admin/users", &body).await;
        assert_eq!(answer.wrong_fields(), fields, "{body}");
    }
    assert_eq!(emails(&mut root, "").await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn locking_ends_everything_and_unlocking_revives_nothing(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let mut elsewhere = app.logged_in("ada@example.com").await;
    let user = format!("/api/admin/users/{}", ada.user_id().await);
    let link = root
        .post(&format!("{user}/password-link"), &json!({}))
        .await
        .json();
    let (_, token) = link["password_link"]
        .as_str()
        .unwrap()
        .split_once('=')
        .unwrap();

    let locked = root.post(&format!("{user}/lock"), &json!({})).await;
    assert_eq!(locked.json()["user"]["status"], "locked");
    ada.whoami().await.assert_refused();
    elsewhere.whoami().await.assert_refused();
    let refused = app.browser().log_in("ada@example.com", PASSWORD).await;
    refused.assert_problem(401, "invalid_credentials");
    assert_eq!(
        root.post(&format!("{user}/lock"), &json!({})).await.status,
        200,
        "once more"
    );

    let unlocked = root.post(&format!("{user}/unlock"), &json!({})).await;
    assert_eq!(unlocked.json()["user"]["status"], "active");
    ada.whoami().await.assert_refused();
    let redeem = json!({ "token": token, "new_password": "another horse battery staple" });
    let dead = app.browser().post("/api/password/redeem", &redeem).await;
    assert_eq!(dead.wrong_fields(), ["token"]);
    assert_eq!(
        app.browser()
            .log_in("ada@example.com", PASSWORD)
            .await
            .status,
        200
    );
}

#[rstest]
#[tokio::test]
async fn a_deleted_user_is_gone(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let user = format!("/api/admin/users/{}", ada.user_id().await);
    assert_eq!(
        root.get(&user).await.json()["user"]["email"],
        "ada@example.com"
    );
    assert_eq!(root.delete(&user).await.status, 204);
    ada.whoami().await.assert_refused();
    root.get(&user).await.assert_problem(404, "not_found");
    root.delete(&user).await.assert_problem(404, "not_found");
    app.registered("ada@example.com").await;
}

#[tokio::test]
async fn ids_of_other_things_name_no_user() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let session = root.session_id().await;
    for id in [&*session, "root@example.com", "*", "0", "%00", "..%2F"] {
        let user = format!("/api/admin/users/{id}");
        root.get(&user).await.assert_problem(404, "not_found");
        root.delete(&user).await.assert_problem(404, "not_found");
        root.get(&format!("{user}/sessions"))
            .await
            .assert_problem(404, "not_found");
        root.delete(&format!("{user}/sessions"))
            .await
            .assert_problem(404, "not_found");
        for act in ["lock", "unlock", "password-link"] {
            let answer = root.post(&format!("{user}/{act}"), &json!({})).await;
            answer.assert_problem(404, "not_found");
        }
        let answer = root
            .put(&format!("{user}/role"), &json!({ "role": "user" }))
            .await;
        answer.assert_problem(404, "not_found");
    }
    let answer = root
        .put("/api/admin/users/x/role", &json!({ "role": "king" }))
        .await;
    answer.assert_problem(404, "not_found");
    let user = format!("/api/admin/users/{}", root.user_id().await);
    let answer = root
        .put(&format!("{user}/role"), &json!({ "role": "king" }))
        .await;
    assert_eq!(answer.wrong_fields(), ["role"]);
    assert_eq!(
        root.put(&format!("{user}/role"), &Value::Null)
            .await
            .wrong_fields(),
        ["body"]
    );
}

#[rstest]
#[tokio::test]
async fn a_users_sessions_are_listed_and_ended(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let mut elsewhere = app.logged_in("ada@example.com").await;
    let sessions = format!("/api/admin/users/{}/sessions", ada.user_id().await);
    let listed = root.get(&sessions).await.json();
    let ids: Vec<_> = listed["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, [elsewhere.session_id().await, ada.session_id().await]);
    assert_eq!(root.delete(&sessions).await.json(), json!({ "revoked": 2 }));
    ada.whoami().await.assert_refused();
    elsewhere.whoami().await.assert_refused();
    assert_eq!(root.delete(&sessions).await.json(), json!({ "revoked": 0 }));
    assert_eq!(root.whoami().await.status, 200);
}
