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
        "shutdown_delay",
        "0 to 300, seconds",
        "0",
        "How long readiness says `stopping`, with everything still answered, before a signal closes the port: longer than a load balancer takes to notice.",
    ),
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
        "session.fresh_age",
        "60 to 86400, seconds",
        "900",
        "How recent a sign-in must be for what the Fresh guard protects.",
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
    key("providers.<name>.enabled", "true or false", "true", "Whether people sign in with this other site."),
    key(
        "providers.<name>.preset",
        "apple, discord, github, gitlab, google, kakao, line, microsoft or naver",
        "<name>, when it is one",
        "A site whose endpoints are known. Everything below overrides it.",
    ),
    key("providers.<name>.name", "text", "the preset's, else <name>", "What people call it."),
    key("providers.<name>.client_id", "text", "none", "The id that the other site gave this one."),
    key(
        "providers.<name>.client_secret",
        "text",
        "none (a public client)",
        "The secret that the other site gave this one.",
    ),
    key("providers.<name>.team_id", "text", "none", "Apple: the team, instead of client_secret."),
    key("providers.<name>.key_id", "text", "none", "Apple: the key's id."),
    key(
        "providers.<name>.private_key",
        "text",
        "none",
        "Apple: the key, PKCS #8 in PEM (the .p8 file's text).",
    ),
    key(
        "providers.<name>.client_auth",
        "basic or post",
        "the preset's, else basic",
        "Whether the secret goes into the header or the form of a token request.",
    ),
    key(
        "providers.<name>.issuer",
        "URL",
        "the preset's",
        "OpenID Connect: the issuer identifier, exactly as the site writes it.",
    ),
    key("providers.<name>.authorization_url", "URL", "the preset's", "OAuth 2.0: where people go."),
    key("providers.<name>.token_url", "URL", "the preset's", "OAuth 2.0: where the code is exchanged."),
    key("providers.<name>.userinfo_url", "URL", "the preset's", "OAuth 2.0: where the profile is."),
    key(
        "providers.<name>.emails_url",
        "URL",
        "the preset's",
        "OAuth 2.0: where a list of addresses is, each with email, primary and verified.",
    ),
    key(
        "providers.<name>.scope",
        "text",
        "the preset's, else openid email profile",
        "What is asked for, divided by blanks.",
    ),
    key(
        "providers.<name>.parameters",
        "text like prompt=consent&access_type=offline",
        "the preset's",
        "Further parameters of the authorization request.",
    ),
    key(
        "providers.<name>.response_mode",
        "query or form_post",
        "the preset's, else query",
        "How the answer comes back.",
    ),
    key(
        "providers.<name>.id_token_algorithms",
        "list of algorithms",
        "those of the discovery document that are asymmetric",
        "How ID tokens may be signed.",
    ),
    key("providers.<name>.profile.id", "rule", "the preset's, else sub or id", "Which field is the subject."),
    key("providers.<name>.profile.name", "rule", "the preset's, else name", "Which field is the name."),
    key("providers.<name>.profile.email", "rule", "the preset's, else email", "Which field is the address."),
    key(
        "providers.<name>.profile.email_verified",
        "paths divided by &",
        "the preset's, else email_verified (OAuth 2.0: none)",
        "Which fields must be true for the address to count as proven.",
    ),
    key(
        "providers.<name>.profile.image",
        "rule",
        "the preset's, else picture",
        "Which field is the picture.",
    ),
    key(
        "providers.<name>.sign_up",
        "true or false",
        "true",
        "Whether people who are new make an account by signing in.",
    ),
    key(
        "providers.<name>.link_by_email",
        "true or false",
        "false",
        "Whether an address that is proven here and there is one person. docs/linking.md has every case.",
    ),
    key(
        "providers.email.enabled",
        "true or false",
        "true with a mail server, and in the debug profile",
        "Whether people sign in by a link that is mailed to them.",
    ),
    key("providers.email.name", "text", "Email", "What GET providers calls it."),
    key(
        "providers.email.sign_up",
        "true or false",
        "true",
        "Whether a link makes an account for an address that has none.",
    ),
    key(
        "providers.email.from",
        "name@example.com or Name <name@example.com>",
        "none; required with a mail server",
        "Who mail is from.",
    ),
    key(
        "providers.email.server",
        "URL",
        "none (debug: mail is kept and shown at /api/auth/outbox)",
        "The mail server: smtp://user:password@host:587 or smtps://host. The keys below override its parts.",
    ),
    key(
        "providers.email.host",
        "host name",
        "none",
        "The mail server's name, which its certificate must bear.",
    ),
    key("providers.email.port", "1 to 65535", "587, with tls = tls 465", "The mail server's port."),
    key("providers.email.user", "text", "none", "Who the mail server knows this program as."),
    key("providers.email.password", "text", "none", "The password for it."),
    key(
        "providers.email.tls",
        "starttls, tls or none",
        "tls for smtps and port 465, none to this machine itself, else starttls",
        "How the connection to the mail server is secured; its certificate is verified.",
    ),
    key(
        "providers.email.ca",
        "path of a PEM file",
        "none",
        "Certificate authorities that may vouch for the mail server, besides the public ones.",
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
        "limits.mails_per_recipient",
        "1 to 1000000",
        "5",
        "Mails with a link to one e-mail address, asked for from one network address.",
    ),
    key(
        "limits.mails_per_recipient_everywhere",
        "1 to 1000000",
        "20",
        "Mails with a link to one e-mail address, asked for from all network addresses together.",
    ),
    key("limits.mails_per_address", "1 to 1000000", "20", "Mails with a link asked for from one address."),
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

/// The key's name for a provider, or as it is when it is about none.
fn named(key: &Key, provider: Option<&str>) -> String {
    key.name.replace("<name>", provider.unwrap_or("<name>"))
}

/// The provider a key is about, unless it is one that has keys of its own.
fn provider_of(name: &str) -> Option<&str> {
    let provider = name.strip_prefix("providers.")?.split('.').next()?;
    (!super::providers::OWN.contains(&provider)).then_some(provider)
}

/// Whether there is such a key.
#[must_use]
pub(super) fn is_known(name: &str) -> bool {
    let provider = provider_of(name);
    KEYS.iter().any(|key| named(key, provider) == name)
}

/// The known key whose name is nearest to `unknown`, when one is near at all.
#[must_use]
pub(super) fn nearest(unknown: &str) -> Option<String> {
    let provider = provider_of(unknown);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    KEYS.iter()
        .map(|key| named(key, provider))
        .filter(|name| !name.contains('<'))
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&name, unknown);
            (distance.min(2 + strsim::damerau_levenshtein(&last(&name), &last(unknown))), name)
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
