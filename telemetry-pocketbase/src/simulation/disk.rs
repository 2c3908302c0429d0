//! A disk that loses, tears and refuses writes.
//!
//! The operating system sees all that was written; the platter only what was
//! written before the last sync, and of the rest, after a power cut, whatever
//! parts happened to get there.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use redb::{BackendError, StorageBackend};

use super::sights::Sights;

const PAGE: u64 = 4096;
const SECTOR: usize = 512;

/// One file on the disk. Clones are the same file.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

struct State {
    /// What the operating system sees.
    cached: Vec<u8>,
    /// What is on the platter for certain.
    durable: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
    /// Pages that have been given room.
    pages: Vec<bool>,
    /// No more pages get room.
    is_full: bool,
    /// So many operations still succeed before one fails.
    fails_in: Option<u32>,
    /// So many operations still succeed before the process dies.
    dies_in: Option<u32>,
    /// It dies of something else than a power cut.
    has_power: bool,
    /// Handles of processes before this one are dead.
    process: u64,
    largest: u64,
    sights: Sights,
}

enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl SimDisk {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            cached: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            pages: Vec::new(),
            is_full: false,
            fails_in: None,
            dies_in: None,
            has_power: true,
            process: 0,
            largest: 0,
            sights: Sights::default(),
        })))
    }

    /// A handle for the process that runs now.
    pub(super) fn open(&self) -> Handle {
        let process = self.lock().process;
        Handle {
            disk: self.clone(),
            process,
        }
    }

    /// The process dies; what it wrote stays with the operating system.
    pub(super) fn process_dies(&self) {
        let mut state = self.lock();
        state.process += 1;
        state.dies_in = None;
    }

    /// The power fails: of what was not synced some parts survive.
    pub(super) fn power_fails(&self, rng: &mut Rng) {
        let mut state = self.lock();
        state.process += 1;
        state.dies_in = None;
        let changes = std::mem::take(&mut state.unsynced);
        let mut survivor = std::mem::take(&mut state.durable);
        for change in changes {
            let is_lost = rng.u8(..3) == 0;
            match change {
                Change::Write(..) if is_lost => state.sights.note("write lost"),
                Change::Write(offset, mut data) => {
                    if rng.u8(..3) == 0 {
                        let sectors = data.len() / SECTOR;
                        data.truncate(rng.usize(..=sectors) * SECTOR);
                        state.sights.note("write torn");
                    }
                    write_at(&mut survivor, offset, &data);
                }
                Change::Length(_) if is_lost => {
                    state.sights.note("file too short after a power cut");
                }
                Change::Length(length) => survivor.resize(length as usize, 0),
            }
        }
        state.cached.clone_from(&survivor);
        state.durable = survivor;
    }

    /// Bits flip at rest: the disk lies.
    pub(super) fn rots(&self, rng: &mut Rng) {
        let mut state = self.lock();
        let length = state.cached.len();
        if length == 0 {
            return;
        }
        for _ in 0..rng.usize(1..40) {
            let place = rng.usize(..length);
            state.cached[place] ^= 1 << rng.u8(..8);
        }
        let cached = state.cached.clone();
        state.durable = cached;
        state.unsynced.clear();
    }

    /// The file is set aside: a new, empty one has its name.
    pub(super) fn begin_anew(&self) {
        let mut state = self.lock();
        state.cached.clear();
        state.durable.clear();
        state.unsynced.clear();
        state.pages.clear();
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    pub(super) fn fail_in(&self, operations: u32) {
        self.lock().fails_in = Some(operations);
    }

    /// The process will die in the middle of its work, perhaps with the power.
    pub(super) fn die_in(&self, operations: u32, has_power: bool) {
        let mut state = self.lock();
        state.dies_in = Some(operations);
        state.has_power = has_power;
    }

    /// Whether the process dies of something else than a power cut.
    pub(super) fn has_power(&self) -> bool {
        self.lock().has_power
    }

    /// Whether the process has died in the middle of its work.
    pub(super) fn has_died(&self) -> bool {
        self.lock().dies_in == Some(0)
    }

    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.is_full = false;
        state.fails_in = None;
        state.dies_in = None;
    }

    pub(super) fn take_sights(&self) -> Sights {
        std::mem::take(&mut self.lock().sights)
    }

    /// The greatest size that the file ever had.
    pub(super) fn largest(&self) -> u64 {
        self.lock().largest
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, process: u64) -> io::Result<()> {
        if process != self.process {
            return Err(io::Error::other("the process is dead"));
        }
        match &mut self.dies_in {
            Some(0) => return Err(io::Error::other("the process has died")),
            Some(left) => *left -= 1,
            None => {}
        }
        match &mut self.fails_in {
            Some(0) => {
                self.fails_in = None;
                self.sights.note("disk failed");
                Err(io::Error::other("the disk failed"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn write_at(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if image.len() < end {
        image.resize(end, 0);
    }
    image[start..end].copy_from_slice(data);
}

/// What a process holds of the file.
pub(super) struct Handle {
    disk: SimDisk,
    process: u64,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated file")
    }
}

impl Handle {
    fn begin(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.lock();
        state.check(self.process)?;
        Ok(state)
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.begin()?.cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.begin()?;
        let start = offset as usize;
        let found = state.cached.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.begin()?;
        state.cached.resize(length as usize, 0);
        state.unsynced.push(Change::Length(length));
        state.largest = state.largest.max(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.begin()?;
        let changes = std::mem::take(&mut state.unsynced);
        for change in changes {
            match change {
                Change::Write(offset, data) => write_at(&mut state.durable, offset, &data),
                Change::Length(length) => state.durable.resize(length as usize, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.begin()?;
        let end = (offset + data.len() as u64).div_ceil(PAGE) as usize;
        if state.pages.len() < end {
            state.pages.resize(end, false);
        }
        for page in (offset / PAGE) as usize..end {
            if state.is_full && !state.pages[page] {
                state.sights.note("disk full");
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.pages[page] = true;
        }
        write_at(&mut state.cached, offset, data);
        state.unsynced.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
