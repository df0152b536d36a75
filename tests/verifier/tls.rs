//! With https, Gatelodge is whom a trusted authority says it is, or nobody.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use gatelodge::verifier::{Refused, Settings, Unusable, Verifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::scene::{RECOVERY, assert_accepted, is_ready, mint, settings, spawn};
use crate::support::Stack::Embedded;
use crate::support::certificates::{Authority, Validity};
use crate::support::within;

/// Ends TLS before that address, as a proxy does: one request for each connection.
fn end_tls(authority: &Authority, before: SocketAddr) -> SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    authority.sign_for_redis(folder.path(), Validity::Valid);
    let certificate = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let config = Arc::clone(&config);
            // Whoever does not trust it hangs up.
            thread::spawn(move || carry(client?, config, before));
        }
    });
    address
}

fn carry(client: TcpStream, config: Arc<ServerConfig>, before: SocketAddr) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    let mut server = TcpStream::connect(before)?;
    let mut chunk = [0; 4096];
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let length = client.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..length]);
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

#[tokio::test]
async fn gatelodge_is_believed_with_the_right_authority_alone() {
    let app = spawn(Embedded).await;
    let (ours, other) = (Authority::new(), Authority::new());
    let address = end_tls(&ours, app.address);
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    let trusting = |ca: Option<&Authority>| {
        let address = format!("https://localhost:{}/", address.port());
        Verifier::connect(Settings {
            address: address.parse().unwrap(),
            ca: ca.map(|authority| authority.pem.clone().into_bytes()),
            ..settings(app.address)
        })
    };
    let strangers = [trusting(Some(&other)).unwrap(), trusting(None).unwrap()];
    let verifier = trusting(Some(&ours)).unwrap();
    is_ready(&verifier).await;
    assert_accepted(&verifier, &jwt);
    assert_eq!(ada.log_out().await.status, 204);
    within(RECOVERY, "that is heard", async || {
        verifier.verify(&jwt).is_err_and(|it| it == Refused::Ended)
    })
    .await;
    for stranger in strangers {
        assert_eq!(stranger.verify(&jwt).unwrap_err(), Refused::NoKeys);
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let usual = || settings(([127, 0, 0, 1], 1).into());
    let ca = Settings {
        ca: Some(b"certificates".to_vec()),
        ..usual()
    };
    assert!(matches!(Verifier::connect(ca), Err(Unusable::Certificates)));
    let address = Settings {
        address: "ftp://localhost".parse().unwrap(),
        ..usual()
    };
    assert!(matches!(Verifier::connect(address), Err(Unusable::Address)));
    let credential = gatelodge::verifier::Credential::new("two\nlines");
    assert!(matches!(credential, Err(Unusable::Credential)));
}
