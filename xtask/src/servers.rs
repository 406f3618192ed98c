//! The database servers that tests talk to.
//!
//! Only their programs are wanted: each test starts its own on a temporary directory. So nothing
//! is started when the packages come in, and nothing of them at the next boot.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::apt;
use crate::process::{Program, is_installed};

/// Makes the tests of databases fail, and not pass unseen, where a server is missing.
pub(crate) const REQUIRED: (&str, &str) = ("MOONWARD_REQUIRE_SERVERS", "1");

/// What Debian's tools ask before they start a service; 101 says "no".
/// <https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt>
const POLICY: &str = "/usr/sbin/policy-rc.d";
const REFUSAL: &[u8] = b"#!/bin/sh\nexit 101\n";

/// Where Debian keeps PostgreSQL's programs, by version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// A server: how it is found, the package that brings it, and the unit that would start it.
struct Server {
    is_there: fn() -> bool,
    package: &'static str,
    unit: &'static str,
}

const SERVERS: [Server; 3] = [
    Server {
        is_there: has_postgresql,
        package: "postgresql",
        unit: "postgresql.service",
    },
    Server {
        is_there: || is_installed("pgbouncer"),
        package: "pgbouncer",
        unit: "pgbouncer.service",
    },
    Server {
        is_there: || is_installed("mariadbd"),
        package: "mariadb-server",
        unit: "mariadb.service",
    },
];

/// Installs those that are missing.
///
/// # Errors
/// Names what is missing when it cannot be installed here.
pub(crate) fn provide() -> Result<()> {
    let missing: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| !(server.is_there)())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|server| server.package).collect();
    let quiet = NoServices::declare()?;
    let installed = apt::install(&packages);
    drop(quiet);
    installed?;
    for server in &missing {
        if !(server.is_there)() {
            bail!("{} came without its server", server.package);
        }
        if is_installed("systemctl") {
            let disabled = Program::new("systemctl")
                .args(["--quiet", "disable", server.unit])
                .attempt()?;
            if !disabled.status.success() {
                println!("{} stays enabled: {}", server.unit, disabled.stderr.trim());
            }
        }
    }
    Ok(())
}

/// A directory per version, each with `bin/initdb`.
fn has_postgresql() -> bool {
    is_installed("initdb")
        || fs::read_dir(POSTGRESQL).is_ok_and(|mut versions| {
            versions.any(|version| {
                version.is_ok_and(|version| version.path().join("bin/initdb").is_file())
            })
        })
}

/// While this lives no package starts a service.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn declare() -> Result<Self> {
        if !Path::new("/usr/sbin").is_dir() || !crate::process::is_root() {
            return Ok(Self { ours: false });
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY);
        match file {
            Ok(mut file) => {
                let declared = Self { ours: true };
                file.write_all(REFUSAL)
                    .with_context(|| format!("cannot write {POLICY}"))?;
                Ok(declared)
            }
            // Somebody's own policy; containers have one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("cannot make {POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            println!("remove {POLICY}, or no service starts any more: {error}");
        }
    }
}
