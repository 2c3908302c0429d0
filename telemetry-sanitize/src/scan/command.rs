//! Passwords in the short options of well-known programs. (Long options such
//! as `--password x` are found by their names.)

use std::ops::Range;

use super::Scan;
use crate::mask::is_harmless;
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};

/// How a program takes its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `-pPASSWORD`, in one word.
    Joined,
    /// `-p PASSWORD` or `-pPASSWORD`.
    Password,
    /// `-a PASSWORD`.
    Auth,
    /// `-w PASSWORD`.
    Bind,
    /// `-u USER:PASSWORD`.
    User,
    /// `-U USER%PASSWORD`.
    Share,
    /// `-P PASSWORD`.
    Archive,
    /// `-k PASSWORD`.
    Key,
    /// `-A PASSWORD` (and `-X PASSWORD`).
    Snmp,
    /// `-X PASSWORD`.
    SnmpPrivacy,
    /// `-c PASSWORD`.
    Community,
    /// `-b NAME=VALUE`.
    Cookie,
    /// `-u USER,PASSWORD`.
    Comma,
}

impl Program {
    /// The option, and what divides user and password in its value.
    fn option(self) -> (u8, Option<u8>) {
        match self {
            Self::Joined | Self::Password => (b'p', None),
            Self::Auth => (b'a', None),
            Self::Bind => (b'w', None),
            Self::User => (b'u', Some(b':')),
            Self::Share => (b'U', Some(b'%')),
            Self::Archive => (b'P', None),
            Self::Key => (b'k', None),
            Self::Snmp => (b'A', None),
            Self::SnmpPrivacy => (b'X', None),
            Self::Community => (b'c', None),
            Self::Cookie => (b'b', Some(b'=')),
            Self::Comma => (b'u', Some(b',')),
        }
    }
}

/// The programs by name.
pub(crate) const PROGRAMS: &[(&str, Program)] = &[
    ("mysql", Program::Joined),
    ("mariadb", Program::Joined),
    ("sshpass", Program::Password),
    ("docker login", Program::Password),
    ("podman login", Program::Password),
    ("helm registry login", Program::Password),
    ("mongosh", Program::Password),
    ("mongodump", Program::Password),
    ("az login", Program::Password),
    ("sqlcmd", Program::Password),
    ("mongo ", Program::Password),
    ("7z ", Program::Joined),
    ("zip ", Program::Archive),
    ("sqlcmd", Program::Archive),
    ("bcp ", Program::Archive),
    ("ipmitool", Program::Archive),
    ("openssl enc", Program::Key),
    ("snmpwalk", Program::Snmp),
    ("snmpwalk", Program::SnmpPrivacy),
    ("snmpwalk", Program::Community),
    ("snmpget", Program::Snmp),
    ("snmpget", Program::SnmpPrivacy),
    ("snmpget", Program::Community),
    ("lftp", Program::Comma),
    ("curl", Program::Cookie),
    ("redis-cli", Program::Auth),
    ("ldapsearch", Program::Bind),
    ("ldapmodify", Program::Bind),
    ("ldapadd", Program::Bind),
    ("curl", Program::User),
    ("wget", Program::User),
    ("smbclient", Program::Share),
];

/// How far from its name a program's options are looked for.
const REACH: usize = 256;

/// Looks for the option behind the program's name at `hit`.
pub(super) fn look(scan: &mut Scan<'_, '_>, program: Program, hit: Range<usize>) {
    let is_word = !scan.text.before(hit.start).is_ascii_alphanumeric();
    let is_unzip = program == Program::Archive && scan.text.ends_with(hit.start, "un");
    if !is_word && !is_unzip {
        return;
    }
    let limit = scan.text.line_end(hit.end).min(hit.end + REACH);
    let mut at = hit.end;
    while let Some(option) = next_option(&scan.text, at, limit) {
        if let Some(value) = value_of(&scan.text, program, option) {
            if let Some(password) = password(&scan.text, program, value, limit) {
                scan.redact(password, Kind::CommandPassword);
            }
            return;
        }
        at = option + 1;
    }
}

/// The next `-` that starts a word and is not doubled.
fn next_option(text: &Text<'_>, from: usize, limit: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at = text.run(at, limit, |byte| byte != b'-');
        if at >= limit || matches!(text.at(at), b'|' | b';') {
            return None;
        }
        let starts = is_blank(text.before(at)) || is_quote(text.before(at));
        let is_long = text.has(at, "--user ") || text.has(at, "--proxy-user ");
        if starts && (text.at(at + 1) != b'-' || is_long) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where the value of the option at `at` starts, if it is the program's option
/// for passwords.
fn value_of(text: &Text<'_>, program: Program, at: usize) -> Option<usize> {
    let (letter, _) = program.option();
    let long = ["--user", "--proxy-user"]
        .iter()
        .find(|name| text.has(at, name));
    let long = long.filter(|_| program == Program::User);
    if text.at(at + 1) != letter && long.is_none() {
        return None;
    }
    let name_end = at + long.map_or(2, |name| name.len());
    if program == Program::Joined {
        return Some(name_end + usize::from(is_quote(text.at(name_end))));
    }
    Some(text.run(name_end, name_end + 8, |byte| {
        is_blank(byte) || is_quote(byte) || matches!(byte, b',' | b'=')
    }))
}

fn password(text: &Text<'_>, program: Program, value: usize, limit: usize) -> Option<Range<usize>> {
    let opening = text.before(value);
    let end = if is_quote(opening) {
        text.run(value, limit, |byte| byte != opening)
    } else {
        text.run(value, limit, |byte| {
            !is_blank(byte) && !is_quote(byte) && byte != b'\\'
        })
    };
    let (_, divider) = program.option();
    let start = match divider {
        Some(divider) => text.run(value, end, |byte| byte != divider) + 1,
        None => value,
    };
    let is_secret = start < end && !is_harmless(text.slice(start..end)) && text.at(start) != b'-';
    is_secret.then_some(start..end)
}
