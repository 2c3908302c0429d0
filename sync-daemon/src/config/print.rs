//! Writes a configuration as TOML: with explanations for `config init`, or with origins for `config show`.

use std::fmt::Write as _;

use super::error::printable;
use super::origin::Origins;
use super::section::{Keys, OptionalTable, Section, Slot, TableList};

/// What is written besides the values.
#[derive(Clone, Copy)]
pub(super) enum Remarks<'a> {
    /// Nothing.
    None,
    /// Where each value comes from.
    Origins(&'a Origins),
    /// A sentence for each key, and an example for each table that is not there.
    Help,
}

/// Keys whose default depends on who runs the daemon: the default file must not pin them.
const NOT_PINNED: [&str; 1] = ["daemon.state_dir"];

/// The tables of `root` as a TOML document.
pub(super) fn document(root: &mut dyn Section, remarks: Remarks<'_>) -> String {
    Printer::print(root, String::new(), String::new(), remarks)
}

/// Writes one table: TOML wants its own keys before the tables inside it.
struct Printer<'a> {
    remarks: Remarks<'a>,
    /// The table's name as a header says it.
    header: String,
    /// The table's name as [`Origins`] says it, with identities in brackets.
    path: String,
    keys: String,
    tables: String,
}

impl<'a> Printer<'a> {
    /// The body of a table, without its header.
    fn print(
        section: &mut dyn Section,
        header: String,
        path: String,
        remarks: Remarks<'a>,
    ) -> String {
        let mut printer = Self {
            remarks,
            header,
            path,
            keys: String::new(),
            tables: String::new(),
        };
        section.describe(&mut printer);
        printer.keys + &printer.tables
    }

    fn add_table(
        &mut self,
        brackets: (&str, &str),
        path: String,
        header: String,
        section: &mut dyn Section,
        help: &str,
    ) {
        let (open, close) = brackets;
        let body = Self::print(section, header.clone(), path, self.remarks);
        self.tables.push('\n');
        if let Remarks::Help = self.remarks {
            self.add_help(help);
        }
        self.tables += &format!("{open}{header}{close}\n{body}");
    }

    fn add_help(&mut self, help: &str) {
        self.tables += &format!("# {help}\n");
    }

    /// An example that takes part in nothing: each line is a comment.
    fn add_example(
        &mut self,
        brackets: (&str, &str),
        header: String,
        mut example: Box<dyn Section>,
        help: &str,
    ) {
        if let Remarks::Help = self.remarks {
            let (open, close) = brackets;
            let body = Self::print(&mut *example, header.clone(), header.clone(), self.remarks);
            self.tables.push('\n');
            self.add_help(help);
            self.tables += &commented(&format!("{open}{header}{close}\n{body}"));
        }
    }
}

const TABLE: (&str, &str) = ("[", "]");
const ELEMENT: (&str, &str) = ("[[", "]]");

impl Keys for Printer<'_> {
    fn slot(&mut self, name: &'static str, slot: &mut dyn Slot, help: &'static str) {
        let line = format!("{name} = {}", slot.value());
        let header = joined(&self.header, name);
        let _ = match self.remarks {
            Remarks::None => writeln!(self.keys, "{line}"),
            Remarks::Origins(origins) => {
                let origin = origins.of(&joined(&self.path, name));
                writeln!(self.keys, "{line:<48} # {}", printable(&origin.to_string()))
            }
            Remarks::Help => {
                let off = if NOT_PINNED.contains(&header.as_str()) {
                    "#"
                } else {
                    ""
                };
                writeln!(self.keys, "# {}\n{off}{line}", help)
            }
        };
    }

    fn table(&mut self, name: &'static str, section: &mut dyn Section, help: &'static str) {
        let (path, header) = (joined(&self.path, name), joined(&self.header, name));
        self.add_table(TABLE, path, header, section, help);
    }

    fn optional(&mut self, name: &'static str, table: &mut dyn OptionalTable, help: &'static str) {
        let example = table.example();
        match table.present() {
            Some(section) => self.table(name, section, help),
            None => self.add_example(TABLE, joined(&self.header, name), example, help),
        }
    }

    fn list(&mut self, name: &'static str, list: &mut dyn TableList, help: &'static str) {
        let header = joined(&self.header, name);
        let example = list.example();
        let entries = list.entries();
        if entries.is_empty() {
            self.add_example(ELEMENT, header.clone(), example, help);
        }
        for (identity, entry) in entries {
            let path = format!("{}[{identity}]", joined(&self.path, name));
            self.add_table(ELEMENT, path, header.clone(), entry, help);
        }
    }

    fn alias(&mut self, _name: &'static str, _path: &'static str, _slot: &mut dyn Slot) {}
}

fn joined(table: &str, name: &str) -> String {
    match table {
        "" => name.to_owned(),
        table => format!("{table}.{name}"),
    }
}

/// Comments stay, and TOML gets a `#` without a space, so that it can be told from prose.
fn commented(text: &str) -> String {
    let comment = |line: &str| match line {
        "" => "\n".to_owned(),
        line if line.starts_with('#') => format!("{line}\n"),
        line => format!("#{line}\n"),
    };
    text.lines().map(comment).collect()
}
