//! Personal data, looked for on request only: addresses and numbers are what many
//! logs are about.

use crate::config::Pattern;

/// The rules by name. Shapes alone decide: a version such as `1.2.3.4` is an
/// address too.
const RULES: [(&str, &str); 5] = [
    (
        "email",
        r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b",
    ),
    (
        "ip_address",
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
    ),
    (
        "ipv6_address",
        r"\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|\b(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}\b",
    ),
    ("phone", r"\+[0-9](?:[ ()/-]?[0-9]){7,14}\b"),
    ("social_security", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"),
];

/// The rules as patterns.
pub(crate) fn patterns() -> impl Iterator<Item = Pattern> {
    RULES.iter().map(|(name, regex)| Pattern {
        name: (*name).to_owned(),
        regex: (*regex).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::{SanitizeConfig, Sanitizer};

    fn sanitized(pii: bool, text: &str) -> String {
        let config = SanitizeConfig {
            pii,
            ..SanitizeConfig::default()
        };
        let sanitizer = Sanitizer::new(config).unwrap();
        sanitizer.text(text).into_owned()
    }

    #[test]
    fn personal_data_vanishes_on_request() {
        for (text, expected) in [
            ("from bob@example.com to x", "from [REDACTED:email] to x"),
            (
                "peer 192.168.1.20:8080 up",
                "peer [REDACTED:ip_address]:8080 up",
            ),
            ("peer fe80::1:2 up", "peer [REDACTED:ipv6_address] up"),
            ("call +49 30 1234567 now", "call [REDACTED:phone] now"),
            ("ssn 123-45-6789", "ssn [REDACTED:social_security]"),
        ] {
            assert_eq!(sanitized(true, text), expected);
            assert_eq!(sanitized(false, text), text);
        }
    }

    #[test]
    fn times_dates_and_counts_are_no_personal_data() {
        for text in [
            "12:30:45.123",
            "2024-01-01T00:00:00Z",
            "std::fs::read",
            "a@b",
            "300.1.2.3",
        ] {
            assert_eq!(sanitized(true, text), text);
        }
    }
}
