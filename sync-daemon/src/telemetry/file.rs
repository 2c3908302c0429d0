//! The log file: the configuration in the terms of `telemetry-file`.

use std::time::Duration;

use telemetry_core::{Filtered, Sink};
use telemetry_file::{FileConfig, FileError, FileSink, RotationConfig};

use crate::config;

/// Opens the log file behind its minimum level. A directory that cannot be
/// written at the moment is not an error: the sink counts what it loses and
/// tries again.
pub(super) fn open(settings: &config::Telemetry) -> Result<Box<dyn Sink>, FileError> {
    let sink = FileSink::open(file_config(settings))?;
    Ok(Box::new(Filtered::new(settings.file_min_level, sink)))
}

fn file_config(settings: &config::Telemetry) -> FileConfig {
    FileConfig {
        path: settings.log_file_path.clone(),
        format: match settings.json_logging {
            true => telemetry_file::Format::Json,
            false => telemetry_file::Format::Pretty,
        },
        rotation: rotation(&settings.log_rotation),
        sync: match settings.file_sync {
            config::FileSync::Never => telemetry_file::FileSync::Never,
            config::FileSync::Interval => telemetry_file::FileSync::Interval,
            config::FileSync::Error => telemetry_file::FileSync::Error,
            config::FileSync::Always => telemetry_file::FileSync::Always,
        },
        file_mode: settings.file_mode,
        dir_mode: settings.dir_mode,
    }
}

fn rotation(settings: &config::LogRotation) -> RotationConfig {
    const DAY: u64 = 86_400;
    let days = |age: Duration| u32::try_from(age.as_secs() / DAY).unwrap_or(u32::MAX);
    RotationConfig {
        enabled: settings.enabled,
        frequency: match settings.frequency {
            config::RotationFrequency::Daily => telemetry_file::Frequency::Daily,
            config::RotationFrequency::Hourly => telemetry_file::Frequency::Hourly,
        },
        max_size_bytes: settings.max_size_bytes.unwrap_or(0),
        keep_files: settings.keep_files,
        compression: match settings.compression {
            config::Compression::Xz => telemetry_file::Compression::Xz,
            config::Compression::None => telemetry_file::Compression::None,
        },
        compression_level: settings.compression_level,
        max_age_days: settings.max_age.map_or(0, days),
        max_total_bytes: settings.max_total_bytes.unwrap_or(0),
        min_free_bytes: settings.min_free_bytes,
        timezone: match settings.timezone {
            config::RotationTimezone::Utc => telemetry_file::Timezone::Utc,
            config::RotationTimezone::Local => telemetry_file::Timezone::Local,
        },
    }
}
