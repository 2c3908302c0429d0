//! Does what a plan says.
//!
//! One thread leads: it walks the plan with the handles of the way open, makes directories, and
//! hands out what is in them to workers. The order is:
//!
//! 1. sweep what a crash left behind, and remove directories where a file is to be;
//! 2. make directories, copy files and links;
//! 3. delete, so that what was renamed in the source is never missing from the destination;
//! 4. copy again what did not fit before the deletions made room;
//! 5. give directories their mode and time, deepest first, because all of the above changes them.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, Uid};
use rustix::io::Errno;

use super::compare::{Difference, Pair};
use super::copy::{Copier, NotCopied, Place, Prepared};
use super::dirs::{self, DirStack};
use super::failure::Failure;
use super::metadata::{Kind, Metadata, mode_of};
use super::options::Durability;
use super::plan::{Action, Change, Directory, Plan, Side, Step};
use super::run::Run;
use super::tally::Operation;
use super::workers::{self, CloseOnDrop, Jobs};
use crate::error_type::ErrorType;

/// A directory that its owner may list, change and enter.
const OWNER_ALL: u32 = 0o700;
const QUEUED_JOBS: usize = 64;

/// How much one job takes: so much that workers seldom meet in one directory, where they would wait
/// for each other, and so little that a few large files are still spread over them.
#[derive(Debug, Clone, Copy)]
struct JobSize {
    steps: usize,
    bytes: u64,
}

const JOB_SIZE: JobSize = JobSize {
    steps: 128,
    bytes: 8 * 1024 * 1024,
};
/// With [`Durability::Batch`] each job is a batch, and flushing is dear.
const BATCH_SIZE: JobSize = JobSize {
    steps: 1024,
    bytes: 256 * 1024 * 1024,
};

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
    let shared = Shared {
        run,
        plan,
        jobs: Jobs::new(QUEUED_JOBS),
        postponed: Mutex::default(),
    };
    let lead = Lead {
        shared: &shared,
        source: DirStack::new(plan, Arc::new(source)),
        destination: DirStack::new(plan, Arc::new(destination)),
        states: vec![DirState::default(); plan.directories.len()],
    };
    workers::run(
        "mirror-copy",
        run.options.file_operations,
        || shared.work(),
        || {
            let _close = CloseOnDrop(&shared.jobs);
            lead.run();
        },
    );
}

/// What the thread that leads and the workers share.
struct Shared<'a> {
    run: &'a Run<'a>,
    plan: &'a Plan,
    jobs: Jobs<Job>,
    /// Copies that did not fit, to be tried again after the deletions.
    postponed: Mutex<Vec<(u32, usize)>>,
}

/// Some steps in one directory.
struct Job {
    directory: u32,
    steps: Range<usize>,
    task: Task,
    /// Only for copies.
    source: Option<Arc<OwnedFd>>,
    destination: Arc<OwnedFd>,
}

/// Which of the steps are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Sweep,
    Copy { may_postpone: bool },
    Remove,
}

impl Task {
    fn includes(self, step: &Step) -> bool {
        match step.action {
            Action::Sweep => self == Self::Sweep,
            Action::Delete => self == Self::Remove,
            _ => matches!(self, Self::Copy { .. }),
        }
    }
}

/// What happened to a directory during the run.
#[derive(Debug, Clone, Default)]
struct DirState {
    /// It could not be made; everything below it fails by itself.
    is_missing: bool,
    /// Its time has to be set again.
    is_touched: bool,
    is_checked: bool,
    /// The mode that it had before it was made writable.
    relaxed_from: Option<u32>,
}

/// The thread that leads.
struct Lead<'a> {
    shared: &'a Shared<'a>,
    source: DirStack<'a, Plan>,
    destination: DirStack<'a, Plan>,
    states: Vec<DirState>,
}

impl<'a> Lead<'a> {
    fn run(mut self) {
        self.sweep();
        self.remove(|side| side == Side::DestinationOnly { in_the_way: true });
        self.build();
        self.shared.jobs.wait_until_idle();
        self.remove(|side| side != Side::DestinationOnly { in_the_way: true });
        self.copy_postponed();
        self.shared.jobs.wait_until_idle();
        self.finish_directories();
        self.flush_all();
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

    fn state(&mut self, number: u32) -> &mut DirState {
        &mut self.states[number as usize]
    }

    fn fail(&self, number: u32, failure: Failure) {
        let path = self.shared.plan.path_of(number);
        self.shared.run.tally.failed(&path, failure);
    }

    /// Removes unfinished files first of all: they take room.
    fn sweep(&mut self) {
        for number in self.numbers() {
            let directory = self.directory(number);
            self.hand_out(number, 0..directory.steps.len(), Task::Sweep);
        }
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
            let task = Task::Copy { may_postpone: true };
            self.hand_out(number, 0..directory.steps.len(), task);
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
        if directory.change == Change::Replace {
            match rustix::fs::unlinkat(&*parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Failure::writing("remove what is in its place", errno)),
            }
        }
        let mode = if self.shared.run.preserved.permissions {
            // Nobody else looks into it before it has its own mode.
            Mode::RWXU
        } else {
            mode_of(directory.source.mode & 0o777)
        };
        self.state(directory.parent).is_touched = true;
        rustix::fs::mkdirat(&*parent, name, mode)
            .map_err(|errno| Failure::writing("create the directory", errno))
    }

    /// Opens a directory of the destination in which something is going to change, and makes it
    /// writable for us if it is not.
    fn enter(&mut self, number: u32) -> rustix::io::Result<Arc<OwnedFd>> {
        let handle = self.destination.open(number)?;
        self.state(number).is_touched = true;
        if self.shared.run.preserved.is_root || self.states[number as usize].is_checked {
            return Ok(handle);
        }
        self.state(number).is_checked = true;
        let mode = dirs::stat_open(&*handle)?.mode;
        if mode & OWNER_ALL != OWNER_ALL {
            rustix::fs::fchmod(&*handle, mode_of(mode | OWNER_ALL))?;
            self.state(number).relaxed_from = Some(mode);
        }
        Ok(handle)
    }

    /// Hands the steps of one directory that belong to `task` to the workers.
    fn hand_out(&mut self, number: u32, steps: Range<usize>, task: Task) {
        let directory = self.directory(number);
        let offset = steps.start;
        let all = &directory.steps[steps];
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
            Task::Copy { .. } => match self.source.open(number) {
                Ok(handle) => Some(handle),
                Err(errno) => {
                    self.shared.lose_steps(number, all, task, errno);
                    return;
                }
            },
        };
        let size = match self.shared.run.options.durability {
            Durability::Batch => BATCH_SIZE,
            Durability::None | Durability::File => JOB_SIZE,
        };
        for steps in split(all, task, size) {
            self.shared.jobs.push(Job {
                directory: number,
                steps: steps.start + offset..steps.end + offset,
                task,
                source: source.clone(),
                destination: Arc::clone(&destination),
            });
        }
    }

    /// Deletes in all directories that `is_meant` chooses, and then these directories themselves.
    fn remove(&mut self, is_meant: impl Fn(Side) -> bool) {
        for number in self.numbers() {
            if self.should_stop() {
                return;
            }
            let directory = self.directory(number);
            if is_meant(directory.side) {
                self.hand_out(number, 0..directory.steps.len(), Task::Remove);
            }
        }
        self.shared.jobs.wait_until_idle();
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
            Ok(()) => {
                self.state(number).is_missing = true;
                self.shared.done(number, None, 0);
            }
            Err(Errno::NOENT) => self.state(number).is_missing = true,
            Err(errno) => self.fail(number, Failure::writing("delete the directory", errno)),
        }
        self.shared.run.observer.step_done();
    }

    /// Tries again what did not fit before something was deleted.
    fn copy_postponed(&mut self) {
        let postponed = std::mem::take(&mut *self.shared.lock_postponed());
        let task = Task::Copy {
            may_postpone: false,
        };
        for (number, step) in postponed {
            if self.should_stop() {
                return;
            }
            self.hand_out(number, step..step + 1, task);
        }
    }

    /// Gives directories their attributes, children before their parents. Also when the run was
    /// stopped: a directory that was made writable must not stay so.
    fn finish_directories(&mut self) {
        for number in self.numbers().rev() {
            let directory = self.directory(number);
            let state = self.states[number as usize].clone();
            let own_change = directory.is_mirrored() && directory.change != Change::None;
            let wrong_time = directory.is_mirrored() && directory.time_differs;
            let untouched = !state.is_touched && state.relaxed_from.is_none();
            if state.is_missing || (untouched && !own_change && !wrong_time) {
                continue;
            }
            if untouched && self.should_stop() {
                continue;
            }
            let counts = directory.change == Change::Attributes && number != 0;
            match self.finish_directory(number, &state) {
                Ok(()) if counts => self.shared.done(number, None, 0),
                Ok(()) => {}
                Err(failure) => self.fail(number, failure),
            }
            if counts {
                self.shared.run.observer.step_done();
            }
        }
    }

    fn finish_directory(&mut self, number: u32, state: &DirState) -> Result<(), Failure> {
        let directory = self.directory(number);
        let run = self.shared.run;
        let handle = self
            .destination
            .open(number)
            .map_err(|errno| Failure::writing("open the directory in the destination", errno))?;
        let mut mode = state.relaxed_from;
        if directory.is_mirrored() && run.preserved.permissions {
            let owner = run.preserved.owner(&directory.source).map(Uid::from_raw);
            let group = run.preserved.group(&directory.source).map(Gid::from_raw);
            let has_own_change = directory.change != Change::None;
            if has_own_change && (owner.is_some() || group.is_some()) {
                rustix::fs::fchown(&*handle, owner, group)
                    .map_err(|errno| Failure::writing("change the owner", errno))?;
            }
            if has_own_change || mode.is_some() {
                mode = Some(directory.source.mode);
            }
        }
        if let Some(mode) = mode {
            rustix::fs::fchmod(&*handle, mode_of(mode))
                .map_err(|errno| Failure::writing("change the mode", errno))?;
        }
        if directory.is_mirrored() && run.preserved.timestamps {
            let times = directory.source.mtime.to_timestamps();
            rustix::fs::futimens(&*handle, &times)
                .map_err(|errno| Failure::writing("change the time", errno))?;
        }
        if run.options.durability == Durability::File {
            rustix::fs::fsync(&*handle)
                .map_err(|errno| Failure::writing("flush the directory to disk", errno))?;
        }
        Ok(())
    }

    /// The renames of the last batches, and the attributes of directories.
    fn flush_all(&mut self) {
        if self.shared.run.options.durability != Durability::Batch {
            return;
        }
        let flushed = self.destination.open(0).and_then(rustix::fs::syncfs);
        if let Err(errno) = flushed {
            self.fail(0, Failure::writing("flush the file system", errno));
        }
    }
}

/// Cuts steps into ranges of the size of a job. Each step is in exactly one, whether it belongs to
/// the task or not.
fn split(steps: &[Step], task: Task, size: JobSize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut count, mut bytes) = (0, 0, 0);
    for (index, step) in steps.iter().enumerate() {
        if !task.includes(step) {
            continue;
        }
        count += 1;
        bytes += step.bytes;
        if count >= size.steps || bytes >= size.bytes {
            ranges.push(start..index + 1);
            (start, count, bytes) = (index + 1, 0, 0);
        }
    }
    if count > 0 {
        ranges.push(start..steps.len());
    }
    ranges
}

impl Shared<'_> {
    fn lock_postponed(&self) -> std::sync::MutexGuard<'_, Vec<(u32, usize)>> {
        self.postponed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one worker.
    fn work(&self) {
        let mut copier = Copier::new(self.run);
        self.jobs.work(|job| match (job.task, &job.source) {
            (Task::Copy { may_postpone }, Some(source)) => {
                self.copy_all(&job, source, may_postpone, &mut copier);
            }
            _ => self.remove_all(&job),
        });
    }

    fn remove_all(&self, job: &Job) {
        for step in self.steps_of(job) {
            if self.run.should_stop() {
                return;
            }
            let removed = rustix::fs::unlinkat(&*job.destination, &*step.name, AtFlags::empty());
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
        source: &Arc<OwnedFd>,
        may_postpone: bool,
        copier: &mut Copier<'_>,
    ) {
        let mut batch = Vec::new();
        for index in job.steps.clone() {
            let step = &self.plan.directories[job.directory as usize].steps[index];
            if !job.task.includes(step) {
                continue;
            }
            if self.run.should_stop() {
                return;
            }
            let place = Place {
                source: source.as_fd(),
                destination: job.destination.as_fd(),
                name: &step.name,
            };
            match self.carry_out(copier, place, step.action) {
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
                    let is_full = failure.error_type == ErrorType::NoSpace;
                    if is_full && may_postpone && self.plan.totals().delete > 0 {
                        self.lock_postponed().push((job.directory, index));
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
        if let Err(failure) = prepared.publish(&step.name) {
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
        copier: &mut Copier<'_>,
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
        copier: &mut Copier<'_>,
        place: Place<'d>,
    ) -> Result<Option<Prepared<'d>>, NotCopied> {
        let source = match dirs::stat(place.source, place.name) {
            Ok(metadata) => metadata,
            Err(Errno::NOENT) => return Err(NotCopied::Vanished),
            Err(errno) => return Err(Failure::reading("look at it in the source", errno).into()),
        };
        let difference = match dirs::stat(place.destination, place.name) {
            Ok(destination) => self.compare(place, &source, &destination),
            Err(_) => Difference::Content,
        };
        match (source.kind, difference) {
            (_, Difference::None) => Ok(None),
            (Kind::File, Difference::Attributes) => {
                copier.set_file_attributes(place, &source)?;
                Ok(None)
            }
            (Kind::Symlink, Difference::Attributes) => {
                copier.set_owner_and_time(place.destination, place.name, &source)?;
                Ok(None)
            }
            (Kind::Symlink, Difference::Content) => copier.prepare_link(place).map(Some),
            // Whatever else it has become, the copier tells.
            _ => copier.prepare_file(place).map(Some),
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

    fn steps_of<'s>(&'s self, job: &'s Job) -> impl Iterator<Item = &'s Step> {
        self.plan.directories[job.directory as usize].steps[job.steps.clone()]
            .iter()
            .filter(|step| job.task.includes(step))
    }

    fn path(&self, directory: u32, step: &Step) -> PathBuf {
        self.plan.path_of(directory).join(&*step.name)
    }

    /// Counts a step, or the change of the directory itself.
    fn done(&self, directory: u32, step: Option<&Step>, bytes: u64) {
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

    fn fail_steps(&self, directory: u32, steps: &[Step], task: Task, failure: &Failure) {
        for step in steps.iter().filter(|step| task.includes(step)) {
            self.fail(directory, step, failure.clone());
            self.run.observer.step_done();
        }
    }

    /// The directory of the source cannot be opened any more.
    fn lose_steps(&self, directory: u32, steps: &[Step], task: Task, errno: Errno) {
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
