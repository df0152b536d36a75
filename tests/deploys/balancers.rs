//! Real load balancers in front of three instances, each with its file of `deploy/`: but
//! for the addresses, and for times, which are as much shorter as the instances drain
//! more shortly.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::support::servers::{Process, debian, started};

/// nginx asks nobody whether an instance is ready: it goes by what fails.
pub fn nginx(instances: &[SocketAddr; 3]) -> Process {
    let binary = debian("nginx", "nginx");
    let [first, second, third] = instances;
    started("nginx", "TERM", |directory, port| {
        let third = format!("server {second} max_fails=3 fail_timeout=1s;\n    server {third} max");
        let shipped = shipped(
            "nginx.conf",
            &[
                ("listen 8080", &format!("listen 127.0.0.1:{port}")),
                ("fail_timeout=2s", "fail_timeout=1s"),
                ("gatelodge-1:8080", &first.to_string()),
                ("server gatelodge-2:8080 max", &third),
                ("keepalive_timeout 4s", "keepalive_timeout 800ms"),
                ("connect_timeout 500ms", "connect_timeout 100ms"),
                ("error_log stderr crit", "error_log stderr warn"),
            ],
        );
        fs::write(directory.join("default.conf"), shipped).expect("a file");
        // What a distribution has around `conf.d`, and nothing elsewhere.
        let whole = format!(
            "daemon off;\npid {0}/nginx.pid;\nworker_processes 1;\nerror_log stderr;\n\
             events {{}}\nhttp {{\n    client_body_temp_path {0}/body;\n    \
             proxy_temp_path {0}/proxy;\n    fastcgi_temp_path {0}/fastcgi;\n    \
             uwsgi_temp_path {0}/uwsgi;\n    scgi_temp_path {0}/scgi;\n    \
             include {0}/default.conf;\n}}\n",
            directory.display()
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, whole).expect("a file");
        let mut command = Command::new(&binary);
        command.args(["-e", "stderr", "-c"]).arg(file);
        command
    })
}

/// HAProxy asks them.
pub fn haproxy(instances: &[SocketAddr; 3]) -> Process {
    let binary = debian("haproxy", "haproxy");
    let [first, second, third] = instances;
    started("haproxy", "TERM", |directory, port| {
        let third = format!("{second}\n    server gatelodge-3 {third}");
        let shipped = shipped(
            "haproxy/balance.cfg",
            &[
                ("bind :8080", &format!("bind 127.0.0.1:{port}")),
                ("inter 1s", "inter 200ms"),
                ("gatelodge-1:8080", &first.to_string()),
                ("gatelodge-2:8080", &third),
            ],
        );
        let file = directory.join("haproxy.cfg");
        fs::write(&file, shipped).expect("a file");
        let mut command = Command::new(&binary);
        command.args(["-db", "-f"]).arg(file);
        command
    })
}

fn shipped(file: &str, replacements: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file);
    let mut text = fs::read_to_string(path).expect("a file of deploy/");
    for (shipped, here) in replacements {
        assert!(text.contains(shipped), "{file} has no {shipped:?}");
        text = text.replace(shipped, here);
    }
    text
}
