//! GitHub: <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>.
//!
//! The profile shows an address only when the person made it public, and does not say whether it is proven; the list of
//! addresses does.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oauth(
    "github",
    "GitHub",
    "https://github.com/login/oauth/authorize",
    "https://github.com/login/oauth/access_token",
    "https://api.github.com/user",
)
.emails_url("https://api.github.com/user/emails")
.scope("read:user user:email")
.name("name|login")
.image("avatar_url");
