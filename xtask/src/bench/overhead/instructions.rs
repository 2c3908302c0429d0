//! Instructions of a run and of a scrape, counted by callgrind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::contestant::Contestant;
use super::place::Place;
use super::scrape::scrape;
use super::subject::Subject;
use crate::bench::logging::instructions_in;
use crate::step::say;

/// Runs and scrapes of two countings: the difference leaves out what begins and ends a daemon.
const FEW: u32 = 2;
const MANY: u32 = 12;

/// What was counted, without the kernel.
pub(super) struct Instructions {
    /// By [`Contestant`].
    runs: [f64; Contestant::ALL.len()],
    scrape: f64,
}

impl Instructions {
    /// `None`, after saying so, without valgrind.
    pub(super) fn count(shell: &Shell, program: &Path, place: &mut Place) -> Result<Option<Self>> {
        if cmd!(shell, "valgrind --version").quiet().read().is_err() {
            say("valgrind is missing: instructions are not counted");
            return Ok(None);
        }
        let mut counting = Counting {
            shell,
            program,
            place,
        };
        let mut counted = Self {
            runs: [0.0; Contestant::ALL.len()],
            scrape: 0.0,
        };
        for contestant in Contestant::ALL {
            say(&format!("counting instructions: {}", contestant.name()));
            let few = counting.total(contestant, FEW, 0)?;
            let many = counting.total(contestant, MANY, 0)?;
            counted.runs[contestant as usize] = (many - few) / f64::from(MANY - FEW);
            if contestant == Contestant::On {
                let with_scrapes = counting.total(contestant, FEW, MANY)?;
                counted.scrape = (with_scrapes - few) / f64::from(MANY);
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

struct Counting<'a> {
    shell: &'a Shell,
    program: &'a Path,
    place: &'a mut Place,
}

impl Counting<'_> {
    /// All instructions of a daemon that does so much.
    fn total(&mut self, contestant: Contestant, runs: u32, scrapes: u32) -> Result<f64> {
        let directory = self.shell.create_temp_dir()?;
        let out = directory.path().join("callgrind");
        let under = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            // Without it, a thread that computes may keep the others waiting for long.
            "--fair-sched=yes".to_owned(),
            format!("--callgrind-out-file={}", out.display()),
        ];
        let subject = Subject::start(self.program, self.place, contestant, &under)?;
        for _ in 0..runs {
            self.place.change()?;
            subject.trigger()?;
        }
        if scrapes > 0 {
            let address = subject.metrics_address()?.context("no endpoint")?;
            for _ in 0..scrapes {
                scrape(&address)?;
            }
        }
        subject.stop()?;
        let counted = instructions_in(&fs::read_to_string(out)?);
        ensure!(counted > 0.0, "valgrind has counted nothing");
        Ok(counted)
    }
}
