//! Made-up values for templates: the same for the same seed.

/// Fills the places of a template.
pub(crate) struct MadeUp {
    state: u64,
    key: &'static str,
    phrase: String,
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";

const WORDS: &[&str] = &[
    "sunshine", "dragon", "monkey", "winter", "summer", "football", "shadow", "purple", "coffee",
    "guitar", "orange", "silver", "tiger", "hunter", "rocket", "autumn", "castle", "forest",
];
const NAMES: &[&str] = &[
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
    "trent",
];
#[rustfmt::skip] // A list of words, not one a line.
const KEYS: &[&str] = &[
    "password", "passwd", "pwd", "secret", "client_secret", "clientSecret", "api_key", "apiKey", "api-key",
    "access_token", "accessToken", "auth_token", "db_password", "dbPassword", "user_password", "refresh_token",
    "private_key", "secret_key", "passphrase", "admin_password", "smtp_password", "session_token", "secretKey",
    "authToken", "encryption_key", "webhook_secret",
];
const PASSWORDS: &[&str] = &[
    "hunter2",
    "s3cr3t!",
    "Tr0ub4dor&3",
    "letmein99",
    "qwerty123",
    "Winter2024!",
    "changeme1",
    "Passw0rd!",
];

impl MadeUp {
    pub(crate) fn new(seed: u64) -> Self {
        let mut made = Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            key: "",
            phrase: String::new(),
        };
        for _ in 0..4 {
            made.below(2);
        }
        made.key = made.pick(KEYS);
        made.phrase = (0..12)
            .map(|_| made.pick(WORDS))
            .collect::<Vec<_>>()
            .join(" ");
        made
    }

    pub(crate) fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            let inner = &rest[open + 1..];
            let made = inner
                .find('}')
                .and_then(|close| Some((self.make(&inner[..close])?, close)));
            rest = match made {
                Some((made, close)) => {
                    out.push_str(&made);
                    &inner[close + 1..]
                }
                None => {
                    out.push('{');
                    inner
                }
            };
        }
        out.push_str(rest);
        out.replace('⏎', "\n").replace('␍', "\r")
    }

    fn make(&mut self, what: &str) -> Option<String> {
        let (kind, length) = match what.split_once(':') {
            Some((kind, length)) => (kind, length.parse().ok()?),
            None => (what, 0),
        };
        let letters = format!("{LOWER}{UPPER}");
        let alnum = format!("{letters}{DIGITS}");
        Some(match kind {
            "rand" => self.draw(&alnum, length),
            "randalpha" => self.draw(&letters, length),
            "hex" => self.draw(HEX, length),
            "hexup" => self.draw(&HEX.to_uppercase(), length),
            "hexc" => (0..length)
                .map(|_| self.draw(HEX, 2))
                .collect::<Vec<_>>()
                .join(":"),
            "digit" => self.draw(DIGITS, length),
            "upper" => self.draw(UPPER, length),
            "upnum" => self.draw(&format!("{UPPER}{DIGITS}"), length),
            "b32" => self.draw(&format!("{UPPER}234567"), length),
            "bech" => self.draw("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", length),
            "lower" if length <= 20 => self.draw(LOWER, length),
            "lower" | "lownum" => self.draw(&format!("{LOWER}{DIGITS}"), length),
            "url" => {
                let middle = self.draw(&format!("{alnum}_-"), length.checked_sub(2)?);
                format!("{}{middle}{}", self.draw(&alnum, 1), self.draw(&alnum, 1))
            }
            "b64raw" => self.draw(&format!("{alnum}+/"), length),
            "crypt" => self.draw(&format!("{alnum}./"), length),
            "pwsym50" => self.draw(&format!("{alnum}!@#$%^&*(-_=+)"), 50),
            "uuid" => [8, 4, 4, 4, 12]
                .map(|length| self.draw(HEX, length))
                .join("-"),
            "pw" => self.password(),
            "pwalnum" => self.plain_password(),
            "pwq" => self.quoted_password(),
            "pwq2" => self.connection_password(),
            "pwurl" => format!(
                "{}{}",
                self.draw(&format!("{alnum}!-_.~*"), 12),
                self.draw(&alnum, 1)
            ),
            "strong" => format!("{}{}", self.draw(&alnum, 16), self.draw(DIGITS, 2)),
            "word" => self.pick(NAMES).to_owned(),
            "Word" => capitalized(self.pick(NAMES)),
            "words12" => self.phrase.clone(),
            "begin" => "BEGIN".to_owned(),
            "K" => self.key.to_owned(),
            "KK" => self.key.replace('_', "-"),
            "UK" => split_words(self.key, '_').to_uppercase().replace('-', "_"),
            "CK" => self.key.split(['_', '-']).map(capitalized).collect(),
            "pre" => self
                .pick(&["", "login failed ", "user=bob ", "INFO a.b - "])
                .to_owned(),
            "post" => self
                .pick(&["", " for bob", " host=db", ", host=db", " ok"])
                .to_owned(),
            "b64pair" => base64(&format!("{}:{}", self.pick(NAMES), self.password())),
            "b64plain" => base64(&format!("\0{}\0{}", self.pick(NAMES), self.password())),
            "b64json" => base64(&format!(
                r#"{{"user":"bob","password":"{}"}}"#,
                self.plain_password()
            )),
            "b64env" => base64(&format!("DB_PASSWORD={}\nA=1\n", self.plain_password())),
            "b64pem" => {
                let (label, body) = ("PRIVATE KEY-----", self.draw(&alnum, 64));
                base64(&format!("-----BEGIN {label}\n{body}\n-----END {label}\n"))
            }
            "luhn16" => self.card("4", 16)[1..].to_owned(),
            "mc15" => self.card("54", 16)[1..].to_owned(),
            "luhn15" => self.card("37", 15)[2..].to_owned(),
            "luhn16s" => grouped(&self.card("4", 16), " ")[1..].to_owned(),
            "luhn16d" => grouped(&self.card("4", 16), "-")[1..].to_owned(),
            _ => return None,
        })
    }

    fn plain_password(&mut self) -> String {
        let digits = 2 + self.below(3);
        match self.below(3) {
            0 => capitalized(self.pick(WORDS)) + &self.draw(DIGITS, digits),
            1 => self.pick(WORDS).to_owned() + &self.draw(DIGITS, digits),
            _ => self.draw(&format!("{LOWER}{UPPER}{DIGITS}"), 10 + digits),
        }
    }

    fn password(&mut self) -> String {
        match self.below(5) {
            0 => self.plain_password(),
            1 => {
                let mark = self.pick(&["!", "@", "#", "$", "%", "^", "*"]);
                format!(
                    "{}{mark}{}",
                    capitalized(self.pick(WORDS)),
                    self.draw(DIGITS, 3)
                )
            }
            2 => self.draw(&format!("{LOWER}{UPPER}{DIGITS}!@#$%^*_+"), 14) + "x",
            3 => format!(
                "{}-{}-{}",
                self.pick(WORDS),
                self.pick(WORDS),
                self.draw(DIGITS, 2)
            ),
            _ => self.pick(PASSWORDS).to_owned(),
        }
    }

    /// For surroundings with quotes: blanks and separators too.
    fn quoted_password(&mut self) -> String {
        match self.below(4) {
            0 => self.password(),
            1 => [self.pick(WORDS), self.pick(WORDS), self.pick(WORDS)].join(" "),
            2 => format!(
                "{} {} {}",
                capitalized(self.pick(WORDS)),
                self.draw(DIGITS, 3),
                self.pick(WORDS)
            ),
            _ => {
                let marks: Vec<String> = " &;,:=@#/?|>{}[]()!".chars().map(String::from).collect();
                let mut mark = || marks[self.below(marks.len())].clone();
                let (one, two) = (mark(), mark());
                let mut part = |length| self.draw(&format!("{LOWER}{UPPER}{DIGITS}"), length);
                format!("{}{one}{}{two}{}", part(4), part(4), part(5))
            }
        }
    }

    fn connection_password(&mut self) -> String {
        match self.below(3) {
            0 => self.plain_password(),
            1 => format!("{} {}", self.draw(LOWER, 5), self.draw(UPPER, 6)),
            _ => format!("{}!@#{}", self.draw(LOWER, 5), self.draw(DIGITS, 4)),
        }
    }

    /// A number with a valid check digit.
    fn card(&mut self, prefix: &str, length: usize) -> String {
        let body = prefix.to_owned() + &self.draw(DIGITS, length - prefix.len() - 1);
        let sum: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(
                |(place, digit)| match u32::from(digit - b'0') << ((place + 1) % 2) {
                    doubled @ 10.. => doubled - 9,
                    single => single,
                },
            )
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }

    fn draw(&mut self, from: &str, length: usize) -> String {
        let bytes = from.as_bytes();
        (0..length)
            .map(|_| char::from(bytes[self.below(bytes.len())]))
            .collect()
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % limit
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// `clientSecret` as `client_Secret`.
fn split_words(name: &str, divider: char) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push(divider);
        }
        out.push(letter);
    }
    out
}

fn grouped(digits: &str, divider: &str) -> String {
    let groups = [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]];
    groups.join(divider)
}

fn base64(text: &str) -> String {
    let digits = format!("{UPPER}{LOWER}{DIGITS}+/").into_bytes();
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group
            .iter()
            .fold(0, |bits: u32, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place)) & 63;
            out.push(if place > group.len() {
                '='
            } else {
                char::from(digits[six as usize])
            });
        }
    }
    out
}
