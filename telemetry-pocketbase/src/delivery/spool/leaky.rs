//! A value that is leaked, not dropped, while a panic unwinds.
//!
//! Over senseless pages `redb` panics, and the spool takes that for a corrupt
//! file. But a table or transaction that is dropped meanwhile may panic too,
//! over a lock that the first panic has poisoned, and a second panic ends the
//! process: a damaged spool would end the daemon, at every start. What is leaked
//! belongs to a file that is set aside.

use std::ops::{Deref, DerefMut};

/// See the [module](self).
pub(super) struct Leaky<T>(Option<T>);

impl<T> Leaky<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value, to be dropped as usual.
    pub(super) fn into_inner(mut self) -> T {
        match self.0.take() {
            Some(value) => value,
            None => unreachable!("it is taken once, with the wrapper"),
        }
    }
}

impl<T> Deref for Leaky<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it is taken with the wrapper"),
        }
    }
}

impl<T> DerefMut for Leaky<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Some(value) => value,
            None => unreachable!("it is taken with the wrapper"),
        }
    }
}

impl<T> Drop for Leaky<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}
