//! Google: <https://developers.google.com/identity/openid-connect/openid-connect>.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oidc("google", "Google", "https://accounts.google.com");
