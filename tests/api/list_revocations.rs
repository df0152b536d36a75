use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::feed::{CREDENTIAL, MANY};
use crate::support::{Browser, TestApp};

/// Their kinds, and whom they are about.
fn kinds(entries: &[Value]) -> Vec<Value> {
    let about = |entry: &Value| {
        let mut about = entry.clone();
        let fields = about.as_object_mut().expect("an object");
        fields.retain(|name, _| !["number", "mark"].contains(&name.as_str()));
        about
    };
    entries.iter().map(about).collect()
}

/// They follow each other from that number on.
fn follow(entries: &[Value], after: u64) {
    let numbers = entries.iter().map(|entry| entry["number"].as_u64());
    let expected = (after + 1..).map(Some);
    assert!(numbers.eq(expected.take(entries.len())), "{entries:#?}");
}

#[rstest]
#[tokio::test]
async fn every_kind_of_revocation_is_told_in_order_and_without_a_gap(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let service = app.service();
    let mut stream = service.stream(None).await;
    let window = stream.next().await.unwrap();
    assert_eq!((window.name.as_str(), window.id), ("window", None));
    assert_eq!(window.data["after"], 0);

    let mut ada = app.registered("ada@example.com").await;
    let mut lost = app.logged_in("ada@example.com").await;
    let (user, session, lost_id) = (
        ada.user_id().await,
        ada.session_id().await,
        lost.session_id().await,
    );
    assert_eq!(lost.log_out().await.status, 204);
    assert_eq!(ada.revoke_others().await.status, 200);
    let name = json!({ "name": "Ada Lovelace" });
    assert_eq!(ada.update_account(&name).await.status, 200);
    assert_eq!(ada.revoke_all().await.status, 200);
    let everyone = json!({ "filter": { "everyone": true } });
    let ended = app
        .admin()
        .await
        .post("/api/admin/sessions/revoke", &everyone)
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.change_ledger(MANY).await;

    let mut streamed = Vec::new();
    while streamed.len() < 2505 {
        let event = stream.next_of("entry").await;
        let id = format!(
            "{}-{}",
            event.data["number"],
            event.data["mark"].as_str().unwrap()
        );
        assert_eq!(event.id, Some(id));
        streamed.push(event.data);
    }
    follow(&streamed, 0);
    assert_eq!(
        kinds(&streamed[..6]),
        [
            json!({ "kind": "session_ended", "session": lost_id }),
            json!({ "kind": "user_ended", "user": user, "spared": session }),
            json!({ "kind": "user_changed", "user": user }),
            json!({ "kind": "user_ended", "user": user, "spared": null }),
            json!({ "kind": "everyone_ended" }),
            json!({ "kind": "unknown" }),
        ]
    );
    assert_eq!(
        service.entries(0).await,
        streamed,
        "both forms tell the same"
    );

    let (none, head) = stream.up_to_head().await;
    let last = streamed.last().unwrap();
    assert_eq!((none, &head.data["number"]), (vec![], &last["number"]));
    assert_eq!(head.data["mark"], last["mark"]);
    let lasts = head.data["lasts_ms"].as_u64().unwrap();
    assert!((1..=5000).contains(&lasts), "{lasts}");
    let page = service.page("?after=2505").await;
    let head = json!({ "number": 2505, "mark": last["mark"] });
    assert_eq!((&page["head"], &page["after"]), (&head, &json!(2505)));
    assert_eq!(
        (&page["mark"], &page["entries"]),
        (&last["mark"], &json!([]))
    );
    let lasts = page["lasts_ms"].as_u64().unwrap();
    assert!((1..=5000).contains(&lasts), "{lasts}");
    let page = service.page("?after=3").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1000, "a page");
    assert_eq!(page["head"], head);
}

#[rstest]
#[tokio::test]
async fn without_a_position_it_begins_with_what_a_living_jwt_can_be_about(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let service = app.service();
    for n in 0..3 {
        let mut browser = app.registered(&format!("user{n}@example.com")).await;
        assert_eq!(browser.log_out().await.status, 204);
    }
    let all = service.entries(0).await;
    app.change_ledger(match stack {
        Embedded => "update revocations set recorded_at = recorded_at - 959000 where number < 3",
        Scaled => {
            "update revocations set recorded_at = recorded_at - interval '959 s' where number < 3"
        }
    })
    .await;
    assert_eq!(
        service.page("").await["entries"],
        json!(all),
        "within 16 minutes"
    );
    app.change_ledger(match stack {
        Embedded => "update revocations set recorded_at = recorded_at - 2000 where number < 3",
        Scaled => {
            "update revocations set recorded_at = recorded_at - interval '2 s' where number < 3"
        }
    })
    .await;
    let page = service.page("").await;
    assert_eq!(
        (&page["after"], &page["entries"]),
        (&json!(2), &json!(all[2..]))
    );
    let mut stream = service.stream(None).await;
    let window = stream.next().await.unwrap();
    assert_eq!(
        (window.name.as_str(), &window.data["after"]),
        ("window", &json!(2))
    );
    assert_eq!(window.data["mark"], all[1]["mark"]);
    assert_eq!(stream.entry().await, all[2]);
}

#[rstest]
#[tokio::test]
async fn a_position_is_one_of_this_very_log(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let service = app.service();
    let mut ada = app.registered("ada@example.com").await;
    assert_eq!(ada.log_out().await.status, 204);
    let head = service.page("").await["head"].clone();
    let mark = head["mark"].as_str().unwrap();
    let mut other = mark.to_owned();
    other.replace_range(..1, if mark.starts_with('0') { "1" } else { "0" });

    let known = format!("1-{mark}");
    assert_eq!(
        service.page(&format!("?after={known}")).await["entries"],
        json!([])
    );
    let mut stream = service.stream(Some(&known)).await;
    assert_eq!(stream.next().await.unwrap().data["after"], 1);
    for unknown in [
        "2",
        "9223372036854775807",
        &format!("1-{other}"),
        &format!("0-{mark}"),
    ] {
        let answer = service.ask(&format!("?after={unknown}")).await;
        answer.assert_problem(410, "unknown_position");
        let answer = service.try_stream(Some(unknown)).await.err().unwrap();
        answer.assert_problem(410, "unknown_position");
    }
    for malformed in ["x", "-1", "1-", "1-abc", "9223372036854775808", "1.0"] {
        let answer = service.ask(&format!("?after={malformed}")).await;
        assert_eq!(answer.wrong_fields(), ["after"]);
        let answer = service.try_stream(Some(malformed)).await.err().unwrap();
        assert_eq!(answer.wrong_fields(), ["last-event-id"]);
    }
    let answer = service.ask("?afer=1").await;
    assert_eq!(answer.wrong_fields(), ["afer"]);
}

#[tokio::test]
async fn only_a_credential_that_is_configured_opens_the_log() {
    let second = "another-service-credential-0123456789";
    let both = format!("{CREDENTIAL},{second}");
    let settings = [("GATELODGE_REVOCATIONS__CREDENTIALS", both.as_str())];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let unset = TestApp::spawn_with(Embedded, &[("GATELODGE_REVOCATIONS__CREDENTIALS", "")]).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut stranger = app.browser();
    let with = |browser: &Browser, value: &str| {
        let request = browser.request(Method::GET, "/api/revocations");
        request.header(AUTHORIZATION, value)
    };
    for known in [format!("Bearer {CREDENTIAL}"), format!("bearer {second}")] {
        assert_eq!(
            stranger.send(with(&app.browser(), &known)).await.status,
            200
        );
        let answer = stranger.send(with(&unset.browser(), &known)).await;
        answer.assert_problem(401, "unknown_service");
    }
    for wrong in [
        "Bearer ".to_owned(),
        format!("Bearer {}", &CREDENTIAL[..CREDENTIAL.len() - 1]),
        format!("Bearer {CREDENTIAL}0"),
        format!("Bearer {both}"),
        format!("Bearer  {CREDENTIAL}"),
        format!("Bearer {}", CREDENTIAL.to_uppercase()),
        format!("Basic {CREDENTIAL}"),
        CREDENTIAL.to_owned(),
    ] {
        for accepted in ["*/*", "text/event-stream"] {
            let request = with(&app.browser(), &wrong).header(ACCEPT, accepted);
            let answer = stranger.send(request).await;
            answer.assert_problem(401, "unknown_service");
        }
    }
    let twice = with(&app.browser(), &format!("Bearer {CREDENTIAL}"));
    let twice = twice.header(AUTHORIZATION, format!("Bearer {CREDENTIAL}"));
    stranger
        .send(twice)
        .await
        .assert_problem(401, "unknown_service");
    for path in [
        "/api/revocations".to_owned(),
        // First of all: what else is wrong is not told to strangers.
        "/api/revocations?after=x".to_owned(),
        format!("/api/revocations?access_token={CREDENTIAL}"),
    ] {
        ada.get(&path).await.assert_problem(401, "unknown_service");
    }
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes_and_kept_by_nobody() {
    let app = TestApp::spawn(Embedded).await;
    let stream = app.service().stream(None).await;
    let header = |name: &str| stream.response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    let mut browser = app.browser();
    for accepted in ["text/event-stream", "application/json"] {
        let head = browser.request(Method::HEAD, "/api/revocations");
        let head = head.bearer_auth(CREDENTIAL).header(ACCEPT, accepted);
        let answer = browser.send(head).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        assert_eq!(answer.header("content-type"), Some(accepted));
    }
}
