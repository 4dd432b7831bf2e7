//! From Rocket's figment to a [`Config`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::Env;
use figment::{Figment, Profile};

use super::read::Reader;
use super::{
    AuditLogConfig, Config, ConfigErrors, CredentialsConfig, EmptySession, JwtConfig, LimitsConfig, Network,
    PagesConfig, RouteAudit, SessionConfig, SiteUrl, mail, providers, secrets, url,
};
use crate::model::{Permission, Strategy};
use crate::presets::{PRESETS, Preset};
use crate::token::Format;

/// Variables of the program and its tests that are no configuration.
const NOT_KEYS: [&str; 5] = ["log", "log_format", "test_postgres", "test_kills", "test_revocations"];

const STRATEGIES: [(&str, Strategy); 2] = [("jwt", Strategy::Jwt), ("database", Strategy::Database)];
const FORMATS: [(&str, Format); 4] = [
    ("nextauth-v3", Format::NextAuthV3),
    ("nextauth-v3-encrypted", Format::NextAuthV3Encrypted),
    ("nextauth-v4", Format::NextAuthV4),
    ("authjs-v5", Format::AuthJsV5),
];
const AUDITS: [(&str, RouteAudit); 3] =
    [("off", RouteAudit::Off), ("warn", RouteAudit::Warn), ("deny", RouteAudit::Deny)];
const EMPTY: [(&str, EmptySession); 2] = [("object", EmptySession::Object), ("null", EmptySession::Null)];

impl Config {
    /// Reads and checks the table `auth` of the selected profile, and the environment.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_figment(figment: &Figment) -> Result<Self, ConfigErrors> {
        Self::with_presets(figment, &[])
    }

    /// As [`Config::from_figment`], knowing further sites besides those that come with the library.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn with_presets(figment: &Figment, further: &[Preset]) -> Result<Self, ConfigErrors> {
        let figment = with_environment(figment.clone());
        let mut reader = Reader::new(&figment);
        reader.refuse_unknown();
        let url = site_url(&mut reader, &figment);
        let database = Database::read(&mut reader);
        let is_debug = figment.profile() == Profile::const_new("debug");
        let secrets = secrets::read(&mut reader, is_debug.then_some(database.folder.as_path()));
        let jwt = jwt(&mut reader);
        let session = session(&mut reader, jwt.format, url.as_ref().is_some_and(|url| url.secure));
        let credentials = credentials(&mut reader);
        let presets: Vec<Preset> = further.iter().chain(PRESETS).copied().collect();
        let providers = providers::read(&mut reader, &presets);
        let email = mail::read(&mut reader, is_debug);
        let limits = limits(&mut reader);
        let audit_log = audit_log(&mut reader);
        let metrics = metrics(&mut reader);
        let pages = pages(&mut reader);
        let allowed_origins =
            reader.list("allowed_origins", "an origin like \"https://app.example.com\"", url::origin);
        let trusted_proxies =
            reader.list("trusted_proxies", "an address or a network like \"10.0.0.0/8\"", Network::parse);
        let audit = reader.choice("audit", &AUDITS).unwrap_or_default();
        let site_name = reader.text("site_name").unwrap_or_else(|| "Countersign".to_owned());
        let scopes = match reader.value("access_tokens.scopes") {
            None => ["read", "write"].iter().filter_map(|name| Permission::parse(name).ok()).collect(),
            Some(_) => {
                reader.list("access_tokens.scopes", "the name of a scope like \"notes:read\"", |text| {
                    Permission::parse(text).ok()
                })
            }
        };
        let totp = reader.switch("totp.enabled", true);
        let passkeys = reader.switch("passkeys.enabled", true);
        let shutdown_delay =
            std::time::Duration::from_secs(reader.small("shutdown_delay", 0..=300, 0).into());
        let config = url.zip(secrets).map(|(url, secrets)| Self {
            url,
            secrets,
            allowed_origins,
            trusted_proxies,
            session,
            jwt,
            pages,
            credentials,
            providers,
            email,
            #[cfg(feature = "server")]
            database: database.options,
            limits,
            audit_log,
            metrics,
            template_dir: template_dir(&figment),
            audit,
            site_name,
            scopes,
            totp,
            passkeys,
            shutdown_delay,
        });
        reader.finish(config)
    }
}

/// Adds the environment: our own variables above the files, NextAuth's names below them.
fn with_environment(figment: Figment) -> Figment {
    let own = Env::prefixed("COUNTERSIGN_")
        .ignore(&NOT_KEYS)
        .map(|name| format!("auth.{}", name.as_str().replace("__", ".")).into())
        .global();
    let named = |variable: &'static str, key: &'static str| {
        Env::raw().only(&[variable]).map(move |_| format!("auth.{key}").into()).profile(Profile::Default)
    };
    figment
        .merge(own)
        .join(named("AUTH_URL", "url"))
        .join(named("NEXTAUTH_URL", "url"))
        .join(named("AUTH_SECRET", "secret"))
        .join(named("NEXTAUTH_SECRET", "secret"))
}

fn site_url(reader: &mut Reader<'_>, figment: &Figment) -> Option<SiteUrl> {
    let text = match reader.value("url") {
        None => {
            let port: u16 = figment.extract_inner("port").unwrap_or(8000);
            return SiteUrl::parse(&format!("http://localhost:{port}"));
        }
        Some(_) => reader.text("url")?,
    };
    let url = SiteUrl::parse(&text);
    if url.is_none() {
        // The text may hold a password before the host: it is not repeated.
        reader.wrong(
            "url",
            "no URL of a site",
            "like \"https://app.example.com\", without user, query or fragment",
        );
    }
    url
}

fn session(reader: &mut Reader<'_>, format: Format, secure: bool) -> SessionConfig {
    let max_age = reader.number("session.max_age", 60..=31_536_000, 2_592_000);
    let update_age = reader.number("session.update_age", 0..=31_536_000, 86_400.min(max_age));
    let absolute_age = reader.number("session.absolute_age", 60..=315_360_000, 7_776_000.max(max_age));
    if update_age > max_age {
        let expected = format!("at most `auth.session.max_age` ({max_age})");
        reader.wrong("session.update_age", update_age.to_string(), expected);
    }
    if absolute_age < max_age {
        let expected = format!("at least `auth.session.max_age` ({max_age})");
        reader.wrong("session.absolute_age", absolute_age.to_string(), expected);
    }
    let host_cookies = reader.switch("session.host_cookies", false);
    if host_cookies && !secure {
        let expected = "false, or an `auth.url` with https: over http a browser takes no such cookie";
        reader.wrong("session.host_cookies", "true", expected);
    }
    let usual = if format == Format::AuthJsV5 { EmptySession::Null } else { EmptySession::Object };
    SessionConfig {
        strategy: reader.choice("session.strategy", &STRATEGIES).unwrap_or(Strategy::Jwt),
        max_age,
        update_age,
        absolute_age,
        fresh_age: reader.number("session.fresh_age", 60..=86_400, 900),
        max_per_user: reader.small("session.max_per_user", 1..=10_000, 100),
        host_cookies,
        empty: reader.choice("session.empty", &EMPTY).unwrap_or(usual),
    }
}

fn jwt(reader: &mut Reader<'_>) -> JwtConfig {
    let find = |text: &str| FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
    JwtConfig {
        format: reader.choice("jwt.format", &FORMATS).unwrap_or(Format::NextAuthV3),
        accept: reader.list("jwt.accept", "a token format like \"nextauth-v4\"", find),
    }
}

fn pages(reader: &mut Reader<'_>) -> PagesConfig {
    let mut page = |key: &str| {
        let text = reader.text(key)?;
        let path = url::path(&text);
        if path.is_none() {
            reader.wrong(key, format!("{text:?}"), "a path on this site that starts with one `/`");
        }
        path
    };
    PagesConfig {
        sign_in: page("pages.sign_in"),
        sign_out: page("pages.sign_out"),
        error: page("pages.error"),
        verify_request: page("pages.verify_request"),
        new_user: page("pages.new_user"),
    }
}

fn credentials(reader: &mut Reader<'_>) -> Option<CredentialsConfig> {
    let usual = CredentialsConfig::default();
    let config = CredentialsConfig {
        name: reader.text("providers.credentials.name").unwrap_or(usual.name),
        sign_up: reader.switch("providers.credentials.sign_up", usual.sign_up),
        memory_kib: reader.small(
            "providers.credentials.argon2.memory_kib",
            8192..=4_194_304,
            usual.memory_kib,
        ),
        iterations: reader.small("providers.credentials.argon2.iterations", 1..=100, usual.iterations),
        parallelism: reader.small("providers.credentials.argon2.parallelism", 1..=16, usual.parallelism),
        queue: reader.small("providers.credentials.queue", 0..=10_000, usual.queue),
        queue_deadline: reader.small("providers.credentials.queue_deadline", 1..=60, usual.queue_deadline),
    };
    reader.switch("providers.credentials.enabled", true).then_some(config)
}

fn limits(reader: &mut Reader<'_>) -> LimitsConfig {
    LimitsConfig {
        window: reader.number("limits.window", 1..=86_400, 900),
        per_account: reader.number("limits.per_account", 1..=1_000_000, 5),
        per_account_everywhere: reader.number("limits.per_account_everywhere", 1..=1_000_000, 100),
        per_address: reader.number("limits.per_address", 1..=1_000_000, 50),
        sign_ups_per_address: reader.number("limits.sign_ups_per_address", 1..=1_000_000, 20),
        mails_per_recipient: reader.number("limits.mails_per_recipient", 1..=1_000_000, 5),
        mails_per_recipient_everywhere: reader.number(
            "limits.mails_per_recipient_everywhere",
            1..=1_000_000,
            20,
        ),
        mails_per_address: reader.number("limits.mails_per_address", 1..=1_000_000, 20),
    }
}

fn audit_log(reader: &mut Reader<'_>) -> AuditLogConfig {
    AuditLogConfig {
        keep: reader.number("audit_log.keep", 86_400..=315_360_000, 31_536_000),
        refusals_per_minute: reader.small("audit_log.refusals_per_minute", 1..=10_000, 120),
    }
}

fn metrics(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let text = reader.text("metrics")?;
    let address = text.parse().ok();
    if address.is_none() {
        reader.wrong("metrics", format!("{text:?}"), "an address and a port like \"127.0.0.1:9464\"");
    }
    address
}

/// Rocket's `template_dir`, relative to the file that sets it.
fn template_dir(figment: &Figment) -> PathBuf {
    use figment::value::magic::RelativePathBuf;
    figment
        .extract_inner::<RelativePathBuf>("template_dir")
        .map_or_else(|_| PathBuf::from("templates"), |path| path.relative())
}

/// The database, and the folder a debug build may keep its secret in.
struct Database {
    folder: PathBuf,
    #[cfg(feature = "server")]
    options: crate::store::OpenOptions,
}

impl Database {
    fn read(reader: &mut Reader<'_>) -> Self {
        let text = reader.text("database_url").unwrap_or_else(|| "sqlite://data/countersign.db".to_owned());
        let path = text.strip_prefix("sqlite://").filter(|path| !path.is_empty()).map(PathBuf::from);
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if path.is_none() && !is_postgres {
            // The text may hold a password: only its beginning is repeated.
            let scheme: String = text.split("://").next().unwrap_or_default().chars().take(20).collect();
            let expected = "sqlite://path or postgres://user:password@host/database";
            reader.wrong("database_url", format!("{scheme:?}…"), expected);
        }
        let max_connections = reader.small("database_max_connections", 1..=1000, 10);
        let timeout = reader.small("database_timeout", 1..=60, 5);
        #[cfg(not(feature = "server"))]
        let _ = (max_connections, timeout);
        let folder = path.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        Self {
            folder: folder.map_or_else(|| PathBuf::from("data"), Path::to_path_buf),
            #[cfg(feature = "server")]
            options: crate::store::OpenOptions {
                database: match path {
                    Some(path) => crate::store::Database::Sqlite(path),
                    None => crate::store::Database::Postgres(text),
                },
                max_connections,
                timeout: std::time::Duration::from_secs(timeout.into()),
            },
        }
    }
}
