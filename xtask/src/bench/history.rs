//! A log of ten archives, as a daemon leaves it behind.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const ARCHIVES: u64 = 10;
const ARCHIVE_BYTES: u64 = 100 << 20;
/// Compressing a gigabyte at low priority, beside whatever else runs.
const COMPRESS_LIMIT: Duration = Duration::from_secs(900);

/// Where the last ten minutes of the last archive begin.
pub(super) const LAST_TEN_MINUTES: &str = "2026-01-01T09:50:00.000000Z";

/// A log that was made once and is used again.
pub(super) struct History {
    directory: PathBuf,
}

impl History {
    /// Makes it below `directory`, with the daemon as the one who compresses.
    pub(super) fn prepare(directory: &Path, daemon: &Path) -> Result<Self> {
        let history = Self {
            directory: directory.to_owned(),
        };
        let stamp = directory.join("complete");
        if stamp.exists() {
            return Ok(history);
        }
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for hour in 0..ARCHIVES {
            write_hour(&history.plain(hour), hour, &mut random)?;
        }
        history.compress(daemon)?;
        fs::write(stamp, "")?;
        Ok(history)
    }

    /// The active file, which the daemon has left.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("daemon.log")
    }

    /// The archives, oldest first.
    pub(super) fn archives(&self) -> Vec<PathBuf> {
        (0..ARCHIVES).map(|hour| self.packed(hour)).collect()
    }

    fn plain(&self, hour: u64) -> PathBuf {
        self.directory
            .join(format!("daemon-2026-01-01T{hour:02}.0.log"))
    }

    fn packed(&self, hour: u64) -> PathBuf {
        self.directory
            .join(format!("daemon-2026-01-01T{hour:02}.0.log.xz"))
    }

    fn compress(&self, daemon: &Path) -> Result<()> {
        let config = self.directory.join("sync-daemon.toml");
        let (log, state) = (self.log(), self.directory.join("state"));
        let text = format!(
            "[daemon]\nstate_dir = {state:?}\n[telemetry]\nlog_file_path = {log:?}\n\
             [telemetry.log_rotation]\nfrequency = \"hourly\"\nkeep_files = 100\n\
             [telemetry.metrics]\nenabled = false\n"
        );
        fs::write(&config, text)?;
        let mut running = Command::new(daemon)
            .arg("start")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the daemon")?;
        let begun = Instant::now();
        while self.archives().iter().any(|archive| !archive.exists()) {
            let is_late = begun.elapsed() > COMPRESS_LIMIT;
            if is_late || running.try_wait()?.is_some() {
                running.kill()?;
                running.wait()?;
                anyhow::bail!("the daemon did not compress the archives");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let id = running.id().to_string();
        let asked = Command::new("kill").arg(id).status()?;
        ensure!(asked.success(), "the daemon could not be asked to stop");
        running.wait()?;
        Ok(())
    }
}

/// Lines of an hour as our daemon writes them, evenly over it; 1 in 500 is an ERROR.
fn write_hour(path: &Path, hour: u64, random: &mut Random) -> Result<()> {
    const LINE_BYTES: u64 = 482;
    let mut out = BufWriter::new(File::create(path)?);
    let lines = ARCHIVE_BYTES / LINE_BYTES;
    let mut written = 0;
    let mut number = 0;
    while written < ARCHIVE_BYTES {
        let micros = (number.min(lines) * 3_599_999_999) / lines;
        let (minute, second) = (micros / 60_000_000, micros / 1_000_000 % 60);
        let micros = micros % 1_000_000;
        let (file, bytes, level) = (
            random.below(90_000),
            random.below(5_000_000),
            random.level(),
        );
        let line = format!(
            r#"{{"timestamp":"2026-01-01T{hour:02}:{minute:02}:{second:02}.{micros:06}Z","level":"{level}","target":"sync_daemon::mirror::apply","message":"file copied","fields":{{"path":"documents/project{}/file{file:05}.odt","operation":"created","bytes":{bytes}}},"spans":[{{"name":"job","fields":{{"job_id":"documents","run":{hour}}}}}],"module_path":"sync_daemon::mirror::apply","file":"sync-daemon/src/mirror/apply.rs","line":182,"daemon_id":"550e8400-e29b-41d4-a716-446655440000","session_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","seq":{}}}"#,
            file % 97,
            hour * 1_000_000 + number,
        );
        writeln!(out, "{line}")?;
        written += line.len() as u64 + 1;
        number += 1;
    }
    Ok(out.flush()?)
}

/// xorshift64*: the same log in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }

    fn level(&mut self) -> &'static str {
        match self.below(500) {
            0 => "ERROR",
            1..=5 => "WARN",
            6..=100 => "INFO",
            _ => "DEBUG",
        }
    }
}
