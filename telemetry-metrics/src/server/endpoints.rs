//! What the pages show.

use std::fmt::Write as _;
use std::sync::Arc;

/// What a server shows: the metrics, and how the program is.
///
/// The functions are called from several threads, and at the same time.
#[derive(Clone)]
pub struct Endpoints {
    pub(crate) render: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    title: String,
}

impl Endpoints {
    /// Metrics from `render`, which may take its time (it runs on a thread for
    /// that): `move || handle.render()`. A program that says nothing else is
    /// always ready.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            render: Arc::new(render),
            readiness: Arc::new(Readiness::default),
            title: "Metrics".to_owned(),
        }
    }

    /// What `/readyz` says. Called on the thread of the server: it must not
    /// wait.
    #[must_use]
    pub fn readiness(mut self, is: impl Fn() -> Readiness + Send + Sync + 'static) -> Self {
        self.readiness = Arc::new(is);
        self
    }

    /// The name of the program on the page `/`.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The page `/`.
    pub(crate) fn landing(&self) -> String {
        let title = escaped(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n\
             <style>:root {{ color-scheme: light dark; font: 16px/1.5 system-ui; }}\
             body {{ max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }}</style>\n\
             <h1>{title}</h1>\n<ul>\n\
             <li><a href=\"/metrics\">/metrics</a>: all metrics, for Prometheus\n\
             <li><a href=\"/healthz\">/healthz</a>: answers while the process is alive\n\
             <li><a href=\"/readyz\">/readyz</a>: whether it can work, and if not, why\n\
             </ul>\n</html>\n"
        )
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

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "ready": self.is_ready(),
            "reasons": self.reasons,
            "notes": self.notes,
        })
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_cannot_bring_markup_into_the_page() {
        let page = Endpoints::new(String::new).title("<script>\"&'").landing();
        assert!(page.contains("<title>&#60;script&#62;&#34;&#38;&#39;</title>"));
        assert!(!page.contains("<script>"));
    }
}
