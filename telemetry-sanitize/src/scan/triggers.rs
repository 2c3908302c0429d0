//! The literals that a closer look is worth at.

use std::ops::Range;

use super::What;
use super::command::PROGRAMS;
use super::spoken::{PLACES, Place};
use super::sql::CIPHERS;
use crate::names::Names;
use crate::sieve::{Hit, Sieve};
use crate::vendors::VENDORS;

/// What was found, and so who looks closer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trigger {
    /// A piece of a secret name.
    Name,
    /// `=` or `:`, where a name without a literal piece is denied.
    Delimiter,
    /// `Bearer` or `Basic`.
    Scheme,
    /// `://`, plain or percent-encoded.
    Url,
    /// The address of an Oracle database.
    Oracle,
    /// The prefix (by index) of a vendor (by index).
    Vendor(u8, u8),
    /// `eyJ`.
    Jwt,
    /// The first line of a PEM block.
    Pem,
    /// `IDENTIFIED`, of SQL.
    Identified,
    /// `VALUES`, of SQL.
    Values,
    /// A function of SQL that takes a key.
    Cipher,
    /// The last line of a PEM block.
    PemEnd,
    /// `kty`, of a JSON web key.
    Jwk,
    /// The private lines of a PuTTY key.
    Putty,
    /// A word of a command or protocol that a secret follows.
    Spoken(Place),
    /// A program that takes passwords on its command line.
    Program(u8),
    /// A directory that home directories lie in.
    Home,
    /// A directory of the user's `roots`.
    Root(u16),
}

/// All literals in one search. Case does not matter to it: who looks closer
/// compares exactly where it does.
pub(crate) struct Triggers {
    sieve: Sieve,
    /// A replacement could be a part of a literal, or hold one that matters.
    join_replacements: bool,
    /// One literal's after the other's.
    triggers: Vec<Trigger>,
    /// Where those of each literal start, and where the last ones end.
    starts: Vec<u16>,
    #[cfg(test)]
    literals: Vec<String>,
    roots: Vec<(String, What)>,
    /// Home directories are looked for.
    pub(super) homes: bool,
}

impl Triggers {
    /// `homes`: look for home directories. `roots` are further directories,
    /// with what to write in their place.
    pub(crate) fn new(names: &Names, homes: bool, roots: Vec<(String, What)>) -> Self {
        let mut all: Vec<(String, Trigger)> = Vec::new();
        let mut add = |literal: &str, trigger| all.push((literal.to_ascii_lowercase(), trigger));
        NAMES.iter().for_each(|piece| add(piece, Trigger::Name));
        add_denied(names, &mut add);
        SCHEMES.iter().for_each(|word| add(word, Trigger::Scheme));
        URLS.iter().for_each(|url| add(url, Trigger::Url));
        for (index, vendor) in VENDORS.iter().enumerate() {
            for (prefix, literal) in vendor.prefixes.iter().enumerate() {
                add(literal, Trigger::Vendor(index as u8, prefix as u8));
            }
        }
        add("eyj", Trigger::Jwt);
        add("-----begin", Trigger::Pem);
        add("-----end", Trigger::PemEnd);
        add("kty\"", Trigger::Jwk);
        add("kty\\", Trigger::Jwk);
        add("private-lines:", Trigger::Putty);
        for (literal, place) in PLACES {
            add(literal, Trigger::Spoken(*place));
        }
        add("oracle:thin:", Trigger::Oracle);
        add("oracle:oci:", Trigger::Oracle);
        add("identified", Trigger::Identified);
        add("values", Trigger::Values);
        CIPHERS.iter().for_each(|name| add(name, Trigger::Cipher));
        for (index, program) in PROGRAMS.iter().enumerate() {
            add(program.name, Trigger::Program(index as u8));
        }
        if homes {
            HOMES.iter().for_each(|home| add(home, Trigger::Home));
        }
        for (index, (root, _)) in roots.iter().enumerate() {
            add(root, Trigger::Root(index as u16));
        }
        // Where a literal is found, its triggers are looked at in the order of above.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut literals: Vec<String> = Vec::new();
        let mut starts = Vec::new();
        for (place, (literal, _)) in all.iter().enumerate() {
            if literals.last() != Some(literal) {
                literals.push(literal.clone());
                starts.push(place as u16);
            }
        }
        starts.push(all.len() as u16);
        let triggers = all.into_iter().map(|(_, trigger)| trigger).collect();
        Self {
            sieve: Sieve::new(&literals),
            join_replacements: literals.iter().any(|literal| joins_replacements(literal)),
            triggers,
            starts,
            #[cfg(test)]
            literals,
            roots,
            homes,
        }
    }

    #[cfg(test)]
    pub(crate) fn literals(&self) -> &[String] {
        &self.literals
    }

    /// The directory with this index, as written.
    pub(super) fn root(&self, index: u16) -> &str {
        &self.roots[usize::from(index)].0
    }

    pub(super) fn root_replacement(&self, index: u16) -> What {
        self.roots[usize::from(index)].1
    }

    /// True when there is none in the text.
    pub(crate) fn is_quiet(&self, text: &str) -> bool {
        let mut hits = Vec::new();
        self.sieve.find(text.as_bytes(), 0..text.len(), &mut hits);
        hits.is_empty()
    }

    /// Notes every trigger from the range on; see [`Sieve::find`].
    #[inline]
    pub(super) fn find(&self, text: &str, range: Range<usize>, hits: &mut Vec<Hit>) {
        self.sieve.find(text.as_bytes(), range, hits);
    }

    /// With `[REDACTED:rule]` or `~` in the place of a finding, a text has no
    /// triggers but those that were in the rest of it.
    /// The bytes `around` stand before and behind it: `~` in the place of a directory
    /// could become `~name/` with what follows.
    pub(super) fn stay_when_replaced(&self, around: [u8; 2], what: What) -> bool {
        let [before, after] = around;
        let starts_name = after.is_ascii_alphabetic() || !after.is_ascii();
        match what {
            What::Root(_) => false,
            What::Home => {
                !self.join_replacements && !before.is_ascii_alphanumeric() && !starts_name
            }
            _ => !self.join_replacements,
        }
    }

    /// What a hit stands for.
    #[inline]
    pub(super) fn of(&self, hit: Hit) -> &[Trigger] {
        let literal = usize::from(hit.literal);
        &self.triggers[usize::from(self.starts[literal])..usize::from(self.starts[literal + 1])]
    }
}

/// Whether the literal could stand partly in a replacement, or be a delimiter
/// inside of one. A `~` behind a letter or digit is looked at where it is written.
fn joins_replacements(literal: &str) -> bool {
    let bytes = literal.as_bytes();
    let is_apart = |pair: &[u8]| pair[1] == b'~' && !pair[0].is_ascii_alphanumeric();
    bytes.len() < 3
        || bytes.iter().any(|byte| matches!(byte, b'[' | b']'))
        || bytes.first() == Some(&b'~')
        || bytes.windows(2).any(is_apart)
}

/// A denied name is found by its longest piece. Where there is none (`*`), each
/// `=` and `:` is looked at.
fn add_denied(names: &Names, add: &mut impl FnMut(&str, Trigger)) {
    let mut everywhere = false;
    for glob in names.denied() {
        match glob.literal() {
            Some(piece) => add(piece, Trigger::Name),
            None => everywhere = true,
        }
    }
    if everywhere {
        add("=", Trigger::Delimiter);
        add(":", Trigger::Delimiter);
    }
}

/// Every built-in secret name contains one of these.
#[rustfmt::skip] // A list of words, not one a line.
const NAMES: &[&str] = &[
    "pass", "pasw", "parola", "heslo", "haslo", "losenord", "salasana", "sifre", "jelszo", "lozinka",
    "adgangskode", "salt", "private\"", "private=", "private:", "pwd", "psw", "pword", "_pw", "-pw",
    ".pw", "pw=", "pw:", "pw ", "pw\"", "secret", "token", "key", "auth", "cookie", "cred", "pin",
    "otp", "cvv", "cvc", "jwt", "psk", "code", "csrf", "xsrf", "session", "appid", "art-api",
    "api-sign", "access-sign", "signature", "sonar.login", "honeycomb", "creditcard", "card", "ssn",
    "social", "ccn", "cc_n", "sig=", "sig\"", "sig:", "hmac", "sessid", "sessionid", "connect.sid",
    "kennwort", "senha", "contrasena", "motdepasse", "wachtwoord", "mnemonic", "seed", "saml",
    "phrase", "bearer", "_pat", "tkn=", "refresh=", "wif:", "wif=", "ntlm", "lmhash", "nthash", "clave",
];

const SCHEMES: &[&str] = &[
    "bearer ",
    "bearer, ",
    "basic ",
    "bearer\\ ",
    "basic\\ ",
    "ssws ",
    "bearer%20",
    "basic%20",
];

const URLS: &[&str] = &["://", "%3a%2f%2f", ":\\/\\/", ":\\u002f\\u002f"];

#[rustfmt::skip] // A list of words, not one a line.
const HOMES: &[&str] = &[
    "/home/", "/homes/", "\\/home\\/", "%2fhome%2f", "/users/", "/users\\", "\\/users\\/", "%2fusers%2f", "\\users\\",
    "\\home\\", "\\home$\\", "\\homes\\", "\\homes$\\", "\\users$\\", "%5cusers%5c", "/var/root",
    "\\profiles\\", "\\profiles$\\", "/run/media/", "/spool/cron/", "/var/mail/", "/spool/mail/", "documents and settings\\", "/root", "\\/root",
    "/media/",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_built_in_literal_could_stand_partly_in_a_replacement() {
        // Else each text with a secret would be searched twice as a whole.
        let triggers = Triggers::new(&Names::default(), true, Vec::new());
        assert!(!triggers.join_replacements);
    }

    #[test]
    fn plain_text_is_quiet() {
        let triggers = Triggers::new(&Names::default(), true, Vec::new());
        assert!(triggers.is_quiet("Backup job completed: 42 files, documents-nightly"));
        assert!(!triggers.is_quiet("Password=x"));
        assert!(!triggers.is_quiet("/home/alice"));
    }
}
