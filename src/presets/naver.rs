//! Naver: <https://developers.naver.com/docs/login/api/api.md>.
//!
//! The address is one for contact, which the person may have typed: it never counts as proven.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oauth(
    "naver",
    "Naver",
    "https://nid.naver.com/oauth2.0/authorize",
    "https://nid.naver.com/oauth2.0/token",
    "https://openapi.naver.com/v1/nid/me",
)
.client_secret_post()
.id("response.id")
.name("response.nickname|response.name")
.email("response.email")
.image("response.profile_image");
