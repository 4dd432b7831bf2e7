//! Other sites that people sign in with, as data: one small file each.
//!
//! A preset says where a site's endpoints are and which field of its answers means what. Everything in it can be
//! overridden in Rocket.toml; a site without a preset needs only an `issuer` (OpenID Connect) or its endpoints and a
//! profile mapping (OAuth 2.0) there.
//!
//! ```toml
//! [default.auth.providers.github]      # a preset's id, or any name with `preset = "github"`
//! client_id = "…"
//! client_secret = "…"
//! ```
//!
//! # Adding one
//! One file with a [`Preset`], and one line: in an application, [`crate::Countersign::preset`]; here, in the list below.
//!
//! ```
//! use countersign::presets::Preset;
//!
//! pub const PRESET: Preset = Preset::oauth(
//!     "acme",
//!     "Acme",
//!     "https://acme.example/oauth/authorize",
//!     "https://acme.example/oauth/token",
//!     "https://acme.example/api/me",
//! )
//! .scope("profile email")
//! .email_verified("email_confirmed");
//! ```
//!
//! # Rules
//! A rule names a field of the profile: a path (`account.email`), or a text with paths in it
//! (`https://acme.example/{id}.png`). Of several, divided by `|`, the first that is there counts. `email_verified` is a
//! list of paths divided by `&`: the address counts as proven when all of them are true, and never when there are none.
//! Say so only of a site that checks addresses itself and tells that it did.

mod apple;
mod discord;
mod github;
mod gitlab;
mod google;
mod kakao;
mod line;
mod microsoft;
mod naver;

/// Every preset that comes with the library.
pub const PRESETS: &[Preset] = &[
    apple::PRESET,
    discord::PRESET,
    github::PRESET,
    gitlab::PRESET,
    google::PRESET,
    kakao::PRESET,
    line::PRESET,
    microsoft::PRESET,
    naver::PRESET,
];

/// What is known about a site. Made by [`Preset::oidc`] or [`Preset::oauth`] and what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preset {
    /// The id: the default name of the provider.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// Where its endpoints are.
    pub endpoints: PresetEndpoints,
    /// What is asked for, divided by blanks.
    pub scope: &'static str,
    /// Further parameters of the authorization request.
    pub parameters: &'static [(&'static str, &'static str)],
    /// How the client proves itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// Whether the answer comes back by POST (`response_mode=form_post`).
    pub form_post: bool,
    /// Algorithms of ID tokens besides those that the site's discovery document names.
    pub id_token_algorithms: &'static [&'static str],
    /// Whether the issuer holds `{tenantid}`, to be filled in from the ID token's `tid`.
    pub multi_tenant: bool,
    /// What the site calls the permission to tell the address, when people or the operator may leave it out; else empty.
    pub email_permission: &'static str,
    /// Which field means what.
    pub profile: PresetProfile,
}

/// Where a site's endpoints are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetEndpoints {
    /// OpenID Connect: in the issuer's discovery document.
    Oidc {
        /// The issuer identifier, exactly as the site writes it.
        issuer: &'static str,
    },
    /// OAuth 2.0: here.
    OAuth {
        /// Where people go.
        authorization_url: &'static str,
        /// Where the code is exchanged.
        token_url: &'static str,
        /// Where the profile is.
        userinfo_url: &'static str,
        /// Where a list of `{email, primary, verified}` is, when the profile does not tell.
        emails_url: Option<&'static str>,
    },
}

/// Which field of a profile means what; see the [rules](self#rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the same name")]
pub struct PresetProfile {
    pub id: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub email_verified: &'static str,
    pub image: &'static str,
}

/// How the client proves itself at the token endpoint (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the form.
    Post,
}

impl Preset {
    /// A site that speaks OpenID Connect and has a discovery document.
    #[must_use]
    pub const fn oidc(id: &'static str, name: &'static str, issuer: &'static str) -> Self {
        Self {
            scope: "openid email profile",
            profile: PresetProfile {
                id: "sub",
                name: "name|nickname|preferred_username",
                email: "email",
                email_verified: "email_verified",
                image: "picture",
            },
            ..Self::new(id, name, PresetEndpoints::Oidc { issuer })
        }
    }

    /// A site that speaks OAuth 2.0 only, and tells the profile at an address of its own.
    #[must_use]
    pub const fn oauth(
        id: &'static str,
        name: &'static str,
        authorization_url: &'static str,
        token_url: &'static str,
        userinfo_url: &'static str,
    ) -> Self {
        let endpoints =
            PresetEndpoints::OAuth { authorization_url, token_url, userinfo_url, emails_url: None };
        Self::new(id, name, endpoints)
    }

    const fn new(id: &'static str, name: &'static str, endpoints: PresetEndpoints) -> Self {
        Self {
            id,
            name,
            endpoints,
            scope: "",
            parameters: &[],
            client_auth: ClientAuth::Basic,
            form_post: false,
            id_token_algorithms: &[],
            multi_tenant: false,
            email_permission: "",
            profile: PresetProfile {
                id: "id",
                name: "name",
                email: "email",
                email_verified: "",
                image: "picture",
            },
        }
    }

    /// Asks for this instead.
    #[must_use]
    pub const fn scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }

    /// Sends further parameters with the authorization request.
    #[must_use]
    pub const fn parameters(mut self, parameters: &'static [(&'static str, &'static str)]) -> Self {
        self.parameters = parameters;
        self
    }

    /// The client proves itself in the form, not in the header.
    #[must_use]
    pub const fn client_secret_post(mut self) -> Self {
        self.client_auth = ClientAuth::Post;
        self
    }

    /// The answer comes back by POST.
    #[must_use]
    pub const fn form_post(mut self) -> Self {
        self.form_post = true;
        self
    }

    /// ID tokens may be signed so, too.
    #[must_use]
    pub const fn id_token_algorithms(mut self, algorithms: &'static [&'static str]) -> Self {
        self.id_token_algorithms = algorithms;
        self
    }

    /// The issuer differs from tenant to tenant.
    #[must_use]
    pub const fn multi_tenant(mut self) -> Self {
        self.multi_tenant = true;
        self
    }

    /// The address is told only with a permission of this name: whoever comes without it is shown the name.
    #[must_use]
    pub const fn email_permission(mut self, name: &'static str) -> Self {
        self.email_permission = name;
        self
    }

    /// Addresses stand in a list of their own; OAuth 2.0 only.
    #[must_use]
    pub const fn emails_url(mut self, url: &'static str) -> Self {
        if let PresetEndpoints::OAuth { authorization_url, token_url, userinfo_url, .. } = self.endpoints {
            let emails_url = Some(url);
            self.endpoints =
                PresetEndpoints::OAuth { authorization_url, token_url, userinfo_url, emails_url };
        }
        self
    }

    /// The rule for the subject identifier: unique at the site and never reassigned.
    #[must_use]
    pub const fn id(mut self, rule: &'static str) -> Self {
        self.profile.id = rule;
        self
    }

    /// The rule for the name.
    #[must_use]
    pub const fn name(mut self, rule: &'static str) -> Self {
        self.profile.name = rule;
        self
    }

    /// The rule for the address.
    #[must_use]
    pub const fn email(mut self, rule: &'static str) -> Self {
        self.profile.email = rule;
        self
    }

    /// The rule for whether the address is proven; empty: never.
    #[must_use]
    pub const fn email_verified(mut self, rule: &'static str) -> Self {
        self.profile.email_verified = rule;
        self
    }

    /// The rule for the picture.
    #[must_use]
    pub const fn image(mut self, rule: &'static str) -> Self {
        self.profile.image = rule;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_once() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/presets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".rs", ""))
            .filter(|name| name != "mod")
            .collect();
        files.sort();
        let ids: Vec<&str> = PRESETS.iter().map(|preset| preset.id).collect();
        assert_eq!(ids, files);
    }
}
