//! LINE: <https://developers.line.biz/en/docs/line-login/integrate-line-login/>.
//!
//! ID tokens of web sign-in are signed with the channel's secret (HS256). The address does not say whether it is proven,
//! and is given only to a channel that has the email address permission.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oidc("line", "LINE", "https://access.line.me")
    .scope("openid profile email")
    .client_secret_post()
    .id_token_algorithms(&["HS256"])
    .email_permission("Email address permission")
    .email_verified("");
