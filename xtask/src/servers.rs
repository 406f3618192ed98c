//! The database servers that tests talk to.
//!
//! Only their programs are wanted: each test starts its own on a temporary directory. So nothing
//! is started when the packages come in, and nothing of them at the next boot.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::apt;
use crate::process::{Program, is_installed, is_root};

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
    let quiet = NoServices::declare(Path::new(POLICY))?;
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
    /// The policy, where it is ours.
    policy: Option<PathBuf>,
}

impl NoServices {
    fn declare(policy: &Path) -> Result<Self> {
        if !is_root() {
            // Nothing will be installed either.
            return Ok(Self { policy: None });
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(policy);
        match file {
            Ok(mut file) => {
                let declared = Self {
                    policy: Some(policy.to_owned()),
                };
                file.write_all(REFUSAL)
                    .with_context(|| format!("cannot write {}", policy.display()))?;
                Ok(declared)
            }
            // Somebody's own policy; containers have one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { policy: None }),
            Err(error) => Err(error).with_context(|| format!("cannot make {}", policy.display())),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.policy
            && let Err(error) = fs::remove_file(policy)
        {
            let policy = policy.display();
            println!("remove {policy}, or no service starts any more: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_taken_away_again_unless_it_was_there_before() {
        if !is_root() {
            return;
        }
        let directory = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
        fs::create_dir(&directory).expect("a directory");
        let policy = directory.join("policy-rc.d");
        let declared = NoServices::declare(&policy).expect("a policy");
        assert_eq!(fs::read(&policy).expect("it is there"), REFUSAL);
        let second = NoServices::declare(&policy).expect("one more");
        drop(second);
        assert!(policy.exists());
        drop(declared);
        assert!(!policy.exists());
        fs::remove_dir(&directory).expect("it is empty");
    }
}
