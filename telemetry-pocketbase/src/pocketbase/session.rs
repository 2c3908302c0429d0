//! The token: getting one, renewing it, finding out whether it lives.
//!
//! A request with a dead token is not refused with 401: the server runs it as a
//! guest, and what comes back looks like many other failures. So the token is
//! renewed before it expires, and verified when an answer is in doubt.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{NoReply, Reply, Transport};
use crate::clock::Clock;
use crate::config::{PasswordSource, Secret};

/// The collection of superusers, which every server has.
pub(crate) const SUPERUSERS: &str = "_superusers";

/// A token is renewed when this part of its life is over.
const RENEW_AFTER: f64 = 0.8;

/// Who to sign in as, and the token of it.
pub(crate) struct Session {
    auth_collection: String,
    identity: String,
    password: PasswordSource,
    token: Option<Token>,
    clock: Arc<dyn Clock>,
}

/// A token that the server gave.
#[derive(Clone)]
struct Token {
    text: Secret,
    renew_at: Option<SystemTime>,
}

/// A token to use.
pub(crate) struct Pass {
    pub(crate) token: Secret,
    /// It was given a moment ago: no need to verify it.
    pub(crate) is_new: bool,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// There is no password, or no account to give it for.
    NoPassword(String),
    /// The server knows no such account or password.
    Refused(String),
    /// The server did not answer, or not understandably.
    Away {
        reason: String,
        after: Option<Duration>,
    },
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alive,
    Dead,
    Unknown(String),
}

impl Session {
    pub(crate) fn new(
        auth_collection: &str,
        identity: &str,
        password: PasswordSource,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            clock,
            auth_collection: auth_collection.to_owned(),
            identity: identity.to_owned(),
            password,
            token: None,
        }
    }

    /// A token, signing in or renewing it where necessary.
    pub(crate) fn pass(&mut self, client: &impl Transport) -> Result<Pass, SignInError> {
        if let Some(token) = &self.token
            && token.renew_at.is_some_and(|at| at <= self.clock.calendar())
        {
            // If that fails for another reason the old token still serves.
            if self.verify(client) == Verdict::Dead {
                self.token = None;
            }
        }
        if let Some(token) = &self.token {
            return Ok(Pass {
                token: token.text.clone(),
                is_new: false,
            });
        }
        if self.identity.is_empty() {
            let why = "no account is configured (`identity`)".to_owned();
            return Err(SignInError::NoPassword(why));
        }
        let password = self.password.find().map_err(SignInError::NoPassword)?;
        let text = sign_in(client, &self.auth_collection, &self.identity, &password)?;
        self.token = Some(Token::new(text.clone(), self.clock.calendar()));
        Ok(Pass {
            token: text,
            is_new: true,
        })
    }

    /// Asks the server about the token, and takes over the renewed one.
    pub(crate) fn verify(&mut self, client: &impl Transport) -> Verdict {
        let Some(token) = &self.token else {
            return Verdict::Dead;
        };
        let refreshed = refresh(client, &self.auth_collection, token.text.expose());
        match refreshed {
            Ok(reply) => match (reply.status, token_of(&reply)) {
                (200, Some(renewed)) => {
                    self.token = Some(Token::new(renewed, self.clock.calendar()));
                    Verdict::Alive
                }
                (401 | 403 | 404, _) => Verdict::Dead,
                (status, _) => Verdict::Unknown(format!("cannot renew the token: HTTP {status}")),
            },
            Err(error) => Verdict::Unknown(format!("cannot renew the token: {}", error.reason())),
        }
    }

    /// Signs in anew next time.
    pub(crate) fn forget(&mut self) {
        self.token = None;
    }
}

/// Signs in with a password; the token.
pub(crate) fn sign_in(
    client: &impl Transport,
    auth_collection: &str,
    identity: &str,
    password: &Secret,
) -> Result<Secret, SignInError> {
    let body = json!({"identity": identity, "password": password.expose()}).to_string();
    let action = "auth-with-password";
    let reply = authenticate(client, auth_collection, action, None, body.as_bytes())
        .map_err(|error| away(&error))?;
    if let (200, Some(token)) = (reply.status, token_of(&reply)) {
        return Ok(token);
    }
    let is_own =
        serde_json::from_str::<Value>(&reply.body).is_ok_and(|body| body.get("message").is_some());
    match reply.status {
        400 if is_own => Err(SignInError::Refused(format!(
            "the server does not accept the password of {identity} in {auth_collection}"
        ))),
        403 if is_own => Err(SignInError::Refused(format!(
            "the server does not let {identity} of {auth_collection} sign in with a password"
        ))),
        404 if is_own => Err(SignInError::Refused(format!(
            "the server has no auth collection {auth_collection}"
        ))),
        status => Err(SignInError::Away {
            reason: format!("cannot sign in: HTTP {status}"),
            after: reply.retry_after,
        }),
    }
}

fn refresh(client: &impl Transport, auth_collection: &str, token: &str) -> Result<Reply, NoReply> {
    authenticate(client, auth_collection, "auth-refresh", Some(token), b"{}")
}

/// Up to PocketBase 0.22 superusers were called admins and were no collection.
fn authenticate(
    client: &impl Transport,
    auth_collection: &str,
    action: &str,
    token: Option<&str>,
    body: &[u8],
) -> Result<Reply, NoReply> {
    let path = format!("/api/collections/{auth_collection}/{action}");
    let reply = client.post(&path, token, body)?;
    if reply.status == 404 && auth_collection == SUPERUSERS {
        return client.post(&format!("/api/admins/{action}"), token, body);
    }
    Ok(reply)
}

fn away(error: &NoReply) -> SignInError {
    SignInError::Away {
        reason: format!("cannot sign in: {}", error.reason()),
        after: None,
    }
}

fn token_of(reply: &Reply) -> Option<Secret> {
    let body: Value = serde_json::from_str(&reply.body).ok()?;
    Some(Secret::new(body.get("token")?.as_str()?))
}

impl Token {
    fn new(text: Secret, now: SystemTime) -> Self {
        let left = expiry(text.expose()).and_then(|at| at.duration_since(now).ok());
        Self {
            renew_at: left.map(|left| now + left.mul_f64(RENEW_AFTER)),
            text,
        }
    }
}

/// When a JSON web token expires. Its signature is the server's business.
fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = base64url(token.split('.').nth(1)?)?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}

/// Decodes the URL-safe base 64 without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits: u32 = 0;
    let mut count = 0;
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_decodes_every_length() {
        let decode = |text| String::from_utf8(base64url(text).unwrap()).unwrap();
        assert_eq!(decode(""), "");
        assert_eq!(decode("Zg"), "f");
        assert_eq!(decode("Zm8"), "fo");
        assert_eq!(decode("Zm9v"), "foo");
        assert_eq!(base64url("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(base64url("a+b"), None);
    }

    #[test]
    fn expiry_is_read_from_the_claims() {
        // {"exp":1700000000}
        let token = ["head", "eyJleHAiOjE3MDAwMDAwMDB9", "signature"].join(".");
        let expected = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(expiry(&token), Some(expected));
        assert_eq!(expiry("no token"), None);
    }
}
