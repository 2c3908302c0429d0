//! What `telemetry-core` promises, shown through its public API with scoped
//! subscribers. What needs a process of its own is in `tests/process`.

mod console;
mod line;
mod queue;
mod queue_endings;
mod queue_laws;
mod repeats;
mod roundtrip;
mod span_events;
mod spans;
mod support;
mod tee;
mod values;
