//! Project Wycheproof's vectors for the primitives the formats are composed of.

use countersign::clock::Timestamp;
use countersign::token::{aead, keys};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::Value;

use crate::{ALL, codec, data, unhex};

/// Every test of a file with the group it belongs to.
fn each(name: &str, mut run: impl FnMut(&Value, &Value)) {
    let file = data::read("corpus/wycheproof", name);
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            run(group, test);
        }
    }
}

#[test]
fn a256gcm() {
    let (mut valid, mut invalid) = (0, 0);
    each("aes_gcm_test.json", |group, test| {
        let sizes =
            [&group["keySize"], &group["ivSize"], &group["tagSize"]].map(|size| size.as_u64().unwrap());
        let Ok(key) = <[u8; 32]>::try_from(unhex(&test["key"])) else {
            return;
        };
        let [iv, aad, text, tag] = ["iv", "aad", "ct", "tag"].map(|name| unhex(&test[name]));
        let opened = aead::open_gcm(&key, &iv, &aad, &text, &tag);
        if sizes == [256, 96, 128] && test["result"] == "valid" {
            valid += 1;
            assert_eq!(opened.unwrap(), unhex(&test["msg"]), "{}", test["tcId"]);
            let nonce = <[u8; aead::GCM_NONCE]>::try_from(iv.clone()).unwrap();
            let sealed = aead::seal_gcm(&key, nonce, &aad, &unhex(&test["msg"])).unwrap();
            assert_eq!(sealed, (iv, text, tag), "{}", test["tcId"]);
        } else {
            invalid += 1;
            assert!(opened.is_err(), "{}", test["tcId"]);
        }
    });
    assert!(valid >= 30 && invalid >= 30, "{valid} {invalid}");
}

#[test]
fn a256cbc_hs512() {
    let (mut valid, mut invalid) = (0, 0);
    each("a256cbc_hs512_test.json", |_, test| {
        let Ok(key) = <[u8; 64]>::try_from(unhex(&test["key"])) else {
            return;
        };
        let [iv, aad, text, tag] = ["iv", "aad", "ct", "tag"].map(|name| unhex(&test[name]));
        let opened = aead::open_cbc(&key, &iv, &aad, &text, &tag);
        if test["result"] == "valid" {
            valid += 1;
            assert_eq!(opened.unwrap(), unhex(&test["msg"]), "{}", test["tcId"]);
            let vector = <[u8; aead::CBC_IV]>::try_from(iv.clone()).unwrap();
            assert_eq!(aead::seal_cbc(&key, vector, &aad, &unhex(&test["msg"])).unwrap(), (iv, text, tag));
        } else {
            invalid += 1;
            assert!(opened.is_err(), "{}", test["tcId"]);
        }
    });
    assert!(valid >= 60 && invalid >= 20, "{valid} {invalid}");
}

/// A longer output of HKDF begins with the shorter one, so one of 64 bytes tests all sizes up to it.
#[test]
fn hkdf_sha256() {
    let mut tested = 0;
    each("hkdf_sha256_test.json", |_, test| {
        let size = usize::try_from(test["size"].as_u64().unwrap()).unwrap();
        if test["result"] != "valid" || size > 64 {
            return;
        }
        tested += 1;
        let [ikm, salt, info] = ["ikm", "salt", "info"].map(|name| unhex(&test[name]));
        let key = keys::derive::<64>(&ikm, &salt, &info);
        assert_eq!(key[..size], unhex(&test["okm"]), "{}", test["tcId"]);
    });
    assert!(tested >= 40, "{tested}");
}

#[test]
fn hmac_sha512() {
    use base64::Engine as _;
    let (mut valid, mut invalid) = (0, 0);
    each("hmac_sha512_test.json", |group, test| {
        let key = DecodingKey::from_secret(&unhex(&test["key"]));
        let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(unhex(&test["tag"]));
        let verdict = crypto::verify(&tag, &unhex(&test["msg"]), &key, Algorithm::HS512).unwrap_or(false);
        let whole = group["tagSize"] == 512;
        assert_eq!(verdict, whole && test["result"] == "valid", "{}", test["tcId"]);
        valid += usize::from(verdict);
        invalid += usize::from(!verdict);
    });
    assert!(valid >= 20 && invalid >= 20, "{valid} {invalid}");
}

/// None of these is a session of ours, and none makes the parser stumble.
#[test]
fn foreign_jws_and_jwe_are_never_accepted() {
    let mut tested = 0;
    for (file, name) in [("json_web_signature_test.json", "jws"), ("json_web_encryption_test.json", "jwe")] {
        each(file, |_, test| {
            let token = test[name].as_str().map_or_else(|| test[name].to_string(), str::to_owned);
            for format in ALL {
                let codec = codec(format, &["a secret of no importance to anybody"], false, 1_000_000_000);
                assert!(codec.decode(&token, Timestamp(1_700_000_000)).is_err(), "{}", test["tcId"]);
            }
            tested += 1;
        });
    }
    assert!(tested >= 100, "{tested}");
}
