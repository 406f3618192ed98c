//! What ZaLua's words mean.

use std::ffi::{OsStr, OsString};

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Print the version; needs no service.
    Version,
    /// Print the usage; needs no service.
    Usage,
    /// Run a script; needs no service.
    Execute(&'a OsStr),
    /// Send this request.
    Ask(Vec<u8>),
    /// Ask for one value.
    Get(&'a OsStr),
    /// Print the usage after the service has been started.
    LateUsage,
    /// No such command.
    Unknown,
}

/// Reads what follows the program's name.
pub fn read(arguments: &[OsString]) -> Action<'_> {
    let Some(word) = arguments.first() else {
        return Action::Ask(b"ping".to_vec());
    };
    let alone = arguments.len() == 1;
    let second = arguments.get(1);
    match word.to_str().unwrap_or_default() {
        "-v" | "-version" | "--version" if alone => Action::Version,
        "-h" | "-help" | "--help" if alone => Action::Usage,
        "-e" | "--execute-file" => second.map_or(Action::Unknown, |file| Action::Execute(file)),
        "-ping" | "--ping" | "ping" => Action::Ask(b"ping".to_vec()),
        "-k" | "-kill" | "--kill" | "kill" => Action::Ask(b"command-kill".to_vec()),
        "-m" | "-metrics" | "--metrics" | "--list-metrics" | "metrics" => {
            list(alone, b"list-of-metrics")
        }
        "-p" | "-plugins" | "--plugins" | "--list-plugins" | "plugins" => {
            list(alone, b"list-of-plugins")
        }
        "-g" | "-get" | "--get" | "--get-metric" | "get" => {
            second.map_or(Action::LateUsage, |key| Action::Get(key))
        }
        _ => Action::Unknown,
    }
}

fn list(alone: bool, request: &[u8]) -> Action<'static> {
    if alone {
        Action::Ask(request.to_vec())
    } else {
        Action::LateUsage
    }
}

/// The usage, for a program that was called `own`.
pub fn usage(own: &str) -> String {
    let lines = [
        ("-v, -version, --version", "Get version"),
        (
            "-e, --execute-file, execute file (without server)",
            "Execute dsl from file (for testing case)",
        ),
        ("-k, -kill, --kill, kill ", "Kill server"),
        (
            "-m, -metrics, --list-metrics, metrics",
            "List of known metrics",
        ),
        (
            "-p, -plugins, --plugins, plugins",
            "List of running plugins",
        ),
        (
            "-g, -get, --get, --get-metric, get <metric>",
            "Get metric value",
        ),
        ("-ping, --ping, ping", "Ping pong game"),
    ];
    let mut text = format!("{own} commands:\n");
    for (words, meaning) in lines {
        text.extend([words, "\n\t", meaning, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_meant() {
        let ping = || Action::Ask(b"ping".to_vec());
        for (line, expected) in [
            ("", ping()),
            ("ping extra", ping()),
            ("-v", Action::Version),
            ("-v x", Action::Unknown),
            ("--help", Action::Usage),
            ("-h x", Action::Unknown),
            ("-e", Action::Unknown),
            ("-e f g", Action::Execute(OsStr::new("f"))),
            ("-m", Action::Ask(b"list-of-metrics".to_vec())),
            ("-m x", Action::LateUsage),
            ("plugins x", Action::LateUsage),
            ("-g", Action::LateUsage),
            ("get a b", Action::Get(OsStr::new("a"))),
            ("kill", Action::Ask(b"command-kill".to_vec())),
            ("PING", Action::Unknown),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(read(&words), expected, "{line}");
        }
    }
}
