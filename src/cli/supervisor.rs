//! What the service tells whoever started it and waits, in the words of `sd_notify(3)`.

use std::io;
use std::os::unix::net::UnixDatagram;

/// That it is started. Says nothing where nobody asked to be told.
pub(super) fn tell_it_is_ready() -> io::Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    Ok(())
}
