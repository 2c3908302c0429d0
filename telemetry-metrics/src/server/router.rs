//! Which page a request is for.

use hyper::Method;

/// The methods of every page, for the `Allow` header.
pub(crate) const ALLOWED_METHODS: &str = "GET, HEAD";

/// A page of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/metrics`
    Metrics,
    /// `/`
    Landing,
    /// `/page.json`: what the page `/` shows.
    LandingData,
    /// `/healthz`
    Alive,
    /// `/readyz`
    Ready,
}

/// Where a request leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    To(Page),
    NoSuchPage,
    WrongMethod,
}

impl Page {
    /// Metrics and the page are limited and, with authentication, guarded; the
    /// two for supervisors are open to all and must never be refused for being
    /// asked often.
    pub(crate) fn is_guarded(self) -> bool {
        matches!(self, Self::Metrics | Self::Landing | Self::LandingData)
    }

    /// `/healthz` tells nothing, so it needs no protection from web pages; load
    /// balancers ask for it under names of their own.
    pub(crate) fn needs_known_host(self) -> bool {
        self != Self::Alive
    }
}

pub(crate) fn route(method: &Method, path: &str) -> Route {
    let page = match path {
        "/metrics" => Page::Metrics,
        "/" => Page::Landing,
        "/page.json" => Page::LandingData,
        "/healthz" => Page::Alive,
        "/readyz" => Page::Ready,
        _ => return Route::NoSuchPage,
    };
    if method == Method::GET || method == Method::HEAD {
        Route::To(page)
    } else {
        Route::WrongMethod
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_and_head_lead_to_pages() {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(route(&method, "/metrics"), Route::To(Page::Metrics));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(route(&method, "/metrics"), Route::WrongMethod);
        }
    }

    #[test]
    fn unknown_paths_lead_nowhere_with_any_method() {
        for path in [
            "/metrics/",
            "/Metrics",
            "//",
            "/metrics/../metrics",
            "*",
            "",
        ] {
            assert_eq!(route(&Method::GET, path), Route::NoSuchPage, "{path}");
            assert_eq!(route(&Method::POST, path), Route::NoSuchPage, "{path}");
        }
    }
}
