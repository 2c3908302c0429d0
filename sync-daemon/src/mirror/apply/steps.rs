//! What workers do with the steps of a plan.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::AtFlags;
use rustix::io::{self, Errno};

use super::job::{Job, Task};
use crate::error_type::ErrorType;
use crate::mirror::compare::{Difference, Pair};
use crate::mirror::copy::{Copier, NotCopied, Place, Prepared};
use crate::mirror::dirs;
use crate::mirror::failure::Failure;
use crate::mirror::metadata::{Kind, Metadata};
use crate::mirror::options::Durability;
use crate::mirror::pinned::Pinned;
use crate::mirror::plan::{Action, Plan, Step};
use crate::mirror::run::Run;
use crate::mirror::slow::{self, InWork};
use crate::mirror::tally::Operation;

/// A step by the number of its directory and its place there.
pub(super) type StepNumber = (u32, usize);

/// What the thread that leads and the workers share.
pub(super) struct Shared<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) plan: &'a Plan,
    late: Mutex<Vec<StepNumber>>,
    in_work: InWork<StepNumber>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(run: &'a Run<'a>, plan: &'a Plan) -> Self {
        Self {
            run,
            plan,
            late: Mutex::default(),
            in_work: InWork::default(),
        }
    }

    /// Notes a copy that has to wait for the deletions.
    pub(super) fn postpone(&self, step: StepNumber) {
        self.lock_late().push(step);
    }

    /// The copies that had to wait.
    pub(super) fn take_late(&self) -> Vec<StepNumber> {
        std::mem::take(&mut *self.lock_late())
    }

    /// Tells which files hold the run up.
    pub(super) fn name_slow_files(&self) {
        let now = Instant::now();
        for task in self.in_work.slow_ones(now) {
            let (directory, step) = task.subject();
            let step = &self.plan.steps_in(directory)[step];
            task.warn(&self.path(directory, step), now);
        }
    }

    /// A worker of its own for one thread, which lends it a buffer.
    pub(super) fn worker(&self, buffer: &mut [u8]) -> impl FnMut(Job) {
        let mut copier = Copier::new(self.run, buffer);
        let desk = self.in_work.desk();
        move |job| match &job.source {
            Some(source) => self.copy_all(&job, source, &mut copier, &desk),
            None => self.remove_all(&job),
        }
    }

    fn lock_late(&self) -> MutexGuard<'_, Vec<StepNumber>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_all(&self, job: &Job) {
        for (_, step) in self.steps_of(job) {
            if self.run.should_stop() {
                return;
            }
            let name = self.plan.name_of(step);
            let removed = match step.action {
                Action::Sweep => sweep(&job.destination, name),
                _ => rustix::fs::unlinkat(&job.destination, name, AtFlags::empty()),
            };
            match removed {
                Ok(()) => self.done(job.directory, Some(step), 0),
                // Somebody else was faster.
                Err(Errno::NOENT) => {}
                Err(errno) => self.fail(job.directory, step, Failure::writing("delete it", errno)),
            }
            self.run.observer.step_done();
        }
    }

    fn copy_all(
        &self,
        job: &Job,
        source: &OwnedFd,
        copier: &mut Copier<'_, '_>,
        desk: &slow::Desk<StepNumber>,
    ) {
        let mut batch = Vec::new();
        for (index, step) in self.steps_of(job) {
            if self.run.should_stop() {
                return;
            }
            let place = Place {
                source: source.as_fd(),
                destination: job.destination.as_fd(),
                name: self.plan.name_of(step),
            };
            slow::begin(desk, (job.directory, index), step.bytes);
            let outcome = self.carry_out(copier, place, step.action);
            slow::end(desk, || self.path(job.directory, step));
            match outcome {
                Ok(Some(prepared)) if self.run.options.durability == Durability::Batch => {
                    batch.push((step, prepared));
                    continue;
                }
                Ok(Some(prepared)) => self.publish(job.directory, step, prepared),
                Ok(None) => self.done(job.directory, Some(step), 0),
                Err(NotCopied::Vanished) => {
                    self.run.tally.vanished(&self.path(job.directory, step));
                }
                Err(NotCopied::Cancelled) => return,
                Err(NotCopied::Failed(failure)) => {
                    if may_fit_later(job.task, &failure) {
                        self.postpone((job.directory, index));
                        continue;
                    }
                    self.fail(job.directory, step, failure);
                }
            }
            self.run.observer.step_done();
        }
        self.publish_batch(job, batch);
    }

    /// Flushes what was prepared, and only then lets it take its names.
    fn publish_batch(&self, job: &Job, batch: Vec<(&Step, Prepared<'_>)>) {
        if batch.is_empty() {
            return;
        }
        let flushed = rustix::fs::syncfs(&*job.destination);
        for (step, prepared) in batch {
            match flushed {
                Ok(()) => self.publish(job.directory, step, prepared),
                Err(errno) => {
                    let failure = Failure::writing("flush the file system", errno);
                    self.fail(job.directory, step, failure);
                }
            }
            self.run.observer.step_done();
        }
    }

    fn publish(&self, directory: u32, step: &Step, prepared: Prepared<'_>) {
        let (bytes, is_torn) = (prepared.bytes, prepared.is_torn);
        if let Err(failure) = prepared.publish(self.plan.name_of(step)) {
            self.fail(directory, step, failure);
            return;
        }
        self.run.tally.add_bytes(bytes);
        if is_torn {
            let message = "it kept changing while it was copied; the next run repeats it";
            let failure = Failure::new(ErrorType::Changed, message);
            self.fail(directory, step, failure);
        } else {
            self.done(directory, Some(step), bytes);
        }
    }

    /// Prepares a copy, or changes attributes in place (`None`).
    fn carry_out<'d>(
        &self,
        copier: &mut Copier<'_, '_>,
        place: Place<'d>,
        action: Action,
    ) -> Result<Option<Prepared<'d>>, NotCopied> {
        match action {
            Action::CreateFile | Action::UpdateFile => copier.prepare_file(place).map(Some),
            Action::CreateLink | Action::UpdateLink => copier.prepare_link(place).map(Some),
            Action::FileAttributes | Action::LinkAttributes => {
                self.change_attributes(copier, place)
            }
            Action::Delete | Action::Sweep => Ok(None),
        }
    }

    /// Looks again before it changes attributes: if the content changed since the scan, giving the
    /// old content the new time would hide that for ever.
    fn change_attributes<'d>(
        &self,
        copier: &mut Copier<'_, '_>,
        place: Place<'d>,
    ) -> Result<Option<Prepared<'d>>, NotCopied> {
        let source = match dirs::stat(place.source, place.name) {
            Ok(metadata) => metadata,
            Err(Errno::NOENT) => return Err(NotCopied::Vanished),
            Err(errno) => return Err(Failure::reading("look at it in the source", errno).into()),
        };
        if let Ok(pinned) = Pinned::open(place.destination, place.name) {
            match self.compare(place, &source, pinned.metadata()) {
                Difference::None => return Ok(None),
                Difference::Attributes => {
                    copier.set_attributes(&pinned, &source)?;
                    return Ok(None);
                }
                Difference::Content => {}
            }
        }
        if source.kind == Kind::Symlink {
            copier.prepare_link(place).map(Some)
        } else {
            // Whatever else it has become, the copier tells.
            copier.prepare_file(place).map(Some)
        }
    }

    fn compare(&self, place: Place<'_>, source: &Metadata, destination: &Metadata) -> Difference {
        let pair = Pair {
            source_directory: place.source,
            destination_directory: place.destination,
            name: place.name,
            source,
            destination,
        };
        let run = self.run;
        match source.kind {
            Kind::File => pair.compare_files(run.options.comparison, &run.preserved, run.cancel),
            Kind::Symlink => pair.compare_links(&run.preserved),
            Kind::Directory | Kind::Special => Difference::Content,
        }
    }

    /// The steps of a job with their places in the directory.
    fn steps_of<'s>(&'s self, job: &'s Job) -> impl Iterator<Item = (usize, &'s Step)> {
        let steps = self.plan.steps_in(job.directory);
        let range = job.steps.clone();
        range
            .map(move |index| (index, &steps[index]))
            .filter(|(_, step)| job.task.includes(step))
    }

    fn path(&self, directory: u32, step: &Step) -> PathBuf {
        self.plan.path_of(directory).join(self.plan.name_of(step))
    }

    /// Counts a step, or the change of the directory itself.
    pub(super) fn done(&self, directory: u32, step: Option<&Step>, bytes: u64) {
        let operation: Option<Operation> = match step {
            Some(step) => step.action.operation(),
            None => self.plan.directories[directory as usize].operation(),
        };
        if let Some(operation) = operation {
            let path = || match step {
                Some(step) => self.path(directory, step),
                None => self.plan.path_of(directory),
            };
            self.run.tally.done(operation, bytes, path);
        }
    }

    fn fail(&self, directory: u32, step: &Step, failure: Failure) {
        self.run.tally.failed(&self.path(directory, step), failure);
    }

    pub(super) fn fail_steps(&self, directory: u32, steps: &[Step], task: Task, failure: &Failure) {
        for step in steps.iter().filter(|step| task.includes(step)) {
            self.fail(directory, step, failure.clone());
            self.run.observer.step_done();
        }
    }

    /// The directory of the source cannot be opened any more.
    pub(super) fn lose_steps(&self, directory: u32, steps: &[Step], task: Task, errno: Errno) {
        if errno != Errno::NOENT {
            let failure = Failure::reading("open the directory in the source", errno);
            self.fail_steps(directory, steps, task, &failure);
            return;
        }
        for step in steps.iter().filter(|step| task.includes(step)) {
            self.run.tally.vanished(&self.path(directory, step));
            self.run.observer.step_done();
        }
    }
}

/// Whether there could be room later: deletions are to come, and copies that are made at once take
/// each other's room.
fn may_fit_later(task: Task, failure: &Failure) -> bool {
    failure.error_type == ErrorType::NoSpace && task == Task::Copy
}

/// Removes what an earlier run left unfinished, which may be an empty directory.
fn sweep(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let remove = |flags| rustix::fs::unlinkat(directory, name, flags);
    match remove(AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => match remove(AtFlags::REMOVEDIR) {
            // Somebody uses it.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            removed => removed,
        },
        removed => removed,
    }
}
