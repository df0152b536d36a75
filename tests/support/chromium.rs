//! A headless Chromium, driven as people use it. Debian's, with its driver; started
//! once per process, and with a profile of its own for each visitor.

use std::panic::Location;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::servers::{Process, program, started};
use super::within;

/// How long a page may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

static CHROMIUM: LazyLock<PathBuf> = LazyLock::new(|| {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    program(&names, "chromium", "put chromium into PATH")
});

static DRIVER: LazyLock<Process> = LazyLock::new(|| {
    let driver = program(
        &["chromedriver"],
        "chromium-driver",
        "put chromedriver, of Chromium's version, into PATH",
    );
    started("chromedriver", "TERM", |_, port| {
        let mut command = Command::new(&driver);
        command.arg(format!("--port={port}"));
        command
    })
});

/// Somebody at a browser of their own, on the pages of one origin.
pub struct Visitor {
    client: Client,
    origin: String,
}

impl Visitor {
    pub async fn to(origin: &str) -> Self {
        Self::with(origin, true).await
    }

    pub async fn without_scripts(origin: &str) -> Self {
        Self::with(origin, false).await
    }

    async fn with(origin: &str, runs_scripts: bool) -> Self {
        let content = if runs_scripts { 1 } else { 2 };
        let options = json!({
            "binary": *CHROMIUM,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en",
                "--window-size=1200,900",
            ],
            "prefs": { "profile.managed_default_content_settings.javascript": content },
        });
        let Value::Object(capabilities) = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
        }) else {
            unreachable!("it is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{}", DRIVER.address))
            .await
            .expect("Chromium starts");
        Self {
            client,
            origin: origin.to_owned(),
        }
    }

    pub async fn go(&self, path: &str) {
        let address = format!("{}{path}", self.origin);
        self.client.goto(&address).await.expect("a page");
    }

    /// Waits until it is there: a path and query of our origin, or another's address.
    #[track_caller]
    pub fn is_at(&self, place: &str) -> impl Future<Output = ()> {
        let address = Url::parse(&self.origin).and_then(|own| own.join(place));
        let address = address.expect("an address");
        let caller = Location::caller();
        async move {
            let arrived = self.client.wait().at_most(PATIENCE).for_url(&address).await;
            if arrived.is_err() {
                let place = self.client.current_url().await;
                panic!("{caller}: not at {address} but at {place:?}");
            }
        }
    }

    /// Waits until the page shows that.
    #[track_caller]
    pub fn shows(&self, words: &str) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let text = self.text().await;
                if text.contains(words) {
                    return;
                }
                assert!(
                    Instant::now() < deadline,
                    "{caller}: no {words:?} in {text:?}"
                );
            }
        }
    }

    /// All that the page shows; nothing while another takes its place.
    pub async fn text(&self) -> String {
        let text = async { self.client.find(Locator::Css("main")).await?.text().await };
        text.await.unwrap_or_default()
    }

    pub async fn fill(&self, field: &str, text: &str) {
        let field = self.client.find(Locator::Id(field)).await;
        let field = field.expect("a field");
        field.clear().await.expect("it can be emptied");
        field.send_keys(text).await.expect("it takes text");
    }

    /// Clicks what begins with those words, a button or a link, and waits for the
    /// page that it leads to.
    pub async fn click(&self, words: &str) {
        let path =
            format!("//*[self::a or self::button][starts-with(normalize-space(.), '{words}')]");
        let page = self.client.find(Locator::Css("html")).await;
        let page = page.expect("a page");
        let found = self.client.find(Locator::XPath(&path)).await;
        let found = found.unwrap_or_else(|_| panic!("nothing says {words:?}"));
        found.click().await.expect("it can be clicked");
        within(PATIENCE, "the next page", async || {
            page.tag_name().await.is_err()
        })
        .await;
    }

    pub async fn run(&self, script: &str) -> Value {
        let outcome = self.client.execute(script, Vec::new()).await;
        outcome.expect("it runs")
    }

    /// What a promise comes to, or the error that it ends with.
    pub async fn promised(&self, promise: &str) -> Value {
        let script =
            format!("({promise}).then(arguments[0], (error) => arguments[0](String(error)))");
        let outcome = self.client.execute_async(&script, Vec::new()).await;
        outcome.expect("it runs")
    }

    /// What axe-core finds wrong with the page.
    pub async fn barriers(&self, axe: &str) -> Value {
        self.client
            .execute(axe, Vec::new())
            .await
            .expect("axe-core loads");
        let script = "const done = arguments[0];
            axe.run().then(
                ({ violations }) => done(violations.map(({ id, help, nodes }) =>
                    [id, help, nodes.map(({ html }) => html)])),
                (error) => done(String(error)),
            );";
        let found = self.client.execute_async(script, Vec::new()).await;
        found.expect("axe-core runs")
    }

    pub async fn prefers(&self, color_scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": color_scheme });
        let media = json!({ "features": [feature] });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    pub async fn is_as_wide_as(&self, width: u16, height: u16) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.command("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    pub async fn is_in(&self, time_zone: &str) {
        let zone = json!({ "timezoneId": time_zone });
        self.command("Emulation.setTimezoneOverride", zone).await;
    }

    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture")
    }

    async fn command(&self, name: &'static str, parameters: Value) {
        let command = DevTools { name, parameters };
        self.client.issue_cmd(command).await.expect("it is done");
    }

    /// Closes the browser: nobody else does.
    pub async fn leave(self) {
        self.client.close().await.expect("it closes");
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct DevTools {
    name: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.name, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}
