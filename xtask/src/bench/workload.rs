//! The trees that are mirrored, and what happens to them before each run.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Large enough that no two files begin alike.
const BLOB_BYTES: usize = 4 << 20;
const LARGE_FILES: u32 = 10;
const LARGE_BLOBS: u32 = 75;
const CHANGED_FILES: u64 = 1000;
const EXTRA_FILES: u32 = 10_000;
const EXTRA_BYTES: usize = 700;

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
    pub(super) const ALL: [Self; 5] = [
        Self::Noop,
        Self::Changed,
        Self::Deleted,
        Self::Large,
        Self::Small,
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
}

impl<'s> Workload<'s> {
    /// Makes what the scenario needs below `root` and is not there yet.
    pub(super) fn prepare(shell: &'s Shell, root: &Path, scenarios: &[Scenario]) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let mut workload = Self {
            shell,
            root: root.to_owned(),
            random: Random(0x9e37_79b9_7f4a_7c15),
        };
        for scenario in scenarios {
            workload.plant(*scenario)?;
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
        self.root.join(if scenario.is_first_copy() {
            "first-copy"
        } else {
            "many-copy"
        })
    }

    /// A file beside the trees.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Brings about the state in which every contestant begins.
    pub(super) fn begin(&mut self, scenario: Scenario) -> Result<()> {
        let (source, destination) = (self.source(scenario), self.destination(scenario));
        if scenario.is_first_copy() {
            self.shell.remove_path(&destination)?;
            fs::create_dir(&destination)?;
        } else {
            // What the one before has not carried over must not be the next one's burden.
            self.copy_exactly(&source, &destination)?;
        }
        match scenario {
            Scenario::Changed => self.change_some(&source)?,
            Scenario::Deleted => add_extra(&destination)?,
            Scenario::Noop | Scenario::Large | Scenario::Small => {}
        }
        cmd!(self.shell, "sync").quiet().run()?;
        Ok(())
    }

    /// Removes the copies that are made again for each run.
    pub(super) fn end(&self) -> Result<()> {
        let copy = self.destination(Scenario::Small);
        Ok(self.shell.remove_path(copy)?)
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
