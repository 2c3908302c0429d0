//! A corpus of our own: each secret in many surroundings, and harmless lines.
//!
//! The judgement is stricter than by eye: no piece of half the secret's length
//! may stay, and all text around the marks must.

/// Surroundings of a secret named by a key. `{V}` is the secret.
pub(crate) const AROUND_VALUES: &[&str] = &[
    r#"{"{K}":"«{V}»"}"#,
    r#"{"a":1,"{K}": "«{V}»", "b": [1,2]}"#,
    r#"body: {\"{K}\":\"«{V}»\",\"x\":1}"#,
    r#"outer {\"in\":\"{\\\"{K}\\\":\\\"«{V}»\\\",\\\"x\\\":1}\"}"#,
    r#"deep {\\\\\\\"{K}\\\\\\\":\\\\\\\"«{V}»\\\\\\\"}"#,
    "{'{K}': '«{V}»', 'user': 'bob'}",
    "{'user': 'bob', '{K}': b'«{V}»'}",
    "{K}=«{V}»",
    "set {K}=«{V}» for bob",
    r#"set {K}="«{V}»" for bob"#,
    "set {K}='«{V}»' for bob",
    "ok ({K}=«{V}»)",
    "ok [{K}=«{V}»] done",
    "{K}: «{V}»",
    "a=1, {K}=«{V}», b=2",
    "a=1; {K}=«{V}»; b=2",
    "a=1&{K}=«{V}»&b=2",
    "https://example.com/x?a=1&{K}=«{V}»&b=2",
    "GET /x?{K}=«{V}» HTTP/1.1",
    r#"Config { host: "db", {K}: "«{V}»", port: 1 }"#,
    r#"Config { {K}: Some("«{V}»"), port: 1 }"#,
    r#"Config { {K}: Secret("«{V}»"), port: 1 }"#,
    "Config(host='db', {K}='«{V}»', port=1)",
    r#"{"{K}" => "«{V}»", "a" => 1}"#,
    r#"{:{K}=>"«{V}»", :a=>1}"#,
    "<{K}>«{V}»</{K}>",
    r#"<add key="{K}" value="«{V}»"/>"#,
    r#"<db user="bob" {K}="«{V}»" port="1"/>"#,
    "export {K}=«{V}»",
    r#"env: {"name":"{K}","value":"«{V}»"}"#,
    "- name: {K}\n  value: «{V}»\n",
    "user: bob\n{K}: «{V}»\nport: 1",
    "[db]\n{K} = «{V}»\nport = 1",
    "[db]\n{K} = \"«{V}»\"\nport = 1",
    "run --{K} «{V}» --verbose",
    "run --{K}=«{V}» --verbose",
    "run --{K} '«{V}»' --verbose",
    r#"["run", "--{K}", "«{V}»", "--verbose"]"#,
    "['run', '--{K}', '«{V}»', '--verbose']",
    r#"["run", "--{K}=«{V}»", "--verbose"]"#,
    r#"[("{K}", "«{V}»"), ("a", "b")]"#,
    r#"["{K}","«{V}»"]"#,
    "body={K}%3D«{V}»%26a%3D1",
    "body=%7B%22{K}%22%3A%22«{V}»%22%7D",
    r#"config["{K}"] = "«{V}»""#,
    "config['{K}'] = '«{V}»'",
    "params[{K}]=«{V}»&a=1",
    "{K} => «{V}»",
    "{K} := \"«{V}»\"",
    r"line\n{K}=«{V}»\nnext=1",
    r#"msg="login {K}=«{V}»" level=info"#,
    r#"{"msg":"login {K}=«{V}»","level":"info"}"#,
    r#"&quot;{K}&quot;:&quot;«{V}»&quot;"#,
    "| {K} | «{V}» |",
    r#"{"{K}":["«{V}»"]}"#,
    r#"{"{K}":{"value":"«{V}»"}}"#,
    "{K}=\t«{V}»",
    "{K}:«{V}»",
    "-D{K}=«{V}» -jar x.jar",
    "Set-Variable {K} = '«{V}»'",
    r#"{ "key": "{K}", "value": "«{V}»" }"#,
    "x-{K}: «{V}»",
];

/// Keys, each with the kind of its values.
pub(crate) const KEYS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "Password",
    "PASSWORD",
    "db_password",
    "dbPassword",
    "DB_PASSWORD",
    "user_password",
    "old_password",
    "passphrase",
    "secret",
    "client_secret",
    "clientSecret",
    "CLIENT_SECRET",
    "api_key",
    "apiKey",
    "API_KEY",
    "api-key",
    "apikey",
    "access_token",
    "accessToken",
    "ACCESS_TOKEN",
    "refresh_token",
    "refreshToken",
    "auth_token",
    "authToken",
    "token",
    "id_token",
    "session_token",
    "csrf_token",
    "private_key",
    "privateKey",
    "secret_key",
    "SECRET_KEY",
    "secretAccessKey",
    "aws_secret_access_key",
    "encryption_key",
    "signing_key",
    "webhook_secret",
    "app_secret",
    "jwt_secret",
    "smtp_pass",
    "account_key",
    "master_key",
];

/// Values of named secrets. The awkward ones have what separators are made of.
pub(crate) const VALUES: &[&str] = &["{alnum:24}", "{hex:32}", "{alnum:10}"];

/// Passwords that people choose; only for surroundings with quotes.
pub(crate) const AWKWARD: &[&str] = &[
    "{alnum:5} {alnum:6} {alnum:5}",
    "{alnum:4}&{alnum:5}@{alnum:4}",
    "{alnum:5};{alnum:5},{alnum:5}",
    "{alnum:5}={alnum:5}:{alnum:5}",
    "p$#@!{alnum:6}%^*({alnum:4}",
];

/// Whole lines, for what is not one key with one value.
pub(crate) const LINES: &[&str] = &[
    "Authorization: Bearer «{alnum:40}»",
    "authorization: bearer «{alnum:40}»",
    "Authorization: Basic «{b64:bob:correct-horse-battery}»",
    "Authorization: Token «{hex:40}»",
    "Authorization=Bearer «{alnum:40}»",
    "> Authorization: Bearer «{alnum:40}»",
    r#""Authorization": "Bearer «{alnum:40}»""#,
    r#"{\"Authorization\":\"Bearer «{alnum:40}»\"}"#,
    "-H 'Authorization: Bearer «{alnum:40}»' https://example.com/",
    r#"-H "Authorization: Bearer «{alnum:40}»" https://example.com/"#,
    "curl -H 'X-Api-Key: «{alnum:32}»' https://example.com/",
    "headers: {'Authorization': 'Bearer «{alnum:40}»', 'Accept': '*/*'}",
    "Proxy-Authorization: Basic «{b64:bob:correct-horse-battery}»",
    "PRIVATE-TOKEN: «{alnum:20}»",
    "X-Vault-Token: «{alnum:24}»",
    "Cookie: session=«{alnum:32}»",
    "Cookie: session=«{alnum:32}»; csrftoken=«{alnum:32}»",
    "Set-Cookie: session=«{alnum:32}»; Path=/; Secure; HttpOnly",
    r#"{"Cookie":"session=«{alnum:32}»","Accept":"*/*"}"#,
    "postgres://bob:«{alnum:12}»@db:5432/app",
    "postgresql://bob:«{alnum:6}@{alnum:6}»@db:5432/app?sslmode=require",
    "mysql://root:«{alnum:12}»@localhost/app",
    "mongodb+srv://bob:«{alnum:12}»@cluster.example.net/test?retryWrites=true",
    "redis://:«{alnum:12}»@cache:6379",
    "amqps://bob:«{alnum:12}»@mq.example.com/v",
    "https://bob:«{alnum:12}»@example.com/repo.git",
    "ftp://bob:«{alnum:12}»@ftp.example.com",
    "smtp://bob%40example.com:«{alnum:12}»@smtp.example.com:587",
    "ldap://cn=admin:«{alnum:12}»@ldap.example.com",
    "url=https%3A%2F%2Fbob%3A«{alnum:12}»%40example.com%2Fx",
    r"https:\/\/bob:«{alnum:12}»@example.com\/x",
    "jdbc:postgresql://db/app?user=bob&password=«{alnum:12}»",
    "jdbc:mysql://db/app?password=«{alnum:12}»&useSSL=false",
    "jdbc:oracle:thin:bob/«{alnum:12}»@db:1521:XE",
    "jdbc:sqlserver://db;databaseName=app;user=sa;password=«{alnum:12}»;encrypt=true",
    "Server=db;Database=app;User Id=sa;Password=«{alnum:12}»;",
    "Server=db;Database=app;Uid=sa;Pwd=«{alnum:5} {alnum:5}»;Encrypt=yes",
    "host=db port=5432 user=bob password=«{alnum:12}» dbname=app",
    "host=db user=bob password='«{alnum:5} {alnum:5}»' dbname=app",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=«{alnum:86}==»;EndpointSuffix=core.windows.net",
    "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=«{alnum:43}=»",
    "https://x.blob.core.windows.net/c?sv=2020&st=2024&sr=b&sig=«{alnum:43}%3D»",
    "X-Amz-Signature=«{hex:64}»&X-Amz-Date=20240101",
    "CREATE USER bob WITH PASSWORD '«{alnum:12}»';",
    "CREATE USER 'bob'@'%' IDENTIFIED BY '«{alnum:12}»';",
    "ALTER USER bob IDENTIFIED BY \"«{alnum:12}»\";",
    "ALTER USER bob IDENTIFIED BY «{alnum:12}»;",
    "GRANT ALL ON app.* TO 'bob'@'%' IDENTIFIED BY '«{alnum:12}»' WITH GRANT OPTION",
    "SET PASSWORD FOR 'bob'@'localhost' = '«{alnum:12}»'",
    "UPDATE users SET password='«{alnum:12}»' WHERE id=1",
    "UPDATE users SET password = '«{alnum:12}»', name = 'x' WHERE id = 1",
    "INSERT INTO users (name, password) VALUES ('bob', '«{alnum:12}»')",
    "ALTER ROLE bob ENCRYPTED PASSWORD '«{alnum:12}»'",
    "CREATE LOGIN bob WITH PASSWORD = N'«{alnum:12}»'",
    "SELECT * FROM users WHERE token = '«{alnum:24}»'",
    "mysql -uroot -p«{alnum:12}» app",
    "mysql -h db -u root -p'«{alnum:12}»' app",
    "mysqldump --user=root --password=«{alnum:12}» app",
    "sshpass -p «{alnum:12}» ssh bob@db",
    "sshpass -p'«{alnum:12}»' ssh bob@db",
    "curl -u bob:«{alnum:12}» https://example.com/",
    "curl -ubob:«{alnum:12}» https://example.com/",
    "curl --user bob:«{alnum:12}» https://example.com/",
    "curl --user 'bob:«{alnum:12}»' https://example.com/",
    "wget --http-password=«{alnum:12}» https://example.com/",
    "redis-cli -h cache -a «{alnum:12}» ping",
    "docker login -u bob -p «{alnum:12}» registry.example.com",
    "psql 'host=db password=«{alnum:12}»'",
    "PGPASSWORD=«{alnum:12}» psql -h db",
    "MYSQL_PWD=«{alnum:12}» mysql -h db",
    "ldapsearch -x -D cn=admin -w «{alnum:12}» -b dc=x",
    "smbclient //srv/share -U bob%«{alnum:12}»",
    "mount -t cifs //srv/s /mnt -o username=bob,password=«{alnum:12}»",
    "net use Z: \\\\srv\\share /user:bob /password:«{alnum:12}»",
    "openssl rsa -passin pass:«{alnum:12}» -in k.pem",
    "zip -P «{alnum:12}» x.zip x",
    "mongo -u bob -p «{alnum:12}» db",
    "machine example.com login bob password «{alnum:12}»",
    "//npm.example.com/:_authToken=«{alnum:36}»",
    "requirepass «{alnum:12}»",
    "password is «{alnum:12}»",
    "the password is '«{alnum:12}»'",
    "password for bob: «{alnum:12}»",
    "password changed to «{alnum:12}»",
    "with password «{alnum:12}»",
    "using token «{alnum:32}» for host",
    "token is «{alnum:32}»",
    "api key «{alnum:32}» rejected",
    "Your verification code is «{digit:6}»",
    "OTP: «{digit:6}»",
    "pin=«{digit:4}»",
    "cvv: «{digit:3}»",
    "card «4111111111111111» charged",
    "card «5555-5555-5555-4444» charged",
    "card «378282246310005» charged",
    "bot«{digit:10}:AA{alnum:33}»/sendMessage",
    "«eyJ{alnum:33}.eyJ{alnum:60}.{alnum:43}»",
    "jwt=«eyJ{alnum:33}.eyJ{alnum:60}.{alnum:43}»;",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n«{alnum:70}\n{alnum:70}\n{alnum:30}==»\n-----END OPENSSH PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\r\n«{alnum:64}\r\n{alnum:30}=»\r\n-----END PRIVATE KEY-----\r\nend",
    r#"{"key":"-----BEGIN EC PRIVATE KEY-----\n«{alnum:64}\n{alnum:30}==»\n-----END EC PRIVATE KEY-----\n"}"#,
    r#"{"key":"-----BEGIN PRIVATE KEY-----\n«{alnum:64}\n{alnum:64}»"}"#,
    "-----BEGIN PRIVATE KEY----- «{alnum:64} {alnum:64} {alnum:20}==» -----END PRIVATE KEY-----",
    "-----BEGIN {pem}PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{hex:32}\n\n«{alnum:64}»\n-----END {pem}PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n«{alnum:64}\n=abcd»\n-----END PGP PRIVATE KEY BLOCK-----",
    "«AGE-SECRET-KEY-1{upper:58}»",
    "[Interface]\nPrivateKey = «{alnum:43}=»\nAddress = 10.0.0.1/24",
    "PresharedKey = «{alnum:43}=»",
    "payload «{b64:{\"user\":\"bob\",\"password\":\"correct-horse\"}}» sent",
    "AccountKey=«{alnum:86}==»",
    "aws_secret_access_key = «{alnum:40}»",
    "AWS_SECRET_ACCESS_KEY=«{alnum:40}»",
    "«AKIA{upper:16}»:«{alnum:40}»",
    "machine x login y password «{alnum:10}» account z",
    r#"auths: {"registry.example.com":{"auth":"«{b64:bob:correct-horse}»"}}"#,
    "HTTP Basic «{b64:bob:correct-horse}»",
    "password=\"«{alnum:6}\\\"{alnum:6}»\" x=1",
    "Login failed for bob with password '«{alnum:10}»'",
    "otpauth://totp/x:bob?secret=«{upper:32}»&issuer=x",
    "ENV DB_PASSWORD «{alnum:12}»",
    "setx API_KEY «{alnum:24}»",
    "vault kv put secret/x password=«{alnum:12}»",
    "kubectl create secret generic x --from-literal=password=«{alnum:12}»",
    "helm install x --set db.password=«{alnum:12}»,db.user=bob",
    "git clone https://oauth2:«{alnum:26}»@gitlab.example.com/a/b.git",
    "git remote add o https://x-access-token:«{alnum:36}»@github.com/a/b",
    "username=bob&password=«{alnum:8}%21{alnum:4}»&x=1",
    "export GITHUB_TOKEN=«ghp_{alnum:36}»",
    "Enter passphrase: «{alnum:12}»",
    "wallet seed phrase: «apple river stone cloud tiger ocean maple frost eagle brick lemon storm» stored",
    "mnemonic=\"«apple river stone cloud tiger ocean maple frost eagle brick lemon storm»\"",
    "Authorization: SSWS «{alnum:40}»",
    "Authorization: Bot «{alnum:24}»",
    "Authorization: AWS4-HMAC-SHA256 «Credential=AKIA{upper:16}/20240101/eu/s3/aws4_request, SignedHeaders=host, Signature={hex:64}»",
    "[\"password\"]=>\n  string(10) \"«{alnum:10}»\"",
    "[password] => «{alnum:10}»",
    "map[password:«{alnum:10}» user:bob]",
    "&{User:bob Password:«{alnum:10}»}",
    "Config{password=«{alnum:10}», user=bob}",
    "password: |\n  «{alnum:10} {alnum:5}»\nuser: bob",
    "Content-Disposition: form-data; name=\"password\"\r\n\r\n«{alnum:10}»\r\n--x",
    "bob:«$2b$12${alnum:53}»",
    "root:«$6${alnum:8}${alnum:86}»:19000:0:99999:7:::",
    "https://x/cb?code=«{alnum:30}»&state=1",
    "SAMLResponse=«{alnum:200}»",
    "bindpw=«{alnum:10}»",
    "rootpw «{alnum:10}»",
    "olcRootPW: «{alnum:10}»",
    "keytool -storepass «{alnum:10}» -list",
    "JSESSIONID=«{upper:32}»",
    "PHPSESSID=«{alnum:26}»; x=1",
    "connect.sid=«s%3A{alnum:40}»",
    "ansible_ssh_pass=«{alnum:10}»",
    "-passout pass:«{alnum:10}»",
    "Error: invalid password \"«{alnum:10}»\" for user bob",
    "password: '«{alnum:5}''{alnum:9}»'",
    "http://example.com/login;jsessionid=«{upper:32}»?x=1",
    "password=\"«correct horse battery staple»\"",
    "ws://host/socket?token=«{alnum:32}»",
    "redirect_uri=https://x/cb#access_token=«{alnum:32}»&token_type=bearer",
];

/// Paths: `«…»` becomes `~`.
pub(crate) const PATHS: &[&str] = &[
    "open «/home/{word}»/x.txt failed",
    "open «/home/{word}»",
    "open «/home/{word}».",
    "(«/home/{word}»)",
    "\"«/home/{word}»\"",
    "'«/home/{word}»/a b'",
    "path=«/home/{word}»/x",
    "path:«/home/{word}»/x",
    "PATH=/usr/bin:«/home/{word}»/bin:«/home/{word}»/.cargo/bin",
    "«/home/{word}.{word}»/x",
    "«/home/{word}-{word}»/x",
    "«/home/jürgen»/x",
    r"«/home/{word}\ {word}»/x",
    "«/home/{word}@example.com»/x",
    "file://«/home/{word}»/x",
    "file://localhost«/home/{word}»/x",
    "bob@host:«/home/{word}»/x",
    "rsync host:«/home/{word}»/ /backup",
    "-I«/home/{word}»/include",
    "@«/home/{word}»/body.json",
    "<«/home/{word}»/x>",
    "[«/home/{word}»/x]",
    "a,«/home/{word}»/x,b",
    "«/Users/{word}»/Library/x",
    "«/Users/Jane Doe»/Library/x",
    "file://«/Users/{word}»/x",
    r"«C:\Users\{word}»\x",
    r"«C:\Users\Jane Doe»\x",
    r"«c:\users\{word}»\x",
    r"«C:\\Users\\{word}»\\x",
    r"«C:\\\\Users\\\\{word}»\\\\x",
    "«C:/Users/{word}»/x",
    "file:///«C:/Users/{word}»/x",
    r"«\\?\C:\Users\{word}»\x",
    r"«C:\Documents and Settings\{word}»\x",
    r"«\\srv\Users\{word}»\x",
    r"«\\srv\home\{word}»\x",
    r"«\\\\srv\\Users\\{word}»\\x",
    "«/root»/.ssh/id_rsa",
    "«/root»",
    "cd «/root»; ls",
    "file://«/root»/x",
    "«/var/home/{word}»/x",
    "«/export/home/{word}»/x",
    "«/mnt/c/Users/{word}»/x",
    "«/c/Users/{word}»/x",
    r"«\/home\/{word}»\/x",
    "path=«%2Fhome%2F{word}»%2Fx",
    "line\\n«/home/{word}»/x",
    "error at «/home/{word}»/src/main.rs:12:5",
    "cp «/home/{word}»/a «/home/{word}»/b",
    "'«/home/{word}»/x' -> '/backup/x'",
    r#"{"path":"«/home/{word}»/x"}"#,
    "«/home/{word}»: permission denied",
    "/dev/sda1 on «/home/{word}» type ext4",
    "«/usr/home/{word}»/x",
    "https://example.com/?file=«/home/{word}»/x",
    "«/home/user1»/x",
];

/// Lines that must stay as they are.
pub(crate) const HARMLESS: &[&str] = &[
    "max_tokens=4096 temperature=0.7",
    "prompt_tokens: 512, completion_tokens: 98, total_tokens: 610",
    r#"{"usage":{"prompt_tokens":12,"total_tokens":40}}"#,
    "commit {hex:40} pushed to main",
    "request 550e8400-e29b-41d4-a716-446655440000 took 12 ms",
    "session_id=550e8400-e29b-41d4-a716-446655440000",
    "sha256:{hex:64}",
    "md5={hex:32}",
    "etag: \"{hex:32}\"",
    "password changed for user bob",
    "Password reset e-mail sent to user 42",
    "Failed password for root from 10.0.0.1 port 22 ssh2",
    "Failed password for invalid user admin from 10.0.0.1 port 22 ssh2",
    "Accepted password for bob from 10.0.0.1 port 22 ssh2",
    "Invalid password: too short",
    "password: must be at least 8 characters",
    r#"{"errors":{"password":"must be at least 8 characters"}}"#,
    r#"{"password":["This field is required."]}"#,
    r#"{"type":"object","properties":{"password":{"type":"string","minLength":8}}}"#,
    "password_min_length=12",
    "passwordless login enabled",
    "password authentication failed for user \"bob\"",
    "keyboard-interactive authentication",
    "no password supplied",
    "the secret to success is patience",
    "secretary=Alice",
    "token bucket refilled: 10 tokens",
    "unexpected token: ')'",
    "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
    "invalid token \"foo\" at line 3",
    "token expired at 2024-01-01T00:00:00Z",
    "token_count=12 token_type=bearer token_limit=4096",
    "tokenizer=bert-base-uncased",
    "next_page_token_present=true",
    "author=Jane Doe",
    "authority=example.com",
    "postcode=12345",
    "keyboard=us",
    "passport=valid",
    "compass=north bypass=true",
    "key=value",
    "key: 42",
    "cache key user:42:profile hit",
    "primary_key=id foreign_key=user_id",
    "KeyError: 'name'",
    "public_key=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
    "PublicKeyToken=31bf3856ad364e35",
    "api_key is missing",
    "api_key: none",
    "Authorization header missing",
    "authorization failed: permission denied",
    "Authorization: none",
    "auth: user bob logged in",
    "auth_method=password",
    "oauth2 flow started",
    "cookie consent given",
    "cookies=disabled",
    "Basic authentication required",
    "Bearer token missing",
    "WWW-Authenticate: Bearer realm=\"example\", error=\"invalid_token\"",
    "pin_memory=True num_workers=4",
    "PIN code accepted",
    "pinned to core 3, pin=false",
    "exit code: 137",
    "status code=404 error code: 1062",
    "HTTP code=200",
    "error_code: 12345",
    "country_code=DE zip_code=10115",
    "opcode=12 keycode=24 barcode=123456",
    "signal: 15 (SIGTERM)",
    "signature: fn(a: u8) -> u8",
    "design=flat assign=1",
    "otpion=1 options=3",
    "blk_-1608999687919862906 size 67108864",
    "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating",
    "time=1700000000000000 ns=1700000000000000000",
    "order 1234567890123456 shipped",
    "phone +49 30 1234567890",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "https://example.com:8080/a/b?page=2&sort=name#top",
    "https://example.com/home/alice/x",
    "https://example.com/users/42",
    "GET /users/42 HTTP/1.1",
    "GET /home/index.html HTTP/1.1",
    "ssh://git@github.com/a/b.git",
    "git@github.com:a/b.git",
    "mailto:bob@example.com",
    "bob@example.com logged in",
    "hdfs://nn:9000/user/root/data",
    "/user/root/data",
    "/proc/1234/root/etc",
    "/usr/share/doc/home/x",
    "/var/www/home/x",
    "chroot /srv/root",
    "root=/dev/sda1",
    "/rootfs/etc",
    "/home",
    "ls /home/",
    "/Users/Shared/x",
    r"C:\Users\Public\x",
    r"C:\Windows\System32\x.dll",
    r"C:\Program Files\Users Guide\x",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=10.0.0.1",
    "check pass; user unknown",
    "getTasks: caller 10111 does not hold REAL_GET_TASKS; limiting output",
    "wtoken = AppWindowToken{9f4ef63 token=Token{a64f992 ActivityRecord{de9231d u0 com.x/.A t761}}}, allDrawn= false, startingDisplayed =  false",
    "acquire lock=233570404, flags=0x1, tag=\"View Lock\", name=com.android.systemui, ws=null, uid=10037",
    "interceptKeyTi keyCode=26 down=true",
    "Kind: YARN_AM_RM_TOKEN, Service: , Ident: (appAttemptId { application_id { id: 1 } })",
    "Adding job token for job_1445062781478_0011 to jobTokenSecretManager",
    "Executing with tokens:",
    "SecurityManager: authentication disabled; ui acls disabled; users with view permissions: Set(yarn, curi)",
    "Loaded Servicing Stack v6.1.7601.23505 with Core: C:\\Windows\\winsxs\\amd64_x_31bf3856ad364e35_6.1",
    "Manifest hash for component [ml:280{140},l:190{95}]\"amd64_{hex:32}_31bf3856ad364e35_6.1.7601.23505_none_{hex:16}\"",
    "pA = PROCESSOR_ARCHITECTURE_INTEL (0), Culture neutral, VersionScope = 1 nonSxS, PublicKeyToken = {l:8 b:31bf3856ad364e35}, Type neutral",
    "nova.osapi_compute.wsgi.server [req-38101a0b-2096-447d-96ea-a692162415ae 113d3a99c3da401fbd62cc2caa5b96d2 54fadb412c4e40cdbaed9335e4c35a9e - - -] 10.11.10.1 \"GET /v2/54fadb412c4e40cdbaed9335e4c35a9e/servers/detail HTTP/1.1\" status: 200 len: 1893 time: 0.2477829",
    "Client attempting to establish new session at /10.10.34.11:43725",
    "Accepted socket connection from /10.10.34.11:45307",
    "com.apple.cts[258]: com.apple.suggestions.harvest: scheduler_evaluate_activity told me to run this job",
    "proxy.cse.cuhk.edu.hk:5070 close, 0 bytes sent, 0 bytes received, lifetime 00:01",
    "ciod: LOGIN chdir(/p/gb1/stella/RAPTOR/) failed: No such file or directory",
    "Step_LSC|30002312|onStandStepChanged 3579",
    "[instance: b9000564-fe1a-409b-b8cc-1e88b294cd1d] VM Started (Lifecycle Event)",
    "rts: kernel terminated for reason 1004",
    "crond(pam_unix)[2915]: session opened for user root by (uid=0)",
    "su(pam_unix)[22644]: session opened for user news by (uid=0)",
    "Received disconnect from 10.0.0.1: 11: Bye Bye [preauth]",
    "error: Received disconnect from 10.0.0.1: 14: No more user authentication methods available. [preauth]",
    "input_userauth_request: invalid user webmaster [preauth]",
    "kernel: audit: type=1400 audit(1700000000.000:42): apparmor=\"STATUS\" operation=\"profile_load\"",
    "SELECT id, password, email FROM users WHERE id = 1",
    "SELECT token FROM sessions",
    "columns: [\"id\", \"password\", \"email\"]",
    "fields = ('username', 'password', 'email')",
    "def login(user, password):",
    "fn set_password(password: &str) -> Result<(), Error>",
    "struct Config { password: String, token: Option<String> }",
    "password: String",
    "token: &str",
    "let token = tokens.next();",
    "if password == other.password {",
    "password=$DB_PASSWORD",
    "--password-file /etc/app/password",
    "--token-ttl 3600",
    "docker run -p 8080:80 -u 1000:1000 web",
    "mkdir -p /srv/a && tar -xpf x.tar",
    "mysql -u root -p app",
    "curl -u bob https://example.com/",
    "ssh -p 2222 host",
    "credentials=include",
    "credential_type=oauth",
    "hmac=sha256",
    "secret_version=3",
    "Secret \"db-credentials\" created",
    "secret/db-credentials created",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
    "AccessKeyId missing",
    "rotating api key for tenant 42",
    "sk-learn 1.2.3 installed",
    "task-queue-worker-with-a-long-name-1 started",
    "risk-assessment-2024-final-report-v2.pdf",
    "sg.example.com resolved",
    "eyJ",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "{b64:nothing to see here, move along now please}",
    "integrity sha512-{alnum:86}==",
    "x = y; z = w",
    "12:30:45.123 [main] INFO c.e.App - started in 3.2 s",
    "Secret Santa draw is done",
    "Token ring network up",
    "passed=12 failed=0 pass: 12",
    "pass 1 of 3: compiling",
    "first pass: 12 ms, second pass: 9 ms",
    "cred ratio 0.5",
    "webauthn: user verified",
    "keyring unlocked",
    "key exchange: curve25519-sha256",
    "ssh_key_fingerprint=SHA256:{alnum:43}",
    "Accepted publickey for bob from 10.0.0.1 port 22 ssh2: ED25519 SHA256:{alnum:43}",
    "TLS key rotation finished",
    "password strength: strong",
    "two-factor code sent",
    "discount code: SUMMER",
    "promo_code=SAVE20",
    "verification code sent to phone",
    "Could not get event name for stream/token: com.apple.xpc.activity/4505: 132: Request for stale data",
    "GET /login?next=/home/ HTTP/1.1",
    "pass: 100.0%",
    r#"{"token":"expired"}"#,
    "token 12345678 of 20000000",
    "code: 0x80070005",
    "seed=42",
    "[akka.tcp://sparkExecutorActorSystem@mesos-slave-07:55904]",
    "spark://CoarseGrainedScheduler@10.10.34.11:48069",
    "GET /cb?code=404&page=2",
    "exit code=12 code=SUCCESS",
    "the phrase: hello world",
    "cost $1$2 and $5",
    "samlib=1 sample=2",
    "random seed: 1234567",
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::examples::{Example, expand};
    use crate::{SanitizeConfig, Sanitizer};

    /// A piece of half the secret's length stays.
    fn leaks(example: &Example, found: &str) -> bool {
        example.secrets.iter().any(|secret| {
            let chars: Vec<char> = secret.chars().collect();
            let half = chars.len().div_ceil(2).max(3);
            chars.windows(half).any(|piece| {
                let piece: String = piece.iter().collect();
                found.contains(&piece) && piece.chars().any(char::is_alphanumeric)
            })
        })
    }

    /// Every piece of text between the secrets is still there, in order.
    fn keeps_rest(template: &Example, found: &str) -> bool {
        let mut rest = found;
        template.expected.split('\u{1}').all(|piece| {
            let piece = piece.trim();
            match rest.find(piece) {
                Some(at) => {
                    rest = &rest[at + piece.len()..];
                    true
                }
                None => false,
            }
        })
    }

    #[derive(Default)]
    struct Score {
        all: usize,
        leaked: Vec<String>,
        lost: Vec<String>,
    }

    impl Score {
        fn add(&mut self, sanitizer: &Sanitizer, template: &str, seed: u64) {
            let example = expand(template, "\u{1}", seed);
            let found = sanitizer.text(&example.text);
            self.all += 1;
            let line = format!("{}\n     -> {found}", example.text);
            if leaks(&example, &found) {
                self.leaked.push(line);
            } else if !keeps_rest(&example, &found) {
                self.lost.push(line);
            }
        }

        fn assert(&self, what: &str, leaks: usize, losses: usize) {
            let report = format!(
                "{what}: {} of {} leaked, {} lost text around\nLEAKED\n{}\nLOST\n{}",
                self.leaked.len(),
                self.all,
                self.lost.len(),
                self.leaked.join("\n"),
                self.lost.join("\n"),
            );
            assert!(
                self.leaked.len() <= leaks && self.lost.len() <= losses,
                "{report}"
            );
        }
    }

    fn sanitizer() -> Sanitizer {
        Sanitizer::with_home(SanitizeConfig::default(), None).unwrap()
    }

    fn named(key: &str, value: &str, around: &str) -> String {
        around.replace("{K}", key).replace("{V}", value)
    }

    #[test]
    fn named_secrets_vanish_in_every_surrounding() {
        let sanitizer = sanitizer();
        let mut score = Score::default();
        for (seed, key) in KEYS.iter().enumerate() {
            for around in AROUND_VALUES {
                let value = VALUES[seed % VALUES.len()];
                score.add(&sanitizer, &named(key, value, around), seed as u64);
            }
        }
        score.assert("named", 0, 0);
    }

    #[test]
    fn awkward_passwords_in_quotes_vanish() {
        let sanitizer = sanitizer();
        let mut score = Score::default();
        for around in AROUND_VALUES {
            if !around.contains("\"«") && !around.contains("'«") {
                continue;
            }
            for (seed, value) in AWKWARD.iter().enumerate() {
                score.add(&sanitizer, &named("password", value, around), seed as u64);
            }
        }
        score.assert("awkward", 0, 0);
    }

    #[test]
    fn whole_lines_lose_their_secrets() {
        let sanitizer = sanitizer();
        let mut score = Score::default();
        for seed in 0..5 {
            LINES
                .iter()
                .for_each(|line| score.add(&sanitizer, line, seed));
        }
        score.assert("lines", 0, 0);
    }

    #[test]
    fn paths_lose_their_users() {
        let sanitizer = sanitizer();
        let mut score = Score::default();
        for path in PATHS {
            score.add(&sanitizer, path, 3);
        }
        score.assert("paths", 0, 0);
    }

    #[test]
    fn harmless_lines_stay() {
        let sanitizer = sanitizer();
        let mut changed = Vec::new();
        for line in HARMLESS {
            let text = expand(line, "", 5).text;
            if let Cow::Owned(found) = sanitizer.text(&text) {
                changed.push(format!("{text}\n     -> {found}"));
            }
        }
        assert!(
            changed.is_empty(),
            "{} changed:\n{}",
            changed.len(),
            changed.join("\n")
        );
    }
}
