//! What is left when a mirror run is killed, and in which order things reach the disk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use telemetry_tests::{Process, Signal, assert_same_tree, rounds, run, tool};

use super::wild::{self, Snapshot};

/// Runs of one round that are killed before one may finish.
const KILLED_IN_A_ROW: u32 = 2;

fn sync(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-daemon-under-test"));
    command
        .args(["sync", "source", "copy", "--quiet"])
        .current_dir(place);
    command
}

fn thorough(place: &Path) -> Command {
    let mut command = sync(place);
    command.args(["--delete", "--max-delete", "0"]);
    command
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_every_file_old_or_new() {
    let place = tempfile::tempdir().unwrap();
    let (source, copy) = (place.path().join("source"), place.path().join("copy"));
    std::fs::create_dir(&source).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    wild::grow(&mut random, &source, 4, wild::READABLE);
    let begun = Instant::now();
    run(thorough(place.path()), "").expect_success();
    let whole_run = begun.elapsed();

    let mut cut_short = 0;
    for round in 0..rounds(8, 400) {
        wild::mutate(&mut random, &source);
        let (old, new) = (wild::snapshot(&copy), wild::snapshot(&source));
        for _ in 0..KILLED_IN_A_ROW {
            let process = Process::start(thorough(place.path()));
            // No condition to wait for: any moment will do, and each round takes another.
            std::thread::sleep(whole_run.mul_f64(random.f64()));
            cut_short += u32::from(process.exit_status().is_none());
            process.kill();
            assert_old_or_new(round, &old, &new, &wild::snapshot(&copy));
        }
        if round % 2 == 0 {
            run(sync(place.path()), "");
            let left = wild::snapshot(&copy);
            let litter = wild::litter(&left);
            assert_eq!(
                litter,
                Vec::<&Path>::new(),
                "round {round}: without --delete too"
            );
        }
        run(thorough(place.path()), "").expect_success();
        assert_same_tree(&source, &copy);
    }
    assert!(cut_short > 0, "every run was over before it was killed");
}

fn assert_old_or_new(round: u32, old: &Snapshot, new: &Snapshot, found: &Snapshot) {
    for (path, entry) in found.iter().filter(|(path, _)| !wild::is_unfinished(path)) {
        let is_one_of = |tree: &Snapshot| {
            tree.get(path)
                .is_some_and(|other| other == entry || (other.is_directory && entry.is_directory))
        };
        assert!(
            is_one_of(old) || is_one_of(new),
            "round {round}: {path:?} is neither the old nor the new one"
        );
    }
    for path in old.keys().filter(|path| new.contains_key(*path)) {
        // Below a name that has become another kind there may be nothing yet.
        assert!(found.contains_key(path), "round {round}: {path:?} is lost");
    }
}

/// What changes the content, the attributes or the names of files, and what flushes them.
const TRACED_CALLS: &str = "trace=write,pwrite64,copy_file_range,ftruncate,fchmod,utimensat,\
    rename,renameat,renameat2,mkdirat,unlinkat,fsync,fdatasync,syncfs";

/// One system call in a trace. Calls of several threads overlap.
#[derive(Debug)]
struct Call {
    begun: usize,
    ended: usize,
    name: String,
    text: String,
}

/// Reads what `strace -f` wrote: lines of `PID name(arguments) = result`, some of them in two parts.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished = std::collections::HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(start) = text.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, (number, start.to_owned()));
            continue;
        }
        let (begun, text) = match text.split_once(" resumed>") {
            Some((_, rest)) => match unfinished.remove(pid) {
                Some((begun, start)) => (begun, start + rest),
                None => continue,
            },
            None => (number, text.to_owned()),
        };
        let Some((name, _)) = text.split_once('(') else {
            continue;
        };
        if text.contains(") = -1 ") {
            continue;
        }
        calls.push(Call {
            begun,
            ended: number,
            name: name.to_owned(),
            text,
        });
    }
    calls
}

/// Runs a mirror under strace and returns its successful calls.
fn traced(durability: &str) -> Option<Vec<Call>> {
    let strace = tool("strace")?;
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    let mut random = fastrand::Rng::with_seed(7);
    std::fs::create_dir_all(source.join("dir")).unwrap();
    wild::grow(&mut random, &source.join("dir"), 3, wild::READABLE);
    std::fs::create_dir_all(place.path().join("copy/extra")).unwrap();
    let trace = place.path().join("trace");
    let mut command = Command::new(strace);
    command
        .args(["-f", "-y", "-s", "300", "-o"])
        .arg(&trace)
        .args(["-e", TRACED_CALLS])
        .arg(env!("CARGO_BIN_EXE_sync-daemon-under-test"))
        .args([
            "sync",
            "source",
            "copy",
            "--quiet",
            "--delete",
            "--max-delete",
            "0",
        ])
        .args(["--durability", durability])
        .current_dir(place.path());
    run(command, "").expect_success();
    let trace = std::fs::read_to_string(&trace).unwrap();
    let calls = calls(&trace);
    assert!(!calls.is_empty(), "{trace}");
    Some(calls)
}

/// The first string among the arguments: the old name of a rename.
fn first_name(call: &Call) -> &str {
    call.text.split('"').nth(1).unwrap_or_default()
}

/// The path of the first handle among the arguments, which `-y` shows as `5</path>`.
fn first_handle(call: &Call) -> &str {
    let after = call.text.split_once('<').map_or("", |(_, rest)| rest);
    after.split_once('>').map_or("", |(path, _)| path)
}

fn is_rename_of_a_file(call: &&Call) -> bool {
    call.name.starts_with("rename") && first_name(call).starts_with(".sync-daemon.tmp.")
}

/// The last call that changed the content or the attributes of an unfinished file.
fn last_change<'c>(calls: &'c [Call], unfinished: &str) -> Option<&'c Call> {
    let is_change = |call: &&Call| {
        let target = if call.name == "copy_file_range" {
            // Its second handle is the one that is written.
            call.text.split_once(", ").map_or("", |(_, rest)| rest)
        } else {
            &call.text
        };
        let flushes = call.name.contains("sync") || call.name.starts_with("rename");
        !flushes && target.contains(unfinished)
    };
    calls.iter().rfind(is_change)
}

#[test]
fn with_durability_file_each_file_is_on_the_disk_before_it_takes_its_name() {
    let Some(calls) = traced("file") else { return };
    let mut files = 0;
    for rename in calls.iter().filter(is_rename_of_a_file) {
        let unfinished = first_name(rename);
        let Some(change) = last_change(&calls, unfinished) else {
            continue; // A link has no content to flush.
        };
        let Some(flush) = calls
            .iter()
            .find(|call| call.name == "fsync" && first_handle(call).ends_with(unfinished))
        else {
            panic!("{rename:?}: never flushed");
        };
        assert!(change.ended < flush.begun, "{change:?} after {flush:?}");
        assert!(flush.ended < rename.begun, "{flush:?} after {rename:?}");
        files += 1;
    }
    assert!(files > 10, "{files} files are no test");

    for change in calls.iter().filter(|call| {
        call.name.starts_with("rename") || call.name == "mkdirat" || call.name == "unlinkat"
    }) {
        let directory = first_handle(change);
        let is_flush = |call: &Call| call.name == "fsync" && first_handle(call) == directory;
        let flush = calls.iter().rfind(|call| is_flush(call));
        let is_later = flush.is_some_and(|flush| change.ended < flush.begun);
        assert!(is_later, "{change:?}: its directory is not flushed");
    }
}

#[test]
fn with_durability_batch_the_file_system_is_flushed_before_the_names_are_taken_and_at_the_end() {
    let Some(calls) = traced("batch") else { return };
    let flushes: Vec<_> = calls.iter().filter(|call| call.name == "syncfs").collect();
    let mut last_rename = 0;
    let mut files = 0;
    for rename in calls.iter().filter(is_rename_of_a_file) {
        last_rename = last_rename.max(rename.ended);
        let Some(change) = last_change(&calls, first_name(rename)) else {
            continue;
        };
        let is_between = |flush: &&&Call| change.ended < flush.begun && flush.ended < rename.begun;
        assert!(flushes.iter().any(|flush| is_between(&flush)), "{rename:?}");
        files += 1;
    }
    assert!(files > 10, "{files} files are no test");
    assert!(flushes.iter().any(|flush| last_rename < flush.begun));
    assert!(
        flushes.len() < files,
        "batches, not one flush for each file"
    );
    assert!(!calls.iter().any(|call| call.name == "fsync"));
}

#[test]
fn a_stopped_run_ends_within_a_second_and_leaves_no_litter() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let block = vec![7; 1 << 20];
    for number in 0..64 {
        std::fs::write(source.join(number.to_string()), &block).unwrap();
    }
    let process = Process::start(thorough(place.path()));
    let copy = place.path().join("copy");
    process.wait_until(super::SOON, "the first unfinished file", || {
        let names = std::fs::read_dir(&copy).into_iter().flatten().flatten();
        names
            .into_iter()
            .any(|entry| wild::is_unfinished(Path::new(&entry.file_name())))
    });
    let asked = Instant::now();
    process.signal(Signal::TERM);
    process.wait_exit(super::SOON);
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(wild::litter(&wild::snapshot(&copy)), Vec::<&Path>::new());
}
