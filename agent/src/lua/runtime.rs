//! The thread that waits for what scripts wait for: its runtime has the timers, sockets and
//! connections of all plugins, and never runs Lua.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The most threads for host names and files that the runtime itself looks up.
const BLOCKING_THREADS: usize = 4;

/// The thread `lua`. It ends when this is dropped; what still waits then is given up.
#[derive(Debug)]
pub struct RuntimeThread {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RuntimeThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("lua".to_owned())
            .spawn(move || {
                // Either way it is the end.
                runtime.block_on(async { ended.await.unwrap_or_default() });
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for RuntimeThread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the runtime of scripts panicked");
        }
    }
}
