//! Reads one document over the values that are there already, and collects every mistake.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, Findings, Place};
use super::section::{Keys, OptionalTable, Section, Slot, TableList};
use super::slot::{Faults, kind_of};
use super::suggest::{KnownKeys, nearest};

/// More known keys than this are not listed in an error.
const KEYS_LISTED: usize = 12;

/// What reading needs to know everywhere in a document.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) document: &'a Document,
    /// The document's place among all.
    pub(super) index: usize,
    pub(super) known_keys: &'a KnownKeys,
}

/// Reads `table` into `section`. `path` is empty at the root.
pub(super) fn read_table(
    section: &mut dyn Section,
    table: &DeTable<'_>,
    path: &str,
    context: Context<'_>,
    findings: &mut Findings,
) {
    let mut reader = Reader {
        context,
        table,
        path,
        known: Vec::new(),
        findings,
    };
    section.describe(&mut reader);
    reader.refuse_unknown();
}

struct Reader<'a> {
    context: Context<'a>,
    table: &'a DeTable<'a>,
    path: &'a str,
    known: Vec<&'static str>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn path_of(&self, name: &str) -> String {
        match self.path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn place<T>(&self, at: &Spanned<T>) -> Place {
        Place {
            document: self.context.index,
            span: at.span(),
        }
    }

    fn fault<T>(&mut self, at: &Spanned<T>, message: String) {
        let place = self.place(at);
        self.findings.fault(place, message);
    }

    fn wrong_type(&mut self, expected: &str, found: &Spanned<DeValue<'_>>) {
        let kind = kind_of(found.get_ref());
        self.fault(found, format!("expected {expected}, found {kind}"));
    }

    fn read_slot(&mut self, path: &str, slot: &mut dyn Slot, value: &Spanned<DeValue<'_>>) {
        let mut faults = Faults::default();
        match self.context.document.variable_text(path) {
            Some(text) if slot.is_text() && !value.get_ref().is_str() => {
                slot.read(&text, &mut faults)
            }
            _ => slot.read(value, &mut faults),
        }
        for (span, message) in faults.0 {
            self.fault(&Spanned::new(span, ()), message);
        }
        self.findings.wrote(path, self.place(value));
    }

    fn read_section(
        &mut self,
        path: &str,
        section: &mut dyn Section,
        value: &Spanned<DeValue<'_>>,
    ) {
        let DeValue::Table(table) = value.get_ref() else {
            return self.wrong_type(&format!("a table, `[{path}]`"), value);
        };
        if self.findings.place(path).is_none() {
            section.written();
        }
        self.findings.wrote(path, self.place(value));
        read_table(section, table, path, self.context, self.findings);
    }

    fn read_list(&mut self, path: &str, list: &mut dyn TableList, items: &DeArray<'_>) {
        let mut seen: Vec<&str> = Vec::new();
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                self.wrong_type(&format!("a table, `[[{path}]]`"), item);
                continue;
            };
            let key = list.identity_key();
            let Some(DeValue::String(identity)) = table.get(key).map(Spanned::get_ref) else {
                if !table.contains_key(key) {
                    self.fault(item, format!("this entry of `{path}` lacks its `{key}`"));
                }
                // Its other keys can be wrong too; nobody will see the values.
                self.read_section(&format!("{path}[]"), &mut *list.example(), item);
                continue;
            };
            if seen.contains(&identity.as_ref()) {
                let message = format!("another entry of `{path}` has the {key} `{identity}` too");
                self.fault(&table[key], message);
            }
            seen.push(identity);
            let entry = list.entry(identity);
            self.read_section(&format!("{path}[{identity}]"), entry, item);
        }
    }

    fn refuse_unknown(&mut self) {
        for (key, _) in self.table.iter() {
            if self.known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let hint = self.hint(key.get_ref());
            self.fault(key, format!("unknown key `{}`{hint}", key.get_ref()));
        }
    }

    /// What may have been meant: a key of this table, or the same key of another one.
    fn hint(&self, key: &str) -> String {
        if let Some(guess) = nearest(key, self.known.iter().copied()) {
            return format!("; did you mean `{guess}`?");
        }
        match self.context.known_keys.only_table_with(key) {
            Some("") => "; it stands above the first table".to_owned(),
            Some(table) => format!("; it belongs into `[{table}]`"),
            None if self.known.len() <= KEYS_LISTED => {
                format!("; known here: {}", self.known.join(", "))
            }
            None => String::new(),
        }
    }
}

impl Keys for Reader<'_> {
    fn slot(&mut self, name: &'static str, slot: &mut dyn Slot, _help: &'static str) {
        self.known.push(name);
        if let Some(value) = self.table.get(name) {
            self.read_slot(&self.path_of(name), slot, value);
        }
    }

    fn table(&mut self, name: &'static str, section: &mut dyn Section, _help: &'static str) {
        self.known.push(name);
        if let Some(value) = self.table.get(name) {
            self.read_section(&self.path_of(name), section, value);
        }
    }

    fn optional(&mut self, name: &'static str, table: &mut dyn OptionalTable, _help: &'static str) {
        self.known.push(name);
        if let Some(value) = self.table.get(name) {
            self.read_section(&self.path_of(name), table.make(), value);
        }
    }

    fn list(&mut self, name: &'static str, list: &mut dyn TableList, _help: &'static str) {
        self.known.push(name);
        let Some(value) = self.table.get(name) else {
            return;
        };
        let path = self.path_of(name);
        match value.get_ref() {
            DeValue::Array(items) => self.read_list(&path, list, items),
            _ => self.wrong_type(&format!("an array of tables, `[[{path}]]`"), value),
        }
    }

    fn alias(&mut self, name: &'static str, path: &'static str, slot: &mut dyn Slot) {
        self.known.push(name);
        let Some(value) = self.table.get(name) else {
            return;
        };
        let twice = self
            .findings
            .place(path)
            .is_some_and(|place| place.document == self.context.index);
        if twice {
            let message = format!("this is the same key as `{path}`, which is written too");
            return self.fault(value, message);
        }
        self.read_slot(path, slot, value);
    }
}
