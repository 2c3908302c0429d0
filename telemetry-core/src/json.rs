//! The JSON line of a record.
//!
//! Two things make it cheap. What a callsite always writes (keys, level,
//! target, module, file, line) is rendered once and copied; so is the span of
//! the record before, since events come in runs. And a [`Line`] encodes a
//! record when the first sink asks for it, and shares the text with the others.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use tracing::Metadata;

use crate::identity::Identity;
use crate::record::{Field, Record, Role, Value};
use crate::span::Span;

/// Space for the JSON of one record at a time, encoded at first use.
#[derive(Default)]
pub(crate) struct Line {
    encoded: OnceCell<String>,
    /// The buffer of the record before, to be used again.
    spare: Cell<String>,
    encoder: RefCell<Encoder>,
}

impl Line {
    /// The JSON of `record`, which must be the one this line stands for.
    pub(crate) fn get(&self, record: &Record<'_>) -> &str {
        self.encoded.get_or_init(|| {
            let mut out = self.spare.take();
            out.clear();
            self.encoder.borrow_mut().encode(&mut out, record);
            out
        })
    }

    /// Makes room for the next record.
    pub(crate) fn reset(&mut self) {
        if let Some(text) = self.encoded.take() {
            self.spare.set(text);
        }
    }
}

/// Encodes records; remembers what callsites and spans always look like.
pub(crate) struct Encoder {
    clock: Clock,
    sites: Sites,
    /// The span encoded last; holding it keeps its address from being reused.
    span: Option<Arc<Span>>,
    spans: String,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            clock: Clock::after(r#"{"timestamp":""#),
            sites: Sites::default(),
            span: None,
            spans: String::new(),
        }
    }
}

impl Encoder {
    pub(crate) fn encode(&mut self, out: &mut String, record: &Record<'_>) {
        if let Some(span) = record.span {
            self.remember_spans(span);
        }
        let identity = record.head.identity;
        let site = self.sites.get(record.metadata());
        self.clock.push(out, record.unix_nanos());
        if record.head.bridged {
            push_head(out, record.level().as_str(), record.target());
        } else {
            out.push_str(&site.head);
        }
        push_text(out, record.message());
        out.push_str(r#"","fields":{"#);
        let plain = record.fields.iter().filter(|f| f.role == Role::Plain);
        site.push_fields(out, plain.map(|field| (field, field.value(record.text))));
        match record.span {
            Some(_) => out.push_str(&self.spans),
            None => out.push('}'),
        }
        if record.head.bridged {
            push_place(out, record.module_path(), record.file(), record.line());
            out.push_str(identity.json());
        } else {
            out.push_str(site.end(identity));
        }
        push_integer(out, record.seq);
        out.push('}');
    }

    /// Renders `},"spans":[…]`, outermost first, if it is not there already.
    fn remember_spans(&mut self, innermost: &Arc<Span>) {
        let is_last = |last: &Arc<Span>| Arc::ptr_eq(last, innermost);
        if self.span.as_ref().is_some_and(is_last) {
            return;
        }
        let mut chain = vec![innermost];
        while let Some(parent) = chain[chain.len() - 1].parent() {
            chain.push(parent);
        }
        let out = &mut self.spans;
        out.clear();
        let mut before = r#"},"spans":[{"name":"#;
        for span in chain.iter().rev() {
            out.push_str(std::mem::replace(&mut before, r#",{"name":"#));
            push_string(out, span.name());
            out.push_str(r#","fields":{"#);
            let site = self.sites.get(span.metadata());
            site.push_fields(out, span.fields());
            out.push_str("}}");
        }
        out.push(']');
        self.span = Some(Arc::clone(innermost));
    }
}

/// Callsites of events and spans by their address, which is theirs for ever.
#[derive(Default)]
struct Sites {
    sites: Vec<Site>,
    places: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
    /// Address and place of the callsite asked for last: events come in runs.
    last: (usize, usize),
}

impl Sites {
    #[inline]
    fn get(&mut self, meta: &'static Metadata<'static>) -> &mut Site {
        let address = std::ptr::from_ref(meta).addr();
        if self.last.0 != address {
            self.last = (address, self.find(address, meta));
        }
        &mut self.sites[self.last.1]
    }

    fn find(&mut self, address: usize, meta: &Metadata<'_>) -> usize {
        *self.places.entry(address).or_insert_with(|| {
            self.sites.push(Site::new(meta));
            self.sites.len() - 1
        })
    }
}

/// What a callsite always writes.
struct Site {
    /// From the end of the time to the first character of the message.
    head: String,
    /// Module, file and line.
    place: String,
    /// The place and the identity behind it, from there to the number.
    end: String,
    /// The identity in `end`: nearly every process has only one.
    ends_with: Option<Identity>,
    /// The keys of the field set, as `,"name":"`: a number leaves out the last
    /// quote, and the first field the comma.
    keys: Vec<String>,
}

impl Site {
    fn new(meta: &Metadata<'_>) -> Self {
        let mut head = String::new();
        push_head(&mut head, meta.level().as_str(), meta.target());
        let mut place = String::new();
        push_place(&mut place, meta.module_path(), meta.file(), meta.line());
        let mut keys: Vec<String> = Vec::new();
        for field in meta.fields() {
            // A macro may name a field twice; an object may not.
            let key = (1..)
                .map(|nth| key(field.name(), nth))
                .find(|key| !keys.contains(key));
            keys.extend(key);
        }
        Self {
            head,
            place,
            end: String::new(),
            ends_with: None,
            keys,
        }
    }

    #[inline]
    fn end(&mut self, identity: Identity) -> &str {
        if self.ends_with.is_none_or(|known| !known.is(identity)) {
            self.ends_with = Some(identity);
            self.end = format!("{}{}", self.place, identity.json());
        }
        &self.end
    }

    /// The entries of a `fields` object.
    #[inline]
    fn push_fields<'a>(
        &self,
        out: &mut String,
        fields: impl Iterator<Item = (&'a Field, Value<'a>)>,
    ) {
        let mut comma = 1;
        for (field, value) in fields {
            let Some(key) = self.keys.get(field.index()) else {
                push_renamed(out, comma == 1, field.name(), value);
                comma = 0;
                continue;
            };
            if let Value::Text(text) = value {
                out.push_str(&key[comma..]);
                push_text(out, text);
                out.push('"');
            } else {
                out.push_str(&key[comma..key.len() - 1]);
                push_value(out, value);
            }
            comma = 0;
        }
    }
}

/// An entry whose name is none of its callsite's.
#[cold]
fn push_renamed(out: &mut String, is_first: bool, name: &str, value: Value<'_>) {
    if !is_first {
        out.push(',');
    }
    push_string(out, name);
    out.push(':');
    push_value(out, value);
}

fn key(name: &str, nth: u32) -> String {
    let mut key = String::from(",");
    if nth == 1 {
        push_string(&mut key, name);
    } else {
        push_string(&mut key, &format!("{name}_{nth}"));
    }
    key.push_str(":\"");
    key
}

fn push_head(out: &mut String, level: &str, target: &str) {
    out.push_str(r#"Z","level":""#);
    out.push_str(level);
    out.push_str(r#"","target":"#);
    push_string(out, target);
    out.push_str(r#","message":""#);
}

fn push_place(out: &mut String, module: Option<&str>, file: Option<&str>, line: Option<u32>) {
    if let Some(module) = module {
        out.push_str(r#","module_path":"#);
        push_string(out, module);
    }
    if let Some(file) = file {
        out.push_str(r#","file":"#);
        push_string(out, without_build_directory(file));
    }
    if let Some(line) = line {
        out.push_str(r#","line":"#);
        push_integer(out, line.into());
    }
}

/// Dependencies are compiled by absolute path: keep what names the package,
/// not the home directory of whoever built the program.
pub(crate) fn without_build_directory(file: &str) -> &str {
    let Some((_, in_registry)) = file.split_once("/registry/src/") else {
        return file;
    };
    in_registry
        .split_once('/')
        .map_or(in_registry, |(_, path)| path)
}

#[inline]
fn push_value(out: &mut String, value: Value<'_>) {
    match value {
        Value::I64(number) => out.push_str(itoa::Buffer::new().format(number)),
        Value::U64(number) => push_integer(out, number),
        Value::F64(number) if number.is_finite() => {
            out.push_str(zmij::Buffer::new().format_finite(number));
        }
        // JSON has no word for it; a number that is none must not become one.
        Value::F64(number) => push_string(out, &number.to_string()),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Text(text) => push_string(out, text),
    }
}

fn push_integer(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_text(out, text);
    out.push('"');
}

/// Appends what stands between the quotes of a JSON string.
#[inline]
fn push_text(out: &mut String, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push_str(text);
    } else {
        push_escaped(out, text);
    }
}

#[cold]
fn push_escaped(out: &mut String, text: &str) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[copied..]);
}

/// True when nothing needs escaping: looks at sixteen bytes at once, since this
/// scan is two fifths of the work of formatting a record.
fn is_plain(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks();
    let mut found = [false; BLOCK];
    for block in blocks {
        mark(&mut found, block);
    }
    if let Some(last) = text.last_chunk() {
        // Some of its bytes were looked at before: cheaper than one at a time.
        mark(&mut found, last);
    } else {
        let mut short = [b' '; BLOCK];
        short[..rest.len()].copy_from_slice(rest);
        mark(&mut found, &short);
    }
    found == [false; BLOCK]
}

/// As many bytes as every processor compares with one instruction.
const BLOCK: usize = 16;

/// Marks the places of bytes that need escaping.
#[inline]
fn mark(found: &mut [bool; BLOCK], bytes: &[u8; BLOCK]) {
    for (found, &byte) in found.iter_mut().zip(bytes) {
        *found |= (byte < b' ') | (byte == b'"') | (byte == b'\\');
    }
}

/// Renders times; remembers the second rendered last.
#[derive(Default)]
pub(crate) struct Clock {
    /// What stands before each time.
    before: &'static str,
    second: u64,
    /// `before` and the second.
    text: String,
}

impl Clock {
    /// A clock that writes this text before each time.
    pub(crate) fn after(before: &'static str) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// Appends RFC 3339 in UTC with microseconds, without the `Z`.
    #[inline]
    pub(crate) fn push(&mut self, out: &mut String, unix_nanos: u64) {
        let second = unix_nanos / 1_000_000_000;
        if self.second != second || self.text.is_empty() {
            self.second = second;
            // Nanoseconds in 64 bits reach the year 2554, well inside jiff's range.
            let time = jiff::Timestamp::from_second(second as i64).unwrap_or_default();
            self.text = format!("{}{}", self.before, time.strftime("%Y-%m-%dT%H:%M:%S."));
        }
        out.push_str(&self.text);
        let micros = unix_nanos % 1_000_000_000 / 1_000;
        let mut digits = itoa::Buffer::new();
        // The leading 1 keeps the zeros of the fraction.
        out.push_str(&digits.format(1_000_000 + micros)[1..]);
    }
}

/// Hashes an address: callsites are few and far apart, so one multiplication does.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 << 8 | u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64 >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        push_string(&mut out, text);
        out
    }

    #[test]
    fn strings_survive_a_strict_parser() {
        let every_ascii: String = (0..128u8).map(char::from).collect();
        for text in [
            "",
            "plain text",
            "ü\u{1F600}",
            "a\"b\\c\nd",
            "1234567\"",
            "\u{0}",
            &every_ascii,
        ] {
            let back: String = serde_json::from_str(&escaped(text)).expect("valid JSON");
            assert_eq!(back, text);
        }
    }

    #[test]
    fn the_plain_scan_agrees_with_a_naive_one() {
        for byte in 0..=255u8 {
            for length in [1, 15, 16, 17, 33] {
                for place in 0..length {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    let naive = byte >= b' ' && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), naive, "byte {byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn times_keep_their_zeros_and_roll_over() {
        let mut clock = Clock::default();
        let mut render = |nanos| {
            let mut out = String::new();
            clock.push(&mut out, nanos);
            out
        };
        assert_eq!(render(0), "1970-01-01T00:00:00.000000");
        assert_eq!(render(999_999_999), "1970-01-01T00:00:00.999999");
        assert_eq!(render(1_000_001_000), "1970-01-01T00:00:01.000001");
        assert_eq!(
            render(1_709_208_000_000_000_000),
            "2024-02-29T12:00:00.000000"
        );
    }

    #[test]
    fn the_path_of_the_build_machine_is_left_out() {
        let file = "/home/alice/.cargo/registry/src/index-123/ureq-3.5.2/src/run.rs";
        assert_eq!(without_build_directory(file), "ureq-3.5.2/src/run.rs");
        assert_eq!(without_build_directory("src/main.rs"), "src/main.rs");
    }
}
