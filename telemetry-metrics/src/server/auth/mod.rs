//! Who may read.
//!
//! The credentials stand in a file, which is read for each request: a changed
//! file counts at once, and there is no copy that could be stale. What is kept is
//! a fingerprint of the last credentials that were right, together with the hash
//! that they were right for: a scraper is hashed once, not at each scrape.
//!
//! A wrong name costs the same hash as a wrong password, so that time does not
//! tell which names exist. One hash is computed at a time: guessing keeps one
//! core busy at most, honest clients that are known already do not wait, and
//! those that are not find a place in the [`line`].

mod authorization;
mod fingerprint;
mod line;
mod password;
mod secret_file;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::HeaderMap;
use subtle::{Choice, ConstantTimeEq};
use tokio::task::spawn_blocking;

use crate::error::MetricsError;
use authorization::Authorization;
use fingerprint::{Fingerprint, Fingerprints};
use line::Line;
use password::PasswordHash;

/// What clients must send for `/metrics` and `/`.
///
/// Both files may be replaced at any time. A file that cannot be read or holds
/// nothing usable lets nobody in: such requests are answered 500, and the log
/// says once what is wrong. `/healthz` and `/readyz` are open to all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// `Authorization: Bearer TOKEN`.
    Bearer {
        /// Holds the token: visible ASCII without spaces, and nothing else but
        /// white space around it.
        token_file: PathBuf,
    },
    /// `Authorization: Basic …`, which browsers ask people for.
    Basic {
        /// The only name that is let in.
        username: String,
        /// Holds a hash of the password, as `htpasswd -nB` or `argon2 -e` write
        /// it: bcrypt (`$2a$`, `$2b$`, `$2y$`) or argon2 (`$argon2id$`, …). The
        /// name and a colon may stand before it.
        password_hash_file: PathBuf,
    },
}

impl Auth {
    fn file(&self) -> &Path {
        match self {
            Self::Bearer { token_file } => token_file,
            Self::Basic {
                password_hash_file, ..
            } => password_hash_file,
        }
    }

    /// The value of `WWW-Authenticate`.
    fn challenge(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => r#"Bearer realm="metrics""#,
            Self::Basic { .. } => r#"Basic realm="metrics", charset="UTF-8""#,
        }
    }

    /// What the file holds at this moment.
    fn read(&self) -> Result<Secret, MetricsError> {
        let text = secret_file::read(self.file())?;
        let invalid = |problem| MetricsError::CredentialsInvalid {
            path: self.file().to_owned(),
            problem,
        };
        match self {
            Self::Bearer { .. } if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Secret::Token(text))
            }
            Self::Bearer { .. } => Err(invalid(
                "a token is one word of visible ASCII: no client could send this one",
            )),
            Self::Basic { username, .. } => {
                let without_name = text
                    .strip_prefix(username.as_str())
                    .and_then(|rest| rest.strip_prefix(':'));
                let hash = without_name.unwrap_or(&text);
                PasswordHash::parse(hash)
                    .map(Secret::Password)
                    .ok_or_else(|| {
                        invalid("it holds neither a bcrypt nor an argon2 hash of a password")
                    })
            }
        }
    }
}

/// What a file of credentials holds.
enum Secret {
    Token(String),
    Password(PasswordHash),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// No credentials, or wrong ones; what to answer them.
    Wrong { challenge: &'static str },
    /// Too many credentials are being checked already.
    Busy,
    /// Nobody can be let in; the log says why.
    Broken,
}

/// Stands at the door.
pub(crate) struct Guard {
    auth: Arc<Auth>,
    fingerprints: Fingerprints,
    /// Of the credentials that were right the last time.
    verified: Mutex<Option<Fingerprint>>,
    line: Line,
    is_broken: AtomicBool,
}

impl Guard {
    /// Reads the file once, so that a mistake is found at the start.
    pub(crate) fn open(auth: &Auth) -> Result<Self, MetricsError> {
        auth.read()?;
        Ok(Self {
            auth: Arc::new(auth.clone()),
            fingerprints: Fingerprints::new()?,
            verified: Mutex::default(),
            line: Line::new(),
            is_broken: AtomicBool::new(false),
        })
    }

    /// Lets a request of a client in, or says why not. May take as long as
    /// hashes take: the caller sets the limit.
    pub(crate) async fn admit(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), Denial> {
        let sent = Authorization::of(headers);
        let is_right = match (&*self.auth, sent) {
            (Auth::Bearer { .. }, Some(Authorization::Bearer(token))) => {
                self.is_token(&token).await?
            }
            (Auth::Basic { username, .. }, Some(Authorization::Basic { name, password })) => {
                self.is_password(username, &name, password, client).await?
            }
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        Err(Denial::Wrong {
            challenge: self.auth.challenge(),
        })
    }

    async fn is_token(&self, sent: &[u8]) -> Result<bool, Denial> {
        let Secret::Token(token) = self.read().await? else {
            return Ok(false);
        };
        let of = |token: &[u8]| self.fingerprints.of(&[token]);
        Ok(of(sent).ct_eq(&of(token.as_bytes())).into())
    }

    async fn is_password(
        &self,
        username: &str,
        name: &[u8],
        password: Vec<u8>,
        client: IpAddr,
    ) -> Result<bool, Denial> {
        let Secret::Password(hash) = self.read().await? else {
            return Ok(false);
        };
        let attempt = self
            .fingerprints
            .of(&[hash.as_str().as_bytes(), name, &password]);
        if self.was_right(&attempt) {
            return Ok(true);
        }
        let place = self.line.join(client).ok_or(Denial::Busy)?;
        // There is always a next turn, but for a line that is closed.
        let turn = place.turn().await.ok_or(Denial::Broken)?;
        // The one before may have been the same client, with its next request.
        if self.was_right(&attempt) {
            return Ok(true);
        }
        // The turn goes along: a client that leaves does not stop the hash,
        // which must still count.
        let compared = spawn_blocking(move || {
            let is_right = hash.is_of(&password);
            drop(turn);
            is_right
        });
        let password_is_right = compared.await.map_err(|_| Denial::Broken)?;
        let of_name = |name: &[u8]| self.fingerprints.of(&[name]);
        let name_is_right = of_name(name).ct_eq(&of_name(username.as_bytes()));
        let is_right: bool = (name_is_right & Choice::from(u8::from(password_is_right))).into();
        if is_right {
            *self.verified() = Some(attempt);
        }
        Ok(is_right)
    }

    fn was_right(&self, attempt: &Fingerprint) -> bool {
        self.verified()
            .as_ref()
            .is_some_and(|verified| verified.ct_eq(attempt).into())
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, Option<Fingerprint>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self) -> Result<Secret, Denial> {
        let auth = Arc::clone(&self.auth);
        let read = spawn_blocking(move || auth.read()).await;
        match read.map_err(|_| Denial::Broken)? {
            Ok(secret) => {
                if self.is_broken.swap(false, Ordering::Relaxed) {
                    tracing::info!("the credentials of the metrics endpoint can be read again");
                }
                Ok(secret)
            }
            Err(error) => {
                if !self.is_broken.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        error_type = "metrics",
                        %error,
                        "the metrics endpoint lets nobody in"
                    );
                }
                Err(Denial::Broken)
            }
        }
    }
}

#[cfg(test)]
mod tests;
