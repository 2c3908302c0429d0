//! The laws of `fuzz/laws.rs`, on known texts that are changed by chance.

#[path = "../fuzz/laws.rs"]
mod laws;

use std::io::Write as _;

use laws::Laws;
use telemetry_sanitize::Sanitizer;

/// Set by `cargo xtask check --long`.
const LONG_VARIABLE: &str = "SYNC_DAEMON_LONG";
const ROUNDS: u64 = 2_000;
const LONG_ROUNDS: u64 = 100 * ROUNDS;

/// Texts that broke a law once.
const KNOWN: &[&str] = &[
    "",
    "\0",
    "\u{feff}password=\u{301}x",
    "Authorization: Digest username=[",
    "bearer of ",
    "{\"n; Ctoken=Token{a64f992 ActivityRecord{de9231d u0 com.example/.Main t761}}OOKIE: {h:32} (good)ame\":\"{UK}\",\"value\":\"{pwq}\"}",
    "xfreerdp /v:host /u:bob /p:",
    "/Users/Shar👩4111 1111 1111 1111\u{200d}💻ed/x",
];

/// What rules look for, and what stands between.
#[rustfmt::skip] // A list of words, not one a line.
const PIECES: &[&str] = &[
    "password", "token", "api_key", "Authorization", "Cookie: ", "Bearer ", "Basic ", "=", ": ", "\"", "'", "`", "\\", "\\\"",
    "\\\\\"", "%22", "%3D", "&quot;", "\\u0022", ",", ";", "&", "|", "(", ")", "[", "]", "{", "}", "<", ">", "\n", "\r\n", "\\n",
    "://", "@", "/home/bob", "/Users/", "C:\\Users\\", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----",
    "eyJhbGciOiJI", "ghp_", "AKIA", "4111 1111 1111 1111", "IDENTIFIED BY ", "mysql -p", "[REDACTED:password]", "[REDACTED:",
    "[REDACTED:token:1f3a]", "~", "8Q~", "value", "is ", "hunter2", "a1B2c3D4e5F6g7H8", "TCK-1234", "/srv/data", "employee_id", "é",
    "密", "\u{0}", "\u{301}", "👩‍💻", " ",
];

/// Numbers that look drawn at random, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A place between two characters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn change(&mut self, text: &mut String, seeds: &[&str]) {
        let (first, second) = (self.place(text), self.place(text));
        let (start, end) = (first.min(second), first.max(second));
        match self.below(8) {
            0 => text.replace_range(start..end, ""),
            1 => {
                let piece = String::from(&text[start..end]);
                text.insert_str(start, &piece);
            }
            2 => text.truncate(start),
            3 => text.insert_str(start, self.pick(seeds)),
            4 => *text = serde_json::to_string(text).expect("a string"),
            5 => text.replace_range(start..end, &text[start..end].to_ascii_uppercase()),
            _ => text.insert_str(start, self.pick(PIECES)),
        }
        let longest = 200 + self.below(2_000);
        if let Some(cut) = (0..=longest).rev().find(|&at| text.is_char_boundary(at)) {
            text.truncate(cut);
        }
    }
}

#[test]
fn the_laws_hold_for_texts_changed_by_chance() {
    let (rounds, seed) = match std::env::var_os(LONG_VARIABLE) {
        Some(_) => (LONG_ROUNDS, u64::from(std::process::id()) << 20 | 1),
        None => (ROUNDS, 0x2545_f491_4f6c_dd1d),
    };
    let rules = Sanitizer::rules();
    let examples = rules
        .iter()
        .flat_map(|rule| rule.vanish.iter().chain(rule.survive));
    let corpora = [
        include_str!("corpus/secrets.txt"),
        include_str!("corpus/harmless.txt"),
        include_str!("corpus/paths.txt"),
    ];
    let lines = corpora.iter().flat_map(|corpus| corpus.lines());
    let seeds: Vec<&str> = examples.copied().chain(lines).collect();

    let laws = Laws::new();
    KNOWN.iter().for_each(|text| laws.check(text));
    let _ = writeln!(std::io::stdout(), "seed {seed}");
    let mut chance = Chance(seed);
    for _ in 0..rounds {
        let mut text = chance.pick(&seeds).replace(['«', '»'], "");
        for _ in 0..=chance.below(6) {
            chance.change(&mut text, &seeds);
        }
        laws.check(&text);
    }
}
