//! `[providers.NAME]`: other sites that people sign in with.

use url::Url;

use crate::presets::ClientAuth;
use crate::secret::Secret;

/// A site people sign in with: its preset, and over it what Rocket.toml says.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the keys of the same name")]
pub struct ProviderConfig {
    /// The table's name: the path segment of its routes.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where its endpoints are.
    pub endpoints: Endpoints,
    /// `client_id`.
    pub client_id: String,
    /// How the client proves itself.
    pub client_secret: ClientSecret,
    /// Where it puts the proof.
    pub client_auth: ClientAuth,
    /// What is asked for.
    pub scope: String,
    /// Further parameters of the authorization request.
    pub parameters: Vec<(String, String)>,
    /// Whether the answer comes back by POST.
    pub form_post: bool,
    /// Algorithms of ID tokens; empty: those that the discovery document names.
    pub id_token_algorithms: Vec<String>,
    /// Algorithms besides.
    pub further_algorithms: Vec<String>,
    /// Whether the issuer differs from tenant to tenant.
    pub multi_tenant: bool,
    /// What the site calls the permission to tell the address, if it has a name.
    pub email_permission: &'static str,
    /// Which field of the profile means what.
    pub profile: ProfileRules,
    /// Whether people who are new make an account by signing in.
    pub sign_up: bool,
    /// Whether a proven address here and there is one person.
    pub link_by_email: bool,
}

/// Where a site's endpoints are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the keys of the same name")]
pub enum Endpoints {
    /// OpenID Connect: in the issuer's discovery document.
    Oidc { issuer: String },
    /// OAuth 2.0: here.
    OAuth { authorization_url: String, token_url: String, userinfo_url: String, emails_url: Option<String> },
}

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone)]
pub enum ClientSecret {
    /// Not at all: a public client, protected by PKCE alone.
    None,
    /// By a text.
    Text(Secret),
    /// By a token that it signs itself, as Apple wants it.
    Signed {
        /// `team_id`.
        team_id: String,
        /// `key_id`.
        key_id: String,
        /// `private_key`: PKCS #8 in PEM.
        private_key: Secret,
    },
}

/// Which field of a profile means what; see [the rules](crate::presets#rules).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the keys of the same name")]
pub struct ProfileRules {
    pub id: String,
    pub name: String,
    pub email: String,
    pub email_verified: String,
    pub image: String,
}

/// Whether a secret may be sent there: https, or this very machine.
#[must_use]
pub fn is_endpoint(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

#[cfg(test)]
mod tests {
    use super::is_endpoint;

    #[test]
    fn secrets_go_over_tls_or_stay_on_this_machine() {
        for fine in [
            "https://id.example",
            "https://id.example/a?b=c",
            "http://localhost:1/x",
            "http://127.0.0.1",
            "http://[::1]:2",
        ] {
            assert!(is_endpoint(fine), "{fine}");
        }
        for wrong in [
            "http://id.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "ftp://localhost",
            "https://user@id.example",
            "https://id.example#x",
            "javascript:alert(1)",
            "id.example",
            "http://169.254.169.254",
        ] {
            assert!(!is_endpoint(wrong), "{wrong}");
        }
    }
}
