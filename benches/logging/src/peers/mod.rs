//! The peers, each set up as its documentation advises, to lose nothing.

mod logforth;
mod slog;
mod spdlog;
mod tracing_appender;

pub use logforth::Logforth;
pub use slog::Slog;
pub use spdlog::Spdlog;
pub use tracing_appender::TracingAppender;
