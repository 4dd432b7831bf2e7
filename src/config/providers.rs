//! Reading `[providers.NAME]`.

use super::provider::{ClientSecret, Endpoints, ProfileRules, ProviderConfig, is_endpoint};
use super::read::{Reader, shown, whole};
use crate::presets::{ClientAuth, Preset, PresetEndpoints};
use crate::secret::Secret;

/// Tables below `providers` that are no other sites.
pub(super) const OWN: [&str; 2] = ["credentials", "email"];

/// Algorithms that ID tokens may be signed with; `none` is not among them.
const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS512"];

/// Reads every table below `providers` that is another site.
pub(super) fn read(reader: &mut Reader<'_>, presets: &[Preset]) -> Vec<ProviderConfig> {
    let names = reader.tables("providers");
    let others = names.into_iter().filter(|name| !OWN.contains(&name.as_str()));
    others.filter_map(|id| Table { reader, prefix: format!("providers.{id}") }.read(&id, presets)).collect()
}

/// One table.
struct Table<'a, 'f> {
    reader: &'a mut Reader<'f>,
    prefix: String,
}

impl Table<'_, '_> {
    fn read(&mut self, id: &str, presets: &[Preset]) -> Option<ProviderConfig> {
        let enabled = self.switch("enabled", true);
        if !is_name(id) {
            let key = self.prefix.clone();
            self.reader.wrong(&key, "no name for a provider", "1 to 32 of a-z, 0-9, - and _");
            return None;
        }
        let preset = self.preset(id, presets);
        let endpoints = self.endpoints(id, preset.ok()?, presets);
        let preset = preset.ok()?;
        let client_id = self.identifier("client_id");
        let client_secret = self.client_secret();
        let scope = self.text("scope");
        let config = ProviderConfig {
            id: id.to_owned(),
            name: self.text("name").unwrap_or_else(|| preset.map_or(id, |preset| preset.name).to_owned()),
            client_auth: self.client_auth(preset),
            scope: scope.unwrap_or_else(|| usual_scope(preset, endpoints.as_ref())),
            parameters: self.parameters(preset),
            form_post: self.form_post(preset),
            id_token_algorithms: self.algorithms(),
            further_algorithms: preset
                .map(|preset| preset.id_token_algorithms.iter().map(|name| (*name).to_owned()).collect())
                .unwrap_or_default(),
            multi_tenant: preset.is_some_and(|preset| preset.multi_tenant),
            email_permission: preset.map_or("", |preset| preset.email_permission),
            profile: self.profile(preset, endpoints.as_ref()),
            sign_up: self.switch("sign_up", true),
            link_by_email: self.switch("link_by_email", false),
            endpoints: endpoints?,
            client_id: client_id?,
            client_secret: client_secret?,
        };
        enabled.then_some(config)
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn wrong(&mut self, name: &str, found: impl Into<String>, expected: impl Into<String>) {
        let key = self.key(name);
        self.reader.wrong(&key, found, expected);
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let key = self.key(name);
        self.reader.text(&key)
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        let key = self.key(name);
        self.reader.switch(&key, default)
    }

    /// The preset that is named, or whose id the table has; `Ok(None)` when there is none and none is named.
    fn preset<'p>(&mut self, id: &str, presets: &'p [Preset]) -> Result<Option<&'p Preset>, ()> {
        let find = |name: &str| presets.iter().find(|preset| preset.id == name);
        let Some(named) = self.text("preset") else {
            return Ok(find(id));
        };
        let found = find(&named);
        if found.is_none() {
            let ids: Vec<&str> = presets.iter().map(|preset| preset.id).collect();
            let nearest = ids.iter().min_by_key(|id| strsim::damerau_levenshtein(id, &named));
            let nearest = nearest.copied().unwrap_or_default();
            let expected = format!("one of {}; the nearest is \"{nearest}\"", ids.join(", "));
            self.wrong("preset", format!("{named:?}"), expected);
        }
        found.map(Some).ok_or(())
    }

    fn endpoints(&mut self, id: &str, preset: Option<&Preset>, presets: &[Preset]) -> Option<Endpoints> {
        let usual = preset.map(|preset| preset.endpoints);
        let issuer = self.issuer();
        let authorization_url = self.endpoint("authorization_url");
        let token_url = self.endpoint("token_url");
        let userinfo_url = self.endpoint("userinfo_url");
        let emails_url = self.endpoint("emails_url");
        if let Some(issuer) = issuer {
            if authorization_url.is_some() || token_url.is_some() {
                self.wrong("issuer", "set beside endpoints", "either `issuer`, or the endpoints");
            }
            return Some(Endpoints::Oidc { issuer });
        }
        let known = match usual {
            Some(PresetEndpoints::Oidc { issuer }) => {
                return Some(Endpoints::Oidc { issuer: issuer.to_owned() });
            }
            Some(PresetEndpoints::OAuth { authorization_url, token_url, userinfo_url, emails_url }) => {
                [Some(authorization_url), Some(token_url), Some(userinfo_url), emails_url]
            }
            None if self.is_set("issuer") => return None,
            None => [None; 4],
        };
        let [auth, token, userinfo, emails] = known.map(|url| url.map(str::to_owned));
        let whole = (authorization_url.or(auth), token_url.or(token), userinfo_url.or(userinfo));
        let (Some(authorization_url), Some(token_url), Some(userinfo_url)) = whole else {
            let missing =
                ["authorization_url", "token_url", "userinfo_url"].iter().all(|name| !self.is_set(name));
            self.incomplete(id, missing, presets);
            return None;
        };
        let emails_url = emails_url.or(emails);
        Some(Endpoints::OAuth { authorization_url, token_url, userinfo_url, emails_url })
    }

    /// Neither an issuer nor all endpoints: most likely a name that is spelt wrong.
    fn incomplete(&mut self, id: &str, nothing: bool, presets: &[Preset]) {
        let names = presets.iter().map(|preset| preset.id).chain(OWN);
        let nearest = names.min_by_key(|name| strsim::damerau_levenshtein(name, id)).unwrap_or_default();
        let is_near = strsim::damerau_levenshtein(nearest, id) <= 2;
        let hint = if is_near { format!("; the nearest known name is `{nearest}`") } else { String::new() };
        let found = if nothing { "a provider that is not known" } else { "a provider without all endpoints" };
        let expected = format!(
            "`preset`, or `issuer`, or `authorization_url`, `token_url` and `userinfo_url`, in it{hint}"
        );
        let key = self.prefix.clone();
        self.reader.wrong(&key, found, expected);
    }

    fn is_set(&self, name: &str) -> bool {
        self.reader.value(&self.key(name)).is_some()
    }

    fn issuer(&mut self) -> Option<String> {
        let text = self.text("issuer")?;
        let sound = is_endpoint(&text) && !text.contains('?');
        if !sound {
            self.wrong(
                "issuer",
                format!("{text:?}"),
                "an https:// URL without query (http:// only on this machine)",
            );
        }
        sound.then_some(text)
    }

    fn endpoint(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let sound = is_endpoint(&text);
        if !sound {
            self.wrong(name, format!("{text:?}"), "an https:// URL (http:// only on this machine)");
        }
        sound.then_some(text)
    }

    /// Client ids are often numbers.
    fn identifier(&mut self, name: &str) -> Option<String> {
        let key = self.key(name);
        match self.reader.value(&key) {
            Some(figment::value::Value::String(_, text)) if !text.trim().is_empty() => Some(text),
            Some(figment::value::Value::Num(_, number)) if whole(number).is_some_and(|n| n >= 0) => {
                whole(number).map(|number| number.to_string())
            }
            None => {
                self.wrong(name, "missing", "the id that the other site gave this one");
                None
            }
            Some(other) => {
                self.wrong(name, shown(&other), "a text in quotes");
                None
            }
        }
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        let key = self.key(name);
        match self.reader.value(&key)? {
            figment::value::Value::String(_, text) if !text.trim().is_empty() => Some(Secret::new(text)),
            // What it is instead is not shown: it is a secret all the same.
            _ => {
                self.wrong(name, "no text", "a text in quotes, in a variable too: '\"…\"'");
                None
            }
        }
    }

    fn client_secret(&mut self) -> Option<ClientSecret> {
        let text = self.secret("client_secret");
        let signed = (self.text("team_id"), self.text("key_id"), self.secret("private_key"));
        match (text, signed) {
            (Some(text), (None, None, None)) => Some(ClientSecret::Text(text)),
            (None, (Some(team_id), Some(key_id), Some(private_key))) => {
                Some(ClientSecret::Signed { team_id, key_id, private_key })
            }
            // What was set and is wrong has been said.
            (None, (None, None, None)) if self.is_set("client_secret") || self.is_set("private_key") => None,
            (None, (None, None, None)) => Some(ClientSecret::None),
            _ => {
                let expected = "either `client_secret`, or `team_id`, `key_id` and `private_key` together";
                self.wrong("client_secret", "not the only proof, or a part of one", expected);
                None
            }
        }
    }

    fn client_auth(&mut self, preset: Option<&Preset>) -> ClientAuth {
        let key = self.key("client_auth");
        let choices = [("basic", ClientAuth::Basic), ("post", ClientAuth::Post)];
        let usual = preset.map_or(ClientAuth::Basic, |preset| preset.client_auth);
        self.reader.choice(&key, &choices).unwrap_or(usual)
    }

    fn form_post(&mut self, preset: Option<&Preset>) -> bool {
        let key = self.key("response_mode");
        let usual = preset.is_some_and(|preset| preset.form_post);
        self.reader.choice(&key, &[("query", false), ("form_post", true)]).unwrap_or(usual)
    }

    /// `name=value&…`, over the preset's own. What the flow itself sets cannot be set here.
    fn parameters(&mut self, preset: Option<&Preset>) -> Vec<(String, String)> {
        const OURS: [&str; 10] = [
            "client_id",
            "client_secret",
            "redirect_uri",
            "response_type",
            "response_mode",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
        ];
        let preset = preset.map(|preset| preset.parameters).unwrap_or_default();
        let mut all: Vec<(String, String)> =
            preset.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let Some(text) = self.text("parameters") else {
            return all;
        };
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if name.is_empty() || OURS.contains(&name.as_ref()) {
                self.wrong("parameters", format!("{name:?}"), "parameters that the flow does not set itself");
            }
            all.retain(|(known, _)| *known != name);
            all.push((name.into_owned(), value.into_owned()));
        }
        all
    }

    fn algorithms(&mut self) -> Vec<String> {
        let key = self.key("id_token_algorithms");
        let known = |text: &str| ALGORITHMS.contains(&text).then(|| text.to_owned());
        self.reader.list(&key, "an algorithm like \"RS256\"", known)
    }

    fn profile(&mut self, preset: Option<&Preset>, endpoints: Option<&Endpoints>) -> ProfileRules {
        let oidc = matches!(endpoints, Some(Endpoints::Oidc { .. }));
        let usual = match preset {
            Some(preset) => preset.profile,
            None if oidc => Preset::oidc("", "", "").profile,
            None => Preset::oauth("", "", "", "", "").profile,
        };
        let mut rule = |name: &str, usual: &str| {
            self.text(&format!("profile.{name}")).unwrap_or_else(|| usual.to_owned())
        };
        ProfileRules {
            id: rule("id", usual.id),
            name: rule("name", usual.name),
            email: rule("email", usual.email),
            email_verified: rule("email_verified", usual.email_verified),
            image: rule("image", usual.image),
        }
    }
}

fn usual_scope(preset: Option<&Preset>, endpoints: Option<&Endpoints>) -> String {
    match (preset, endpoints) {
        (Some(preset), _) => preset.scope.to_owned(),
        (None, Some(Endpoints::Oidc { .. })) => "openid email profile".to_owned(),
        _ => String::new(),
    }
}

fn is_name(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    !id.is_empty() && id.len() <= 32 && id.bytes().all(plain)
}
