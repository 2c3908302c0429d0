//! The log file where nothing can be written: read-only, forbidden, full, gone. Real disks and permissions, no injected errors.
//!
//! Each time the same is asked: said once on stderr, told by `status`, `/readyz` and the metrics, each loss counted, and over by
//! itself, without a record that makes the attempt.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use telemetry_tests::{
    Daemon, Invocation, Signal, Tmpfs, free_port, get, plant, rounds, run, skip, tool,
};
use tempfile::TempDir;

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

const CANNOT_WRITE: &str = "cannot write log file";
const WRITES_AGAIN: &str = "is written again";

/// A daemon with one job, `good`, that is told when to run, and what it tells.
struct Told {
    daemon: Daemon,
    port: u16,
    log: PathBuf,
}

impl Told {
    fn start(
        invocation: Invocation,
        place: &Path,
        log: &Path,
        edit: impl Fn(String) -> String,
    ) -> Self {
        let port = free_port();
        let config = with_jobs(port, &job("good", place, MANUAL))
            .replace("logs/daemon.log", &log.display().to_string());
        Self {
            daemon: invocation.start(&edit(config)),
            port,
            log: log.to_owned(),
        }
    }

    fn run(&self) {
        let ran = self
            .daemon
            .beside()
            .args(["trigger", "good", "--wait"])
            .run();
        ran.expect_success();
    }

    /// What `status` tells about the log file.
    fn status(&self) -> Option<Value> {
        let status = self.daemon.beside().args(["status", "--json"]).run();
        let status: Value = serde_json::from_str(&status.stdout).ok()?;
        let sinks = status["sinks"].as_array()?;
        sinks.iter().find(|sink| sink["sink"] == "file").cloned()
    }

    fn wait_for_health(&self, health: &str, reason: &str) {
        self.daemon
            .wait_until(SOON, &format!("{health}: {reason}"), || {
                self.status().is_some_and(|file| {
                    let told = file["reason"].as_str().unwrap_or_default();
                    file["health"] == health && told.contains(reason)
                })
            });
    }

    fn lost(&self) -> u64 {
        let file = self.status().expect("a daemon that answers");
        file["dropped"].as_u64().expect("a count")
    }

    fn is_ready(&self) -> bool {
        get(&format!("http://127.0.0.1:{}/readyz", self.port))
            .is_ok_and(|answer| answer.status == 200)
    }

    fn metric(&self, series: &str) -> u64 {
        let page = get(&format!("http://127.0.0.1:{}/metrics", self.port));
        let page = page.expect("the metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series));
        value
            .and_then(|value| value.trim().parse().ok())
            .expect(series)
    }

    /// How often that was said on stderr.
    fn said(&self, text: &str) -> usize {
        self.daemon.stderr().matches(text).count()
    }

    /// Loses a record for this reason, and tells so everywhere.
    fn fails(&self, reason: &str) {
        self.daemon.wait_until(SOON, "a lost record", || {
            self.run();
            self.lost() > 0
        });
        self.wait_for_health("failing", reason);
        assert!(!self.is_ready());
        let lost = "telemetry_records_total{sink=\"file\",outcome=\"dropped\"}";
        self.daemon
            .wait_until(SOON, "the loss in the metrics", || self.metric(lost) > 0);
    }

    /// Is well again, and no record was needed for that.
    fn heals(&self) {
        let before = self.status().expect("a daemon that answers")["accepted"].clone();
        self.daemon
            .wait_until(SOON, "readiness", || self.is_ready());
        self.wait_for_health("good", "");
        let after = self.status().expect("a daemon that answers");
        assert_eq!(after["accepted"], before, "an idle daemon");
    }

    /// The numbers of the records in the file after the daemon has ended.
    fn end(&self) -> Vec<u64> {
        self.daemon.signal(Signal::TERM);
        assert!(self.daemon.wait_exit(SOON).success());
        let text = fs::read_to_string(&self.log).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let number = |line: &str| {
            let record: Value = serde_json::from_str(line).expect(line);
            record["seq"].as_u64().unwrap()
        };
        text.lines().map(number).collect()
    }
}

/// An ext4 file system in a file, which can be made to find an error in itself: it is read-only then, whoever has files open.
struct FailingDisk {
    place: TempDir,
    device: String,
}

impl FailingDisk {
    /// `None`, after saying so, where that takes rights or programs that are not there.
    fn mount() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let made = output(
            "mkfs.ext4",
            &["-q", "-O", "^has_journal", path_text(&image)],
        );
        let device = made.and_then(|_| output("losetup", &["--find", "--show", path_text(&image)]));
        let Some(device) = device else {
            skip("an ext4 file system in a file takes root, mkfs.ext4 and losetup");
            return None;
        };
        let device = device.trim().to_owned();
        fs::create_dir(place.path().join("disk")).unwrap();
        let disk = Self { place, device };
        disk.mount_again();
        Some(disk)
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    fn mount_again(&self) {
        // Where it is not mounted nobody but root may write.
        mode(&self.path(), 0o555);
        mode(self.place.path(), 0o755);
        let path = self.path();
        let options = ["-o", "errors=remount-ro", &self.device, path_text(&path)];
        output("mount", &options).expect("a mounted disk");
        mode(&self.path(), 0o777);
    }

    fn find_an_error(&self) {
        let name = Path::new(&self.device)
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").unwrap();
    }

    /// False while a file in it is open.
    fn repair(&self) -> bool {
        if output("umount", &[path_text(&self.path())]).is_none() {
            return false;
        }
        // 1: errors were corrected.
        let checked = Command::new("e2fsck").args(["-fy", &self.device]).output();
        assert!(checked.unwrap().status.code().is_some_and(|code| code <= 1));
        self.mount_again();
        true
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        output("umount", &["--lazy", path_text(&self.path())]);
        output("losetup", &["--detach", &self.device]);
    }
}

/// What a program printed; `None` if it failed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_disk_at_the_start_and_while_running() {
    const DISK: u64 = 1 << 20;
    let Some(disk) = Tmpfs::mount(DISK) else {
        return;
    };
    assert!(disk.set_read_only(true));
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let log = disk.path().join("logs/daemon.log");
    let told = Told::start(
        Invocation::new(place.path()),
        place.path(),
        &log,
        |config| config,
    );
    told.fails("Read-only file system");
    assert_eq!(told.said(CANNOT_WRITE), 1);
    assert!(disk.set_read_only(false));
    told.heals();
    assert_eq!(told.said(WRITES_AGAIN), 1);
    let lost = told.lost();
    told.run();
    assert_eq!(told.lost(), lost);

    // A disk cannot become read-only under an open file: it is full first, which closes the file.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 2 * DISK as usize]).expect_err("a full disk");
    told.daemon.wait_until(SOON, "a loss on the full disk", || {
        told.run();
        told.lost() > lost
    });
    told.daemon
        .wait_until(SOON, "a file that is closed", || disk.set_read_only(true));
    told.fails("Read-only file system");
    assert_eq!(
        told.said(CANNOT_WRITE),
        2,
        "one trouble, whatever its reason"
    );
    assert!(disk.set_read_only(false));
    fs::remove_file(&ballast).unwrap();
    told.heals();
    told.run();
    let numbers = told.end();
    assert!(numbers.is_sorted_by(|one, next| one < next));
    let last = numbers[numbers.len() - 1];
    assert!((numbers.len() as u64) < last, "the gap shows the loss");
}

/// Only with `cargo xtask check --long`: it takes a loop device and a kernel that lets a disk find errors.
#[test]
fn a_disk_that_finds_an_error_under_an_open_file() {
    if rounds(0, 1) == 0 {
        return;
    }
    let Some(disk) = FailingDisk::mount() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let log = disk.path().join("logs/daemon.log");
    let invocation = Invocation::of_ordinary_user(place.path());
    let told = Told::start(invocation, place.path(), &log, |config| config);
    told.daemon
        .wait_until(SOON, "a ready daemon", || told.is_ready());
    told.run();
    assert_eq!(told.lost(), 0);
    disk.find_an_error();
    told.fails("Read-only file system");
    assert_eq!(told.said(CANNOT_WRITE), 1);
    told.daemon
        .wait_until(SOON, "a file that is closed", || disk.repair());
    told.heals();
    assert_eq!((told.said(CANNOT_WRITE), told.said(WRITES_AGAIN)), (1, 1));
    told.run();
    let numbers = told.end();
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert!((numbers.len() as u64) < numbers[numbers.len() - 1]);
}

#[test]
fn a_directory_that_may_not_be_written_keeps_the_file_and_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..3000).map(|number| format!("file{number:05}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    plant(&place.path().join("source"), &files);
    let logs = place.path().join("logs");
    let log = logs.join("daemon.log");
    let invocation = Invocation::of_ordinary_user(place.path());
    let told = Told::start(invocation, place.path(), &log, |config| {
        config
            .replace("max_size_mb = 100", "max_size_mb = 1")
            .replace("log_level = \"info\"", "log_level = \"debug\"")
    });
    told.daemon
        .wait_until(SOON, "a ready daemon", || told.is_ready());
    mode(&logs, 0o500);
    told.run();
    told.wait_for_health("degraded", "cannot rotate log file");
    assert!(told.is_ready(), "records are written");
    assert_eq!((told.lost(), told.said("cannot rotate log file")), (0, 1));
    assert!(fs::metadata(&log).unwrap().len() > 1 << 20);

    mode(&logs, 0o750);
    told.wait_for_health("good", "");
    let archives = || {
        let entries = fs::read_dir(&logs).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".log.xz")).count()
    };
    told.daemon
        .wait_until(SOON, "the archive, without a record", || archives() == 1);
    assert_eq!(told.said("rotates again"), 1);
    assert_eq!(told.lost(), 0);
}

#[test]
fn a_file_that_may_not_be_made_is_made_when_it_may() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let logs = place.path().join("logs");
    let log = logs.join("daemon.log");
    let invocation = Invocation::of_ordinary_user(place.path());
    let told = Told::start(invocation, place.path(), &log, |config| config);
    told.daemon
        .wait_until(SOON, "a ready daemon", || told.is_ready());
    fs::remove_file(&log).unwrap();
    mode(&logs, 0o500);
    told.fails("Permission denied");
    assert_eq!(told.said(CANNOT_WRITE), 1);
    mode(&logs, 0o750);
    told.heals();
    assert!(log.exists());
    assert_eq!(told.said(WRITES_AGAIN), 1);

    // The same with the file itself, which somebody replaced.
    let other = place.path().join("other");
    fs::write(&other, "").unwrap();
    mode(&other, 0o400);
    fs::rename(&other, &log).unwrap();
    told.fails("Permission denied");
    assert_eq!(told.said(CANNOT_WRITE), 2);
    fs::remove_file(&log).unwrap();
    told.heals();
    told.run();
    assert!(!told.end().is_empty());
}

#[test]
fn a_deleted_directory_takes_with_it_only_what_was_in_it() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let port = free_port();
    let daemon = Daemon::start(
        place.path(),
        &with_jobs(port, &job("good", place.path(), OFTEN)),
    );
    let is_run = |record: &Value| record["fields"]["job_id"] == "good";
    daemon.wait_for_record(SOON, "a run", is_run);
    let (logs, gone) = (place.path().join("logs"), place.path().join("gone"));
    fs::rename(&logs, &gone).unwrap();
    let deleted = fs::read_to_string(gone.join("daemon.log")).unwrap();
    fs::remove_dir_all(&gone).unwrap();
    daemon.wait_for_record(SOON, "a run in a new file", is_run);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let numbers: Vec<u64> = daemon
        .log()
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    let first = numbers[0];
    let without_gap: Vec<u64> = (first..).take(numbers.len()).collect();
    assert_eq!(numbers, without_gap);
    // A record may have been written between reading and deleting.
    assert!(first >= deleted.lines().count() as u64, "{first}");
    let permissions = fs::metadata(&logs).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o7777, 0o750);
}

#[test]
fn a_disk_without_room_for_an_archive_keeps_the_plain_one() {
    const DISK: u64 = 4 << 20;
    let (Some(disk), Some(xz)) = (Tmpfs::mount(DISK), tool("xz")) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    // It would become half as large. There is room for a part of that, besides the room that is left to the records.
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::new();
    while text.len() < 1 << 20 {
        let bytes: Vec<String> = (0..8).map(|_| format!("{:016x}", random.u64(..))).collect();
        text.push_str(&bytes.concat());
        text.push('\n');
    }
    let plain = disk.path().join("daemon-2026-01-01.0.log");
    fs::write(&plain, &text).unwrap();
    let ballast = disk.path().join("ballast");
    fs::write(
        &ballast,
        vec![1; (DISK - (1 << 20) - (1200 << 10)) as usize],
    )
    .unwrap();
    let log = disk.path().join("daemon.log");
    let told = Told::start(
        Invocation::new(place.path()),
        place.path(),
        &log,
        |config| config.replace("keep_files = 7", "keep_files = 7\nmin_free_mb = 0"),
    );
    told.wait_for_health("degraded", "cannot tidy the archives");
    assert_eq!(fs::read_to_string(&plain).unwrap(), text);
    let half = disk.path().join("daemon-2026-01-01.0.log.xz.tmp");
    told.daemon
        .wait_until(SOON, "half an archive to be removed", || !half.exists());
    assert!(told.is_ready());
    assert_eq!(told.lost(), 0);

    fs::remove_file(&ballast).unwrap();
    told.wait_for_health("good", "");
    assert!(!plain.exists());
    let mut unpack = Command::new(xz);
    unpack
        .arg("-dc")
        .arg(disk.path().join("daemon-2026-01-01.0.log.xz"));
    assert_eq!(run(unpack, "").expect_success(), text);
    assert_eq!(told.said("cannot tidy the archives"), 1);
    assert!(!told.end().is_empty());
}
