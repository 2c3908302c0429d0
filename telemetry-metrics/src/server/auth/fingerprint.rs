//! Comparing secrets without telling how much of them was right.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::error::MetricsError;

/// Makes fingerprints under a key of this process: in a memory dump they are of
/// no use elsewhere.
pub(crate) struct Fingerprints {
    key: [u8; 32],
}

/// Stands for a secret. All have the same length, so that comparing does not
/// tell that of the secret.
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprints {
    pub(crate) fn new() -> Result<Self, MetricsError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| MetricsError::NoRandomness)?;
        Ok(Self { key })
    }

    /// Of all parts together; where one ends and the next begins matters.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = Sha256::new().chain_update(self.key);
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Fingerprint(hasher.finalize().into())
    }
}

impl ConstantTimeEq for Fingerprint {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_secrets_and_their_parts_apart() {
        let fingerprints = Fingerprints::new().unwrap();
        let same = |left: &[&[u8]], right: &[&[u8]]| -> bool {
            fingerprints.of(left).ct_eq(&fingerprints.of(right)).into()
        };
        assert!(same(&[b"a", b"b"], &[b"a", b"b"]));
        assert!(!same(&[b"a", b"b"], &[b"ab", b""]));
        assert!(!same(&[b"a"], &[b"b"]));
    }

    #[test]
    fn fingerprints_of_another_key_differ() {
        let [one, other] = [(); 2].map(|()| Fingerprints::new().unwrap().of(&[b"a"]));
        assert!(!bool::from(one.ct_eq(&other)));
    }
}
