//! The JSON formatter of tracing-subscriber, and tracing-appender's thread.

use std::path::Path;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;

use crate::contestant::{CAPACITY, Contestant, through_tracing};

pub struct TracingAppender(WorkerGuard);

impl Contestant for TracingAppender {
    through_tracing!();

    fn open(directory: &Path) -> Self {
        let file = tracing_appender::rolling::daily(directory, "log.json");
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(CAPACITY)
            .lossy(false)
            .finish(file);
        tracing_subscriber::fmt()
            .json()
            .with_current_span(false)
            .with_file(true)
            .with_line_number(true)
            .with_writer(writer)
            .with_max_level(LevelFilter::INFO)
            .init();
        Self(guard)
    }

    fn close(self) {
        drop(self.0);
    }
}
