//! Secrets that anybody on this machine can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Config, Loaded};

/// "Others may read".
const READABLE_BY_ALL: u32 = 0o004;

/// How keys end whose value is a secret. Those that name a file end otherwise.
const SECRET_KEYS: [&str; 7] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
];

/// The files with a password in them that everybody may read, each with what to do about it: configuration files, and the files that the
/// configuration names for secrets. A file that cannot be looked at is none of them.
pub fn exposed_secrets(loaded: &Loaded) -> Vec<String> {
    let configuration = loaded.files.iter().map(std::path::PathBuf::as_path);
    let with_password = configuration.filter(|path| is_open(path) && has_password(path));
    let secret_files = secret_files(&loaded.config)
        .into_iter()
        .filter(|path| is_open(path));
    with_password.chain(secret_files).map(in_words).collect()
}

fn secret_files(config: &Config) -> Vec<&Path> {
    let mut files = Vec::new();
    let upload = &config.telemetry.pocketbase_logging;
    if upload.enabled {
        files.extend(upload.password_file.as_deref());
    }
    if let Some(auth) = &config.telemetry.metrics.auth {
        files.extend(auth.bearer_token_file.as_deref());
        files.extend(
            auth.basic
                .as_ref()
                .map(|basic| basic.password_hash_file.as_path()),
        );
    }
    files
}

fn is_open(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_ALL != 0)
}

fn has_password(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| {
        let mut lines = text.lines();
        lines.any(|line| assigns_secret(line) || has_address_with_password(line))
    })
}

/// `password = "..."`, in a comment too. Not with a regular expression: one alone would take some hundred kilobytes for as long as the daemon
/// lives.
fn assigns_secret(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else {
        return false;
    };
    let is_quote = |char| matches!(char, '"' | '\'');
    let key = key.trim_end().to_ascii_lowercase();
    let quoted = value.trim_start().strip_prefix(is_quote);
    SECRET_KEYS.iter().any(|secret| key.ends_with(secret))
        && quoted.and_then(|value| value.find(is_quote)) > Some(0)
}

/// `http://name:password@host`.
fn has_address_with_password(line: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.contains(|char: char| char.is_whitespace() || matches!(char, '/' | ':'))
    };
    line.split("://").skip(1).any(|address| {
        let login = address
            .split_once('@')
            .and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(name, password)| is_part(name) && is_part(password))
    })
}

fn in_words(path: &Path) -> String {
    let path = path.display();
    format!(
        "everybody on this machine can read the password in {path}; `chmod o-r` it, and change the password"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, LoadOptions};

    fn exposed(text: &str, mode: u32) -> Vec<String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let options = LoadOptions::new(vec![path], Environment::default());
        exposed_secrets(&Config::load(&options).unwrap())
    }

    #[test]
    fn a_password_that_all_can_read_is_told_and_one_that_they_cannot_is_not() {
        let text = format!("# admin_password = \"{}\"\n", "x".repeat(12));
        assert_eq!(exposed(&text, 0o644).len(), 1);
        assert_eq!(exposed(&text, 0o640), [""; 0]);
        let address = format!("# http://root:{}@localhost\n", "x".repeat(12));
        assert_eq!(exposed(&address, 0o644).len(), 1);
    }

    #[test]
    fn passwords_are_told_from_what_only_looks_like_them() {
        for line in [
            r#"  #ADMIN_Password='x'"#,
            "telemetry.Token=\"t\"",
            "# see http://a.b/?x=ftp://root:hunter2@host/",
        ] {
            assert!(
                assigns_secret(line) || has_address_with_password(line),
                "{line}"
            );
        }
        for line in [
            r#"password_file = "/etc/x""#,
            r#"password = """#,
            "password = x",
            r#"url = "http://host:8090/a@b""#,
            "http://:x@host and http://root:@host and http://a b:c@d",
        ] {
            assert!(!assigns_secret(line), "{line}");
            assert!(!has_address_with_password(line), "{line}");
        }
    }

    #[test]
    fn the_commented_defaults_hold_no_password() {
        assert_eq!(exposed(&Config::commented_defaults(), 0o644), [""; 0]);
    }

    #[test]
    fn the_files_for_secrets_are_looked_at() {
        let place = tempfile::tempdir().unwrap();
        let secret = place.path().join("password");
        std::fs::write(&secret, "x").unwrap();
        let text = format!(
            "[telemetry.pocketbase_logging]\nallow_unsanitized = true\npassword_file = {:?}\n",
            secret.display().to_string()
        );
        let mode = |mode| std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode));
        mode(0o604).unwrap();
        let found = exposed(&text, 0o644);
        // Without the feature there is no upload, and nothing to say about its password.
        assert_eq!(found.len(), usize::from(cfg!(feature = "pocketbase")));
        mode(0o600).unwrap();
        assert_eq!(exposed(&text, 0o644), [""; 0]);
    }
}
