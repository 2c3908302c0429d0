//! The `Authorization` header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// What a client sent. Has no `Debug`: it holds secrets.
pub(crate) enum Authorization {
    Bearer(Vec<u8>),
    Basic { name: Vec<u8>, password: Vec<u8> },
}

impl Authorization {
    /// `None` without exactly one header, or if it is malformed.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let value = value.as_bytes().trim_ascii();
        let space = value.iter().position(|&byte| byte == b' ')?;
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii_start());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            Some(Self::Bearer(rest.to_owned()))
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            Self::basic(rest)
        } else {
            None
        }
    }

    /// RFC 7617: the first colon ends the name; a password may hold colons.
    fn basic(encoded: &[u8]) -> Option<Self> {
        let pair = STANDARD.decode(encoded).ok()?;
        let colon = pair.iter().position(|&byte| byte == b':')?;
        Some(Self::Basic {
            name: pair[..colon].to_owned(),
            password: pair[colon + 1..].to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn parsed(values: &[&str]) -> Option<Authorization> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Authorization::of(&headers)
    }

    #[test]
    fn bearer_and_basic_are_read_whatever_the_case_of_the_scheme() {
        for value in ["Bearer abc", "bearer  abc", "BEARER abc "] {
            let Some(Authorization::Bearer(token)) = parsed(&[value]) else {
                panic!("{value}");
            };
            assert_eq!(token, b"abc");
        }
        let encoded = STANDARD.encode("prom:a:b");
        let Some(Authorization::Basic { name, password }) = parsed(&[&format!("basic {encoded}")])
        else {
            panic!("no basic credentials");
        };
        assert_eq!((&name[..], &password[..]), (&b"prom"[..], &b"a:b"[..]));
    }

    #[test]
    fn none_two_and_malformed_ones_are_no_credentials() {
        let no_colon = format!("Basic {}", STANDARD.encode("prom"));
        for values in [
            &[][..],
            &["Bearer a", "Bearer a"],
            &["Bearer"],
            &["Digest username=prom"],
            &["Basic !!!"],
            &[no_colon.as_str()],
        ] {
            assert!(parsed(values).is_none(), "{values:?}");
        }
    }
}
