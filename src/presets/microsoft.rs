//! Microsoft: <https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc>.
//!
//! The `email` claim is whatever a tenant's administrator wrote ("nOAuth"): it is proven only when the optional claim
//! `xms_edov` says that the tenant owns the domain. Set `issuer` to admit one tenant only.

use super::Preset;

pub(super) const PRESET: Preset =
    Preset::oidc("microsoft", "Microsoft", "https://login.microsoftonline.com/common/v2.0")
        .multi_tenant()
        .client_secret_post()
        .email_verified("xms_edov")
        .image("");
