//! What holds for every token.

use countersign::clock::Timestamp;
use countersign::token::{Claims, MintError};
use proptest::prelude::*;

use crate::{ALL, codec};

const NOW: Timestamp = Timestamp(1_800_000_000);
const SECRET: &str = "a secret for the properties, long enough";

fn claims(name: &str, number: i64) -> Claims {
    let mut claims = Claims::default();
    claims.set("sub", "1815");
    claims.set("name", name);
    claims.set("number", number);
    claims
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_minted_is_read_back(name in ".{0,200}", number in any::<i64>()) {
        for format in ALL {
            let codec = codec(format, &[SECRET], true, 100_000);
            let token = codec.mint(&claims(&name, number), NOW, NOW.plus(1000)).unwrap();
            let read = codec.verify(&token, NOW.plus(999)).unwrap().claims;
            prop_assert_eq!(read.name(), Some(name.as_str()));
            prop_assert_eq!(read.get("number").and_then(serde_json::Value::as_i64), Some(number));
            prop_assert!(codec.verify(&token, NOW.plus(1016)).is_err());
        }
    }

    #[test]
    fn a_changed_character_is_refused(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9._=+/ -]") {
        for format in ALL {
            let codec = codec(format, &[SECRET], false, 100_000);
            let token = codec.mint(&claims("Ada", 1), NOW, NOW.plus(1000)).unwrap();
            let at = at.index(token.len());
            let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(codec.verify(&changed, NOW).is_ok(), changed == token);
            let longer = format!("{}{with}{}", &token[..at], &token[at..]);
            prop_assert!(codec.verify(&longer, NOW).is_err());
        }
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".{0,400}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,60}", 0..7)) {
        for format in ALL {
            let codec = codec(format, &[SECRET], false, 100_000);
            prop_assert!(codec.decode(&text, NOW).is_err());
            prop_assert!(codec.decode(&parts.join("."), NOW).is_err());
        }
    }
}

/// No token is handed out that would be refused a moment later: too long as it is, or once it is inflated.
#[test]
fn what_is_minted_is_never_too_large_to_be_read() {
    for format in ALL {
        let codec = codec(format, &[SECRET], true, 100_000);
        let mut outcomes = std::collections::BTreeSet::new();
        for length in [100, 5_000, 11_000, 12_500, 17_000, 40_000, 60_000, 200_000] {
            let minted = codec.mint(&claims(&"a".repeat(length), 1), NOW, NOW.plus(1000));
            outcomes.insert(minted.is_ok());
            match minted {
                Ok(token) => assert!(codec.verify(&token, NOW).is_ok(), "{format:?} {length}"),
                Err(error) => assert_eq!(error, MintError::TooLarge, "{format:?} {length}"),
            }
        }
        assert_eq!(outcomes.len(), 2, "{format:?}: both happen");
    }
}
