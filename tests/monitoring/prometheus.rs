//! A real Prometheus, with the alert rules of `deploy/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Client;
use serde_json::Value;

use crate::support::servers::{Process, debian, started};

pub struct Prometheus {
    process: Process,
    client: Client,
}

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file)
}

impl Prometheus {
    /// Collects from these.
    pub fn start(targets: &[SocketAddr]) -> Self {
        let binary = debian("prometheus", "prometheus");
        let targets: Vec<_> = targets.iter().map(|target| format!("'{target}'")).collect();
        let configuration = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n  - job_name: gatelodge\n    static_configs: [{{ targets: [{}] }}]\n",
            deployed("prometheus/alerts.yaml").display(),
            targets.join(", ")
        );
        let process = started("Prometheus", "TERM", |directory, port| {
            let file = directory.join("prometheus.yaml");
            std::fs::write(&file, &configuration).expect("a file");
            let mut command = Command::new(&binary);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    directory.join("data").display()
                ))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        });
        Self {
            process,
            client: Client::builder().no_proxy().build().expect("a client"),
        }
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.process.address);
        let answer = self.client.get(url).query(query).send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer["data"].clone()
    }

    /// How many series an expression has now.
    pub async fn evaluate(&self, expression: &str) -> usize {
        let data = self.ask("query", &[("query", expression)]).await;
        data["result"].as_array().expect("a vector").len()
    }

    /// The rules that it goes by.
    pub async fn rules(&self) -> Vec<Value> {
        let data = self.ask("rules", &[]).await;
        let groups = data["groups"].as_array().expect("groups");
        let rules = groups.iter().map(|group| group["rules"].as_array());
        rules.flatten().flatten().cloned().collect()
    }
}

#[test]
fn the_alert_rules_fire_when_they_must_and_only_then() {
    let promtool = debian("promtool", "prometheus");
    for arguments in [
        ["check", "config", "prometheus/prometheus.yaml"],
        ["test", "rules", "prometheus/alerts.test.yaml"],
    ] {
        let [what, of, file] = arguments;
        let done = Command::new(&promtool)
            .args([what, of])
            .arg(deployed(file))
            .output()
            .expect("promtool runs");
        let said = String::from_utf8_lossy(&done.stdout);
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}{error}");
    }
    let rules = std::fs::read_to_string(deployed("prometheus/alerts.yaml")).unwrap();
    let tests = std::fs::read_to_string(deployed("prometheus/alerts.test.yaml")).unwrap();
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        let is_tested = tests.contains(&format!("alertname=\"{name}\""));
        assert!(is_tested, "no test has {name} fire");
    }
}
