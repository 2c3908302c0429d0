//! Counting a record allocates nothing once its callsite is known.

#![allow(
    unsafe_code,
    reason = "an allocator can only be watched by being one; it hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use telemetry_core::{Capture, Identity, Numbered};
use telemetry_metrics::{CountingSink, Handle};
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: every call is handed on unchanged to the system's allocator; the
// counter is a plain cell of the thread and does not allocate.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn known_callsite_is_counted_without_allocation() {
    let handle = Handle::build(&[]).unwrap();
    let sink = Numbered::new(CountingSink::with_max_targets(&handle, 1));
    let capture = Capture::new(Identity::new(uuid::Uuid::nil()), sink);
    let subscriber = tracing_subscriber::registry().with(capture);
    let log = || {
        tracing::info!(target: "own", "counted by itself");
        tracing::warn!(target: "folded", "counted as other");
    };
    tracing::subscriber::with_default(subscriber, || {
        log();
        let before = ALLOCATIONS.get();
        for _ in 0..1000 {
            log();
        }
        assert_eq!(ALLOCATIONS.get() - before, 0);
    });
    let text = handle.render();
    assert!(text.contains("log_entries_total{level=\"INFO\",target=\"own\"} 1001\n"));
    assert!(text.contains("log_entries_total{level=\"WARN\",target=\"other\"} 1001\n"));
}
