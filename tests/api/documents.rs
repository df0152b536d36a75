//! What the service says of itself.

use std::collections::BTreeSet;
use std::path::Path;

use gatelodge::domain::audit::Action;
use serde_json::{Value, json};

use crate::support::Stack::Embedded;
use crate::support::TestApp;

/// After a change that is meant, `gatelodge config openapi > docs/openapi.json`.
#[tokio::test]
async fn the_description_is_the_one_that_was_agreed() {
    let app = TestApp::spawn(Embedded).await;
    let answer = app.browser().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let agreed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let agreed: Value = serde_json::from_slice(&std::fs::read(agreed).unwrap()).unwrap();
    assert_eq!(answer.json(), agreed);
}

/// The paths and methods of the table of routes, read off its text.
pub(super) fn routes() -> BTreeSet<String> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/routes.rs");
    let table = std::fs::read_to_string(table).unwrap();
    let mut routes = BTreeSet::new();
    for line in table.lines().filter(|line| line.contains(".service(")) {
        let path = line.split('"').nth(1).unwrap().replace(":.*", "");
        for method in ["get", "post", "put", "patch", "delete"] {
            if line.contains(&format!("({method}(")) || line.contains(&format!("[{method}(")) {
                routes.insert(format!("{method} {path}"));
            }
        }
        // Described once, whatever the method.
        if line.contains(" any(") {
            routes.insert(format!("get {path}"));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_is_described_and_no_other() {
    let app = TestApp::spawn(Embedded).await;
    let document = app.browser().get("/openapi.json").await.json();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{method} {path}"));
        }
    }
    let of_api = |route: &String| {
        [" /api/", " /health/", " /.well-known/"]
            .iter()
            .any(|folder| route.contains(folder))
    };
    let routes: BTreeSet<_> = routes().into_iter().filter(of_api).collect();
    assert!(routes.len() > 25);
    assert_eq!(routes, described);
}

#[tokio::test]
async fn the_documentation_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    let page = browser.get("/docs").await;
    assert_eq!(page.status, 200);
    let document = browser.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("id=\"{id}\"")), "{id}");
            let line = format!("<code>{} {path}</code>", method.to_uppercase());
            assert!(page.text.contains(&line), "{line}");
        }
    }
    let sheet = browser.get("/assets/gatelodge.css").await;
    assert_eq!(
        sheet.header("content-type"),
        Some("text/css; charset=utf-8")
    );
    assert!(!sheet.text.contains("url(") && !sheet.text.contains("@import"));
}

#[tokio::test]
async fn the_documentation_shows_what_is_answered_in_the_order_of_use() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    let page = browser.get("/docs").await.text;
    let section = |id: &str| {
        let start = page.find(&format!("<section id=\"{id}\">")).unwrap();
        let text = page[start..].split("</section>").next().unwrap();
        text.replace("&#34;", "\"")
    };
    for (id, path) in [("get_alive", "alive"), ("get_ready", "ready")] {
        let status = browser.get(&format!("/health/{path}")).await.json();
        let status = format!("\"status\": {}", status["status"]);
        assert!(section(id).contains(&status), "{id}: {status}");
    }
    let revocations = section("list_revocations");
    for shown in ["Authorization: Bearer", "\"kind\": \"session_ended\""] {
        assert!(revocations.contains(shown), "{shown}: {revocations}");
    }
    for id in ["list_revocations", "revoke_session", "get_jwks"] {
        assert!(!section(id).contains("null"), "{}", section(id));
    }
    let place = |id: &&str| page.find(&format!("<section id=\"{id}\">"));
    let used = [
        "register_user",
        "create_session",
        "get_current_session",
        "delete_account",
        "list_users",
        "get_user",
        "delete_user",
        "get_ready",
    ];
    assert!(used.is_sorted_by_key(place), "{used:?}");
}

#[tokio::test]
async fn the_documentation_can_be_turned_off() {
    let app = TestApp::spawn_with(Embedded, &[("GATELODGE_DOCS__ENABLED", "false")]).await;
    for path in ["/docs", "/openapi.json"] {
        app.browser()
            .get(path)
            .await
            .assert_problem(404, "not_found");
    }
}

/// The codes of the table of problems, read off its text.
fn problem_codes() -> Vec<String> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/kind.rs");
    let table = std::fs::read_to_string(table).unwrap();
    let status = |line: &str| line.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let lines = table
        .lines()
        .filter_map(|line| line.trim().split_once(", \""));
    let codes = lines.filter(|(before, _)| status(before));
    codes
        .map(|(_, after)| after.split('"').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_problem_leads_to_a_page() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    let codes = problem_codes();
    assert!(
        codes.len() >= 20 && codes.contains(&"last_admin".to_owned()),
        "{codes:?}"
    );
    for code in codes {
        let page = browser.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(page.text.contains("<h2>What to do</h2>"), "{code}");
    }
    let refused = browser.whoami().await.json();
    let page = browser.get(refused["type"].as_str().unwrap()).await;
    assert_eq!(page.status, 200);
    browser
        .get("/problems/nonsense")
        .await
        .assert_problem(404, "not_found");
}

fn described_set(document: &Value, name: &str) -> BTreeSet<String> {
    let texts = document["components"]["schemas"][name]["enum"].as_array();
    let texts = texts.unwrap().iter().map(|text| text.as_str().unwrap());
    texts.map(str::to_owned).collect()
}

/// A client's types are made of it.
#[tokio::test]
async fn the_description_says_what_each_answer_has_in_it() {
    let app = TestApp::spawn(Embedded).await;
    let document = app.browser().get("/openapi.json").await.json();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is there twice");
            let answers = operation["responses"].as_object().unwrap();
            for (status, answer) in answers {
                let said = answer["description"].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{id}: {status} says nothing");
            }
            let schema = |status| {
                let content = answers.get(status)?.get("content")?;
                Some(&content["application/json"]["schema"])
            };
            let Some(pending) = schema("202") else {
                continue;
            };
            let is_waited_for = json!({ "$ref": "#/components/schemas/Pending" });
            let both = match schema("200").or(schema("201")) {
                Some(otherwise) => json!({ "allOf": [otherwise, is_waited_for] }),
                None => is_waited_for,
            };
            assert_eq!(*pending, both, "{id}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let required = schema["required"].as_array().into_iter().flatten();
        let required: Vec<_> = required.map(|field| field.as_str().unwrap()).collect();
        for (field, described) in schema["properties"].as_object().into_iter().flatten() {
            let can_be_null = described["type"].is_array();
            let is_there = required.contains(&field.as_str());
            assert!(
                is_there || !can_be_null,
                "{name}.{field}: left out, or null"
            );
            assert_ne!(
                described.get("default"),
                Some(&Value::Null),
                "{name}.{field}"
            );
        }
    }
    let codes = problem_codes().into_iter().collect();
    assert_eq!(described_set(&document, "ProblemCode"), codes);
    let actions = Action::ALL.iter().map(|action| action.as_str().to_owned());
    assert_eq!(described_set(&document, "Action"), actions.collect());
    let outcomes = ["failure", "success"].map(str::to_owned).into();
    assert_eq!(described_set(&document, "Outcome"), outcomes);
}

/// Every action of the audit log is in the guide.
#[test]
fn every_action_is_documented() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for action in Action::ALL {
        assert!(
            guide.contains(&format!("`{}`", action.as_str())),
            "{action:?}"
        );
    }
    for code in problem_codes() {
        assert!(guide.contains(&format!("`{code}`")), "{code}");
    }
}
