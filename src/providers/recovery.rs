//! Recovery codes: for the day the phone is lost.
//!
//! Ten codes of 125 random bits each. That many bits cannot be guessed from a hash, so a plain SHA-256 keeps them (ASVS 5.0,
//! 6.5.2 asks for a slow hash below 112 bits). Each works once.

use crate::model::UserId;
use crate::secret::{EntropyError, TokenHash, random_bytes};

/// Codes made at a time.
pub const COUNT: usize = 10;
/// Characters of a code; each carries five bits.
const CHARS: usize = 25;
/// No `i`, `l`, `o` and `u`: what looks alike is not used.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Fresh codes as they are shown, once: five groups of five.
///
/// # Errors
/// [`EntropyError`] when the operating system has no random bytes.
pub fn generate() -> Result<Vec<String>, EntropyError> {
    (0..COUNT).map(|_| one()).collect()
}

/// What the store keeps of a code, as typed: case, blanks and dashes do not matter. `None` when it cannot be one.
#[must_use]
pub fn hash(user: &UserId, typed: &str) -> Option<TokenHash> {
    let clean = |c: &char| !matches!(c, '-' | ' ' | '\u{2013}');
    let code: String = typed.chars().filter(clean).take(CHARS + 1).flat_map(char::to_lowercase).collect();
    let is_code = code.len() == CHARS && code.bytes().all(|byte| ALPHABET.contains(&byte));
    is_code.then(|| TokenHash::of(&format!("recovery code\n{user}\n{code}")))
}

fn one() -> Result<String, EntropyError> {
    let bytes = random_bytes::<CHARS>()?;
    let letters =
        bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).map(|b| char::from(*b));
    let mut code = String::with_capacity(CHARS + 4);
    for (at, letter) in letters.enumerate() {
        if at > 0 && at % 5 == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed_and_only_to_its_owner() {
        let codes = generate().unwrap();
        let distinct: std::collections::HashSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), COUNT);
        let ada = UserId::from_existing("ada");
        for code in &codes {
            let known = hash(&ada, code).unwrap();
            assert_eq!(hash(&ada, &code.to_uppercase().replace('-', " ")), Some(known));
            assert_ne!(hash(&UserId::from_existing("bob"), code), Some(known));
            assert_eq!(hash(&ada, &code[1..]), None);
        }
        for wrong in ["", "123456", &"x".repeat(1 << 20), &"é".repeat(25), &"u".repeat(25)] {
            assert_eq!(hash(&ada, wrong), None);
        }
    }
}
