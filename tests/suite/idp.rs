//! A local site to sign in with, over a real socket: it does what the standards say, and whatever else it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rocket::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use rocket::tokio::net::{TcpListener, TcpStream};
use rocket::tokio::{self, task::JoinHandle};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::START;

/// Two keys of this test alone.
const KEYS: [&str; 2] = [
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgn0vQF5xkk36dbtVNmbpRBh9ZU6aYwoyxWC1IDCQjllShRANCAAS9I12h2JApS1HNNbwThUeJ08gnyFi9KqZBWozoA6J5GlpDl+581tSiki9An+/jgt4RRSIPRXOYZ2J9/g/JVxN6",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPlNZ/dQbpxcPtE1wVdxvXXcDMZcEkW4LsgJgUQYsol6hRANCAARR8Msqfj+QWCEtAZxNo8+NY18+PrQUshS900bxmAUHdaetSn7MWInGriTuOlp8+yf0m9Ta1O2f5sCIWI3V76SK",
];

/// What every client here is called, and its secret.
pub(crate) const CLIENT: &str = "client 1";
pub(crate) const CLIENT_SECRET: &str = "client-secret:with%odd&signs";

/// A request that arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) headers: &'static str,
    pub(crate) body: Vec<u8>,
    /// One byte a second.
    pub(crate) drip: bool,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::with(200, "application/json", &body.to_string())
    }

    pub(crate) fn with(status: u16, kind: &'static str, body: &str) -> Self {
        Self { status, kind, headers: "", body: body.as_bytes().to_vec(), drip: false }
    }
}

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Answer = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Grant {
    nonce: Option<String>,
    challenge: Option<String>,
    redirect_uri: String,
    claims: Value,
}

struct Inner {
    url: String,
    grants: Mutex<HashMap<String, Grant>>,
    overrides: Mutex<HashMap<String, Answer>>,
    change_claims: Mutex<Option<Change>>,
    change_header: Mutex<Option<Change>>,
    seen: Mutex<Vec<Seen>>,
    key: AtomicUsize,
    now: AtomicI64,
    count: AtomicUsize,
}

/// A running one.
pub(crate) struct Idp {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            url,
            grants: Mutex::default(),
            overrides: Mutex::default(),
            change_claims: Mutex::default(),
            change_header: Mutex::default(),
            seen: Mutex::default(),
            key: AtomicUsize::new(0),
            now: AtomicI64::new(START.0),
            count: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let inner = Arc::clone(&shared);
                tokio::spawn(async move { inner.serve(socket).await });
            }
        });
        Self { inner, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.inner.url
    }

    /// The configuration of an OpenID provider of this name.
    pub(crate) fn toml(&self, name: &str) -> String {
        format!(
            "[default.auth.providers.{name}]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{CLIENT_SECRET}\"\nname = \"Acme\"\n",
            self.url()
        )
    }

    /// Answers so at a path from now on.
    pub(crate) fn answer(&self, path: &str, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.inner.overrides.lock().unwrap().insert(path.to_owned(), Arc::new(answer));
    }

    /// Is as it should be again.
    pub(crate) fn heal(&self) {
        self.inner.overrides.lock().unwrap().clear();
        *self.inner.change_claims.lock().unwrap() = None;
        *self.inner.change_header.lock().unwrap() = None;
    }

    /// Changes the claims of every ID token before it is signed.
    pub(crate) fn change_claims(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.inner.change_claims.lock().unwrap() = Some(Arc::new(change));
    }

    /// Changes the header of every ID token before it is signed.
    pub(crate) fn change_header(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.inner.change_header.lock().unwrap() = Some(Arc::new(change));
    }

    /// Signs with the other key.
    pub(crate) fn rotate(&self) {
        self.inner.key.fetch_xor(1, Ordering::SeqCst);
    }

    pub(crate) fn set_now(&self, now: i64) {
        self.inner.now.store(now, Ordering::SeqCst);
    }

    /// The key that signs, as Apple hands out its own, and its public half.
    pub(crate) fn private_key_pem(&self) -> String {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            KEYS[self.inner.key.load(Ordering::SeqCst)]
        )
    }

    pub(crate) fn public_key(&self) -> Value {
        self.inner.jwk()
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.inner.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// What a person does there: signs in, and is sent back. The answer is the path of the callback.
    pub(crate) fn authorize(&self, url: &str, claims: &Value) -> String {
        let url = url::Url::parse(url).unwrap();
        assert!(url.as_str().starts_with(self.url()), "{url}");
        let param =
            |name: &str| url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
        let code = format!("code-{}", self.inner.count.fetch_add(1, Ordering::SeqCst));
        let redirect_uri = param("redirect_uri").unwrap();
        let grant = Grant {
            nonce: param("nonce"),
            challenge: param("code_challenge"),
            redirect_uri: redirect_uri.clone(),
            claims: claims.clone(),
        };
        self.inner.grants.lock().unwrap().insert(code.clone(), grant);
        let mut back = url::Url::parse(&redirect_uri).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &param("state").unwrap_or_default())
            .append_pair("iss", self.url());
        back.as_str().strip_prefix("http://localhost:8000").unwrap().to_owned()
    }
}

impl Inner {
    async fn serve(&self, mut socket: TcpStream) {
        let Some(seen) = read(&mut socket).await else {
            return;
        };
        let reply = self.reply(&seen);
        self.seen.lock().unwrap().push(seen);
        let head = format!(
            "HTTP/1.1 {} X\r\ncontent-type: {}\r\ncontent-length: {}\r\n{}connection: close\r\n\r\n",
            reply.status,
            reply.kind,
            reply.body.len(),
            reply.headers
        );
        socket.write_all(head.as_bytes()).await.ok();
        if !reply.drip {
            socket.write_all(&reply.body).await.ok();
            socket.shutdown().await.ok();
            return;
        }
        for byte in &reply.body {
            if socket.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn reply(&self, seen: &Seen) -> Reply {
        let own = self.overrides.lock().unwrap().get(&seen.path).cloned();
        if let Some(own) = own {
            return own(seen);
        }
        match seen.path.as_str() {
            "/.well-known/openid-configuration" => Reply::json(&self.document()),
            "/jwks" => Reply::json(&json!({ "keys": [self.jwk()] })),
            "/token" => self.token(seen),
            _ => Reply::with(404, "text/plain", ""),
        }
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.url);
        json!({
            "issuer": self.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "id_token_signing_alg_values_supported": ["ES256", "none", "HS256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn key(&self) -> (EncodingKey, String) {
        let index = self.key.load(Ordering::SeqCst);
        (EncodingKey::from_ec_der(&STANDARD.decode(KEYS[index]).unwrap()), format!("key-{index}"))
    }

    fn jwk(&self) -> Value {
        let (key, id) = self.key();
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn token(&self, seen: &Seen) -> Reply {
        let denied = |code: &str| Reply::with(400, "application/json", &json!({ "error": code }).to_string());
        if seen.field("grant_type").as_deref() == Some("refresh_token") {
            let count = self.count.fetch_add(1, Ordering::SeqCst);
            return Reply::json(&json!({
                "access_token": format!("renewed-{count}"), "token_type": "Bearer", "expires_in": 3600,
                "refresh_token": format!("newer-{count}"),
            }));
        }
        // A code is exchanged once, whatever comes of it.
        let grant = self.grants.lock().unwrap().remove(&seen.field("code").unwrap_or_default());
        let Some(grant) = grant else {
            return denied("invalid_grant");
        };
        let verifier = seen.field("code_verifier").unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        // OAuth 2.1 section 4.1.3: a verifier without a challenge is an attempt at a downgrade.
        let proven = grant.challenge.as_deref() == Some(&challenge);
        let expected = format!("Basic {}", STANDARD.encode("client+1:client-secret%3Awith%25odd%26signs"));
        let client = seen.headers.get("authorization") == Some(&expected)
            || seen.field("client_secret").as_deref() == Some(CLIENT_SECRET);
        if !proven || !client || seen.field("redirect_uri") != Some(grant.redirect_uri.clone()) {
            return denied("invalid_grant");
        }
        let now = self.now.load(Ordering::SeqCst);
        let mut claims = json!({
            "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant.nonce,
            "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest("access-1")[..16]),
        });
        for (name, value) in grant.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        Reply::json(&json!({
            "access_token": "access-1", "token_type": "Bearer", "expires_in": 60, "refresh_token": "refresh-1",
            "id_token": self.id_token(claims), "scope": "openid email profile",
        }))
    }

    fn id_token(&self, mut claims: Value) -> String {
        let (key, id) = self.key();
        let mut header = json!({ "alg": "ES256", "kid": id });
        if let Some(change) = self.change_claims.lock().unwrap().clone() {
            change(&mut claims);
        }
        if let Some(change) = self.change_header.lock().unwrap().clone() {
            change(&mut header);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        if header["alg"] == "none" {
            return format!("{message}.");
        }
        // Confusion: the public key as the secret of a symmetric algorithm.
        if header["alg"] == "HS256" {
            let public = EncodingKey::from_secret(self.jwk().to_string().as_bytes());
            let signature = crypto::sign(message.as_bytes(), &public, Algorithm::HS256).unwrap();
            return format!("{message}.{signature}");
        }
        format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap())
    }
}

async fn read(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers: HashMap<String, String> = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(Seen {
                    path: head.split(' ').nth(1)?.split('?').next()?.to_owned(),
                    headers,
                    body: body.to_owned(),
                });
            }
        }
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}
