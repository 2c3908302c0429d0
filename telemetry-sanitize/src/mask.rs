//! Values that are no secrets: masked already, empty, or a placeholder.

use crate::text::Bytes;

/// True for a value that may stay under a secret name.
pub(crate) fn is_harmless(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    // Most often the first byte tells that it is none.
    let Some(&first) = value.first() else {
        return true;
    };
    if first.is_ascii_alphabetic() {
        return may_be_word(value, first) && is_known(value);
    }
    let may_be = !first.is_ascii() || STARTS.has(first);
    may_be && is_known(value)
}

/// The second letter is that of a word that may stay.
fn may_be_word(value: &[u8], first: u8) -> bool {
    let second = value.get(1).map_or(0, u8::to_ascii_lowercase);
    match first.to_ascii_lowercase() {
        b'n' => matches!(second, b'o' | b'u' | b'i' | b'/'),
        b'u' => second == b'n',
        b'l' => second == b'o',
        b't' => matches!(second, b'r' | b'h'),
        b'c' => matches!(second, b'o' | b't'),
        b'f' => matches!(second, b'a' | b'i'),
        b'y' | b'r' => second == b'e',
        b'e' => matches!(second, b'm' | b'n'),
        b'm' | b'v' => second == b'a',
        b'h' => second == b'i',
        b's' => matches!(second, b'a' | b'c' | b'e' | b's' | b't' | b'y'),
        b'p' => second == b'r',
        b'o' => matches!(second, b'm' | b's' | b'p' | b'n' | b'f'),
        b'g' => second == b'e',
        b'i' => second == b'n',
        b'a' => matches!(second, b'w' | b'r'),
        b'x' => second == b'x' || value.len() == 1,
        _ => false,
    }
}

/// What the values that may stay start with.
static STARTS: Bytes = Bytes::of(b"~nutfyeNUTFYE<([{*xX.-#?_$%:!rfmhspoRFMHSPOgiESav+@");

fn is_known(value: &[u8]) -> bool {
    is_own_mark(value)
        || is_nothing(value)
        || is_filler(value)
        || is_mark(value)
        || is_placeholder(value)
}

/// `[REDACTED:rule]`, the most common of all in a text that was sanitized.
fn is_own_mark(value: &[u8]) -> bool {
    let tag = value
        .strip_prefix(b"[REDACTED")
        .and_then(|rest| rest.strip_suffix(b"]"));
    tag.is_some_and(|tag| !tag.is_empty() && is_tag(tag))
}

/// True for words that tell about a secret: `password: required`.
pub(crate) fn is_status(word: &[u8]) -> bool {
    let mut lower = [0; 16];
    let ends_in_letter = word.last().is_some_and(u8::is_ascii_alphabetic);
    let has_letters = || word.iter().all(u8::is_ascii_alphabetic);
    if word.len() > lower.len() || !ends_in_letter || !has_letters() {
        return false;
    }
    for (to, from) in lower.iter_mut().zip(word) {
        *to = from.to_ascii_lowercase();
    }
    STATUS.binary_search(&&lower[..word.len()]).is_ok()
}

/// Sorted.
#[rustfmt::skip] // A list of words, not one a line.
const STATUS: &[&[u8]] = &[
    b"absent", b"accepted", b"added", b"and", b"are", b"argument", b"at", b"authenticated",
    b"authentication", b"auto", b"bad", b"basic", b"be", b"bearer", b"blank", b"can", b"cannot",
    b"change", b"changed", b"characters", b"checked", b"complete", b"completed", b"configured",
    b"contain", b"contains", b"created", b"debug", b"default", b"deleted", b"denied", b"digest",
    b"disabled", b"does", b"enabled", b"encrypted", b"enter", b"entered", b"error", b"exists",
    b"expected", b"expired", b"fail", b"failed", b"failure", b"field", b"flag", b"for", b"found",
    b"generated", b"given", b"granted", b"has", b"hidden", b"ignored", b"include", b"incorrect",
    b"info", b"information", b"invalid", b"is", b"issued", b"least", b"loaded", b"locked", b"long",
    b"malformed", b"match", b"matches", b"maximum", b"may", b"migrated", b"migrating", b"minimum",
    b"mismatch", b"missing", b"must", b"needed", b"needs", b"new", b"no", b"not", b"notpresent",
    b"ok", b"omit", b"only", b"option", b"out", b"passed", b"permission", b"please", b"present",
    b"prompt", b"provided", b"read", b"refreshed", b"refused", b"rejected", b"removed", b"renewed",
    b"required", b"requires", b"reset", b"retype", b"revoked", b"rotated", b"saved", b"sent",
    b"set", b"short", b"should", b"skipped", b"sorry", b"specified", b"stored", b"succeeded",
    b"success", b"supplied", b"the", b"this", b"too", b"took", b"trace", b"unable", b"unauthorized",
    b"unavailable", b"unchanged", b"unexpected", b"unknown", b"unlimited", b"unset", b"unused",
    b"updated", b"used", b"using", b"valid", b"validated", b"verified", b"want", b"wants", b"warn",
    b"warning", b"was", b"weak", b"will", b"with", b"wrong", b"your",
];

fn is_nothing(value: &[u8]) -> bool {
    let words: &[&[u8]] = match value[0].to_ascii_lowercase() {
        b'o' => &[b"option::none", b"on", b"off"],
        b'n' => &[
            b"none",
            b"null",
            b"nil",
            b"no",
            b"n/a",
            b"not_logging_password",
        ],
        b'v' => &[b"value_specified_in_no_log_parameter"], // Of Ansible.
        b'u' => &[b"undefined"],
        b't' => &[b"true"],
        b'f' => &[b"false"],
        b'y' => &[b"yes"],
        b'e' => &[b"empty"],
        b's' => &[b"string"], // The type, in an example.
        b'<' => &[b"<none>", b"<null>"],
        b'~' => &[b"~"], // YAML's.
        b'(' => &[b"(null)", b"()"],
        _ => &[],
    };
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// `****`, `xxxx`, `......`, and bullets.
fn is_filler(value: &[u8]) -> bool {
    let first = value[0];
    let repeats = value.iter().all(|&byte| byte == first);
    let ascii_filler = matches!(first, b'*' | b'x' | b'X' | b'.' | b'-' | b'#' | b'?' | b'_');
    let stars = value.iter().take_while(|byte| **byte == b'*').count();
    let tail = &value[stars..];
    if stars >= 8 && tail.len() == 4 && tail.iter().all(u8::is_ascii_alphanumeric) {
        return true; // `****************ABCD` of command lines.
    }
    if first.is_ascii() {
        let is_cut = || {
            let rest = value.strip_suffix("…".as_bytes()).unwrap_or_default();
            rest.len() > 3 && rest.iter().all(|&byte| byte == first) // `xxxxxxxx…`.
        };
        return ascii_filler && (repeats || is_cut()) || is_counted_filler(value);
    }
    std::str::from_utf8(value).is_ok_and(|value| {
        value
            .chars()
            .all(|c| matches!(c, '•' | '●' | '∗' | '…' | '█' | '▇' | '■' | '▪' | '▒' | '░'))
    })
}

/// `*** (12 chars)`, and `++++++++ # (40 bytes)` as Helm shows that a secret changed.
fn is_counted_filler(value: &[u8]) -> bool {
    let signs = value.iter().take_while(|&&byte| byte == value[0]).count();
    let rest = &value[signs..];
    let count = rest
        .strip_prefix(b" # (")
        .or_else(|| rest.strip_prefix(b" ("));
    let count = count.unwrap_or_default();
    let digits = count
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_filler = signs > 2 && matches!(value[0], b'+' | b'-' | b'*');
    is_filler && digits > 0 && matches!(&count[digits..], b" bytes)" | b" chars)" | b" characters)")
}

/// `[REDACTED]`, `[FILTERED:x]`, `***MASKED***`, `<redacted>`, `REDACTED`.
fn is_mark(value: &[u8]) -> bool {
    let inner = value
        .trim_ascii_start()
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .or_else(|| strip_both(value, b'<', b'>'))
        .or_else(|| strip_both(value, b'(', b')'))
        .unwrap_or_else(|| trim_marks(value))
        .trim_ascii();
    let inner = strip_word(inner, b"XXX-", b"-XXX").unwrap_or(inner);
    // Signs besides these stand around passwords too: `#secret#`.
    let bare = inner.len() == value.len() || !b"[<(*".contains(&value[0]);
    if !bare && inner.len() > 2 && inner.iter().all(|&byte| byte == b'*') {
        return true; // `<****>`.
    }
    if !bare && (is_inspected(value[0], inner) || is_model_token(value[0], inner)) {
        return true;
    }
    let marks: &[&str] = match inner.first().map(u8::to_ascii_lowercase) {
        Some(b'r') => &["redacted", "removed"],
        Some(b'!') => &["!!redacted"],
        Some(b'f') => &["filtered"],
        Some(b'm') => &["masked"],
        Some(b'h') => &["hidden"],
        Some(b's') => &["sensitive", "scrubbed", "secret", "sanitized"],
        Some(b'p') => &["protected"],
        Some(b'o') => &["omitted"],
        _ => &[],
    };
    marks.iter().any(|mark| {
        let Some((start, rest)) = inner.split_at_checked(mark.len()) else {
            return false;
        };
        let is_value = matches!(rest, b" value" | b" data") || is_type(rest);
        let tag = rest.is_empty() || (!bare && (is_value || is_tag(rest)));
        start.eq_ignore_ascii_case(mark.as_bytes()) && tag && (!bare || *mark != "secret")
    })
}

/// `XXX-REDACTED-XXX`.
fn strip_word<'v>(value: &'v [u8], start: &[u8], end: &[u8]) -> Option<&'v [u8]> {
    value.strip_prefix(start)?.strip_suffix(end)
}

/// ` alloc::string::String` in the mask of a secret that shows its type.
fn is_type(rest: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:<>".contains(byte);
    let path = rest.strip_prefix(b" ").unwrap_or_default();
    path.windows(2).any(|two| two == b"::") && path.iter().all(is_part)
}

/// `[Function: token]`, `[Getter]`, `[Circular *1]`: how JavaScript shows what is no text.
fn is_inspected(open: u8, inner: &[u8]) -> bool {
    const SORTS: [&str; 10] = [
        "Function",
        "AsyncFunction",
        "GeneratorFunction",
        "Getter",
        "Setter",
        "Getter/Setter",
        "Object",
        "Array",
        "Symbol",
        "Circular",
    ];
    let end = inner.iter().position(|byte| b": (".contains(byte));
    let (sort, rest) = inner.split_at(end.unwrap_or(inner.len()));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b": ()*_$.".contains(byte);
    open == b'[' && SORTS.iter().any(|known| sort == known.as_bytes()) && rest.iter().all(is_name)
}

/// `[PAD]`, `</s>`, `<|endoftext|>`: what a model's tokenizer calls so.
fn is_model_token(open: u8, inner: &[u8]) -> bool {
    const TOKENS: [&[u8]; 7] = [b"BOS", b"CLS", b"EOS", b"MASK", b"PAD", b"SEP", b"UNK"];
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    match open {
        b'[' => TOKENS.contains(&inner),
        b'<' => {
            inner == b"/s"
                || strip_both(inner, b'|', b'|').is_some_and(|name| name.iter().all(is_letter))
        }
        _ => false,
    }
}

fn is_tag(rest: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':');
    rest[0] == b':' && rest[1..].iter().all(allowed)
}

/// `${VAR}`, `$VAR`, `%VAR%`, `{{ var }}`, `<TOKEN>`, `<your token>`.
fn is_placeholder(value: &[u8]) -> bool {
    if value.starts_with(b"${{") && value.ends_with(b"}}") || is_php_variable(value) {
        return true; // `${{ secrets.X }}` of a build server, `$_POST['x']` of PHP.
    }
    if let Some(name) = value.strip_prefix(b"${").and_then(|v| v.strip_suffix(b"}")) {
        if let Some(end) = name.windows(2).position(|two| two == b":?") {
            return is_variable(&name[..end]); // What is said when it is not set.
        }
        return is_variable(name.split(|&byte| byte == b':').next().unwrap_or_default());
    }
    if let Some(inner) = value.strip_prefix(b"$(").and_then(|v| v.strip_suffix(b")")) {
        return inner.contains(&b' ') || is_upper_variable(inner); // What a command writes.
    }
    if is_ruby_template(value) || is_parameter(value) {
        return true;
    }
    if let Some(name) = value.strip_prefix(b"$env:") {
        return is_upper_variable(name); // Of PowerShell.
    }
    if let Some(name) = value.strip_prefix(b"$") {
        let is_query = matches!(
            name,
            b"null" | b"p" | b"pw" | b"pass" | b"password" | b"secret" | b"token"
        ); // GraphQL's.
        return is_upper_variable(name)
            || is_query
            || is_nginx_variable(name)
            || name.iter().all(u8::is_ascii_digit);
    }
    if is_lookup(value) {
        return true;
    }
    if let Some(name) = value.strip_prefix(b"env:") {
        return is_upper_variable(name);
    }
    if value.starts_with(b"%env(") && value.ends_with(b")%") {
        return true; // Of Symfony.
    }
    if let [b'%', b'0'..=b'9'] = value {
        return true; // An argument of a script.
    }
    if let Some(name) = strip_both(value, b'%', b'%') {
        return is_upper_variable(name);
    }
    if let Some(name) = value
        .strip_prefix(b"{{")
        .and_then(|v| v.strip_suffix(b"}}"))
    {
        return name.len() <= 80; // A template.
    }
    if let Some(name) = strip_both(value, b'{', b'}') {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        if let [b'0'..=b'9'] = name {
            return true; // `{0}`.
        }
        let name = name.strip_suffix(b"!r").unwrap_or(name);
        return name.len() > 2 && name.iter().all(is_letter); // `{password}` of a format.
    }
    strip_both(value, b'<', b'>').is_some_and(|name| is_words(name) || is_remark(name))
}

/// `set to the key 'password' in secret 'web'`: some words that tell where it is.
fn is_remark(name: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b" '_-.".contains(byte);
    let is_word = |word: &[u8]| word.iter().all(u8::is_ascii_lowercase);
    let words = || name.split(|&byte| byte == b' ');
    let tells = |word: &[u8]| {
        matches!(
            word,
            b"from" | b"in" | b"key" | b"of" | b"see" | b"set" | b"the" | b"to" | b"your"
        )
    };
    name.len() <= 96
        && words().any(tells)
        && name.iter().all(is_part)
        && words().take(3).all(is_word)
        && words().count() >= 4
}

/// `<%= ENV["TOKEN"] %>`; a string alone, or one that stands in for it, may be the secret.
fn is_ruby_template(value: &[u8]) -> bool {
    let inner = value
        .strip_prefix(b"<%=")
        .and_then(|rest| rest.strip_suffix(b"%>"))
        .unwrap_or_default()
        .trim_ascii();
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"_.:[]()\"'".contains(byte);
    inner.first().is_some_and(u8::is_ascii_alphabetic) && inner.iter().all(is_part)
}

/// `@p0`, `@__user_0` of a statement.
fn is_parameter(value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match value.strip_prefix(b"@") {
        Some([b'p', number @ ..]) => {
            (1..=3).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
        }
        Some([b'_', b'_', name @ .., b'_', b'0'..=b'9']) => name.iter().all(is_name),
        _ => false,
    }
}

/// `$http_authorization`.
fn is_nginx_variable(name: &[u8]) -> bool {
    let owners: [&[u8]; 4] = [b"http_", b"cookie_", b"arg_", b"upstream_"];
    let rest = |owner: &&[u8]| name.strip_prefix(*owner);
    owners.iter().filter_map(rest).any(|rest| {
        let rest = rest.strip_suffix(b";").unwrap_or(rest);
        rest.len() > 2
            && rest
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
    })
}

/// Source text that fetches the value from elsewhere, and the parameters of
/// statements and formats.
fn is_lookup(value: &[u8]) -> bool {
    let calls: &[&[u8]] = match value[0] {
        b'p' => &[b"prompt(", b"process.env"],
        b'g' => &[b"getpass", b"getenv("],
        b'i' => &[b"input("],
        b'#' => &[b"#{ENV["],
        b'o' => &[b"os.environ", b"os.getenv"],
        b'S' => &[b"System.getenv"],
        b'e' => &[b"env.", b"env("],
        b'E' => &[b"ENV["],
        b'v' => &[b"valueFrom"],
        b'!' => &[b"!vault", b"!Ref", b"!GetAtt", b"!Sub"],
        b's' => &[b"secretKeyRef"],
        _ => &[],
    };
    let is_named_format = value.starts_with(b"%(") && value.ends_with(b")s");
    let is_format = is_named_format
        || matches!(
            value,
            b"%s" | b"%d" | b"%v" | b"%q" | b"{}" | b"await" | b"?"
        );
    let parameter = value.strip_prefix(b":").is_some_and(|name| {
        !name.is_empty() && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
    });
    let is_call = calls.iter().any(|call| value.starts_with(call));
    is_format || parameter || is_call || is_member(value) || is_place(value)
}

/// `var.db_password`, `settings.SECRET_KEY`, `req.headers['x-token`: a member of what
/// programs call so, by its name.
fn is_member(value: &[u8]) -> bool {
    const OWNERS: [&str; 9] = [
        "config.",
        "ctx.",
        "local.",
        "req.",
        "request.",
        "self.",
        "settings.",
        "this.",
        "var.",
    ];
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || b"_.['\"]-".contains(byte);
    let rest = |owner: &&str| value.strip_prefix(owner.as_bytes());
    OWNERS
        .iter()
        .filter_map(rest)
        .any(|name| !name.is_empty() && name.iter().all(is_name))
}

/// Where a secret is kept: `op://vault/item/password`, `arn:aws:secretsmanager:…`.
fn is_place(value: &[u8]) -> bool {
    const KEEPERS: [&str; 7] = [
        "ssm:/",
        "op://",
        "projects/",
        "vault:",
        "ref+",
        "awssm:",
        "arn:aws:",
    ];
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/:._-#+".contains(byte);
    let is_kept = KEEPERS
        .iter()
        .any(|keeper| value.starts_with(keeper.as_bytes()));
    let parts = value
        .iter()
        .filter(|byte| matches!(byte, b'/' | b':'))
        .count();
    is_kept && (parts >= 4 || parts == 3 && value.contains(&b'#')) && value.iter().all(is_part)
}

/// `$_POST['password']`, cut at its quote or whole.
fn is_php_variable(value: &[u8]) -> bool {
    const NAMES: [&str; 6] = [
        "$_POST[",
        "$_GET[",
        "$_REQUEST[",
        "$_SERVER[",
        "$_ENV[",
        "$_SESSION[",
    ];
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || b"_'\"]-".contains(byte);
    NAMES
        .iter()
        .filter_map(|name| value.strip_prefix(name.as_bytes()))
        .any(|rest| rest.iter().all(is_name))
}

fn is_variable(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    !name.is_empty() && name.iter().all(allowed)
}

fn is_upper_variable(name: &[u8]) -> bool {
    is_variable(name)
        && !name.iter().any(u8::is_ascii_lowercase)
        && name.iter().any(u8::is_ascii_uppercase)
}

fn is_words(name: &[u8]) -> bool {
    let allowed =
        |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'_' | b'-' | b'.' | b'$');
    !name.is_empty() && name.len() <= 40 && name.iter().all(allowed)
}

fn strip_both(value: &[u8], open: u8, close: u8) -> Option<&[u8]> {
    match value {
        [first, inner @ .., last] if *first == open && *last == close => Some(inner),
        _ => None,
    }
}

/// Without the signs around a mark: `**REDACTED**`, `__REDACTED__`.
fn trim_marks(value: &[u8]) -> &[u8] {
    let is_sign = |byte: &u8| b"*_-#".contains(byte);
    let start = value.iter().position(|byte| !is_sign(byte));
    let end = value.iter().rposition(|byte| !is_sign(byte));
    match (start, end) {
        (Some(start), Some(last)) => &value[start..=last],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_sorted_letters_so_that_they_are_found() {
        assert!(STATUS.is_sorted());
        let mut bytes = STATUS.iter().copied().flatten();
        assert!(bytes.all(u8::is_ascii_lowercase));
        assert!(is_status(b"Required"));
        assert!(!is_status(b"hunter2"));
    }

    #[test]
    fn masks_and_placeholders_stay() {
        for value in [
            "",
            "None",
            "null",
            "NIL",
            "true",
            "****",
            "xxxx",
            "••••",
            "[REDACTED]",
            "[REDACTED:password]",
            "[Filtered]",
            "***MASKED***",
            "<redacted>",
            "REDACTED",
            "${VAR}",
            "${db.password:default}",
            "$DB_PASSWORD",
            "%PASSWORD%",
            "{{ password }}",
            "<TOKEN>",
            "<your token>",
            "(null)",
        ] {
            assert!(is_harmless(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn secrets_that_resemble_masks_do_not_stay() {
        for value in [
            "hunter2",
            "hunt****",
            "$2b$12$abcdefghijklmnopqrstuv",
            "[hunter2]",
            "secret",
            "*secret!",
            "<a1b2c3>",
            "$ecret",
            "redacted2",
        ] {
            assert!(!is_harmless(value.as_bytes()), "{value}");
        }
    }
}
