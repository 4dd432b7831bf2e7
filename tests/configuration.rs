//! The configuration as people write it, and what they are told.

#![expect(clippy::unwrap_used, clippy::result_large_err, reason = "tests fail by panicking; figment's jail")]

#[path = "support/document.rs"]
mod document;

use countersign::config::{Config, ConfigErrors, KEYS, markdown};
use figment::Jail;

const SECRET: &str = "a-secret-of-this-test-alone-0123456789";

/// The configuration of a Rocket.toml, read in a folder of its own and with these variables only.
fn read(profile: &str, toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut outcome = None;
    Jail::expect_with(|jail| {
        jail.clear_env();
        jail.create_file("Rocket.toml", toml)?;
        jail.set_env("ROCKET_PROFILE", profile);
        for (name, value) in variables {
            jail.set_env(name, value);
        }
        outcome = Some(Config::from_figment(&rocket::Config::figment()));
        Ok(())
    });
    outcome.unwrap()
}

fn errors(profile: &str, toml: &str, variables: &[(&str, &str)]) -> String {
    read(profile, toml, variables).err().unwrap().to_string()
}

#[test]
fn cookies_of_one_host_want_https() {
    let toml = |url: &str| {
        format!(
            "[default.auth]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n[default.auth.session]\nhost_cookies = true\n"
        )
    };
    let text = errors("release", &toml("http://localhost:8000"), &[]);
    assert!(
        text.contains("`auth.session.host_cookies` is true; expected false, or an `auth.url` with https"),
        "{text}"
    );
    assert!(read("release", &toml("https://app.example.com"), &[]).unwrap().session.host_cookies);
}

#[test]
fn everything_wrong_is_said_at_once_with_place_key_found_and_expected() {
    let toml = r#"
        [default.auth]
        url = "ftp://example.com"
        secret = "short"
        database_url = "mysql://root:hunter2@localhost/x"
        trusted_proxies = ["10.0.0.0/99"]
        [default.auth.session]
        stratgy = "jwt"
        max_age = 5
        update_age = "daily"
        [default.auth.jwt]
        format = "v4"
        [default.auth.pages]
        sign_in = "https://evil.example/"
    "#;
    let text = errors("debug", toml, &[("COUNTERSIGN_LIMITS__WINDOW", "-1")]);
    for expected in [
        "Rocket.toml: `auth.url` is no URL of a site",
        "Rocket.toml: `auth.secret` is a text of 5 bytes; expected 32 bytes or more",
        "`auth.database_url` is \"mysql\"…",
        "`auth.trusted_proxies` is \"10.0.0.0/99\"",
        "`auth.session.stratgy` is not known; expected a known key; the nearest is `auth.session.strategy`",
        "`auth.session.max_age` is 5; expected a whole number from 60 to 31536000",
        "`auth.session.update_age` is \"daily\"",
        "`auth.jwt.format` is \"v4\"; expected \"nextauth-v3\" or",
        "`auth.pages.sign_in` is \"https://evil.example/\"",
        "environment variable COUNTERSIGN_LIMITS__WINDOW: `auth.limits.window` is -1",
    ] {
        assert!(text.contains(expected), "{expected}\nis missing in\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_debug_build_makes_its_own_secret_and_release_refuses() {
    assert!(read("debug", "", &[]).is_ok());
    for profile in ["release", "staging"] {
        assert!(errors(profile, "", &[]).contains("`auth.secret` is missing"), "{profile}");
        let documented = "[default.auth]\nsecret = \"replace-this-with-the-output-of-countersign-secret\"\n";
        assert!(errors(profile, documented, &[]).contains("an example from the documentation"));
        let own = format!("[default.auth]\nsecret = \"{SECRET}\"\n");
        assert!(read(profile, &own, &[]).is_ok());
        let list = format!("[default.auth]\nsecret = [\"{SECRET}\", \"{SECRET}-old\"]\n");
        assert_eq!(read(profile, &list, &[]).unwrap().secrets.all().count(), 2);
        let bad = format!("[default.auth]\nsecret = [\"{SECRET}\", \"short\"]\n");
        assert!(errors(profile, &bad, &[]).contains("5 bytes"));
    }
}

#[test]
fn the_environment_overrides_and_nextauths_names_stand_below() {
    let toml = "[default.auth]\nurl = \"https://file.example\"\n";
    let url = |toml: &str, variables: &[(&str, &str)]| read("debug", toml, variables).unwrap().url.origin;
    assert_eq!(url(toml, &[("COUNTERSIGN_URL", "https://own.example")]), "https://own.example");
    assert_eq!(url(toml, &[("NEXTAUTH_URL", "https://next.example")]), "https://file.example");
    assert_eq!(url("", &[("NEXTAUTH_URL", "https://next.example")]), "https://next.example");
    let both = [("NEXTAUTH_URL", "https://next.example"), ("AUTH_URL", "https://auth.example")];
    assert_eq!(url("", &both), "https://auth.example");
    let secret = [("NEXTAUTH_SECRET", SECRET)];
    assert_eq!(read("release", "", &secret).unwrap().secrets.current().expose(), SECRET);
    let descended = [("COUNTERSIGN_SESSION__STRATEGY", "database"), ("COUNTERSIGN_LOG", "debug")];
    let config = read("debug", "", &descended).unwrap();
    assert_eq!(config.session.strategy, countersign::model::Strategy::Database);
    assert!(
        errors("debug", "", &[("COUNTERSIGN_SESION__STRATEGY", "jwt")]).contains("`auth.session.strategy`")
    );
}

#[test]
fn the_port_makes_the_default_url() {
    assert_eq!(read("debug", "", &[]).unwrap().url.origin, "http://localhost:8000");
    assert_eq!(read("debug", "[default]\nport = 9000\n", &[]).unwrap().url.origin, "http://localhost:9000");
}

#[test]
fn ages_must_fit_each_other() {
    let text = errors(
        "debug",
        "[default.auth.session]\nmax_age = 3600\nupdate_age = 7200\nabsolute_age = 60\n",
        &[],
    );
    assert!(text.contains("at most `auth.session.max_age` (3600)"), "{text}");
    assert!(text.contains("at least `auth.session.max_age` (3600)"), "{text}");
    assert!(read("debug", "[default.auth.session]\nmax_age = 3600\n", &[]).is_ok(), "defaults follow");
}

#[test]
fn a_configuration_does_not_print_its_secrets() {
    let toml =
        format!("[default.auth]\nsecret = \"{SECRET}\"\ndatabase_url = \"postgres://u:hunter2@h/d\"\n");
    let shown = format!("{:?}", read("debug", &toml, &[]).unwrap());
    assert!(!shown.contains(SECRET) && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn every_known_key_is_read() {
    // A wrong type at any key is noticed: nobody's setting is silently ignored.
    for key in KEYS {
        let key = key.name.replace("<name>", "acme");
        let (table, name) = key
            .rsplit_once('.')
            .map_or(("auth".to_owned(), key.as_str()), |(table, name)| (format!("auth.{table}"), name));
        let toml = format!("[default.{table}]\n{name} = {{ wrong = true }}\n");
        let text = errors("debug", &toml, &[]);
        assert!(text.contains(&format!("`auth.{key}")), "{key}: {text}");
        let toml = format!("[default.{table}]\n{name} = 2000-01-01\n");
        assert!(read("debug", &toml, &[]).is_err(), "{key}");
    }
}

#[test]
fn the_documentation_is_generated() {
    let text = format!(
        "# Configuration\n\nRocket.toml, table `[default.auth]` (or of another profile). Generated from the program's own \
         table of keys.\n\nEnvironment variables override the file. `AUTH_URL`, `NEXTAUTH_URL`, `AUTH_SECRET` and \
         `NEXTAUTH_SECRET` are understood too, and stand below it. `countersign check` explains everything that is \
         wrong, at once.\n\n{}\nRocket's own keys (`port`, `address`, `template_dir`, `limits`, `tls`) stand beside the \
         table, as always.\n\nThe program logs as `COUNTERSIGN_LOG` says (`info`, `countersign=debug`), in JSON with \
         `COUNTERSIGN_LOG_FORMAT=json`.\n",
        markdown()
    );
    // The other tests clear the environment, in which `UPDATE_DOCS` stands; no two jails are open at once, and each puts
    // the environment back as it was.
    Jail::expect_with(|_| {
        document::compare("configuration.md", &text);
        Ok(())
    });
}

#[test]
fn other_sites_are_named_tables() {
    let head = format!("[default.auth]\nsecret = \"{SECRET}\"\n");
    let toml = format!(
        "{head}[default.auth.providers.github]\nclient_id = 1234567890\nclient_secret = \"s\"\n\
         [default.auth.providers.work]\npreset = \"google\"\nclient_id = \"c\"\nscope = \"openid\"\nname = \"Work\"\n\
         [default.auth.providers.own]\nissuer = \"http://localhost:9000\"\nclient_id = \"c\"\n\
         [default.auth.providers.off]\npreset = \"line\"\nclient_id = \"c\"\nenabled = false\n"
    );
    let secret = [("COUNTERSIGN_PROVIDERS__WORK__CLIENT_SECRET", "hunter2hunter2")];
    let config = read("release", &toml, &secret).unwrap();
    let ids: Vec<&str> = config.providers.iter().map(|provider| provider.id.as_str()).collect();
    assert_eq!(ids, ["github", "own", "work"]);
    assert_eq!(config.providers[0].client_id, "1234567890");
    assert_eq!((config.providers[2].scope.as_str(), config.providers[2].name.as_str()), ("openid", "Work"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_wrong_with_another_site_is_said_with_what_is_nearest() {
    let text = errors(
        "debug",
        r#"
        [default.auth.providers.github]
        cleint_id = "c"
        client_secret = 5
        [default.auth.providers.gogle]
        client_id = "c"
        [default.auth.providers.a]
        preset = "gitlb"
        [default.auth.providers.b]
        issuer = "http://id.example"
        client_id = "c"
        [default.auth.providers.c]
        authorization_url = "https://id.example/a"
        client_id = "c"
        [default.auth.providers.d]
        issuer = "https://id.example"
        client_id = "c"
        parameters = "state=fixed"
        id_token_algorithms = ["none"]
        team_id = "t"
        "#,
        &[],
    );
    for expected in [
        "`auth.providers.github.cleint_id` is not known; expected a known key; the nearest is `auth.providers.github.client_id`",
        "`auth.providers.github.client_id` is missing",
        "`auth.providers.github.client_secret` is no text",
        "`auth.providers.gogle` is a provider that is not known",
        "the nearest known name is `google`",
        "`auth.providers.a.preset` is \"gitlb\"; expected one of apple, discord, github, gitlab,",
        "the nearest is \"gitlab\"",
        "`auth.providers.b.issuer` is \"http://id.example\"; expected an https:// URL",
        "`auth.providers.c` is a provider without all endpoints",
        "`auth.providers.d.parameters` is \"state\"",
        "`auth.providers.d.id_token_algorithms` is \"none\"",
        "`auth.providers.d.client_secret` is not the only proof, or a part of one",
    ] {
        assert!(text.contains(expected), "{expected}\nis missing in\n{text}");
    }
}
