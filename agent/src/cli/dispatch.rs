//! From the command line to the verb.

use std::ffi::OsString;
use std::path::Path;

use lexopt::{Arg, Parser};

use super::verb::Stopped;
use super::{
    exit, get, help, metrics, output, ping, plugins, reload, status, stop, suggest, zalua,
};

/// What is done with a verb that only the agent has: its name, and everything after it.
pub type AgentVerb = fn(&str, Vec<OsString>) -> u8;

/// The name under which the program speaks ZaLua's command line.
const ZALUA: &str = "zalua";

/// Does what the command line says; gives the exit status.
pub fn dispatch(mut arguments: impl Iterator<Item = OsString>, agent: AgentVerb) -> u8 {
    let own = arguments.next().unwrap_or_default();
    if Path::new(&own)
        .file_name()
        .is_some_and(|name| name == ZALUA)
    {
        return zalua::run(&own, &arguments.collect::<Vec<_>>());
    }
    let mut parser = Parser::from_args(arguments);
    let verb = match parser.next() {
        Ok(Some(Arg::Value(verb))) => verb.to_string_lossy().into_owned(),
        Ok(Some(Arg::Short('h') | Arg::Long("help"))) => "help".to_owned(),
        Ok(Some(Arg::Short('V') | Arg::Long("version"))) => "version".to_owned(),
        Ok(None) => {
            output::complain_raw(&help::overview());
            return exit::USAGE;
        }
        Ok(Some(Arg::Short(letter))) => return unknown(&format!("-{letter}")),
        Ok(Some(Arg::Long(name))) => {
            let name = format!("--{name}");
            return unknown(&name);
        }
        Err(error) => return unknown(&error.to_string()),
    };
    let parser = &mut parser;
    let result = match verb.as_str() {
        "get" => get::run(parser),
        "metrics" => metrics::run(parser),
        "plugins" => plugins::run(parser),
        "ping" => ping::run(parser),
        "status" => status::run(parser),
        "stop" => stop::run(parser),
        "reload" => reload::run(parser),
        "version" => Ok(help::version()),
        "help" => Ok(explain(parser, agent)),
        other if help::AGENT.iter().any(|(name, _)| *name == other) => {
            Ok(agent(other, rest(parser)))
        }
        other => Ok(unknown(other)),
    };
    result.unwrap_or_else(|Stopped(status)| status)
}

fn rest(parser: &mut Parser) -> Vec<OsString> {
    parser.raw_args().map(Iterator::collect).unwrap_or_default()
}

/// `moonward help [VERB]`
fn explain(parser: &mut Parser, agent: AgentVerb) -> u8 {
    let Ok(Some(Arg::Value(about))) = parser.next() else {
        return output::print(help::overview().as_bytes());
    };
    let about = about.to_string_lossy();
    if about == "exit" {
        return output::print(exit::HELP.as_bytes());
    }
    if let Some(verb) = help::CLIENT.iter().find(|verb| verb.name == about) {
        let Stopped(status) = verb.print_help();
        return status;
    }
    if help::AGENT.iter().any(|(name, _)| *name == about) {
        return agent(&about, vec!["--help".into()]);
    }
    unknown(&about)
}

fn unknown(word: &str) -> u8 {
    let hint = match suggest::nearest(word, help::words()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; see `moonward help`".to_owned(),
    };
    output::complain(&format!("there is no verb `{word}`{hint}"));
    exit::USAGE
}
