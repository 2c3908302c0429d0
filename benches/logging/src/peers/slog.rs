//! slog with slog-json behind slog-async.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Mutex;

use slog::Drain as _;
use slog_async::{AsyncGuard, OverflowStrategy};

use crate::contestant::{CAPACITY, Contestant};
use crate::work::Job;

pub struct Slog {
    root: slog::Logger,
    guard: AsyncGuard,
}

/// Its macros list the fields behind the message.
macro_rules! event {
    ($emit:path, $logger:expr, $job:expr) => {
        $emit!($logger, "Backup job completed";
            "job_name" => $job.job_name,
            "duration_ms" => $job.duration_ms,
            "files_processed" => $job.files_processed,
            "bytes_transferred" => $job.bytes_transferred,
            "success_rate" => $job.success_rate)
    };
}

impl Contestant for Slog {
    type Span = slog::Logger;

    fn open(directory: &Path) -> Self {
        let file = File::create(directory.join("log.json")).expect("a log file");
        let json = slog_json::Json::new(BufWriter::new(file))
            .add_default_keys()
            .set_flush(false)
            .build();
        let (drain, guard) = slog_async::Async::new(Mutex::new(json).fuse())
            .chan_size(CAPACITY)
            .overflow_strategy(OverflowStrategy::Block)
            .build_with_guard();
        let filtered = slog::LevelFilter::new(drain, slog::Level::Info).fuse();
        Self {
            root: slog::Logger::root(filtered, slog::o!()),
            guard,
        }
    }

    fn enter(&self, run_id: u64) -> slog::Logger {
        self.root.new(slog::o!("run_id" => run_id))
    }

    fn event(&self, logger: &slog::Logger, job: &Job) {
        event!(slog::info, logger, job);
    }

    fn disabled(&self, logger: &slog::Logger, job: &Job) {
        event!(slog::debug, logger, job);
    }

    fn close(self) {
        drop(self.guard);
        drop(self.root);
    }
}
