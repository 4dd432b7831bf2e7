//! What another site may answer, over real sockets on both sides: the ID tokens and the pictures of the corpus.
//!
//! The corpus's ID tokens are of an issuer at `https://idp.test`, whose certificate nobody vouches for, and of a sign-in whose
//! nonce a service does not choose. So they are sent twice: as they are, when nobody may come in, and bound to the sign-in
//! that is under way, with the site's own key in place of the corpus's, when those come in that should.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use countersign::testing::{OpenIdProvider, ProviderReply};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use rocket::tokio::runtime::Runtime;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data;
use crate::service::{CHEAP, SECRET, Service};
use crate::tokens::Rig;
use crate::wire::{Reply, Wire};

/// Another site, asked for by `acme`.
struct Site {
    provider: OpenIdProvider,
    _runtime: Runtime,
}

impl Site {
    fn start(now: Timestamp) -> Self {
        let runtime = Runtime::new().unwrap();
        let provider = runtime.block_on(OpenIdProvider::start());
        provider.follow(&ManualClock::at(now));
        Self { provider, _runtime: runtime }
    }

    /// Goes there, agrees and comes back; the answer is that of the callback.
    fn sign_in(&self, wire: &mut Wire, claims: &Value) -> Reply {
        let (cookie, token) = wire.pair();
        let asked = wire.post("/api/auth/signin/acme", &cookie, &[("csrfToken", &token), ("json", "true")]);
        let asked = asked.unwrap();
        let url = asked.json()["url"].as_str().unwrap_or_else(|| panic!("{}", asked.body)).to_owned();
        let jar = [vec![cookie.as_str()], asked.cookies()].concat().join("; ");
        let back = self.provider.authorize(&url, claims);
        wire.get(&back, &[("Cookie", jar.as_bytes())]).unwrap()
    }
}

fn ada() -> Value {
    json!({ "sub": "1815", "email": "ada@example.com", "email_verified": true })
}

/// Whether somebody came in, who is then somebody to the guards as well.
fn came_in(wire: &mut Wire, answer: &Reply) -> bool {
    let Some(session) = answer.cookie("session-token").map(str::to_owned) else {
        assert_eq!(answer.status, 302, "{}", answer.body);
        assert!(
            answer.header("location").contains("/api/auth/error?error="),
            "{}",
            answer.header("location")
        );
        return false;
    };
    wire.get("/api/auth/session", &[("Cookie", session.as_bytes())]).unwrap().json()["user"].is_object()
}

fn corpus() -> (Value, Vec<Value>, Timestamp) {
    let corpus = data::read("corpus", "jwt_headers.json");
    let now = Timestamp(corpus["parameters"]["frozen_now"].as_i64().unwrap());
    let entries = corpus["entries"].as_array().unwrap().iter();
    let entries = entries.filter(|entry| entry["profile"] == "oidc" && entry["token"].is_string());
    let entries: Vec<Value> = entries.cloned().collect();
    assert!(entries.len() >= 44, "{}", entries.len());
    (corpus["parameters"]["oidc"].clone(), entries, now)
}

/// The site publishes the corpus's keys beside its own and says that it signs as both do.
fn publish_keys_of_the_corpus(site: &Site, parameters: &Value) {
    let mut keys = parameters["jwks"]["keys"].as_array().unwrap().clone();
    keys.push(site.provider.public_key());
    site.provider.answer("/jwks", move |_| ProviderReply::json(&json!({ "keys": keys })));
    let url = site.provider.url().to_owned();
    let document = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "id_token_signing_alg_values_supported": ["RS256", "ES256", "none", "HS256"],
    });
    site.provider.answer("/.well-known/openid-configuration", move |_| ProviderReply::json(&document));
}

#[test]
fn an_id_token_of_another_issuers_opens_nothing() {
    let (parameters, entries, now) = corpus();
    let site = Site::start(now);
    let rig = Rig::with("nextauth-v4", &[SECRET], now, &site.provider.toml("acme"));
    let mut wire = Wire::to(rig.port());
    publish_keys_of_the_corpus(&site, &parameters);
    let own = site.sign_in(&mut wire, &ada());
    assert!(came_in(&mut wire, &own), "the control: a token of its own does");
    for entry in &entries {
        let token = entry["token"].clone();
        let answered =
            json!({ "access_token": "an access token", "token_type": "Bearer", "id_token": token });
        site.provider.answer("/token", move |_| ProviderReply::json(&answered));
        let answer = site.sign_in(&mut wire, &ada());
        assert!(!came_in(&mut wire, &answer), "{}: {}", entry["id"], entry["recipe"]);
    }
    assert_eq!(site.provider.asked("/token"), entries.len() + 1, "each of them was really answered");
    site.provider.heal();
    let own = site.sign_in(&mut wire, &ada());
    assert!(came_in(&mut wire, &own), "the control: it still does");
}

/// A part of a token, as JSON.
fn part(token: &str, number: usize) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether the corpus's registered key really signed it.
fn is_genuine(token: &str, parameters: &Value) -> bool {
    let key = serde_json::from_value(parameters["jwks"]["keys"][0].clone()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = DecodingKey::from_jwk(&key).unwrap();
    crypto::verify(signature, signed.as_bytes(), &key, Algorithm::RS256) == Ok(true)
}

/// Has the site sign what the corpus's token says, in the place of the issuer and for the client and sign-in of now.
fn imitate(provider: &OpenIdProvider, header: Value, claims: &Value, parameters: &Value) {
    let names = ["issuer", "nonce", "client_id"].map(|name| parameters[name].as_str().unwrap().to_owned());
    let claims = claims.to_string();
    provider.change_claims(move |own| {
        let [issuer, nonce, client] = &names;
        let now = [own["iss"].as_str().unwrap(), own["nonce"].as_str().unwrap(), OpenIdProvider::CLIENT_ID];
        let text = claims.replace(issuer, now[0]).replace(nonce, now[1]).replace(client, now[2]);
        *own = serde_json::from_str(&text).unwrap();
    });
    provider.change_header(move |own| {
        let (kid, mut header) = (own["kid"].clone(), header.clone());
        if header["alg"] == "RS256" {
            header["alg"] = "ES256".into();
        }
        if ["idp-1", "ec-1"].iter().any(|known| header["kid"] == *known) {
            header["kid"] = kid;
        }
        *own = header;
    });
}

#[test]
fn an_id_token_opens_what_it_should() {
    let (parameters, entries, now) = corpus();
    let site = Site::start(now);
    let toml = site.provider.toml("acme");
    let rig = Rig::with("nextauth-v4", &[SECRET], now, &toml);
    // Where somebody has the address already, by a password.
    let other = Rig::with("nextauth-v4", &[SECRET], now, &format!("{toml}link_by_email = true\n"));
    let (mut wire, mut occupied) = (Wire::to(rig.port()), Wire::to(other.port()));
    occupied.enter("ada@example.com");
    let genuine = site.provider.public_key();
    let mut encrypting = genuine.clone();
    (encrypting["use"], encrypting["kid"]) = ("enc".into(), "idp-enc".into());
    let keys = json!({ "keys": [genuine, encrypting] });
    site.provider.answer("/jwks", move |_| ProviderReply::json(&keys));
    let (mut accepted, mut refused) = (0, 0);
    for entry in &entries {
        let (token, expected) = (entry["token"].as_str().unwrap(), entry["expected"].as_str().unwrap());
        let label = format!("{}: {}", entry["id"], entry["recipe"]);
        // One is in another notation than three parts; it was sent above.
        let (Some(header), Some(claims)) = (part(token, 0), part(token, 1)) else {
            continue;
        };
        imitate(&site.provider, header, &claims, &parameters);
        let genuine = is_genuine(token, &parameters);
        if !genuine {
            // A key that the site never published, under the id of the one it did.
            site.provider.rotate_key();
        }
        let answer = site.sign_in(&mut wire, &ada());
        let inside = came_in(&mut wire, &answer);
        assert_eq!(inside, expected.starts_with("accept"), "{label}");
        if expected == "accept_unlinked" {
            let answer = site.sign_in(&mut occupied, &ada());
            assert!(!came_in(&mut occupied, &answer), "{label}: it is somebody else's address");
            assert!(answer.header("location").ends_with("OAuthAccountNotLinked"), "{label}");
        }
        if !genuine {
            site.provider.rotate_key();
        }
        accepted += usize::from(inside);
        refused += usize::from(!inside);
    }
    assert!(accepted >= 5 && refused >= 37, "{accepted} accepted, {refused} refused");
}

/// A picture is one that a page can show without harm, or none.
#[test]
fn a_picture_is_an_address_of_a_picture_or_nothing() {
    let site = Site::start(SystemClock.now());
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("Rocket.toml"), site.provider.toml("acme")).unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    let mut wire = Wire::to(service.port);
    let corpus = data::read("corpus", "usernames.json");
    let images = corpus["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "image");
    let hostile: Vec<&str> = images.map(|entry| entry["value"].as_str().unwrap()).collect();
    assert!(hostile.len() >= 5, "{hostile:?}");
    let good = "https://id.example/ada.png?size=80&round=1";
    for (number, picture) in hostile.iter().chain([&good]).enumerate() {
        let email = format!("ada{number}@example.com");
        let claims = json!({ "sub": email, "email": email, "email_verified": true, "picture": picture });
        let answer = site.sign_in(&mut wire, &claims);
        assert!(came_in(&mut wire, &answer), "{picture}: people come in without a picture, too");
        let session = answer.cookie("session-token").unwrap().to_owned();
        let headers: [(&str, &[u8]); 2] = [("Cookie", session.as_bytes()), ("Accept", b"text/html")];
        let shown = wire.get("/api/auth/session", &headers).unwrap().json()["user"]["image"].clone();
        let kept = if *picture == good { json!(good) } else { Value::Null };
        assert_eq!(shown, kept, "{picture}");
        for path in ["/api/auth/account", "/", "/protected", "/server-side-example"] {
            let page = wire.get(path, &headers).unwrap();
            assert_eq!(page.status, 200, "{path}");
            assert!(*picture == good || !page.body.contains(picture), "{picture}: {path}");
        }
    }
}
