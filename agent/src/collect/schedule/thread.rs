//! The thread on which the schedule runs, and the handle on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, sync::Arc};

use thiserror::Error;
use tokio::sync::watch;

use super::{Schedule, Timetable};
use crate::telemetry::Heartbeat;

/// How long the thread waits at most before it shows a sign of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Why the schedule could not be started or stopped.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// The kernel gave no thread.
    #[error("the thread that collects cannot be started; see the limits on tasks and memory")]
    Thread(#[source] io::Error),
    /// A collector did not come back in time; its thread is left behind.
    #[error(
        "the collector {what} has been running for {seconds:.0} s and was left behind; look for a dead mount or device"
    )]
    Stuck {
        /// The collector that did not come back.
        what: &'static str,
        /// How long it had been running, in seconds.
        seconds: f64,
    },
    /// The thread itself has panicked.
    #[error("the thread that collects has ended by a panic; please report it")]
    Panicked,
}

/// A schedule on its thread. Dropping it tells the thread to stop and does not wait.
#[derive(Debug)]
pub struct Running {
    orders: Sender<Order>,
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
    first: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
    heartbeat: Heartbeat,
}

#[derive(Debug)]
enum Order {
    Stop,
    Replan(Timetable),
}

impl Schedule {
    /// Moves the schedule to a thread of its own, named `collect`, which runs the first round of
    /// everything at once.
    pub fn start(self) -> Result<Running, ScheduleError> {
        let (orders, inbox) = channel();
        let (ending, ended) = channel();
        let (done_first, first) = watch::channel(false);
        let stop = Arc::new(AtomicBool::new(false));
        let heartbeat = self.heartbeat();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("collect".into())
            .spawn(move || {
                // Dropped when the thread ends, by a panic too: that is what the handle waits for.
                let _ending: Sender<()> = ending;
                run(self, &inbox, &stopped, &done_first);
            })
            .map_err(ScheduleError::Thread)?;
        Ok(Running {
            orders,
            stop,
            ended,
            first,
            thread: Some(thread),
            heartbeat,
        })
    }
}

fn run(
    mut schedule: Schedule,
    inbox: &Receiver<Order>,
    stopped: &AtomicBool,
    done_first: &watch::Sender<bool>,
) {
    loop {
        schedule.run_due(|| stopped.load(Ordering::Acquire));
        done_first.send_replace(true);
        let pause = schedule.next_due().map_or(BEAT_EVERY, |due| {
            due.since(schedule.clock().now()).min(BEAT_EVERY)
        });
        match inbox.recv_timeout(pause) {
            Ok(Order::Replan(timetable)) => schedule.replan(timetable),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

impl Running {
    /// Gives the schedule new intervals and a new set of collectors that are off; they hold as
    /// soon as the collector that is running comes back.
    pub fn replan(&self, timetable: Timetable) -> Result<(), ScheduleError> {
        self.orders
            .send(Order::Replan(timetable))
            .map_err(|_| ScheduleError::Panicked)
    }

    /// Returns when every collector has run once, or the thread has ended.
    pub async fn first_round(&self) {
        // An error means that the thread has ended; there is nothing more to wait for.
        if self.first.clone().wait_for(|done| *done).await.is_err() {}
    }

    /// The thread's sign of life, for the watchdog.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Stops the thread: at once when it waits, after the collector that is running otherwise. One
    /// that does not come back within `grace` is left behind and named.
    pub fn stop(mut self, grace: Duration) -> Result<(), ScheduleError> {
        self.tell_to_stop();
        if self.ended.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
            let work = self.heartbeat.work();
            return Err(ScheduleError::Stuck {
                what: work.as_ref().map_or("(none)", |work| work.what),
                seconds: self.heartbeat.age().as_secs_f64(),
            });
        }
        let joined = self.thread.take().map_or(Ok(()), JoinHandle::join);
        joined.map_err(|_| ScheduleError::Panicked)
    }

    fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        // A thread that has ended already needs no telling.
        drop(self.orders.send(Order::Stop));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}
