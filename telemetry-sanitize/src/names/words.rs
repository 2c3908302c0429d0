//! The words of names, and what is known of them.

use super::{MAX_NAME, MAX_WORDS};

#[rustfmt::skip] // A list of words, not one a line.
pub(super) const OWNERS: [&[u8]; 14] = [
    b"account", b"address", b"client", b"description", b"email", b"expires",
    b"host", b"issuer", b"login", b"port", b"realm", b"region", b"user", b"username",
];

pub(super) const CARD_OF: [&[u8]; 6] = [
    b"card",
    b"cc",
    b"credit",
    b"creditcard",
    b"debit",
    b"payment",
];

#[rustfmt::skip] // A list of words, not one a line.
pub(super) const CODE_OF: [&[u8]; 19] = [
    b"activation", b"factor",
    b"2fa", b"fa", b"access", b"auth", b"authorization", b"backup", b"confirmation", b"login", b"mfa",
    b"otp", b"pass", b"pin", b"recovery", b"security", b"sms", b"totp", b"verification",
];

/// Whose tokens are those of a parser, a model or a task: `pad_token`, `next_token`. (What
/// leads to the next page is a long one.)
#[rustfmt::skip] // A list of words, not one a line.
pub(super) const TOKEN_OF_TEXT: [&[u8]; 13] = [
    b"bos", b"cancellation", b"cls", b"eos", b"eot", b"fim", b"lookahead", b"mask", b"next", b"pad", b"sep",
    b"unexpected", b"unk",
];

pub(super) const SEED_OF: [&[u8]; 5] = [b"backup", b"mnemonic", b"pass", b"recovery", b"seed"];
#[rustfmt::skip] // A list of words, not one a line.
pub(super) const PRIVATE_KEYS: [&[u8]; 8] = [
    b"priv", b"private", b"preshared", b"shared", b"ssh", b"symmetric", b"tls", b"ssl",
];

#[rustfmt::skip] // A list of words, not one a line.
pub(super) const KEY_OF: [&[u8]; 74] = [
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
pub(super) const OPEN_KEYS: [&[u8]; 42] = [
    b"action", b"blob", b"bucket", b"cache", b"column", b"composite", b"config", b"content", b"dedup", b"digest", b"entry",
    b"etcd", b"foreign", b"group", b"hash", b"host", b"id", b"idempotency", b"index", b"kv", b"layer", b"lock",
    b"lookup", b"map", b"message", b"node", b"object", b"partition", b"peer", b"primary", b"pub", b"redis",
    b"registry", b"row", b"s3", b"sort", b"topic", b"unique", b"verify", b"verifying", b"routing", b"socket",
];

/// How words end that more words have grown together with: `AWSSECRETACCESSKEY`.
pub(super) const GROWN: [&[u8]; 6] = [
    b"api",
    b"secret",
    b"secretaccess",
    b"encryption",
    b"signing",
    b"license",
];

#[rustfmt::skip] // A list of words, not one a line.
pub(super) const PASS_OF: [&[u8]; 108] = [
    b"set", b"with", b"default",
    b"ansible", b"become", b"cifs", b"couchdb", b"dav", b"elastic", b"grafana", b"guest", b"imap4", b"influx",
    b"ipmi", b"java", b"jks", b"kibana", b"mariadb", b"minio", b"mosquitto", b"mssql", b"nats", b"neo4j",
    b"oracle", b"pgsql", b"pkcs12", b"pop3", b"ppp", b"rpc", b"samba", b"sql", b"vpn", b"webdav",
    b"account", b"admin", b"api", b"app", b"archive", b"auth", b"backup", b"basic", b"bind",
    b"borg", b"cert", b"client", b"current", b"database", b"db", b"docker", b"email", b"enc",
    b"encryption", b"ftp", b"git", b"gpg", b"host", b"http", b"https", b"imap", b"jenkins", b"jira",
    b"kafka", b"key", b"keystore", b"ldap", b"login", b"mail", b"master", b"mongo", b"mq", b"mqtt",
    b"my", b"mysql", b"new", b"nexus", b"old", b"p12", b"pfx", b"pg", b"postgres", b"proxy",
    b"rabbitmq", b"redis", b"registry", b"remote", b"require", b"store", b"storage", b"repo",
    b"restic", b"root", b"sasl", b"server",
    b"service", b"sftp", b"smb", b"smtp", b"sonar", b"ssh", b"ssl", b"sudo", b"svn", b"truststore",
    b"user", b"usr", b"vault", b"vnc", b"wifi",
];

/// Last words that say the value is about a secret, not the secret. Sorted.
#[rustfmt::skip] // A list of words, not one a line.
pub(super) const HARMLESS_HEADS: &[&[u8]] = &[
    b"age", b"alg", b"algo", b"algorithm", b"arn", b"asc", b"at", b"attempt", b"attempts",
    b"authentication", b"backend", b"bak", b"baseline", b"bits", b"broker", b"by", b"bytes", b"c",
    b"cfg", b"change", b"changed", b"charset", b"check", b"class", b"column", b"complexity",
    b"component", b"conf", b"controller", b"count", b"counts", b"cpp", b"created", b"css",
    b"date", b"days", b"decoder", b"detection", b"dialog", b"dir", b"directory", b"disabled",
    b"duration", b"enabled", b"encoder", b"encoding", b"encryption", b"encryptor", b"endpoint",
    b"engine", b"entropy", b"env", b"error", b"errors", b"exists", b"expiration", b"expired",
    b"expires", b"expiry", b"factory", b"fail", b"failed", b"failures", b"field", b"fields",
    b"file", b"filename", b"filter", b"flag", b"form", b"format", b"found", b"function",
    b"generator", b"go", b"gpg", b"gz", b"handler", b"hasher", b"hashers", b"hashing", b"helper",
    b"hint", b"history", b"html", b"id", b"identifier", b"ids", b"in", b"index", b"input",
    b"interval", b"iterations", b"java", b"js", b"json", b"jsx", b"key", b"keys",
    b"kib", b"kind", b"label", b"len", b"length", b"lifetime", b"limit", b"link", b"loaded",
    b"location", b"log", b"mail", b"mails", b"manager", b"map", b"maps", b"max", b"md",
    b"message", b"method", b"min", b"mode", b"module", b"name", b"names", b"namespace", b"offset",
    b"ok", b"page", b"parallelism", b"path", b"paths", b"php", b"placeholder", b"plugin",
    b"policy", b"present", b"prompt", b"protected", b"provider", b"py", b"quality", b"ratio", b"rb",
    b"reads", b"ref", b"regex", b"reload", b"require", b"required", b"reset", b"resets", b"retries",
    b"rm", b"rotated", b"rotation", b"rounds", b"rs", b"rules", b"scan", b"scanned", b"scanning",
    b"scheme", b"scope", b"score", b"seconds", b"secs", b"service", b"set", b"sh", b"size",
    b"source", b"spec", b"sql", b"state", b"status", b"stdin", b"store", b"strength", b"subentry",
    b"svelte", b"tar", b"template", b"tests", b"time", b"timeout", b"timestamp",
    b"title", b"toml", b"total", b"ts", b"tsx", b"ttl", b"txt", b"type", b"types", b"updated",
    b"uri", b"url", b"usage", b"used", b"util", b"utils", b"uuid", b"valid", b"validation",
    b"validator", b"validators", b"version", b"versions", b"view", b"visible", b"vue",
    b"within", b"writes", b"yaml", b"yml", b"zip",
];

/// Last words that leave the meaning of the ones before as it is. Sorted.
#[rustfmt::skip] // A list of words, not one a line.
pub(super) const ADDITIONS: &[&[u8]] = &[
    b"again", b"b64", b"base", b"base64", b"clear", b"cleartext", b"confirm", b"confirmation",
    b"confirmed", b"current", b"data", b"dev", b"digest", b"encoded", b"encrypted", b"hash",
    b"hashed", b"hex", b"live", b"local", b"md5", b"new", b"old", b"pem", b"plain", b"plaintext",
    b"primary", b"prod", b"production", b"raw", b"repeat", b"secondary", b"sha1", b"sha256",
    b"staging", b"str", b"string", b"test", b"text", b"val", b"value",
];

pub(super) fn is_addition(word: &[u8]) -> bool {
    ADDITIONS.binary_search(&word).is_ok()
        || word.iter().all(u8::is_ascii_digit)
        || (word.len() == 2 && word[0] == b'v' && word[1].is_ascii_digit())
}

/// The words of a name, in lower case.
pub(super) struct Words<'b> {
    pub(super) words: [&'b [u8]; MAX_WORDS],
    pub(super) count: usize,
}

impl<'b> Words<'b> {
    pub(super) fn split(name: &[u8], lower: &'b mut [u8; MAX_NAME]) -> Self {
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
    pub(super) fn meaningful(&self) -> &[&'b [u8]] {
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
