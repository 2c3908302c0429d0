//! A tag by which the same secret can be followed without seeing it.

use sha2::{Digest, Sha256};

/// The key of the tags in `[REDACTED:rule:1f3a]`. One per installation: with it
/// one can test guesses, and so it is a secret itself.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// A key of random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The tag of a secret: 16 bits, so that it cannot be searched back even by
    /// who has the key; two secrets in 65,536 share one.
    pub(crate) fn tag(&self, secret: &str) -> u16 {
        // Twice, as HMAC does: no tag tells about a longer secret's.
        let inner = self.digest(b"i", secret.as_bytes());
        let outer = self.digest(b"o", &inner);
        u16::from_be_bytes([outer[0], outer[1]])
    }

    fn digest(&self, step: &[u8], text: &[u8]) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(step)
            .chain_update(text);
        hash.finalize().into()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SanitizeConfig, Sanitizer};

    fn sanitizer(key: u8) -> Sanitizer {
        Sanitizer::new(SanitizeConfig {
            hash_key: Some(HashKey::new([key; 32])),
            ..SanitizeConfig::default()
        })
        .unwrap()
    }

    #[test]
    fn the_same_secret_has_the_same_tag_wherever_it_stands() {
        let sanitizer = sanitizer(1);
        let one = sanitizer.text("password=hunter22 x").into_owned();
        let two = sanitizer.text(r#"{"password":"hunter22"}"#).into_owned();
        let other = sanitizer.text("password=hunter23 x").into_owned();
        let tag = &one["password=[REDACTED:password:".len()..][..4];
        assert_eq!(one, format!("password=[REDACTED:password:{tag}] x"));
        assert_eq!(
            two,
            format!(r#"{{"password":"[REDACTED:password:{tag}]"}}"#)
        );
        assert_ne!(one, other);
    }

    #[test]
    fn tags_differ_between_installations_and_are_not_tagged_again() {
        let text = "password=hunter22 and token=a1b2c3d4e5f6g7h8";
        let sanitizers = [sanitizer(1), sanitizer(2)];
        let [one, two] = sanitizers.each_ref().map(|it| it.text(text).into_owned());
        assert_ne!(one, two);
        assert_eq!(sanitizers[0].text(&one), one);
        assert_eq!(sanitizers[0].text(&two), two);
    }

    #[test]
    fn a_field_and_a_text_agree_on_the_tag() {
        let sanitizer = sanitizer(1);
        let field = telemetry_core::Value::Text("hunter22");
        let field = sanitizer.value("password", field).unwrap();
        let text = sanitizer.text("password=hunter22");
        assert_eq!(text, format!("password={field}"));
    }

    #[test]
    fn the_key_does_not_show() {
        assert_eq!(format!("{:?}", HashKey::new([7; 32])), "[REDACTED]");
    }
}
