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
    /// Places in `verdicts`, by address.
    known: HashMap<usize, usize, AddressHasher>,
    verdicts: Vec<Box<[Verdict]>>,
    /// Address and place of the one that was asked for last: events come in runs.
    last: (usize, usize),
}

impl Callsites {
    /// The verdicts on the fields of a callsite, by their index; made at the
    /// first call.
    pub(crate) fn get(
        &mut self,
        sanitizer: &Sanitizer,
        callsite: &'static Metadata<'static>,
    ) -> &[Verdict] {
        let address = std::ptr::from_ref(callsite).addr();
        if self.last.0 != address {
            self.last = (address, self.place(sanitizer, callsite, address));
        }
        &self.verdicts[self.last.1]
    }

    fn place(
        &mut self,
        sanitizer: &Sanitizer,
        callsite: &'static Metadata<'static>,
        address: usize,
    ) -> usize {
        let verdicts = &mut self.verdicts;
        *self.known.entry(address).or_insert_with(|| {
            let names = callsite.fields().iter();
            verdicts.push(names.map(|field| sanitizer.verdict(field.name())).collect());
            verdicts.len() - 1
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
