//! What may be executed, and who may ask for it. Pure; `policy_file.rs` reads it.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::request::{Command, Request};
use crate::model::Glob;

/// What may be executed, and who may ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The user who may ask, besides root.
    pub(super) user: Option<u32>,
    pub(super) rules: Rules,
}

/// What may be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Whatever the runner's own user may do.
    Everything,
    /// What fits one of these.
    Listed(Vec<Rule>),
    /// Nothing, and why.
    Nothing(String),
}

/// One entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) what: Allowed,
    /// The longest time limit.
    pub(super) timeout: Duration,
}

/// What an entry allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Exactly this text for the shell.
    Shell(String),
    /// These words, and then what may follow them.
    Program(Vec<String>, Further),
}

/// Which words may follow those of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Further {
    /// Any, and any number.
    Any,
    /// As many as there are patterns, each fitting the pattern at its place.
    Fitting(Vec<Glob>),
}

impl Policy {
    /// Everything that the runner's own user may do, for a runner that this user has started.
    pub fn everything() -> Self {
        Self {
            user: None,
            rules: Rules::Everything,
        }
    }

    /// Nothing, for this reason: there is no allow-list, or a bad one.
    pub fn nothing(reason: impl Into<String>) -> Self {
        Self {
            user: None,
            rules: Rules::Nothing(reason.into()),
        }
    }

    /// How many entries the allow-list has; `None` when everything is allowed.
    pub fn entries(&self) -> Option<usize> {
        match &self.rules {
            Rules::Everything => None,
            Rules::Listed(rules) => Some(rules.len()),
            Rules::Nothing(_) => Some(0),
        }
    }

    /// Whether a process of this user may ask.
    pub fn may_ask(&self, uid: u32) -> bool {
        uid == 0 || self.user == Some(uid)
    }

    /// The longest time that the command may take, or why it may not be executed at all. The first
    /// entry that fits counts.
    pub fn judge(&self, command: &Command) -> Result<Duration, String> {
        match &self.rules {
            Rules::Everything => Ok(Request::TIMEOUT_MAX),
            Rules::Nothing(reason) => Err(format!("nothing may be executed: {reason}")),
            Rules::Listed(rules) => rules
                .iter()
                .find(|rule| rule.what.fits(command))
                .map(|rule| rule.timeout)
                .ok_or_else(|| {
                    let kind = match command {
                        Command::Shell(_) => "shell",
                        Command::Program(_) => "command",
                    };
                    format!("not on the runner's allow-list, as {kind}: {command}")
                }),
        }
    }
}

impl Allowed {
    fn fits(&self, command: &Command) -> bool {
        match (self, command) {
            (Self::Shell(allowed), Command::Shell(asked)) => allowed.as_str() == asked,
            (Self::Program(allowed, further), Command::Program(asked)) => asked
                .split_at_checked(allowed.len())
                .is_some_and(|(words, rest)| {
                    words
                        .iter()
                        .zip(allowed)
                        .all(|(asked, word)| asked == word.as_str())
                        && further.fits(rest)
                }),
            _ => false,
        }
    }
}

impl Further {
    fn fits(&self, words: &[OsString]) -> bool {
        match self {
            Self::Any => true,
            Self::Fitting(patterns) => {
                patterns.len() == words.len()
                    && patterns
                        .iter()
                        .zip(words)
                        .all(|(pattern, word)| fits(pattern, word))
            }
        }
    }
}

/// A word that is not UTF-8 fits no pattern. Nor does one that goes up in a path more often than the
/// pattern itself does: `/srv/*` is there to say that it is about what is in `/srv`.
fn fits(pattern: &Glob, word: &OsStr) -> bool {
    word.to_str()
        .is_some_and(|word| ups(word) <= ups(pattern.as_str()) && pattern.matches(word))
}

/// How often a path goes up.
fn ups(path: &str) -> usize {
    path.split('/')
        .filter(|component| *component == "..")
        .count()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn policy(allowed: Allowed) -> Policy {
        Policy {
            user: Some(998),
            rules: Rules::Listed(vec![Rule {
                what: allowed,
                timeout: Duration::from_secs(3),
            }]),
        }
    }

    fn allows(policy: &Policy, request: &Request) -> bool {
        policy.judge(&request.command).is_ok()
    }

    #[test]
    fn a_shell_text_is_allowed_as_it_is_and_not_otherwise() {
        let policy = policy(Allowed::Shell("ntpstat".into()));
        let ask = |text: &str| policy.judge(&Request::shell(text).command);
        assert_eq!(ask("ntpstat"), Ok(Duration::from_secs(3)));
        for text in ["ntpstat ", "ntpstat; id", "", "ntpsta", "NTPSTAT"] {
            assert!(ask(text).is_err(), "{text}");
        }
        assert!(!allows(&policy, &Request::program(["ntpstat"])));
        assert_eq!(
            ask("id"),
            Err("not on the runner's allow-list, as shell: id".to_owned())
        );
    }

    #[test]
    fn a_program_is_allowed_with_the_arguments_that_fit() {
        let words = vec!["/bin/df".to_owned(), "-k".to_owned()];
        let exact = policy(Allowed::Program(words.clone(), Further::Fitting(vec![])));
        assert!(allows(&exact, &Request::program(["/bin/df", "-k"])));
        for words in [
            &["/bin/df"][..],
            &["/bin/df", "-k", "/"],
            &["df", "-k"],
            &["/bin/df", "-h"],
        ] {
            assert!(!allows(&exact, &Request::program(words)), "{words:?}");
        }
        let any = policy(Allowed::Program(words.clone(), Further::Any));
        assert!(allows(&any, &Request::program(["/bin/df", "-k"])));
        assert!(allows(
            &any,
            &Request::program(["/bin/df", "-k", "/", "/x"])
        ));
        assert!(!allows(&any, &Request::program(["/bin/df"])));
        let patterns = vec![Glob::new("--type=*"), Glob::new("/srv/*")];
        let fitting = policy(Allowed::Program(words, Further::Fitting(patterns)));
        let ask = |further: &[&str]| {
            let words = [&["/bin/df", "-k"], further].concat();
            allows(&fitting, &Request::program(words))
        };
        assert!(ask(&["--type=ext4", "/srv/a b"]));
        assert!(!ask(&["--type=ext4"]));
        assert!(!ask(&["/srv/a", "--type=ext4"]));
        assert!(!ask(&["--type=ext4", "/srv/a", "/srv/b"]));
        assert!(!ask(&[]));
        let mut bytes = Request::program(["/bin/df", "-k", "--type=x"]);
        if let Command::Program(words) = &mut bytes.command {
            words.push(OsString::from_vec(b"/srv/\xff".to_vec()));
        }
        assert!(!allows(&fitting, &bytes));
        assert!(allows(&any, &bytes));
    }

    #[test]
    fn a_pattern_lets_nobody_up() {
        let ask = |pattern: &str, word: &str| {
            let words = vec!["/bin/cat".to_owned()];
            let further = Further::Fitting(vec![Glob::new(pattern)]);
            let policy = policy(Allowed::Program(words, further));
            allows(&policy, &Request::program(["/bin/cat", word]))
        };
        for word in [
            "/srv/../etc/shadow",
            "/srv/a/../../etc/shadow",
            "/srv/..",
            "/srv/../",
            "/srv//../etc",
        ] {
            assert!(!ask("/srv/*", word), "{word}");
        }
        assert!(!ask("--file=/srv/*", "--file=/srv/../etc/shadow"));
        assert!(!ask("/srv/??/x", "/srv/../x") && ask("/srv/??/x", "/srv/ab/x"));
        assert!(!ask("*", "../x") && !ask("*", ".."));
        for word in ["/srv/..a", "/srv/a..b", "/srv/...", "/srv/a..", "/srv/.x/."] {
            assert!(ask("/srv/*", word), "{word}");
        }
        assert!(ask("HEAD..*", "HEAD..main"));
        // Who writes it means it, as often as it is written.
        assert!(ask("/srv/../*", "/srv/../etc"));
        assert!(!ask("/srv/../*", "/srv/../etc/.."));
        assert!(!ask("/srv/*/../x", "/srv/../../x") && ask("/srv/*/../x", "/srv/a/../x"));
    }

    #[test]
    fn without_a_list_nothing_is_allowed_and_the_reason_is_told() {
        let policy = Policy::nothing("the file is not there");
        assert_eq!(
            policy.judge(&Request::shell("true").command),
            Err("nothing may be executed: the file is not there".to_owned())
        );
        assert_eq!(policy.entries(), Some(0));
    }

    #[test]
    fn only_root_and_one_user_may_ask() {
        let policy = policy(Allowed::Shell("x".into()));
        assert!(policy.may_ask(0) && policy.may_ask(998));
        assert!(!policy.may_ask(999) && !policy.may_ask(u32::MAX));
        assert!(!Policy::everything().may_ask(998));
    }
}
