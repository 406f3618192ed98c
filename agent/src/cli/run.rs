//! `moonward run`: the service in the foreground.

use lexopt::Parser;

use super::output;
use super::verb::{Stopped, Verb};
use crate::app::{self, RunOptions};
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
                     /tmp/zalua-mon.sock; log to $LOG_PATH, else /var/log/zabbix/zalua.log; run
                     $INIT_FILE, else /etc/zalua/init.lua, and no plugin but those that it
                     runs; end when the socket is removed or that script has ended
",
    options: &["config", "zalua"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let mut options = RunOptions {
        config: given.config,
        ..RunOptions::default()
    };
    if given.zalua {
        let paths = daemon::Paths::read(|name| std::env::var_os(name));
        if let Err(error) = daemon::detach(&paths) {
            output::complain_raw(&format!("{error}\n"));
            return Ok(error.status());
        }
        daemon::log("INFO", "Start server");
        options.zalua_init = app::first_script(&paths);
        if options.zalua_init.is_none() {
            let absent = paths.init.display();
            daemon::log(
                "INFO",
                &format!("{absent} is absent, running the plugins of Moonward"),
            );
        }
        options.zalua_socket = Some(paths.socket);
    }
    Ok(app::run(options))
}
