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

mod words;

use words::{
    CARD_OF, CODE_OF, GROWN, HARMLESS_HEADS, KEY_OF, OPEN_KEYS, OWNERS, PASS_OF, PRIVATE_KEYS,
    SEED_OF, TOKEN_OF_TEXT, Words, is_addition,
};

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
        match judge_words(words.meaningful()) {
            Verdict::Plain => judge_shaken(name),
            verdict => verdict,
        }
    }
}

/// One word in capitals and small letters as they came: `pAssWord`, `PASSword`.
fn judge_shaken(name: &[u8]) -> Verdict {
    const WORDS: [(&str, Kind); 4] = [
        ("password", Kind::Password),
        ("passwd", Kind::Password),
        ("passphrase", Kind::Password),
        ("secret", Kind::Secret),
    ];
    WORDS
        .iter()
        .find(|(word, _)| name.eq_ignore_ascii_case(word.as_bytes()))
        .map_or(Verdict::Plain, |&(_, rule)| secret(rule, Trust::Strong))
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
        // `existingSecretPasswordKey`: where one is.
        return secret(Kind::Secret, Trust::Session);
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
    if words == [b"detect".as_slice(), b"secrets"] {
        return None; // The program.
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
    #[rustfmt::skip] // A list of words, not one a line.
    let doubted: [&[u8]; 13] = [
        b"checked", b"com", b"command", b"cost", b"exception", b"invalid", b"io", b"memory", b"org", b"prefix",
        b"success", b"var", b"weak",
    ];
    // And in a count of secrets: `secrets_reviewed=24`.
    let is_count = words
        .iter()
        .any(|word| matches!(*word, b"secrets" | b"passwords"))
        && !head.ends_with(b"s");
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
    let trust = match is_count || is_shown || doubted.contains(&head) {
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
        assert!(words::ADDITIONS.is_sorted());
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
