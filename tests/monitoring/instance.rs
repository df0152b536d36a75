//! The program, and what it tells.

use std::net::SocketAddr;
use std::process::Command;

use reqwest::{Client, Method, Response};

use super::scrape::Scrape;
use crate::support::eventually;
use crate::support::program::Program;

pub struct Instance {
    pub program: Program,
    pub metrics: SocketAddr,
    client: Client,
}

impl Instance {
    pub fn start(mut command: Command) -> Self {
        command.env("GATELODGE_METRICS__BIND", "127.0.0.1:0");
        let mut program = Program::run(command);
        let _stores = program.line();
        let line = program.line();
        let address = line.strip_prefix("metrics: http://").expect(&line);
        let address = address.strip_suffix("/metrics").expect(address);
        Self {
            program,
            metrics: address.parse().expect("an address"),
            client: Client::builder().no_proxy().build().expect("a client"),
        }
    }

    pub async fn ask(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{}{path}", self.metrics);
        let answer = self.client.request(method, url).send().await;
        answer.expect("an answer")
    }

    pub async fn scrape(&self) -> Scrape {
        let answer = self.ask(Method::GET, "/metrics").await;
        assert_eq!(answer.status(), 200);
        Scrape::parse(&answer.text().await.expect("text"))
    }

    /// What a series shows; 0 if it is not there.
    pub async fn shows(&self, series: &str) -> f64 {
        self.scrape().await.get(series).unwrap_or(0.0)
    }

    /// Does something that a series must show to have happened.
    pub async fn counts(&self, series: &str, act: impl AsyncFnOnce()) {
        self.counts_all(&[series], act).await;
    }

    /// The same of several series.
    pub async fn counts_all(&self, series: &[&str], act: impl AsyncFnOnce()) {
        let before = self.scrape().await;
        act().await;
        eventually(&format!("{series:?} rise"), async || {
            let now = self.scrape().await;
            let rises = |series: &&str| {
                let before = before.get(series).unwrap_or(0.0);
                now.get(series).is_some_and(|now| now > before)
            };
            series.iter().all(rises)
        })
        .await;
    }
}
