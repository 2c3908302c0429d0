//! What all parts of one run share.

use super::handles::Handles;
use super::metadata::Preserved;
use super::observer::{Cancel, Observer};
use super::options::Options;
use super::preflight::Roots;
use super::tally::Tally;

/// One run: what it works on, how, and what it has counted so far.
pub(super) struct Run<'a> {
    pub(super) roots: Roots,
    pub(super) handles: Handles,
    pub(super) options: &'a Options,
    pub(super) preserved: Preserved,
    pub(super) tally: Tally,
    pub(super) observer: &'a dyn Observer,
    pub(super) cancel: &'a Cancel,
}

impl Run<'_> {
    /// Whether to begin nothing new: on request, or after the first error if that ends the run.
    pub(super) fn should_stop(&self) -> bool {
        self.cancel.is_cancelled() || self.stopped_by_error()
    }

    /// Whether an error has ended the run.
    pub(super) fn stopped_by_error(&self) -> bool {
        !self.options.continue_on_error && self.tally.has_failures()
    }
}
