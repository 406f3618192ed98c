//! `moonward exec`: one Lua script, without the service.

use std::io;
use std::path::Path;
use std::time::Duration;

use lexopt::Parser;

use super::verb::{Stopped, Verb};
use super::{exit, output};
use crate::app::PluginDoors;
use crate::config::{Options, PluginConfig};
use crate::lua::{Ending, Fault, Host, HostOptions, Library, Limits, Script, script_name};
use crate::model::Clock;
use crate::runner::Client;
use crate::serve::http::Http;
use crate::serve::zalua::daemon;
use crate::store::{Store, StoreLimits};
use crate::telemetry::StatusBoard;

/// The verb.
pub static VERB: Verb = Verb {
    name: "exec",
    summary: "run one Lua script",
    help: "\
Usage: moonward exec [OPTIONS] FILE

Runs a Lua script in a fresh state, without the service, with the library that plugins have. What it
puts with `metrics.set` is its own and is gone when it ends; `print` shows it, and so does
`prometheus.listen` on loopback. What it has executed runs as the user who runs it. The exit status is 0 when it ran to its end, 1 when it failed, 74 when
it cannot be read. The dialect is that of Lua 5.1 (LuaJIT with its compiler off); FILE must be text.
A script may use 256 MiB of memory and as much time as it likes; one with `plugin.every` goes on until
it is interrupted.

Options
  --zalua            be `zalua -e`: everything goes to the standard output, an error as a line of
                     its log, and the exit status is always 0
",
    options: &["zalua"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 1)?;
    let Some(file) = given.words.first() else {
        return Err(VERB.wrong("exec wants a FILE"));
    };
    if given.zalua {
        // Not being able to only leaves the standard error where it was.
        rustix::stdio::dup2_stderr(io::stdout()).ok();
    }
    let (status, message) = execute(Path::new(file), given.zalua);
    if let Some(message) = message {
        if given.zalua {
            let message = format!("execute {file}: {}", message.short);
            let line = daemon::log_line(Clock::System.wall(), "FATAL", &message);
            output::print(line.as_bytes());
        } else {
            output::complain(&[message.short, message.further].concat());
        }
    }
    Ok(if given.zalua { exit::OK } else { status })
}

/// What went wrong.
struct Message {
    /// In one line.
    short: String,
    /// The traceback, on lines of its own.
    further: String,
}

/// Runs the file; gives the exit status and what is to be said. `has_log`: whether what it logs goes
/// to ZaLua's log, not to the standard error.
fn execute(file: &Path, has_log: bool) -> (u8, Option<Message>) {
    let said = |status, short: String, further| (status, Some(Message { short, further }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let short = format!("the runtime cannot be started: {error}");
            return said(exit::SOFTWARE, short, String::new());
        }
    };
    let plugins = PluginConfig::default();
    let store = Store::new(Clock::System, StoreLimits::default());
    let http = Http::new(store.clone(), StatusBoard::new());
    let host = Host::new(HostOptions {
        library: Library::at(&plugins.library),
        modules: plugins.modules,
        log: has_log.then(|| daemon::Paths::read(|name| std::env::var_os(name)).log),
        runner: Some(Client::quiet_child()),
        listen: Some(PluginDoors::on_this_machine(http).listen()),
        ..HostOptions::new(store, runtime.handle().clone())
    });
    let run = host.start(Script {
        name: script_name(file),
        path: file.to_owned(),
        code: None,
        options: Options::default(),
        limits: Limits::BY_HAND,
        deadline: Duration::MAX,
    });
    match runtime.block_on(run.ended()) {
        Ending::Returned => (exit::OK, None),
        Ending::Failed(error) => {
            let status = match error.fault {
                Fault::Unreadable(_) | Fault::Host(_) => exit::INPUT_OUTPUT,
                _ => exit::NOTHING,
            };
            let traceback = error
                .traceback
                .as_deref()
                .map(|trace| format!("\nstack traceback:\n{trace}"));
            said(status, error.to_string(), traceback.unwrap_or_default())
        }
    }
}
