//! The HTTP door of the whole agent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use crate::doors::free_port;
use crate::place::{Place, eventually};

/// Status line and body of an answer.
fn ask(port: u16, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn prometheus_reads_every_value() {
    let port = free_port();
    let place = Place::new(&format!("[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    let agent = place.start();
    assert_eq!(place.verdict("door", "http").0, "active");
    let (status, text) = ask(port, "/metrics", "");
    assert_eq!(status, "HTTP/1.0 200 OK");
    let limit = place.get("system.memory.limit");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.contains(&format!("system_memory_limit_bytes {limit}").as_str()),
        "{text}"
    );
    assert!(lines.contains(&"# TYPE system_cpu_time_seconds_total counter"));
    assert!(lines.len() > 300, "{} lines", lines.len());
    let accept = "Accept: application/openmetrics-text\r\n";
    assert!(ask(port, "/metrics", accept).1.ends_with("# EOF\n"));
    let (status, body) = ask(port, "/health", "");
    // Where this test runs, a probe may have failed.
    assert!(
        status.contains(" 200 ") == (body == "ok\n"),
        "{status} {body}"
    );
    let counted = || {
        let output = place.ask(&["get", "--", "moonward.http.requests{result=answered}"]);
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse::<u64>()
            .is_ok_and(|count| count >= 2)
    };
    assert!(eventually(counted), "the requests are not counted");
    agent.end();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn beyond_loopback_nothing_is_opened_unguarded() {
    let port = free_port();
    let place = Place::new(&format!("[http]\nlisten = \"0.0.0.0:{port}\"\n"));
    let agent = place.start();
    let (verdict, reason) = place.verdict("door", "http");
    assert_eq!(verdict, "failed");
    assert!(
        reason.contains("takes a token and TLS; set http.token_file"),
        "{reason}"
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    agent.end();
}

#[test]
fn zalua_60_a_plugin_opens_loopback_and_nothing_unguarded_beyond() {
    let port = free_port();
    let place = crate::plugins::place("");
    let source = format!(
        "local door, message = prometheus.listen('0.0.0.0:{port}')
         assert(door == nil)
         metrics.set('refused', message)
         assert(prometheus.listen(':{port}'))
         metrics.set('open', 1)
         while true do time.sleep(60) end"
    );
    crate::plugins::save(&place, "listens.lua", &source);
    let agent = place.start();
    let is_open = || place.ask(&["get", "--", "open"]).status.success();
    assert!(eventually(is_open));
    let refused = place.get("refused");
    let keys = "set http.token_file, http.certificate and http.key,";
    assert!(refused.contains(keys), "{refused}");
    let (status, text) = ask(port, "/metrics", "");
    assert_eq!(status, "HTTP/1.0 200 OK");
    assert!(text.contains("\nopen 1\n"), "{text}");
    let (_, log) = agent.end();
    assert!(
        log.contains("a plugin listens for Prometheus on loopback"),
        "{log}"
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_reload_reads_the_token_anew() {
    let port = free_port();
    let place = Place::new("");
    let token = place.path("token");
    let write = |text: &str| {
        std::fs::write(&token, text).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("first-token-of-them");
    place.configure(&format!(
        "[http]\nlisten = \"127.0.0.1:{port}\"\ntoken_file = \"{}\"\n",
        token.display()
    ));
    let agent = place.start();
    let with = |token: &str| ask(port, "/", &format!("Authorization: Bearer {token}\r\n")).0;
    assert_eq!(with("first-token-of-them"), "HTTP/1.0 200 OK");
    write("second-token-of-them");
    assert!(place.ask(&["reload"]).status.success());
    assert_eq!(with("first-token-of-them"), "HTTP/1.0 401 Unauthorized");
    assert_eq!(with("second-token-of-them"), "HTTP/1.0 200 OK");
    write("short");
    assert!(place.ask(&["reload"]).status.success());
    let (verdict, reason) = place.verdict("door", "http");
    assert_eq!(verdict, "degraded");
    assert!(reason.contains("not renewed"), "{reason}");
    assert_eq!(with("second-token-of-them"), "HTTP/1.0 200 OK");
    write("second-token-of-them");
    assert!(place.ask(&["reload"]).status.success());
    assert_eq!(place.verdict("door", "http").0, "active");
    agent.end();
}
