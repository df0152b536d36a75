//! The proxies, each with exactly the files of `deploy/`: but for the addresses, and
//! for TLS, which ends before them here.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::binaries;
use crate::support::servers::{Process, started};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    /// With the file for Gatelodge and an app under one name.
    NginxOneHost,
    Caddy,
    /// Whose `copy_headers` leaves a client's headers where the answer's are empty.
    Caddy210,
    Haproxy,
    Traefik,
    Envoy,
}

pub struct Proxy {
    process: Process,
}

impl Proxy {
    pub fn start(kind: Kind, gatelodge: SocketAddr, app: SocketAddr) -> Self {
        let binary = binaries::find(kind);
        let process = started(kind.name(), "TERM", |directory, port| {
            for (file, replacements) in kind.files(directory, port) {
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("deploy")
                    .join(file);
                let mut text = fs::read_to_string(&path).expect("a file of deploy/");
                for (shipped, here) in replacements {
                    assert!(text.contains(&shipped), "{file} has no {shipped:?}");
                    text = text.replace(&shipped, &here);
                }
                let text = with_address(&text, 8080, gatelodge);
                let text = with_address(&text, 3000, app);
                let name = path.file_name().expect("a name");
                fs::write(directory.join(name), text).expect("a copy");
            }
            kind.command(&binary, directory)
        });
        Self { process }
    }

    pub fn address(&self) -> SocketAddr {
        self.process.address
    }
}

/// With another address in the place of that port of this machine.
fn with_address(text: &str, port: u16, address: SocketAddr) -> String {
    text.replace(&format!("127.0.0.1:{port}"), &address.to_string())
        .replace(
            &format!("port_value: {port}"),
            &format!("port_value: {}", address.port()),
        )
}

type Replacements = Vec<(String, String)>;

fn replacements<const N: usize>(pairs: [(&str, String); N]) -> Replacements {
    pairs
        .map(|(shipped, here)| (shipped.to_owned(), here))
        .into()
}

/// The file for `conf.d`, and those that it includes.
fn nginx(main: &'static str, directory: &Path, port: u16) -> Vec<(&'static str, Replacements)> {
    let certificate = "ssl_certificate /etc/nginx/tls/example.com.pem;\n";
    let key = "ssl_certificate_key /etc/nginx/tls/example.com.key;\n";
    let listen = format!("listen 127.0.0.1:{port}");
    let included = format!("include {}/", directory.display());
    let main = (
        main,
        replacements([
            (certificate, String::new()),
            (key, String::new()),
            ("listen 443 ssl", listen),
            ("include /etc/nginx/gatelodge/", included),
        ]),
    );
    let log = ("/var/log/nginx/error.log", "stderr".to_owned());
    vec![
        main,
        ("nginx/check.conf", Vec::new()),
        ("nginx/protect.conf", Vec::new()),
        ("nginx/pages.conf", replacements([log])),
    ]
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx | Self::NginxOneHost => "nginx",
            Self::Caddy | Self::Caddy210 => "caddy",
            Self::Haproxy => "haproxy",
            Self::Traefik => "traefik",
            Self::Envoy => "envoy",
        }
    }

    /// The files of `deploy/`, and what stands for what in them here.
    fn files(self, directory: &Path, port: u16) -> Vec<(&'static str, Replacements)> {
        let here = |name: &str| directory.join(name).display().to_string();
        match self {
            Self::Nginx => nginx("nginx/two-hosts.conf", directory, port),
            Self::NginxOneHost => nginx("nginx/one-host.conf", directory, port),
            Self::Caddy | Self::Caddy210 => {
                let site =
                    |name: &str| format!("http://{name}.example.com:{port} {{\n\tbind 127.0.0.1\n");
                let sites = [
                    (
                        "\nauth.example.com {\n",
                        format!("{{\n\tadmin off\n}}\n{}", site("auth")),
                    ),
                    ("\napp.example.com {\n", site("app")),
                ];
                vec![("caddy/Caddyfile", replacements(sites))]
            }
            Self::Haproxy => {
                let bind = (
                    "bind :443 ssl crt /etc/haproxy/tls/ alpn h2,http/1.1",
                    format!("bind 127.0.0.1:{port}"),
                );
                let lua = ("/etc/haproxy/gatelodge.lua", here("gatelodge.lua"));
                vec![
                    ("haproxy/haproxy.cfg", replacements([bind, lua])),
                    ("haproxy/gatelodge.lua", Vec::new()),
                ]
            }
            Self::Traefik => {
                let address = ("\":443\"", format!("\"127.0.0.1:{port}\""));
                let routes = ("/etc/traefik/gatelodge.yaml", here("gatelodge.yaml"));
                let certificate = "tls:\n  certificates:\n    - certFile: /etc/traefik/tls/example.com.pem\n      keyFile: /etc/traefik/tls/example.com.key\n";
                let tls = [
                    ("      tls: {}\n", String::new()),
                    (certificate, String::new()),
                ];
                vec![
                    ("traefik/traefik.yaml", replacements([address, routes])),
                    ("traefik/gatelodge.yaml", replacements(tls)),
                ]
            }
            Self::Envoy => {
                let text = include_str!("../../deploy/envoy/envoy.yaml");
                let from = text.find("        - transport_socket:").expect("TLS");
                let to = text.find("          filters:").expect("filters");
                let tls = (&text[from..to], "        -\n".to_owned());
                let address = (
                    "address: 0.0.0.0, port_value: 443",
                    format!("address: 127.0.0.1, port_value: {port}"),
                );
                vec![("envoy/envoy.yaml", replacements([tls, address]))]
            }
        }
    }

    fn command(self, binary: &Path, directory: &Path) -> Command {
        let file = |name: &str| directory.join(name);
        // Where Caddy keeps what it would keep in one's home.
        let mut command = Command::new("env");
        for home in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.arg(format!("{home}={}", directory.display()));
        }
        command.arg(binary);
        match self {
            Self::Nginx | Self::NginxOneHost => {
                // What a distribution has around `conf.d`, and nothing elsewhere.
                let whole = format!(
                    "daemon off;\npid {0}/nginx.pid;\nworker_processes 1;\nerror_log stderr;\n\
                     events {{}}\nhttp {{\n    access_log off;\n    client_body_temp_path {0}/body;\n    \
                     proxy_temp_path {0}/proxy;\n    fastcgi_temp_path {0}/fastcgi;\n    \
                     uwsgi_temp_path {0}/uwsgi;\n    scgi_temp_path {0}/scgi;\n    include {0}/*-host*.conf;\n}}\n",
                    directory.display()
                );
                fs::write(file("nginx.conf"), whole).expect("a file");
                command.args(["-e", "stderr", "-c"]).arg(file("nginx.conf"));
            }
            Self::Caddy | Self::Caddy210 => {
                command
                    .args(["run", "--adapter", "caddyfile", "--config"])
                    .arg(file("Caddyfile"));
            }
            Self::Haproxy => {
                command.args(["-db", "-f"]).arg(file("haproxy.cfg"));
            }
            Self::Traefik => {
                command.arg(format!("--configFile={}", file("traefik.yaml").display()));
            }
            Self::Envoy => {
                command
                    .args(["--disable-hot-restart", "--concurrency", "1", "-c"])
                    .arg(file("envoy.yaml"));
            }
        }
        command
    }
}
