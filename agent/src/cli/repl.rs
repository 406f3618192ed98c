//! `moonward repl`: a prompt for Lua on the values of the running service.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use lexopt::Parser;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Editor, Helper};
use tokio::runtime::Runtime;

use super::ask::{Reach, reply};
use super::verb::{Stopped, Verb};
use super::{exit, output};
use crate::config::PluginConfig;
use crate::lua::{
    Fault, Host, HostOptions, Interrupt, Library, Limits, Publish, Session, SessionError,
};
use crate::model::{Clock, Value};
use crate::runner::Client;
use crate::serve::control::codec::{Put, Request};
use crate::store::{Store, StoreLimits};

/// The verb.
pub static VERB: Verb = Verb {
    name: "repl",
    summary: "evaluate Lua at a prompt, on the values of the service",
    help: "\
Usage: moonward repl [OPTIONS]

Reads Lua, evaluates it and prints the results, with the library that plugins have. Before each
evaluation the values of the running service are fetched; what `metrics.set` and its like put goes
to the service too, which takes it from root and its own user alone. Lines are edited as in a shell
and kept in $XDG_STATE_HOME/moonward/repl_history; Tab completes names, Ctrl-C ends an evaluation,
Ctrl-D the prompt. When the standard input is no terminal, it is evaluated as one script.

Options
",
    options: &["socket", "timeout"],
};

/// How many lines are remembered.
const HISTORY: usize = 1000;

/// More than the service can copy.
const LIMITS: StoreLimits = StoreLimits {
    series: 1_000_000,
    series_per_source: 1_000_000,
    text_bytes: 1 << 20,
    ttl: std::time::Duration::from_mins(5),
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let prompt = Prompt::new(given.reach)?;
    Ok(if io::stdin().is_terminal() {
        prompt.converse()
    } else {
        prompt.evaluate_input()
    })
}

struct Prompt {
    runtime: Runtime,
    reach: Arc<Reach>,
    store: Store,
    session: Session,
    interrupt: Interrupt,
}

impl Prompt {
    fn new(reach: Reach) -> Result<Self, Stopped> {
        let failed = |what: &str| {
            output::complain(what);
            Stopped(exit::SOFTWARE)
        };
        let reach = Arc::new(reach);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&format!("the runtime cannot be started: {error}")))?;
        let store = Store::new(Clock::System, LIMITS);
        let plugins = PluginConfig::default();
        let host = Host::new(HostOptions {
            library: Library::at(&plugins.library),
            modules: plugins.modules,
            publish: Some(publisher(&reach)),
            runner: Some(Client::quiet_child()),
            ..HostOptions::new(store.clone(), runtime.handle().clone())
        });
        let (session, interrupt) = host
            .session(Limits::BY_HAND)
            .map_err(|error| failed(&error.to_string()))?;
        let prompt = Self {
            runtime,
            reach,
            store,
            session,
            interrupt,
        };
        // Without the service there is nothing to talk about.
        prompt.fetch().map_err(Stopped)?;
        Ok(prompt)
    }

    /// Fetches the values of now.
    fn fetch(&self) -> Result<(), u8> {
        let copy = reply(&Request::Copy, &self.reach)?;
        match self.store.mirror(&copy) {
            Ok(_) => Ok(()),
            Err(damage) => {
                output::complain(&format!(
                    "the service's values are not understood: {damage}"
                ));
                Err(exit::PROTOCOL)
            }
        }
    }

    /// Evaluates a piece and prints its results.
    fn evaluate(&mut self, text: &str) -> Result<(), SessionError> {
        let evaluate = self.session.evaluate(text);
        let interrupt = &self.interrupt;
        let results = self.runtime.block_on(async {
            tokio::pin!(evaluate);
            loop {
                tokio::select! {
                    results = &mut evaluate => break results,
                    Ok(()) = tokio::signal::ctrl_c() => interrupt.interrupt(),
                }
            }
        });
        self.interrupt.ready();
        let results = results?;
        if !results.is_empty() {
            output::print(format!("{}\n", results.join("\t")).as_bytes());
        }
        Ok(())
    }

    fn evaluate_input(mut self) -> u8 {
        let mut text = String::new();
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) => text.extend([line.as_str(), "\n"]),
                Err(error) => {
                    output::complain(&format!("the standard input cannot be read: {error}"));
                    return exit::INPUT_OUTPUT;
                }
            }
        }
        match self.evaluate(&text) {
            Ok(()) => exit::OK,
            Err(error) => {
                complain(&error);
                exit::NOTHING
            }
        }
    }

    fn converse(mut self) -> u8 {
        let configuration = Config::builder()
            .max_history_size(HISTORY)
            .map(|builder| builder.auto_add_history(true).build())
            .unwrap_or_default();
        let mut editor: Editor<Names, FileHistory> = match Editor::with_config(configuration) {
            Ok(editor) => editor,
            Err(error) => {
                output::complain(&format!("the terminal cannot be used: {error}"));
                return exit::INPUT_OUTPUT;
            }
        };
        editor.set_helper(Some(Names(self.session.names())));
        let history = history();
        if let Some(path) = &history {
            // There is none the first time.
            editor.load_history(path).ok();
        }
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { "> " } else { ">> " };
            match editor.readline(prompt) {
                Ok(line) => text.extend([line.as_str(), "\n"]),
                Err(ReadlineError::Interrupted) => {
                    text.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => break,
                Err(error) => {
                    output::complain(&format!("the terminal cannot be read: {error}"));
                    return exit::INPUT_OUTPUT;
                }
            }
            // The last values are better than none when the service has ended; that was said.
            self.fetch().ok();
            match self.evaluate(&text) {
                Err(SessionError::Incomplete) => continue,
                Err(error) => complain(&error),
                Ok(()) => {}
            }
            text.clear();
        }
        if let Some(path) = &history
            && let Err(error) = editor.save_history(path)
        {
            output::complain(&format!(
                "the history was not kept in {}: {error}",
                path.display()
            ));
        }
        exit::OK
    }
}

fn complain(error: &SessionError) {
    if matches!(error, SessionError::Script(error) if error.fault == Fault::Stopped) {
        return output::complain("interrupted");
    }
    let trace = match error {
        SessionError::Script(error) => error.traceback.as_deref(),
        SessionError::Incomplete => None,
    };
    let trace = trace.map(|trace| format!("\nstack traceback:\n{trace}"));
    output::complain(&format!("{error}{}", trace.unwrap_or_default()));
}

/// Passes what is put on to the service.
fn publisher(reach: &Arc<Reach>) -> Publish {
    let reach = Arc::clone(reach);
    Publish(Arc::new(move |series, unit, value, holds| {
        let (is_number, value) = match value {
            Value::Text(text) => (false, text.to_string()),
            number => (true, number.to_string()),
        };
        let put = Put {
            series: series.as_str().to_owned(),
            unit: unit.as_str().to_owned(),
            seconds: holds.as_secs(),
            is_number,
            value,
        };
        // Why not has been said.
        reply(&Request::Put(put), &reach)
            .map(drop)
            .map_err(|_| "the service did not take the value".to_owned())
    }))
}

/// The file of the lines that were typed; none when there is no place for it.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let directory = state.filter(|path| path.is_absolute()).or_else(home)?;
    let directory = directory.join("moonward");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("repl_history"))
}

/// Completes the names that scripts know.
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..position).unwrap_or_default();
        let start = before
            .rfind(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '.'))
            .map_or(0, |place| place + 1);
        let word = before.get(start..).unwrap_or_default();
        let fits = |name: &&String| {
            // Fields come when their table was typed.
            name.strip_prefix(word)
                .is_some_and(|rest| !rest.contains('.') || word.contains('.'))
        };
        Ok((start, self.0.iter().filter(fits).cloned().collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}
