//! The page `/`.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Makes what a page shows.
pub(crate) type Data = Arc<dyn Fn() -> Value + Send + Sync>;

/// A page, and what a browser may do with it.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) html: Arc<str>,
    /// The `Content-Security-Policy`.
    pub(crate) policy: Arc<str>,
    /// What `/page.json` answers.
    pub(crate) data: Option<Data>,
}

impl Page {
    /// A list of what there is to see.
    pub(crate) fn listing(title: &str) -> Self {
        let title = escaped(title);
        let html = format!(
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
        );
        Self {
            policy: policy(&html).into(),
            html: html.into(),
            data: None,
        }
    }

    /// A program's own page.
    pub(crate) fn of(html: &str, data: Data) -> Self {
        Self {
            policy: policy(html).into(),
            html: html.into(),
            data: Some(data),
        }
    }
}

/// Nothing may be loaded from anywhere but data from here; of scripts only those
/// run that stand in the page, whatever text gets into it.
fn policy(html: &str) -> String {
    let mut policy = "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        .to_owned();
    for (place, script) in scripts(html).enumerate() {
        let separator = if place == 0 { "; script-src" } else { "" };
        let hash = STANDARD.encode(Sha256::digest(script));
        // Writing to a string cannot fail.
        let _ = write!(policy, "{separator} 'sha256-{hash}'");
    }
    policy
}

/// The texts between `<script>` and `</script>`.
fn scripts(html: &str) -> impl Iterator<Item = &str> {
    let after_tags = html.split("<script>").skip(1);
    after_tags.filter_map(|rest| Some(rest.split_once("</script>")?.0))
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
        let page = Page::listing("<script>\"&'").html;
        assert!(page.contains("<title>&#60;script&#62;&#34;&#38;&#39;</title>"));
        assert!(!page.contains("<script>"));
    }

    #[test]
    fn only_the_scripts_of_the_page_may_run() {
        let page = Page::of("<p>a</p><script>1;</script>", Arc::new(|| Value::Null));
        // printf '1;' | openssl dgst -sha256 -binary | base64
        let hash = "CImjRDTlhukYQ2AnxOi0wzgPhGQ3Mb3rVwJK24dFz1M=";
        let scripts = format!("; script-src 'sha256-{hash}'");
        assert!(page.policy.ends_with(&scripts), "{}", page.policy);
        assert!(!Page::listing("a").policy.contains("script-src"));
    }
}
