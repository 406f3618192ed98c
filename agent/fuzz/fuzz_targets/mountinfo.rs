//! Mount tables: any table costs only its odd lines, and a mount is found under its own name
//! whatever characters that has.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::{arbitrary, fuzz_target};
use moonward::collect::Root;
use moonward::collect::disk::Disk;
use moonward::collect::filesystem::Filesystem;
use moonward::model::SampleRef;
use moonward_fuzz::{round, scratch, write};

static TREE: LazyLock<PathBuf> = LazyLock::new(|| scratch("mountinfo"));

#[derive(Debug, arbitrary::Arbitrary)]
struct Input<'a> {
    /// The path below `/mnt`.
    point: &'a str,
    source: &'a str,
    optional: Vec<&'a str>,
    table: &'a str,
}

/// Octal for everything that is not plain, as the kernel does it for some characters.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' => char::from(byte).to_string(),
            other => format!("\\{other:03o}"),
        })
        .collect()
}

fuzz_target!(|input: Input<'_>| {
    let root = Root::recorded(&*TREE);
    let parts: Vec<&str> = input
        .point
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let point = format!("/mnt/{}", parts.join("/"));
    let escaped = escape(&point);
    let optional: String = input
        .optional
        .iter()
        .map(|word| escape(word) + " ")
        .collect();
    let table = format!(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
         2 1 8:2 / {escaped} rw,noatime {optional}- ext4 {} rw\n",
        escape(&format!("/{}", input.source)),
    );
    write(&TREE, "proc/self/mountinfo", table.as_bytes());
    write(
        &TREE,
        "statvfs",
        format!("/ 4096 100 40 35 1000 900\n{escaped} 512 77 7 7 0 0\n").as_bytes(),
    );
    let (batch, lost) = round(&mut Filesystem::default(), &root, 1);
    let limits: Vec<SampleRef<'_>> = batch
        .iter()
        .filter(|sample| sample.series.name() == "system.filesystem.limit")
        .filter(|sample| sample.value.as_f64() == Some(77.0 * 512.0))
        .collect();
    // A path that is too long for a series is refused and counted, with some tags or with all.
    if batch.refused() == 0 {
        assert_eq!(limits.len(), 1, "{table}");
    }
    assert!(limits.len() <= 1, "{table}");
    for sample in limits {
        // Control characters are replaced in tags.
        let tag = sample.series.tag("mountpoint").expect("it has one");
        if !point.contains(char::is_control) {
            assert_eq!(tag, point);
        }
    }
    assert_eq!(lost, 0, "{table}");

    write(
        &TREE,
        "proc/self/mountinfo",
        (table + input.table).as_bytes(),
    );
    round(&mut Filesystem::default(), &root, 1);
    round(&mut Disk::new(), &root, 1);
});
