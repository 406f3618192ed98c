//! Collectors for Prometheus in the real host, and the door that serves them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::lua::testing::Stage;
use crate::lua::{HeldDoor, Listen, ListenAddress};
use crate::model::Kind as ModelKind;
use crate::serve::http::{Access, Http};
use crate::telemetry::StatusBoard;

#[test]
fn zalua_59_kinds_have_handles_and_the_misspelt_name() {
    let stage = Stage::new();
    let run = stage.start(
        "kinds.lua",
        r#"local gauge = assert(prometheus_gauge.new{help = "h", name = "queue", namespace = "mail", subsystem = ""})
        assert(gauge == prometheus_gauge.new{help = "other", name = "queue", namespace = "mail"})
        gauge:set(2.5) gauge:add(-1)
        local labels = assert(prometheus_gauge_labels.new{help = "disks", name = "disk", labels = {"b", "a"}})
        assert(labels == prometheus_gauge_labels.new{name = "disk", labels = {"a", "b"}})
        local nothing, message = prometheus_gauge_labels.new{name = "disk", labels = {"a"}}
        assert(nothing == nil and message == "can't change labels online", message)
        labels:set({a = 1, b = true}, 7) labels:add({a = "1", b = "true"}, 1)
        local nothing, message = prometheus_gauge_labels.new{name = "none"}
        assert(nothing == nil and message == "bad value type: nil", message)
        local counter = assert(prometheus_counter.new{name = "jobs"})
        counter:inc() counter:add(1000.2)
        assert(prometheus_counter_lables == prometheus_counter_labels)
        local requests = assert(prometheus_counter_lables.new{name = "requests", labels = {"code"}})
        requests:inc({code = 200}) requests:add({code = 200}, 2)
        local function fails(text, f, ...)
          local ok, message = pcall(f, ...)
          assert(not ok and message:find(text, 1, true), message)
        end
        fails("counter cannot decrease in value", counter.add, counter, -1)
        fails("counter cannot decrease in value", requests.add, requests, {code = 200}, -1)
        fails("inconsistent label cardinality", labels.set, labels, {a = 1}, 1)
        fails('label name "b" missing in label map', labels.set, labels, {a = 1, c = 1}, 1)
        fails("prometheus_gauge.gauge expected", gauge.set, counter, 1)
        fails("bad argument #2 to set (number expected, got string)", gauge.set, gauge, "1")
        local nothing, message = prometheus_counter.new{name = "queue", namespace = "mail", help = "h"}
        assert(nothing == nil and message == "duplicate metrics collector registration attempted", message)
        local nothing, message = prometheus_gauge.new{name = "a b"}
        assert(nothing == nil and message:find('"a b" is not a valid metric name'), message)
        assert(prometheus_gauge.new{}):set(1)
        time.sleep(60)"#,
    );
    let value = |series: &str| {
        stage
            .store
            .get(series)
            .map(|reading| (reading.kind, reading.value.as_f64().unwrap()))
    };
    while value("nil").is_none() {
        assert!(run.ending().is_none(), "{:?}", run.ending());
        std::thread::yield_now();
    }
    assert_eq!(value("mail_queue"), Some((ModelKind::Gauge, 1.5)));
    assert_eq!(
        value(r#"disk{a="1",b="true"}"#),
        Some((ModelKind::Gauge, 8.0))
    );
    assert_eq!(value("jobs"), Some((ModelKind::Counter, 1001.2)));
    assert_eq!(
        value(r#"requests{code="200"}"#),
        Some((ModelKind::Counter, 3.0))
    );
    assert_eq!(stage.store.description("disk").as_deref(), Some("disks"));
    run.stop();
    stage.wait(&run).unwrap_err();
    assert_eq!(value("mail_queue"), None, "gone with the plugin");
    let run = stage.start(
        "kinds.lua",
        "prometheus_counter.new{name = 'jobs'}:inc() time.sleep(60)",
    );
    while value("jobs").is_none() {
        assert!(run.ending().is_none(), "{:?}", run.ending());
        std::thread::yield_now();
    }
    assert_eq!(
        value("jobs"),
        Some((ModelKind::Counter, 1002.2)),
        "it goes on"
    );
    run.stop();
    stage.wait(&run).unwrap_err();
}

/// Doors on loopback alone, as without a configuration.
fn listen_on(http: Http) -> Listen {
    Listen(Arc::new(move |address| {
        let address = match address {
            ListenAddress::Everywhere(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            ListenAddress::At(address) => address,
        };
        let door = http.listen(address, Access::default());
        door.map(|door| Box::new(door) as HeldDoor)
            .map_err(|error| error.to_string())
    }))
}

#[test]
fn zalua_60_doors_are_opened_and_twice_does_no_harm() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let open = {
        let asked = Arc::clone(&asked);
        move |address| -> Result<HeldDoor, String> {
            asked.lock().unwrap().push(address);
            match address {
                ListenAddress::At(address) if address.port() == 1 => {
                    Err("cannot listen at 127.0.0.1:1: it is busy".to_owned())
                }
                _ => Ok(Box::new(())),
            }
        }
    };
    let stage = Stage::changed(|options| {
        options.listen = Some(Listen(Arc::new(open)));
    });
    stage.pass(
        "for _ = 1, 2 do assert(prometheus.listen(':2345')) end
         assert(type(prometheus.listen('localhost:2346')) == 'userdata')
         local nothing, message = prometheus.listen('127.0.0.1:1')
         assert(nothing == nil and message:find('it is busy'), message)
         local nothing, message = prometheus.listen('nonsense')
         assert(nothing == nil and message:find('nonsense is no address'), message)
         assert(not pcall(prometheus.listen))",
    );
    // One that it holds already is not asked for again.
    let at = |address: &str| ListenAddress::At(address.parse().unwrap());
    let all = [
        ListenAddress::Everywhere(2345),
        at("127.0.0.1:2346"),
        at("127.0.0.1:1"),
    ];
    assert_eq!(*asked.lock().unwrap(), all);
    Stage::new().pass(
        "local nothing, message = prometheus.listen(':2345')
         assert(nothing == nil and message:find('there is no HTTP door here'), message)",
    );
}

/// The names of section 7 of ZaLua's behaviour.
const STOCK: [&str; 15] = [
    "system_cpu_usage",
    "system_cpu_la_1m",
    "system_cpu_la_5m",
    "system_cpu_la_15m",
    "system_disk_bytes",
    "system_disk_ops",
    "system_disk_utilization",
    "system_disk_await",
    "system_disk_percent_bytes_free",
    "system_disk_percent_inodes_free",
    "system_disk_expose",
    "system_memory_bytes",
    "system_net_info",
    "system_tcp_netstat",
    "system_tcp_state",
];

fn metrics_at(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn zalua_60_listen_serves_metrics_with_the_stock_names() {
    let stage = Stage::changed(|options| {
        let http = Http::new(options.store.clone(), StatusBoard::new());
        options.listen = Some(listen_on(http));
    });
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let names = STOCK.map(|name| format!("'{name}'")).join(", ");
    let source = format!(
        "for _, name in ipairs{{{names}}} do
           local gauge = assert(prometheus_gauge_labels.new{{name = name, help = name, labels = {{'type'}}}})
           gauge:set({{type = 'a'}}, 1)
         end
         assert(prometheus.listen(':{port}'))
         metrics.set('open', 1)
         time.sleep(1000)"
    );
    // The second one finds the address as soon as the first has let it go.
    for _ in 0..2 {
        let run = stage.start("prometheus.lua", &source);
        while stage.store.get("open").is_none() {
            assert!(run.ending().is_none(), "{:?}", run.ending());
            std::thread::yield_now();
        }
        let text = metrics_at(port);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        for name in STOCK {
            let family =
                format!("# HELP {name} {name}\n# TYPE {name} gauge\n{name}{{type=\"a\"}} 1\n");
            assert!(text.contains(&family), "{name}: {text}");
        }
        run.stop();
        stage.wait(&run).unwrap_err();
        stage.store.remove("open");
    }
}

#[test]
fn zalua_60_what_plugins_collect_is_served_for_as_long_as_they_run() {
    let stage = Stage::changed(|options| {
        let http = Http::new(options.store.clone(), options.board.clone());
        options.listen = Some(listen_on(http));
    });
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, address) = (busy.local_addr().unwrap(), free.local_addr().unwrap());
    drop(free);
    stage.pass(format!(
        "local gauge = prometheus_gauge_labels.new{{help = 'of disks', namespace = 'system', subsystem = 'disk', name = 'await', labels = {{'mountpoint'}}}}
         gauge:set({{mountpoint = '/'}}, 1.5)
         prometheus_counter.new{{help = 'done', name = 'jobs_total'}}:add(3)
         for _ = 1, 2 do assert(prometheus.listen('{address}')) end
         local answer = assert(http.get('http://{address}/metrics'))
         assert(answer.code == 200)
         assert(answer.body:find('# HELP system_disk_await of disks\\n# TYPE system_disk_await gauge\\nsystem_disk_await{{mountpoint=\"/\"}} 1.5\\n', 1, true), answer.body)
         assert(answer.body:find('# TYPE jobs_total counter\\njobs_total 3\\n', 1, true), answer.body)
         local nothing, message = prometheus.listen('{taken}')
         assert(nothing == nil and message:find('cannot listen at {taken}', 1, true), message)
         local nothing, message = prometheus.listen('0.0.0.0:1')
         assert(nothing == nil and message:find('beyond this machine'), message)
         assert(http.get('http://{address}/metrics').code == 200)"
    ));
    stage.pass(format!(
        "assert(http.get('http://{address}/metrics') == nil, 'the door is closed')"
    ));
}

#[test]
fn the_helper_of_zalua_takes_its_arguments_in_either_order() {
    let stage = Stage::new();
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../lua-stdlib/modules");
    let prelude = format!("package.path = '{modules}/?.lua;' .. package.path\n");
    let source = r#"local helper = require "prometheus_gauge"
        local plain = helper:new{help = "h", name = "plain"}
        plain:set(1)
        assert(metrics.get("plain", EXTRA) == "1.00")
        local disk = helper:new{help = "h", namespace = "system", subsystem = "disk", name = "await", labels = {"mountpoint"}}
        disk:set(1.5, {mountpoint = "/"})
        disk:set({mountpoint = "/home"}, 2.5)
        local function value(mountpoint)
          local tags = {mountpoint = mountpoint}
          for name, text in pairs(EXTRA) do tags[name] = text end
          return metrics.get("system_disk_await", tags)
        end
        assert(value("/") == "1.50" and value("/home") == "2.50")
        metrics.set("system.disk.await", 7)
        disk:set_from_metrics("system.disk.await", {mountpoint = "/a"})
        disk:set_from_metrics({mountpoint = "/b"}, "system.disk.await")
        disk:set_from_metrics("absent", {mountpoint = "/c"})
        assert(value("/a") == "7.00" and value("/b") == "7.00" and value("/c") == nil)
        local wrong = helper:new{name = "not a name"}
        local ok, message = pcall(wrong.set, wrong, 1)
        assert(not ok and message:find("is not a valid metric name"), message)"#;
    stage.pass(format!("{prelude}EXTRA = {{}}\n{source}"));
    let stage = Stage::new();
    stage.write(
        "additional_prometheus_labels.lua",
        "return {fqdn = 'host.example'}",
    );
    stage.pass(format!(
        "{prelude}EXTRA = {{fqdn = 'host.example'}}\n{source}"
    ));
}
