//! The JSON schema of the configuration, for editors.

use serde_json::{Map, Value, json};

use super::section::{Keys, OptionalTable, Section, Slot, TableList};

/// The schema of `root`, with its values as defaults.
pub(super) fn schema(root: &mut dyn Section) -> Value {
    let mut schema = object(root);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("sync-daemon.toml");
    schema
}

fn object(section: &mut dyn Section) -> Value {
    // Whoever looks into the schema is about to write the table.
    section.written();
    let mut properties = Properties::default();
    section.describe(&mut properties);
    json!({ "type": "object", "additionalProperties": false, "properties": properties.0 })
}

#[derive(Default)]
struct Properties(Map<String, Value>);

impl Properties {
    fn add(&mut self, name: &str, mut schema: Value, help: &str) {
        schema["description"] = json!(help);
        self.0.insert(name.to_owned(), schema);
    }
}

impl Keys for Properties {
    fn slot(&mut self, name: &'static str, slot: &mut dyn Slot, help: &'static str) {
        let mut schema = slot.schema();
        let default = json!(slot.value());
        // An empty text stands for "not set", or for a key without default.
        if default != json!("") {
            schema["default"] = default;
        }
        self.add(name, schema, help);
    }

    fn table(&mut self, name: &'static str, section: &mut dyn Section, help: &'static str) {
        self.add(name, object(section), help);
    }

    fn optional(&mut self, name: &'static str, table: &mut dyn OptionalTable, help: &'static str) {
        self.add(name, object(&mut *table.blank()), help);
    }

    fn list(&mut self, name: &'static str, list: &mut dyn TableList, help: &'static str) {
        let mut element = object(&mut *list.blank());
        element["required"] = json!([list.identity_key()]);
        self.add(name, json!({ "type": "array", "items": element }), help);
    }

    fn alias(&mut self, name: &'static str, path: &'static str, slot: &mut dyn Slot) {
        self.add(name, slot.schema(), &format!("The same as {path}"));
    }
}
