//! The trees that are mirrored, and what happens to them before each run.
//!
//! A file system remembers what was done to it. An ext4 without a journal does not use an inode again
//! for a minute after it was freed, and steps over such inodes one by one for each file that is
//! created: whoever copies first after an `rm -rf` pays for that. So every first copy of many files
//! goes into a directory that was never there, all of them stay until the end, and the next
//! benchmark waits until a minute has passed since.
//!
//! A virtual machine gives memory that it does not use back to its host, and whoever needs that first
//! waits until the host has found some again, for seconds where large files are written: so before
//! each first copy as much is written and thrown away.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Large enough that no two files begin alike.
const BLOB_BYTES: usize = 4 << 20;
const LARGE_FILES: u32 = 10;
const LARGE_BLOBS: u32 = 75;
/// More than all files of [`SMALL`] together.
const SMALL_BLOBS: u32 = 64;
const CHANGED_FILES: u64 = 1000;
const EXTRA_FILES: u32 = 10_000;
const EXTRA_BYTES: usize = 700;
/// After so long nobody steps over inodes that were freed, with some seconds to spare.
const CALM_AFTER_DELETION: Duration = Duration::from_secs(75);
/// What the names of first copies begin with.
const FIRST_COPY: &str = "first-copy-";

/// What a run has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Noop,
    Changed,
    Deleted,
    Large,
    Small,
}

impl Scenario {
    /// Those that create many files come before those that delete many.
    pub(super) const ALL: [Self; 5] = [
        Self::Small,
        Self::Large,
        Self::Noop,
        Self::Changed,
        Self::Deleted,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Large => "large",
            Self::Small => "small",
        }
    }

    /// For the table.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Noop => "nothing to do, 100,000 files",
            Self::Changed => "1 % of 100,000 files changed",
            Self::Deleted => "10 % of 100,000 files to delete",
            Self::Large => "ten files of 300 MiB",
            Self::Small => "20,000 files of 1 to 16 KiB",
        }
    }

    /// Whether the destination is empty at the beginning.
    pub(super) fn is_first_copy(self) -> bool {
        matches!(self, Self::Large | Self::Small)
    }
}

/// A tree of many small files.
struct Shape {
    files: u32,
    directories: u32,
    bytes: std::ops::Range<u64>,
}

const SMALL: Shape = Shape {
    files: 20_000,
    directories: 500,
    bytes: 1024..16_385,
};
const MANY: Shape = Shape {
    files: 100_000,
    directories: 2_000,
    bytes: 100..2_001,
};

impl Shape {
    fn directory(&self, root: &Path, number: u32) -> PathBuf {
        let number = number % self.directories;
        root.join(format!("g{:02}/d{number:04}", number % 20))
    }

    fn file(&self, root: &Path, number: u32) -> PathBuf {
        self.directory(root, number)
            .join(format!("f{number:06}.dat"))
    }
}

/// The directories of a benchmark, made once and used again.
pub(super) struct Workload<'s> {
    shell: &'s Shell,
    root: PathBuf,
    random: Random,
    first_copies: u32,
}

impl<'s> Workload<'s> {
    /// Makes what the scenario needs below `root` and is not there yet.
    pub(super) fn prepare(shell: &'s Shell, root: &Path, scenarios: &[Scenario]) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let mut workload = Self {
            shell,
            root: root.to_owned(),
            random: Random(0x9e37_79b9_7f4a_7c15),
            first_copies: 0,
        };
        for scenario in scenarios {
            workload.plant(*scenario)?;
        }
        // What a benchmark that was interrupted has left.
        workload.remove_first_copies()?;
        if scenarios.contains(&Scenario::Small) {
            workload.wait_until_calm()?;
        }
        Ok(workload)
    }

    pub(super) fn source(&self, scenario: Scenario) -> PathBuf {
        self.root.join(match scenario {
            Scenario::Large => "large",
            Scenario::Small => "small",
            Scenario::Noop | Scenario::Changed | Scenario::Deleted => "many",
        })
    }

    pub(super) fn destination(&self, scenario: Scenario) -> PathBuf {
        if scenario.is_first_copy() {
            let number = self.first_copies;
            self.root.join(format!("{FIRST_COPY}{number}"))
        } else {
            self.root.join("many-copy")
        }
    }

    /// A file beside the trees.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Brings about the state in which every contestant begins.
    pub(super) fn begin(&mut self, scenario: Scenario) -> Result<()> {
        self.first_copies += u32::from(scenario.is_first_copy());
        let (source, destination) = (self.source(scenario), self.destination(scenario));
        if scenario.is_first_copy() {
            fs::create_dir(&destination)?;
        } else {
            // What the one before has not carried over must not be the next one's burden.
            self.copy_exactly(&source, &destination)?;
        }
        match scenario {
            Scenario::Changed => self.change_some(&source)?,
            Scenario::Deleted => {
                add_extra(&destination)?;
                fs::write(self.last_deletion(), "")?;
            }
            Scenario::Noop | Scenario::Large | Scenario::Small => {}
        }
        cmd!(self.shell, "sync").quiet().run()?;
        match scenario {
            Scenario::Large => self.find_memory(LARGE_FILES * (LARGE_BLOBS + 1)),
            Scenario::Small => self.find_memory(SMALL_BLOBS),
            Scenario::Noop | Scenario::Changed | Scenario::Deleted => Ok(()),
        }
    }

    /// Uses memory of the page cache, and leaves it free.
    fn find_memory(&self, blobs: u32) -> Result<()> {
        let path = self.beside("memory");
        let mut file = File::create(&path)?;
        let blob = vec![0; BLOB_BYTES];
        for _ in 0..blobs {
            file.write_all(&blob)?;
        }
        Ok(fs::remove_file(path)?)
    }

    /// Makes room after a run: a few large files free hardly an inode.
    pub(super) fn end(&self, scenario: Scenario) -> Result<()> {
        if scenario == Scenario::Large {
            self.shell.remove_path(self.destination(scenario))?;
        }
        Ok(())
    }

    /// Removes every first copy.
    pub(super) fn finish(&self) -> Result<()> {
        self.remove_first_copies()
    }

    fn remove_first_copies(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(FIRST_COPY.as_bytes()) {
                self.shell.remove_path(entry.path())?;
                fs::write(self.last_deletion(), "")?;
            }
        }
        Ok(())
    }

    /// A file whose time tells when many files were deleted last.
    fn last_deletion(&self) -> PathBuf {
        self.beside("last-deletion")
    }

    fn wait_until_calm(&self) -> Result<()> {
        let Ok(deleted) = fs::metadata(self.last_deletion()) else {
            return Ok(());
        };
        // The minute counts from when the file system has written its tables.
        cmd!(self.shell, "sync").quiet().run()?;
        let age = SystemTime::now().duration_since(deleted.modified()?);
        let rest = CALM_AFTER_DELETION.saturating_sub(age.unwrap_or_default());
        if !rest.is_zero() {
            let secs = rest.as_secs();
            crate::step::say(&format!(
                "waiting {secs} s until the file system has forgotten the last deletion"
            ));
        }
        thread::sleep(rest);
        Ok(())
    }

    fn plant(&mut self, scenario: Scenario) -> Result<()> {
        let source = self.source(scenario);
        let stamp = source.with_extension("complete");
        if stamp.exists() {
            return Ok(());
        }
        self.shell.remove_path(&source)?;
        match scenario {
            Scenario::Large => self.plant_large(&source)?,
            Scenario::Small => self.plant_files(&source, &SMALL)?,
            Scenario::Noop | Scenario::Changed | Scenario::Deleted => {
                self.plant_files(&source, &MANY)?;
            }
        }
        Ok(fs::write(stamp, "")?)
    }

    fn plant_large(&mut self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        let mut blob = vec![0; BLOB_BYTES];
        for number in 0..LARGE_FILES {
            let mut file = File::create(root.join(format!("large{number}.bin")))?;
            for _ in 0..LARGE_BLOBS {
                self.random.fill(&mut blob);
                file.write_all(&blob)?;
            }
        }
        Ok(())
    }

    fn plant_files(&mut self, root: &Path, shape: &Shape) -> Result<()> {
        let mut blob = vec![0; BLOB_BYTES];
        self.random.fill(&mut blob);
        for number in 0..shape.directories {
            fs::create_dir_all(shape.directory(root, number))?;
        }
        for number in 0..shape.files {
            let size = self.random.within(shape.bytes.clone()) as usize;
            let start = self.random.within(0..(BLOB_BYTES - size) as u64) as usize;
            fs::write(shape.file(root, number), &blob[start..start + size])?;
        }
        Ok(())
    }

    /// New content, same size, new time.
    fn change_some(&mut self, source: &Path) -> Result<()> {
        for _ in 0..CHANGED_FILES {
            let number = self.random.within(0..u64::from(MANY.files)) as u32;
            let path = MANY.file(source, number);
            let mut content = fs::read(&path)?;
            self.random.fill(&mut content);
            fs::write(&path, content)?;
        }
        Ok(())
    }

    /// With the contestant that the others are compared to.
    fn copy_exactly(&self, source: &Path, destination: &Path) -> Result<()> {
        let rsync = crate::tools::path(self.shell, "rsync")?;
        let rsync = rsync.context("the benchmark needs rsync: run `cargo xtask tools`")?;
        let (mut from, mut to) = (
            source.as_os_str().to_owned(),
            destination.as_os_str().to_owned(),
        );
        from.push("/");
        to.push("/");
        cmd!(self.shell, "{rsync} -a --delete {from} {to}")
            .quiet()
            .run()?;
        Ok(())
    }
}

fn add_extra(destination: &Path) -> Result<()> {
    for number in 0..EXTRA_FILES {
        let name = format!("x{number:06}.old");
        let path = MANY.directory(destination, number).join(name);
        fs::write(path, [b'x'; EXTRA_BYTES])?;
    }
    Ok(())
}

/// xorshift64*: the same bytes in every run, and none that compress.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
