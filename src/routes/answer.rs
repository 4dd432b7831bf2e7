//! What a route answers with.

use std::io::Cursor;

use rocket::Request;
use rocket::http::{Header, Status};
use rocket::response::{self, Responder, Response};
use serde_json::{Value, json};

use crate::guards::context_of;

const HTML: &str = "text/html; charset=utf-8";
/// As NextAuth labels it.
const JSON: &str = "application/json; charset=utf-8";
const PROBLEM: &str = "application/problem+json; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer: a status, headers, a body.
#[derive(Debug)]
pub(crate) struct Answer {
    status: Status,
    headers: Vec<Header<'static>>,
    /// As it is sent: nothing is put together for each answer.
    content_type: Option<&'static str>,
    body: Body,
}

/// What stands in an answer.
#[derive(Debug)]
enum Body {
    /// A text.
    Text(String),
    /// A problem document; the request's name is added when it is sent.
    Problem(Value),
}

impl Answer {
    fn new(status: Status, content_type: Option<&'static str>, body: String) -> Self {
        Self { status, headers: Vec::new(), content_type, body: Body::Text(body) }
    }

    /// A page.
    pub(crate) fn html(status: Status, body: String) -> Self {
        Self::new(status, Some(HTML), body)
    }

    /// JSON, as NextAuth labels it.
    pub(crate) fn json(status: Status, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    /// JSON that is written already.
    pub(crate) fn json_text(status: Status, body: String) -> Self {
        Self::new(status, Some(JSON), body)
    }

    /// A style or script.
    pub(crate) fn asset(content_type: &'static str, body: &str) -> Self {
        Self::new(Status::Ok, Some(content_type), body.to_owned())
    }

    /// Plain text.
    pub(crate) fn text(status: Status, body: impl Into<String>) -> Self {
        Self::new(status, Some(PLAIN), body.into())
    }

    /// Nothing but the status.
    pub(crate) fn empty(status: Status) -> Self {
        Self::new(status, None, String::new())
    }

    /// 302 to an absolute URL.
    pub(crate) fn redirect(url: String) -> Self {
        Self::empty(Status::Found).with("Location", url)
    }

    /// 303 to an absolute URL: after a form, and from a guarded page to the sign-in page.
    pub(crate) fn see_other(url: String) -> Self {
        Self::empty(Status::SeeOther).with("Location", url)
    }

    /// A redirect as NextAuth's scripts want it: JSON with the absolute URL (protocol section 5).
    pub(crate) fn script_redirect(status: Status, url: &str) -> Self {
        Self::json(status, &json!({ "url": url }))
    }

    /// A problem document (RFC 9457) with a stable code.
    pub(crate) fn problem(status: Status, code: &str, detail: Option<&str>) -> Self {
        let mut body = json!({
            "type": format!("urn:countersign:problem:{code}"),
            "title": status.reason().unwrap_or("Error"),
            "status": status.code,
            "code": code,
        });
        if let (Some(detail), Some(body)) = (detail, body.as_object_mut()) {
            body.insert("detail".to_owned(), detail.into());
        }
        Self::problem_with(status, body)
    }

    /// A problem document with further members.
    pub(crate) fn problem_with(status: Status, body: Value) -> Self {
        let empty = Self::new(status, Some(PROBLEM), String::new());
        Self { body: Body::Problem(body), ..empty }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(Header::new(name, value.into()));
        self
    }

    /// Adds `Retry-After`, in seconds.
    pub(crate) fn retry_after(self, seconds: i64) -> Self {
        self.with("Retry-After", seconds.to_string())
    }
}

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let body = match self.body {
            Body::Text(text) => text,
            Body::Problem(mut problem) => {
                if let Some(members) = problem.as_object_mut() {
                    members.insert("request_id".to_owned(), context_of(request).id.as_str().into());
                }
                problem.to_string()
            }
        };
        let mut response = Response::build();
        response.status(self.status);
        for header in self.headers {
            response.header(header);
        }
        if let Some(kind) = self.content_type {
            response.header(Header::new("Content-Type", kind));
        }
        response.sized_body(body.len(), Cursor::new(body));
        response.ok()
    }
}
