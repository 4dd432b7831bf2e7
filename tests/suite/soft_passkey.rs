//! A passkey made of software: it answers as an authenticator does, with real keys and real signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One key for one site and person.
#[derive(Clone)]
pub(crate) struct SoftPasskey {
    pub(crate) origin: String,
    pub(crate) counter: u32,
    pub(crate) flags: u8,
    pub(crate) user_handle: String,
    domain: String,
    id: Vec<u8>,
    key: SigningKey,
}

impl SoftPasskey {
    /// A fresh key for a site, which asks its owner for a PIN every time.
    pub(crate) fn new(origin: &str, domain: &str) -> Self {
        let secret: [u8; 32] = countersign::secret::random_bytes().unwrap();
        Self {
            origin: origin.to_owned(),
            counter: 0,
            flags: PRESENT | VERIFIED,
            user_handle: String::new(),
            domain: domain.to_owned(),
            id: countersign::secret::random_bytes::<16>().unwrap().to_vec(),
            key: SigningKey::from_slice(&secret).unwrap(),
        }
    }

    /// Does not ask its owner.
    pub(crate) fn without_verification(mut self) -> Self {
        self.flags = PRESENT;
        self
    }

    /// Answers a request for a new passkey.
    pub(crate) fn create(&mut self, options: &Value) -> String {
        let options = &options["publicKey"];
        options["user"]["id"].as_str().unwrap().clone_into(&mut self.user_handle);
        let client = self.client_data("webauthn.create", options);
        let point = self.key.verifying_key().to_encoded_point(false);
        let mut data = self.authenticator_data(self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        // COSE: {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 0x20]);
        data.extend(point.y().unwrap());
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": …}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap());
        attestation.extend(data);
        self.answer(&json!({
            "clientDataJSON": encode(client.as_bytes()),
            "attestationObject": encode(&attestation),
            "transports": ["internal"],
        }))
    }

    /// Answers a request to prove possession.
    pub(crate) fn get(&mut self, options: &Value) -> String {
        let client = self.client_data("webauthn.get", &options["publicKey"]);
        self.prove(&client)
    }

    /// Signs any client data.
    pub(crate) fn prove(&mut self, client: &str) -> String {
        self.counter += 1;
        let data = self.authenticator_data(self.flags);
        let signed = [data.as_slice(), &Sha256::digest(client.as_bytes())].concat();
        let signature: Signature = self.key.sign(&signed);
        self.answer(&json!({
            "clientDataJSON": encode(client.as_bytes()),
            "authenticatorData": encode(&data),
            "signature": encode(signature.to_der().as_bytes()),
            "userHandle": self.user_handle,
        }))
    }

    pub(crate) fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.domain.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn answer(&self, response: &Value) -> String {
        let id = encode(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "extensions": {} })
            .to_string()
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
