//! The pages, as far as it takes no browser to see what is right.

use std::io::Write as _;
use std::process::{Command, Stdio};

use gatelodge::startup::generate_key;
use reqwest::Method;

use super::documents::routes;
use crate::support::Stack::Embedded;
use crate::support::app::{ADMIN, PASSWORD, TestDatabase};
use crate::support::proxy::FaultProxy;
use crate::support::{Answer, Browser, TestApp};

const NEW_PASSWORD: &str = "a longer horse battery staple";
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The pages there are for a method, an id of nobody's in them.
fn pages(method: &str) -> Vec<String> {
    let of_pages = |path: &String| {
        [
            "/api/",
            "/health/",
            "/assets/",
            "/openapi.json",
            "/.well-known/",
        ]
        .iter()
        .all(|other| !path.starts_with(other))
    };
    let routes = routes();
    let paths = routes
        .iter()
        .filter_map(|route| route.strip_prefix(method)?.strip_prefix(' '))
        .map(|path| path.replace("{id}", NOBODY).replace("{code}", "busy"))
        .filter(of_pages);
    paths.collect()
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("location").unwrap()
}

async fn admin(app: &TestApp) -> Browser {
    app.logged_in(ADMIN).await
}

#[tokio::test]
async fn every_form_says_that_it_comes_from_our_own_pages() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let pages = pages("post");
    assert!(pages.len() > 15, "{pages:?}");
    for path in pages {
        let form = || admin.request(Method::POST, &path).form(&[("a", "b")]);
        let mut browser = admin.clone();
        let silent = browser.send(form()).await;
        silent.assert_problem(403, "csrf_failed");
        let foreign = form().header("sec-fetch-site", "cross-site");
        let foreign = browser.send(foreign).await;
        foreign.assert_problem(403, "csrf_failed");
        let json = admin
            .request(Method::POST, &path)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json")
            .body("{}");
        let json = browser.send(json).await;
        json.assert_problem(415, "unsupported_media_type");
    }
    assert_eq!(admin.whoami().await.status, 200, "nothing has happened");
}

#[tokio::test]
async fn who_is_not_logged_in_is_led_to_where_they_can() {
    let app = TestApp::spawn(Embedded).await;
    let mut user = app.registered("ada@example.com").await;
    let mut stranger = app.browser();
    let closed = |path: &&String| path.starts_with("/account") || path.starts_with("/admin");
    let (gets, posts) = (pages("get"), pages("post"));
    for path in gets.iter().filter(closed) {
        let encoded = path.replace('/', "%2F");
        let answer = stranger.page(&format!("{path}?a=b")).await;
        let expected = format!("/login?return_to={encoded}%3Fa%3Db");
        assert_eq!(location(&answer), expected);
        stranger.get(path).await.assert_refused();
        if path.starts_with("/admin") {
            let refused = user.page(path).await;
            assert_eq!(refused.status, 403, "{path}");
            assert!(refused.text.contains("<h1>Forbidden</h1>"));
        }
    }
    for path in posts.iter().filter(closed) {
        let answer = stranger.submit(path, &[]).await;
        assert_eq!(location(&answer), "/login?return_to=%2Faccount");
        let page = "http://localhost:8080/admin/users?search=ada";
        let form = stranger.request(Method::POST, path).header("referer", page);
        let form = form
            .header("sec-fetch-site", "same-origin")
            .header("accept", "text/html");
        let answer = stranger.send(form.form(&[("", "")])).await;
        let back = "%2Fadmin%2Fusers%3Fsearch%3Dada";
        assert_eq!(location(&answer), format!("/login?return_to={back}"));
        if path.starts_with("/admin") {
            assert_eq!(user.submit(path, &[]).await.status, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn pages_are_strict_small_and_need_nothing_from_elsewhere() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let user = app.registered("ada@example.com").await.user_id().await;
    for _ in 0..50 {
        app.logged_in("ada@example.com").await;
    }
    let style = admin.get("/assets/gatelodge.css").await.text;
    let script = admin.get("/assets/gatelodge.js").await.text;
    assert!(!style.contains("url(") && !style.contains("@import"));
    let errors = ["/nothing", "/logout", "/admin/sessions?ip=x"].map(str::to_owned);
    for path in pages("get").into_iter().chain(errors) {
        let path = path.replace(NOBODY, &user);
        let mut browser = if path == "/login" || path == "/register" {
            app.browser()
        } else {
            admin.clone()
        };
        let page = browser.page(&path).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), Some(value), "{path}");
        }
        if page.status == 303 {
            continue;
        }
        assert_eq!(
            page.header("content-security-policy"),
            Some(
                "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                 base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
            ),
            "{path}"
        );
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let scripts: Vec<_> = page.text.match_indices("<script").collect();
        assert_eq!(scripts.len(), 1, "{path}");
        assert_eq!(
            page.text.matches(" referrerpolicy=\"no-referrer\"").count(),
            3,
            "what a page loads does not learn its address, which may have a token in it"
        );
        for bad in [" style=", " onclick=", "src=\"http", "src=\"//", "<style"] {
            assert!(!page.text.contains(bad), "{path}: {bad}");
        }
        if path != "/docs" {
            let size = compressed(&[&page.text, &style, &script]);
            assert!(size <= 15_000, "{path}: {size} bytes");
        }
    }
}

fn compressed(texts: &[&str]) -> usize {
    let one = |text: &&str| {
        let mut gzip = Command::new("gzip")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        gzip.wait_with_output().unwrap().stdout.len()
    };
    texts.iter().map(one).sum()
}

#[tokio::test]
async fn what_people_say_of_themselves_is_shown_as_text() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let name = "<b>Ada</b> & \"co\"";
    let changed = ada.submit("/account/name", &[("name", name)]).await;
    assert_eq!(location(&changed), "/account?done=name_changed");
    let request = app
        .browser()
        .request(Method::POST, "/api/login")
        .header("user-agent", "<img src=x onerror=alert(1)>")
        .json(&serde_json::json!({ "email": "ada@example.com", "password": PASSWORD }));
    assert_eq!(app.browser().send(request).await.status, 200);
    let mut admin = admin(&app).await;
    let account = ada.page("/account?done=<script>").await;
    for shown in ["&#60;b&#62;Ada", "&#60;img"] {
        assert!(
            account.text.contains(shown) || shown == "&#60;img",
            "{}",
            account.text
        );
    }
    let mut shown = vec![account];
    for path in [
        "/account/name",
        "/admin/users?search=<script>alert",
        "/admin/sessions?user_agent=<script>",
        "/admin/sessions?ip=<script>",
        "/admin/events?actor=<script>",
    ] {
        shown.push(admin.page(path).await);
    }
    let login = app.browser().page("/login?return_to=/\"><script>").await;
    assert!(login.text.contains("name=\"return_to\""), "{}", login.text);
    shown.push(login);
    let user = ada.user_id().await;
    shown.push(admin.page(&format!("/admin/users/{user}")).await);
    let fields = [("email", "<script>"), ("password", "\"><script>")];
    shown.push(app.browser().submit("/login", &fields).await);
    for page in shown {
        assert!([200, 401, 422].contains(&page.status), "{}", page.text);
        assert!(!page.text.contains("<script>"), "{}", page.text);
        assert!(
            !page.text.contains("<b>") && !page.text.contains("<img"),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn a_log_in_by_form_is_one() {
    let app = TestApp::spawn(Embedded).await;
    app.registered("ada@example.com").await;
    let mut ada = app.browser();
    let wrong = [
        ("email", "ada@example.com"),
        ("password", "not the password"),
    ];
    let refused = ada.submit("/login", &wrong).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").is_some());
    assert!(
        refused
            .text
            .contains("The e-mail address or the password is wrong.")
    );
    assert!(refused.text.contains("value=\"ada@example.com\""));
    assert!(!refused.text.contains("not the password"));

    let right = [
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("remember_me", "true"),
        ("return_to", "/account/name"),
    ];
    let done = ada.submit("/login", &right).await;
    assert_eq!(location(&done), "/account/name");
    assert!(done.set_cookies()[0].contains("; Max-Age=2592000"));
    assert_eq!(location(&ada.page("/login?return_to=/docs").await), "/docs");
    assert_eq!(location(&ada.page("/login").await), "/account");
    for evil in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
    ] {
        let path = format!("/login?return_to={evil}");
        assert_eq!(location(&ada.page(&path).await), "/account", "{evil}");
    }

    let token = ada.token.clone();
    let left = ada.submit("/logout", &[]).await;
    assert_eq!(location(&left), "/login?done=logged_out");
    assert_eq!(
        left.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    assert_eq!(ada.token, None);
    assert!(
        ada.page("/login?done=logged_out")
            .await
            .text
            .contains("You are logged out.")
    );
    // Somebody else ended it: the cookie is still there, and the reason is given.
    ada.token = token;
    let page = ada.page("/account").await;
    let login = ada.page(location(&page)).await;
    assert!(
        login.text.contains("Your session has ended"),
        "{}",
        login.text
    );
    ada.token = Some("A".repeat(90));
    let login = ada.page("/login").await;
    assert!(
        !login.text.contains("Your session has ended"),
        "it never was one"
    );
}

#[tokio::test]
async fn one_manages_one_s_own_account() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.browser();
    let fields = [
        ("email", "ada@example.com"),
        ("name", "Ada"),
        ("password", PASSWORD),
    ];
    assert_eq!(
        location(&ada.submit("/register", &fields).await),
        "/account"
    );
    let taken = app.browser().submit("/register", &fields).await;
    assert_eq!(taken.status, 409);
    assert!(
        taken
            .text
            .contains("This is taken: there is an account with it.")
    );

    let mut other = app.logged_in("ada@example.com").await;
    let id = other.session_id().await;
    assert!(ada.page("/account").await.text.contains(&id));
    let ended = ada
        .submit(&format!("/account/sessions/{id}/end"), &[])
        .await;
    assert_eq!(location(&ended), "/account?done=session_ended");
    other.whoami().await.assert_refused();
    let mut stranger = app.registered("eve@example.com").await;
    let id = ada.session_id().await;
    let kept = stranger
        .submit(&format!("/account/sessions/{id}/end"), &[])
        .await;
    assert_eq!(location(&kept), "/account?done=no_such_session");
    assert_eq!(ada.whoami().await.status, 200, "it is not hers to end");

    for (path, password) in [
        ("/account/email", "password"),
        ("/account/password", "current_password"),
    ] {
        let mut fields = vec![(password, "not the password")];
        fields.push(match path {
            "/account/email" => ("email", "lovelace@example.com"),
            _ => ("new_password", NEW_PASSWORD),
        });
        let refused = ada.submit(path, &fields).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            refused.text.contains("The current password is wrong."),
            "{}",
            refused.text
        );
        fields[0].1 = PASSWORD;
        assert_eq!(ada.submit(path, &fields).await.status, 303, "{path}");
    }
    let short = [
        ("current_password", NEW_PASSWORD),
        ("new_password", "short"),
    ];
    let refused = ada.submit("/account/password", &short).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("at least 15"), "{}", refused.text);

    let gone = ada
        .submit("/account/delete", &[("password", NEW_PASSWORD)])
        .await;
    assert_eq!(location(&gone), "/login?done=account_deleted");
    assert_eq!(ada.token, None);
    let again = app
        .browser()
        .log_in("lovelace@example.com", NEW_PASSWORD)
        .await;
    again.assert_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn admins_manage_users() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let fields = [
        ("email", "ada@example.com"),
        ("name", "Ada"),
        ("role", "user"),
    ];
    let created = admin.submit("/admin/users/new", &fields).await;
    assert_eq!(created.status, 201);
    let link = created.text.split("/password?token=").nth(1).unwrap();
    let token = link.split('<').next().unwrap();
    let set = [("token", token), ("new_password", PASSWORD)];
    assert_eq!(app.browser().submit("/password", &set).await.status, 200);
    let mut ada = app.logged_in("ada@example.com").await;
    let page = format!("/admin/users/{}", ada.user_id().await);
    assert!(
        admin
            .page("/admin/users?search=ada")
            .await
            .text
            .contains(&page)
    );

    let act = async |admin: &mut Browser, act: &str, fields: &[(&str, &str)]| {
        admin.submit(&format!("{page}/{act}"), fields).await
    };
    assert_eq!(
        location(&act(&mut admin, "end-sessions", &[]).await),
        format!("{page}?done=all_ended")
    );
    ada.whoami().await.assert_refused();
    assert_eq!(
        location(&act(&mut admin, "lock", &[]).await),
        format!("{page}?done=locked")
    );
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 401);
    assert_eq!(
        location(&act(&mut admin, "unlock", &[]).await),
        format!("{page}?done=unlocked")
    );
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    act(&mut admin, "role", &[("role", "admin")]).await;
    assert_eq!(ada.page("/admin/users").await.status, 200);
    act(&mut admin, "role", &[("role", "user")]).await;
    assert_eq!(ada.page("/admin/users").await.status, 403);
    let link = act(&mut admin, "password-link", &[]).await;
    assert!(link.text.contains("http://localhost:8080/password?token="));
    assert!(
        admin
            .page(&format!("{page}/delete"))
            .await
            .text
            .contains("cannot be undone")
    );
    let deleted = act(&mut admin, "delete", &[]).await;
    assert_eq!(location(&deleted), "/admin/users?done=user_deleted");
    let list = admin.page("/admin/users?done=user_deleted").await;
    assert!(list.text.contains("The user is deleted"), "{}", list.text);
    ada.whoami().await.assert_refused();
    assert_eq!(admin.page(&page).await.status, 404);

    let own = format!("/admin/users/{}", admin.user_id().await);
    let refused = admin.submit(&format!("{own}/lock"), &[]).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.text.contains("Nobody else can administer"),
        "{}",
        refused.text
    );
    let events = admin.page("/admin/events").await.text;
    for action in ["user_deleted", "role_changed", "password_link_issued"] {
        assert!(
            events.contains(&format!(" data-label=\"What\">{action}</td>")),
            "{action}"
        );
    }
}

#[tokio::test]
async fn admins_end_many_sessions_after_seeing_which() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let mut ada = app.registered("ada@example.com").await;
    let user = ada.user_id().await;
    app.logged_in("ada@example.com").await;
    let filter = format!("user_id={user}&issued_after=2001-01-01T00:00");
    let list = admin.page(&format!("/admin/sessions?{filter}")).await;
    assert_eq!(list.status, 200);
    let end = list
        .text
        .split("href=\"/admin/sessions/end?")
        .nth(1)
        .unwrap();
    let query = end.split('"').next().unwrap().replace("&#38;", "&");
    let preview = admin.page(&format!("/admin/sessions/end?{query}")).await;
    assert!(
        preview.text.contains("<strong>2 active sessions</strong>"),
        "{}",
        preview.text
    );
    assert_eq!(ada.whoami().await.status, 200, "it was only asked for");
    let chosen = [
        ("user_id", &*user),
        ("issued_after", "2001-01-01T00:00:00Z"),
        ("reason", "a stolen phone"),
    ];
    let ended = admin.submit("/admin/sessions/end", &chosen).await;
    assert!(ended.text.contains("2 ended."), "{}", ended.text);
    ada.whoami().await.assert_refused();
    let events = admin
        .page("/admin/events?action=matching_sessions_revoked")
        .await;
    assert!(events.text.contains("“a stolen phone”"), "{}", events.text);

    let wrong = admin
        .page("/admin/sessions?ip=nonsense&issued_before=yesterday")
        .await;
    assert_eq!(wrong.status, 422);
    assert_eq!(
        wrong.text.matches("class=\"mistake\"").count(),
        2,
        "{}",
        wrong.text
    );
    assert_eq!(
        admin.page("/admin/sessions/end").await.status,
        422,
        "of nobody"
    );
    for wrong in [
        [("reason", "x"), ("ip", "")],
        [("everyone", "true"), ("ip", "192.0.2.1")],
    ] {
        let refused = admin.submit("/admin/sessions/end", &wrong).await;
        assert_eq!(refused.status, 422);
        assert!(
            refused.text.contains("Something is not right yet"),
            "{}",
            refused.text
        );
    }
    let unknown = admin.page("/admin/events?action=nothing").await;
    assert!(
        unknown.text.contains("must be an action"),
        "{}",
        unknown.text
    );
    let everyone = admin
        .submit("/admin/sessions/end", &[("everyone", "true")])
        .await;
    assert_eq!(location(&everyone), "/login");
    admin.whoami().await.assert_refused();
}

#[tokio::test]
async fn problems_are_explained_to_people() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    for path in ["/nothing", "/problems/nothing", "/admin/users/x/y"] {
        let page = browser.page(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(
            page.text.contains("<h1>Not found</h1>"),
            "{path}: {}",
            page.text
        );
        browser.get(path).await.assert_problem(404, "not_found");
    }
    let wrong = browser
        .request(Method::PUT, "/login")
        .header("accept", "text/html");
    let wrong = browser.send(wrong).await;
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, Some("GET, HEAD, POST"))
    );
    assert!(
        wrong.text.contains("<h1>Method not allowed</h1>"),
        "{}",
        wrong.text
    );
    for path in ["/api/sessions/whoami", "/api/nothing"] {
        assert!(browser.page(path).await.text.starts_with('{'), "{path}");
    }
    let long = format!("/account?{}", "a".repeat(7000));
    assert_eq!(location(&browser.page(&long).await), "/login");
    let api = browser
        .request(Method::GET, "/api/sessions/whoami")
        .header("accept", "text/html");
    browser.send(api).await.assert_refused();
}

#[tokio::test]
async fn where_nobody_may_register_no_page_says_so() {
    let closed = [("GATELODGE_REGISTRATION__ENABLED", "false")];
    let app = TestApp::spawn_with(Embedded, &closed).await;
    let mut browser = app.browser();
    assert!(!browser.page("/login").await.text.contains("/register"));
    let page = browser.page("/register").await;
    assert_eq!(page.status, 403);
    assert!(page.text.contains("<h1>Registration is closed</h1>"));
}

#[tokio::test]
async fn pages_say_only_what_other_pages_of_ours_have_them_say() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    for (site, is_said) in [
        ("same-origin", true),
        ("cross-site", false),
        ("none", false),
    ] {
        let request = browser
            .request(Method::GET, "/login?done=account_deleted")
            .header("sec-fetch-site", site);
        let page = browser.send(request).await;
        assert_eq!(
            page.text.contains("Your account is deleted."),
            is_said,
            "{site}"
        );
    }
}

#[tokio::test]
async fn a_page_is_explained_also_when_the_ledger_is_silent() {
    let database = TestDatabase::create().await;
    let (proxy, url) = FaultProxy::before_url(&database.url);
    let settings = [
        ("DATABASE_URL", &*url),
        ("GATELODGE_SECRETS__KEYS", &*generate_key()),
    ];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let mut ada = app.registered("ada@example.com").await;
    proxy.silence();
    let page = ada.page("/account").await;
    assert_eq!(page.status, 503);
    assert_eq!(page.header("retry-after"), Some("2"));
    assert!(page.text.contains("<h1>Unavailable</h1>"), "{}", page.text);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let form = app.browser().submit("/login", &fields).await;
    assert_eq!(form.status, 503);
    assert!(
        form.text.contains("value=\"ada@example.com\""),
        "{}",
        form.text
    );
}

/// The texts between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = text.split(before).skip(1);
    parts
        .map(|part| part.split(after).next().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_wrong_is_said_once_at_its_field_and_once_above_by_the_fields_label() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let listed = "user_id=x&ip=10.1.2.3/8&user_agent=ab&issued_after=x";
    let mut shown = vec![
        admin.page(&format!("/admin/sessions?{listed}")).await,
        admin.page("/admin/events?actor=x&subject=y").await,
        admin.page("/admin/users?search=ab").await,
    ];
    let fields = [("email", "x"), ("name", ""), ("password", "short")];
    shown.push(app.browser().submit("/register", &fields).await);
    let fields = [("email", "x"), ("name", ""), ("role", "user")];
    shown.push(admin.submit("/admin/users/new", &fields).await);
    let fields = [("current_password", PASSWORD), ("new_password", "short")];
    shown.push(admin.submit("/account/password", &fields).await);
    for page in shown {
        assert_eq!(page.status, 422, "{}", page.text);
        let wrong = between(&page.text, "<li><a href=\"#", "</li>");
        assert_eq!(
            wrong.len(),
            page.text.matches("class=\"mistake\"").count(),
            "{}",
            page.text
        );
        for mistake in wrong {
            let (field, rest) = mistake.split_once("\">").unwrap();
            let (name, message) = rest.split_once("</a> ").unwrap();
            let label = format!("<label for=\"{field}\">{name}</label>");
            assert!(page.text.contains(&label), "{label}: {}", page.text);
            assert!(!message.contains('_'), "{message}");
            let at_field = format!("id=\"{field}-mistake\">This {message}.</p>");
            assert!(page.text.contains(&at_field), "{at_field}");
            assert!(!page.text.contains(&format!("id=\"{field}-hint\"")));
        }
        for searched in ["No sessions match", "No events match", "No users match"] {
            assert!(!page.text.contains(searched), "nothing was searched");
        }
    }
    let nothing = admin.page("/admin/sessions?ip=192.0.2.1").await;
    assert!(nothing.text.contains("No sessions match."));
}

#[tokio::test]
async fn admins_find_people_by_their_e_mail_addresses_as_by_their_ids() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let user = app.registered("ada@example.com").await.user_id().await;
    app.registered("eve@example.com").await;
    for whom in [&*user, "ada@example.com", "ADA@example.com"] {
        let list = admin.page(&format!("/admin/sessions?user_id={whom}")).await;
        assert!(list.text.contains(">ada@example.com</a>"), "{}", list.text);
        assert!(!list.text.contains(">eve@example.com</a>"), "{whom}");
        assert!(list.text.contains(&format!("value=\"{whom}\"")), "{whom}");
        let end = format!("/admin/sessions/end?user_id={user}");
        assert!(list.text.contains(&end), "an address may change hands");
        let preview = admin.page(&end).await;
        assert!(
            preview.text.contains("<dd>ada@example.com</dd>"),
            "{}",
            preview.text
        );
        for of in ["actor", "subject"] {
            let events = admin.page(&format!("/admin/events?{of}={whom}")).await;
            assert!(
                events.text.contains(" data-label=\"What\">registered</td>"),
                "{}",
                events.text
            );
            assert!(!events.text.contains(">eve@example.com</a>"), "{of}={whom}");
        }
    }
    for list in ["sessions?user_id", "events?actor", "events?subject"] {
        let nobody = admin
            .page(&format!("/admin/{list}=nobody@example.com"))
            .await;
        assert_eq!(nobody.status, 200);
        assert!(
            nobody
                .text
                .contains("No user has the e-mail address <strong>nobody@example.com</strong>."),
            "{}",
            nobody.text
        );
        assert!(!nobody.text.contains("<table"), "{list}");
    }
    let operators = admin.page("/admin/events?actor=operator").await;
    assert_eq!(operators.status, 200, "{}", operators.text);
}

#[tokio::test]
async fn the_audit_log_is_shown_to_the_second() {
    let app = TestApp::spawn(Embedded).await;
    let events = admin(&app).await.page("/admin/events").await;
    let times = between(&events.text, " data-seconds>", " UTC</time>");
    assert!(!times.is_empty(), "{}", events.text);
    for time in times {
        let (_, clock) = time.split_once(", ").unwrap();
        assert_eq!(clock.len(), "14:13:20".len(), "{time}");
    }
}

#[tokio::test]
async fn who_has_tried_too_often_is_told_for_how_long() {
    let settings = [("GATELODGE_THROTTLE__MAX_ATTEMPTS", "1")];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    app.registered("ada@example.com").await;
    let wrong = [("email", "ada@example.com"), ("password", "not it, surely")];
    let mut stranger = app.browser();
    assert_eq!(stranger.submit("/login", &wrong).await.status, 401);
    let throttled = stranger.submit("/login", &wrong).await;
    assert_eq!(throttled.status, 429);
    let seconds: u64 = throttled.header("retry-after").unwrap().parse().unwrap();
    let minutes = match seconds.div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    assert!(
        throttled.text.contains(&format!("Try again in {minutes}.")),
        "{seconds}: {}",
        throttled.text
    );
}

#[tokio::test]
async fn a_dead_link_says_who_has_a_new_one() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    for (link, way_out) in [
        ("/setup?token=none", "gatelodge setup-link"),
        ("/password?token=none", "Ask an administrator"),
    ] {
        let page = browser.page(link).await;
        assert_eq!(page.status, 404);
        assert!(page.text.contains(way_out), "{}", page.text);
    }
}

#[tokio::test]
async fn who_may_do_what_is_changed_after_a_question_and_one_s_own_with_a_warning() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = admin(&app).await;
    let user = app.registered("ada@example.com").await.user_id().await;
    let own = admin.user_id().await;
    for (user, role, warned) in [(&user, "admin", false), (&own, "user", true)] {
        let page = admin.page(&format!("/admin/users/{user}")).await.text;
        let asked = format!("/admin/users/{user}/role");
        assert!(page.contains(&format!("href=\"{asked}\"")), "{page}");
        assert!(!page.contains(&format!("action=\"{asked}\"")), "{page}");
        assert_eq!(page.contains("This is your own account."), warned);
        let question = admin.page(&asked).await.text;
        let choice = format!("name=\"role\" value=\"{role}\"");
        assert!(question.contains(&choice), "{question}");
        assert_eq!(question.contains("This is your own account"), warned);
    }
}
