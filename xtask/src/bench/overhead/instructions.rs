//! Instructions of a run and of a scrape, counted by callgrind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, TempDir, cmd};

use super::calls::of_telemetry;
use super::contestant::Contestant;
use super::place::Place;
use super::scrape::scrape;
use super::subject::Subject;
use crate::bench::logging::instructions_in;
use crate::step::say;

/// Runs that are counted, after one that makes the first copy, and scrapes.
const RUNS: u32 = 20;
const SCRAPES: u32 = 10;

/// What was counted, without the kernel.
pub(super) struct Instructions {
    /// Of a run, by [`Contestant`].
    runs: [Reading; Contestant::ALL.len()],
    scrape: f64,
}

/// Instructions of a stretch of time.
#[derive(Clone, Copy, Default)]
pub(super) struct Reading {
    pub(super) all: f64,
    /// Those of telemetry, on every thread.
    pub(super) telemetry: f64,
}

impl Reading {
    fn each(self, count: u32) -> Self {
        Self {
            all: self.all / f64::from(count),
            telemetry: self.telemetry / f64::from(count),
        }
    }
}

impl Instructions {
    /// `None`, after saying so, without valgrind.
    pub(super) fn count(shell: &Shell, program: &Path, place: &mut Place) -> Result<Option<Self>> {
        if cmd!(shell, "callgrind_control --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_err()
        {
            say("valgrind is missing: instructions are not counted");
            return Ok(None);
        }
        let mut counted = Self {
            runs: Default::default(),
            scrape: 0.0,
        };
        for contestant in Contestant::ALL {
            say(&format!("counting instructions: {}", contestant.name()));
            let mut counter = Counter::start(shell, program, place, contestant)?;
            for _ in 0..RUNS {
                place.change()?;
                counter.subject.trigger()?;
            }
            counted.runs[contestant as usize] = counter.read()?.each(RUNS);
            if contestant == Contestant::On {
                let address = counter.subject.metrics_address()?.context("no endpoint")?;
                counter.read()?;
                for _ in 0..SCRAPES {
                    scrape(&address)?;
                }
                counted.scrape = counter.read()?.each(SCRAPES).all;
            }
        }
        Ok(Some(counted))
    }

    pub(super) fn of_run(&self, contestant: Contestant) -> Reading {
        self.runs[contestant as usize]
    }

    pub(super) fn of_scrape(&self) -> f64 {
        self.scrape
    }
}

/// A daemon under callgrind, whose instructions are counted from the last reading on.
struct Counter<'a> {
    shell: &'a Shell,
    subject: Subject,
    directory: TempDir,
    readings: u32,
}

impl<'a> Counter<'a> {
    /// Counts from the end of the first copy.
    fn start(
        shell: &'a Shell,
        program: &Path,
        place: &Place,
        contestant: Contestant,
    ) -> Result<Self> {
        let directory = shell.create_temp_dir()?;
        let under = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            // Without it, a thread that computes may keep the others waiting for long.
            "--fair-sched=yes".to_owned(),
            format!("--callgrind-out-file={}/out", directory.path().display()),
        ];
        let mut counter = Self {
            shell,
            subject: Subject::start(program, place, contestant, &under)?,
            directory,
            readings: 0,
        };
        counter.read()?;
        Ok(counter)
    }

    fn read(&mut self) -> Result<Reading> {
        self.readings += 1;
        let process = self.subject.id().to_string();
        cmd!(self.shell, "callgrind_control --dump {process}")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .context("callgrind does not answer")?;
        let out = self.directory.path().join(format!("out.{}", self.readings));
        let profile = fs::read_to_string(&out).with_context(|| format!("{}", out.display()))?;
        let all = instructions_in(&profile);
        ensure!(all > 0.0, "valgrind has counted nothing");
        Ok(Reading {
            all,
            telemetry: of_telemetry(&profile),
        })
    }
}
