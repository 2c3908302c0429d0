//! What a run is going to do, as a value: it can be counted, refused, printed or applied.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::dirs::Tree;
use super::metadata::Metadata;
use super::options::Options;
use super::tally::Operation;

/// Everything that one run is going to do. What needs nothing is not in it.
#[derive(Debug)]
pub struct Plan {
    /// The root first, parents before their children, siblings in the order of their names.
    pub(super) directories: Vec<Directory>,
    steps: Steps,
    totals: Totals,
    /// Deletions that the limit forbids; they are not in `directories` any more.
    deletions_withheld: u64,
}

/// How much a plan is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Entries to create.
    pub create: u64,
    /// Entries to bring up to date.
    pub update: u64,
    /// Entries to delete.
    pub delete: u64,
    /// Bytes of file content to write.
    pub bytes: u64,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAction {
    /// What is going to happen.
    pub operation: Operation,
    /// To what, relative to the roots.
    pub path: PathBuf,
    /// Whether it is, or becomes, a directory.
    pub is_directory: bool,
}

/// One directory that has something to do in it, below it or to itself.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: u32,
    pub(super) name: Box<OsStr>,
    pub(super) side: Side,
    pub(super) change: Change,
    /// What the source has; meaningless if only the destination has it.
    pub(super) source: Metadata,
    /// The mode in the destination, if that had to be relaxed to look into it.
    pub(super) relaxed_from: Option<u32>,
    /// The time in the destination is not the source's.
    pub(super) time_differs: bool,
    /// Something in it stays, so that it cannot be deleted.
    pub(super) keeps_something: bool,
    /// Where its steps stand among [`Steps`].
    pub(super) steps: Range<usize>,
}

/// Where a directory is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In source and destination.
    Both,
    /// In the source; the destination has nothing, or something else, under this name.
    SourceOnly,
    /// In the destination: to be deleted, if nothing in it stays.
    Extra,
    /// The same, but a file or link of the source takes its name, and it goes at that moment.
    InTheWay,
    /// In the destination, and it stays. Only what an earlier run left behind is removed from it.
    Kept,
}

/// What happens to a directory itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Create,
    /// Something that is no directory is removed first.
    Replace,
    /// Mode, owner or time.
    Attributes,
    Delete,
}

/// One thing to do in a directory, to something that is no directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    name: NameAt,
    /// Bytes of content to write.
    pub(super) bytes: u64,
    pub(super) action: Action,
    /// A directory has the name, and is emptied first.
    pub(super) waits_for_deletions: bool,
}

/// The steps of all directories and their names, each in one piece of memory: of small pieces, which
/// a large run has many of, much would stay with the process when it is over.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: Vec<Step>,
    /// One after the other.
    names: Vec<u8>,
}

/// Where a name stands among the names.
#[derive(Debug, Clone, Copy)]
struct NameAt {
    start: usize,
    length: u16,
}

impl Steps {
    /// Adds a step, which waits for nothing.
    pub(super) fn push(&mut self, name: &OsStr, action: Action, bytes: u64) {
        let name_at = NameAt {
            start: self.names.len(),
            // A listing refuses longer ones.
            length: name.len() as u16,
        };
        self.names.extend_from_slice(name.as_bytes());
        self.all.push(Step {
            name: name_at,
            bytes,
            action,
            waits_for_deletions: false,
        });
    }

    /// The step that was added last.
    pub(super) fn last_mut(&mut self) -> Option<&mut Step> {
        self.all.last_mut()
    }

    /// Adds the steps of one directory, and empties `others`, which keeps its memory; returns where
    /// they stand.
    pub(super) fn take_over(&mut self, others: &mut Self) -> Range<usize> {
        let (first, shift) = (self.all.len(), self.names.len());
        self.names.append(&mut others.names);
        self.all.extend(others.all.drain(..).map(|mut step| {
            step.name.start += shift;
            step
        }));
        first..self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn of(&self, directory: &Directory) -> &[Step] {
        &self.all[directory.steps.clone()]
    }

    fn name_of(&self, step: &Step) -> &OsStr {
        let NameAt { start, length } = step.name;
        OsStr::from_bytes(&self.names[start..start + usize::from(length)])
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.all));
        give_back(std::mem::take(&mut self.names));
    }
}

/// Frees memory by way of a small piece. The allocator of the C library keeps blocks of the size of
/// the largest that it was ever given back; what `realloc` cuts off goes to the system, and does not
/// count.
fn give_back<T>(mut large: Vec<T>) {
    large.clear();
    large.shrink_to(1);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    CreateFile,
    UpdateFile,
    FileAttributes,
    CreateLink,
    UpdateLink,
    LinkAttributes,
    Delete,
    /// Remove what an earlier run left behind; not counted.
    Sweep,
}

impl Action {
    /// What it counts as.
    pub(super) fn operation(self) -> Option<Operation> {
        match self {
            Self::CreateFile | Self::CreateLink => Some(Operation::Create),
            Self::UpdateFile | Self::FileAttributes | Self::UpdateLink | Self::LinkAttributes => {
                Some(Operation::Update)
            }
            Self::Delete => Some(Operation::Delete),
            Self::Sweep => None,
        }
    }
}

impl Directory {
    /// What the change of the directory itself counts as.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self.change {
            Change::None => None,
            Change::Create => Some(Operation::Create),
            Change::Replace | Change::Attributes => Some(Operation::Update),
            Change::Delete => Some(Operation::Delete),
        }
    }

    /// Whether the source has it, so that its attributes have to be right in the end.
    pub(super) fn is_mirrored(&self) -> bool {
        matches!(self.side, Side::Both | Side::SourceOnly)
    }

    fn has_work(&self) -> bool {
        let own_work = self.change != Change::None || self.time_differs;
        own_work || self.relaxed_from.is_some() || !self.steps.is_empty()
    }
}

impl Plan {
    /// Makes a plan of what a scan found: every directory that was scanned, parents before
    /// children, and how many entries the destination has.
    pub(super) fn new(
        mut scanned: Vec<Directory>,
        mut steps: Steps,
        destination_entries: u64,
        options: &Options,
    ) -> Self {
        decide_directory_deletions(&mut scanned);
        let deletions = totals(&scanned, &steps).delete;
        let mut deletions_withheld = 0;
        if options.exceeds_delete_limit(deletions, destination_entries) {
            withhold_deletions(&mut scanned, &mut steps);
            deletions_withheld = deletions;
        }
        let directories = in_walking_order(scanned);
        Self {
            totals: totals(&directories, &steps),
            directories,
            steps,
            deletions_withheld,
        }
    }

    /// What is left of an unfinished scan: to give back the modes that it relaxed.
    pub(super) fn to_restore(mut scanned: Vec<Directory>) -> Self {
        for directory in &mut scanned {
            directory.side = Side::Kept;
            directory.change = Change::None;
            directory.time_differs = false;
            directory.steps = 0..0;
        }
        Self {
            directories: in_walking_order(scanned),
            steps: Steps::default(),
            totals: Totals::default(),
            deletions_withheld: 0,
        }
    }

    /// How much there is to do.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How many entries have something to be done to them, besides the directories themselves.
    pub(super) fn step_count(&self) -> usize {
        self.steps.all.len()
    }

    /// What is to be done in a directory.
    pub(super) fn steps_in(&self, directory: u32) -> &[Step] {
        self.steps.of(&self.directories[directory as usize])
    }

    /// The name that a step is about.
    pub(super) fn name_of(&self, step: &Step) -> &OsStr {
        self.steps.name_of(step)
    }

    /// How many deletions the limit forbids. If it is not 0, the plan deletes nothing.
    pub fn deletions_withheld(&self) -> u64 {
        self.deletions_withheld
    }

    /// Calls `visit` with every action, a directory before what is in it.
    ///
    /// # Errors
    /// The first error of `visit`, after which it is not called again.
    pub fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(PlannedAction) -> Result<(), E>,
    ) -> Result<(), E> {
        for (index, directory) in self.directories.iter().enumerate() {
            let path = self.path_of(index as u32);
            if let Some(operation) = directory.operation().filter(|_| index != 0) {
                visit(PlannedAction {
                    operation,
                    path: path.clone(),
                    is_directory: true,
                })?;
            }
            for step in self.steps.of(directory) {
                if let Some(operation) = step.action.operation() {
                    visit(PlannedAction {
                        operation,
                        path: path.join(self.name_of(step)),
                        is_directory: false,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The path of a directory relative to the roots.
    pub(super) fn path_of(&self, directory: u32) -> PathBuf {
        let mut names: Vec<&Path> = Vec::new();
        let mut at = directory;
        while at != 0 {
            names.push(Path::new(self.name(at)));
            at = self.parent(at);
        }
        names.into_iter().rev().collect()
    }
}

impl Tree for Plan {
    fn parent(&self, directory: u32) -> u32 {
        self.directories[directory as usize].parent
    }

    fn name(&self, directory: u32) -> &OsStr {
        &self.directories[directory as usize].name
    }
}

/// A directory that only the destination has is deleted unless something below it stays.
fn decide_directory_deletions(scanned: &mut [Directory]) {
    // Children come after their parents: backwards, they are decided first.
    for index in (1..scanned.len()).rev() {
        let directory = &mut scanned[index];
        if directory.is_mirrored() {
            continue;
        }
        if directory.keeps_something {
            let parent = directory.parent as usize;
            scanned[parent].keeps_something = true;
        } else {
            directory.change = Change::Delete;
        }
    }
}

fn withhold_deletions(scanned: &mut [Directory], steps: &mut Steps) {
    let mut kept = Vec::new();
    for directory in scanned {
        let first = kept.len();
        let others = steps.of(directory).iter();
        kept.extend(others.filter(|step| step.action != Action::Delete));
        directory.steps = first..kept.len();
        if directory.change == Change::Delete {
            directory.change = Change::None;
        }
    }
    give_back(std::mem::replace(&mut steps.all, kept));
}

fn totals(directories: &[Directory], all: &Steps) -> Totals {
    let mut totals = Totals::default();
    for (index, directory) in directories.iter().enumerate() {
        let own = directory.operation().filter(|_| index != 0);
        let steps = all.of(directory).iter();
        let of_steps = steps.filter_map(|step| step.action.operation());
        for operation in own.into_iter().chain(of_steps) {
            match operation {
                Operation::Create => totals.create += 1,
                Operation::Update => totals.update += 1,
                Operation::Delete => totals.delete += 1,
            }
        }
        let bytes = all.of(directory).iter().map(|step| step.bytes);
        totals.bytes += bytes.sum::<u64>();
    }
    totals
}

/// Drops directories without work in or below them, and sorts the others: the root first, parents
/// before children, siblings by name.
fn in_walking_order(scanned: Vec<Directory>) -> Vec<Directory> {
    let needed = with_work_below(&scanned);
    let mut by_parent: Vec<u32> = (1..scanned.len() as u32)
        .filter(|index| needed[*index as usize])
        .collect();
    by_parent.sort_unstable_by(|a, b| {
        let (a, b) = (&scanned[*a as usize], &scanned[*b as usize]);
        (a.parent, &a.name).cmp(&(b.parent, &b.name))
    });
    let children_of = |parent: u32| {
        let start = by_parent.partition_point(|index| scanned[*index as usize].parent < parent);
        let end = by_parent.partition_point(|index| scanned[*index as usize].parent <= parent);
        &by_parent[start..end]
    };
    let mut order = Vec::with_capacity(by_parent.len() + 1);
    let mut to_visit = vec![0_u32];
    while let Some(index) = to_visit.pop() {
        order.push(index);
        to_visit.extend(children_of(index).iter().rev());
    }
    renumber(scanned, &order)
}

fn with_work_below(scanned: &[Directory]) -> Vec<bool> {
    let mut needed: Vec<bool> = scanned.iter().map(Directory::has_work).collect();
    for index in (1..scanned.len()).rev() {
        if needed[index] {
            needed[scanned[index].parent as usize] = true;
        }
    }
    needed
}

fn renumber(scanned: Vec<Directory>, order: &[u32]) -> Vec<Directory> {
    let mut new_number = vec![0_u32; scanned.len()];
    for (new, old) in order.iter().enumerate() {
        new_number[*old as usize] = new as u32;
    }
    let mut slots: Vec<Option<Directory>> = scanned.into_iter().map(Some).collect();
    let take = |old: &u32| {
        let mut directory = slots[*old as usize].take()?;
        directory.parent = new_number[directory.parent as usize];
        Some(directory)
    };
    order.iter().filter_map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::metadata::{Identity, Kind, Mtime};

    fn directory(parent: u32, name: &str, side: Side, change: Change) -> Directory {
        Directory {
            parent,
            name: OsStr::new(name).into(),
            side,
            change,
            source: Metadata {
                kind: Kind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                size: 0,
                mtime: Mtime { secs: 0, nanos: 0 },
                has_other_links: false,
                is_sparse: false,
                identity: Identity::default(),
            },
            relaxed_from: None,
            time_differs: false,
            keeps_something: false,
            steps: 0..0,
        }
    }

    fn step(name: &str, action: Action, all: &mut Steps) -> Range<usize> {
        let mut steps = Steps::default();
        steps.push(OsStr::new(name), action, 10);
        all.take_over(&mut steps)
    }

    fn lines(plan: &Plan) -> Vec<String> {
        let mut lines = Vec::new();
        let visited: Result<(), ()> = plan.try_for_each(|action| {
            lines.push(format!(
                "{} {}",
                action.operation.as_str(),
                action.path.display()
            ));
            Ok(())
        });
        assert_eq!(visited, Ok(()));
        lines
    }

    fn tree_with_deletions() -> (Vec<Directory>, Steps) {
        let mut steps = Steps::default();
        let mut scanned = vec![
            directory(0, "", Side::Both, Change::None),
            directory(0, "z", Side::Both, Change::None),
            directory(0, "gone", Side::Extra, Change::None),
            directory(2, "below", Side::Extra, Change::None),
            directory(0, "a", Side::SourceOnly, Change::Create),
            directory(0, "idle", Side::Both, Change::None),
        ];
        // Those of a directory that is behind another may stand before its.
        scanned[2].steps = step("old", Action::Delete, &mut steps);
        scanned[1].steps = step("new", Action::CreateFile, &mut steps);
        (scanned, steps)
    }

    #[test]
    fn plan_is_in_walking_order_and_leaves_out_what_is_idle() {
        let (scanned, steps) = tree_with_deletions();
        let plan = Plan::new(scanned, steps, 10, &Options::default());
        let expected = [
            "create a",
            "delete gone",
            "delete gone/old",
            "delete gone/below",
            "create z/new",
        ];
        assert_eq!(lines(&plan), expected);
        assert_eq!(plan.totals().create, 2);
        assert_eq!(plan.totals().delete, 3);
    }

    #[test]
    fn directory_stays_when_something_below_it_stays() {
        let (mut scanned, steps) = tree_with_deletions();
        scanned[3].keeps_something = true;
        let plan = Plan::new(scanned, steps, 10, &Options::default());
        assert_eq!(
            lines(&plan),
            ["create a", "delete gone/old", "create z/new"]
        );
    }

    #[test]
    fn above_the_limit_no_deletion_is_left_in_the_plan() {
        let options = Options {
            max_delete: 2,
            ..Options::default()
        };
        let (scanned, steps) = tree_with_deletions();
        let plan = Plan::new(scanned, steps, 10, &options);
        assert_eq!(plan.deletions_withheld(), 3);
        assert_eq!(lines(&plan), ["create a", "create z/new"]);
    }
}
