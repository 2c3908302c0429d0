//! Which field names stand before a secret.
//!
//! A name is split into words (`dbPassword`, `DB_PASSWORD`, `db.password` and
//! `db-password` are all `db`, `password`). Looking for `token` in the whole
//! name would find `tokenizer`, and `\btoken` would miss `auth_token`.
//!
//! Two sorts of words: *strong* ones (`password`, `secret`) make a name secret
//! wherever they stand, unless the last word says that the value is something
//! else (`password_length`); the others (`token`, `auth`, `key` after a word
//! such as `api`) must be the last word. What an extra word such as `new`,
//! `value` or `prod` adds to the end of a name does not matter.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::glob::Glob;
use crate::rules::Kind;

/// Longest name that is judged; a longer run of letters is no name.
pub(crate) const MAX_NAME: usize = 80;
const MAX_WORDS: usize = 12;

/// What a field name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The name says nothing: only the value can tell.
    Plain,
    /// The user allows it: never redacted by name.
    Allowed,
    /// The value is secret.
    Secret(SecretName),
}

/// Why a name is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretName {
    pub(crate) rule: Kind,
    pub(crate) trust: Trust,
}

impl SecretName {
    /// The rule that [`redactions`](crate::Sanitizer::redactions) counts.
    pub fn rule(&self) -> &'static str {
        self.rule.name()
    }
}

/// How much a name in running text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Whatever follows is secret (`password=`).
    Strong,
    /// What follows is secret if it does not look like a word (`token: expired`).
    Shaped,
    /// Numbers follow it in harmless texts too (`pass=3 fail=0`, `tokens: 512`).
    Counted,
    /// Only digits are secret (`pin`, `otp`).
    Digits,
    /// Only as many digits as a card has: `card_no=3` is a place in a machine.
    Number,
    /// Only what nobody writes by hand is secret: `key=users/42` names an entry.
    Scrambled,
    /// Only what somebody chose for a password is secret: `first_pass=done`.
    Chosen,
    /// Only long random values are secret: a `session_id` may be a number or a
    /// UUID that gives no access.
    Session,
}

/// The built-in words and the user's globs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Tells apart those with globs; all without are the same.
    number: u32,
    deny: Vec<Glob>,
    allow: Vec<Glob>,
}

/// Names that were judged on a thread: programs write the same few again and again.
struct Judged([Cell<Option<JudgedName>>; JUDGED]);

#[derive(Debug, Clone, Copy)]
struct JudgedName {
    of: u32,
    length: u8,
    name: [u8; LONGEST_JUDGED],
    verdict: Verdict,
}

const JUDGED: usize = 32;
/// Longer names are judged each time.
const LONGEST_JUDGED: usize = 24;

thread_local! {
    static KNOWN: Judged = const { Judged([const { Cell::new(None) }; JUDGED]) };
}

impl Names {
    pub(crate) fn new(deny: &[String], allow: &[String]) -> Self {
        let globs = |list: &[String]| list.iter().map(|glob| Glob::new(glob)).collect();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = match deny.is_empty() && allow.is_empty() {
            true => 0,
            false => NEXT.fetch_add(1, Ordering::Relaxed),
        };
        Self {
            number,
            deny: globs(deny),
            allow: globs(allow),
        }
    }

    pub(crate) fn denied(&self) -> &[Glob] {
        &self.deny
    }

    /// Judges a whole name. Linear in its length; allocates nothing.
    pub(crate) fn judge(&self, name: &[u8]) -> Verdict {
        if name.len() > LONGEST_JUDGED {
            return self.judge_unknown(name);
        }
        let ends = (name.first().copied(), name.last().copied());
        let sum = usize::from(ends.0.unwrap_or(0)) + 5 * usize::from(ends.1.unwrap_or(0));
        KNOWN.with(|known| {
            let place = &known.0[(sum + name.len()) % JUDGED];
            if let Some(judged) = place.get()
                && judged.of == self.number
                && judged.name[..usize::from(judged.length)] == *name
            {
                return judged.verdict;
            }
            let verdict = self.judge_unknown(name);
            let mut kept = [0; LONGEST_JUDGED];
            kept[..name.len()].copy_from_slice(name);
            place.set(Some(JudgedName {
                of: self.number,
                length: name.len() as u8,
                name: kept,
                verdict,
            }));
            verdict
        })
    }

    fn judge_unknown(&self, name: &[u8]) -> Verdict {
        if self.allow.iter().any(|glob| glob.matches(name)) {
            return Verdict::Allowed;
        }
        if self.deny.iter().any(|glob| glob.matches(name)) {
            return secret(Kind::DeniedField, Trust::Strong);
        }
        if name.len() > MAX_NAME {
            return Verdict::Plain;
        }
        if name.ends_with(b".core.windows.net") && name.starts_with(b"fs.azure.account.key.") {
            return secret(Kind::ApiKey, Trust::Strong);
        }
        if !name.is_ascii() {
            return judge_foreign(name);
        }
        let mut lower = [0; MAX_NAME];
        let words = Words::split(name, &mut lower);
        judge_words(words.meaningful())
    }
}

/// A name in letters of other languages.
fn judge_foreign(name: &[u8]) -> Verdict {
    const PASSWORDS: [&str; 15] = [
        "contraseña",
        "hasło",
        "lösenord",
        "şifre",
        "jelszó",
        "пароль",
        "密码",
        "密碼",
        "口令",
        "パスワード",
        "비밀번호",
        "암호",
        "κωδικός",
        "סיסמה",
        "كلمة المرور",
    ];
    let is_password = |name: &str| PASSWORDS.contains(&name.to_lowercase().as_str());
    match std::str::from_utf8(name) {
        Ok(name) if is_password(name) => secret(Kind::Password, Trust::Strong),
        _ => Verdict::Plain,
    }
}

/// Inside of a group with a secret name, names of what describes the secret:
/// `"credentials": {"user": "bob", "secret": "x"}`.
pub(crate) fn is_description(name: &str) -> bool {
    let mut lower = [0; MAX_NAME];
    if name.len() > MAX_NAME {
        return false;
    }
    let words = Words::split(name.as_bytes(), &mut lower);
    let Some(head) = words.words[..words.count].last() else {
        return false;
    };
    HARMLESS_HEADS.binary_search(head).is_ok() || OWNERS.contains(head)
}

/// The last word of a name says that it is about something: `RequestId`, `Algorithm`.
pub(crate) fn is_about_something(name: &[u8]) -> bool {
    let mut lower = [0; MAX_NAME];
    if name.len() > MAX_NAME {
        return false;
    }
    let words = Words::split(name, &mut lower);
    let head = words.words[..words.count].last();
    head.is_some_and(|head| HARMLESS_HEADS.binary_search(head).is_ok())
}

/// A word that says what about a secret is told: `policy`, `reset`, `hash`.
pub(crate) fn is_about(word: &[u8]) -> bool {
    HARMLESS_HEADS.binary_search(&word).is_ok() || is_addition(word)
}

#[rustfmt::skip] // A list of words, not one a line.
const OWNERS: [&[u8]; 14] = [
    b"account", b"address", b"client", b"description", b"email", b"expires",
    b"host", b"issuer", b"login", b"port", b"realm", b"region", b"user", b"username",
];

fn secret(rule: Kind, trust: Trust) -> Verdict {
    Verdict::Secret(SecretName { rule, trust })
}

fn judge_words(words: &[&[u8]]) -> Verdict {
    let Some((&head, before)) = words.split_last() else {
        return Verdict::Plain;
    };
    if head == b"secrets" && before.contains(&b"pull".as_slice()) {
        return Verdict::Plain; // Their names.
    }
    if words.contains(&b"existing".as_slice()) && words.iter().any(|word| word.ends_with(b"secret"))
    {
        return Verdict::Plain; // `existingSecretPasswordKey`: where one is.
    }
    if words == [b"1".as_slice(), b"password"] {
        return Verdict::Plain; // The product.
    }
    if words.contains(&b"public".as_slice()) || words.contains(&b"publishable".as_slice()) {
        return Verdict::Plain;
    }
    judge_head(head, before)
        .or_else(|| judge_strong(words, head))
        .or_else(|| judge_bearer(words, head))
        .unwrap_or(Verdict::Plain)
}

/// Words that count only at the end of a name.
fn judge_head(head: &[u8], before: &[&[u8]]) -> Option<Verdict> {
    let last_before = before.last().copied().unwrap_or_default();
    let verdict = match head {
        b"token" if TOKEN_OF_TEXT.contains(&last_before) => secret(Kind::Token, Trust::Session),
        b"token" | b"jwt" | b"csrf" | b"xsrf" | b"bearer" | b"phpsessid" | b"jsessionid"
        | b"sessid" => secret(Kind::Token, Trust::Shaped),
        b"tokens" => secret(Kind::Token, Trust::Counted),
        b"sid" if last_before == b"connect" => secret(Kind::Token, Trust::Shaped),
        b"sid" | b"sessionid" | b"session" | b"sess" => secret(Kind::Token, Trust::Session),
        b"id" if last_before == b"secret" => secret(Kind::Secret, Trust::Session),
        b"pat" if !before.is_empty() => secret(Kind::Token, Trust::Session),
        b"tkn" => secret(Kind::Token, Trust::Shaped),
        b"refresh" if before.is_empty() => secret(Kind::Secret, Trust::Session),
        b"wif" if before.is_empty() => secret(Kind::PrivateKey, Trust::Scrambled),
        b"ntlm" | b"nthash" | b"lmhash" => secret(Kind::Secret, Trust::Session),
        b"passwordsalt" => secret(Kind::PrivateKey, Trust::Shaped),
        b"clave" => secret(Kind::Password, Trust::Chosen),
        b"seed" if matches!(last_before, b"totp" | b"otp" | b"mfa" | b"tfa") => {
            secret(Kind::PrivateKey, Trust::Shaped)
        }
        b"pgpass" => return None, // A file.
        b"auth" if last_before == b"rediscli" => secret(Kind::Password, Trust::Strong),
        b"authtok" => secret(Kind::Password, Trust::Strong),
        b"salt" if matches!(last_before, b"auth" | b"in" | b"nonce") => {
            secret(Kind::PrivateKey, Trust::Shaped)
        }
        b"seed" => secret(Kind::PrivateKey, Trust::Scrambled),
        b"code" if last_before == b"device" => secret(Kind::Token, Trust::Session),
        b"id" if last_before == b"session" => secret(Kind::Token, Trust::Session),
        b"sign" if last_before == b"api" || last_before == b"access" => {
            secret(Kind::Signature, Trust::Shaped)
        }
        b"api" if last_before == b"art" => secret(Kind::ApiKey, Trust::Shaped),
        b"appid" => secret(Kind::ApiKey, Trust::Session),
        b"login" if last_before == b"sonar" => secret(Kind::ApiKey, Trust::Chosen),
        b"word" | b"wd" if last_before == b"pass" => secret(Kind::Password, Trust::Strong),
        b"passe" if last_before == b"de" => secret(Kind::Password, Trust::Strong),
        b"heslo" | b"haslo" | b"losenord" | b"salasana" | b"sifre" | b"jelszo" | b"lozinka"
        | b"adgangskode" | b"passord" | b"parola" => secret(Kind::Password, Trust::Strong),
        b"masterauth" => secret(Kind::Password, Trust::Strong),
        b"authorization" | b"authorisation" => secret(Kind::Authorization, Trust::Strong),
        b"auth" | b"xauth" => secret(Kind::Authorization, Trust::Shaped),
        b"cookie" | b"cookies" => secret(Kind::Cookie, Trust::Strong),
        b"credential" if last_before == b"amz" => return None, // A key's name, a date, a place.
        b"credential" | b"credentials" | b"creds" | b"cred" => {
            secret(Kind::Credential, Trust::Shaped)
        }
        b"team" if last_before == b"honeycomb" => secret(Kind::ApiKey, Trust::Shaped),
        b"number" | b"no" | b"num" | b"nr" if CARD_OF.contains(&last_before) => {
            secret(Kind::Card, Trust::Number)
        }
        b"cardnumber" | b"ccnumber" | b"creditcard" => secret(Kind::Card, Trust::Number),
        b"ssn" | b"socialsecurity" => secret(Kind::Pin, Trust::Digits),
        b"number" if last_before == b"security" && before.contains(&b"social".as_slice()) => {
            secret(Kind::Pin, Trust::Digits)
        }
        b"code" if last_before == b"time" && before.contains(&b"one".as_slice()) => {
            secret(Kind::Pin, Trust::Shaped)
        }
        b"sig" | b"signature" | b"hmac" => secret(Kind::Signature, Trust::Shaped),
        b"pin" | b"pincode" | b"otp" | b"totp" => secret(Kind::Pin, Trust::Digits),
        b"cvv" | b"cvc" | b"cvv2" | b"cvc2" => secret(Kind::Card, Trust::Digits),
        b"code" | b"codes" if CODE_OF.contains(&last_before) => secret(Kind::Pin, Trust::Shaped),
        b"verifier" if last_before == b"code" => secret(Kind::Secret, Trust::Shaped),
        b"pw" | b"psw" | b"pword" => secret(Kind::Password, Trust::Strong),
        b"pass" if before.is_empty() => secret(Kind::Password, Trust::Counted),
        b"pass" if PASS_OF.contains(&last_before) => secret(Kind::Password, Trust::Strong),
        b"pass" => secret(Kind::Password, Trust::Chosen),
        b"key" if before.is_empty() => secret(Kind::ApiKey, Trust::Scrambled),
        b"key" | b"keys" => judge_key(before)?,
        b"material" if last_before == b"key" => secret(Kind::PrivateKey, Trust::Strong),
        b"response" | b"assertion" if last_before == b"saml" => secret(Kind::Token, Trust::Shaped),
        b"psk" | b"presharedkey" => secret(Kind::PrivateKey, Trust::Strong),
        b"private" if before.is_empty() => secret(Kind::PrivateKey, Trust::Scrambled),
        b"privatekey" | b"privkey" => secret(Kind::PrivateKey, Trust::Strong),
        b"mnemonic" => secret(Kind::Secret, Trust::Strong),
        b"phrase" if SEED_OF.contains(&last_before) => secret(Kind::Secret, Trust::Strong),
        _ => return judge_compound(head),
    };
    Some(verdict)
}

/// Words grown together: `authtoken`, `dbpass`, `apikey`.
fn judge_compound(head: &[u8]) -> Option<Verdict> {
    if head.ends_with(b"token") {
        return Some(secret(Kind::Token, Trust::Shaped));
    }
    if let Some(owner) = head.strip_suffix(b"key".as_slice()) {
        let verdict = judge_key(&[owner])?;
        let is_told =
            !matches!(verdict, Verdict::Secret(secret) if secret.trust == Trust::Scrambled);
        return is_told.then_some(verdict);
    }
    let owner = head
        .strip_suffix(b"pass".as_slice())
        .or_else(|| head.strip_suffix(b"pw".as_slice()))?;
    const WORDS: [&[u8]; 6] = [b"by", b"com", b"encom", b"onekey", b"sur", b"tres"];
    if owner.ends_with(b"store") || PASS_OF.contains(&owner) {
        return Some(secret(Kind::Password, Trust::Strong));
    }
    let is_unknown = head.ends_with(b"pass") && owner.len() > 1 && !WORDS.contains(&owner);
    is_unknown.then(|| secret(Kind::Password, Trust::Chosen))
}

/// A key is secret by what it is for: `cache_key` and `primary_key` are not.
fn judge_key(before: &[&[u8]]) -> Option<Verdict> {
    let last = before.last()?;
    if PRIVATE_KEYS.contains(last) {
        return Some(secret(Kind::PrivateKey, Trust::Strong));
    }
    if before.contains(&b"secret".as_slice()) {
        return Some(secret(Kind::ApiKey, Trust::Strong));
    }
    let is_service =
        |word: &&[u8]| KEY_OF.contains(word) || GROWN.iter().any(|end| word.ends_with(end));
    if before.iter().any(is_service) {
        return Some(secret(Kind::ApiKey, Trust::Shaped));
    }
    let is_open = OPEN_KEYS.contains(last);
    (!is_open).then(|| secret(Kind::ApiKey, Trust::Scrambled))
}

/// `AWS_BEARER_TOKEN_BEDROCK`.
fn judge_bearer(words: &[&[u8]], head: &[u8]) -> Option<Verdict> {
    let is_bearer = words
        .windows(2)
        .any(|two| two == [b"bearer".as_slice(), b"token"]);
    let is_about = HARMLESS_HEADS.binary_search(&head).is_ok();
    (is_bearer && !is_about).then(|| secret(Kind::BearerToken, Trust::Shaped))
}

/// Words that make the whole name secret, unless its last word says otherwise.
fn judge_strong(words: &[&[u8]], head: &[u8]) -> Option<Verdict> {
    if words.contains(&b"ask".as_slice()) {
        return None; // `systemd-ask-password`.
    }
    if words.contains(&b"detect".as_slice()) {
        return None; // `detect-secrets`.
    }
    let counts: [&[u8]; 6] = [b"num", b"count", b"max", b"min", b"total", b"number"];
    if head.ends_with(b"s") && words.first().is_some_and(|first| counts.contains(first)) {
        return None;
    }
    let rule = words.iter().find_map(|word| strong(word))?;
    let in_manager = words
        .windows(2)
        .any(|two| two == [b"manager".as_slice(), b"in"]);
    if in_manager && strong(head).is_none() {
        return None; // `NMTokenSecretManagerInRM`.
    }
    if HARMLESS_HEADS.binary_search(&head).is_ok() {
        return None;
    }
    // Behind these a password is rare, but may be.
    let doubted: [&[u8]; 4] = [b"checked", b"command", b"exception", b"prefix"];
    // And in what a page shows: `label.password=Passwort`.
    let shown: [&[u8]; 6] = [
        b"label",
        b"labels",
        b"i18n",
        b"placeholder",
        b"tooltip",
        b"title",
    ];
    let is_shown = words.first().is_some_and(|first| shown.contains(first));
    let trust = match is_shown || doubted.contains(&head) {
        true => Trust::Chosen,
        false => Trust::Strong,
    };
    Some(secret(rule, trust))
}

fn strong(word: &[u8]) -> Option<Kind> {
    const PASSWORDS: [&[u8]; 16] = [
        b"password",
        b"pasword", // As people mistype it.
        b"passwrd",
        b"passwrod",
        b"passowrd",
        b"paswd",
        b"passwd",
        b"pwd",
        b"passphrase",
        b"passcode",
        b"passwort",
        b"kennwort",
        b"senha",
        b"contrasena",
        b"motdepasse",
        b"wachtwoord",
    ];
    const PROGRAMS: [&[u8]; 8] = [
        b"onepassword",
        b"chpasswd",
        b"gpasswd",
        b"htpasswd",
        b"kpasswd",
        b"libsecret", // Not one, but installed as such.
        b"smbpasswd",
        b"yppasswd",
    ];
    if PROGRAMS.contains(&word) {
        return None; // `libsecret-1-0`.
    }
    let word = word
        .strip_suffix(b"s")
        .filter(|word| word.len() > 2)
        .unwrap_or(word);
    // Most often the last letter differs.
    let may_be = |end: &&&[u8]| end.last() == word.last();
    if PASSWORDS
        .iter()
        .filter(may_be)
        .any(|end| word.ends_with(end))
    {
        return Some(Kind::Password);
    }
    let is_secret = word.ends_with(b"secret");
    is_secret.then_some(Kind::Secret)
}

const CARD_OF: [&[u8]; 6] = [
    b"card",
    b"cc",
    b"credit",
    b"creditcard",
    b"debit",
    b"payment",
];

#[rustfmt::skip] // A list of words, not one a line.
const CODE_OF: [&[u8]; 19] = [
    b"activation", b"factor",
    b"2fa", b"fa", b"access", b"auth", b"authorization", b"backup", b"confirmation", b"login", b"mfa",
    b"otp", b"pass", b"pin", b"recovery", b"security", b"sms", b"totp", b"verification",
];

/// Whose tokens are those of a parser, a model or a task: `pad_token`, `next_token`. (What
/// leads to the next page is a long one.)
#[rustfmt::skip] // A list of words, not one a line.
const TOKEN_OF_TEXT: [&[u8]; 13] = [
    b"bos", b"cancellation", b"cls", b"eos", b"eot", b"fim", b"lookahead", b"mask", b"next", b"pad", b"sep",
    b"unexpected", b"unk",
];

const SEED_OF: [&[u8]; 5] = [b"backup", b"mnemonic", b"pass", b"recovery", b"seed"];

#[rustfmt::skip] // A list of words, not one a line.
const PRIVATE_KEYS: [&[u8]; 8] = [
    b"priv", b"private", b"preshared", b"shared", b"ssh", b"symmetric", b"tls", b"ssl",
];

#[rustfmt::skip] // A list of words, not one a line.
const KEY_OF: [&[u8]; 74] = [
    b"validation",
    b"instrumentation", b"activation", b"nwk", b"setup", b"wifi", b"wireless", b"wlan",
    b"access", b"account", b"admin", b"aes", b"age", b"anon", b"api", b"app", b"application",
    b"auth", b"azure", b"client", b"consumer", b"cookie", b"crypto", b"datadog", b"dd", b"decrypt",
    b"decryption", b"deploy", b"enc", b"encrypt", b"encryption", b"fernet", b"functions", b"google",
    b"gpg", b"hmac", b"integration", b"jwt", b"license", b"licence", b"mailgun", b"master",
    b"merchant", b"newrelic", b"openai", b"pgp", b"rails", b"recovery", b"root", b"rsa", b"secret",
    b"sendgrid", b"server", b"service", b"session", b"shared", b"sharedaccess", b"sign", b"signing",
    b"storage", b"stripe", b"subscription", b"unseal", b"vault", b"webhook", b"accountaccess",
    b"bearer", b"product", b"wallet", b"totp", b"ingest", b"write", b"serial", b"fastly",
];

/// Whose keys name something, and may look like anything.
#[rustfmt::skip] // A list of words, not one a line.
const OPEN_KEYS: [&[u8]; 42] = [
    b"action", b"blob", b"bucket", b"cache", b"column", b"composite", b"config", b"content", b"dedup", b"digest", b"entry",
    b"etcd", b"foreign", b"group", b"hash", b"host", b"id", b"idempotency", b"index", b"kv", b"layer", b"lock",
    b"lookup", b"map", b"message", b"node", b"object", b"partition", b"peer", b"primary", b"pub", b"redis",
    b"registry", b"row", b"s3", b"sort", b"topic", b"unique", b"verify", b"verifying", b"routing", b"socket",
];

/// How words end that more words have grown together with: `AWSSECRETACCESSKEY`.
const GROWN: [&[u8]; 6] = [
    b"api",
    b"secret",
    b"secretaccess",
    b"encryption",
    b"signing",
    b"license",
];

#[rustfmt::skip] // A list of words, not one a line.
const PASS_OF: [&[u8]; 108] = [
    b"set", b"with", b"default",
    b"ansible", b"become", b"cifs", b"couchdb", b"dav", b"elastic", b"grafana", b"guest", b"imap4", b"influx",
    b"ipmi", b"java", b"jks", b"kibana", b"mariadb", b"minio", b"mosquitto", b"mssql", b"nats", b"neo4j",
    b"oracle", b"pgsql", b"pkcs12", b"pop3", b"ppp", b"rpc", b"samba", b"sql", b"vpn", b"webdav",
    b"account", b"admin", b"api", b"app", b"archive", b"auth", b"backup", b"basic", b"bind",
    b"borg", b"cert", b"client", b"current", b"database", b"db", b"docker", b"email", b"enc",
    b"encryption", b"ftp", b"git", b"gpg", b"host", b"http", b"https", b"imap", b"jenkins", b"jira",
    b"kafka", b"key", b"keystore", b"ldap", b"login", b"mail", b"master", b"mongo", b"mq", b"mqtt",
    b"my", b"mysql", b"new", b"nexus", b"old", b"p12", b"pfx", b"pg", b"postgres", b"proxy",
    b"rabbitmq", b"redis", b"registry", b"remote", b"require", b"store", b"storage", b"repo", b"restic", b"root", b"sasl", b"server",
    b"service", b"sftp", b"smb", b"smtp", b"sonar", b"ssh", b"ssl", b"sudo", b"svn", b"truststore",
    b"user", b"usr", b"vault", b"vnc", b"wifi",
];

/// Last words that say the value is about a secret, not the secret. Sorted.
#[rustfmt::skip] // A list of words, not one a line.
const HARMLESS_HEADS: &[&[u8]] = &[
    b"age", b"alg", b"algo", b"algorithm", b"arn", b"asc", b"at", b"attempt", b"attempts",
    b"authentication", b"backend", b"bak", b"baseline", b"bits", b"broker", b"by", b"bytes", b"c",
    b"cfg", b"change", b"changed", b"charset", b"check", b"class", b"column", b"complexity",
    b"component", b"conf", b"controller", b"cost", b"count", b"counts", b"cpp", b"created", b"css",
    b"date", b"days", b"decoder", b"detection", b"dialog", b"dir", b"directory", b"disabled",
    b"duration", b"enabled", b"encoder", b"encoding", b"encryption", b"encryptor", b"endpoint",
    b"engine", b"entropy", b"env", b"error", b"errors", b"exists", b"expiration", b"expired",
    b"expires", b"expiry", b"factory", b"fail", b"failed", b"failures", b"field", b"file",
    b"filename", b"filter", b"flag", b"form", b"format", b"found", b"function", b"generator", b"go",
    b"gpg", b"gz", b"handler", b"hasher", b"hashers", b"hashing", b"helper", b"hint", b"history",
    b"html", b"id", b"identifier", b"ids", b"in", b"index", b"input", b"interval", b"invalid",
    b"iterations", b"java", b"js", b"json", b"jsx", b"key", b"keys", b"kib", b"kind", b"label",
    b"len", b"length", b"lifetime", b"limit", b"link", b"loaded", b"location", b"log", b"mail",
    b"mails", b"manager", b"map", b"maps", b"max", b"md", b"memory", b"message", b"method", b"min",
    b"mode", b"module", b"name", b"names", b"namespace", b"offset", b"ok", b"page", b"parallelism",
    b"path", b"paths", b"php", b"placeholder", b"plugin", b"policy", b"present", b"prompt",
    b"protected", b"provider", b"py", b"quality", b"ratio", b"rb", b"reads", b"ref", b"regex",
    b"reload", b"require", b"required", b"reset", b"resets", b"retries", b"rm", b"rotated",
    b"rotation", b"rounds", b"rs", b"rules", b"scan", b"scanned", b"scanning", b"scheme", b"scope",
    b"score", b"seconds", b"secs", b"service", b"set", b"sh", b"size", b"source", b"spec", b"sql",
    b"state", b"status", b"stdin", b"store", b"strength", b"success", b"svelte", b"tar",
    b"template", b"tests", b"time", b"timeout", b"timestamp", b"title", b"toml", b"total", b"ts",
    b"tsx", b"ttl", b"txt", b"type", b"types", b"updated", b"uri", b"url", b"usage", b"used",
    b"util", b"utils", b"uuid", b"valid", b"validation", b"validator", b"validators", b"var",
    b"version", b"versions", b"view", b"visible", b"vue", b"weak", b"within", b"writes", b"yaml",
    b"yml", b"zip",
];

/// Last words that leave the meaning of the ones before as it is. Sorted.
#[rustfmt::skip] // A list of words, not one a line.
const ADDITIONS: &[&[u8]] = &[
    b"again", b"b64", b"base", b"base64", b"clear", b"cleartext", b"confirm", b"confirmation",
    b"confirmed", b"current", b"data", b"dev", b"digest", b"encoded", b"encrypted", b"hash",
    b"hashed", b"hex", b"live", b"local", b"md5", b"new", b"old", b"pem", b"plain", b"plaintext",
    b"primary", b"prod", b"production", b"raw", b"repeat", b"secondary", b"sha1", b"sha256",
    b"staging", b"str", b"string", b"test", b"text", b"val", b"value",
];

fn is_addition(word: &[u8]) -> bool {
    ADDITIONS.binary_search(&word).is_ok()
        || word.iter().all(u8::is_ascii_digit)
        || (word.len() == 2 && word[0] == b'v' && word[1].is_ascii_digit())
}

/// The words of a name, in lower case.
struct Words<'b> {
    words: [&'b [u8]; MAX_WORDS],
    count: usize,
}

impl<'b> Words<'b> {
    fn split(name: &[u8], lower: &'b mut [u8; MAX_NAME]) -> Self {
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        let lower: &'b [u8] = lower;
        let mut words = Self {
            words: [b""; MAX_WORDS],
            count: 0,
        };
        let mut start = 0;
        for at in 0..name.len() {
            if !name[at].is_ascii_alphanumeric() {
                words.push(&lower[start..at]);
                start = at + 1;
            } else if starts_word(name, at) {
                words.push(&lower[start..at]);
                start = at;
            }
        }
        words.push(&lower[start..name.len()]);
        words
    }

    /// Digits at the end of a word number it: `password2`.
    fn push(&mut self, word: &'b [u8]) {
        let digits = word.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let word = if digits < word.len() && word.len() > 3 {
            &word[..word.len() - digits]
        } else {
            word
        };
        if !word.is_empty() && self.count < MAX_WORDS {
            self.words[self.count] = word;
            self.count += 1;
        }
    }

    /// The words without additions at the end.
    fn meaningful(&self) -> &[&'b [u8]] {
        let mut words = &self.words[..self.count];
        while let [rest @ .., last] = words {
            if rest.is_empty() || !is_addition(last) {
                break;
            }
            words = rest;
        }
        words
    }
}

/// A capital starts a word after a small letter or digit, and before a small
/// letter at the end of a run of capitals (`HTTPToken`).
fn starts_word(name: &[u8], at: usize) -> bool {
    if at == 0 || !name[at].is_ascii_uppercase() {
        return false;
    }
    let before = name[at - 1];
    let after = name.get(at + 1).copied().unwrap_or(0);
    before.is_ascii_lowercase()
        || before.is_ascii_digit()
        || (before.is_ascii_uppercase() && after.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str) -> Verdict {
        Names::default().judge(name.as_bytes())
    }

    fn rule(name: &str) -> Option<&'static str> {
        match judge(name) {
            Verdict::Secret(secret) => Some(secret.rule()),
            _ => None,
        }
    }

    #[test]
    fn word_lists_are_sorted_so_that_they_are_found() {
        assert!(HARMLESS_HEADS.is_sorted());
        assert!(ADDITIONS.is_sorted());
    }

    #[test]
    fn secret_names_are_found_in_every_spelling() {
        for name in [
            "password",
            "PASSWORD",
            "passwd",
            "pwd",
            "dbPassword",
            "DB_PASSWORD",
            "db-password",
            "db.password",
            "PGPASSWORD",
            "userpwd",
            "password2",
            "new_password",
            "passwordHash",
            "password_confirmation",
            "PASSWORD_MYSQL",
            "db_pass",
            "dbpass",
            "keystore_pw",
        ] {
            assert_eq!(rule(name), Some("password"), "{name}");
        }
        for name in [
            "secret",
            "client_secret",
            "clientSecret",
            "appsecret",
            "SECRETS_PROD",
        ] {
            assert_eq!(rule(name), Some("secret"), "{name}");
        }
        for name in [
            "token",
            "access_token",
            "refreshToken",
            "HTTPToken",
            "authtoken",
            "X-Auth-Token",
            "csrfmiddlewaretoken",
            "tokens",
        ] {
            assert_eq!(rule(name), Some("token"), "{name}");
        }
        for name in [
            "api_key",
            "apiKey",
            "x-api-key",
            "APIKEY",
            "AccountKey",
            "aws_access_key",
            "SECRET_KEY_BASE",
        ] {
            assert_eq!(rule(name), Some("api_key"), "{name}");
        }
        for name in [
            "private_key",
            "privateKey",
            "PrivateKey",
            "PresharedKey",
            "wg_psk",
        ] {
            assert_eq!(rule(name), Some("private_key"), "{name}");
        }
        assert_eq!(rule("authorization"), Some("authorization"));
        assert_eq!(rule("Proxy-Authorization"), Some("authorization"));
        assert_eq!(rule("Set-Cookie"), Some("cookie"));
        assert_eq!(rule("aws_credentials"), Some("credential"));
        assert_eq!(rule("otp"), Some("pin"));
        assert_eq!(rule("sms_code"), Some("pin"));
    }

    #[test]
    fn a_key_of_something_unknown_is_secret_when_it_looks_like_one() {
        for name in ["CF_KEY", "mapsKey", "seed", "key"] {
            let Verdict::Secret(secret) = judge(name) else {
                panic!("{name}");
            };
            assert_eq!(secret.trust, Trust::Scrambled, "{name}");
        }
        for name in ["first_pass", "acmePass"] {
            let Verdict::Secret(secret) = judge(name) else {
                panic!("{name}");
            };
            assert_eq!(secret.trust, Trust::Chosen, "{name}");
        }
    }

    #[test]
    fn names_about_secrets_survive() {
        for name in [
            "max_tokens_count",
            "author",
            "postcode",
            "tokenizer",
            "keyboard",
            "passport",
            "secretary",
            "password_length",
            "password_changed_at",
            "token_type",
            "token_count",
            "token_id",
            "secret_name",
            "cache_key",
            "primary_key",
            "public_key",
            "PublicKeyToken",
            "monkey",
            "bypass",
            "compass",
            "authority",
            "oauth_type",
            "pinned",
            "spinning",
            "mapping",
            "status_code",
            "exit_code",
            "password_file",
            "access_key_id",
            "design",
            "tokens_per_second",
            "keycode",
            "keyguardActive",
            "s3_key",
            "idempotency_key",
            "signal",
        ] {
            assert_eq!(judge(name), Verdict::Plain, "{name}");
        }
    }

    #[test]
    fn user_globs_add_names_and_allow_wins() {
        let names = Names::new(
            &["employee_id".into(), "*_ssn".into()],
            &["token".into(), "fake_ssn".into()],
        );
        assert!(matches!(names.judge(b"EmployeeId"), Verdict::Plain));
        assert!(matches!(names.judge(b"employee-id"), Verdict::Secret(_)));
        assert!(matches!(names.judge(b"user_ssn"), Verdict::Secret(_)));
        assert_eq!(names.judge(b"fake_ssn"), Verdict::Allowed);
        assert_eq!(names.judge(b"token"), Verdict::Allowed);
    }

    #[test]
    fn a_name_of_any_length_is_judged_without_panic() {
        let long = "a_".repeat(500);
        assert_eq!(judge(&long), Verdict::Plain);
        assert_eq!(judge(""), Verdict::Plain);
        assert_eq!(judge("____"), Verdict::Plain);
    }
}
