//! What the doctor says about one thing.

use std::fmt::Write;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// Something is less than it could be, or different from what one may expect.
    Note,
    /// Something does not work.
    Problem,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub subject: &'static str,
    /// What was seen.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// Nothing to do.
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            subject,
            text: text.into(),
            advice: None,
        }
    }

    /// Less than it could be.
    pub fn note(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            advice: Some(advice.into()),
            ..Self::ok(subject, text)
        }
    }

    /// Something does not work.
    pub fn problem(
        subject: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Problem,
            ..Self::note(subject, text, advice)
        }
    }
}

/// The findings as aligned lines, each advice on a line of its own.
pub fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.len());
    let width = width.max().unwrap_or(0);
    let mut text = String::new();
    // Writing to a string cannot fail.
    for finding in findings {
        let (level, subject) = (finding.level.as_str(), finding.subject);
        writeln!(text, "{level:<8} {subject:<width$}  {}", finding.text).ok();
        if let Some(advice) = &finding.advice {
            writeln!(text, "{:<8} {:<width$}  -> {advice}", "", "").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_advice_follows() {
        let findings = [
            Finding::ok("kernel", "6.1"),
            Finding::problem("BTF", "absent", "another kernel"),
        ];
        assert_eq!(
            lines(&findings),
            "ok       kernel  6.1\nproblem  BTF     absent\n                 -> another kernel\n"
        );
        let json = serde_json::to_string(&findings[1]).unwrap();
        assert_eq!(
            json,
            r#"{"level":"problem","subject":"BTF","text":"absent","advice":"another kernel"}"#
        );
    }
}
