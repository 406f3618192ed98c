//! Keeps the first bytes of an output and counts the rest, so that a command that says too much
//! neither fills the memory nor hangs at a full pipe.

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::outcome::Output;

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Reads to the end. What was read so far is in `output` whenever this is given up.
pub(super) async fn capture(mut pipe: pipe::Receiver, output: &mut Output) {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        // Only now: most commands say nothing on one of the two.
        if pipe.readable().await.is_err() {
            return;
        }
        chunk.reserve(CHUNK);
        let read = match pipe.read_buf(&mut chunk).await {
            // Reading from a pipe fails for no reason that would pass.
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        output.total += read as u64;
        let room = Output::MAX.saturating_sub(output.bytes.len());
        let kept = chunk.get(..read.min(room)).unwrap_or_default();
        output.bytes.extend_from_slice(kept);
    }
}
