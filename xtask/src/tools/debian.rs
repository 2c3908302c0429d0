//! Programs from this machine's `PATH`, or else from Debian's packages: downloaded and unpacked, never installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::Place;
use crate::step::quiet;

/// How deep the libraries of libraries are followed.
const MAX_ROUNDS: usize = 4;

/// Makes `name` available at its place.
///
/// # Errors
/// If it is neither on the `PATH` nor to be had as a package.
pub(crate) fn provide(shell: &Shell, place: &Place, name: &str, package: &str) -> Result<()> {
    if let Some(installed) = on_path(name) {
        return place.link(name, &installed);
    }
    ensure!(
        on_path("apt-get").is_some() && on_path("dpkg-deb").is_some(),
        "it is not installed, and this is no Debian to download it from: install `{package}`"
    );
    let root = place.scratch("debian").join(package);
    let is_complete = match program_in(&root, name) {
        Some(program) => missing_libraries(shell, &root, &program)?.is_empty(),
        None => false,
    };
    if !is_complete {
        shell.remove_path(&root)?;
        shell.create_dir(&root)?;
        unpack_with_libraries(shell, place, package, &root, name)?;
    }
    link_with_libraries(shell, place, name, &root)
}

/// Where a package has put a program: one for users, or one for administrators.
fn program_in(root: &Path, name: &str) -> Option<PathBuf> {
    ["usr/bin", "usr/sbin"]
        .map(|directory| root.join(directory).join(name))
        .into_iter()
        .find(|program| program.exists())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Unpacks a package, then the libraries that the machine lacks, until the program can be loaded.
fn unpack_with_libraries(
    shell: &Shell,
    place: &Place,
    package: &str,
    root: &Path,
    name: &str,
) -> Result<()> {
    let mut seen = BTreeSet::from([package.to_owned()]);
    let mut wanted = vec![package.to_owned()];
    for _ in 0..MAX_ROUNDS {
        let mut libraries = Vec::new();
        for package in &wanted {
            let archive = download(shell, place, package)?;
            quiet(cmd!(shell, "dpkg-deb -x {archive} {root}"))?;
            libraries.extend(libraries_of(shell, &archive)?);
        }
        let program = unpacked_program(root, name, package)?;
        if missing_libraries(shell, root, &program)?.is_empty() {
            return Ok(());
        }
        wanted = libraries
            .into_iter()
            .filter(|library| seen.insert(library.clone()))
            .collect();
    }
    let program = unpacked_program(root, name, package)?;
    let missing = missing_libraries(shell, root, &program)?;
    bail!(
        "the package `{package}` needs libraries that were not found: {}",
        missing.join(", ")
    )
}

fn unpacked_program(root: &Path, name: &str, package: &str) -> Result<PathBuf> {
    program_in(root, name).with_context(|| format!("the package `{package}` holds no {name}"))
}

/// The shared libraries that a package depends on. The C library is the machine's own: two of them do not mix.
fn libraries_of(shell: &Shell, archive: &Path) -> Result<Vec<String>> {
    let depends = cmd!(shell, "dpkg-deb --field {archive} Depends")
        .quiet()
        .read()?;
    Ok(depends
        .split(',')
        .filter_map(|dependency| dependency.split_whitespace().next())
        .filter(|name| name.starts_with("lib") && !name.starts_with("libjs-") && *name != "libc6")
        .map(str::to_owned)
        .collect())
}

fn missing_libraries(shell: &Shell, root: &Path, program: &Path) -> Result<Vec<String>> {
    let libraries = library_path(shell, root)?;
    let listing = cmd!(shell, "ldd {program}")
        .env("LD_LIBRARY_PATH", libraries)
        .quiet();
    let listing = listing.ignore_status().read()?;
    let missing = listing.lines().filter(|line| line.ends_with("not found"));
    Ok(missing.map(|line| line.trim().to_owned()).collect())
}

/// Where Debian's packages put their libraries, below `root`.
fn library_path(shell: &Shell, root: &Path) -> Result<String> {
    let triple = cmd!(shell, "dpkg-architecture -qDEB_HOST_MULTIARCH")
        .quiet()
        .read();
    let triple = triple.unwrap_or_else(|_| format!("{}-linux-gnu", std::env::consts::ARCH));
    let root = root
        .to_str()
        .context("the target directory's path is not UTF-8")?;
    Ok(format!("{root}/usr/lib/{triple}:{root}/lib/{triple}"))
}

/// A program that brings its libraries gets a wrapper: tests start it like any other, and `exec` keeps the process id.
fn link_with_libraries(shell: &Shell, place: &Place, name: &str, root: &Path) -> Result<()> {
    let program = program_in(root, name);
    let program = &program.with_context(|| format!("the package holds no {name}"))?;
    let libraries = library_path(shell, root)?;
    let has_libraries = libraries
        .split(':')
        .any(|directory| Path::new(directory).is_dir());
    if !has_libraries {
        return place.link(name, program);
    }
    let wrapper = place.program(name);
    shell.remove_path(&wrapper)?;
    let program = program.display();
    shell.write_file(
        &wrapper,
        format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{program}' \"$@\"\n"),
    )?;
    quiet(cmd!(shell, "chmod 755 {wrapper}"))
}

/// Downloads one package and returns its file. Needs no root.
fn download(shell: &Shell, place: &Place, package: &str) -> Result<PathBuf> {
    let directory = place.scratch("archives").join(package);
    shell.remove_path(&directory)?;
    shell.create_dir(&directory)?;
    let _in_directory = shell.push_dir(&directory);
    let with_machine_lists = quiet(cmd!(shell, "apt-get download {package}"));
    if with_machine_lists.is_err() {
        // The machine's lists are missing or name a version that is gone; ours are renewed without root.
        let options = private_lists(shell, place)?;
        quiet(cmd!(shell, "apt-get {options...} download {package}"))?;
    }
    let archive = shell.read_dir(&directory)?.into_iter().next();
    archive.with_context(|| format!("apt-get downloaded no file for `{package}`"))
}

/// Options that make apt use lists of its own below `target/tools`, after renewing those.
fn private_lists(shell: &Shell, place: &Place) -> Result<Vec<String>> {
    let state = place.scratch("apt");
    shell.create_dir(state.join("lists/partial"))?;
    shell.create_dir(state.join("cache/archives/partial"))?;
    let state = state.display();
    let options: Vec<String> = [
        format!("Dir::State::lists={state}/lists"),
        format!("Dir::Cache={state}/cache"),
        "APT::Sandbox::User=".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect();
    // Once a run is enough, however many packages need them.
    static RENEWED: AtomicBool = AtomicBool::new(false);
    if !RENEWED.load(Ordering::Relaxed) {
        let options = &options;
        quiet(cmd!(shell, "apt-get {options...} update"))
            .context("the package lists could not be renewed")?;
        RENEWED.store(true, Ordering::Relaxed);
    }
    Ok(options)
}
