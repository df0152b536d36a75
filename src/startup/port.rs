//! The port: taken first of all, opened when there is somebody to answer, and closed
//! without sending away who has come already.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};
use tokio::time::{sleep, timeout};

/// Connections that may wait to be taken, if the system lets them. Its own default is too
/// short for a crowd that comes at once: who finds no place is not told, and asks again
/// after a second, or three.
const WAITING: i32 = 4096;

/// How often it is looked whether somebody waits.
const GLANCE: Duration = Duration::from_millis(1);

/// How long somebody may wait to be taken: longer on no machine that answers in time.
const TAKING: Duration = Duration::from_millis(500);

/// How long a client's first packets may be on their way that the system has greeted.
const ARRIVING: Duration = Duration::from_millis(50);

/// For the server to have paused: it says so a little early.
const PAUSING: Duration = Duration::from_millis(10);

/// How long a connection takes from there to the thread that answers on it.
const COMING_IN: Duration = Duration::from_millis(50);

pub(super) struct Port(Socket);

impl Port {
    /// Whoever comes is refused until it is opened: load balancers try elsewhere. So is
    /// another process then; until it is opened, Linux lets two have it.
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

    /// Lets in who has begun to come, and refuses everybody else. Closed just so, a
    /// listener resets connections that the system has accepted and the server has not
    /// taken, with requests that no proxy may send again. Only Linux lets us tell those
    /// who begin to come from those who have.
    pub(super) async fn close(self, server: &ServerHandle) {
        let closed = async {
            self.ignore_beginners()?;
            sleep(ARRIVING).await;
            let _ = timeout(TAKING, self.nobody_waits()).await;
            // What it has is for its threads to take; it is not to complain of its end.
            server.pause().await;
            sleep(PAUSING).await;
            self.0.shutdown(Shutdown::Read)?;
            sleep(COMING_IN).await;
            Ok::<_, io::Error>(())
        };
        if let Err(error) = closed.await {
            tracing::debug!(%error, "who comes in the last moment may be sent away");
        }
    }

    async fn nobody_waits(&self) {
        let at_once = Timespec::default();
        while let Ok(1..) = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&at_once)) {
            sleep(GLANCE).await;
        }
    }

    #[cfg(target_os = "linux")]
    fn ignore_beginners(&self) -> io::Result<()> {
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
    fn ignore_beginners(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
