//! What every answer of a guarded or library route carries.
//!
//! - Answers that depend on who asked are not stored by any cache and vary by cookie (ASVS 5.0, 14.3.2).
//! - Cookies decided on during the request are set, unless the answer is a failure of ours (5xx): while the truth is
//!   unknown, no cookie is touched.
//! - Every answer names its request in `X-Request-Id`.
//! - The library's own pages carry a strict Content-Security-Policy and its companions; an application can have them
//!   on everything with [`SecurityHeaders`].

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Header;
use rocket::http::uri::Origin;
use rocket::{Request, Response};

use crate::guards::{Auth, Noted, context_of};

/// No inline script or style, nothing from elsewhere but pictures, no framing, forms only to this site.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: https:; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; \
     frame-ancestors 'none'";

/// One year, for subdomains too (ASVS 5.0, 3.4.1).
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000; includeSubDomains";

/// Puts the library's security headers on every answer of the application, and not only on the library's own.
///
/// ```no_run
/// use countersign::{Countersign, SecurityHeaders};
///
/// let rocket = rocket::build().attach(Countersign::fairing()).attach(SecurityHeaders);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SecurityHeaders;

#[rocket::async_trait]
impl Fairing for SecurityHeaders {
    fn info(&self) -> Info {
        Info { name: "Countersign security headers", kind: Kind::Response | Kind::Singleton }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let secure = request.rocket().state::<Auth>().is_some_and(|auth| auth.config.url.secure);
        add_security_headers(response, secure);
    }
}

/// The last step of every request.
pub(crate) fn finish(request: &Request<'_>, response: &mut Response<'_>) {
    let Some(auth) = request.rocket().state::<Auth>() else {
        return;
    };
    response.set_header(Header::new("X-Request-Id", context_of(request).id.as_str().to_owned()));
    #[cfg(feature = "server")]
    auth.route_audit.note(request);
    let noted = Noted::of(request);
    let cookies = noted.outbox.take();
    let sets_cookies = !cookies.is_empty() && response.status().code < 500;
    if sets_cookies {
        for cookie in &cookies {
            response.adjoin_header(Header::new("Set-Cookie", cookie.header().to_owned()));
        }
    }
    let own = is_below(request.uri(), &auth.config.url.base_path);
    let is_asset =
        own && response.headers().get_one("Cache-Control").is_some_and(|v| v.starts_with("public"));
    #[cfg(feature = "server")]
    watch(request, response.status(), own, is_asset);
    if noted.has_asked() || sets_cookies || (own && !is_asset) {
        response.set_header(Header::new("Cache-Control", "private, no-store"));
        response.adjoin_header(Header::new("Vary", "Cookie"));
    }
    if own {
        add_security_headers(response, auth.config.url.secure);
        response.set_header(Header::new("Cross-Origin-Resource-Policy", "same-origin"));
    }
}

/// Counts the answer, and records it when it is a refusal.
#[cfg(feature = "server")]
fn watch(request: &Request<'_>, status: rocket::http::Status, own: bool, is_asset: bool) {
    let class = match (own, is_asset) {
        (true, true) => "asset",
        (true, false) => "auth",
        _ => "application",
    };
    crate::metrics::request(class, status.code);
    crate::guards::trail::answered(request, status);
}

/// Segment by segment, as Rocket routes: `//api//auth/csrf` is `/api/auth/csrf`.
fn is_below(uri: &Origin<'_>, base: &str) -> bool {
    let mut segments = uri.path().raw_segments().filter(|segment| !segment.is_empty());
    let mut own = base.split('/').filter(|segment| !segment.is_empty());
    own.all(|segment| segments.next().is_some_and(|found| found == segment))
}

/// A header that the application set itself is left as it is.
fn add_security_headers(response: &mut Response<'_>, secure: bool) {
    let is_html = response.content_type().is_some_and(|kind| kind.is_html());
    let policy = if is_html { CONTENT_SECURITY_POLICY } else { "default-src 'none'; frame-ancestors 'none'" };
    let mut set = |name: &'static str, value: &'static str| {
        if !response.headers().contains(name) {
            response.set_header(Header::new(name, value));
        }
    };
    set("Content-Security-Policy", policy);
    // With `no-referrer`, browsers post a page's own form with `Origin: null`. `same-origin` tells other sites as little.
    set("Referrer-Policy", if is_html { "same-origin" } else { "no-referrer" });
    set("Cross-Origin-Opener-Policy", "same-origin");
    set("X-Content-Type-Options", "nosniff");
    if secure {
        set("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY);
    }
    // Rocket's shield says SAMEORIGIN; frame-ancestors says none, and old browsers should hear the same.
    response.set_header(Header::new("X-Frame-Options", "DENY"));
}
