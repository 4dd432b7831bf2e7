//! Apple: <https://developer.apple.com/documentation/signinwithapple>.
//!
//! The client's secret is a token signed with a key of yours: give `team_id`, `key_id` and `private_key` (the .p8 file's
//! text) instead of `client_secret`. The name comes once, with the first sign-in, from the browser.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oidc("apple", "Apple", "https://appleid.apple.com")
    .scope("openid name email")
    .form_post()
    .client_secret_post()
    .image("");
