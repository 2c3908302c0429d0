//! The page `/` of the metrics endpoint: what the daemon does, for people.
//!
//! The page is one file without anything from elsewhere ([`HTML`]); its script asks for the view every few seconds. Beside
//! the status and the metrics it shows what neither has: the last hour by the minute (history), and the last warnings
//! ([`Warnings`]).

mod history;
mod view;
mod warnings;

use std::sync::Arc;

use serde_json::Value;
use telemetry_metrics::{CollectError, Collector, Handle};

use crate::control::StatusReport;
use crate::telemetry::Clean;
use history::History;
pub use warnings::Warnings;

/// The page itself.
pub const HTML: &str = include_str!("page.html");

/// What the page remembers. Cheap to clone.
#[derive(Clone)]
pub struct Page {
    recorder: Handle,
    history: Arc<History>,
    warnings: Arc<Warnings>,
    clean: Clean,
}

impl Page {
    /// Remembers from now on, whether somebody looks or not: the history is taken down each time that figures are collected.
    pub fn start(recorder: Handle, clean: Clean) -> Self {
        let history = Arc::new(History::new());
        recorder.collect_at_intervals(Sampler(Arc::clone(&history)));
        Self {
            recorder,
            history,
            warnings: Arc::default(),
            clean,
        }
    }

    /// The sink that remembers warnings. It belongs behind the sanitizer.
    pub fn warnings(&self) -> Arc<Warnings> {
        Arc::clone(&self.warnings)
    }

    /// What the page shows at this moment. Renders all metrics: not for an async thread.
    pub fn data(&self, status: &StatusReport) -> Value {
        let metrics = self.recorder.render();
        self.history.sample(&metrics);
        let source = view::Source {
            status,
            metrics: &metrics,
            hour: &self.history.hour(),
            warnings: &self.warnings.recent(),
        };
        view::view(&source, &*self.clean)
    }
}

/// Takes down the history at the interval of the collectors.
struct Sampler(Arc<History>);

impl Collector for Sampler {
    fn name(&self) -> &'static str {
        "page"
    }

    fn collect(&mut self, recorder: &Handle) -> Result<(), CollectError> {
        self.0.sample(&recorder.render_uncollected());
        Ok(())
    }
}
