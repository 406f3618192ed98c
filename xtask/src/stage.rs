//! Stages of a long verb: what was done, how it ended, how long it took.

use anyhow::Result;

use crate::stopwatch::Stopwatch;

/// One line of the closing table.
pub(crate) struct Outcome {
    /// What was done.
    pub(crate) name: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

/// All that was done so far.
#[derive(Default)]
pub(crate) struct Record {
    outcomes: Vec<Outcome>,
}

impl Record {
    /// Does one thing and notes how it ended; returns its result when it passed.
    pub(crate) fn stage<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("== {name}");
        let watch = Stopwatch::start();
        let result = work();
        let seconds = watch.elapsed().as_secs_f64();
        let (value, failure) = match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        match &failure {
            None => println!("== {name}: passed in {seconds:.1} s"),
            Some(failure) => println!("== {name}: FAILED in {seconds:.1} s: {failure}"),
        }
        self.outcomes.push(Outcome {
            name: name.to_owned(),
            seconds,
            failure,
        });
        value
    }

    /// Gives the last stage a name that says more than was known when it began.
    pub(crate) fn name_last(&mut self, name: String) {
        if let Some(outcome) = self.outcomes.last_mut() {
            outcome.name = name;
        }
    }

    /// Notes something that could not even be tried.
    pub(crate) fn skipped(&mut self, name: &str, reason: &str) {
        println!("== {name}: FAILED, not tried: {reason}");
        self.outcomes.push(Outcome {
            name: name.to_owned(),
            seconds: 0.0,
            failure: Some(format!("not tried: {reason}")),
        });
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.failure.is_some())
            .count()
    }

    /// Prints the table and, as the last line, `N passed, N failed`.
    pub(crate) fn print(&self) {
        let total: f64 = self.outcomes.iter().map(|outcome| outcome.seconds).sum();
        println!();
        for outcome in &self.outcomes {
            let verdict = if outcome.failure.is_some() {
                "FAILED"
            } else {
                "passed"
            };
            println!("{verdict}  {:>7.1} s  {}", outcome.seconds, outcome.name);
            if let Some(failure) = &outcome.failure {
                println!(
                    "                     {}",
                    failure.replace('\n', "\n                     ")
                );
            }
        }
        println!("{total:.0} s in all");
        println!("{}", self.verdict());
    }

    fn verdict(&self) -> String {
        let failed = self.failed();
        format!("{} passed, {failed} failed", self.outcomes.len() - failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_what_was_not_tried_are_counted() {
        let mut record = Record::default();
        assert_eq!(record.stage("good", || Ok(7)), Some(7));
        assert_eq!(record.stage::<()>("bad", || anyhow::bail!("no")), None);
        record.skipped("after bad", "bad failed");
        assert_eq!(record.failed(), 2);
        assert_eq!(record.verdict(), "1 passed, 2 failed");
    }
}
