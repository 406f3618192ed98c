//! Turning away a connection that has no place, so that its peer learns of it.
//!
//! A socket that is closed while bytes are unread resets the connection, and the reset overtakes
//! the answer. So the answer is followed by the end of what we say, and the request is read and
//! thrown away: for a moment only, and for a bounded number of peers.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a peer may take for its request and for reading the answer.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// How many bytes of it are read: more than any request that would be taken.
const LINGER_BYTES: u64 = 64 << 10;

const REPLY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\n";

/// Tells a peer that there is no place, and stays until it has gone.
pub(super) async fn refuse(mut stream: TcpStream) {
    let told = async {
        stream.write_all(REPLY).await?;
        stream.shutdown().await?;
        let mut request = stream.take(LINGER_BYTES);
        let mut piece = [0; 1024];
        while request.read(&mut piece).await? > 0 {}
        std::io::Result::Ok(())
    };
    // It was counted; a peer that has gone, or that stalls, needs no answer.
    timeout(LINGER_TIME, told).await.ok();
}
