//! Does what a plan says.
//!
//! One thread leads: it walks the plan with the handles of the way open, makes directories, and
//! hands out what is in them to workers. The order is:
//!
//! 1. sweep what a crash left behind;
//! 2. make directories, copy files and links;
//! 3. delete, so that what was renamed in the source is never missing from the destination;
//! 4. copy what had to wait: where a directory was in the way, and, one by one, what did not fit;
//! 5. give directories their mode and time, deepest first, because all of the above changes them.

mod finish; // what comes last
mod job; // a piece of work
mod steps; // doing it

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::copy::BUFFER_BYTES;
use super::dirs::{self, DirStack};
use super::failure::Failure;
use super::metadata::mode_of;
use super::pinned;
use super::plan::{Change, Directory, Plan, Side, Step};
use super::run::Run;
use super::temporary::Temporary;
use super::workers::{self, CloseOnDrop, Jobs};
use crate::error_type::ErrorType;
use job::{Job, Task, split};
use steps::{Shared, StepNumber};

/// Does everything the plan says; what fails is in the tally of the run.
pub(super) fn apply(run: &Run<'_>, plan: &Plan) {
    let Some(destination) = &run.roots.destination else {
        return;
    };
    let (Ok(source), Ok(destination)) = (
        dirs::open_again(&run.roots.source),
        dirs::open_again(destination),
    ) else {
        let message = "cannot open the roots again";
        let failure = Failure::new(ErrorType::DestinationUnavailable, message);
        run.tally.failed(Path::new("."), failure);
        return;
    };
    let shared = Shared::new(run, plan);
    let jobs = Jobs::new(run.handles.waiting_jobs, || shared.name_slow_files());
    let stack = |root| DirStack::new(plan, Arc::new(root), run.handles.way);
    let lead = Lead {
        shared: &shared,
        jobs: &jobs,
        source: stack(source),
        destination: stack(destination),
        states: plan.directories.iter().map(DirState::of).collect(),
    };
    let most = run.options.file_operations.clamp(1, run.handles.workers);
    workers::run(
        "mirror-copy",
        plan.step_count().clamp(1, most),
        || {
            // On the stack: it goes back to the system with the thread, freed memory might not.
            let mut buffer = [0; BUFFER_BYTES];
            jobs.work(shared.worker(&mut buffer));
        },
        || {
            let _close = CloseOnDrop(&jobs);
            lead.run();
        },
    );
}

/// What happened to a directory during the run.
#[derive(Debug, Clone)]
struct DirState {
    /// It could not be made; everything below it fails by itself.
    is_missing: bool,
    /// Its time has to be set again.
    is_touched: bool,
    is_checked: bool,
    /// The mode that it had before it was made writable.
    relaxed_from: Option<u32>,
}

impl DirState {
    fn of(directory: &Directory) -> Self {
        Self {
            is_missing: false,
            is_touched: false,
            is_checked: directory.relaxed_from.is_some(),
            relaxed_from: directory.relaxed_from,
        }
    }
}

/// The thread that leads.
struct Lead<'a> {
    shared: &'a Shared<'a>,
    jobs: &'a Jobs<'a, Job>,
    source: DirStack<'a, Plan>,
    destination: DirStack<'a, Plan>,
    states: Vec<DirState>,
}

impl<'a> Lead<'a> {
    fn run(mut self) {
        let root = self.mark();
        let mark = root.as_ref().and_then(|root| mark_in(root));
        self.sweep();
        self.build();
        self.jobs.wait_until_idle();
        self.remove();
        self.copy_late();
        self.jobs.wait_until_idle();
        self.remove_directories(|side| side == Side::InTheWay);
        drop(mark);
        self.finish_directories();
        self.flush_all();
    }

    /// The root, if there is something to be copied: then it is to be marked, so that after a crash
    /// the next run knows that unfinished files may be anywhere.
    fn mark(&mut self) -> Option<Arc<OwnedFd>> {
        let totals = self.shared.plan.totals();
        if totals.create + totals.update == 0 {
            return None;
        }
        // If it cannot be entered, the steps in it tell so.
        self.enter(0).ok()
    }

    fn should_stop(&self) -> bool {
        self.shared.run.should_stop()
    }

    fn numbers(&self) -> Range<u32> {
        0..self.shared.plan.directories.len() as u32
    }

    fn directory(&self, number: u32) -> &'a Directory {
        &self.shared.plan.directories[number as usize]
    }

    fn steps_in(&self, number: u32) -> &'a [Step] {
        self.shared.plan.steps_in(number)
    }

    fn state(&mut self, number: u32) -> &mut DirState {
        &mut self.states[number as usize]
    }

    fn fail(&self, number: u32, failure: Failure) {
        let path = self.shared.plan.path_of(number);
        self.shared.run.tally.failed(&path, failure);
    }

    /// Removes unfinished files first of all: they take room. The mark in the root, which tells that
    /// they may be anywhere, goes last, since this run may be killed as well.
    fn sweep(&mut self) {
        for number in self.numbers().skip(1) {
            self.sweep_in(number);
        }
        self.jobs.wait_until_idle();
        self.sweep_in(0);
    }

    fn sweep_in(&mut self, number: u32) {
        let steps = 0..self.directory(number).steps.len();
        self.hand_out(number, steps, Task::Sweep);
    }

    /// Makes the directories of the source, and hands out what is to be copied into them.
    fn build(&mut self) {
        for number in self.numbers() {
            if self.should_stop() {
                return;
            }
            let directory = self.directory(number);
            if !directory.is_mirrored() {
                continue;
            }
            if number != 0 && matches!(directory.change, Change::Create | Change::Replace) {
                self.make_directory(number);
            }
            self.hand_out(number, 0..directory.steps.len(), Task::Copy);
            for (index, step) in self.steps_in(number).iter().enumerate() {
                if step.waits_for_deletions {
                    self.shared.postpone((number, index));
                }
            }
        }
    }

    fn make_directory(&mut self, number: u32) {
        match self.try_make_directory(number) {
            Ok(()) => {
                self.shared.done(number, None, 0);
            }
            Err(failure) => {
                self.state(number).is_missing = true;
                self.fail(number, failure);
            }
        }
        self.shared.run.observer.step_done();
    }

    fn try_make_directory(&mut self, number: u32) -> Result<(), Failure> {
        let directory = self.directory(number);
        let parent = self
            .enter(directory.parent)
            .map_err(|errno| Failure::writing("open the directory above", errno))?;
        let name = &*directory.name;
        let preserved = &self.shared.run.preserved;
        let mode = if preserved.permissions {
            // Nobody else looks into it before it has its own mode.
            Mode::RWXU
        } else {
            mode_of(directory.source.mode & 0o777)
        };
        let cannot_create = |errno| Failure::writing("create the directory", errno);
        if directory.change == Change::Replace {
            let made = Temporary::directory(parent.as_fd(), mode).map_err(cannot_create)?;
            made.take_name(name)?;
        } else {
            rustix::fs::mkdirat(&*parent, name, mode).map_err(cannot_create)?;
        }
        if !preserved.permissions {
            // Its final mode may keep even its owner out.
            let opened = pinned::open_up(&*parent, name).map_err(cannot_create)?;
            self.state(number).relaxed_from = opened.relaxed_from;
        }
        Ok(())
    }

    /// Opens a directory of the destination in which something is going to change, and makes it
    /// writable for us if it is not.
    fn enter(&mut self, number: u32) -> rustix::io::Result<Arc<OwnedFd>> {
        let handle = self.destination.open(number)?;
        self.state(number).is_touched = true;
        if self.shared.run.preserved.is_root || self.states[number as usize].is_checked {
            return Ok(handle);
        }
        let mode = dirs::stat_open(&*handle)?.mode;
        let relaxed_from = pinned::relax(&*handle, mode)?;
        let state = self.state(number);
        state.is_checked = true;
        state.relaxed_from = state.relaxed_from.or(relaxed_from);
        Ok(handle)
    }

    /// Hands the steps of one directory that belong to `task` to the workers.
    fn hand_out(&mut self, number: u32, steps: Range<usize>, task: Task) {
        let offset = steps.start;
        let all = &self.steps_in(number)[steps];
        if !all.iter().any(|step| task.includes(step)) {
            return;
        }
        let destination = match self.enter(number) {
            Ok(handle) => handle,
            Err(errno) => {
                let failure = Failure::writing("open the directory in the destination", errno);
                self.shared.fail_steps(number, all, task, &failure);
                return;
            }
        };
        let source = match task {
            Task::Sweep | Task::Remove => None,
            Task::Copy | Task::CopyLate => match self.source.open(number) {
                Ok(handle) => Some(handle),
                Err(errno) => {
                    self.shared.lose_steps(number, all, task, errno);
                    return;
                }
            },
        };
        for steps in split(all, task, self.shared.run.options.durability) {
            self.jobs.push(Job {
                directory: number,
                steps: steps.start + offset..steps.end + offset,
                task,
                source: source.clone(),
                destination: Arc::clone(&destination),
            });
        }
    }

    /// Deletes what the source does not have.
    fn remove(&mut self) {
        for number in self.numbers() {
            if self.should_stop() {
                return;
            }
            let steps = 0..self.directory(number).steps.len();
            self.hand_out(number, steps, Task::Remove);
        }
        self.jobs.wait_until_idle();
        self.remove_directories(|side| side == Side::Extra);
    }

    /// Deletes the emptied directories that are on this side, children before their parents.
    fn remove_directories(&mut self, is_meant: impl Fn(Side) -> bool) {
        for number in self.numbers().rev() {
            if self.should_stop() {
                return;
            }
            let directory = self.directory(number);
            if is_meant(directory.side) && directory.change == Change::Delete {
                self.remove_directory(number);
            }
        }
        // The names of deleted directories may soon stand for others.
        self.destination.forget();
    }

    fn remove_directory(&mut self, number: u32) {
        let directory = self.directory(number);
        let removed = self.enter(directory.parent).and_then(|parent| {
            rustix::fs::unlinkat(&*parent, &*directory.name, AtFlags::REMOVEDIR)
        });
        match removed {
            Ok(()) => self.gone(number),
            // A file has taken its name.
            Err(Errno::NOTDIR) if directory.side == Side::InTheWay => self.gone(number),
            Err(Errno::NOENT) => self.state(number).is_missing = true,
            Err(errno) => self.fail(number, Failure::writing("delete the directory", errno)),
        }
        self.shared.run.observer.step_done();
    }

    fn gone(&mut self, number: u32) {
        self.state(number).is_missing = true;
        self.shared.done(number, None, 0);
    }

    /// Copies what had to wait for the deletions: at once what a directory was in the way of, then
    /// one by one what had no room.
    fn copy_late(&mut self) {
        let late: Vec<StepNumber> = self.shared.take_late();
        let (mut at_once, mut alone) = (Vec::new(), Vec::new());
        for (number, step) in late {
            let list = match self.steps_in(number)[step].waits_for_deletions {
                true => &mut at_once,
                false => &mut alone,
            };
            list.push((number, step));
        }
        for (number, step) in at_once {
            if self.should_stop() {
                return;
            }
            self.hand_out(number, step..step + 1, Task::CopyLate);
        }
        for (number, step) in alone {
            self.jobs.wait_until_idle();
            if self.should_stop() {
                return;
            }
            self.hand_out(number, step..step + 1, Task::CopyLate);
        }
    }
}

/// Leaves a mark in the root of the destination for as long as there are unfinished files anywhere.
fn mark_in(root: &OwnedFd) -> Option<Temporary<'_>> {
    // Without room for it there is none for the files either, and these tell so.
    let mark = Temporary::file(root.as_fd(), Mode::RUSR | Mode::WUSR);
    mark.ok().map(|(mark, _)| mark)
}
