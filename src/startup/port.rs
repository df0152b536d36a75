//! The port: taken first of all, opened when there is somebody to answer, and closed
//! without sending away who has come already.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::time::sleep;

/// Connections that may wait to be taken, if the system lets them. Its own default is too
/// short for a crowd that comes at once: who finds no place is not told, and asks again
/// after a second, or three.
const WAITING: i32 = 4096;

/// How long a connection takes from its first packet until somebody answers on it: twice
/// across a continent, or once across a busy machine.
const COMING_IN: Duration = Duration::from_millis(50);

pub(super) struct Port(Socket);

impl Port {
    /// Nobody else can have it, and whoever comes is refused until it is opened: load
    /// balancers try elsewhere.
    pub(super) fn take(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(Self(socket))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address.as_socket().ok_or(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn open(&self) -> io::Result<TcpListener> {
        self.0.listen(WAITING)?;
        Ok(self.0.try_clone()?.into())
    }

    /// Lets in who has begun to come, and nobody else; then the listener can be closed.
    /// Closed just so, it would reset connections that the system has accepted and the
    /// server has not taken, with requests that no proxy may send again. Who comes
    /// meanwhile finds nobody, and is refused when asking again.
    pub(super) async fn close(self) {
        match self.admit_no_more() {
            Ok(()) => sleep(COMING_IN).await,
            Err(error) => {
                tracing::debug!(%error, "who comes in the last moment may be sent away");
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn admit_no_more(&self) -> io::Result<()> {
        use socket2::SockFilter;

        // A classic BPF program, over the TCP header: load the byte of flags; if SYN is
        // set, take 0 bytes of the packet, which drops it, else all.
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_SET: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        self.0.attach_filter(&[
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ])
    }

    #[cfg(not(target_os = "linux"))]
    fn admit_no_more(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
