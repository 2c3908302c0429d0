//! A started program: its output, its signals, its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::poll;

/// Longer than any program that is run to its end may take.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// A running program. Dropping kills it, also when it is stopped, and reaps it.
///
/// Its output goes to unnamed files: no thread reads it, and no pipe fills up. May be shared between threads.
pub struct Process {
    name: String,
    child: Mutex<Child>,
    stdout: Capture,
    stderr: Capture,
}

impl Process {
    /// Starts `command` with an empty stdin and collects stdout and stderr.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    #[track_caller]
    fn start_with(mut command: Command, stdin: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let (stdout, stderr) = (Capture::new(), Capture::new());
        command
            .stdin(stdin)
            .stdout(stdout.writer())
            .stderr(stderr.writer());
        let child = match command.spawn() {
            Ok(child) => Mutex::new(child),
            Err(error) => panic!("{name} cannot be started: {error}"),
        };
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Everything that the program has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Everything that the program has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The exit status, once there is one. Does not wait.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child()
            .try_wait()
            .expect("the child is ours to wait for")
    }

    /// Sends a signal. Nothing happens if the program has ended: its process id may be another's by now.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child();
        let running = child
            .try_wait()
            .expect("the child is ours to wait for")
            .is_none();
        if running {
            kill_process(Pid::from_child(&child), signal).expect("a signal to our own child");
        }
    }

    /// Stops the program without its knowing, as if its machine hung: connections are still accepted, nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused program go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the program with SIGKILL and waits for its end.
    pub fn kill(&self) {
        let mut child = self.child();
        // An error means that it has ended already.
        let _ = child.kill();
        child.wait().expect("the child is ours to wait for");
    }

    /// Waits for the program to end by itself.
    ///
    /// # Panics
    /// If it still runs after `deadline`; the message holds its output.
    #[track_caller]
    pub fn wait_exit(&self, deadline: Duration) -> ExitStatus {
        match poll(deadline, || self.exit_status()) {
            Some(status) => status,
            None => panic!("still running after {deadline:?}: {}", self.report()),
        }
    }

    /// Polls until `condition` holds.
    ///
    /// # Panics
    /// If it does not hold within `deadline`, or the program ends first; the message holds its output.
    #[track_caller]
    pub fn wait_until(&self, deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
        self.wait_for(deadline, what, || condition().then_some(()));
    }

    /// Polls until `probe` returns a value, and returns that.
    ///
    /// # Panics
    /// As [`Process::wait_until`].
    #[track_caller]
    pub fn wait_for<T>(
        &self,
        deadline: Duration,
        what: &str,
        mut probe: impl FnMut() -> Option<T>,
    ) -> T {
        let found = poll(deadline, || {
            // Looked up first: what the program did just before its end still counts.
            let ended = self.exit_status();
            match (probe(), ended) {
                (Some(value), _) => Some(Ok(value)),
                (None, Some(status)) => Some(Err(status)),
                (None, None) => None,
            }
        });
        match found {
            Some(Ok(value)) => value,
            Some(Err(status)) => panic!("ended with {status} before: {what}\n{}", self.report()),
            None => panic!("waited {deadline:?} in vain: {what}\n{}", self.report()),
        }
    }

    fn report(&self) -> String {
        let Self { name, .. } = self;
        let (stdout, stderr) = (self.stdout(), self.stderr());
        format!("{name}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        // A panic elsewhere leaves the child as it is.
        self.child
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
}

impl Finished {
    /// The exit code; `None` if a signal ended the program.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns stdout if the program exited with 0.
    ///
    /// # Panics
    /// Otherwise, with its output.
    #[track_caller]
    pub fn expect_success(self) -> String {
        let Self {
            status,
            stdout,
            stderr,
        } = self;
        assert!(
            status.success(),
            "{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        stdout
    }
}

/// Runs `command` to its end with `stdin` as its input.
///
/// # Panics
/// If it cannot be started, or takes longer than two minutes.
#[track_caller]
pub fn run(command: Command, stdin: &str) -> Finished {
    let mut input = tempfile::tempfile().expect("a temporary file");
    input
        .write_all(stdin.as_bytes())
        .expect("room for the input");
    input
        .seek(SeekFrom::Start(0))
        .expect("a file can be rewound");
    let process = Process::start_with(command, Stdio::from(input));
    let status = process.wait_exit(RUN_LIMIT);
    Finished {
        status,
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

/// An unnamed file that collects output.
struct Capture(File);

impl Capture {
    fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    fn writer(&self) -> Stdio {
        Stdio::from(self.0.try_clone().expect("one more file descriptor"))
    }

    /// Reads from the start by position: the writer shares the file's own offset.
    fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut reader = At {
            file: &self.0,
            position: 0,
        };
        reader
            .read_to_end(&mut bytes)
            .expect("our own file is readable");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

struct At<'a> {
    file: &'a File,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{Process, Signal, run};

    const SOON: Duration = Duration::from_secs(10);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_input_and_exit_code_are_kept_apart() {
        let finished = run(sh("cat; echo complaint >&2; exit 3"), "text");
        assert_eq!(finished.code(), Some(3));
        assert_eq!(finished.stdout, "text");
        assert_eq!(finished.stderr, "complaint\n");
    }

    #[test]
    fn output_is_readable_while_the_program_runs() {
        let process = Process::start(sh("echo first; kill -STOP $$; echo second"));
        process.wait_until(SOON, "the first line", || process.stdout() == "first\n");
        // A signal that comes before the program has stopped itself is lost, so it is repeated.
        process.wait_for(SOON, "the second line", || {
            process.resume();
            (process.stdout() == "first\nsecond\n").then_some(())
        });
        assert!(process.wait_exit(SOON).success());
    }

    #[test]
    #[should_panic(expected = "before: a line that never comes")]
    fn waiting_for_an_ended_program_fails_at_once() {
        let process = Process::start(sh("echo done"));
        process.wait_until(Duration::from_secs(600), "a line that never comes", || {
            false
        });
    }

    #[test]
    fn a_paused_program_is_killed_all_the_same() {
        let process = Process::start(sh("sleep 600"));
        process.pause();
        process.kill();
        assert!(
            process
                .exit_status()
                .is_some_and(|status| !status.success())
        );
        process.signal(Signal::TERM);
    }
}
