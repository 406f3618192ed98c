//! `moonward help` and `moonward version`.

use std::fmt::Write;

use super::verb::Verb;
use super::{exit, get, metrics, output, ping, plugins, reload, status, stop};

/// The verbs that the small client does itself.
pub static CLIENT: [&Verb; 7] = [
    &get::VERB,
    &metrics::VERB,
    &plugins::VERB,
    &ping::VERB,
    &status::VERB,
    &stop::VERB,
    &reload::VERB,
];

/// The verbs that only the agent has, with what they do. Their own help is the agent's.
pub const AGENT: [(&str, &str); 6] = [
    ("run", "run the service in the foreground"),
    ("check", "look for mistakes in the configuration"),
    (
        "doctor",
        "say what this machine allows and what to do about the rest",
    ),
    ("exec", "run one Lua script"),
    (
        "repl",
        "evaluate Lua at a prompt, on the values of the service",
    ),
    (
        "runner",
        "execute the programs that the service may ask for",
    ),
];

/// Every word that may stand first.
pub fn words() -> impl Iterator<Item = &'static str> {
    let agent = AGENT.iter().map(|(name, _)| *name);
    let client = CLIENT.iter().map(|verb| verb.name);
    agent.chain(client).chain(["help", "version"])
}

/// The help that needs no verb.
pub fn overview() -> String {
    let mut text = String::from(
        "Moonward measures this machine, keeps the latest values and answers for them.\n\n\
         Usage: moonward VERB [OPTIONS]\n\nVerbs\n",
    );
    let client = CLIENT.iter().map(|verb| (verb.name, verb.summary));
    let own = [
        ("help", "print this, or the help of a verb"),
        ("version", "print the version"),
    ];
    for (name, summary) in AGENT.into_iter().chain(client).chain(own) {
        // Writing to a string cannot fail.
        writeln!(text, "  {name:<9}{summary}").ok();
    }
    text.push_str("\n`moonward VERB --help` tells more.\n\n");
    text.push_str(exit::HELP);
    text.push_str(
        "\nStarted under the name `zalua`, the program speaks that program's command line.\n",
    );
    text
}

/// Prints the version.
pub fn version() -> u8 {
    output::print(concat!("moonward ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_named_and_explains_itself() {
        let overview = overview();
        for word in words() {
            assert!(overview.contains(&format!("\n  {word:<9}")), "{word}");
        }
        for verb in CLIENT {
            assert!(
                verb.help
                    .starts_with(&format!("Usage: moonward {}", verb.name))
            );
            let own = verb
                .options
                .iter()
                .filter(|name| !["socket", "timeout"].contains(*name));
            for option in own {
                assert!(verb.help.contains(&format!("\n  --{option}")), "{option}");
            }
        }
    }
}
