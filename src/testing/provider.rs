//! A local site to sign in with: it does what the standards say, and whatever else it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rocket::tokio::net::{TcpListener, TcpStream};
use rocket::tokio::{self, task::JoinHandle};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::START;
use super::key::Key;
use super::provider_wire::{ProviderReply, ProviderRequest, read};
use crate::clock::{Clock as _, ManualClock};

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Answer = Arc<dyn Fn(&ProviderRequest) -> ProviderReply + Send + Sync>;

/// An OpenID provider on a port of this machine, for as long as the value lives. It has one client
/// ([`OpenIdProvider::CLIENT_ID`]), demands PKCE, exchanges a code once, and names itself in its answers (RFC 9207).
/// Whoever [`authorize`](OpenIdProvider::authorize)s is who the test says.
///
/// ```
/// # use countersign::Countersign;
/// use countersign::testing::{OpenIdProvider, TestApp};
/// use serde_json::json;
/// # fn rocket() -> rocket::Rocket<rocket::Build> {
/// #     rocket::build().attach(Countersign::fairing())
/// # }
///
/// # rocket::async_test(async {
/// let acme = OpenIdProvider::start().await;
/// let app = TestApp::of(rocket()).provider("acme", &acme).start().await;
/// let ada = json!({ "sub": "1815", "email": "ada@example.com", "email_verified": true });
///
/// let mut browser = app.browser();
/// browser.sign_in_with("acme", &acme, &ada).await;
/// assert_eq!(browser.get("/api/auth/session").await.json()["user"]["email"], "ada@example.com");
///
/// // Its ID tokens belong to another sign-in: nobody comes in.
/// acme.change_claims(|claims| claims["nonce"] = "another".into());
/// let refused = app.browser().sign_in_with("acme", &acme, &ada).await;
/// assert!(refused.location().ends_with("error=OAuthCallback"));
///
/// // Its token endpoint is down.
/// acme.heal();
/// acme.answer("/token", |_| countersign::testing::ProviderReply::with(503, "text/plain", ""));
/// let refused = app.browser().sign_in_with("acme", &acme, &ada).await;
/// assert!(refused.location().ends_with("error=OAuthCallback"));
/// # });
/// ```
///
/// Paths: `/.well-known/openid-configuration`, `/jwks`, `/token`; [`answer`](OpenIdProvider::answer) adds others, such as
/// the profile of a site that speaks OAuth 2.0 only.
pub struct OpenIdProvider {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

/// How long nobody is let in after one could not be.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

/// What the person agreed to, until the code is exchanged.
#[derive(Clone)]
struct Grant {
    nonce: Option<String>,
    challenge: Option<String>,
    redirect_uri: String,
    claims: Value,
}

struct Inner {
    url: String,
    keys: [Key; 2],
    state: Mutex<State>,
}

/// What changes.
struct State {
    clock: ManualClock,
    grants: HashMap<String, Grant>,
    answers: HashMap<String, Answer>,
    change_claims: Option<Change>,
    change_header: Option<Change>,
    requests: Vec<ProviderRequest>,
    rotated: bool,
    count: usize,
}

impl std::fmt::Debug for OpenIdProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenIdProvider").field("url", &self.inner.url).finish_non_exhaustive()
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OpenIdProvider {
    /// What every client is called here, in need of being encoded wherever it goes.
    pub const CLIENT_ID: &str = "client 1";
    /// The client's secret.
    pub const CLIENT_SECRET: &str = "client-secret:with%odd&signs";

    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let state = State {
            clock: ManualClock::at(START),
            grants: HashMap::new(),
            answers: HashMap::new(),
            change_claims: None,
            change_header: None,
            requests: Vec::new(),
            rotated: false,
            count: 0,
        };
        let url = format!("http://{address}");
        let keys = [Key::generate(), Key::generate()];
        let inner = Arc::new(Inner { url, keys, state: Mutex::new(state) });
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    // A client that was gone before, or too many open files: the next one may be luckier.
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                };
                let inner = Arc::clone(&shared);
                tokio::spawn(async move { inner.serve(socket).await });
            }
        });
        Self { inner, task }
    }

    /// Where it is: its issuer identifier.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Its configuration as a provider of this name, for Rocket.toml.
    #[must_use]
    pub fn toml(&self, name: &str) -> String {
        format!(
            "[default.auth.providers.{name}]\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
             name = \"Acme\"\n",
            self.url(),
            Self::CLIENT_ID,
            Self::CLIENT_SECRET
        )
    }

    /// Tells the time by this clock from now on.
    pub fn follow(&self, clock: &ManualClock) {
        self.inner.state().clock = clock.clone();
    }

    /// Answers so at a path from now on.
    pub fn answer(
        &self,
        path: &str,
        answer: impl Fn(&ProviderRequest) -> ProviderReply + Send + Sync + 'static,
    ) {
        self.inner.state().answers.insert(path.to_owned(), Arc::new(answer));
    }

    /// Changes the claims of every ID token before it is signed.
    pub fn change_claims(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.inner.state().change_claims = Some(Arc::new(change));
    }

    /// Changes the header of every ID token before it is signed. With `alg` set to `none` there is no signature; with
    /// `HS256` the public key is the secret, as in attacks by confusion.
    pub fn change_header(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.inner.state().change_header = Some(Arc::new(change));
    }

    /// Is as it should be again: forgets every answer and change.
    pub fn heal(&self) {
        let mut state = self.inner.state();
        state.answers.clear();
        (state.change_claims, state.change_header) = (None, None);
    }

    /// Signs with its other key from now on, and publishes only that one.
    pub fn rotate_key(&self) {
        let mut state = self.inner.state();
        state.rotated = !state.rotated;
    }

    /// The key that signs, in PEM.
    #[must_use]
    pub fn private_key_pem(&self) -> String {
        self.inner.key().0.pem()
    }

    /// The public half of the key that signs, as a JWK.
    #[must_use]
    pub fn public_key(&self) -> Value {
        self.inner.jwk()
    }

    /// Every request so far, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ProviderRequest> {
        self.inner.state().requests.clone()
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.inner.state().requests.iter().filter(|request| request.path == path).count()
    }

    /// What a person does here, being sent to `url`: signs in as the one of whom `claims` are true (`sub` at least), and is
    /// sent back. The answer is where to, as path and query at the application.
    ///
    /// # Panics
    /// When the URL is not of this provider.
    #[must_use]
    pub fn authorize(&self, url: &str, claims: &Value) -> String {
        let asked = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(url.starts_with(self.url()), "{url} is not at {}", self.url());
        let find = |name: &str| asked.query_pairs().find(|(own, _)| own == name).map(|(_, v)| v.into_owned());
        let redirect_uri = find("redirect_uri").unwrap_or_else(|| panic!("no redirect_uri in {url}"));
        let mut back = Url::parse(&redirect_uri).unwrap_or_else(|error| panic!("{redirect_uri}: {error}"));
        let grant = Grant {
            nonce: find("nonce"),
            challenge: find("code_challenge"),
            redirect_uri,
            claims: claims.clone(),
        };
        let mut state = self.inner.state();
        let code = format!("code-{}", state.next());
        state.grants.insert(code.clone(), grant);
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &find("state").unwrap_or_default())
            .append_pair("iss", self.url());
        format!("{}?{}", back.path(), back.query().unwrap_or_default())
    }
}

impl State {
    fn next(&mut self) -> usize {
        self.count += 1;
        self.count - 1
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut socket: TcpStream) {
        let Some(request) = read(&mut socket).await else {
            return;
        };
        let reply = self.reply(&request);
        self.state().requests.push(request);
        reply.send(&mut socket).await;
    }

    fn reply(&self, request: &ProviderRequest) -> ProviderReply {
        let own = self.state().answers.get(&request.path).cloned();
        if let Some(own) = own {
            return own(request);
        }
        match request.path.as_str() {
            "/.well-known/openid-configuration" => ProviderReply::json(&self.document()),
            "/jwks" => ProviderReply::json(&json!({ "keys": [self.jwk()] })),
            "/token" => self.token(request),
            _ => ProviderReply::with(404, "text/plain", ""),
        }
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.url);
        json!({
            "issuer": self.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            // More than it does: whoever believes all of it can be attacked.
            "id_token_signing_alg_values_supported": ["ES256", "none", "HS256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// The key that signs, and its id.
    fn key(&self) -> (&Key, &'static str) {
        let [first, second] = &self.keys;
        if self.state().rotated { (second, "key-1") } else { (first, "key-0") }
    }

    fn jwk(&self) -> Value {
        let (key, id) = self.key();
        let mut jwk = key.jwk();
        set(&mut jwk, "kid", id.into());
        set(&mut jwk, "use", "sig".into());
        jwk
    }

    fn token(&self, request: &ProviderRequest) -> ProviderReply {
        if request.field("grant_type").as_deref() == Some("refresh_token") {
            let count = self.state().next();
            return ProviderReply::json(&json!({
                "access_token": format!("renewed-{count}"), "token_type": "Bearer", "expires_in": 3600,
                "refresh_token": format!("newer-{count}"),
            }));
        }
        // A code is exchanged once, whatever comes of it.
        let grant = self.state().grants.remove(&request.field("code").unwrap_or_default());
        let Some(grant) = grant.filter(|grant| is_proven(request, grant)) else {
            return ProviderReply::with(400, "application/json", r#"{"error":"invalid_grant"}"#);
        };
        ProviderReply::json(&json!({
            "access_token": "access-1", "token_type": "Bearer", "expires_in": 60, "refresh_token": "refresh-1",
            "id_token": self.id_token(&grant), "scope": "openid email profile",
        }))
    }

    fn id_token(&self, grant: &Grant) -> String {
        let now = self.state().clock.now().0;
        let mut claims = json!({
            "iss": self.url, "aud": OpenIdProvider::CLIENT_ID, "iat": now, "exp": now + 300, "nonce": grant.nonce,
            "at_hash": URL_SAFE_NO_PAD.encode(Sha256::digest("access-1").iter().take(16).copied().collect::<Vec<u8>>()),
        });
        for (name, value) in grant.claims.as_object().into_iter().flatten() {
            set(&mut claims, name, value.clone());
        }
        let (key, id) = self.key();
        let mut header = json!({ "alg": "ES256", "kid": id });
        let (change_claims, change_header) = {
            let state = self.state();
            (state.change_claims.clone(), state.change_header.clone())
        };
        for (change, value) in [(change_claims, &mut claims), (change_header, &mut header)] {
            if let Some(change) = change {
                change(value);
            }
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = match header.get("alg").and_then(Value::as_str) {
            Some("none") => String::new(),
            Some("HS256") => self.confused(&message),
            _ => key.sign(message.as_bytes()),
        };
        format!("{message}.{signature}")
    }

    /// The public key as the secret of a symmetric algorithm.
    fn confused(&self, message: &str) -> String {
        let public = EncodingKey::from_secret(self.jwk().to_string().as_bytes());
        let signature = crypto::sign(message.as_bytes(), &public, Algorithm::HS256);
        signature.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The client, its browser and the address are those the code is for.
fn is_proven(request: &ProviderRequest, grant: &Grant) -> bool {
    let verifier = request.field("code_verifier").unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    // OAuth 2.1 section 4.1.3: a verifier without a challenge is an attempt at a downgrade.
    let is_browser = grant.challenge.as_deref() == Some(&challenge);
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("{}:{}", encode(OpenIdProvider::CLIENT_ID), encode(OpenIdProvider::CLIENT_SECRET));
    let is_client = request.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(basic)))
        || request.field("client_secret").as_deref() == Some(OpenIdProvider::CLIENT_SECRET);
    is_browser && is_client && request.field("redirect_uri").as_ref() == Some(&grant.redirect_uri)
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
