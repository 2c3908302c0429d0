//! Values that fit into collections that others have made.
//!
//! Our own collection takes whatever a record can hold. Of a foreign one the
//! limits are learnt from the server's refusals, and longer values cut, with a
//! mark where something is missing.

use std::collections::BTreeMap;

use serde_json::Value;

/// Stands at the end of a text that was cut.
const MARK: &str = "…[cut]";

/// What is known of the fields of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    fields: BTreeMap<String, Limit>,
}

/// What a field takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Characters of a text.
    Characters(usize),
    /// Bytes of JSON.
    Bytes(usize),
}

/// A limit that a refusal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    field: String,
    limit: Limit,
}

impl Told {
    /// Reads it out of the error of a field, `{code, message, params}`.
    pub(crate) fn of(field: &str, error: &Value) -> Option<Self> {
        let limit = match error.get("code")?.as_str()? {
            "validation_max_text_constraint" => Limit::Characters(number(error, "/params/max")?),
            "validation_json_size_limit" => Limit::Bytes(number(error, "/params/maxSize")?),
            _ => return None,
        };
        let field = field.to_owned();
        Some(Self { field, limit })
    }
}

/// From the parameters; servers up to 0.22 have it in the message only.
fn number(error: &Value, parameter: &str) -> Option<usize> {
    let told = error.pointer(parameter).and_then(Value::as_u64);
    told.or_else(|| {
        let message = error.get("message")?.as_str()?;
        let digits = |c: char| !c.is_ascii_digit();
        let number = message.split(digits).find(|part| !part.is_empty())?;
        number.parse().ok()
    })
    .and_then(|number| usize::try_from(number).ok())
}

impl Limits {
    /// Takes over what a refusal told; whether that is news.
    pub(crate) fn learn(&mut self, told: Told) -> bool {
        self.fields.insert(told.field, told.limit) != Some(told.limit)
    }

    /// Whether nothing has to be cut.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What fits of `json`, a value as it stands in the line; `None` if all of
    /// it does.
    pub(crate) fn fit(&self, field: &str, json: &str) -> Option<String> {
        match *self.fields.get(field)? {
            Limit::Characters(most) => cut_text(json, most),
            Limit::Bytes(most) => cut_json(json, most),
        }
    }
}

fn cut_text(json: &str, most: usize) -> Option<String> {
    // Escapes only make it longer, so most values need no closer look.
    if json.len() <= most {
        return None;
    }
    let text: String = serde_json::from_str(json).ok()?;
    if text.chars().count() <= most {
        return None;
    }
    Some(Value::String(shortened(&text, most)).to_string())
}

fn shortened(text: &str, most: usize) -> String {
    let room = most.saturating_sub(MARK.chars().count());
    if room == 0 {
        // No room for a mark and anything else.
        return text.chars().take(most).collect();
    }
    text.chars().take(room).chain(MARK.chars()).collect()
}

/// The beginning of the JSON, as text; `null` where not even that has room.
fn cut_json(json: &str, most: usize) -> Option<String> {
    if json.len() <= most {
        return None;
    }
    let mut kept = most;
    while kept > 0 {
        let text = Value::String(shortened(json, kept)).to_string();
        let cut = format!(r#"{{"cut":{text}}}"#);
        if cut.len() <= most {
            return Some(cut);
        }
        // Quotes and characters of several bytes took more room than thought.
        kept -= (cut.len() - most).clamp(1, kept);
    }
    Some("null".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(field: &str, error: Value) -> Limits {
        let mut limits = Limits::default();
        assert!(limits.learn(Told::of(field, &error).unwrap()));
        limits
    }

    #[test]
    fn text_is_cut_to_the_characters_that_the_server_named() {
        let error = json!({"code": "validation_max_text_constraint", "params": {"max": 10}});
        let limits = limits("message", error);
        assert_eq!(limits.fit("message", r#""0123456789""#), None);
        let cut = limits.fit("message", r#""äöüß\n5678901""#).unwrap();
        assert_eq!(cut, r#""äöüß…[cut]""#);
        assert_eq!(limits.fit("target", r#""0123456789012""#), None);
    }

    #[test]
    fn limit_stands_in_the_message_of_an_old_server() {
        let error = json!({
            "code": "validation_max_text_constraint",
            "message": "Must be less than 10 character(s)",
        });
        let limits = limits("message", error);
        assert!(limits.fit("message", r#""01234567890""#).is_some());
    }

    #[test]
    fn json_that_is_too_large_becomes_its_beginning() {
        for most in [0, 5, 9, 12, 40, 99] {
            let error = json!({"code": "validation_json_size_limit", "params": {"maxSize": most}});
            let limits = limits("fields", error);
            let fields = json!({"a": "\"\"\"\"äöü".repeat(20)}).to_string();
            let cut = limits.fit("fields", &fields).unwrap();
            assert!(cut.len() <= most || cut == "null", "{cut}");
            serde_json::from_str::<Value>(&cut).unwrap();
        }
    }

    #[test]
    fn what_is_told_twice_is_no_news() {
        let error = json!({"code": "validation_max_text_constraint", "params": {"max": 10}});
        let mut limits = limits("message", error.clone());
        assert!(!limits.learn(Told::of("message", &error).unwrap()));
        assert_eq!(
            Told::of("message", &json!({"code": "validation_required"})),
            None
        );
    }
}
