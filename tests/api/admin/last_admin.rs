use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::{ADMIN, PASSWORD};
use crate::support::{Answer, Browser, TestApp};

/// Every way to stop being an admin.
#[derive(Clone, Copy, Debug)]
enum Way {
    Lock,
    Demote,
    Delete,
    DeleteOneself,
}

async fn take_away(way: Way, mut admin: Browser, of: String) -> Answer {
    let user = format!("/api/admin/users/{of}");
    match way {
        Way::Lock => admin.post(&format!("{user}/lock"), &json!({})).await,
        Way::Demote => {
            admin
                .put(&format!("{user}/role"), &json!({ "role": "user" }))
                .await
        }
        Way::Delete => admin.delete(&user).await,
        Way::DeleteOneself => admin.delete_account(PASSWORD).await,
    }
}

#[rstest]
#[tokio::test]
async fn the_last_admin_stays(
    #[values(Embedded, Scaled)] stack: Stack,
    #[values(Way::Lock, Way::Demote, Way::Delete, Way::DeleteOneself)] way: Way,
) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let id = root.user_id().await;
    // Who was invited and has no password yet could not administer.
    let invited = json!({ "email": "next@example.com", "name": "Next", "role": "admin" });
    assert_eq!(root.post("/api/admin/users", &invited).await.status, 201);
    take_away(way, root.clone(), id.clone())
        .await
        .assert_problem(409, "last_admin");
    assert_eq!(root.get("/api/admin/users").await.status, 200);

    let mut ada = app.registered("ada@example.com").await;
    let ada_id = ada.user_id().await;
    let promote = format!("/api/admin/users/{ada_id}/role");
    assert_eq!(
        root.put(&promote, &json!({ "role": "admin" })).await.status,
        200
    );
    let answer = take_away(way, root.clone(), id).await;
    assert!([200, 204].contains(&answer.status), "{}", answer.text);
    take_away(way, ada, ada_id)
        .await
        .assert_problem(409, "last_admin");
}

#[rstest]
#[tokio::test]
async fn two_admins_cannot_take_each_other_away(
    #[values(Embedded, Scaled)] stack: Stack,
    #[values(Way::Lock, Way::Demote, Way::Delete, Way::DeleteOneself)] way: Way,
) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut everybody = vec![(root.clone(), root.user_id().await)];
    for n in 0..3 {
        let mut browser = app.registered(&format!("admin{n}@example.com")).await;
        let id = browser.user_id().await;
        let path = format!("/api/admin/users/{id}/role");
        assert_eq!(
            root.put(&path, &json!({ "role": "admin" })).await.status,
            200
        );
        everybody.push((browser, id));
    }
    let each_other = (0..everybody.len()).map(|index| {
        let (admin, own) = everybody[index].clone();
        let (_, next) = everybody[(index + 1) % everybody.len()].clone();
        let of = if matches!(way, Way::DeleteOneself) {
            own
        } else {
            next
        };
        take_away(way, admin, of)
    });
    let answers = join_all(each_other).await;
    let is_done = |answer: &&Answer| [200, 204].contains(&answer.status);
    let done = answers.iter().filter(is_done).count();
    assert!(done >= 1);
    for answer in &answers {
        // Who was taken away meanwhile is refused.
        let expected = [200, 204, 401, 403, 409].contains(&answer.status);
        assert!(expected, "{} {}", answer.status, answer.text);
    }
    if matches!(way, Way::DeleteOneself) {
        assert_eq!(done, everybody.len() - 1);
    }
    let mut admins = 0;
    for (browser, _) in &mut everybody {
        admins += usize::from(browser.get("/api/admin/users").await.status == 200);
    }
    assert!(admins >= 1);
}

#[tokio::test]
async fn an_admin_is_left_for_the_next_start() {
    let app = TestApp::spawn(Scaled).await;
    assert_eq!(app.setup_link, None);
    let again = app.another_instance().await;
    assert_eq!(
        again
            .logged_in(ADMIN)
            .await
            .get("/api/admin/users")
            .await
            .status,
        200
    );
}
