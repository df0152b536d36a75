//! nginx with a recipe's file, but for addresses and TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::page::root;
use crate::proxies::binaries;
use crate::proxies::proxy::Kind::NginxOneHost;
use crate::support::servers::{Process, started};

/// What stands here for what the file says.
type Names = Vec<(&'static str, String)>;

pub struct Nginx {
    process: Process,
    folder: TempDir,
    names: Names,
}

impl Nginx {
    pub fn start(file: &Path, names: Names) -> Self {
        let binary = binaries::find(NginxOneHost);
        let folder = tempfile::tempdir().unwrap();
        let process = started("nginx", "TERM", |_, port| {
            write(folder.path(), port, file, &names);
            let mut command = Command::new(&binary);
            command.args(["-e", "stderr", "-c"]);
            command.arg(folder.path().join("nginx.conf"));
            command
        });
        Self {
            process,
            folder,
            names,
        }
    }

    /// With a file that says something else.
    pub async fn start_again(&mut self, file: &Path) {
        let port = self.process.address.port();
        write(self.folder.path(), port, file, &self.names);
        self.process.restart().await;
    }

    pub fn port(&self) -> u16 {
        self.process.address.port()
    }

    /// What a browser of this machine calls it.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port())
    }
}

fn write(folder: &Path, port: u16, file: &Path, names: &Names) {
    let here = folder.display();
    let text = fs::read_to_string(file).unwrap();
    let text = text
        .replace("ssl_certificate /etc/nginx/tls/example.com.pem;\n", "")
        .replace("ssl_certificate_key /etc/nginx/tls/example.com.key;\n", "")
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port}"))
        .replace("app.example.com", "localhost")
        .replace("/etc/nginx/gatelodge", &here.to_string());
    let text = names
        .iter()
        .fold(text, |text, (name, here)| text.replace(name, here));
    fs::write(folder.join("app.conf"), text).unwrap();
    let pages = fs::read_to_string(root().join("deploy/nginx/pages.conf")).unwrap();
    let pages = pages.replace("/var/log/nginx/error.log", "stderr");
    fs::write(folder.join("pages.conf"), pages).unwrap();
    let whole = format!(
        "user root;\ndaemon off;\npid {here}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\n    types {{ text/html html; text/javascript js; }}\n    \
         client_body_temp_path {here}/body;\n    proxy_temp_path {here}/proxy;\n    \
         fastcgi_temp_path {here}/fastcgi;\n    uwsgi_temp_path {here}/uwsgi;\n    \
         scgi_temp_path {here}/scgi;\n    access_log off;\n    include {here}/app.conf;\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), whole).unwrap();
}
