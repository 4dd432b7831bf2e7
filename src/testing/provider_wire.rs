//! Requests and answers of the local provider, over a real socket: as little of HTTP as a client of it needs.

use std::time::Duration;

use rocket::tokio;
use rocket::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use rocket::tokio::net::TcpStream;
use serde_json::Value;

/// A request that arrived at an [`OpenIdProvider`](super::OpenIdProvider).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProviderRequest {
    /// The path, without a query.
    pub path: String,
    /// The body.
    pub body: String,
    headers: Vec<(String, String)>,
}

impl ProviderRequest {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A field of the form that was posted.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

/// What an [`OpenIdProvider`](super::OpenIdProvider) answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderReply {
    status: u16,
    kind: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    drips: bool,
}

impl ProviderReply {
    /// JSON, with status 200.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::with(200, "application/json", &body.to_string())
    }

    /// Anything.
    #[must_use]
    pub fn with(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            kind: content_type.to_owned(),
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            drips: false,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One byte a second, so that it never seems to end.
    #[must_use]
    pub fn dripping(mut self) -> Self {
        self.drips = true;
        self
    }

    /// Sends it. A client that has gone is its own business.
    pub(super) async fn send(&self, socket: &mut TcpStream) {
        let headers: Vec<String> =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "HTTP/1.1 {} X\r\ncontent-type: {}\r\ncontent-length: {}\r\n{}connection: close\r\n\r\n",
            self.status,
            self.kind,
            self.body.len(),
            headers.concat(),
        );
        socket.write_all(head.as_bytes()).await.ok();
        if !self.drips {
            socket.write_all(&self.body).await.ok();
            socket.shutdown().await.ok();
            return;
        }
        for byte in &self.body {
            if socket.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Reads one request whole; `None` when it does not come to an end.
pub(super) async fn read(socket: &mut TcpStream) -> Option<ProviderRequest> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let pairs = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let request = ProviderRequest {
                path: head.split(' ').nth(1)?.split('?').next()?.to_owned(),
                headers: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                body: body.to_owned(),
            };
            let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(request);
            }
        }
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend(chunk.iter().take(length)),
        }
    }
}
