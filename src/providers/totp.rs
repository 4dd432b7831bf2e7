//! Time-based one-time codes (RFC 6238): six digits, steps of 30 seconds, one step of tolerance either way.
//!
//! A code tells its step, and the store accepts a step once and only forward: the same code does not work twice, neither
//! in its own step nor in the next (ASVS 5.0, 6.5.1). The secret is 160 random bits (RFC 4226 section 4), sealed for its
//! owner wherever it is kept.

use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::{Builder, Secret as TotpSecret, Totp, TotpError};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::secret::{EntropyError, random_bytes};

/// Seconds of a step.
pub const STEP: i64 = 30;

/// A secret shared with the person's app.
#[derive(Clone)]
pub struct TotpKey(Zeroizing<[u8; 20]>);

impl std::fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpKey([redacted])")
    }
}

impl TotpKey {
    /// A fresh one.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, EntropyError> {
        Ok(Self(Zeroizing::new(random_bytes()?)))
    }

    /// From the bytes that were sealed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 20]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes, to be sealed and nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The text that a person types into an app when there is no camera: base32.
    #[must_use]
    pub fn to_base32(&self) -> String {
        TotpSecret::from(*self.0).to_base32()
    }

    /// The `otpauth:` URL that apps read.
    ///
    /// # Errors
    /// What the crate says of the names.
    pub fn url(&self, site: &str, account: &str) -> Result<String, TotpError> {
        // A colon separates the two names in the URL.
        let plain = |text: &str| text.replace(':', " ");
        self.totp(Some(plain(site)), plain(account))?.to_url()
    }

    /// The URL as a picture: SVG without scripts or styles.
    #[must_use]
    pub fn qr(url: &str) -> Option<String> {
        let code = QrCode::new(url.as_bytes()).ok()?;
        let mut renderer = code.render::<svg::Color<'_>>();
        renderer
            .min_dimensions(220, 220)
            .dark_color(svg::Color("#000000"))
            .light_color(svg::Color("#ffffff"));
        let picture = renderer.build();
        // Inside a page there is no XML declaration.
        Some(picture.split_once("?>").map_or(picture.clone(), |(_, svg)| svg.to_owned()))
    }

    /// The step whose code this is, at `now` or one step beside it.
    #[must_use]
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let well_formed = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
        let time = u64::try_from(now.0).ok().filter(|_| well_formed)?;
        let step = self.totp(None, String::new()).ok()?.check(code, time)?;
        i64::try_from(step).ok()
    }

    fn totp(&self, site: Option<String>, account: String) -> Result<Totp, TotpError> {
        let builder = Builder::new().with_secret(TotpSecret::from(*self.0)).with_skew(1);
        builder.with_issuer(site).with_account_name(account).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1, cut to six digits.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let key = TotpKey::from_bytes(b"12345678901234567890").unwrap();
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(key.step_of(code, Timestamp(time)), Some(time / STEP), "{time}");
            assert_eq!(key.step_of(code, Timestamp(time + STEP)), Some(time / STEP), "one step late");
            assert_eq!(key.step_of(code, Timestamp(time + 3 * STEP)), None, "three steps late");
        }
        for wrong in ["", "28708", "2870822", " 287082", "２８７０８２", "abcdef", "287083"] {
            assert_eq!(key.step_of(wrong, Timestamp(59)), None, "{wrong}");
        }
    }

    #[test]
    fn a_url_and_a_picture_are_made() {
        let key = TotpKey::generate().unwrap();
        let url = key.url("My: site", "ada@example.com").unwrap();
        assert!(url.starts_with("otpauth://totp/") && url.contains(&key.to_base32()), "{url}");
        let picture = TotpKey::qr(&url).unwrap();
        assert!(picture.trim_start().starts_with("<svg") && !picture.contains("script"));
        assert!(!format!("{key:?}").contains(&key.to_base32()));
    }
}
