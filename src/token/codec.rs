//! All formats behind one door.

use super::v3::{self, V3};
use super::v3_encrypted::V3Encrypted;
use super::v4::V4;
use super::v5::V5;
use super::validate::{self, CLOCK_TOLERANCE};
use super::{Cause, Claims, Format, MintError, Rejected, session_cookie_name};
use crate::clock::Timestamp;
use crate::secret::{SecretRing, hex, random_bytes};

/// Longer tokens are refused before anything is decoded.
const MAX_TOKEN: usize = 16 * 1024;

/// How a [`Codec`] is made.
#[derive(Debug, Clone)]
pub struct CodecOptions<'a> {
    /// The secrets: the first mints, all verify.
    pub secrets: &'a SecretRing,
    /// The format that is minted, and read.
    pub mint: Format,
    /// Formats that are read besides.
    pub accept: &'a [Format],
    /// Whether the site is served over https: v5's keys depend on the cookie's name.
    pub secure_cookies: bool,
    /// v3 refuses tokens that were issued longer ago than this, seconds.
    pub max_age: i64,
}

/// A token that was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// What it holds.
    pub claims: Claims,
    /// How it was written.
    pub format: Format,
}

/// Mints and verifies session tokens. Keys are derived once, here; make one and share it.
pub struct Codec {
    mint: Format,
    accept: Vec<Format>,
    max_age: i64,
    v3: V3,
    v3_encrypted: V3Encrypted,
    v4: V4,
    v5: V5,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec")
            .field("mint", &self.mint)
            .field("accept", &self.accept)
            .finish_non_exhaustive()
    }
}

impl Codec {
    /// Derives all keys.
    #[must_use]
    pub fn new(options: CodecOptions<'_>) -> Self {
        let cookie = session_cookie_name(Format::AuthJsV5, options.secure_cookies);
        Self::named(options, cookie)
    }

    /// As [`Codec::new`], where the session cookie has another name: v5's keys depend on it.
    #[must_use]
    pub fn named(options: CodecOptions<'_>, cookie: &str) -> Self {
        let CodecOptions { secrets, mint, accept, max_age, .. } = options;
        let mut formats = vec![mint];
        formats.extend(accept.iter().filter(|format| **format != mint));
        Self {
            mint,
            accept: formats,
            max_age,
            v3: V3::new(secrets),
            v3_encrypted: V3Encrypted::new(secrets),
            v4: V4::new(secrets),
            v5: V5::new(secrets, cookie),
        }
    }

    /// Mints a token with these claims, issued and expiring at these moments, under a fresh `jti`.
    ///
    /// # Errors
    /// [`MintError`] when there are no random bytes, and [`MintError::TooLarge`] rather than a token that would not be read.
    pub fn mint(
        &self,
        claims: &Claims,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, MintError> {
        let mut claims = claims.clone();
        claims.set("iat", issued_at.0);
        claims.set("exp", expires_at.0);
        claims.set("jti", uuid_v4()?);
        let token = match self.mint {
            Format::NextAuthV3 => self.v3.mint(&claims),
            Format::NextAuthV3Encrypted => self.v3_encrypted.mint(&claims),
            Format::NextAuthV4 => self.v4.mint(&claims),
            Format::AuthJsV5 => self.v5.mint(&claims),
        }?;
        if token.len() > MAX_TOKEN { Err(MintError::TooLarge) } else { Ok(token) }
    }

    /// Verifies a session token: as [`Codec::decode`], and it must name somebody and an end.
    ///
    /// # Errors
    /// [`Rejected`]; tell nobody outside more than that.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Rejected> {
        let verified = self.decode(token, now)?;
        validate::session(&verified.claims).map_err(Rejected::Invalid)?;
        Ok(verified)
    }

    /// Opens a token as the real packages' `decode` does: by the formats that are configured, never by what its header
    /// asks for. What it holds may lack a subject or an end; for sessions use [`Codec::verify`].
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn decode(&self, token: &str, now: Timestamp) -> Result<Verified, Rejected> {
        if token.len() > MAX_TOKEN {
            return Err(Rejected::Invalid(Cause::TooLarge));
        }
        let mut cause = Cause::Algorithm;
        for format in &self.accept {
            match self.open(*format, token) {
                Ok(claims) => {
                    validate::purpose(&claims).map_err(Rejected::Invalid)?;
                    self.check(*format, &claims, now)?;
                    return Ok(Verified { claims, format: *format });
                }
                Err(found) => cause = found,
            }
        }
        Err(Rejected::Invalid(cause))
    }

    fn open(&self, format: Format, token: &str) -> Result<Claims, Cause> {
        match format {
            Format::NextAuthV3 => self.v3.open(token),
            Format::NextAuthV3Encrypted => self.v3_encrypted.open(token),
            Format::NextAuthV4 => self.v4.open(token),
            Format::AuthJsV5 => self.v5.open(token),
        }
    }

    fn check(&self, format: Format, claims: &Claims, now: Timestamp) -> Result<(), Rejected> {
        if matches!(format, Format::NextAuthV4 | Format::AuthJsV5) {
            return validate::times(claims, now, CLOCK_TOLERANCE);
        }
        // v3 allows no tolerance at all. For an end that is right; but a token that another instance has just issued by a
        // clock a few seconds ahead must not look invalid.
        validate::times(claims, now, 0)?;
        if claims.issued_at().is_some_and(|issued| issued > now.plus(CLOCK_TOLERANCE)) {
            return Err(Rejected::NotYetValid);
        }
        v3::check(claims, now, self.max_age).map_err(|cause| match cause {
            Cause::TooOld => Rejected::Expired,
            cause => Rejected::Invalid(cause),
        })
    }
}

/// A random UUID, version 4 (RFC 9562 section 5.4), as the real packages put into `jti`.
fn uuid_v4() -> Result<String, MintError> {
    let mut bytes = random_bytes::<16>().map_err(|_| MintError::Entropy)?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    let text = hex(&bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const ALL: [Format; 4] =
        [Format::NextAuthV3, Format::NextAuthV3Encrypted, Format::NextAuthV4, Format::AuthJsV5];

    fn codec(mint: Format, accept: &[Format], secrets: &[&str]) -> Codec {
        let (current, previous) = secrets.split_first().unwrap();
        let previous = previous.iter().map(|text| Secret::new(*text)).collect();
        let secrets = SecretRing::new(Secret::new(*current), previous);
        Codec::new(CodecOptions { secrets: &secrets, mint, accept, secure_cookies: false, max_age: 1000 })
    }

    fn claims() -> Claims {
        let mut claims = Claims::default();
        claims.set("sub", "1815");
        claims
    }

    #[test]
    fn every_format_reads_its_own_and_only_what_is_listed() {
        for mint in ALL {
            let token = codec(mint, &[], &["a"]).mint(&claims(), NOW, NOW.plus(100)).unwrap();
            for read in ALL {
                let verdict = codec(read, &[], &["a"]).verify(&token, NOW);
                assert_eq!(verdict.is_ok(), mint == read, "{mint:?} read as {read:?}");
                assert_eq!(codec(read, &ALL, &["a"]).verify(&token, NOW).unwrap().format, mint);
            }
        }
    }

    #[test]
    fn old_secrets_verify_until_they_are_removed() {
        for format in ALL {
            let token = codec(format, &[], &["old"]).mint(&claims(), NOW, NOW.plus(100)).unwrap();
            assert!(codec(format, &[], &["new", "old"]).verify(&token, NOW).is_ok(), "{format:?}");
            assert!(codec(format, &[], &["new"]).verify(&token, NOW).is_err(), "{format:?}");
        }
    }

    #[test]
    fn jti_is_a_random_uuid() {
        let uuid = uuid_v4().unwrap();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
        assert_ne!(uuid, uuid_v4().unwrap());
    }
}
