//! Values that a careful reader knows for no secrets by what stands around them: names
//! of Kubernetes' objects, permissions, ids of keys, members of parsers' tokens.

use super::delimiter::Delimiter;
use super::pair::Name;
use super::{Scan, shape, string};
use crate::mask::is_status;
use crate::names::{self, SecretName, Trust, Verdict};
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_name_byte, is_quote};
use crate::vendors::looks_random;

/// `APPID {63C01132-BDCC-4226-9175-6064B2DA4E97}` of Windows.
fn is_class_id(value: &[u8]) -> bool {
    let id = value
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"));
    id.is_some_and(|id| {
        id.len() == 36
            && id
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
    })
}

/// `non-existent secret key: password`: by its name.
fn is_name_alone(value: &[u8]) -> bool {
    matches!(value, b"password" | b"secret" | b"token" | b"username")
}

/// `Loaded X.509 cert 'kernel signing key: 9efc…'`: a certificate by its name.
fn is_of_certificate(text: &Text<'_>, name: &Name) -> bool {
    let start = name.range.start;
    let open = text.run_back(start, start.saturating_sub(64), |byte| {
        !is_quote(byte) && byte != b'\n'
    });
    text.ends_with(open, "x.509 cert '")
}

/// `secret 2xs1kknv17zmbvkp0way4cl2h is in use` of Docker.
fn is_id_in_use(text: &Text<'_>, secret: SecretName, at: usize) -> bool {
    let end = text.run(at, at + 26, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit()
    });
    secret.rule == Kind::Secret && end == at + 25 && text.has(end, " is in use")
}

/// `--secret payments:dbPassword <value>` of Pulumi.
fn is_setting_path(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b':' | b'-');
    value.contains(&b':') && value.iter().all(is_part)
}

/// `token=@75,661:514='<EOF>'` of ANTLR.
fn is_place_of_token(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"@").unwrap_or_default();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// `peek token=Semicolon pos=5065`.
fn is_of_lexer(text: &Text<'_>, value: &[u8], end: usize) -> bool {
    let is_place = [" pos=", " line=", " col=", " span="]
        .iter()
        .any(|place| text.has(end, place));
    is_place && value.len() < 20 && value.iter().all(u8::is_ascii_alphabetic)
}

/// `kills=64% secrets=9%` of a game.
fn is_share(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let number = value.strip_suffix(b"%").unwrap_or_default();
    text.before(name.range.end) == b's'
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
}

/// `passwd: files systemd` of `nsswitch.conf`.
fn is_name_service(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let services: [&[u8]; 8] = [
        b"compat", b"db", b"file", b"files", b"ldap", b"sss", b"systemd", b"winbind",
    ];
    text.slice(name.range.clone()) == b"passwd" && services.contains(&value)
}

/// The name stands once more at `at`, in any case of letters.
fn is_same(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let word = text.slice(name.range.clone());
    let end = (at + word.len()).min(text.len());
    text.slice(at..end).eq_ignore_ascii_case(word)
}

/// `Passwords for app bundleID: com.example.app`, `Wrong password : backup.7z`.
fn is_app_or_archive(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || b".-_".contains(byte);
    let is_domain = value.starts_with(b"com.") || value.starts_with(b"org.");
    let stem = [
        b".7z".as_slice(),
        b".zip",
        b".rar",
        b".pdf",
        b".kdbx",
        b".docx",
    ]
    .iter()
    .find_map(|end| value.strip_suffix(*end));
    is_domain && value.iter().all(is_part) || stem.is_some_and(|stem| stem.iter().all(is_part))
}

/// `key=NPM_TOKEN`: a variable by its name.
fn is_variable_name(scan: &Scan<'_, '_>, secret: SecretName, value: &[u8]) -> bool {
    let is_upper = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let is_key = matches!(secret.rule, Kind::ApiKey | Kind::PrivateKey);
    is_key
        && value.contains(&b'_')
        && value.iter().all(is_upper)
        && matches!(scan.names.judge(value), Verdict::Secret(_))
}

/// `random_password.db.result`, `data.aws_ssm_parameter.db.value` of Terraform.
fn is_reference(value: &[u8]) -> bool {
    const ENDS: [&[u8]; 7] = [
        b"arn",
        b"id",
        b"name",
        b"result",
        b"secret_string",
        b"value",
        b"key",
    ];
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    let mut parts = value.rsplit(|&byte| byte == b'.');
    let is_end = parts.next().is_some_and(|last| ENDS.contains(&last));
    let is_resource = |part: &[u8]| part.contains(&b'_') || matches!(part, b"data" | b"module");
    is_end
        && value.iter().all(is_part)
        && parts.clone().count() >= 2
        && parts.next_back().is_some_and(is_resource)
}

/// `sig=ecdsa_secp256r1_sha256`.
fn is_algorithm(value: &[u8]) -> bool {
    let names: [&[u8]; 4] = [b"ecdsa", b"rsa", b"ed25519", b"sha256"];
    let is_part = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    let mut parts = value.split(|byte| matches!(byte, b'_' | b'-'));
    names.iter().any(|name| value.starts_with(name))
        && value.iter().all(is_part)
        && parts.all(|part| part.len() < 10)
}

/// What stands at `at` is known, and no secret.
pub(super) fn is_open(
    scan: &Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: usize,
) -> bool {
    let text = &scan.text;
    if at >= text.len() {
        return false;
    }
    let quote = at + usize::from(text.at(at) == b'\\');
    if is_quote(text.at(quote)) {
        let content = string::quoted(text, quote, quote - at);
        let value = text.slice(content.clone());
        if value.starts_with(b"{{") && is_template(text, value, content.end) {
            return true;
        }
        let is_lookup = value.starts_with(b"{{ lookup(") && value.ends_with(b"}}");
        if is_lookup || is_condition(text, name, value) || is_unit(secret, value) {
            return true;
        }
        let is_plural = secret.rule == Kind::Password && text.before(name.range.end) == b's';
        if is_plural && text.ends_with(at, "=> ") && value.iter().all(u8::is_ascii_lowercase) {
            return true; // `'passwords' => 'users'` of Laravel.
        }
        if secret.rule == Kind::Cookie && value.starts_with(b".") && !value.contains(&b'=') {
            return true; // `cookie ".AspNetCore.Antiforgery.x" is not present`.
        }
        let is_function =
            secret.rule == Kind::Signature && value.windows(2).any(|two| two == b"::");
        if is_function {
            return true; // Of a crash: `signature="token_bucket::take"`.
        }
        return match delimiter {
            Delimiter::Comma => is_next_name(scan, name, value),
            Delimiter::Blank | Delimiter::ColonBlank => {
                is_told_string(text, name, secret, value, content.end)
            }
            _ => {
                is_object(text, name, secret, value)
                    || is_of_parser(text, name, secret, value, content.end)
            }
        };
    }
    let end = text.run(at, at + 160, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b','
    });
    let value = text.slice(at..end);
    match delimiter {
        Delimiter::Equals => {
            is_on_chain(text, name, secret, at)
                || secret.rule == Kind::Token && is_place_of_token(value)
                || is_variable_name(scan, secret, value)
                || is_reference(value)
                || secret.rule == Kind::Signature && is_algorithm(value)
                || is_object(text, name, secret, value)
                || secret.rule == Kind::Token && is_of_lexer(text, value, end)
                || is_share(text, name, value)
                || is_same_argument(text, name, at)
                || is_parameter_at(text, at)
                || is_of_ring(text, name, secret, value)
                || secret.rule == Kind::Credential && is_credential_type(value)
                || is_compiler_note(text, at)
        }
        Delimiter::Colon => {
            let is_part = |byte: &u8| byte.is_ascii_lowercase() || *byte == b':';
            let is_path =
                secret.trust == Trust::Shaped && value.contains(&b':') && value.iter().all(is_part);
            is_path // `factor=token:software:totp`.
                || is_permission(text, name, at)
                || is_key_path(scan, secret, at)
                || text.has(at + name.range.len(), "::") && is_same(text, name, at) // A URN.
        }
        Delimiter::ColonBlank | Delimiter::Blank => {
            text.ends_with(name.range.end, "APPID") && is_class_id(value)
                || secret.rule == Kind::ApiKey
                    && (is_name_alone(value) || value.starts_with(b"pk_live_") || value.starts_with(b"pk_test_"))
                || secret.rule == Kind::PrivateKey && value.starts_with(b"WPA-PSK")
                || is_next_member(text, name, at)
                || is_id_in_use(text, secret, at)
                || is_app_or_archive(value)
                || is_name_service(text, name, value)
                || value == b"OAuth2" && text.at(end) == b' ' // `OAuth2 not granted`.
                || secret.rule == Kind::ApiKey && is_of_certificate(text, name)
                || text.has(end, " <") && name.is_option && is_setting_path(value)
                || is_message(text, name, at)
                || is_variable_list(scan, name, at)
                || is_key_id(text, name, secret, at)
                || is_object(text, name, secret, value)
                || is_of_ring(text, name, secret, value)
                || is_on_chain(text, name, secret, at)
                || is_condition(text, name, value)
                || is_alias(scan, value)
                || secret.rule == Kind::ApiKey && is_key_file(value)
                || secret.rule == Kind::Token && is_numbered_id(value)
        }
        _ => false,
    }
}

/// `["token", "path"]`, `["pwd","otp"]`: a list of names, no pair.
fn is_next_name(scan: &Scan<'_, '_>, name: &Name, value: &[u8]) -> bool {
    let text = &scan.text;
    let start = name.range.start;
    let open = text.run_back(start, start.saturating_sub(4), |byte| {
        is_quote(byte) || byte == b'\\'
    });
    const NAMES: [&[u8]; 8] = [
        b"id",
        b"key",
        b"otp",
        b"password",
        b"path",
        b"pwd",
        b"secret",
        b"token",
    ];
    let is_dotted = value
        .iter()
        .all(|byte| byte.is_ascii_lowercase() || *byte == b'.')
        && value.contains(&b'.')
        && matches!(scan.names.judge(value), Verdict::Secret(_));
    text.before(open) == b'['
        && (is_dotted
            || NAMES.contains(&value.strip_suffix(b"2").unwrap_or(value))
            || std::str::from_utf8(value).is_ok_and(names::is_description))
}

/// `"{{ env "TOKEN" }}"`, whose quotes stand in others.
fn is_template(text: &Text<'_>, value: &[u8], end: usize) -> bool {
    let close = text.run(end + 1, end + 64, is_name_byte);
    value.ends_with(b" ") && is_quote(text.at(close)) && text.has(close + 1, " }}")
}

/// A string in a sentence that tells which one: `signing key that matches: 'x'`,
/// `assigned to: "token_url"`, `hmac 'hmac-sha2-256'`, `render pass 'shadow' took`.
fn is_told_string(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    value: &[u8],
    end: usize,
) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
    match secret.rule {
        Kind::Signature => value.starts_with(b"hmac-") || value.starts_with(b"rsa-sha"),
        Kind::Credential => value.ends_with(b".cred"),
        Kind::ApiKey => text.has(name.range.end, " that matches: "),
        Kind::Password if text.has(name.range.end, " assigned to: ") => {
            value.contains(&b'_') && value.iter().all(is_letter) && names::is_about_something(value)
        }
        Kind::Password if secret.trust == Trust::Counted => {
            let is_taken = [" took ", " compiled", " is not registered", " not found"]
                .iter()
                .any(|verb| text.has(end + 1, verb));
            is_taken && value.iter().all(is_letter)
        }
        _ => false,
    }
}

/// The name of an object of Kubernetes or of a vault's entry, by its last word and what
/// stands around: `namespace=shop secret=web-credentials`, `secret=prod/billing-db`,
/// `kube_secret_info{namespace="shop",secret="web-tls"}`.
fn is_object(text: &Text<'_>, name: &Name, secret: SecretName, value: &[u8]) -> bool {
    if is_entry(value) {
        return true;
    }
    if secret.rule != Kind::Secret || name.range.len() != "secret".len() {
        return false;
    }
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'/' | b'.');
    let is_numbered = |byte: &u8| is_part(byte) || byte.is_ascii_digit();
    let start = name.range.start;
    if is_generated(value) {
        return true;
    }
    let floor = start.saturating_sub(128);
    let is_label = matches!(text.before(start), b',' | b'{') && {
        let open = text.run_back(start, floor, |byte| byte != b'{' && byte != b'\n');
        let metric = text.run_back(open.saturating_sub(1), floor, is_name_byte);
        text.has(metric, "kube_secret_") || text.has(open, "alertname=")
    };
    if is_label {
        return value.iter().all(is_numbered);
    }
    if !value.iter().all(is_part) {
        return false;
    }
    #[rustfmt::skip] // A list of words, not one a line.
    const THINGS: [&[u8]; 9] = [
        b"cert", b"certs", b"credentials", b"creds", b"db", b"registry", b"sealed", b"secret", b"tls",
    ];
    let mut parts = value.rsplit(|&byte| matches!(byte, b'-' | b'/'));
    let is_thing =
        parts.next().is_some_and(|last| THINGS.contains(&last)) && parts.next().is_some();
    let word = text.run_back(
        start - usize::from(start > 0),
        start.saturating_sub(48),
        |byte| !byte.is_ascii_whitespace(),
    );
    let is_named = text.has(word, "namespace=") || text.ends_with(start, "specified ");
    let ends: [&[u8]; 5] = [b"auth", b"config", b"key", b"password", b"token"];
    let is_kept = value.contains(&b'/') || ends.iter().any(|end| value.ends_with(end));
    is_named && (is_kept || is_thing)
        || is_thing && !text.has(start, "secret\"") && !value.ends_with(b"-secret")
}

/// `web-token-5em7z`, of a service account.
fn is_generated(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let Some((stem, end)) = value.split_at_checked(value.len().saturating_sub(5)) else {
        return false;
    };
    stem.ends_with(b"-token-")
        && end.iter().all(is_part)
        && stem.iter().all(|byte| is_part(byte) || *byte == b'-')
}

/// `secret/data/web#password`, `kv/web/db`: where a vault keeps it.
fn is_entry(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || b"-_/.#:".contains(byte);
    ["secret/", "secrets/", "kv/"]
        .iter()
        .any(|keeper| value.starts_with(keeper.as_bytes()))
        && value.iter().all(is_part)
}

/// `authenticate(username=username, password=password)`: the argument of a call in
/// source text is a variable of the same name.
fn is_same_argument(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let word = text.slice(name.range.clone());
    let end = at + word.len();
    if text.slice(at..end.min(text.len())) != word || !matches!(text.at(end), b',' | b')') {
        return false;
    }
    let start = name.range.start;
    let open = text.run_back(start, start.saturating_sub(128), |byte| {
        is_name_byte(byte) || matches!(byte, b'=' | b',' | b' ')
    });
    let function = open - usize::from(text.before(open) == b'(');
    let function_start = text.run_back(function, function.saturating_sub(48), is_name_byte);
    let others = text
        .slice(open..start.saturating_sub(2).max(open))
        .split(|&byte| byte == b',');
    let is_variable = |argument: &[u8]| {
        let mut sides = argument.trim_ascii().split(|&byte| byte == b'=');
        sides.next() == sides.next().or(Some(b""))
    };
    function < open && function_start < function && others.clone().all(is_variable) && {
        text.slice(function_start..function)
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
    }
}

/// `SET password = @hash WHERE …`: a parameter of a statement.
fn is_parameter_at(text: &Text<'_>, at: usize) -> bool {
    if text.at(at) != b'@' {
        return false;
    }
    let end = text.run(at + 1, at + 32, |byte| {
        byte.is_ascii_lowercase() || byte == b'_'
    });
    end > at + 1 && text.ends_with(at, " = ") && text.has(end, " where ")
}

/// Numbers on the ring of Cassandra: `num_tokens=256 tokens=-6661…,7642…`,
/// `partition key token=3481…`.
fn is_of_ring(text: &Text<'_>, name: &Name, secret: SecretName, value: &[u8]) -> bool {
    if secret.rule != Kind::Token || !value.last().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let before = name.range.start.saturating_sub(1);
    let word = text.run_back(before, before.saturating_sub(32), |byte| !is_blank(byte));
    (15..=20).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (value.len() > digits.len()
            || text.ends_with(name.range.start, "partition key ")
            || text.has(word, "num_tokens="))
}

/// `credential=ManagedIdentityCredential`: its type.
fn is_credential_type(value: &[u8]) -> bool {
    let ends: [&[u8]; 2] = [b"Credential", b"CredentialsProvider"];
    value.len() > ends[0].len()
        && value.iter().all(u8::is_ascii_alphabetic)
        && ends.iter().any(|end| value.ends_with(end))
}

/// ``unused variable: `token` = note: …`` of a compiler whose lines were joined.
fn is_compiler_note(text: &Text<'_>, at: usize) -> bool {
    text.has(at, "note: ") || text.has(at, "help: ")
}

/// `tokens:list`, `secrets:read`: what may be done.
fn is_permission(text: &Text<'_>, name: &Name, at: usize) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const VERBS: [&[u8]; 12] = [
        b"admin", b"create", b"delete", b"get", b"list", b"manage", b"read", b"revoke", b"rotate", b"update", b"watch",
        b"write",
    ];
    let end = text.run(at, at + 8, |byte| byte.is_ascii_lowercase());
    text.before(name.range.end) == b's'
        && !text.at(end).is_ascii_alphanumeric()
        && VERBS.contains(&text.slice(at..end))
}

/// `Jwt:SigningKey` is the path of a setting, by its name.
fn is_key_path(scan: &Scan<'_, '_>, secret: SecretName, at: usize) -> bool {
    let text = &scan.text;
    let end = text.run(at, at + 40, |byte| byte.is_ascii_alphabetic());
    secret.trust == Trust::Shaped
        && text.at(at).is_ascii_uppercase()
        && text.at(end) == b' '
        && matches!(scan.names.judge(text.slice(at..end)), Verdict::Secret(_))
}

/// A message goes on behind the name: `attempts left 4`, `rate limit reached`,
/// ``Path `password` is required``, `server = 10.0.0.1`, `mismatch|was not found`.
fn is_message(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let end = text.run(at, at + 24, |byte| byte.is_ascii_alphabetic());
    let word = text.slice(at..end);
    if word.len() < 3 {
        return false;
    }
    match text.at(end) {
        b'|' => {
            let next = text.run(end + 1, end + 16, |byte| byte.is_ascii_alphabetic());
            return is_status(word) && is_status(text.slice(end + 1..next));
        }
        b' ' => {}
        _ => return false,
    }
    let next = end + 1;
    if text.ends_with(at, " : ") && text.ends_with(name.range.start, "invalid ") {
        let end = text.run(next, next + 24, |byte| byte.is_ascii_lowercase());
        if text.has(end, " : ") {
            return true; // `reason = Invalid password : local database : user = bob`.
        }
    }
    match text.at(next) {
        b'=' => text.at(next + 1) == b' ' && text.ends_with(at, " : "),
        b'`' | b'"' | b'\'' => {
            let mark = text.at(next);
            let close = text.run(next + 1, next + 64, is_name_byte);
            let is_about = matches!(word, b"Path" | b"Variable") && text.has(close + 1, " is ")
                || text.has(close + 1, " (`");
            text.at(close) == mark && is_about
        }
        b'l' => {
            word.eq_ignore_ascii_case(b"attempts") && text.has(next, "left")
                || word.eq_ignore_ascii_case(b"rate") && text.has(next, "limit")
        }
        b'1'..=b'9' => word.eq_ignore_ascii_case(b"attempt"),
        b'c' => word == b"Still" && text.has(next, "creating..."), // `db_secret.x:` of Terraform.
        b'd' => word == b"Still" && text.has(next, "destroying..."),
        b'r' => word == b"Still" && text.has(next, "reading..."),
        b't' => word == b"Appears" && text.has(next, "to be "), // `token=Appears to be a session token`.
        b'k' => word == b"use" && text.slice(name.range.clone()).contains(&b'.'),
        _ => false,
    }
}

/// In `&{ID:7 Name:web Password: Token:<nil>}` of Go the value is empty, and the next
/// member follows.
fn is_next_member(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let end = text.run(at, at + 48, |byte| byte.is_ascii_alphanumeric());
    if end == at || text.at(end) != b':' || !text.at(at).is_ascii_uppercase() {
        return false;
    }
    let start = name.range.start;
    let open = text.run_back(start, start.saturating_sub(256), |byte| {
        byte != b'{' && byte != b'\n'
    });
    let first = text.run(open, start, |byte| byte.is_ascii_alphanumeric());
    let is_dump = text.before(open) == b'{' && text.at(first) == b':' && first > open;
    is_dump && at == name.range.end + 2 && !is_blank(text.at(first + 1)) && {
        let number = text.run(end + 1, end + 5, |byte| byte.is_ascii_digit());
        let is_number = end - at < 4 && number > end + 1 && text.at(number) == b'}'; // `DB:0}`.
        is_number || text.has(end, ":<nil>") || names::is_about_something(text.slice(at..end))
    }
}

/// `Missing required secrets: API_KEY, SENTRY_DSN`, `Password for x [env: DB_PASSWORD]`:
/// names of variables.
fn is_variable_list(scan: &Scan<'_, '_>, name: &Name, at: usize) -> bool {
    let text = &scan.text;
    let end = text.run(at, at + 64, |byte| {
        byte.is_ascii_uppercase() || byte == b'_'
    });
    let word = text.slice(at..end);
    let is_told = match text.at(end) {
        b']' => text.ends_with(at, "[env: "),
        b',' | b'\n' | 0 => text.before(name.range.end) == b's',
        _ => false,
    };
    let is_option = text.ends_with(at, "[env: ");
    is_told
        && (is_option || word.contains(&b'_'))
        && matches!(scan.names.judge(word), Verdict::Secret(_))
}

/// The id of a key that is told about (`API key 1b3d519c-… disabled`, `service account
/// key 5598… expires`), or of an entry among credentials.
fn is_key_id(text: &Text<'_>, name: &Name, secret: SecretName, at: usize) -> bool {
    let end = text.run(at, at + 41, |byte| {
        byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || byte == b'-'
    });
    let value = text.slice(at..end);
    let is_uuid = shape::is_uuid(value);
    match secret.rule {
        Kind::Credential => is_uuid && text.ends_with(name.range.start, "using "),
        Kind::ApiKey if is_uuid || value.len() == 40 && !value.contains(&b'-') => {
            const VERBS: [&str; 7] = [
                " disabled",
                " expires in ",
                " expired",
                " revoked",
                " deleted",
                " rotated",
                " last used",
            ];
            (is_uuid || text.ends_with(name.range.start, "service "))
                && VERBS.iter().any(|verb| text.has(end, verb))
                || is_uuid && text.ends_with(at, "key name: ")
        }
        _ => false,
    }
}

/// `access_token = "hours"`: in what its life is counted.
fn is_unit(secret: SecretName, value: &[u8]) -> bool {
    secret.rule == Kind::Token && matches!(value, b"days" | b"hours" | b"minutes" | b"seconds")
}

/// `solana signature bJDD… finalized`: everybody may read it.
fn is_on_chain(text: &Text<'_>, name: &Name, secret: SecretName, at: usize) -> bool {
    let address = text.run(at + 2, at + 43, |byte| byte.is_ascii_hexdigit());
    if secret.rule == Kind::Token
        && name.range.len() < 7
        && text.has(at, "0x")
        && address == at + 42
    {
        return true; // `token=0x…`: the address of a coin's contract.
    }
    secret.rule == Kind::Signature
        && ["solana signature ", "transaction signature "]
            .iter()
            .any(|owner| text.ends_with(at, owner))
}

/// `update_password: on_create` of Ansible says when.
fn is_condition(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    matches!(value, b"on_create" | b"always") && text.has(name.range.start, "update_password")
}

/// `&db_password` and `*db_password` of YAML: the name of a value that stands elsewhere.
fn is_alias(scan: &Scan<'_, '_>, value: &[u8]) -> bool {
    let Some((b'*' | b'&', name)) = value.split_first() else {
        return false;
    };
    name.contains(&b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
        && matches!(scan.names.judge(name), Verdict::Secret(_))
}

/// `tls.key`.
fn is_key_file(value: &[u8]) -> bool {
    let stem = value.strip_suffix(b".key").unwrap_or_default();
    (1..=16).contains(&stem.len()) && stem.iter().all(u8::is_ascii_lowercase)
}

/// `appattempt_1777257695408_8533_000001`: a word and its numbers.
fn is_numbered_id(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b'_');
    let word = parts.next().unwrap_or_default();
    let mut numbers = 0;
    for part in parts {
        if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
            return false;
        }
        numbers += 1;
    }
    numbers >= 2
        && matches!(
            word,
            b"job" | b"task" | b"application" | b"appattempt" | b"container" | b"attempt"
        )
}

/// What a parser or tokenizer tells of its token: `token.text='secret' token.pos_='NOUN'`,
/// `{"token":"quick","start_offset":8}`, `"token":"rustAnalyzer/cachePriming"`.
fn is_of_parser(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    value: &[u8],
    end: usize,
) -> bool {
    if secret.rule != Kind::Token || !value.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let is_letters = |part: &[u8]| part.len() > 1 && part.iter().all(u8::is_ascii_alphabetic);
    if text.has(name.range.start, "token.") {
        return is_letters(value);
    }
    let mut parts = value.split(|&byte| byte == b'/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(word), None, _) => {
            is_letters(word) && !looks_random(word) && text.has(end, "\",\"start_offset\"")
        }
        (Some(first), Some(second), None) => {
            first[0].is_ascii_lowercase() && is_letters(first) && is_letters(second) && {
                text.ends_with(name.range.start, "\"params\":{\"")
            }
        }
        _ => false,
    }
}
