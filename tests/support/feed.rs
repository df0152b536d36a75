//! A service that hears of revocations.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::browser::{Answer, Browser};

/// What tests' instances take for a service's.
pub const CREDENTIAL: &str = "service-credential-of-the-tests-0123456789";

/// Appends 2500 entries without any effect, of a kind that this version does not know.
pub const MANY: &str = "
    insert into revocations (number, kind)
    with recursive counted (n) as (select 1 union all select n + 1 from counted where n < 2500)
    select h.number + n, 'of_a_later_version' from counted, revocation_head h;
    update revocation_head set number = number + 2500;";

/// How long a stream may be silent where something is to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service that knows an instance.
#[derive(Clone)]
pub struct Service {
    client: Client,
    address: SocketAddr,
}

impl Service {
    pub fn of(address: SocketAddr) -> Self {
        let client = Client::new();
        Self { client, address }
    }

    fn get(&self, query: &str) -> RequestBuilder {
        let url = format!("http://{}/api/revocations{query}", self.address);
        self.client.get(url).bearer_auth(CREDENTIAL)
    }

    /// A page of the log, or why there is none.
    pub async fn ask(&self, query: &str) -> Answer {
        Browser::new(self.address).send(self.get(query)).await
    }

    pub async fn page(&self, query: &str) -> Value {
        let answer = self.ask(query).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// All entries after that number, page by page.
    pub async fn entries(&self, after: u64) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), after);
        loop {
            let page = self.page(&format!("?after={after}")).await;
            let entries = page["entries"].as_array().expect("entries");
            all.extend_from_slice(entries);
            let Some(last) = entries.last() else {
                assert_eq!(page["head"]["number"], after);
                return all;
            };
            after = last["number"].as_u64().expect("a number");
        }
    }

    /// A stream from the last minutes on, or from that event on.
    pub async fn stream(&self, last_event_id: Option<&str>) -> Stream {
        let opened = self.try_stream(last_event_id).await;
        opened.unwrap_or_else(|answer| panic!("no stream: {}", answer.text))
    }

    pub async fn try_stream(&self, last_event_id: Option<&str>) -> Result<Stream, Answer> {
        let mut request = self.get("").header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        if response.status() == 200 {
            return Ok(Stream::of(response));
        }
        Err(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a body"),
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
}

/// A stream that is open.
pub struct Stream {
    pub response: Response,
    text: String,
}

impl Stream {
    fn of(response: Response) -> Self {
        let text = String::new();
        Self { response, text }
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (parse(event), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk
                .expect("the stream is silent")
                .expect("a proper end")?;
            self.text += std::str::from_utf8(&chunk).expect("text");
        }
    }

    /// The next event of that name; all that comes before it is passed over.
    pub async fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    pub async fn entry(&mut self) -> Value {
        self.next_of("entry").await.data
    }

    /// All entries up to the next head.
    pub async fn up_to_head(&mut self) -> (Vec<Value>, Event) {
        let mut entries = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            match event.name.as_str() {
                "entry" => entries.push(event.data),
                "head" => return (entries, event),
                _ => {}
            }
        }
    }

    /// Waits until it ends.
    pub async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

fn parse(event: &str) -> Event {
    let field = |name: &str| {
        let mut lines = event.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Event {
        id: field("id").map(str::to_owned),
        name: field("event").expect("a name").to_owned(),
        data: serde_json::from_str(field("data").expect("data")).expect("JSON"),
    }
}
