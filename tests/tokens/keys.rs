//! Keys and thumbprints, byte for byte.

use countersign::secret::hex;
use countersign::token::keys;
use serde_json::Value;

use crate::data;

#[test]
fn every_key_is_derived_as_the_packages_derive_it() {
    let vectors = data::read("vectors", "nextauth-tokens.json");
    let all = vectors["derived_keys"].as_array().unwrap();
    for key in all {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (secret, hkdf) = (text(&key["secret"]), &key["hkdf"]);
        let (salt, info) = (text(&hkdf["salt"]), text(&hkdf["info"]));
        let (derived, thumbprint) = if hkdf["length"] == 64 {
            let key = keys::derive::<64>(secret.as_bytes(), salt.as_bytes(), info.as_bytes());
            (hex(key.as_ref()), keys::thumbprint_sha512(key.as_ref()))
        } else {
            let key = keys::derive::<32>(secret.as_bytes(), salt.as_bytes(), info.as_bytes());
            (hex(key.as_ref()), keys::thumbprint_sha256(key.as_ref()))
        };
        assert_eq!(derived, text(&key["key_hex"]));
        if let Some(kid) = key["kid"].as_str() {
            assert_eq!(thumbprint, kid);
        }
    }
    assert!(all.len() >= 30);
}

#[test]
fn the_named_derivations_are_those() {
    let secret = countersign::secret::Secret::new("public-secret-9Vp9l_lHg4wlkSTKGqGBKd1UcNF5iVyG");
    let vectors = data::read("vectors", "nextauth-tokens.json");
    let find = |generation: u64, salt: &str, length: u64, used: &str| {
        let all = vectors["derived_keys"].as_array().unwrap();
        let found = all.iter().find(|key| {
            key["secret"] == secret.expose()
                && key["generation"] == generation
                && key["hkdf"]["salt"] == salt
                && key["hkdf"]["length"] == length
                && key["use"] == used
        });
        found.unwrap()["key_hex"].as_str().unwrap().to_owned()
    };
    assert_eq!(hex(keys::v3_signing(&secret).as_ref()), find(3, "", 64, "sign"));
    assert_eq!(hex(keys::v4_encryption(&secret).as_ref()), find(4, "", 32, "encrypt"));
    assert_eq!(hex(keys::v4_encryption(&secret).as_ref()), find(3, "", 32, "encrypt"));
    let cookie = "__Secure-authjs.session-token";
    assert_eq!(hex(keys::v5_encryption(&secret, cookie).as_ref()), find(5, cookie, 64, "encrypt"));
    assert_eq!(hex(keys::v5_encryption_gcm(&secret, cookie).as_ref()), find(5, cookie, 32, "encrypt"));
}
