//! Accepts connections of the person's own programs only, where the system says whose a connection is: on a machine
//! with several users, whoever sees an address or a cookie of somebody else's can do nothing with it.

use axum::serve::Listener;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// A listener on 127.0.0.1 that drops other users' connections.
pub struct OwnUserOnly(pub TcpListener);

impl Listener for OwnUserOnly {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.0).await;
            if is_own(&stream, peer) {
                // Small answers should not wait for each other.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            tracing::warn!("another user's connection was dropped");
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Where the system does not say, the secret and the session decide alone.
#[cfg(not(target_os = "linux"))]
fn is_own(_: &TcpStream, _: SocketAddr) -> bool {
    true
}

#[cfg(target_os = "linux")]
fn is_own(stream: &TcpStream, peer: SocketAddr) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(own) = stream.local_addr() else { return false };
    let (Ok(table), Ok(process)) = (std::fs::read_to_string("/proc/net/tcp"), std::fs::metadata("/proc/self")) else {
        return true;
    };
    owner(&table, peer, own).is_none_or(|user| user == process.uid())
}

/// The user whose socket goes from `from` to `to`, by the kernel's table (proc(5)).
#[cfg(target_os = "linux")]
fn owner(table: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let (from, to) = (in_table(from)?, in_table(to)?);
    table.lines().find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let found = columns.next() == Some(&from) && columns.next() == Some(&to);
        found.then(|| columns.nth(4)?.parse().ok()).flatten()
    })
}

/// An address as the kernel's table writes it: the bytes of the address as a number of this machine's order.
#[cfg(target_os = "linux")]
fn in_table(address: SocketAddr) -> Option<String> {
    match address {
        SocketAddr::V4(v4) => Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())),
        SocketAddr::V6(_) => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_whose_a_connection_is() {
        use std::os::unix::fs::MetadataExt;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let user = owner(&table, peer, accepted.local_addr().unwrap());
        assert_eq!(user, Some(std::fs::metadata("/proc/self").unwrap().uid()));
        assert!(is_own(&accepted, peer));
        drop(client);
    }

    #[test]
    fn another_user_is_told_apart() {
        let table = "   7: 0100007F:9C42 0100007F:0FA0 01 00000000:00000000 00:00000000 00000000  1001        0 1 1\n";
        let (peer, own) = ("127.0.0.1:40002".parse().unwrap(), "127.0.0.1:4000".parse().unwrap());
        if cfg!(target_endian = "little") {
            assert_eq!(owner(table, peer, own), Some(1001));
            assert_eq!(owner(table, own, peer), None);
        }
    }
}
