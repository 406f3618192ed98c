//! The agent under measurement: the release build, started by hand in a directory of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process::Program;
use crate::workspace;

/// An agent that runs until this is dropped.
pub(crate) struct Agent {
    child: Child,
    directory: PathBuf,
}

impl Agent {
    /// Starts it with a configuration.
    ///
    /// # Errors
    /// When it does not start or does not answer within half a minute.
    pub(crate) fn start(configuration: &str) -> Result<Self> {
        let directory = workspace::target().join("bench").join("agent");
        if directory.exists() {
            fs::remove_dir_all(&directory).context("cannot clear an older run")?;
        }
        for part in ["run", "state"] {
            fs::create_dir_all(directory.join(part)).context("cannot make a directory")?;
        }
        let file = directory.join("moonward.toml");
        fs::write(&file, configuration).context("cannot write the configuration")?;
        let log = fs::File::create(directory.join("log")).context("cannot make a log")?;
        let child = Program::bound_to_us(binary())
            .args(["run", "--config"])
            .arg(&file)
            .env("RUNTIME_DIRECTORY", directory.join("run"))
            .env("STATE_DIRECTORY", directory.join("state"))
            .without_input()
            .output_to(log.try_clone().context("cannot share the log")?)
            .errors_to(log)
            .spawn()?;
        let agent = Self { child, directory };
        agent.wait_until_it_answers()?;
        Ok(agent)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        for _ in 0..300 {
            if self.ask(["ping"]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        bail!("the agent does not answer: {}", log.trim())
    }

    /// Process id of the agent itself.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The socket that the command line speaks to.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("run").join("control.sock")
    }

    /// Runs a verb of the command line against it.
    pub(crate) fn ask<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Result<String> {
        Program::new(binary())
            .args(words)
            .arg("--socket")
            .arg(self.socket())
            .capture()
    }

    /// Samples that all probes and collectors have given since the start.
    pub(crate) fn samples(&self) -> Result<u64> {
        let status: Value = serde_json::from_str(&self.ask(["status", "--json"])?)?;
        let parts = status
            .get("parts")
            .and_then(Value::as_array)
            .context("no parts")?;
        let mine = |part: &&Value| {
            let room = part.get("room").and_then(Value::as_str).unwrap_or_default();
            ["probe", "collector"].contains(&room)
        };
        Ok(parts
            .iter()
            .filter(mine)
            .filter_map(|part| part.get("samples").and_then(Value::as_u64))
            .sum())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The release build.
pub(crate) fn binary() -> PathBuf {
    workspace::target().join("release").join("moonward")
}
