//! A configured mirror, ready to run.

use std::path::PathBuf;

use serde::Serialize;

use super::job_metrics::JobMetrics;
use crate::config;
use crate::mirror;

/// A source, a destination, and how to get from one to the other.
#[derive(Debug)]
pub struct Job {
    /// Its name on the command line and in metric labels.
    pub id: String,
    /// Its name in the log.
    pub name: String,
    /// The directory to read.
    pub source: PathBuf,
    /// The directory that becomes its mirror.
    pub destination: PathBuf,
    /// Options of the mirror engine.
    pub options: mirror::Options,
    /// Handles on its metrics.
    pub metrics: JobMetrics,
}

impl Job {
    /// Takes over a checked job of the configuration.
    ///
    /// Registers its metrics: the recorder must have been installed before.
    pub fn new(config: &config::SyncJob, concurrency: &config::Concurrency) -> Self {
        Self {
            id: config.id.clone(),
            name: config.name.clone(),
            source: config.source_path.clone(),
            destination: config.destination_path.clone(),
            options: mirror_options(config, concurrency),
            metrics: JobMetrics::register(&config.id),
        }
    }
}

fn mirror_options(config: &config::SyncJob, concurrency: &config::Concurrency) -> mirror::Options {
    let options = &config.sync_options;
    mirror::Options {
        delete: options.delete_destination_files,
        max_delete: options.max_delete as u64,
        // The configuration allows 0 to 100.
        max_delete_percent: u8::try_from(options.max_delete_percent).unwrap_or(100),
        allow_empty_source: options.allow_empty_source,
        delete_excluded: options.delete_excluded,
        comparison: match options.comparison_method {
            config::ComparisonMethod::SizeMtime => mirror::Comparison::SizeMtime,
            config::ComparisonMethod::Checksum => mirror::Comparison::Checksum,
        },
        ignore_hidden: options.ignore_hidden_files,
        continue_on_error: options.continue_on_error,
        durability: match options.durability {
            config::Durability::None => mirror::Durability::None,
            config::Durability::File => mirror::Durability::File,
            config::Durability::Batch => mirror::Durability::Batch,
        },
        dry_run: options.dry_run,
        preserve_permissions: options.preserve_permissions,
        preserve_timestamps: options.preserve_timestamps,
        filter: mirror::Filter::parse(&config.filters)
            .expect("the configuration has checked the filters"),
        file_operations: concurrency.max_file_operations,
    }
}

/// What started a run: the label `trigger_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The job's own schedule.
    Schedule,
    /// A file watcher.
    Watcher,
    /// A person or a script.
    Manual,
    /// The start of the daemon.
    Startup,
}

impl Trigger {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Schedule, Self::Watcher, Self::Manual, Self::Startup];

    /// The name in logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Watcher => "watcher",
            Self::Manual => "manual",
            Self::Startup => "startup",
        }
    }
}
