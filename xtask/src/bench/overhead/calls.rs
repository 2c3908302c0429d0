//! Which instructions of a callgrind profile are those of telemetry.
//!
//! On against off cannot tell: two daemons differ by more than that, since their
//! threads race. A profile says for each call what it cost, all that it called
//! included.

use std::collections::HashMap;

/// Beginnings of the names of functions that belong to telemetry: our crates, and
/// those that bring events and figures to them.
const TELEMETRY: [&str; 4] = ["telemetry_", "tracing", "metrics", "log::"];

/// The instructions of all calls of telemetry from outside of it, on every thread.
/// What the compiler has inlined into the callers is not in it; what telemetry
/// calls through the standard library back into itself is in it twice.
pub(super) fn of_telemetry(profile: &str) -> f64 {
    let mut names = HashMap::new();
    let (mut caller, mut callee) = ("", "");
    let mut is_call = false;
    let mut sum = 0.0;
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            caller = full_name(&mut names, name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = full_name(&mut names, name);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if std::mem::take(&mut is_call) && !is_telemetry(caller) && is_telemetry(callee) {
            let cost = line.split(' ').nth(1);
            sum += cost
                .and_then(|cost| cost.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
    }
    sum
}

/// Callgrind writes a name once, as `(7) name`, and `(7)` afterwards.
fn full_name<'a>(names: &mut HashMap<&'a str, &'a str>, written: &'a str) -> &'a str {
    match written.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(written).copied().unwrap_or(written),
    }
}

/// True for `telemetry_core::json::…` and `<T as tracing_core::Subscriber>::…`.
fn is_telemetry(function: &str) -> bool {
    let own = function.trim_start_matches(['<', '&']);
    let implemented = own.split_once(" as ").map(|(_, name)| name);
    let is_ours = |name: &str| TELEMETRY.iter().any(|crate_| name.starts_with(crate_));
    is_ours(own) || implemented.is_some_and(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
fn=(1) sync_daemon::run
12 100
cfn=(2) <L as tracing_core::subscriber::Subscriber>::event
calls=3 40
12 700
cfn=(4) sync_daemon::copy
calls=1 50
12 5000

fn=(2)
40 200
cfn=(3) telemetry_core::queue::Queue::push
calls=3 60
40 500

fn=(4)
50 4960
cfn=(2)
calls=1 40
50 40
";

    #[test]
    fn calls_from_outside_count_with_all_that_they_call() {
        assert_eq!(of_telemetry(PROFILE), 740.0);
    }

    #[test]
    fn names_of_functions_tell_whose_they_are() {
        assert!(is_telemetry(
            "<telemetry_file::FileSink as telemetry_core::Sink>::write"
        ));
        assert!(is_telemetry("metrics::handles::Counter::increment"));
        assert!(!is_telemetry("sync_daemon::mirror::mirror"));
        assert!(!is_telemetry(
            "<alloc::vec::Vec<T> as core::ops::Drop>::drop"
        ));
    }
}
