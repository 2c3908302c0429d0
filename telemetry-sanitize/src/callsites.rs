//! Verdicts on the names of a callsite, made once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use telemetry_core::Field;
use tracing_core::Metadata;

use crate::names::Verdict;
use crate::sanitizer::Sanitizer;

/// Verdicts by callsite. There are as many as callsites in the program.
#[derive(Default)]
pub(crate) struct Callsites {
    known: HashMap<usize, Callsite, AddressHasher>,
}

/// The verdicts on the fields of a callsite, by their index.
pub(crate) struct Callsite {
    pub(crate) verdicts: Box<[Verdict]>,
    pub(crate) any_secret: bool,
}

impl Callsites {
    /// The verdicts on a callsite, made at the first call.
    pub(crate) fn get(
        &mut self,
        sanitizer: &Sanitizer,
        callsite: &'static Metadata<'static>,
    ) -> &Callsite {
        let address = std::ptr::from_ref(callsite).addr();
        self.known.entry(address).or_insert_with(|| {
            let names = callsite.fields().iter();
            let verdicts: Box<[_]> = names.map(|field| sanitizer.verdict(field.name())).collect();
            let is_secret = |verdict: &Verdict| matches!(verdict, Verdict::Secret(_));
            Callsite {
                any_secret: verdicts.iter().any(is_secret),
                verdicts,
            }
        })
    }
}

/// The verdict on a field. The message is text without a name.
pub(crate) fn verdict_on(field: &Field, verdicts: &[Verdict]) -> Verdict {
    if field.is_message() {
        return Verdict::Plain;
    }
    verdicts
        .get(field.index())
        .copied()
        .unwrap_or(Verdict::Plain)
}

pub(crate) type AddressHasher = BuildHasherDefault<AddressHash>;

/// Hashes one address: they differ above the bits of their alignment.
#[derive(Default)]
pub(crate) struct AddressHash(u64);

impl Hasher for AddressHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }
}
