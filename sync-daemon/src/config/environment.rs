//! The process environment as a value, and the search for configuration files in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variable that names a configuration file.
pub const CONFIG_VARIABLE: &str = "SYNC_DAEMON_CONFIG";
/// The file that is looked for in the working directory, and that `config init` writes.
pub const LOCAL_CONFIG_FILE: &str = "./sync-daemon.toml";
/// The file that is looked for on behalf of the whole machine.
pub const SYSTEM_CONFIG_FILE: &str = "/etc/sync-daemon/config.toml";

/// Environment variables; a value, so that tests need not change the process.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A base directory after the XDG specification, which says to ignore relative ones.
    pub(crate) fn xdg_directory(&self, variable: &str, below_home: &Path) -> Option<PathBuf> {
        let named = self
            .variable(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        named.or_else(|| Some(PathBuf::from(self.variable("HOME")?).join(below_home)))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Where configuration files were looked for, and which are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The files to load, later ones over earlier ones; empty if nothing was found. Files that were given are here unseen.
    pub files: Vec<PathBuf>,
    /// Every place that was looked at, in order; empty if files were given.
    pub looked_for: Vec<PathBuf>,
}

impl Search {
    /// Takes the files that were `given`, all of them; otherwise the first that exists of `$SYNC_DAEMON_CONFIG`, `./sync-daemon.toml`,
    /// `$XDG_CONFIG_HOME/sync-daemon/config.toml` and `/etc/sync-daemon/config.toml`.
    pub fn new(given: &[PathBuf], environment: &Environment) -> Self {
        if !given.is_empty() {
            return Self {
                files: given.to_vec(),
                looked_for: Vec::new(),
            };
        }
        let mut looked_for = candidates(environment);
        let found = looked_for.iter().position(|path| path.exists());
        let files = found
            .map(|index| vec![looked_for[index].clone()])
            .unwrap_or_default();
        looked_for.truncate(found.map_or(looked_for.len(), |index| index + 1));
        Self { files, looked_for }
    }
}

fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let named = environment.variable(CONFIG_VARIABLE).map(PathBuf::from);
    let user = environment
        .xdg_directory("XDG_CONFIG_HOME", Path::new(".config"))
        .map(|directory| directory.join("sync-daemon/config.toml"));
    [
        named,
        Some(PathBuf::from(LOCAL_CONFIG_FILE)),
        user,
        Some(PathBuf::from(SYSTEM_CONFIG_FILE)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_files_end_the_search() {
        let given = [PathBuf::from("a.toml"), PathBuf::from("b.toml")];
        let search = Search::new(&given, &Environment::default());
        assert_eq!(search.files, given);
        assert!(search.looked_for.is_empty());
    }

    #[test]
    fn the_first_file_that_exists_is_used_and_every_place_before_it_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sync-daemon/config.toml");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        let missing = directory.path().join("missing.toml");
        let environment = [
            (CONFIG_VARIABLE, missing.as_os_str()),
            ("XDG_CONFIG_HOME", directory.path().as_os_str()),
        ];
        let search = Search::new(&[], &environment.into_iter().collect());
        assert_eq!(search.files, std::slice::from_ref(&file));
        assert_eq!(
            search.looked_for,
            [missing, PathBuf::from(LOCAL_CONFIG_FILE), file]
        );
    }
}
