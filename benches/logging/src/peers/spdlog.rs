//! spdlog-rs with its pool of threads and its JSON formatter.

use std::path::Path;
use std::sync::Arc;

use spdlog::formatter::JsonFormatter;
use spdlog::sink::{AsyncPoolSink, OverflowPolicy, RotatingFileSink, RotationPolicy};
use spdlog::{Level, LevelFilter, Logger, ThreadPool};

use crate::contestant::{CAPACITY, Contestant};
use crate::work::Job;

pub struct Spdlog {
    logger: Logger,
    pool: Arc<ThreadPool>,
}

/// Its macros list the fields behind the message.
macro_rules! event {
    ($emit:path, $logger:expr, $run_id:expr, $job:expr) => {
        $emit!(logger: $logger, "Backup job completed", kv: {
            run_id = *$run_id,
            job_name = $job.job_name,
            duration_ms = $job.duration_ms,
            files_processed = $job.files_processed,
            bytes_transferred = $job.bytes_transferred,
            success_rate = $job.success_rate
        })
    };
}

impl Contestant for Spdlog {
    type Span = u64;

    fn open(directory: &Path) -> Self {
        let capacity = CAPACITY.try_into().expect("more than 0");
        let pool = ThreadPool::builder()
            .capacity(capacity)
            .build_arc()
            .expect("a pool");
        let file = RotatingFileSink::builder()
            .base_path(directory.join("log.json"))
            .rotation_policy(RotationPolicy::Daily { hour: 0, minute: 0 })
            .formatter(JsonFormatter::new())
            .build_arc()
            .expect("a log file");
        let sink = AsyncPoolSink::builder()
            .thread_pool(Arc::clone(&pool))
            .overflow_policy(OverflowPolicy::Block)
            .sink(file)
            .build_arc()
            .expect("a sink");
        let logger = Logger::builder()
            .sink(sink)
            .level_filter(LevelFilter::MoreSevereEqual(Level::Info))
            .build()
            .expect("a logger");
        Self { logger, pool }
    }

    fn enter(&self, run_id: u64) -> u64 {
        run_id
    }

    fn event(&self, run_id: &u64, job: &Job) {
        event!(spdlog::info, self.logger, run_id, job);
    }

    fn disabled(&self, run_id: &u64, job: &Job) {
        event!(spdlog::debug, self.logger, run_id, job);
    }

    fn close(self) {
        drop(self.logger);
        // Joins the threads; the sink of the file flushes when it is dropped.
        drop(Arc::into_inner(self.pool));
    }
}
