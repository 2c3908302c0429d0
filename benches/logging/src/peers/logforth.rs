//! logforth behind the `log` crate, with its thread and its JSON layout.

use std::path::Path;

use logforth::append::asynchronous::AsyncBuilder;
use logforth::append::file::FileBuilder;
use logforth::layout::JsonLayout;

use crate::contestant::{CAPACITY, Contestant};
use crate::work::Job;

pub struct Logforth;

/// `log` lists the fields before the message.
macro_rules! event {
    ($emit:path, $run_id:expr, $job:expr) => {
        $emit!(
            run_id = *$run_id,
            job_name = $job.job_name,
            duration_ms = $job.duration_ms,
            files_processed = $job.files_processed,
            bytes_transferred = $job.bytes_transferred,
            success_rate = $job.success_rate;
            "Backup job completed"
        )
    };
}

impl Contestant for Logforth {
    type Span = u64;

    fn open(directory: &Path) -> Self {
        let file = FileBuilder::new(directory, "log")
            .filename_suffix("json")
            .rollover_daily()
            .layout(JsonLayout::default())
            .build()
            .expect("a log file");
        let background = AsyncBuilder::new("logforth")
            .buffered_lines_limit(Some(CAPACITY))
            .append(file)
            .build();
        logforth::starter_log::builder()
            .dispatch(|dispatch| dispatch.append(background))
            .apply();
        log::set_max_level(log::LevelFilter::Info);
        Self
    }

    fn enter(&self, run_id: u64) -> u64 {
        run_id
    }

    fn event(&self, run_id: &u64, job: &Job) {
        event!(log::info, run_id, job);
    }

    fn disabled(&self, run_id: &u64, job: &Job) {
        event!(log::debug, run_id, job);
    }

    fn close(self) {
        log::logger().flush();
    }
}
