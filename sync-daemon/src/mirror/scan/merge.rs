//! Goes through source and destination of one directory, in the order of names.

use std::ffi::OsStr;
use std::iter::Peekable;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::{Child, Found, Handles, Visit, Walk};
use crate::error_type::ErrorType;
use crate::mirror::compare::{Difference, Pair};
use crate::mirror::dirs::{self, Listing};
use crate::mirror::escape_path;
use crate::mirror::failure::Failure;
use crate::mirror::metadata::{Kind, Metadata};
use crate::mirror::plan::{Action, Change, Side};
use crate::mirror::temporary;

/// One pass through the two listings of a directory.
pub(super) struct Merge<'m> {
    pub(super) walk: &'m Walk<'m>,
    pub(super) visit: &'m Visit,
    /// That of the visit, or [`Side::Kept`] if the source cannot be read.
    pub(super) side: Side,
    pub(super) handles: &'m Handles,
    pub(super) found: &'m mut Found,
    pub(super) unchanged: u64,
}

impl Merge<'_> {
    pub(super) fn run(&mut self, source: &Listing, destination: &Listing) {
        let mut extra = destination.iter().peekable();
        for (name, kind) in source.iter() {
            if self.walk.run.should_stop() {
                // An unfinished plan is never applied.
                return;
            }
            while let Some((name, kind)) = next_before(&mut extra, name) {
                self.only_in_destination(name, kind);
            }
            let counterpart = extra.next_if(|(other, _)| *other == name);
            if temporary::is_ours(name) || self.is_excluded(name, kind) {
                if let Some((name, kind)) = counterpart {
                    self.only_in_destination(name, kind);
                }
            } else {
                self.in_source(name, counterpart.map(|(_, kind)| kind));
            }
        }
        for (name, kind) in extra {
            self.only_in_destination(name, kind);
        }
    }

    fn is_excluded(&self, name: &OsStr, kind: Kind) -> bool {
        let options = self.walk.run.options;
        if options.ignore_hidden && name.as_bytes().starts_with(b".") {
            return true;
        }
        !options.filter.is_empty()
            && options
                .filter
                .excludes(&self.visit.path.join(name), kind == Kind::Directory)
    }

    /// Whether the filters keep an entry of the destination from being removed.
    fn is_protected(&self, name: &OsStr, kind: Kind) -> bool {
        !self.walk.run.options.delete_excluded && self.is_excluded(name, kind)
    }

    /// A name that is not, or not to be, in the source.
    fn only_in_destination(&mut self, name: &OsStr, kind: Kind) {
        let deletes = self.walk.run.options.delete;
        let is_directory = kind == Kind::Directory;
        if temporary::is_ours(name) && !(is_directory && deletes) {
            self.step(name, Action::Sweep, 0);
        } else if self.side == Side::Kept || !deletes || self.is_protected(name, kind) {
            self.found.keeps_something = true;
            if is_directory && self.walk.sweeps_everywhere.load(Ordering::Relaxed) {
                self.child(name, Side::Kept, Change::None, None);
            }
        } else if is_directory {
            self.child(name, Side::Extra, Change::None, None);
        } else {
            self.step(name, Action::Delete, 0);
        }
    }

    /// A name that is in the source, and perhaps in the destination.
    fn in_source(&mut self, name: &OsStr, destination: Option<Kind>) {
        let Some(directory) = &self.handles.source else {
            return;
        };
        let source = match dirs::stat(directory, name) {
            Ok(metadata) => metadata,
            Err(Errno::NOENT) => {
                self.walk.run.tally.vanished(&self.visit.path.join(name));
                return;
            }
            Err(errno) => {
                let failure = Failure::reading("look at it in the source", errno);
                self.fail(name, failure);
                return;
            }
        };
        if self.walk.is_traced {
            let path = escape_path(&self.visit.path.join(name));
            tracing::trace!(%path, bytes = source.size, "looked at");
        }
        match source.kind {
            Kind::Special => self.walk.run.tally.skipped(&self.visit.path.join(name)),
            Kind::Directory => self.directory(name, source, destination),
            Kind::File | Kind::Symlink => self.file_or_link(name, &source, destination),
        }
    }

    fn directory(&mut self, name: &OsStr, source: Metadata, destination: Option<Kind>) {
        let root = self.walk.run.roots.destination_identity;
        if root == Some(source.identity) {
            let message = "this directory of the source is the destination";
            self.fail(name, Failure::new(ErrorType::Overlap, message));
            return;
        }
        let (side, change) = match destination {
            Some(Kind::Directory) => (Side::Both, Change::None),
            Some(kind) if self.is_protected(name, kind) => {
                let message = "a directory is to take the place of an excluded file; \
                               remove the file, or exclude the directory too";
                self.fail(name, Failure::new(ErrorType::Write, message));
                return;
            }
            Some(_) => (Side::SourceOnly, Change::Replace),
            None => (Side::SourceOnly, Change::Create),
        };
        self.child(name, side, change, Some(source));
    }

    fn file_or_link(&mut self, name: &OsStr, source: &Metadata, destination: Option<Kind>) {
        let is_file = source.kind == Kind::File;
        let (create, update, attributes) = if is_file {
            (
                Action::CreateFile,
                Action::UpdateFile,
                Action::FileAttributes,
            )
        } else {
            (
                Action::CreateLink,
                Action::UpdateLink,
                Action::LinkAttributes,
            )
        };
        let bytes = if is_file { source.size } else { 0 };
        let difference = match destination {
            None => {
                self.step(name, create, bytes);
                return;
            }
            Some(Kind::Directory) => {
                self.replace_directory(name, update, bytes);
                return;
            }
            Some(_) => self.compare(name, source),
        };
        match difference {
            Difference::None => self.unchanged += 1,
            Difference::Attributes => self.step(name, attributes, 0),
            Difference::Content => self.step(name, update, bytes),
        }
    }

    /// A directory stands where a file or a link is to be. Without `delete` only an empty one makes
    /// way.
    fn replace_directory(&mut self, name: &OsStr, action: Action, bytes: u64) {
        if self.is_protected(name, Kind::Directory) {
            let message = "a file is to take the place of an excluded directory; \
                           remove the directory, or exclude the file too";
            self.fail(name, Failure::new(ErrorType::Write, message));
            return;
        }
        let deletes = self.walk.run.options.delete;
        if deletes {
            self.child(name, Side::InTheWay, Change::None, None);
        }
        self.step(name, action, bytes);
        if let Some(step) = self.found.steps.last_mut() {
            step.waits_for_deletions = deletes;
        }
    }

    fn compare(&self, name: &OsStr, source: &Metadata) -> Difference {
        let run = self.walk.run;
        let (Some(ours), Some(theirs)) = (&self.handles.source, &self.handles.destination) else {
            return Difference::Content;
        };
        // If it cannot be looked at, it cannot be trusted: replacing it will tell more.
        let Ok(destination) = dirs::stat(theirs, name) else {
            return Difference::Content;
        };
        let pair = Pair {
            source_directory: ours.as_fd(),
            destination_directory: theirs.as_fd(),
            name,
            source,
            destination: &destination,
        };
        if source.kind == Kind::File {
            pair.compare_files(run.options.comparison, &run.preserved, run.cancel)
        } else {
            pair.compare_links(&run.preserved)
        }
    }

    fn step(&mut self, name: &OsStr, action: Action, bytes: u64) {
        self.found.steps.push(name, action, bytes);
    }

    fn child(&mut self, name: &OsStr, side: Side, change: Change, source: Option<Metadata>) {
        self.found.children.push(Child {
            name: name.into(),
            side,
            change,
            source,
        });
    }

    fn fail(&self, name: &OsStr, failure: Failure) {
        let path = self.visit.path.join(name);
        self.walk.run.tally.failed(&path, failure);
    }
}

/// The next entry, if its name sorts before `name`.
fn next_before<'l>(
    entries: &mut Peekable<impl Iterator<Item = (&'l OsStr, Kind)>>,
    name: &OsStr,
) -> Option<(&'l OsStr, Kind)> {
    entries.next_if(|(other, _)| *other < name)
}
