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
        let given = Given::of(response);
        add_security_headers(response, &given, secure);
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
    let own = is_below(request.uri(), &auth.config.url.base_path).then(|| Given::of(response));
    let is_asset = own.as_ref().is_some_and(|given| given.is_public);
    #[cfg(feature = "server")]
    watch(request, response.status(), own.is_some(), is_asset);
    if noted.has_asked() || sets_cookies || (own.is_some() && !is_asset) {
        response.set_header(Header::new("Cache-Control", "private, no-store"));
        response.adjoin_header(Header::new("Vary", "Cookie"));
    }
    if let Some(given) = own {
        add_security_headers(response, &given, auth.config.url.secure);
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

/// Headers that an application may set itself.
const SECURITY_HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "X-Content-Type-Options",
    "Strict-Transport-Security",
];

/// What stands in an answer already. Its headers are gone through once: to look one up, Rocket hashes its name letter by
/// letter.
#[derive(Default)]
struct Given {
    is_html: bool,
    /// Whether everybody's caches may store it.
    is_public: bool,
    /// Which of [`SECURITY_HEADERS`].
    security: [bool; SECURITY_HEADERS.len()],
}

impl Given {
    fn of(response: &Response<'_>) -> Self {
        let mut given = Self::default();
        for header in response.headers().iter() {
            let name = header.name();
            if name == "Content-Type" {
                given.is_html = is_html(header.value());
            } else if name == "Cache-Control" {
                given.is_public = header.value().starts_with("public");
            } else {
                let known = SECURITY_HEADERS.iter().zip(&mut given.security);
                known.filter(|(known, _)| name == *known).for_each(|(_, is_given)| *is_given = true);
            }
        }
        given
    }
}

fn is_html(content_type: &str) -> bool {
    const HTML: &str = "text/html";
    let rest = content_type.as_bytes().get(HTML.len()..).unwrap_or_default();
    content_type.get(..HTML.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(HTML))
        && rest.first().is_none_or(|next| matches!(next, b';' | b' ' | b'\t'))
}

/// A header that the application set itself is left as it is.
fn add_security_headers(response: &mut Response<'_>, given: &Given, secure: bool) {
    // With `no-referrer`, browsers post a page's own form with `Origin: null`. `same-origin` tells other sites as little.
    let (policy, referrer) = if given.is_html {
        (CONTENT_SECURITY_POLICY, "same-origin")
    } else {
        ("default-src 'none'; frame-ancestors 'none'", "no-referrer")
    };
    // What opened a window matters to pages (ASVS 5.0, 3.4.8), and browsers look at each step on the way to one.
    let leads_to_a_page = given.is_html || response.status().class().is_redirection();
    let opener = leads_to_a_page.then_some("same-origin");
    let transport = secure.then_some(STRICT_TRANSPORT_SECURITY);
    let values = [Some(policy), Some(referrer), opener, Some("nosniff"), transport];
    for ((name, value), is_given) in SECURITY_HEADERS.into_iter().zip(values).zip(given.security) {
        if let (Some(value), false) = (value, is_given) {
            response.set_header(Header::new(name, value));
        }
    }
    // Rocket's shield says SAMEORIGIN; frame-ancestors says none, and old browsers should hear the same.
    response.set_header(Header::new("X-Frame-Options", "DENY"));
}

#[cfg(test)]
mod tests {
    use super::is_html;

    #[test]
    fn a_page_is_told_by_its_type() {
        for page in ["text/html", "text/html; charset=utf-8", "Text/HTML;charset=x", "text/html "] {
            assert!(is_html(page), "{page:?}");
        }
        for other in ["", "text/plain", "text/htmlx", "text/html-x", "application/xhtml+xml", "é"] {
            assert!(!is_html(other), "{other:?}");
        }
    }
}
