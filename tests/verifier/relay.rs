//! A proxy that counts requests for keys, and can end TLS. Each connection is for one
//! request, as the verifier's are.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::certificates::{Authority, Validity};

pub struct Relay {
    pub address: SocketAddr,
    asked_for_keys: Arc<AtomicUsize>,
}

impl Relay {
    pub fn before(server: SocketAddr) -> Self {
        Self::start(server, None)
    }

    /// Whom that authority has signed.
    pub fn with_tls(authority: &Authority, server: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.sign_for_redis(folder.path(), Validity::Valid);
        let certificate = CertificateDer::from_pem_file(folder.path().join("cert.pem"));
        let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.unwrap()], key.unwrap());
        Self::start(server, Some(Arc::new(config.unwrap())))
    }

    fn start(server: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked_for_keys = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked_for_keys);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (tls, count) = (tls.clone(), Arc::clone(&count));
                // Whoever does not trust it hangs up.
                thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        carry(StreamOwned::new(connection, client?), server, &count)
                    }
                    None => carry(client?, server, &count),
                });
            }
        });
        Self {
            address,
            asked_for_keys,
        }
    }

    pub fn asked_for_keys(&self) -> usize {
        self.asked_for_keys.load(Ordering::Relaxed)
    }
}

fn carry(mut client: impl Read + Write, server: SocketAddr, count: &AtomicUsize) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let mut chunk = [0; 4096];
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let length = client.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..length]);
    }
    if request.starts_with(b"GET /.well-known/jwks.json ") {
        count.fetch_add(1, Ordering::Relaxed);
    }
    server.write_all(&request)?;
    loop {
        let length = server.read(&mut chunk)?;
        client.write_all(&chunk[..length])?;
        client.flush()?;
        if length == 0 {
            return Ok(());
        }
    }
}
