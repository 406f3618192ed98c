//! What a person sees who starts the service by hand: what it serves, and how to ask it.

use std::io::{IsTerminal as _, Write as _};

use super::service::Service;

/// Prints the banner to standard output.
pub(super) fn show(service: &Service) {
    let text = text(service);
    let mut out = std::io::stdout().lock();
    let bold = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if bold {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    let title = format!("{on}Moonward {}{off}", env!("CARGO_PKG_VERSION"));
    // Whoever closed the terminal does not want to read it.
    if writeln!(out, "{title}: {}\n{text}", service.headline()).is_err() {}
}

fn text(service: &Service) -> String {
    let socket = &service.control_path;
    let mut lines = vec![format!("\n  control socket  {socket}")];
    for door in service.zabbix.doors.iter() {
        lines.push(format!("  Zabbix          {}", door.address()));
    }
    for part in service.board.statuses() {
        if let Some(reason) = &part.reason {
            lines.push(format!(
                "  {:15} {} {}: {reason}",
                part.verdict,
                part.room.as_str(),
                part.name
            ));
        }
    }
    lines.push("\nAsk it from another terminal:\n".to_owned());
    let client = client();
    for (words, what) in [
        ("status", "every part with its verdict and cost"),
        ("metrics 'system.disk.*'", "values by pattern"),
        ("get 'system.cpu.load_average{period=1m}'", "one value"),
    ] {
        lines.push(format!("  {:52} {what}", format!("{client} {words}")));
    }
    if let Some(door) = service.zabbix.doors.first() {
        let address = door.address();
        let command = format!(
            "zabbix_get -s {} -p {} -k system.uptime",
            address.ip(),
            address.port()
        );
        lines.push(format!("  {command:52} as a Zabbix server does"));
    }
    lines.push("\nControl-C ends it.".to_owned());
    lines.join("\n")
}

/// How the client is called: by its name where the shell finds it, else by its path beside the
/// agent.
fn client() -> String {
    const NAME: &str = "moonward";
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(NAME).is_file())
    });
    let beside = std::env::current_exe()
        .ok()
        .map(|agent| agent.with_file_name(NAME));
    match beside.filter(|beside| !found && beside.is_file()) {
        Some(path) => path.display().to_string(),
        None => NAME.to_owned(),
    }
}
