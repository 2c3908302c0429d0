//! Hashes of passwords.

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordVerifier};

/// A hash that was read and understood.
pub(crate) struct PasswordHash {
    text: String,
    method: Method,
}

enum Method {
    Bcrypt,
    Argon2(Box<phc::PasswordHash>),
}

impl PasswordHash {
    /// `None` if it is no whole bcrypt or argon2 hash.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let method = if text.starts_with("$argon2") {
            let hash = phc::PasswordHash::new(text).ok()?;
            // Without output it would be parameters and a salt only.
            hash.hash?;
            Method::Argon2(Box::new(hash))
        } else {
            text.parse::<bcrypt::HashParts>().ok()?;
            Method::Bcrypt
        };
        Some(Self {
            text: text.to_owned(),
            method,
        })
    }

    /// As it stands in the file.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the hash of this password. Takes the time that the hash was
    /// made for: tens of milliseconds and more.
    pub(crate) fn is_of(&self, password: &[u8]) -> bool {
        match &self.method {
            // bcrypt reads 72 bytes; others would be as good as the right one.
            Method::Bcrypt => {
                bcrypt::non_truncating_verify(password, &self.text).unwrap_or_default()
            }
            Method::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both of "password", and made by the programs `argon2` and `htpasswd`, not
    /// by what is tested.
    const BCRYPT: &str = "$2y$04$MEkh/7uITFB4p9FDwfmm1.FNEP9FexCKVxNAKqCcA34TrT/xlTatG";
    const ARGON2: &str =
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70";

    #[test]
    fn argon2_hash_is_of_its_password_only() {
        let hash = PasswordHash::parse(ARGON2).unwrap();
        assert!(hash.is_of(b"password"));
        assert!(!hash.is_of(b"Password"));
        assert!(!hash.is_of(b""));
    }

    #[test]
    fn bcrypt_hash_is_of_its_password_only_with_each_prefix() {
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let text = BCRYPT.replace("$2y$", prefix);
            let hash = PasswordHash::parse(&text).unwrap();
            assert!(hash.is_of(b"password"), "{text}");
            assert!(!hash.is_of(b"passwor"), "{text}");
        }
    }

    #[test]
    fn bcrypt_password_that_would_be_cut_is_refused() {
        let long = [b'a'; 80];
        let cut = bcrypt::hash(long, 4).unwrap();
        assert!(!PasswordHash::parse(&cut).unwrap().is_of(&long));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in [
            "",
            "password",
            "$2b$",
            "$2b$04$tooshort",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$5$rounds=5000$salt$hash",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        ] {
            assert!(PasswordHash::parse(text).is_none(), "{text}");
        }
    }
}
