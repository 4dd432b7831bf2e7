//! Rocket.toml → typed and validated configuration.
//!
//! Every key stands in one table ([`KEYS`]), with its default and its meaning. Reading notes everything that is wrong and
//! reports all of it at once: where it stands, what was found, what is expected; a key that is not known names the nearest
//! one that is. Nothing is read from disk but Rocket's own files, and the development secret of a debug build.
//!
//! # Precedence
//! `COUNTERSIGN_*` variables (`__` descends: `COUNTERSIGN_SESSION__STRATEGY=database`) override Rocket.toml, which
//! overrides `AUTH_URL`, `AUTH_SECRET`, `NEXTAUTH_URL` and `NEXTAUTH_SECRET`, which override the defaults.

mod errors;
mod key_table;
mod keys;
mod load;
mod mail;
mod network;
mod provider;
mod providers;
mod read;
mod secrets;
mod url;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use self::url::SiteUrl;
pub use errors::{ConfigError, ConfigErrors};
pub use keys::{KEYS, Key, markdown};
pub use mail::{EmailConfig, MailTransport, Sender, SmtpConfig, SmtpTls};
pub use network::Network;
pub use provider::{ClientSecret, Endpoints, ProfileRules, ProviderConfig, is_endpoint};

use crate::model::{Permission, Strategy};
use crate::secret::SecretRing;
use crate::token::Format;

/// Everything that can be configured, checked. Built by [`Config::from_figment`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// `url`: canonical origin and base path.
    pub url: SiteUrl,
    /// `secret`: a text or a list, newest first; as configured at launch, and only that (see [`crate::secret::Secrets`]).
    pub secrets: SecretRing,
    /// `allowed_origins`: further origins a `callbackUrl` may lead to and an `Origin` header may name.
    pub allowed_origins: Vec<String>,
    /// `trusted_proxies`: addresses or networks that may speak for a client's address.
    pub trusted_proxies: Vec<Network>,
    /// `[session]`.
    pub session: SessionConfig,
    /// `[jwt]`.
    pub jwt: JwtConfig,
    /// `[pages]`: paths of the host's own pages.
    pub pages: PagesConfig,
    /// `[providers.credentials]`; `None` when `enabled = false`.
    pub credentials: Option<CredentialsConfig>,
    /// `[providers.NAME]`: other sites, in order of their names.
    pub providers: Vec<ProviderConfig>,
    /// `[providers.email]`.
    pub email: EmailConfig,
    /// `[database]` keys and `database_url`.
    #[cfg(feature = "server")]
    pub database: crate::store::OpenOptions,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[audit_log]`.
    pub audit_log: AuditLogConfig,
    /// `metrics`: where Prometheus is answered, when it is.
    pub metrics: Option<SocketAddr>,
    /// Where the host's own templates are (Rocket's `template_dir`), for pages that override the library's.
    pub template_dir: PathBuf,
    /// `audit`: what the launch does about routes that declare no policy.
    pub audit: RouteAudit,
    /// `site_name`: shown on pages and in titles.
    pub site_name: String,
    /// `access_tokens.scopes`: what personal access tokens may allow. _Default: `["read", "write"]`._
    pub scopes: Vec<Permission>,
    /// `totp.enabled`: whether people may switch time-based codes on. _Default: true._
    pub totp: bool,
    /// `passkeys.enabled`: whether people may add passkeys and sign in by them. _Default: true._
    pub passkeys: bool,
    /// `shutdown_delay`: how long `/readyz` says that the process is stopping before it stops.
    pub shutdown_delay: std::time::Duration,
}

/// `[session]`; seconds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// `strategy`.
    pub strategy: Strategy,
    /// `max_age`: idle life. _Default: 2592000 (30 days)._
    pub max_age: i64,
    /// `update_age`: renew at most this often. _Default: 86400 (a day)._
    pub update_age: i64,
    /// `absolute_age`: never longer than this since sign-in. _Default: 7776000 (90 days)._
    pub absolute_age: i64,
    /// `fresh_age`: how recent a sign-in must be for what the `Fresh` guard protects. _Default: 900 (15 minutes)._
    pub fresh_age: i64,
    /// `max_per_user`: sessions one user has at most; a sign-in beyond that ends the one that was renewed least recently.
    /// _Default: 100._
    pub max_per_user: u32,
    /// `host_cookies`: whether the names of all cookies begin with `__Host-`, by which a browser takes them from this very
    /// host alone and not from its siblings. Over https. _Default: `false`; NextAuth's own names._
    pub host_cookies: bool,
    /// `empty`: what `GET session` answers when nobody is signed in. _Default: `null` for `authjs-v5`, else `{}`._
    pub empty: EmptySession,
}

/// `audit`: what the launch does about routes that declare no [`Policy`](crate::Policy).
///
/// # Why `warn` is the default, and in every profile
/// A route that was forgotten among declared ones is a mistake that everybody wants to hear of, so silence is no default.
/// An application that declares nothing has not decided for declarations, so nothing is said to it, let alone refused. And
/// what is refused in production only is found too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteAudit {
    /// Nothing.
    Off,
    /// Lists them in the log, once any route of the application is declared.
    #[default]
    Warn,
    /// Refuses to launch, naming each with the line to add.
    Deny,
}

/// The body of `GET session` when nobody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptySession {
    /// `{}`, as NextAuth v3 and v4 answer.
    Object,
    /// `null`, as Auth.js v5 answers.
    Null,
}

/// `[jwt]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JwtConfig {
    /// `format`: what is minted (and read).
    pub format: Format,
    /// `accept`: what is read besides.
    pub accept: Vec<Format>,
}

/// `[pages]`: paths on this site (starting with one `/`).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the keys of the same name")]
pub struct PagesConfig {
    pub sign_in: Option<String>,
    pub sign_out: Option<String>,
    pub error: Option<String>,
    pub verify_request: Option<String>,
    pub new_user: Option<String>,
}

/// `[providers.credentials]`: e-mail address and password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CredentialsConfig {
    /// `name`: what `GET providers` calls it. _Default: "Credentials"._
    pub name: String,
    /// `sign_up`: whether people may make accounts themselves. _Default: true._
    pub sign_up: bool,
    /// `[providers.credentials.argon2] memory_kib`. _Default: 19456 (19 MiB)._
    pub memory_kib: u32,
    /// `iterations`. _Default: 2._
    pub iterations: u32,
    /// `parallelism`. _Default: 1._
    pub parallelism: u32,
    /// `queue`: hashes that may wait for a core. _Default: 64._
    pub queue: u32,
    /// `queue_deadline`: seconds a hash may wait. _Default: 5._
    pub queue_deadline: u32,
}

/// `[limits]`: attempts per window.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// `window`: seconds. _Default: 900._
    pub window: i64,
    /// `per_account`: wrong passwords for one account from one address. _Default: 5._
    pub per_account: i64,
    /// `per_account_everywhere`: wrong passwords for one account from all addresses. _Default: 100._
    pub per_account_everywhere: i64,
    /// `per_address`: wrong passwords from one address, wrong passkeys, and returns from other sites that came to nothing;
    /// each by itself. _Default: 50._
    pub per_address: i64,
    /// `sign_ups_per_address`. _Default: 20._
    pub sign_ups_per_address: i64,
    /// `mails_per_recipient`: mails with a link to one address, asked for from one network address. _Default: 5._
    pub mails_per_recipient: i64,
    /// `mails_per_recipient_everywhere`: mails with a link to one address, asked for from all. _Default: 20._
    pub mails_per_recipient_everywhere: i64,
    /// `mails_per_address`: mails with a link asked for from one network address. _Default: 20._
    pub mails_per_address: i64,
}

/// `[audit_log]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditLogConfig {
    /// `keep`: seconds after which a record is deleted. _Default: 31536000 (a year)._
    pub keep: i64,
    /// `refusals_per_minute`: different refusals recorded one by one. _Default: 120._
    pub refusals_per_minute: u32,
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self {
            name: "Credentials".to_owned(),
            sign_up: true,
            memory_kib: 19 * 1024,
            iterations: 2,
            parallelism: 1,
            queue: 64,
            queue_deadline: 5,
        }
    }
}
