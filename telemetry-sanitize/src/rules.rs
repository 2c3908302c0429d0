//! The built-in rules, each with its examples.
//!
//! An example is a text in which `«…»` marks what must vanish, and in which
//! `{hex:32}` stands for so many characters that are made up when it is used:
//! no secret stands in the source. The tests expect the example's text with
//! the rule's replacement in place of each `«…»`, and nothing else changed.

/// A built-in rule that is not about one vendor's tokens, in the order of
/// [`RULES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Password,
    Secret,
    Token,
    ApiKey,
    PrivateKey,
    Credential,
    Authorization,
    Cookie,
    Signature,
    Pin,
    Card,
    DeniedField,
    BearerToken,
    BasicAuth,
    UrlPassword,
    CommandPassword,
    SqlPassword,
    Jwt,
    PemKey,
    Encoded,
    HomePath,
    RootPath,
    Error,
}

impl Kind {
    /// The stable name in `[REDACTED:name]` and in metrics.
    pub(crate) fn name(self) -> &'static str {
        RULES[self as usize].name
    }
}

/// What a built-in rule is called, finds, and is tested with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rule {
    /// The stable name, as in `[REDACTED:name]` and `log_redactions_total`.
    pub name: &'static str,
    /// What it finds, in one sentence.
    pub finds: &'static str,
    /// Texts in which `«…»` must vanish and nothing else; `{hex:32}` and the
    /// like stand for made-up characters.
    pub vanish: &'static [&'static str],
    /// Texts that must stay as they are.
    pub survive: &'static [&'static str],
}

/// The built-in rules except those for vendors' tokens.
pub(crate) const RULES: [Rule; 23] = [
    Rule {
        name: "password",
        finds: "values of names with a word such as `password`, `passwd`, `pwd` or `passphrase`",
        vanish: &[
            "login password=«{alnum:12}» ok",
            "password = «{alnum:12}», user = bob",
            r#"{"user":"bob","password":"«{alnum:8} {alnum:8}»"}"#,
            r#"body={\"db_password\":\"«{alnum:9}\\\"{alnum:4}»\",\"n\":1}"#,
            r#"Config { user: "bob", password: "«{alnum:10}»", port: 5432 }"#,
            r#"Config { password: Some("«{alnum:10}»") }"#,
            "{'user': 'bob', 'passwd': '«{alnum:10}»'}",
            "PGPASSWORD=«{alnum:10}» psql -h db",
            "Server=db;User Id=sa;Password=«{alnum:5} {alnum:5}»;Encrypt=true",
            "<user>bob</user><password>«{alnum:10}»</password>",
            "user=bob&password=«{alnum:10}»&remember=1",
            "password=«p@ss&{alnum:9},x»",
            "db.password: «{alnum:10}»",
            r#"[("password", "«{alnum:10}»")]"#,
            r#"args: ["tool", "--password", "«{alnum:10}»", "--verbose"]"#,
            "tool --password «{alnum:10}» --verbose",
            "tool --db-password=«{alnum:10}» --verbose",
            "body=password%3D«{alnum:10}»%26user%3Dbob",
            "machine example.com login bob password «{alnum:10}»",
            r#"{"name":"DB_PASSWORD","value":"«{alnum:10}»"}"#,
            "ALTER ROLE bob WITH PASSWORD '«{alnum:10}»'",
            "SET PASSWORD FOR bob = PASSWORD('«{alnum:10}»')",
            "user,password,role\nbob,«{alnum:10}»,admin\neve,«{alnum:10}»,guest",
            "USER   PASSWORD    ROLE\nbob    «{alnum:10}»  admin",
            "| user | password |\n|------|----------|\n| bob | «{alnum:10}» |",
            r#"invalid type: string "«{alnum:10}»", expected a password"#,
            "«{alnum:10}» is the password for bob",
            r#"{"name":"password","type":"string","value":"«{alnum:10}»"}"#,
            r#"{"field":"password","old":"«{alnum:10}»","new":"«{alnum:10}»"}"#,
            "set 'password' to '«{alnum:10}»'",
            r#"password = getenv("DB_PASSWORD", "«{alnum:10}»")"#,
            "password(«{alnum:10}»)",
            "password mismatch: expected «{alnum:10}», got «{alnum:10}»",
            "password..........«{alnum:10}»",
            "password=\u{1b}[31m«{alnum:10}»\u{1b}[0m",
            r#"{password, <<"«{alnum:10}»">>}"#,
            r#"{"SecretString":"{\"user\":\"bob\",\"password\":\"«{alnum:10}»\"}"}"#,
        ],
        survive: &[
            "password changed for user bob",
            r#"password = getenv("DB_PASSWORD")"#,
            "user,password,role\nbob,required,admin",
            "column  password  type\nbob     none      text",
            r#""name" is not a valid password"#,
            r#"invalid type: integer `5`, expected a password"#,
            "verify_password(user)",
            "Forgot your password? Ask bob",
            "--password-stdin registry.example.com",
            "--password <PASSWORD>: too short",
            "Failed password for root from 10.0.0.1 port 22 ssh2",
            "password: required",
            "password=None",
            "password=",
            "password=****",
            "password=${DB_PASSWORD}",
            "password=<PASSWORD>",
            r#"{"password": null}"#,
            r#"{"password": ""}"#,
            "password_length=12",
            "the password policy: at least 12 characters",
            "tests: pass=12 fail=0",
            "PWD=/srv/build",
            "passport=12345678",
            "bypass=enabled",
        ],
    },
    Rule {
        name: "secret",
        finds: "values of names with the word `secret`, code verifiers and recovery phrases",
        vanish: &[
            "client_secret=«{alnum:24}»",
            r#"{"clientSecret": "«{alnum:24}»"}"#,
            "SECRET: «{alnum:24}»",
            "secret_id  «9a1c5b7e-1d2f-4c3b-8a6d-0f1e2d3c4b5a»",
        ],
        survive: &[
            "secret_name=db/prod",
            "the secret was rotated",
            "secretary=alice",
        ],
    },
    Rule {
        name: "token",
        finds: "values of names that end in `token`, `jwt` or `csrf`, and session cookies by name",
        vanish: &[
            "auth_token=«{alnum:24}»",
            r#"{"accessToken":"«{alnum:24}»","expires_in":3600}"#,
            "X-Auth-Token: «{alnum:24}»",
            "GET /x?access_token=«{alnum:24}»&page=2 HTTP/1.1",
            "callback#refresh_token=«{alnum:24}»",
            "token=«{hex:40}»",
            "ApiToken(value=«{alnum:24}», owner=bob)",
            "id\ttoken\tname\n1\t«{alnum:24}»\tbob",
        ],
        survive: &[
            "max_tokens=4096",
            "tokens: 512 in, 98 out",
            "tokenizer=bert-base",
            "token_type=bearer",
            "unexpected token: '}'",
            "Unexpected token '<' in JSON",
            "token: expired",
            "token=Token{a64f992 ActivityRecord{de9231d u0 com.example/.Main t761}}",
            "token=android.os.BinderProxy@3a1bd5e",
            "PublicKeyToken = {l:8 b:31bf3856ad364e35}, Culture neutral",
            "commit {hex:40}",
            "session 550e8400-e29b-41d4-a716-446655440000 opened",
        ],
    },
    Rule {
        name: "api_key",
        finds: "values of names that end in `key` after a word such as `api`, `access` or `signing`",
        vanish: &[
            "api_key=«{alnum:32}»",
            "x-api-key: «{alnum:32}»",
            r#"{"apiKey":"«{hex:32}»"}"#,
            "AccountName=acme;AccountKey=«{alnum:86}==»;EndpointSuffix=core.example.net",
            "aws_secret_access_key = «{alnum:20}/{alnum:19}»",
            "API key: «{alnum:32}»",
            r#"{"key":"«{hex:64}»"}"#,
            "rotating key: old «{alnum:24}» new «{alnum:24}»",
            r#"HeaderValue("«{alnum:24}»") for x-api-key"#,
        ],
        survive: &[
            "key=value",
            "cache_key=users/42",
            "primary_key=id",
            "keyboard=us",
            "public_key=ssh-ed25519",
            "key: 42",
            "api_key: missing",
        ],
    },
    Rule {
        name: "private_key",
        finds: "values of names such as `private_key`, `PresharedKey` and `psk`",
        vanish: &[
            "PrivateKey = «{alnum:43}=»",
            r#"{"private_key":"«{alnum:64}»"}"#,
            r#"Key { algorithm: Ed25519, seed: "«{hex:64}»" }"#,
        ],
        survive: &[
            "PublicKey = {alnum:43}=",
            "private_key_path=/etc/ssl/key.pem",
        ],
    },
    Rule {
        name: "credential",
        finds: "values of names such as `credentials` and `creds`",
        vanish: &["credentials=bob:«{alnum:12}»", r#"creds: "«{alnum:14}»""#],
        survive: &["credentials: missing", "credentials loaded from file"],
    },
    Rule {
        name: "authorization",
        finds: "`Authorization` headers of any scheme; the scheme stays",
        vanish: &[
            "Authorization: «{alnum:24}»",
            "Authorization: Token «{alnum:24}»",
            r#"headers={"authorization": "Negotiate «{alnum:40}»"}"#,
            r#"Authorization: Digest username="bob", nonce="{hex:16}", response="«{hex:32}»""#,
        ],
        survive: &[
            "Authorization: required",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0",
            "auth=ok",
            "WWW-Authenticate: Basic realm=\"files\"",
        ],
    },
    Rule {
        name: "cookie",
        finds: "values in `Cookie` and `Set-Cookie`; names and attributes stay",
        vanish: &[
            "Cookie: sid=«{alnum:24}»; cart=«{alnum:12}»; theme=dark",
            "Set-Cookie: sid=«{alnum:24}»; Path=/; HttpOnly",
            r#"{"cookie":"sid=«{alnum:24}»"}"#,
        ],
        survive: &["cookies: 3", "cookie accepted", "cookie_name=sid"],
    },
    Rule {
        name: "signature",
        finds: "signatures that give access, such as `sig=` in a signed URL",
        vanish: &[
            "https://acme.blob.example.net/c/f?sv=2022&sig=«{alnum:42}%3D»&se=2030",
            "X-Amz-Signature=«{hex:64}»",
        ],
        survive: &["signature: valid", "signal=15", "design=flat"],
    },
    Rule {
        name: "pin",
        finds: "one-time codes and PINs by name, numbers too",
        vanish: &[
            "otp=«{digit:6}»",
            "pin: «{digit:4}»",
            "sms_code=«{digit:6}»",
        ],
        survive: &[
            "pinned=3",
            "ping=12",
            "status_code=404",
            "pin=PA5",
            "spin=1234",
        ],
    },
    Rule {
        name: "card",
        finds: "payment card numbers with a known prefix and a valid check digit, and `cvv`",
        vanish: &[
            "paid with «4111{gap}1111{gap}1111{gap}1111»",
            "cvv=«{digit:3}»",
        ],
        survive: &[
            "blk_-1608999687919862906 terminating",
            "at 1700000000000000000",
            "order 4111111111111112",
            "id=1700000000000000",
        ],
    },
    Rule {
        name: "denied_field",
        finds: "values of names in the user's `deny_fields`",
        vanish: &[],
        survive: &["employee_id=42"],
    },
    Rule {
        name: "bearer_token",
        finds: "what follows the word `Bearer`, wherever it stands",
        vanish: &[
            "Authorization: Bearer «{alnum:32}»",
            "sent bearer «{alnum:32}» to host",
            r#"[("authorization", "Bearer «{alnum:32}»")]"#,
        ],
        survive: &[
            "the bearer of bad news",
            "token_type=Bearer",
            "Bearer authentication failed",
        ],
    },
    Rule {
        name: "basic_auth",
        finds: "what follows the word `Basic`, if it decodes to `user:password`",
        vanish: &[
            "Authorization: Basic «{b64:bob:correct-horse}»",
            "got Basic «{b64:bob:correct-horse}»",
        ],
        survive: &["Basic authentication is disabled", "Basic realm=\"x\""],
    },
    Rule {
        name: "url_password",
        finds: "the password (or a token in the place of the user) in a URL",
        vanish: &[
            "connecting to postgres://bob:«{alnum:10}»@db.example.com:5432/app",
            "redis://:«{alnum:10}»@cache:6379/0",
            "amqp://bob:«p@{alnum:8}»@mq/vhost",
            "clone https://«{alnum:40}»@git.example.com/a/b.git",
            "mysql://bob:«{alnum:4}/{alnum:4}»@db/app",
        ],
        survive: &[
            "https://example.com:8080/a@b",
            "ssh://git@example.com/a/b.git",
            "https://bob@example.com/",
            "postgres://bob:${DB_PASSWORD}@db/app",
            "postgres://bob:****@db/app",
            "see http://[::1]:9090/metrics",
        ],
    },
    Rule {
        name: "command_password",
        finds: "passwords on the command lines of well-known programs",
        vanish: &[
            "mysql -u root -p«{alnum:10}» app",
            "sshpass -p «{alnum:10}» ssh bob@host",
            "curl -u bob:«{alnum:10}» https://example.com/",
            r#"["mysqldump", "-p«{alnum:10}»", "app"]"#,
            "redis-cli -a «{alnum:10}» ping",
            "docker login -u bob -p «{alnum:10}» registry.example.com",
            "argv=[mysql, -ubob, -p«{alnum:10}»]",
            r#"{"args":["-u","bob","-p","«{alnum:10}»"],"cmd":"mysql"}"#,
            r#"db.auth("bob", "«{alnum:10}»") failed"#,
            "* a1 LOGIN bob «{alnum:10}»",
            "vault operator unseal «{alnum:43}=»",
        ],
        survive: &[
            "mysql -u root -p app",
            "mkdir -p build/out",
            "curl -u bob https://example.com/",
            "docker run -p 8080:80 web",
            r#"["docker", "run", "-p", "8080:80"]"#,
            "[mkdir, -p, build/out]",
            r#"login("bob", "password")"#,
            "POST /login HTTP/1.1",
        ],
    },
    Rule {
        name: "sql_password",
        finds: "passwords in SQL statements about users",
        vanish: &[
            "CREATE USER bob IDENTIFIED BY '«{alnum:10}»'",
            "CREATE USER bob IDENTIFIED WITH sha256_password BY '«{alnum:10}»'",
        ],
        survive: &[
            "IDENTIFIED BY RANDOM PASSWORD",
            "ALTER TABLE t ADD COLUMN c text",
        ],
    },
    Rule {
        name: "jwt",
        finds: "JSON web tokens, signed or encrypted",
        vanish: &["got «eyJhbGciOiJIUzI1NiJ9.eyJ{alnum:40}.{alnum:43}» from peer"],
        survive: &["eyJ is how they start", "keyJob=1"],
    },
    Rule {
        name: "pem_key",
        finds: "private keys as PEM blocks: whole, cut off, escaped or on one line; the lines BEGIN and END stay",
        vanish: &[
            "-----BEGIN {pem}PRIVATE KEY-----\n«{alnum:64}\n{alnum:20}==»\n-----END {pem}PRIVATE KEY-----\nrest",
            r"key -----BEGIN {pem}PRIVATE KEY-----\n«{alnum:64}»\n-----END {pem}PRIVATE KEY-----\n rest",
            "-----BEGIN {pem}PRIVATE KEY----- «{alnum:64} {alnum:64}» and more",
        ],
        survive: &["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"],
    },
    Rule {
        name: "encoded",
        finds: "base64 in which another rule finds something",
        vanish: &["payload «{b64:password=hunter2hunter2&user=bob}» sent"],
        survive: &["payload {b64:nothing to see here, move along} sent"],
    },
    Rule {
        name: "home_path",
        finds: "home directories of Linux, macOS and Windows; replaced with `~`",
        vanish: &[
            "open «/home/{word}»/x.txt",
            "open «/Users/{word}»/Library/x",
            r"open «C:\Users\{word}»\x.txt",
            r#"{"path":"«C:\\Users\\{word}»\\x.txt"}"#,
            "see file://«/home/{word}»/x",
            "«/root»/.ssh/config",
            r"share «\\files\Users\{word}»\x",
            "path=«/home/{word}»",
            r"«C:\Users\Jane Doe»\x",
            "«/mnt/c/Users/{word}»/x",
        ],
        survive: &[
            "GET https://example.com/home/alice/x",
            "hdfs /user/root/x",
            "/proc/17/root/etc",
            "GET /home/dashboard HTTP/1.1",
            "/Users/Shared/x",
            r"C:\Users\Public\x",
            "/home/${USER}/x",
            "/rootfs/x",
            "/home",
            "/home/",
        ],
    },
    Rule {
        name: "root_path",
        finds: "directories in the user's `roots`; replaced with what they name",
        vanish: &[],
        survive: &["/srv/data/x"],
    },
    Rule {
        name: "error",
        finds: "a text on which a rule failed: all of it goes",
        vanish: &[],
        survive: &[],
    },
];
