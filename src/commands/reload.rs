//! Reading the secrets anew when SIGHUP says so.

use std::collections::BTreeMap;

use countersign::secret::Secrets;
use rocket::figment::Figment;
use rocket::figment::value::{Dict, Value};

use crate::site;

/// The one key that may change while the service runs.
const SECRET: &str = "auth.secret";

/// From now on SIGHUP ends nothing; [`follow`] acts upon it.
#[cfg(unix)]
pub(super) fn listen() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}

/// Reads the configuration anew at every SIGHUP, and takes its secrets into use. `launched` is the configuration in force.
#[cfg(unix)]
pub(super) async fn follow(mut hangups: tokio::signal::unix::Signal, secrets: Secrets, launched: Figment) {
    while hangups.recv().await.is_some() {
        reload(&secrets, &launched, &site::figment());
    }
}

/// A configuration with errors changes nothing.
fn reload(secrets: &Secrets, launched: &Figment, figment: &Figment) {
    // A file that is no TOML holds no keys at all: that must not look like a configuration without them.
    if let Err(error) = rocket::Config::try_from(figment) {
        tracing::error!("the configuration cannot be read, and the secrets stay as they are: {error}");
        return;
    }
    match site::config(figment) {
        Ok(config) => {
            for key in changed_keys(launched, figment) {
                tracing::warn!(key, "this changed in the configuration, and counts from the next start only");
            }
            if !secrets.replace(config.secrets) {
                tracing::info!("the secrets are as they were; what comes from the environment cannot change");
            }
        }
        Err(errors) => {
            tracing::error!("the configuration has errors, and the secrets stay as they are\n{errors}");
        }
    }
}

/// The keys whose values differ, but for the secrets.
fn changed_keys(launched: &Figment, figment: &Figment) -> Vec<String> {
    let (old, new) = (values(launched), values(figment));
    let mut keys: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| key != SECRET && old.get(key) != new.get(key));
    keys
}

/// Every value by the full name of its key.
fn values(figment: &Figment) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect("", figment.extract::<Dict>().unwrap_or_default(), &mut found);
    found
}

fn collect(prefix: &str, dict: Dict, found: &mut BTreeMap<String, Value>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => collect(&key, inner, found),
            other => drop(found.insert(key, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign::secret::{Secret, SecretRing};
    use rocket::figment::providers::{Format as _, Toml};

    use super::*;

    const OLD: &str = "an-old-secret-of-this-test-alone-0123456789";
    const NEW: &str = "a-newer-secret-of-this-test-alone-0123456789";

    fn figment(secret: &str, rest: &str) -> Figment {
        let text = format!("[release]\nport = 8000\n[release.auth]\nsecret = {secret}\n{rest}");
        Figment::from(rocket::Config::release_default()).merge(Toml::string(&text).nested())
    }

    #[test]
    fn a_file_that_cannot_be_read_changes_nothing() {
        let secrets = Secrets::new(SecretRing::new(Secret::new(OLD), vec![]));
        let launched = figment(&format!("\"{OLD}\""), "");
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("database_url = \"sqlite://{}/x.db\"\n", folder.path().display());
        let debug = Figment::from(rocket::Config::debug_default()).merge(("auth.database_url", url));
        reload(&secrets, &launched, &debug.merge(Toml::string("[debug.auth\nsecret =").nested()));
        assert_eq!(secrets.generation(), 0, "not even a development secret is made instead");
    }

    #[test]
    fn only_the_secrets_change_and_only_without_errors() {
        let secrets = Secrets::new(SecretRing::new(Secret::new(OLD), vec![]));
        let launched = figment(&format!("\"{OLD}\""), "");
        reload(&secrets, &launched, &figment("\"short\"", ""));
        assert_eq!((secrets.generation(), secrets.ring().current().expose()), (0, OLD));
        let both = figment(&format!("[\"{NEW}\", \"{OLD}\"]"), "site_name = \"Another\"\n");
        reload(&secrets, &launched, &both);
        assert_eq!((secrets.ring().current().expose(), secrets.ring().all().count()), (NEW, 2));
        assert_eq!(changed_keys(&launched, &both), ["auth.site_name"]);
        reload(&secrets, &launched, &both);
        assert_eq!(secrets.generation(), 1, "the same again is no change");
    }
}
