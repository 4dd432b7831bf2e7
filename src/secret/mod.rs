//! Secrets are types.
//!
//! A password, a session id and a signing secret each have a type of their own that does not print, does not
//! serialise and is wiped when dropped. The *plain* token and its *hash* are different types, and only the hash has a
//! way into the store: a dump of the database opens nobody's session (ASVS 5.0, 7.2 and 11.5).

mod digest;
mod rotation;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

pub use digest::hex;
pub(crate) use digest::{digest_of_hex, same_digest};
pub use rotation::{Derived, Secrets};

/// The operating system gave no random bytes. Nothing can be issued until it does.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct EntropyError;

/// Fresh bytes from the operating system's generator.
///
/// # Errors
/// [`EntropyError`] when the operating system has none to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| EntropyError)?;
    Ok(bytes)
}

/// Whether two texts are equal, in time that depends on their lengths alone.
#[must_use]
pub fn same_text(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// A password as the person typed it: never trimmed, never normalised, never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes the text exactly as it came.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the hash function and the policy. Whoever calls this must not log or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The random id of a session (256 bits), before it is hashed. Only the person's browser keeps it.
#[derive(Clone, ZeroizeOnDrop)]
pub struct PlainToken([u8; 32]);

impl PlainToken {
    /// A fresh token of 256 random bits.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, EntropyError> {
        random_bytes().map(Self)
    }

    /// Reads the canonical base64url text of 32 bytes; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes = <[u8; 32]>::try_from(decoded.as_slice()).ok();
        decoded.zeroize();
        bytes.map(Self)
    }

    /// 43 characters of base64url, for the cookie or the token and nothing else.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The SHA-256 under which the store knows this token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

/// A code that people read in a mail and type: eight decimal digits, of which a few guesses are allowed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct ShortCode(String);

impl ShortCode {
    /// How many digits it has.
    pub const DIGITS: usize = 8;

    /// A fresh code; every one is equally likely.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, EntropyError> {
        const CODES: u32 = 100_000_000;
        // Of 2^32 numbers the last few would make the low codes likelier: they are drawn again.
        const FAIR: u32 = u32::MAX - u32::MAX % CODES;
        loop {
            let number = u32::from_be_bytes(random_bytes()?);
            if number < FAIR {
                return Ok(Self(format!("{:08}", number % CODES)));
            }
        }
    }

    /// Reads a code as people type it, blanks and hyphens between the digits allowed; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().take(32).filter(|c| !matches!(c, ' ' | '-')).collect();
        let sound = digits.len() == Self::DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        sound.then_some(Self(digits))
    }

    /// The digits, for the mail and the hash and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of a token: what the store keeps and looks up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of any text that names a session, as a token of another issuer does.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The hash of any bytes that name something.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of several texts; each is prefixed by its length, so that no two lists of texts make one.
    #[must_use]
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(format!("{}:", part.len()));
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Whether two hashes are equal, in time that does not depend on them.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        same_digest(&self.0, &other.0)
    }

    /// Takes 32 bytes as the store kept them; `None` when the length is another.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        digest_of_hex(text).map(Self)
    }

    /// The bytes the store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits. Not a secret: the hash opens nothing.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// A secret of the configuration, from which every key is derived.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as configured.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A fresh secret: 48 random bytes as 64 characters of base64url.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, EntropyError> {
        random_bytes::<48>().map(|bytes| Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, for key derivation (and `countersign secret`, which prints it).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The configured secrets, newest first: the first signs, all verify.
#[derive(Clone)]
pub struct SecretRing {
    current: Secret,
    previous: Vec<Secret>,
}

impl SecretRing {
    /// A ring that signs with `current` and also verifies what one of `previous` signed.
    #[must_use]
    pub fn new(current: Secret, previous: Vec<Secret>) -> Self {
        Self { current, previous }
    }

    /// The secret that signs.
    #[must_use]
    pub fn current(&self) -> &Secret {
        &self.current
    }

    /// All secrets that verify, newest first.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// A ring without the secret that signs: what no longer signs and still verifies. `None` when there is nothing more.
    #[must_use]
    pub fn previous(&self) -> Option<Self> {
        let (current, previous) = self.previous.split_first()?;
        Some(Self::new(current.clone(), previous.to_vec()))
    }

    /// Whether both rings hold the same secrets in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let pairs = self.all().zip(other.all());
        self.previous.len() == other.previous.len()
            && pairs.fold(true, |same, (one, two)| same & same_text(one.expose(), two.expose()))
    }

    /// How many secrets of `older` this ring no longer holds.
    #[must_use]
    pub fn removed_since(&self, older: &Self) -> usize {
        let holds = |text: &str| self.all().any(|secret| same_text(secret.expose(), text));
        older.all().filter(|secret| !holds(secret.expose())).count()
    }
}

macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}
redacted!(Password, PlainToken, ShortCode, Secret, SecretRing, TokenHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_only_in_its_one_spelling() {
        let token = PlainToken::generate().unwrap();
        let text = token.expose();
        assert_eq!(text.len(), 43);
        assert_eq!(PlainToken::parse(&text).unwrap().hash(), token.hash());
        assert!(PlainToken::parse(&format!("{text}=")).is_none());
        assert!(PlainToken::parse(&text[1..]).is_none());
        assert!(PlainToken::parse("").is_none());
    }

    #[test]
    fn hexadecimal_has_one_spelling() {
        let hash = TokenHash::of("a");
        assert_eq!(TokenHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(TokenHash::from_hex(&hash.to_hex().to_uppercase()), None);
        assert_eq!(TokenHash::from_hex("é"), None);
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(TokenHash::from_hex(&digits).unwrap().to_hex(), digits);
        for byte in (0..128_u8).filter(|byte| !digits.as_bytes().contains(byte)) {
            for at in [0, 1, 62, 63] {
                let mut strange = digits.clone();
                strange.replace_range(at..=at, &char::from(byte).to_string());
                assert_eq!(TokenHash::from_hex(&strange), None, "{strange}");
            }
        }
        for length in [0, 62, 63, 65, 66] {
            assert_eq!(TokenHash::from_hex(&"0".repeat(length)), None);
        }
    }

    #[test]
    fn nothing_secret_prints() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Password::new("hunter2hunter2"),
            Secret::new("sesame-sesame"),
            PlainToken([7; 32])
        );
        assert_eq!(shown, "Password([redacted]) Secret([redacted]) PlainToken([redacted])");
    }

    #[test]
    fn a_code_is_eight_digits_however_it_is_typed() {
        let code = ShortCode::generate().unwrap();
        assert_eq!(code.expose().len(), ShortCode::DIGITS);
        let spaced = format!(" {} {} ", &code.expose()[..4], &code.expose()[4..]);
        assert_eq!(ShortCode::parse(&spaced).unwrap().expose(), code.expose());
        for wrong in ["", "1234567", "123456789", "1234567a", "１２３４５６７８", "1234567\u{0660}"] {
            assert!(ShortCode::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(TokenHash::of_parts(&["a", "bc"]), TokenHash::of_parts(&["ab", "c"]));
        assert_ne!(TokenHash::of_parts(&["a"]), TokenHash::of_parts(&["a", ""]));
        assert!(
            TokenHash::of("a").same(&TokenHash::of("a")) && !TokenHash::of("a").same(&TokenHash::of("b"))
        );
    }

    #[test]
    fn ten_thousand_ids_are_distinct() {
        let ids: std::collections::HashSet<String> =
            (0..10_000).map(|_| PlainToken::generate().unwrap().expose()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
