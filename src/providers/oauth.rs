//! OAuth 2.0 with a profile at an address of its own.

use serde_json::{Map, Value};

use super::ProviderError;
use super::http::Http;

/// A provider that speaks OAuth 2.0 only.
#[derive(Debug)]
pub(super) struct OAuth {
    pub(super) authorization_url: String,
    pub(super) token_url: String,
    userinfo_url: String,
    emails_url: Option<String>,
    http: Http,
}

impl OAuth {
    pub(super) fn new(
        http: &Http,
        authorization_url: &str,
        token_url: &str,
        userinfo_url: &str,
        emails_url: Option<&str>,
    ) -> Self {
        Self {
            authorization_url: authorization_url.to_owned(),
            token_url: token_url.to_owned(),
            userinfo_url: userinfo_url.to_owned(),
            emails_url: emails_url.map(str::to_owned),
            http: http.clone(),
        }
    }

    /// What stands for an issuer: the origin that vouched. A provider that is pointed elsewhere takes nobody along.
    pub(super) fn issuer(&self) -> String {
        url::Url::parse(&self.token_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// The profile.
    pub(super) async fn identify(&self, access_token: &str) -> Result<Map<String, Value>, ProviderError> {
        let profile = self.http.get(&self.userinfo_url, Some(access_token)).await?;
        let Value::Object(mut claims) = profile else {
            return Err(ProviderError::Profile("the profile is no object".to_owned()));
        };
        if let Some(address) = &self.emails_url {
            let list = self.http.get(address, Some(access_token)).await?;
            // The list is the only source then: the profile's own address may be any that was once typed.
            claims.remove("email");
            claims.remove("email_verified");
            if let Some((email, verified)) = best_address(&list) {
                claims.insert("email".to_owned(), email.into());
                claims.insert("email_verified".to_owned(), verified.into());
            }
        }
        Ok(claims)
    }

    /// The rule for whether the address is proven: that of the list, when there is one.
    pub(super) fn proof_rule<'a>(&self, configured: &'a str) -> &'a str {
        if self.emails_url.is_some() { "email_verified" } else { configured }
    }
}

/// The primary address; else the first that is proven.
fn best_address(list: &Value) -> Option<(String, bool)> {
    let flag = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
    let entries = list.as_array()?;
    let found = entries
        .iter()
        .find(|entry| flag(entry, "primary"))
        .or_else(|| entries.iter().find(|entry| flag(entry, "verified")))?;
    Some((found.get("email")?.as_str()?.to_owned(), flag(found, "verified")))
}
