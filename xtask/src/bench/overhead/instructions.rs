//! Instructions of a run and of a scrape, counted by callgrind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, TempDir, cmd};

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
    runs: [f64; Contestant::ALL.len()],
    scrape: f64,
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
            runs: [0.0; Contestant::ALL.len()],
            scrape: 0.0,
        };
        for contestant in Contestant::ALL {
            say(&format!("counting instructions: {}", contestant.name()));
            let mut counter = Counter::start(shell, program, place, contestant)?;
            for _ in 0..RUNS {
                place.change()?;
                counter.subject.trigger()?;
            }
            counted.runs[contestant as usize] = counter.read()? / f64::from(RUNS);
            if contestant == Contestant::On {
                let address = counter.subject.metrics_address()?.context("no endpoint")?;
                counter.read()?;
                for _ in 0..SCRAPES {
                    scrape(&address)?;
                }
                counted.scrape = counter.read()? / f64::from(SCRAPES);
            }
        }
        Ok(Some(counted))
    }

    pub(super) fn of_run(&self, contestant: Contestant) -> f64 {
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

    fn read(&mut self) -> Result<f64> {
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
        let counted = instructions_in(&profile);
        ensure!(counted > 0.0, "valgrind has counted nothing");
        Ok(counted)
    }
}
