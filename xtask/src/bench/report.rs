//! Figures for people: ours, the peer's, and the ratio that a budget is about.

use std::time::Duration;

/// Prints one comparison: what, ours, the peer's, their ratio and the budget for it.
pub(crate) fn compare(what: &str, unit: &str, ours: f64, peer: (&str, f64), budget: Budget) {
    let (name, theirs) = peer;
    let ratio = if theirs > 0.0 {
        ours / theirs
    } else {
        f64::INFINITY
    };
    println!(
        "{what:<34} {:>12} {unit:<10} {name}: {:>12} {unit:<10} ratio {ratio:>7.3}  {}",
        figure(ours),
        figure(theirs),
        budget.judge(ratio)
    );
}

/// Prints one figure that has no peer.
pub(crate) fn alone(what: &str, unit: &str, value: f64, budget: Budget) {
    println!(
        "{what:<34} {:>12} {unit:<10} {}",
        figure(value),
        budget.judge(value)
    );
}

/// What the design allows.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// No more than that.
    AtMost(f64),
    /// No less than that.
    AtLeast(f64),
    /// Only told.
    None,
}

impl Budget {
    fn judge(self, value: f64) -> String {
        let (met, text) = match self {
            Self::AtMost(limit) => (value <= limit, format!("at most {limit}")),
            Self::AtLeast(limit) => (value >= limit, format!("at least {limit}")),
            Self::None => return String::new(),
        };
        format!("budget {text}: {}", if met { "met" } else { "MISSED" })
    }
}

fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The value that a share of all values does not exceed; sorts its input.
pub(crate) fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a slice that is in memory"
    )]
    let at = (values.len() as f64 * share) as usize;
    values
        .get(at.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_quantiles() {
        assert!(Budget::AtMost(1.5).judge(1.4).ends_with(": met"));
        assert!(Budget::AtLeast(2.0).judge(1.4).ends_with(": MISSED"));
        let mut values: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut values, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&mut values, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }
}
