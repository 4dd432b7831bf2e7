//! Every key, once: what is known, what is documented and what the environment can override all come from this table.

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path below `auth`.
    pub name: &'static str,
    /// Its default, as the documentation shows it.
    pub default: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

const fn key(name: &'static str, takes: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, default, takes, meaning }
}

/// All keys, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "url",
        "URL",
        "http://localhost:<port>",
        "Where people reach the site: origin, and base path when it is not /api/auth. Links, redirects and cookie names come from here alone.",
    ),
    key(
        "secret",
        "text or list of texts, 32 bytes or more",
        "none (debug: made once in data/)",
        "What every key is derived from. Of a list the first signs and all verify.",
    ),
    key(
        "database_url",
        "URL",
        "sqlite://data/countersign.db",
        "sqlite://path (relative to the current folder; sqlite:///absolute) or postgres://user:password@host/database.",
    ),
    key("database_max_connections", "1 to 1000", "10", "Connections at most."),
    key(
        "database_timeout",
        "1 to 60, seconds",
        "5",
        "How long one call to the database may take before the answer is 503.",
    ),
    key(
        "allowed_origins",
        "list of origins",
        "[]",
        "Further origins a callbackUrl may lead to and whose pages may post.",
    ),
    key(
        "trusted_proxies",
        "list of addresses or networks",
        "[]",
        "Proxies whose X-Forwarded-For is believed.",
    ),
    key(
        "audit",
        "off, warn or deny",
        "warn",
        "What the launch does about routes that declare no policy: nothing; list them, once the application declares any; or refuse.",
    ),
    key("site_name", "text", "Countersign", "Shown on pages and in titles."),
    key(
        "session.strategy",
        "jwt or database",
        "jwt",
        "Where the truth about a session lives: in a token, or in a row.",
    ),
    key(
        "session.max_age",
        "60 to 31536000, seconds",
        "2592000",
        "Idle life: a session that is not used ends after this.",
    ),
    key(
        "session.update_age",
        "0 to max_age, seconds",
        "86400",
        "A session in use is renewed at most this often.",
    ),
    key(
        "session.absolute_age",
        "max_age to 315360000, seconds",
        "7776000",
        "No session lives longer than this since sign-in.",
    ),
    key(
        "session.empty",
        "object or null",
        "null for authjs-v5, else object",
        "What GET session answers when nobody is signed in.",
    ),
    key(
        "jwt.format",
        "nextauth-v3, nextauth-v3-encrypted, nextauth-v4 or authjs-v5",
        "nextauth-v3",
        "The token format that is minted, and read; also the generation of cookie names.",
    ),
    key("jwt.accept", "list of formats", "[]", "Formats that are read besides, for a migration."),
    key("pages.sign_in", "path", "none", "The application's own sign-in page."),
    key("pages.sign_out", "path", "none", "The application's own sign-out page."),
    key("pages.error", "path", "none", "The application's own error page; it gets ?error=CODE."),
    key("pages.verify_request", "path", "none", "The application's own page after a sign-in mail was sent."),
    key(
        "pages.new_user",
        "path",
        "none",
        "Where a person goes after signing up, instead of the sign-in page.",
    ),
    key(
        "providers.credentials.enabled",
        "true or false",
        "true",
        "Whether people sign in by e-mail address and password.",
    ),
    key("providers.credentials.name", "text", "Credentials", "What GET providers calls it."),
    key(
        "providers.credentials.sign_up",
        "true or false",
        "true",
        "Whether people may make accounts themselves.",
    ),
    key(
        "providers.credentials.queue",
        "0 to 10000",
        "64",
        "Passwords that may wait for a core; beyond that the answer is 503.",
    ),
    key("providers.credentials.queue_deadline", "1 to 60, seconds", "5", "How long a password may wait."),
    key("providers.credentials.argon2.memory_kib", "8192 to 4194304, KiB", "19456", "Argon2id's memory."),
    key("providers.credentials.argon2.iterations", "1 to 100", "2", "Argon2id's passes."),
    key("providers.credentials.argon2.parallelism", "1 to 16", "1", "Argon2id's lanes."),
    key(
        "access_tokens.scopes",
        "list of names",
        "[\"read\", \"write\"]",
        "What personal access tokens may allow; the guard `Scope` asks for one of them.",
    ),
    key(
        "totp.enabled",
        "true or false",
        "true",
        "Whether people may switch time-based codes on as a second factor.",
    ),
    key(
        "passkeys.enabled",
        "true or false",
        "true",
        "Whether people may add passkeys and sign in by them; they need a site with a name, not an IP address.",
    ),
    key("limits.window", "1 to 86400, seconds", "900", "The window in which attempts are counted."),
    key("limits.per_account", "1 to 1000000", "5", "Wrong passwords for one account from one address."),
    key(
        "limits.per_account_everywhere",
        "1 to 1000000",
        "100",
        "Wrong passwords for one account from all addresses.",
    ),
    key("limits.per_address", "1 to 1000000", "50", "Wrong passwords from one address (IPv6: from one /64)."),
    key("limits.sign_ups_per_address", "1 to 1000000", "20", "Accounts made from one address."),
    key(
        "audit_log.keep",
        "86400 to 315360000, seconds",
        "31536000",
        "Audit records are deleted when they are older than this.",
    ),
    key(
        "audit_log.refusals_per_minute",
        "1 to 10000",
        "120",
        "Different refusals recorded one by one in a minute, by each instance; of the rest the number is kept.",
    ),
    key(
        "metrics",
        "address and port",
        "none",
        "Where GET /metrics answers Prometheus, like \"127.0.0.1:9464\": a listener of its own, for your own network only.",
    ),
];

impl Key {
    /// The environment variable that overrides it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("COUNTERSIGN_{}", self.name.replace('.', "__").to_uppercase())
    }
}

/// The known key whose name is nearest to `unknown`, when one is near at all.
#[must_use]
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let distance = |key: &Key| strsim::damerau_levenshtein(key.name, unknown);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    KEYS.iter()
        .map(|key| {
            (distance(key).min(2 + strsim::damerau_levenshtein(&last(key.name), &last(unknown))), key.name)
        })
        .min()
        .filter(|(distance, name)| *distance <= 2 + name.len() / 3)
        .map(|(_, name)| name)
}

/// The documentation's table.
#[must_use]
pub fn markdown() -> String {
    let mut table =
        "| key | environment | takes | default | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for key in KEYS {
        let cells = [
            format!("`{}`", key.name),
            format!("`{}`", key.variable()),
            key.takes.to_owned(),
            format!("`{}`", key.default),
            key.meaning.to_owned(),
        ];
        table.push_str("| ");
        table.push_str(&cells.join(" | "));
        table.push_str(" |\n");
    }
    table
}
