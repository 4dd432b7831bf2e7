//! Kakao: <https://developers.kakao.com/docs/latest/en/kakaologin/rest-api>.
//!
//! The address is given only when the application has the consent item `account_email`.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oauth(
    "kakao",
    "Kakao",
    "https://kauth.kakao.com/oauth/authorize",
    "https://kauth.kakao.com/oauth/token",
    "https://kapi.kakao.com/v2/user/me",
)
.client_secret_post()
.name("kakao_account.profile.nickname|properties.nickname")
.email("kakao_account.email")
.email_permission("account_email")
.email_verified("kakao_account.is_email_valid&kakao_account.is_email_verified")
.image("kakao_account.profile.profile_image_url|properties.profile_image");
