//! Places where a word for a secret names no value behind it: files and lines of source
//! text, packages, programs, annotations.

use super::pair::Name;
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};

/// The name is that of a file, program or package, or tells of a secret kept elsewhere.
pub(super) fn is_place(text: &Text<'_>, name: &Name, secret: SecretName) -> bool {
    let end = name.range.end;
    match text.at(end) {
        b':' => {
            is_rule(text, name)
                || is_position(text, name)
                || is_label(text, name, secret)
                || is_listed(text, name)
                || is_pam(text, name)
                || is_host_of_program(text, secret, end + 1)
                || text.ends_with(end, "; COOKIE") // Of DNS, as `dig` shows it.
        }
        b'%' => is_package_file(text, name),
        b']' => is_program(text, name),
        b'\'' | b'"' => is_looked_up(text, name) || is_of_validator(text, name),
        b'=' => is_pass_of_compiler(text, name),
        // `"Bearer " + token`: the scheme alone.
        b' ' if text.has(end + 1, "\" +") && text.ends_with(end, "\"bearer") => true,
        b' ' => {
            is_pass_of_compiler(text, name)
                || is_verb(text, name)
                || text.ends_with(name.range.end, "public key token") // Of .NET.
                || is_package(text, name)
                || is_swarm_secret(text, name)
                || is_page(text, name)
                || is_template_variable(text, name)
                || is_comment(text, name)
                || is_revision(text, name)
                || is_host_of_program(text, secret, end)
                || text.has(end, " object at 0x") // `<Token object at 0x1f>` of Python.
        }
        _ => false,
    }
}

/// `rule secrets:S6290` of a linter.
fn is_rule(text: &Text<'_>, name: &Name) -> bool {
    let number = name.range.end + 2;
    let end = text.run(number, number + 6, |byte| byte.is_ascii_digit());
    text.ends_with(name.range.start, "rule ") && text.at(number - 1) == b'S' && end > number
}

/// `secrets.cc:775:69`, `(src/secrets.hs:782)`, `SecretManager.cs:line 877`.
fn is_position(text: &Text<'_>, name: &Name) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const SOURCES: [&[u8]; 26] = [
        b"cc", b"clj", b"cs", b"cxx", b"dart", b"erl", b"ex", b"exs", b"feature", b"groovy", b"h", b"hh", b"hpp",
        b"hs", b"kt", b"kts", b"lua", b"ml", b"mm", b"pl", b"proto", b"scala", b"swift", b"tf", b"xml", b"zig",
    ];
    let line = name.range.end + 1;
    let digits = line + "line ".len() * usize::from(text.has(line, "line "));
    if !text.at(digits).is_ascii_digit() {
        return false;
    }
    let end = text.run(digits, digits + 7, |byte| byte.is_ascii_digit());
    let word = text.slice(name.range.clone());
    let mut parts = word.rsplit(|&byte| byte == b'.');
    let is_source = parts.next().is_some_and(|last| SOURCES.contains(&last));
    is_source && parts.next().is_some() && !text.at(end).is_ascii_alphanumeric()
}

/// `//src/jwt:secrets_test`, a target of a build, and `registry/token:latest`.
fn is_label(text: &Text<'_>, name: &Name, secret: SecretName) -> bool {
    let start = name.range.end + 1;
    if secret.trust != Trust::Shaped || text.before(name.range.start) != b'/' || name.is_option {
        return false;
    }
    let end = text.run(start, start + 48, |byte| {
        byte.is_ascii_lowercase() || byte == b'_'
    });
    end > start && (end == text.len() || text.at(end).is_ascii_whitespace())
}

/// `checksum/secret: 681a…` of Kubernetes' annotations, and `Mountable secrets: web-tls`.
fn is_listed(text: &Text<'_>, name: &Name) -> bool {
    const LISTS: [&str; 3] = ["checksum/", "mountable ", "image pull "];
    let before = text.before(name.range.start);
    matches!(before, b'/' | b' ')
        && LISTS
            .iter()
            .any(|list| text.ends_with(name.range.start, list))
}

/// `auth-0 sshd[4711]: `, `auth: passwd-file(10.0.0.1): `: the program that speaks
/// follows, and its process or peer.
fn is_host_of_program(text: &Text<'_>, secret: SecretName, at: usize) -> bool {
    if secret.rule != Kind::Authorization || text.at(at) != b' ' {
        return false;
    }
    let end = text.run(at + 1, at + 40, |byte| {
        byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.')
    });
    let close = match text.at(end) {
        b'[' => "]:",
        b'(' => "):",
        _ => return false,
    };
    let number_end = text.run(end + 1, end + 80, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b')' | b']')
    });
    end > at + 1 && number_end > end + 1 && text.has(number_end, close)
}

/// `pam_unix(gdm-password:session)`: a service and what is done for it.
fn is_pam(text: &Text<'_>, name: &Name) -> bool {
    text.before(name.range.start) == b'('
        && [":session)", ":auth)", ":account)", ":setcred)"]
            .iter()
            .any(|group| text.has(name.range.end, group))
}

/// `gdm-password]:` of the system's log, with no bracket that opens.
fn is_program(text: &Text<'_>, name: &Name) -> bool {
    let start = name.range.start;
    if text.at(name.range.end + 1) != b':' || text.before(start) != b' ' {
        return false;
    }
    let open = text.run_back(start, start.saturating_sub(64), |byte| {
        !matches!(byte, b'[' | b'\n')
    });
    let module = text.skip_blanks(name.range.end + 2, 1);
    let module_end = text.run(module, module + 24, |byte| {
        byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-')
    });
    let is_told = module_end > module && matches!(text.at(module_end), b':' | b'(');
    is_told && text.before(open) != b'[' && text.slice(name.range.clone()).contains(&b'-')
}

/// `--secret-rm db_v7`, `--secret-add source=db_v8`: names of secrets that Docker keeps.
fn is_swarm_secret(text: &Text<'_>, name: &Name) -> bool {
    name.is_option
        && ["secret-rm ", "secret-add source=", "secret source="]
            .iter()
            .any(|option| text.has(name.range.start, option))
}

/// `optimizer pass=inline-functions`.
fn is_pass_of_compiler(text: &Text<'_>, name: &Name) -> bool {
    let is_running = text.ends_with(name.range.start, "running ");
    if is_running && !is_quote(text.at(name.range.end + 1)) {
        return false;
    }
    const OWNERS: [&str; 5] = ["compiler ", "optimizer ", "render ", "running ", "shader "];
    text.slice(name.range.clone()) == b"pass"
        && OWNERS
            .iter()
            .any(|owner| text.ends_with(name.range.start, owner))
}

/// `you have to pass '--dry-run'`: what is passed is a long option, not a password.
fn is_verb(text: &Text<'_>, name: &Name) -> bool {
    let quote = name.range.end + 1;
    if !is_quote(text.at(quote)) || !text.slice(name.range.clone()).eq_ignore_ascii_case(b"pass") {
        return false;
    }
    let start = quote + "'--".len();
    let end = text.run(start, start + 32, |byte| {
        byte.is_ascii_lowercase() || byte == b'-'
    });
    text.has(quote + 1, "--")
        && text.at(start).is_ascii_lowercase()
        && text.at(end) == text.at(quote)
}

/// `Setting up passwd (1:4.13+dfsg1-1)`: a package and its version.
fn is_package(text: &Text<'_>, name: &Name) -> bool {
    let start = name.range.end + 2;
    if text.at(start - 1) != b'(' || !text.at(start).is_ascii_digit() {
        return false;
    }
    const VERBS: [&str; 5] = [
        "setting up ",
        "unpacking ",
        "removing ",
        "upgrading ",
        "installing ",
    ];
    let end = text.run(start, start + 48, |byte| byte != b')' && !is_blank(byte));
    text.slice(start..end).contains(&b'.')
        && VERBS
            .iter()
            .any(|verb| text.ends_with(name.range.start, verb))
}

/// `.../passwd_1%3a4.13_amd64.deb`.
fn is_package_file(text: &Text<'_>, name: &Name) -> bool {
    let end = text.run(name.range.end, name.range.end + 80, |byte| {
        byte.is_ascii_alphanumeric() || b"%._+~-".contains(&byte)
    });
    text.before(name.range.start) == b'/' && text.ends_with(end, ".deb")
}

/// `https://example.com/forgot-password → 200`: a page and how it answered.
fn is_page(text: &Text<'_>, name: &Name) -> bool {
    let arrow = " → ";
    text.before(name.range.start) == b'/'
        && text.has(name.range.end, arrow)
        && text.at(name.range.end + arrow.len()).is_ascii_digit()
}

/// `{{- $secret := lookup "v1" …`: a variable of a template.
fn is_template_variable(text: &Text<'_>, name: &Name) -> bool {
    text.has(name.range.end, " := lookup ")
        && ["{{- $", "{{ $", "{{$"]
            .iter()
            .any(|open| text.ends_with(name.range.start, open))
}

/// `Jenkinsfile.secrets from 7078…`: a file and the commit it is of.
fn is_revision(text: &Text<'_>, name: &Name) -> bool {
    let start = name.range.end + " from ".len();
    let end = text.run(start, start + 41, |byte| {
        byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
    });
    text.has(name.range.end, " from ")
        && end == start + 40
        && text.has(name.range.start, "Jenkinsfile.")
}

/// `lookup('password', '/dev/null')` of Ansible makes a new one.
fn is_looked_up(text: &Text<'_>, name: &Name) -> bool {
    let quote = name.range.start.saturating_sub(1);
    text.ends_with(quote, "lookup(") && text.before(quote - "lookup(".len()) != b'.'
}

/// `{'password': [ErrorDetail(string='This field is required.')]}` of Django.
fn is_of_validator(text: &Text<'_>, name: &Name) -> bool {
    text.has(name.range.end + 1, ": [ErrorDetail(")
}

/// `COMMENT ON COLUMN users.password IS 'argon2id'`.
fn is_comment(text: &Text<'_>, name: &Name) -> bool {
    if !text.has(name.range.end, " is '") {
        return false;
    }
    ["comment on column ", "comment on table "]
        .iter()
        .any(|start| text.ends_with(name.range.start, start))
}
