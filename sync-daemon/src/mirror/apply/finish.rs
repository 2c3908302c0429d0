//! What comes last: the attributes of directories, and the disk.

use rustix::fs::{Gid, Uid};

use super::{DirState, Lead};
use crate::mirror::dirs;
use crate::mirror::failure::Failure;
use crate::mirror::metadata::mode_of;
use crate::mirror::options::Durability;
use crate::mirror::plan::Change;

impl Lead<'_> {
    /// Gives directories their attributes, children before their parents. Also when the run was
    /// stopped: a directory that was made writable must not stay so.
    pub(super) fn finish_directories(&mut self) {
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
        let now = dirs::stat_open(&*handle)
            .map_err(|errno| Failure::writing("look at the directory", errno))?;
        let own_change = directory.change != Change::None;
        let mut mode = state.relaxed_from.unwrap_or(now.mode);
        let mut same_owner = true;
        if directory.is_mirrored() && run.preserved.permissions {
            same_owner = !own_change || run.preserved.same_owner(&directory.source, &now);
            if !same_owner {
                let owner = run.preserved.owner(&directory.source).map(Uid::from_raw);
                let group = run.preserved.group(&directory.source).map(Gid::from_raw);
                rustix::fs::fchown(&*handle, owner, group)
                    .map_err(|errno| Failure::writing("change the owner", errno))?;
            }
            if own_change || state.relaxed_from.is_some() {
                mode = directory.source.mode;
            }
        }
        // Changing the owner may clear bits of the mode. If it is right it is not set again: the
        // kernel would take setgid away from whom is not in the group.
        if !same_owner || mode != now.mode {
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
    pub(super) fn flush_all(&mut self) {
        if self.shared.run.options.durability != Durability::Batch {
            return;
        }
        let flushed = self.destination.open(0).and_then(rustix::fs::syncfs);
        if let Err(errno) = flushed {
            self.fail(0, Failure::writing("flush the file system", errno));
        }
    }
}
