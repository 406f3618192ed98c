//! What the defaults depend on: who runs the agent, and what systemd or the session says.

use std::path::{Path, PathBuf};

/// Where the sockets of the system's units are.
const SYSTEM: &str = "/run/moonward";

/// The surroundings of the process, as plain values, so that every default is a pure function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The effective user id.
    pub uid: u32,
    /// The system's host name.
    pub hostname: String,
    /// `STATE_DIRECTORY`, which systemd sets (systemd.exec(5)); may be a list with colons.
    pub state_directory: Option<String>,
    /// `RUNTIME_DIRECTORY`, likewise.
    pub runtime_directory: Option<String>,
    /// `XDG_RUNTIME_DIR` of the session.
    pub xdg_runtime_dir: Option<String>,
    /// `XDG_STATE_HOME` of the session.
    pub xdg_state_home: Option<String>,
    /// `HOME`.
    pub home: Option<String>,
}

impl Environment {
    /// Where sockets are made: what systemd says, `/run/moonward` for root, the session's runtime
    /// directory for others, `/tmp/moonward-UID` (to be made with mode 0700) as a last resort.
    pub fn runtime_directory(&self) -> PathBuf {
        if let Some(directory) = first_absolute(self.runtime_directory.as_deref()) {
            return directory.to_owned();
        }
        if self.uid == 0 {
            return PathBuf::from(SYSTEM);
        }
        absolute(self.xdg_runtime_dir.as_deref())
            .map_or_else(|| self.last_resort(), |base| base.join("moonward"))
    }

    /// Where state is kept: what systemd says, `/var/lib/moonward` for root, the user's state
    /// directory for others (`$XDG_STATE_HOME`, else `~/.local/state`), `/tmp/moonward-UID` as a
    /// last resort.
    pub fn state_directory(&self) -> PathBuf {
        if let Some(directory) = first_absolute(self.state_directory.as_deref()) {
            return directory.to_owned();
        }
        if self.uid == 0 {
            return PathBuf::from("/var/lib/moonward");
        }
        absolute(self.xdg_state_home.as_deref())
            .map(Path::to_owned)
            .or_else(|| absolute(self.home.as_deref()).map(|home| home.join(".local/state")))
            .map_or_else(|| self.last_resort(), |base| base.join("moonward"))
    }

    /// Where the agent makes its control socket by default.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_directory().join("control.sock")
    }

    /// Where the runner's socket is by default: where its socket unit makes it, unless systemd says
    /// otherwise. One runner serves the whole system, and the service, which is not root and has no
    /// `RuntimeDirectory=`, must look where a person does not.
    pub fn runner_socket(&self) -> PathBuf {
        first_absolute(self.runtime_directory.as_deref())
            .unwrap_or(Path::new(SYSTEM))
            .join("runner.sock")
    }

    fn last_resort(&self) -> PathBuf {
        PathBuf::from(format!("/tmp/moonward-{}", self.uid))
    }
}

/// XDG's base directory rules: a path that is not absolute is to be ignored.
fn absolute(path: Option<&str>) -> Option<&Path> {
    path.map(Path::new).filter(|path| path.is_absolute())
}

/// systemd gives several directories as a list with colons; the first one is the agent's.
fn first_absolute(list: Option<&str>) -> Option<&Path> {
    absolute(list.and_then(|list| list.split(':').next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn systemd_has_the_first_word() {
        let environment = Environment {
            uid: 990,
            state_directory: Some("/var/lib/moonward:/var/lib/other".into()),
            runtime_directory: Some("/run/moonward".into()),
            xdg_runtime_dir: Some("/run/user/990".into()),
            ..Environment::default()
        };
        assert_eq!(text(&environment.state_directory()), "/var/lib/moonward");
        assert_eq!(
            text(&environment.control_socket()),
            "/run/moonward/control.sock"
        );
    }

    #[test]
    fn root_by_hand_uses_the_system_directories() {
        let environment = Environment {
            xdg_runtime_dir: Some("/run/user/0".into()),
            ..Environment::default()
        };
        assert_eq!(text(&environment.state_directory()), "/var/lib/moonward");
        assert_eq!(text(&environment.runtime_directory()), "/run/moonward");
    }

    #[test]
    fn a_user_by_hand_uses_the_session() {
        let mut environment = Environment {
            uid: 1000,
            xdg_runtime_dir: Some("/run/user/1000".into()),
            xdg_state_home: Some("relative/is/ignored".into()),
            home: Some("/home/ann".into()),
            ..Environment::default()
        };
        assert_eq!(
            text(&environment.runtime_directory()),
            "/run/user/1000/moonward"
        );
        assert_eq!(
            text(&environment.state_directory()),
            "/home/ann/.local/state/moonward"
        );
        environment.xdg_state_home = Some("/state".into());
        assert_eq!(text(&environment.state_directory()), "/state/moonward");
        environment = Environment {
            uid: 1000,
            ..Environment::default()
        };
        assert_eq!(text(&environment.runtime_directory()), "/tmp/moonward-1000");
        assert_eq!(text(&environment.state_directory()), "/tmp/moonward-1000");
    }

    #[test]
    fn the_runner_is_that_of_the_system_also_for_a_service_without_a_runtime_directory() {
        let mut environment = Environment {
            uid: 990,
            ..Environment::default()
        };
        assert_eq!(
            text(&environment.runner_socket()),
            "/run/moonward/runner.sock"
        );
        environment.runtime_directory = Some("/run/other".into());
        assert_eq!(text(&environment.runner_socket()), "/run/other/runner.sock");
    }
}
