//! What this build is.

use std::sync::LazyLock;

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Revision of the sources, or `unknown`.
pub const REVISION: &str = env!("SYNC_DAEMON_REVISION");

/// The features of this build, in alphabetical order.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("file", cfg!(feature = "file")),
        ("metrics", cfg!(feature = "metrics")),
        ("pocketbase", cfg!(feature = "pocketbase")),
        ("sanitize", cfg!(feature = "sanitize")),
        ("tls", cfg!(feature = "tls")),
    ];
    let compiled = all.into_iter().filter(|(_, compiled)| *compiled);
    compiled.map(|(name, _)| name).collect()
}

/// What `--version` says: version, revision and features.
pub fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let features = match features().join(", ") {
            none if none.is_empty() => "none".to_owned(),
            some => some,
        };
        format!("{VERSION} ({REVISION}; features: {features})")
    });
    &LONG
}

/// `sync_daemon_build_info`: always 1, the labels tell.
#[cfg(feature = "metrics")]
pub fn build_info() -> telemetry_metrics::Preset {
    use telemetry_metrics::{Family, Kind, Preset};
    const BUILD_INFO: Family = Family {
        name: "sync_daemon_build_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels tell which build runs.",
        labels: &["version", "revision", "features"],
    };
    Preset::of(BUILD_INFO)
        .each("version", [VERSION])
        .each("revision", [REVISION])
        .each("features", [features().join(",")])
}

/// Sets the build metric; the recorder must have been installed before.
#[cfg(feature = "metrics")]
pub fn count_build() {
    metrics::gauge!(
        "sync_daemon_build_info",
        "version" => VERSION,
        "revision" => REVISION,
        "features" => features().join(",")
    )
    .set(1.0);
}
