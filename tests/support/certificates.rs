//! Authorities that sign for servers on this machine.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

#[derive(Clone, Copy, Debug)]
pub enum Validity {
    Valid,
    Expired,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut about = CertificateParams::default();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = about.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(about, key),
        }
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem`; what a Redis server is told to use
    /// them.
    pub fn sign_for_redis(&self, directory: &Path, validity: Validity) -> Vec<String> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut about = CertificateParams::new(names).unwrap();
        if matches!(validity, Validity::Expired) {
            about.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let signed = about.signed_by(&key, &self.issuer).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        [
            "--tls-ca-cert-file",
            &file("ca.pem", &self.pem),
            "--tls-cert-file",
            &file("cert.pem", &signed.pem()),
            "--tls-key-file",
            &file("key.pem", &key.serialize_pem()),
            "--tls-auth-clients",
            "no",
        ]
        .map(str::to_owned)
        .into()
    }
}
