//! The program under test, as a user starts it.

use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Finished, Process, run};

/// Longest wait for a control socket; some daemons never have one.
const LISTEN_LIMIT: Duration = Duration::from_secs(5);

/// The user and the group that everywhere have no rights.
const NOBODY: u32 = 65534;

/// A `sync-daemon` command line that runs in a directory of its own.
///
/// The directory is its working directory, its home and its temporary directory, and `state_dir` lies in it (set through the
/// environment, which wins over a configuration file). Of the story's own environment only `PATH` gets through.
pub struct Invocation {
    command: Command,
    directory: PathBuf,
}

impl Invocation {
    /// A command line without arguments.
    pub fn new(directory: &Path) -> Self {
        Self::of(&executable(), directory)
    }

    /// As [`new`](Self::new), but run by an ordinary user: root is refused nothing, whatever the permissions say. The directory
    /// belongs to that user from now on, and holds a copy of the program. Who is not root stays who he is.
    ///
    /// # Panics
    /// If there is no room for the copy.
    #[track_caller]
    pub fn of_ordinary_user(directory: &Path) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::new(directory);
        }
        let program = directory.join("sync-daemon");
        std::fs::copy(executable(), &program).expect("room for the program");
        chown(directory, Some(NOBODY), Some(NOBODY)).expect("root may give anything away");
        let mut invocation = Self::of(&program, directory);
        invocation.command.uid(NOBODY).gid(NOBODY);
        invocation
    }

    fn of(program: &Path, directory: &Path) -> Self {
        let mut command = Command::new(program);
        // Messages and help show the name that users type.
        command
            .arg0("sync-daemon")
            .current_dir(directory)
            .env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        for variable in ["HOME", "TMPDIR"] {
            command.env(variable, directory);
        }
        command.env("SYNC_DAEMON__DAEMON__STATE_DIR", directory.join("state"));
        Self {
            command,
            directory: directory.to_owned(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of the environment, for example `SYNC_DAEMON__DAEMON__STATE_DIR`.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it to its end with an empty stdin.
    ///
    /// # Panics
    /// If it takes longer than two minutes.
    #[track_caller]
    pub fn run(self) -> Finished {
        run(self.command, "")
    }

    /// Runs it to its end with `stdin` as its input.
    ///
    /// # Panics
    /// If it takes longer than two minutes.
    #[track_caller]
    pub fn run_with_input(self, stdin: &str) -> Finished {
        run(self.command, stdin)
    }

    /// Writes `config` to `sync-daemon.toml` in the directory and starts the daemon with it. Does not wait for anything: the
    /// story knows what shows that the daemon is up.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(self, config: &str) -> Daemon {
        let config_file = self.directory.join("sync-daemon.toml");
        std::fs::write(&config_file, config).expect("room for the configuration");
        let mut command = self.command;
        command.arg("start").arg("--config").arg(config_file);
        Daemon {
            process: Process::start(command),
            directory: self.directory,
        }
    }
}

/// A running daemon. Dropping kills it with SIGKILL; to see it drain, send [`crate::Signal::TERM`] and
/// [`Process::wait_exit`].
///
/// Dereferences to [`Process`]: output, signals, waiting.
pub struct Daemon {
    process: Process,
    directory: PathBuf,
}

impl Daemon {
    /// Starts a daemon in `directory`, with `config` as its configuration file; as [`Invocation::start`]. Stories run side by
    /// side: give each a [`crate::free_port`] as `telemetry.metrics.port`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(directory: &Path, config: &str) -> Self {
        Invocation::new(directory).start(config)
    }

    /// The directory that it runs in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A second command line beside this daemon, with its configuration file: `status`, `trigger`, ….
    ///
    /// Waits until the daemon listens for it: its first records come a little earlier.
    pub fn beside(&self) -> Invocation {
        let socket = self.directory.join("state/control.sock");
        let deadline = Instant::now() + LISTEN_LIMIT;
        while !socket.exists() && self.process.exit_status().is_none() && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        let config_file = self.directory.join("sync-daemon.toml");
        Invocation::new(&self.directory)
            .arg("--config")
            .arg(config_file)
    }

    /// The records in the active log file, `logs/daemon.log` in the directory; none if there is no file yet. A line without its
    /// end is still being written and left out.
    ///
    /// # Panics
    /// If a whole line is not JSON.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        let path = self.directory.join("logs/daemon.log");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("{}: {error}", path.display()),
        };
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in: {line}"))
            })
            .collect()
    }

    /// Waits for a record in the active log file and returns it.
    ///
    /// # Panics
    /// If none fits within `deadline`, or the daemon ends first.
    #[track_caller]
    pub fn wait_for_record(
        &self,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        self.process
            .wait_for(deadline, what, || self.log().into_iter().find(&fits))
    }
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// Cargo puts this package's binary two directories above the executable of its integration tests, and builds it before them.
fn executable() -> PathBuf {
    let story = std::env::current_exe().expect("the test's own path");
    let profile = story
        .ancestors()
        .nth(2)
        .expect("a test runs from cargo's target directory");
    let executable = profile.join("sync-daemon-under-test");
    assert!(
        executable.exists(),
        "{} is not built; only integration tests of telemetry-tests have it",
        executable.display()
    );
    executable
}
