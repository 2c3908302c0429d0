//! The work that every contestant is given.

/// The fields of one event.
pub struct Job {
    pub job_name: &'static str,
    pub duration_ms: u64,
    pub files_processed: u64,
    pub bytes_transferred: u64,
    pub success_rate: f64,
}

const NAMES: [&str; 8] = [
    "documents-nightly",
    "photos-weekly",
    "mail-archive",
    "projects-hourly",
    "database-dump-primary",
    "home-directories",
    "vm-images",
    "configuration",
];

/// 1024 jobs with varied values, the same in every run.
pub fn jobs() -> Vec<Job> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    (0..1024)
        .map(|_| Job {
            job_name: NAMES[below(8) as usize],
            duration_ms: below(600_000),
            files_processed: below(50_000),
            bytes_transferred: below(1 << 31) * 11,
            success_rate: below(10_001) as f64 / 10_000.0,
        })
        .collect()
}
