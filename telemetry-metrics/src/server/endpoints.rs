//! What a server shows.

use std::sync::Arc;

use serde_json::Value;

use crate::server::page::Page;

/// What a server shows: the metrics, and how the program is.
///
/// The functions are called from several threads, and at the same time.
#[derive(Clone)]
pub struct Endpoints {
    pub(crate) render: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    pub(crate) page: Page,
}

impl Endpoints {
    /// Metrics from `render`, which may take its time (it runs on a thread for
    /// that): `move || handle.render()`. A program that says nothing else is
    /// always ready, and its page `/` lists what there is to see.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            render: Arc::new(render),
            readiness: Arc::new(Readiness::default),
            page: Page::listing("Metrics"),
        }
    }

    /// What `/readyz` says. Called on the thread of the server: it must not
    /// wait.
    #[must_use]
    pub fn readiness(mut self, is: impl Fn() -> Readiness + Send + Sync + 'static) -> Self {
        self.readiness = Arc::new(is);
        self
    }

    /// The name of the program, on the page that lists what there is to see.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.page = Page::listing(title);
        self
    }

    /// A page of the program's own on `/`, instead of the list, and what it
    /// shows: its script gets `data` as JSON from `page.json`. Both are under
    /// authentication and limits, as the metrics are.
    ///
    /// Browsers run no script but those in `<script>` tags (without attributes)
    /// of `html`, and load nothing from elsewhere. `data` may take its time, as
    /// `render` may.
    #[must_use]
    pub fn page(mut self, html: &str, data: impl Fn() -> Value + Send + Sync + 'static) -> Self {
        self.page = Page::of(html, Arc::new(data));
        self
    }
}

/// Whether a program can do its work: the answer of `/readyz`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why it cannot. None: it is ready, and the status is 200, else 503.
    pub reasons: Vec<String>,
    /// What somebody should know, although it is ready.
    pub notes: Vec<String>,
}

impl Readiness {
    /// True without reasons against it.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({
            "ready": self.is_ready(),
            "reasons": self.reasons,
            "notes": self.notes,
        })
    }
}
