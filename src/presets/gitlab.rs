//! GitLab: <https://docs.gitlab.com/integration/openid_connect_provider/>. Set `issuer` for an instance of your own.

use super::Preset;

pub(super) const PRESET: Preset =
    Preset::oidc("gitlab", "GitLab", "https://gitlab.com").name("name|nickname");
