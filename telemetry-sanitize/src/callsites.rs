//! The names of a callsite, judged once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use telemetry_core::Field;
use tracing_core::Metadata;

use crate::names::Verdict;
use crate::sanitizer::Sanitizer;

/// What was found about the names of each callsite. There are as many as
/// callsites in the program.
#[derive(Default)]
pub(crate) struct Callsites {
    /// Places in `callsites`, by address.
    known: HashMap<usize, usize, AddressHasher>,
    callsites: Vec<Callsite>,
    /// Address and place of the one that was asked for last: events come in runs.
    last: (usize, usize),
}

impl Callsites {
    /// What was found about the names of a callsite; looked at in the first call.
    pub(crate) fn get(
        &mut self,
        sanitizer: &Sanitizer,
        callsite: &'static Metadata<'static>,
    ) -> &Callsite {
        let address = std::ptr::from_ref(callsite).addr();
        if self.last.0 != address {
            self.last = (address, self.place(sanitizer, callsite, address));
        }
        &self.callsites[self.last.1]
    }

    fn place(
        &mut self,
        sanitizer: &Sanitizer,
        callsite: &'static Metadata<'static>,
        address: usize,
    ) -> usize {
        let callsites = &mut self.callsites;
        *self.known.entry(address).or_insert_with(|| {
            callsites.push(Callsite::new(sanitizer, callsite));
            callsites.len() - 1
        })
    }
}

/// The names of a callsite, by the index of their fields.
pub(crate) struct Callsite {
    verdicts: Box<[Verdict]>,
    /// What stands in the place of a name that holds a secret; empty where none
    /// does.
    names: Box<[Option<&'static str>]>,
}

impl Callsite {
    fn new(sanitizer: &Sanitizer, callsite: &'static Metadata<'static>) -> Self {
        let names: Vec<&'static str> = callsite.fields().iter().map(|field| field.name()).collect();
        let verdicts = names.iter().map(|name| sanitizer.verdict(name)).collect();
        Self {
            verdicts,
            names: changed_names(sanitizer, &names).into(),
        }
    }

    /// The verdict on a field. The message is text without a name.
    pub(crate) fn verdict_on(&self, field: &Field) -> Verdict {
        if field.is_message() {
            return Verdict::Plain;
        }
        let verdict = self.verdicts.get(field.index()).copied();
        verdict.unwrap_or(Verdict::Plain)
    }

    /// Some field has to be renamed.
    pub(crate) fn renames(&self) -> bool {
        !self.names.is_empty()
    }

    /// The field, renamed where its name holds a secret.
    pub(crate) fn named(&self, field: &Field) -> Field {
        match self.names.get(field.index()) {
            Some(Some(name)) => field.renamed(name),
            _ => *field,
        }
    }
}

/// The names without their secrets, `None` where there are none; nothing at all
/// where no name has one.
fn changed_names(sanitizer: &Sanitizer, names: &[&'static str]) -> Vec<Option<&'static str>> {
    let mut changed: Vec<Option<&'static str>> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Cow::Owned(clean) = sanitizer.text(name) else {
            continue;
        };
        changed.resize(names.len(), None);
        let is_taken = |name: &str| names.contains(&name) || changed.contains(&Some(name));
        // An object may not have a name twice.
        let mut unique = clean.clone();
        let mut nth = 2;
        while is_taken(&unique) {
            unique = format!("{clean}_{nth}");
            nth += 1;
        }
        // Names live as long as their callsite: for ever. Nearly no program has
        // such a one, and each is made once.
        changed[index] = Some(Box::leak(unique.into_boxed_str()));
    }
    changed
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
