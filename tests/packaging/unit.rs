//! The unit, installed by the commands of `docs/packaging.md` and run by a real systemd.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::files::text;
use crate::machine::Machine;
use crate::support::Browser;
use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::servers::{REDIS, free_port};
use crate::support::{eventually, within};

/// The block of commands with these words in it.
fn commands(words: &str) -> String {
    let page = text("docs/packaging.md");
    let blocks = page.split("```sh,not-run\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let found = blocks.find(|block| block.contains(words));
    found.unwrap_or_else(|| panic!("no {words}")).to_owned()
}

/// Its port is not free on every machine.
fn on_port(port: u16) -> String {
    format!("sed -i 's/:8080$/:{port}/' /etc/gatelodge/gatelodge.env\n")
}

/// Registers Ada, or logs her in.
async fn ask(address: SocketAddr, path: &str) -> u16 {
    let mut ada = json!({ "email": "ada@example.com", "password": PASSWORD });
    if path == "/api/register" {
        ada["name"] = "Ada".into();
    }
    let request = Browser::new(address).request(Method::POST, path);
    request.json(&ada).send().await.unwrap().status().as_u16()
}

fn main_process(machine: &Machine) -> String {
    machine.says("systemctl show --property=MainPID --value gatelodge")
}

fn log(machine: &Machine) -> String {
    machine.says("journalctl --unit=gatelodge --output=cat --no-pager")
}

#[tokio::test]
async fn the_service_runs_in_its_sandbox_starts_again_and_stops() {
    let machine = Machine::boot().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let install = commands("gatelodge.sysusers");
    let (files, start) = install.split_once("systemd-sysusers").unwrap();
    machine.says(&format!(
        "{files}{}systemd-sysusers{start}",
        on_port(address.port())
    ));

    // Started means ready.
    assert_eq!(ask(address, "/api/register").await, 201);
    assert_eq!(ask(address, "/api/login").await, 200);

    let id = main_process(&machine);
    let status = machine.says(&format!("cat /proc/{id}/status"));
    let has = |line: &str| status.lines().any(|other| other == line);
    assert!(has("CapBnd:\t0000000000000000"), "{status}");
    assert!(has("NoNewPrivs:\t1") && has("Seccomp:\t2"), "{status}");
    let user = machine.says("id --user gatelodge");
    assert!(
        has(&format!("Uid:\t{user}\t{user}\t{user}\t{user}")),
        "{status}"
    );
    let inside = format!("nsenter --mount --target {id}");
    for place in ["/etc", "/usr/local/bin", "/var"] {
        assert!(
            machine.refuses(&format!("{inside} touch {place}/x")),
            "{place}"
        );
    }
    machine.says(&format!("{inside} touch /var/lib/gatelodge/x"));

    machine.says("systemctl reload gatelodge");
    eventually("the keys are read again", async || {
        log(&machine).matches("keys: the first key signs").count() == 2
    })
    .await;
    assert_eq!(main_process(&machine), id);

    machine.says(&format!("kill -KILL {id}"));
    within(Duration::from_secs(20), "it is started again", async || {
        let again = main_process(&machine);
        again != id && again != "0" && !machine.refuses("systemctl is-active gatelodge")
    })
    .await;
    assert_eq!(ask(address, "/api/login").await, 200);
    assert!(
        machine
            .says(&commands("setpriv"))
            .contains("ada@example.com")
    );

    machine.says("systemctl stop gatelodge");
    let result = machine.says("systemctl show --property=Result,ExecMainStatus gatelodge");
    assert_eq!(result, "Result=success\nExecMainStatus=0");
}

#[tokio::test]
async fn with_postgresql_its_secrets_are_files_and_its_keys_change_while_it_runs() {
    let machine = Machine::boot().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let database = TestDatabase::create().await;
    let urls = format!(
        "DATABASE_URL='{}'\nREDIS_URL='{}'\n",
        database.url, REDIS.url
    );
    let install = commands("gatelodge.sysusers");
    let (files, _) = install.split_once("systemctl daemon-reload").unwrap();
    let prefix = format!(
        "echo GATELODGE_REDIS__KEY_PREFIX={} >> /etc/gatelodge/gatelodge.env\n",
        database.name
    );
    let more = commands("postgres.conf");
    machine.says(&format!(
        "{files}{}{prefix}{urls}{more}",
        on_port(address.port())
    ));
    eventually("it is on both stores", async || {
        log(&machine).contains("ledger: PostgreSQL, hot store: Redis")
    })
    .await;
    assert_eq!(ask(address, "/api/register").await, 201);

    let id = main_process(&machine);
    let environment = machine.says(&format!("tr '\\0' '\\n' < /proc/{id}/environ"));
    assert!(!environment.contains("postgres://"), "{environment}");
    let reads = "setpriv --reuid=gatelodge --regid=gatelodge --clear-groups cat /etc/gatelodge";
    machine.says(&format!("{reads}/keys"));
    assert!(machine.refuses(&format!("{reads}/database-url")));

    machine.says("gatelodge keys generate >> /etc/gatelodge/keys\nsystemctl reload gatelodge");
    eventually("it has two keys", async || {
        log(&machine).contains("\"count\":2")
    })
    .await;
    assert_eq!(main_process(&machine), id);
    machine.says("systemctl stop gatelodge");
}
