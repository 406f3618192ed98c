//! `moonward run`: the service in the foreground.

use std::io::Write as _;

use lexopt::Parser;

use super::output;
use super::verb::{Stopped, Verb};
use crate::app::{self, RunOptions};
use crate::model::Clock;
use crate::serve::zalua::daemon;

/// The verb.
pub static VERB: Verb = Verb {
    name: "run",
    summary: "run the service in the foreground",
    help: "\
Usage: moonward run [OPTIONS]

Runs the service until it is told to stop. Under systemd it is started by moonward.service.

Options
  --config FILE      read this file instead of /etc/moonward/moonward.toml and
                     /etc/moonward/conf.d/*.toml
  --zalua            be the service of ZaLua's clients: listen on $ZALUA_SOCKET, else
                     /tmp/zalua-mon.sock; log to $LOG_PATH, else /var/log/zabbix/zalua.log; end
                     when the socket is removed
",
    options: &["config", "zalua"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let mut options = RunOptions {
        config: given.config,
        zalua_socket: None,
    };
    if given.zalua {
        let paths = daemon::Paths::read(|name| std::env::var_os(name));
        if let Err(error) = daemon::detach(&paths) {
            output::complain_raw(&format!("{error}\n"));
            return Ok(error.status());
        }
        log("INFO", "Start server");
        log(
            "ERROR",
            &format!(
                "Settings file: {}: not run, plugins are not part of this build",
                paths.init.display()
            ),
        );
        options.zalua_socket = Some(paths.socket);
    }
    Ok(app::run(options))
}

/// A line in ZaLua's own log, in its own form.
fn log(level: &str, message: &str) {
    let line = daemon::log_line(Clock::System.wall(), level, message);
    // There is no other place to report to.
    std::io::stderr().lock().write_all(line.as_bytes()).ok();
}
