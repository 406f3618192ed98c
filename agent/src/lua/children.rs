//! The plugins that a script runs with `plugin.new`: they end when it does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::host::Run;
use super::register::Page;

/// How many scripts can run by `plugin.new` at a time, of all scripts of a host: each has a state and
/// a task.
pub(super) const DESCENDANTS_MAX: usize = 1000;

/// The plugins of one script.
#[derive(Debug, Default)]
pub(crate) struct Children {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<(Run, Arc<Page>)>,
    /// The script has ended, so nothing more begins.
    over: bool,
}

impl Children {
    /// Takes note of one. Its page stays until it has ended, and as long as somebody else holds it.
    pub(super) fn add(&self, run: Run, page: Arc<Page>) {
        let mut state = self.lock();
        state.runs.retain(|(run, _)| run.ending().is_none());
        if state.over {
            run.stop();
        }
        state.runs.push((run, page));
    }

    /// Stops all and waits until they have ended.
    pub(super) async fn end(&self) {
        let runs = {
            let mut state = self.lock();
            state.over = true;
            std::mem::take(&mut state.runs)
        };
        for (run, _) in &runs {
            run.stop();
        }
        for (run, _) in &runs {
            run.ended().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod hang_tests;
#[cfg(test)]
mod tests;
