//! The recent past of counters, for the averages over 1, 5 and 15 minutes that Zabbix asks for.
//!
//! Fed from the store at the pace of collection; holds one value per collection and nothing else.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::model::Moment;

/// The longest average.
const SPAN: Duration = Duration::from_mins(15);

/// Closer samples than this are skipped: 15 minutes then never hold more than 180.
const STEP: Duration = Duration::from_secs(5);

/// More counters are not followed: 256 CPUs with ten modes each and their disks.
const SERIES_MAX: usize = 4096;

/// The period that an average is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One minute.
    Avg1,
    /// Five minutes.
    Avg5,
    /// Fifteen minutes.
    Avg15,
}

impl Window {
    /// Reads Zabbix's parameter.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "avg1" => Some(Self::Avg1),
            "avg5" => Some(Self::Avg5),
            "avg15" => Some(Self::Avg15),
            _ => None,
        }
    }

    const fn length(self) -> Duration {
        match self {
            Self::Avg1 => Duration::from_mins(1),
            Self::Avg5 => Duration::from_mins(5),
            Self::Avg15 => SPAN,
        }
    }
}

/// How much a counter grew, and in what time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The difference of the values.
    pub by: f64,
    /// The time between them in seconds; zero when only one value is known, and then `by` is the
    /// value itself, its growth since boot.
    pub seconds: f64,
}

/// Followed counters, by the text of their series.
#[derive(Debug, Default)]
pub struct History {
    counters: HashMap<String, VecDeque<(Moment, f64)>>,
}

impl History {
    /// Takes the value that a counter had at a moment. A value below the last one is a reset: what
    /// was before it says nothing any more.
    pub fn record(&mut self, series: &str, at: Moment, value: f64) {
        let Some(values) = self.counters.get_mut(series) else {
            if self.counters.len() < SERIES_MAX {
                self.counters
                    .insert(series.to_owned(), VecDeque::from([(at, value)]));
            }
            return;
        };
        if let Some((last_at, last)) = values.back().copied() {
            // A little less than the step, so that a jitter of the collection costs no sample.
            if at.since(last_at) < STEP.saturating_sub(Duration::from_millis(500)) {
                return;
            }
            if value < last {
                values.clear();
            }
        }
        values.push_back((at, value));
        // One value older than the span stays, to measure the whole span from.
        while values
            .get(1)
            .is_some_and(|(second, _)| at.since(*second) >= SPAN)
        {
            values.pop_front();
        }
    }

    /// Forgets counters that were not recorded for the whole span.
    pub fn forget_gone(&mut self, now: Moment) {
        self.counters
            .retain(|_, values| values.back().is_some_and(|(at, _)| now.since(*at) < SPAN));
    }

    /// The growth of a counter over a window, or over what is known of it.
    pub fn growth(&self, series: &str, window: Window) -> Option<Growth> {
        let values = self.counters.get(series)?;
        let (at, newest) = values.back().copied()?;
        // The youngest value that is at least as old as the window, or else the oldest.
        let first = values
            .iter()
            .rev()
            .find(|(earlier, _)| at.since(*earlier) >= window.length())
            .or_else(|| values.front())?;
        if values.len() == 1 {
            return Some(Growth {
                by: newest,
                seconds: 0.0,
            });
        }
        Some(Growth {
            by: newest - first.1,
            seconds: at.since(first.0).as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn the_window_is_measured_from_the_newest_value() {
        let mut history = History::default();
        for second in (0..=1200).step_by(10) {
            let value = if second <= 600 {
                0.0
            } else {
                (second - 600) as f64
            };
            history.record("c", at(second), value);
        }
        let growth = |window| history.growth("c", window).unwrap();
        assert_eq!(
            growth(Window::Avg1),
            Growth {
                by: 60.0,
                seconds: 60.0
            }
        );
        assert_eq!(
            growth(Window::Avg5),
            Growth {
                by: 300.0,
                seconds: 300.0
            }
        );
        assert_eq!(
            growth(Window::Avg15),
            Growth {
                by: 600.0,
                seconds: 900.0
            }
        );
        assert_eq!(history.counters["c"].len(), 91);
    }

    #[test]
    fn a_short_past_is_used_as_far_as_it_goes() {
        let mut history = History::default();
        assert_eq!(history.growth("c", Window::Avg1), None);
        history.record("c", at(100), 5.0);
        assert_eq!(
            history.growth("c", Window::Avg5),
            Some(Growth {
                by: 5.0,
                seconds: 0.0
            })
        );
        history.record("c", at(110), 8.0);
        assert_eq!(
            history.growth("c", Window::Avg5),
            Some(Growth {
                by: 3.0,
                seconds: 10.0
            })
        );
        history.record("c", at(111), 9.0);
        assert_eq!(
            history.growth("c", Window::Avg5),
            Some(Growth {
                by: 3.0,
                seconds: 10.0
            })
        );
    }

    #[test]
    fn a_reset_begins_a_new_past() {
        let mut history = History::default();
        history.record("c", at(100), 500.0);
        history.record("c", at(110), 4.0);
        history.record("c", at(120), 6.0);
        assert_eq!(
            history.growth("c", Window::Avg15),
            Some(Growth {
                by: 2.0,
                seconds: 10.0
            })
        );
        history.forget_gone(at(2000));
        assert_eq!(history.growth("c", Window::Avg15), None);
    }
}
