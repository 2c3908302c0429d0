//! Passwords in the short options and fixed places of well-known programs. (Long
//! options such as `--password x` are found by their names.)
//!
//! A command stands in a text as a shell reads it (`mysql -u root -pX`), or as a
//! list of strings (`["mysql", "-u", "root", "-pX"]`): both are read as words.

use std::ops::Range;

use super::{Scan, bare, shape, string};
use crate::mask::{is_harmless, is_status};
use crate::rules::Kind;
use crate::text::{Text, is_quote};

/// A program that takes a password where its name does not tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// How the text names it, in small letters.
    pub(super) name: &'static str,
    /// The words that must follow: `login` of `docker`.
    after: &'static [&'static str],
    secrets: &'static [Place],
}

/// Where in the words of a command a password stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// `-p PASSWORD` or `-pPASSWORD`.
    Short(u8),
    /// `-pPASSWORD`, in one word: `-p` alone asks for it.
    Joined(&'static str),
    /// Behind this mark in the value of an option: `-u USER:PASSWORD`.
    Pair(&'static [&'static str], u8),
    /// The word behind this one: `-pw PASSWORD`.
    Word(&'static str),
    /// In one word with a slash: `/p:PASSWORD`.
    Slash(&'static str),
    /// The word with this number, options not counted.
    Nth(usize),
    /// The word behind a share: `\\server\share PASSWORD`.
    Share,
    /// Behind `<<<`.
    Here,
    /// Behind this mark in the first word.
    First(u8),
}

const fn program(
    name: &'static str,
    after: &'static [&'static str],
    secrets: &'static [Place],
) -> Program {
    Program {
        name,
        after,
        secrets,
    }
}

use Place::{First, Here, Joined, Nth, Pair, Share, Short, Slash, Word};

/// The programs, in the order of their names.
#[rustfmt::skip] // A table: one line a program.
pub(crate) const PROGRAMS: &[Program] = &[
    program("7z ", &[], &[Joined("-p")]),
    program("7za ", &[], &[Joined("-p")]),
    program("7zr ", &[], &[Joined("-p")]),
    program("7z\"", &[], &[Joined("-p")]),
    program("7z'", &[], &[Joined("-p")]),
    program("aws configure set", &[], &[Word("aws_secret_access_key"), Word("aws_session_token")]),
    program("aws\"", &["configure", "set"], &[Word("aws_secret_access_key"), Word("aws_session_token")]),
    program("aws'", &["configure", "set"], &[Word("aws_secret_access_key"), Word("aws_session_token")]),
    program("az login", &[], &[Short(b'p')]),
    program("az\"", &["login"], &[Short(b'p')]),
    program("az'", &["login"], &[Short(b'p')]),
    program("bcp", &[], &[Short(b'P')]),
    program("beeline", &[], &[Short(b'p')]),
    program("bw login", &[], &[Nth(1)]),
    program("bw unlock", &[], &[Nth(0)]),
    program("bw\"", &["login"], &[Nth(1)]),
    program("bw\"", &["unlock"], &[Nth(0)]),
    program("cargo login", &[], &[Nth(0)]),
    program("cargo\"", &["login"], &[Nth(0)]),
    program("certutil", &[], &[Short(b'p')]),
    program("codecov", &[], &[Short(b't')]),
    program("createuser ", &[], &[Nth(2), Nth(4)]),
    program("cqlsh", &[], &[Short(b'p')]),
    program("cypher-shell", &[], &[Short(b'p')]),
    program("--key-file <(echo", &[], &[Nth(0)]),
    program("curl", &[], &[Pair(&["-u", "--user", "--proxy-user", "-U", "-su", "-sSu", "-ksu", "-sku", "-ku", "-vu", "-iu", "-fsSu"], b':'), Pair(&["-b"], b'=')]),
    program("db2 connect", &[], &[Word("using")]),
    program("docker", &["login"], &[Short(b'p')]),
    program("etcdctl", &[], &[Pair(&["--user"], b':')]),
    program("duo ", &[], &[Word("--skey")]),
    program("ftp ", &[], &[Here]),
    program("gh secret set", &[], &[Word("--body"), Word("-b")]),
    program("gh\"", &["secret", "set"], &[Word("--body"), Word("-b")]),
    program("lftp -e \"open", &[], &[Pair(&["-u"], b',')]),
    program("mc config host add", &[], &[Nth(3)]),
    program("ngrok", &["authtoken"], &[Nth(0)]),
    program("ngrok", &["config", "add-authtoken"], &[Nth(0)]),
    program("npm config set", &[], &[Word("_authToken"), Word("_auth"), Word("_password")]),
    program("osql", &[], &[Short(b'P')]),
    program("rabbitmqadmin", &[], &[Short(b'p')]),
    program("rclone obscure", &[], &[Nth(0)]),
    program("sendemail", &[], &[Word("-xp")]),
    program("signtool", &[], &[Word("/p")]),
    program("sonar-scanner", &[], &[Slash("-Dsonar.login=")]),
    program("yarn config set", &[], &[Word("npmAuthToken")]),
    program("helm registry login", &[], &[Short(b'p')]),
    program("htpasswd", &["-nb"], &[Nth(1)]),
    program("htpasswd", &["-nbB"], &[Nth(1)]),
    program("htpasswd", &["-nBb"], &[Nth(1)]),
    program("htpasswd", &["-Bbn"], &[Nth(1)]),
    program("htpasswd", &["-b"], &[Nth(2)]),
    program("htpasswd", &["-bc"], &[Nth(2)]),
    program("htpasswd", &["-cb"], &[Nth(2)]),
    program("htpasswd", &["-bB"], &[Nth(2)]),
    program("htpasswd", &["-Bb"], &[Nth(2)]),
    program("htpasswd", &["-bBc"], &[Nth(2)]),
    program("htpasswd", &["-cbB"], &[Nth(2)]),
    program("iwconfig", &[], &[Slash("s:")]),
    program("http -a", &[], &[First(b':')]),
    program("http --auth", &[], &[First(b':')]),
    program("http\", \"-a", &[], &[First(b':')]),
    program("http', '-a", &[], &[First(b':')]),
    program("helm\"", &["registry", "login"], &[Short(b'p')]),
    program("hydra", &[], &[Short(b'p')]),
    program("ipmitool", &[], &[Short(b'P')]),
    program("ldapadd", &[], &[Short(b'w')]),
    program("ldapmodify", &[], &[Short(b'w')]),
    program("ldapsearch", &[], &[Short(b'w')]),
    program("lftp", &[], &[Pair(&["-u"], b',')]),
    program("mariadb", &[], &[Joined("-p"), Word("password")]),
    program("mc alias set", &[], &[Nth(3)]),
    program("mc\"", &["alias", "set"], &[Nth(3)]),
    program("mc'", &["alias", "set"], &[Nth(3)]),
    program("mongo ", &[], &[Short(b'p')]),
    program("mongodump", &[], &[Short(b'p')]),
    program("mongorestore", &[], &[Short(b'p')]),
    program("mongoexport", &[], &[Short(b'p')]),
    program("mongosh", &[], &[Short(b'p')]),
    program("mosquitto_pub", &[], &[Short(b'P')]),
    program("mosquitto_sub", &[], &[Short(b'P')]),
    program("mysql", &[], &[Joined("-p"), Word("password")]),
    program("ncftp", &[], &[Short(b'p')]),
    program("net use", &[], &[Share]),
    program("net\"", &["use"], &[Share]),
    program("net'", &["use"], &[Share]),
    program("net\"", &["user"], &[Nth(1)]),
    program("net'", &["user"], &[Nth(1)]),
    program("nickserv", &["identify"], &[Nth(0)]),
    program("nmcli", &[], &[Word("password")]),
    program("oathtool", &[], &[Nth(0)]),
    program("openssl", &["enc"], &[Short(b'k'), Short(b'K')]),
    program("plink", &[], &[Word("-pw")]),
    program("pocketbase", &["superuser", "upsert"], &[Nth(1)]),
    program("pocketbase", &["superuser", "create"], &[Nth(1)]),
    program("pocketbase", &["superuser", "update"], &[Nth(1)]),
    program("pocketbase", &["admin", "create"], &[Nth(1)]),
    program("podman", &["login"], &[Short(b'p')]),
    program("pscp", &[], &[Word("-pw")]),
    program("psexec", &[], &[Short(b'p')]),
    program("psftp", &[], &[Word("-pw")]),
    program("rabbitmqctl", &["add_user"], &[Nth(1)]),
    program("rabbitmqctl", &["change_password"], &[Nth(1)]),
    program("rar\"", &[], &[Joined("-p"), Joined("-hp")]),
    program("rar'", &[], &[Joined("-p"), Joined("-hp")]),
    program("rar ", &[], &[Joined("-p"), Joined("-hp")]),
    program("rclone", &["config"], &[Word("pass"), Word("password")]),
    program("rdesktop", &[], &[Short(b'p')]),
    program("redis-cli", &[], &[Short(b'a'), Word("auth")]),
    program("rpcclient", &[], &[Pair(&["-U"], b'%')]),
    program("rsync --password-file=<(echo", &[], &[Nth(0)]),
    program("schtasks", &[], &[Word("/rp")]),
    program("smbclient", &[], &[Pair(&["-U"], b'%')]),
    program("snmpget", &[], &[Short(b'A'), Short(b'X'), Short(b'c')]),
    program("snmpset", &[], &[Short(b'A'), Short(b'X'), Short(b'c')]),
    program("snmpwalk", &[], &[Short(b'A'), Short(b'X'), Short(b'c')]),
    program("sqlcmd", &[], &[Short(b'P')]),
    program("ssh-keygen", &[], &[Short(b'N'), Short(b'P')]),
    program("sshpass", &[], &[Short(b'p')]),
    program("twine", &["upload"], &[Short(b'p')]),
    program("radtest", &[], &[Nth(1)]),
    program("user-secrets set", &[], &[Nth(1)]),
    program("useradd", &[], &[Short(b'p')]),
    program("usermod", &[], &[Short(b'p')]),
    program("vault login", &[], &[Nth(0)]),
    program("vault\"", &["login"], &[Nth(0)]),
    program("vault'", &["login"], &[Nth(0)]),
    program("aws ssm put-parameter", &[], &[Word("--value")]),
    program("composer config http-basic", &[], &[Nth(1)]),
    program("dotnet nuget push", &[], &[Word("-k")]),
    program("mix hex.user auth", &[], &[Word("--key")]),
    program("nuget setapikey", &[], &[Nth(0)]),
    program("poetry config http-basic", &[], &[Nth(1)]),
    program("poetry config pypi-token", &[], &[Nth(0)]),
    program("radius-server host", &[], &[Word("key")]),
    program("rootpw ", &[], &[Nth(0)]),
    program("sentinel auth-pass", &[], &[Nth(1)]),
    program("tacacs-server host", &[], &[Word("key")]),
    program("vault operator unseal", &[], &[Nth(0)]),
    program("mosquitto_passwd", &["-b"], &[Nth(2)]),
    program("mc admin user add", &[], &[Nth(2)]),
    program("altool", &[], &[Short(b'p')]),
    program("security unlock-keychain", &[], &[Short(b'p')]),
    program("security import", &[], &[Short(b'P')]),
    program("wandb login", &[], &[Nth(0)]),
    program("wget", &[], &[Pair(&["--user"], b':')]),
    program("winrs", &[], &[Slash("-p:"), Slash("-password:")]),
    program("wpa_passphrase", &[], &[Nth(1)]),
    program("xfreerdp", &[], &[Slash("/p:")]),
    program("zip", &[], &[Short(b'P')]),
];

/// How far from its name a program's words are looked for.
const REACH: usize = 256;
/// And so many words.
const MOST_WORDS: usize = 24;

/// Looks for passwords in the words behind the program's name at `hit`.
pub(super) fn look(scan: &mut Scan<'_, '_>, index: u8, hit: Range<usize>) {
    let program = &PROGRAMS[usize::from(index)];
    let is_unpacker = program.name == "zip" && scan.text.ends_with(hit.start, "un")
        || program.name.starts_with("rar") && scan.text.ends_with(hit.start, "un");
    if !scan.text.starts_word(hit.start) && !is_unpacker {
        return;
    }
    if scan.text.before(hit.start) == b'.' {
        return; // `example.net', 'user'`.
    }
    let Some(mut words) = Words::after(&scan.text, hit.end) else {
        return;
    };
    let mark = scan.text.at(hit.end);
    let is_told =
        is_quote(mark) && scan.text.before(hit.start) == mark && program.name.contains(' ');
    if is_told {
        return; // `Run 'vault login' to get a token`.
    }
    let first = scan.text.skip_blanks(hit.end, 4);
    if matches!(scan.text.at(first), b'=' | b':') {
        return; // A name with its value.
    }
    for expected in program.after {
        let found = words.next(&scan.text);
        if !found.is_some_and(|word| {
            scan.text
                .slice(word)
                .eq_ignore_ascii_case(expected.as_bytes())
        }) {
            return;
        }
    }
    let mut nth = 0;
    for _ in 0..MOST_WORDS {
        let Some(word) = words.next(&scan.text) else {
            return;
        };
        let is_option = scan.text.at(word.start) == b'-';
        for &secret in program.secrets {
            let mut after = words.clone();
            let found = password(&scan.text, secret, word.clone(), &mut after, nth);
            if let Some(found) =
                found.filter(|found| is_password(&scan.text, secret, found.clone()))
            {
                words = after;
                scan.redact(found, Kind::CommandPassword);
                break;
            }
        }
        nth += usize::from(!is_option);
    }
}

fn is_password(text: &Text<'_>, secret: Place, found: Range<usize>) -> bool {
    let value = text.slice(found.clone());
    let is_option = matches!(value.first(), Some(b'-' | b'|' | b'<') | None);
    let is_open = matches!(secret, Nth(_) | Share) && value.starts_with(b"/");
    let is_optional = matches!(secret, Nth(_)) && text.before(found.start) == b'[';
    let is_usage = is_optional || value.starts_with(b"[") && value.ends_with(b"]"); // `-p[password]`.
    let is_told = is_usage
        || value == b"to" // `Password to use`.
        || value == b"requires" // `option '-a' requires an argument`.
        || value == b"="
        || matches!(secret, Slash("-Dsonar.login=")) && value.iter().all(u8::is_ascii_lowercase)
        || value.starts_with(b"=>")
        || matches!(secret, Word(_) | Nth(_)) && (is_status(value) || shape::is_assignment(value));
    !is_option && !is_open && !is_told && !is_harmless(value)
}

/// The password at this sort of place, if `word` is that place or names it; then
/// the words go on behind it. `nth` words besides options stand before.
fn password(
    text: &Text<'_>,
    secret: Place,
    word: Range<usize>,
    words: &mut Words,
    nth: usize,
) -> Option<Range<usize>> {
    let content = text.slice(word.clone());
    match secret {
        Short(letter) if content == [b'-', letter] => words.next(text),
        Short(_) if content.eq_ignore_ascii_case(b"-password") => None, // Found by its name.
        Short(letter) if content.starts_with(&[b'-', letter]) => {
            let equals = usize::from(content.get(2) == Some(&b'=') && content.len() > 3);
            Some(unquoted(text, word.start + 2 + equals..word.end))
        }
        Joined(option) if content.starts_with(option.as_bytes()) => {
            Some(unquoted(text, word.start + option.len()..word.end))
        }
        Pair(options, mark) => match pair_value(text, options, &word)? {
            value if value.is_empty() => {
                let value = words.next(text)?;
                behind(text, value, mark)
            }
            value => behind(text, value, mark),
        },
        Word(name) if content.eq_ignore_ascii_case(name.as_bytes()) => words.next(text),
        // The word may be without the colon at its end: `/p:` alone.
        Slash(name) if text.has(word.start, name) => {
            let start = word.start + name.len();
            (start <= word.end).then_some(start..word.end)
        }
        Nth(wanted) => (nth == wanted && !content.starts_with(b"-")).then_some(word),
        First(mark) if nth == 0 => behind(text, word, mark),
        Share if content.starts_with(b"\\") => words.next(text),
        Here if content == b"<<<" => {
            let value = words.next(text)?;
            Some(last_part(text, value))
        }
        _ => None,
    }
}

/// Without the quote that opens `'two words'` in `-p'two words'`.
fn unquoted(text: &Text<'_>, value: Range<usize>) -> Range<usize> {
    let quote = text.run(value.start, value.end, |byte| byte == b'\\');
    let is_quoted = quote < value.end && is_quote(text.at(quote));
    if is_quoted {
        quote + 1..value.end
    } else {
        value
    }
}

/// The value of one of the options in this word; an empty one for the next word.
fn pair_value(text: &Text<'_>, options: &[&str], word: &Range<usize>) -> Option<Range<usize>> {
    let content = text.slice(word.clone());
    options.iter().find_map(|option| {
        let rest = content.strip_prefix(option.as_bytes())?;
        let is_long = option.starts_with("--");
        match rest.first() {
            None => Some(word.end..word.end),
            Some(b'=') if is_long => Some(word.end - rest.len() + 1..word.end),
            Some(_) if !is_long => Some(word.end - rest.len()..word.end),
            Some(_) => None,
        }
    })
}

/// What follows the mark in `user:password`.
fn behind(text: &Text<'_>, value: Range<usize>, mark: u8) -> Option<Range<usize>> {
    let at = text.run(value.start, value.end, |byte| byte != mark);
    (at < value.end).then(|| unquoted(text, at + 1..value.end))
}

/// Of `user bob x` (a script for `ftp`) the last word.
fn last_part(text: &Text<'_>, value: Range<usize>) -> Range<usize> {
    match text.has(value.start, "user ") {
        true => text.run_back(value.end, value.start, |byte| byte != b' ')..value.end,
        false => value,
    }
}

/// The words of a command.
#[derive(Clone)]
struct Words {
    at: usize,
    limit: usize,
}

impl Words {
    /// The words behind a program's name that ends at `at`: behind the blank or
    /// the quote that ends the name.
    fn after(text: &Text<'_>, at: usize) -> Option<Self> {
        let mut limit = text.line_end(at);
        while text.before(limit) == b'\\' && text.at(limit) == b'\n' && limit < at + REACH {
            limit = text.line_end(limit + 1); // The command goes on.
        }
        let limit = limit.min(at + REACH);
        if matches!(text.before(at), b' ') || is_quote(text.before(at)) {
            return Some(Self { at, limit });
        }
        if text.has(at, ", ") {
            return Some(Self { at: at + 2, limit }); // `[mysql, -ubob, -px]`.
        }
        // `mysqldump`, `smbclient.exe`: one name.
        let end = text.run(at, at + 12, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'.'
        });
        let close = text.run(end, end + 16, |byte| byte == b'\\');
        let is_end = text.at(end).is_ascii_whitespace() || is_quote(text.at(close));
        let at = close + usize::from(is_quote(text.at(close)));
        let is_list = text.has(at, ",\n") || text.has(at, ",\r\n"); // An item in each line.
        let limit = if is_list {
            text.len().min(at + REACH)
        } else {
            limit
        };
        is_end.then_some(Self { at, limit })
    }

    fn next(&mut self, text: &Text<'_>) -> Option<Range<usize>> {
        let word = self.next_word(text)?;
        let label = text.slice(word.clone());
        let is_label = text.at(word.end) == b':' && label.starts_with(b"arg");
        if is_label {
            self.at = word.end + 1; // `Command { program: "x", args: ["-p"] }`.
            return self.next_word(text);
        }
        if let [b'a', b'='] | [b'a', b'0'..=b'9', .., b'='] = label
            && is_quote(text.at(word.end))
        {
            return self.next_word(text); // `a0="sshpass" a1="-p"` of the audit log.
        }
        Some(word)
    }

    fn next_word(&mut self, text: &Text<'_>) -> Option<Range<usize>> {
        let at = text.skip_blanks(self.at, 16);
        let at = at + usize::from(text.has(at, "\\\n"));
        let start = text.run(at, self.limit, |byte| {
            matches!(
                byte,
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b'[' | b'(' | b'{'
            )
        });
        if start >= self.limit || matches!(text.at(start), b'|' | b';' | b']' | b')' | b'}') {
            return None;
        }
        let quote = text.run(start, start + 16, |byte| byte == b'\\');
        if is_quote(text.at(quote)) {
            let content = string::quoted(text, quote, quote - start);
            self.at = content.end + (quote - start) + 1;
            let closed = content.end < self.limit + 128;
            return closed.then_some(content);
        }
        let mut end = start;
        loop {
            end = text.run(end, self.limit, |byte| {
                !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b'\\'
            });
            let letter = text.run(end, end + 16, |byte| byte == b'\\');
            let is_break = letter > end && {
                let next = text.at(letter);
                is_quote(next) || letter == end + 1 && matches!(next, b'n' | b'r')
            };
            if letter == end || is_break {
                break;
            }
            let is_blank = letter == end + 1 && text.at(letter) == b' '; // Escaped for a shell.
            end = letter + usize::from(is_blank);
        }
        let quote = text.run(end, end + 8, |byte| byte == b'\\');
        if quote > end && is_quote(text.at(quote)) && text.at(start) == b'-' && end > start + 1 {
            let content = string::quoted(text, quote, quote - end); // `-p\"x\"` in a string.
            self.at = content.end + (quote - end) + 1;
            return (content.end < self.limit).then_some(start..content.end);
        }
        // `-p'two words'` and `--user="bob:x"`.
        if is_quote(text.at(end)) && end > start && text.at(start) == b'-' {
            let mut content = string::quoted(text, end, 0);
            while text.has(content.end, "'\\''") {
                content = string::quoted(text, content.end + 3, 0); // `'it'\''s'`.
            }
            self.at = content.end + 1;
            return Some(start..content.end);
        }
        if is_quote(text.at(end)) && end > start && text.before(end) == b':' {
            let content = string::quoted(text, end, 0); // `bob:"two words"`.
            self.at = content.end + 1;
            return Some(start..content.end);
        }
        self.at = end.max(start + 1);
        Some(start..bare::trim_closers(text, start, end))
    }
}
