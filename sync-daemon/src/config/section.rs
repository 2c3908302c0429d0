//! The description of a table: its keys in order, each with its kind of value and a sentence.
//!
//! A [`Section`] describes itself once. Reading, showing, the commented default file and the JSON schema are visitors ([`Keys`]) of the
//! same description, so a key cannot be read but not shown, or documented but unknown.

use toml::Spanned;
use toml::de::DeValue;

use super::slot::Faults;

/// A table of the configuration.
pub(crate) trait Section {
    /// Visits every key: plain keys first, tables after them, as TOML wants them written.
    fn describe(&mut self, keys: &mut dyn Keys);

    /// Called when the first layer that contains this table is read, before its keys: for defaults that hold only where the table is written.
    fn written(&mut self) {}
}

/// A visitor of a table's keys. `help` is a sentence for the commented default file, without a full stop.
pub(crate) trait Keys {
    /// A key with a value; descriptions call `key`, which takes the slot by value.
    fn slot(&mut self, name: &'static str, slot: &mut dyn Slot, help: &'static str);
    /// A table that always exists.
    fn table(&mut self, name: &'static str, section: &mut dyn Section, help: &'static str);
    /// A table whose absence means something.
    fn optional(&mut self, name: &'static str, table: &mut dyn OptionalTable, help: &'static str);
    /// An array of tables, told apart by one of their keys.
    fn list(&mut self, name: &'static str, list: &mut dyn TableList, help: &'static str);
    /// A second name for the key at `path`; read, but never written.
    fn alias(&mut self, name: &'static str, path: &'static str, slot: &mut dyn Slot);
}

impl dyn Keys + '_ {
    /// A key with a value.
    pub(crate) fn key(&mut self, name: &'static str, mut slot: impl Slot, help: &'static str) {
        self.slot(name, &mut slot, help);
    }
}

/// Where a value goes to, with its type and its check.
pub(crate) trait Slot {
    /// Stores the value, or says what is wrong with it and changes nothing.
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults);
    /// The present value.
    fn value(&self) -> toml::Value;
    /// The JSON schema of the values that `read` takes, as far as JSON schema can say it.
    fn schema(&self) -> serde_json::Value;
    /// Whether the value is written as a string; an environment variable's text is then taken as it stands.
    fn is_text(&self) -> bool {
        false
    }
}

/// A table that may be absent.
pub(crate) trait OptionalTable {
    /// The table, if it was written.
    fn present(&mut self) -> Option<&mut dyn Section>;
    /// The table, made if need be.
    fn make(&mut self) -> &mut dyn Section;
    /// The table before anything is written.
    fn blank(&self) -> Box<dyn Section>;
    /// A filled-in table for documentation.
    fn example(&self) -> Box<dyn Section>;
}

impl<T: Section + Example + Default + 'static> OptionalTable for Option<T> {
    fn present(&mut self) -> Option<&mut dyn Section> {
        self.as_mut().map(|table| table as &mut dyn Section)
    }

    fn make(&mut self) -> &mut dyn Section {
        self.get_or_insert_default()
    }

    fn blank(&self) -> Box<dyn Section> {
        Box::new(T::default())
    }

    fn example(&self) -> Box<dyn Section> {
        Box::new(T::example())
    }
}

/// A section that can show how it is filled in.
pub(crate) trait Example {
    /// Plausible values, all of them valid together.
    fn example() -> Self;
}

/// An element of an array of tables.
pub(crate) trait Listed: Section + Example + Default {
    /// The key that tells the elements apart.
    const IDENTITY: &'static str;
    /// The value of that key.
    fn identity(&self) -> &str;
}

/// An array of tables.
pub(crate) trait TableList {
    /// The key that tells the elements apart.
    fn identity_key(&self) -> &'static str;
    /// The element of that identity from an earlier layer, or a new one at the end.
    fn entry(&mut self, identity: &str) -> &mut dyn Section;
    /// The elements with their identities.
    fn entries(&mut self) -> Vec<(String, &mut dyn Section)>;
    /// An element with the defaults of its keys.
    fn blank(&self) -> Box<dyn Section>;
    /// A filled-in element for documentation.
    fn example(&self) -> Box<dyn Section>;
}

impl<T: Listed + 'static> TableList for Vec<T> {
    fn identity_key(&self) -> &'static str {
        T::IDENTITY
    }

    fn entry(&mut self, identity: &str) -> &mut dyn Section {
        let known = self.iter().position(|entry| entry.identity() == identity);
        let index = known.unwrap_or_else(|| {
            self.push(T::default());
            self.len() - 1
        });
        &mut self[index]
    }

    fn entries(&mut self) -> Vec<(String, &mut dyn Section)> {
        let named = |entry: &T| entry.identity().to_owned();
        self.iter_mut()
            .map(|entry| (named(entry), entry as &mut dyn Section))
            .collect()
    }

    fn blank(&self) -> Box<dyn Section> {
        Box::new(T::default())
    }

    fn example(&self) -> Box<dyn Section> {
        Box::new(T::example())
    }
}
