//! A passkey made of software: it answers as an authenticator does, with a real key and real signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::key::Key;
use crate::secret::random_bytes;

/// Flags of an authenticator's answer (WebAuthn section 6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// A key of one person for one site. [`TestApp::passkey`](super::TestApp::passkey) makes one for an application; its
/// fields can be changed, so that it answers as it must not.
///
/// ```
/// # use countersign::Countersign;
/// # use countersign::testing::TestApp;
/// # rocket::async_test(async {
/// # let app = TestApp::start(rocket::build().attach(Countersign::fairing())).await;
/// let mut key = app.passkey();
/// let mut ada = app.sign_in("ada@example.com").await;
/// assert_eq!(ada.add_passkey(&mut key).await.status, 200);
///
/// // On another device, by the passkey alone.
/// let mut phone = app.browser();
/// assert_eq!(phone.sign_in_by_passkey(&mut key).await.status, 200);
/// assert_eq!(phone.get("/api/auth/session").await.json()["user"]["email"], "ada@example.com");
///
/// // A page of another site has asked it.
/// key.origin = "https://evil.example".to_owned();
/// assert_eq!(app.browser().sign_in_by_passkey(&mut key).await.status, 401);
/// # });
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct SoftPasskey {
    /// Where the page stands that asks.
    pub origin: String,
    /// How often it has signed.
    pub counter: u32,
    /// Whether its owner proves to be there in person, by a PIN or a finger, each time.
    pub verifies: bool,
    /// Whose it says it is; known once it was [created](SoftPasskey::create).
    pub user_handle: String,
    domain: String,
    id: Vec<u8>,
    key: Key,
}

impl std::fmt::Debug for SoftPasskey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftPasskey").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl SoftPasskey {
    /// A fresh key for the site at `origin` (`https://example.com`), whose passkeys belong to `domain` (`example.com`). It
    /// verifies its owner every time.
    ///
    /// # Panics
    /// When there are no random bytes.
    #[must_use]
    pub fn new(origin: &str, domain: &str) -> Self {
        let id = random_bytes::<16>().unwrap_or_else(|error| panic!("{error}"));
        Self {
            origin: origin.to_owned(),
            counter: 0,
            verifies: true,
            user_handle: String::new(),
            domain: domain.to_owned(),
            id: id.to_vec(),
            key: Key::generate(),
        }
    }

    /// Answers what a site asks of a new passkey (`navigator.credentials.create`): the credential, as JSON.
    ///
    /// # Panics
    /// When the options are none.
    pub fn create(&mut self, options: &Value) -> String {
        let handle = options.pointer("/publicKey/user/id").and_then(Value::as_str);
        let handle = handle.unwrap_or_else(|| panic!("these are no options for a new passkey: {options}"));
        handle.clone_into(&mut self.user_handle);
        let client = self.client_data("webauthn.create", options);
        let attestation = attestation(&self.attested_data());
        self.answer(&json!({
            "clientDataJSON": encode(client.as_bytes()),
            "attestationObject": encode(&attestation),
            "transports": ["internal"],
        }))
    }

    /// Answers what a site asks of a passkey it knows (`navigator.credentials.get`): the assertion, as JSON.
    pub fn get(&mut self, options: &Value) -> String {
        let client = self.client_data("webauthn.get", options);
        self.prove(&client)
    }

    /// What a browser tells the authenticator: the kind of ceremony, the site's challenge, and where the page stands.
    #[must_use]
    pub fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = options.pointer("/publicKey/challenge");
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    /// Signs any client data.
    pub fn prove(&mut self, client_data: &str) -> String {
        self.counter += 1;
        let data = self.authenticator_data(0);
        let signed = [data.as_slice(), &Sha256::digest(client_data.as_bytes())].concat();
        self.answer(&json!({
            "clientDataJSON": encode(client_data.as_bytes()),
            "authenticatorData": encode(&data),
            "signature": encode(&self.key.sign_der(&signed)),
            "userHandle": self.user_handle,
        }))
    }

    /// WebAuthn section 6.1.
    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let domain = Sha256::digest(self.domain.as_bytes());
        [domain.as_slice(), &[flags | PRESENT | verified], &self.counter.to_be_bytes()].concat()
    }

    /// The same with the credential in it: no model, its id, and the public key in COSE: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
    fn attested_data(&self) -> Vec<u8> {
        let [x, y] = self.key.point();
        let id_length = u16::try_from(self.id.len()).unwrap_or_default().to_be_bytes();
        [
            self.authenticator_data(ATTESTED).as_slice(),
            &[0; 16],
            &id_length,
            &self.id,
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20],
            &x,
            &[0x22, 0x58, 0x20],
            &y,
        ]
        .concat()
    }

    fn answer(&self, response: &Value) -> String {
        let id = encode(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "extensions": {} })
            .to_string()
    }
}

/// CBOR: {"fmt": "none", "attStmt": {}, "authData": …}
fn attestation(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap_or_else(|_| panic!("too long for one byte of length"));
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[length], data].concat()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
