//! Guesses what a misspelt or misplaced key was meant to be.

use super::section::{Keys, OptionalTable, Section, Slot, TableList};

/// Longer words are not misspelt keys; comparing them would only cost time and memory.
const LONGEST_WORD: usize = 64;

/// Shorter words begin too many others.
const SHORTEST_BEGINNING: usize = 4;

/// The candidate that is nearest to `written`, if one is near enough to be meant: at most a third of its letters differ, or `written` is
/// its beginning.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > LONGEST_WORD {
        return None;
    }
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, candidate), candidate))
        .filter(|(distance, candidate)| {
            let begins = written.len() >= SHORTEST_BEGINNING && candidate.starts_with(&written);
            begins || *distance <= (candidate.len() / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Every key of the configuration with the table that it stands in.
#[derive(Default)]
pub(super) struct KnownKeys {
    /// Pairs of a table's path, empty at the root, and a key.
    keys: Vec<(String, &'static str)>,
    table: String,
}

impl KnownKeys {
    /// The keys of `root` and of everything in it.
    pub(super) fn of(root: &mut dyn Section) -> Self {
        let mut keys = Self::default();
        root.describe(&mut keys);
        keys
    }

    /// The path of the table that has such a key, if only one has.
    pub(super) fn only_table_with(&self, key: &str) -> Option<&str> {
        let mut tables = self.keys.iter().filter(|(_, known)| *known == key);
        match (tables.next(), tables.next()) {
            (Some((table, _)), None) => Some(table),
            _ => None,
        }
    }

    fn descend(&mut self, name: &'static str, section: &mut dyn Section) {
        self.keys.push((self.table.clone(), name));
        let parent = self.table.clone();
        self.table = if parent.is_empty() {
            name.to_owned()
        } else {
            format!("{parent}.{name}")
        };
        section.describe(self);
        self.table = parent;
    }
}

impl Keys for KnownKeys {
    fn slot(&mut self, name: &'static str, _slot: &mut dyn Slot, _help: &'static str) {
        self.keys.push((self.table.clone(), name));
    }

    fn table(&mut self, name: &'static str, section: &mut dyn Section, _help: &'static str) {
        self.descend(name, section);
    }

    fn optional(&mut self, name: &'static str, table: &mut dyn OptionalTable, _help: &'static str) {
        self.descend(name, &mut *table.example());
    }

    fn list(&mut self, name: &'static str, list: &mut dyn TableList, _help: &'static str) {
        self.descend(name, &mut *list.example());
    }

    /// An alias is not where a key belongs.
    fn alias(&mut self, _name: &'static str, _path: &'static str, _slot: &mut dyn Slot) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_wrong_is_forgiven_and_another_word_is_not() {
        let keys = ["max_size_mb", "keep_files", "enabled"];
        assert_eq!(nearest("max_sise_mb", keys), Some("max_size_mb"));
        assert_eq!(nearest("Enabeld", keys), Some("enabled"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(
            nearest("password", ["password_file"]),
            Some("password_file")
        );
    }

    #[test]
    fn the_nearest_of_two_wins() {
        assert_eq!(nearest("job_ids", ["job_name", "job_id"]), Some("job_id"));
    }
}
