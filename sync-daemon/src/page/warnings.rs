//! The last warnings and errors of the log.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use telemetry_core::{Books, Record, Sink, SinkError, SinkStats};

/// Records that are kept.
const KEPT: usize = 50;

/// Longer records are kept without their fields: memory stays bounded whatever is logged.
const MAX_BYTES: usize = 8 * 1024;

/// A sink that keeps the last records it was given. Put a filter before it.
pub struct Warnings(Mutex<State>);

struct State {
    /// As lines of JSON, the oldest first. They are parsed when somebody looks: warnings may come by the thousand.
    lines: VecDeque<String>,
    books: Books,
}

impl Default for Warnings {
    fn default() -> Self {
        Self(Mutex::new(State {
            lines: VecDeque::new(),
            books: Books::new("page"),
        }))
    }
}

impl Warnings {
    /// The records, the newest first.
    pub fn recent(&self) -> Vec<Value> {
        let state = self.state();
        let lines = state.lines.iter().rev();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Warnings {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut state = self.state();
        state.books.accept(record)?;
        // The oldest line's memory is used again.
        let mut line = if state.lines.len() < KEPT {
            String::new()
        } else {
            state.lines.pop_front().unwrap_or_default()
        };
        line.clear();
        line.push_str(&shortened(record));
        state.lines.push_back(line);
        Ok(())
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        self.state().books.close();
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(self.state().books.stats());
    }
}

fn shortened<'a>(record: &Record<'a>) -> Cow<'a, str> {
    let whole = record.json();
    if whole.len() <= MAX_BYTES {
        return Cow::Borrowed(whole);
    }
    let message: String = record.message().chars().take(MAX_BYTES / 4).collect();
    let time = jiff::Timestamp::try_from(record.timestamp()).unwrap_or_default();
    let short = json!({
        "timestamp": time.to_string(),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": message,
    });
    Cow::Owned(short.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use telemetry_core::{Capture, Filtered, Identity, Numbered};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn logging(emit: impl FnOnce()) -> Arc<Warnings> {
        let warnings = Arc::new(Warnings::default());
        let sink = Numbered::new(Filtered::new(LevelFilter::WARN, Arc::clone(&warnings)));
        let capture = Capture::new(Identity::new(uuid::Uuid::nil()), sink);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), emit);
        warnings
    }

    #[test]
    fn last_warnings_are_kept_newest_first() {
        let warnings = logging(|| {
            for number in 0..70 {
                tracing::warn!(number, "warned");
                tracing::info!("not meant");
            }
            tracing::error!(error_type = "read", "failed");
        });
        let recent = warnings.recent();
        assert_eq!(recent.len(), KEPT);
        assert_eq!(recent[0]["message"], "failed");
        assert_eq!(recent[0]["fields"]["error_type"], "read");
        assert_eq!(recent[1]["fields"]["number"], 69);
        assert_eq!(recent[49]["fields"]["number"], 21);
    }

    #[test]
    fn accounts_balance() {
        let warnings = logging(|| tracing::warn!("one"));
        let mut stats = Vec::new();
        warnings.stats(&mut stats);
        assert_eq!((stats[0].accepted, stats[0].delivered), (1, 1));
    }

    #[test]
    fn huge_record_is_kept_without_its_fields() {
        let warnings = logging(|| tracing::warn!(huge = "x".repeat(20_000), "too much"));
        let recent = warnings.recent();
        assert_eq!(recent[0]["message"], "too much");
        assert_eq!(recent[0]["level"], "WARN");
        assert!(recent[0]["fields"].is_null());
    }
}
