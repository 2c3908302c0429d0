//! Finds the revision that `--version` and the build metric tell.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SYNC_DAEMON_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    for path in ["../.git/HEAD", "../.git/refs/heads"] {
        // Outside of a checkout: a missing path would mean a rebuild every time.
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let given = std::env::var("SYNC_DAEMON_REVISION").ok();
    let revision = given.or_else(revision_of_checkout);
    let revision = revision.as_deref().unwrap_or("unknown");
    println!("cargo::rustc-env=SYNC_DAEMON_REVISION={revision}");
}

/// `None` outside of a checkout, as in a packaged crate.
fn revision_of_checkout() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let revision = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !revision.trim().is_empty()).then(|| revision.trim().to_owned())
}
