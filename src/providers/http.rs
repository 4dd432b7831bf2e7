//! The one client that asks other sites.
//!
//! Bounded in every direction: a deadline for the whole of a sign-in, a limit on bodies, no redirects (a redirect is how a
//! token endpoint is turned into a proxy to the inside), certificates verified. Whatever a site answers, the person gets an
//! answer of ours in time.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::ProviderError;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(8);
/// The largest body that is read. A discovery document with its keys is a few kilobytes.
const MAX_BODY: usize = 512 * 1024;

/// Asks other sites.
#[derive(Debug, Clone)]
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new() -> Result<Self, ProviderError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT / 2)
            .pool_max_idle_per_host(4)
            .build();
        client.map(Self).map_err(|error| ProviderError::Unreachable(reason(&error)))
    }

    /// JSON at an address; with a token, in the name of a person.
    pub(super) async fn get(&self, url: &str, token: Option<&str>) -> Result<Value, ProviderError> {
        let request = self.0.get(url).header(ACCEPT, "application/json").header(USER_AGENT, "Countersign");
        let request = match token {
            Some(token) => request.header(AUTHORIZATION, sensitive(&format!("Bearer {token}"))?),
            None => request,
        };
        let response = send(request).await?;
        if !response.status().is_success() {
            return Err(ProviderError::Answer(format!("status {} from {url}", response.status().as_u16())));
        }
        json(response).await
    }

    /// Posts a form. The answer is read whatever its status: errors of a token endpoint come with 400.
    pub(super) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<(u16, Value), ProviderError> {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .0
            .post(url)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "Countersign")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, sensitive(value)?),
            None => request,
        };
        let response = send(request).await?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) || status >= 500 {
            return Err(ProviderError::Answer(format!("status {status} from {url}")));
        }
        Ok((status, json(response).await?))
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ProviderError::Answer("a token that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn send(request: RequestBuilder) -> Result<Response, ProviderError> {
    request.send().await.map_err(|error| ProviderError::Unreachable(reason(&error)))
}

/// The body as JSON, as far as it says that it is JSON and within the limit.
async fn json(mut response: Response) -> Result<Value, ProviderError> {
    let url = response.url().clone();
    let wrong = |what: &str| ProviderError::Answer(format!("{what} from {}{}", url.authority(), url.path()));
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // RFC 8259 and RFC 6839; some sites label keys as jwk-set+json and old ones JSON as JavaScript.
    if kind != "application/json" && !kind.ends_with("+json") && kind != "text/javascript" {
        return Err(wrong("something other than JSON"));
    }
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(wrong("too long an answer"));
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| ProviderError::Unreachable(reason(&error)))?;
        let Some(chunk) = chunk else {
            break;
        };
        if body.len() + chunk.len() > MAX_BODY {
            return Err(wrong("too long an answer"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| wrong("malformed JSON"))
}

/// What went wrong, without the address: its query may hold a code.
fn reason(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    let place = error.url().map(|url| format!(" from {}", url.authority())).unwrap_or_default();
    format!("{kind}{place}")
}
