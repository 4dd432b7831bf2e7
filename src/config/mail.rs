//! `[providers.email]`: links by e-mail, and the mail server.

use std::path::PathBuf;

use figment::value::Value;
use percent_encoding::percent_decode_str;
use url::Url;

use super::read::Reader;
use crate::model::Email;
use crate::secret::Secret;

/// `[providers.email]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmailConfig {
    /// `enabled`: whether people sign in by a link. _Default: true when mail can be sent, or in the debug profile._
    pub enabled: bool,
    /// `name`: what `GET providers` calls it. _Default: "Email"._
    pub name: String,
    /// `sign_up`: whether a link makes an account for an address that has none. _Default: true._
    pub sign_up: bool,
    /// Where mail goes.
    pub transport: MailTransport,
}

/// Where mail goes.
#[derive(Debug, Clone)]
pub enum MailTransport {
    /// Nowhere: no mail server is configured.
    None,
    /// To a page of this program: the debug profile without a mail server.
    Outbox,
    /// To a mail server.
    Smtp(SmtpConfig),
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// `from`.
    pub from: Sender,
    /// `host`, or the host of `server`.
    pub host: String,
    /// `port`, or the port of `server`.
    pub port: u16,
    /// `user`, or the user of `server`.
    pub user: Option<String>,
    /// `password`, or the password of `server`.
    pub password: Option<Secret>,
    /// `tls`.
    pub tls: SmtpTls,
    /// `ca`: a file of certificates.
    pub ca: Option<PathBuf>,
}

/// Who mail is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name that is shown.
    pub name: Option<String>,
    /// The address.
    pub email: Email,
}

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// By STARTTLS, or there is no mail.
    Starttls,
    /// From the first byte (`smtps`).
    Implicit,
    /// Not at all.
    None,
}

const TLS: [(&str, SmtpTls); 3] =
    [("starttls", SmtpTls::Starttls), ("tls", SmtpTls::Implicit), ("none", SmtpTls::None)];

/// What `server` says: the parts that the other keys override.
#[derive(Default)]
struct Server {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    is_smtps: bool,
}

pub(super) fn read(reader: &mut Reader<'_>, is_debug: bool) -> EmailConfig {
    let transport = match smtp(reader) {
        Some(smtp) => MailTransport::Smtp(smtp),
        None if is_debug => MailTransport::Outbox,
        None => MailTransport::None,
    };
    let usual = !matches!(transport, MailTransport::None);
    EmailConfig {
        enabled: reader.switch("providers.email.enabled", usual),
        name: reader.text("providers.email.name").unwrap_or_else(|| "Email".to_owned()),
        sign_up: reader.switch("providers.email.sign_up", true),
        transport,
    }
}

fn smtp(reader: &mut Reader<'_>) -> Option<SmtpConfig> {
    let server = server(reader);
    let from = sender(reader);
    let host = reader.text("providers.email.host").or(server.host);
    let user = reader.text("providers.email.user").or(server.user);
    let password = password(reader).or(server.password);
    let asked = reader.choice("providers.email.tls", &TLS);
    let port = reader.small("providers.email.port", 1..=65_535, 0);
    let ca = reader.text("providers.email.ca").map(PathBuf::from);
    let host = host?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0).or(server.port);
    let tls = asked.unwrap_or_else(|| match port {
        _ if server.is_smtps => SmtpTls::Implicit,
        Some(465) => SmtpTls::Implicit,
        _ if is_loopback(&host) => SmtpTls::None,
        _ => SmtpTls::Starttls,
    });
    let Some(from) = from else {
        if reader.value("providers.email.from").is_none() {
            reader.wrong("providers.email.from", "missing", "who mail is from: \"Name <name@example.com>\"");
        }
        return None;
    };
    let usual = if tls == SmtpTls::Implicit { 465 } else { 587 };
    Some(SmtpConfig { from, host, port: port.unwrap_or(usual), user, password, tls, ca })
}

fn server(reader: &mut Reader<'_>) -> Server {
    const KEY: &str = "providers.email.server";
    let Some(value) = reader.value(KEY) else {
        return Server::default();
    };
    let parsed = value.as_str().and_then(|text| Url::parse(text).ok()).and_then(|url| parts(&url));
    if parsed.is_none() {
        // It may hold a password: nothing of it is repeated.
        reader.wrong(KEY, "no URL of a mail server", "like \"smtp://user:password@mail.example.com:587\"");
    }
    parsed.unwrap_or_default()
}

fn parts(url: &Url) -> Option<Server> {
    let is_smtps = match url.scheme() {
        "smtp" => false,
        "smtps" => true,
        _ => return None,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().filter(|host| !host.is_empty() && plain)?;
    let user = if url.username().is_empty() { None } else { Some(decoded(url.username())?) };
    let password = match url.password() {
        Some(password) => Some(Secret::new(decoded(password)?)),
        None => None,
    };
    Some(Server { host: Some(host.to_owned()), port: url.port(), user, password, is_smtps })
}

/// A number from the environment is a password too; nothing of it is repeated.
fn password(reader: &mut Reader<'_>) -> Option<Secret> {
    const KEY: &str = "providers.email.password";
    match reader.value(KEY)? {
        Value::String(_, text) => Some(Secret::new(text)),
        Value::Num(_, number) if number.to_i128().is_some() => {
            number.to_i128().map(|number| Secret::new(number.to_string()))
        }
        _ => {
            reader.wrong(KEY, "no text", "a text in quotes");
            None
        }
    }
}

fn sender(reader: &mut Reader<'_>) -> Option<Sender> {
    const KEY: &str = "providers.email.from";
    let text = reader.text(KEY)?;
    let sender = parse_sender(&text);
    if sender.is_none() {
        reader.wrong(KEY, format!("{text:?}"), "\"name@example.com\" or \"Name <name@example.com>\"");
    }
    sender
}

fn parse_sender(text: &str) -> Option<Sender> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text),
    };
    if name.chars().any(char::is_control) {
        return None;
    }
    let name = (!name.is_empty()).then(|| name.to_owned());
    Some(Sender { name, email: Email::parse(address).ok()? })
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let sender = |text| parse_sender(text).map(|sender| (sender.name, sender.email.to_string()));
        let ada =
            |name: &str| Some(((!name.is_empty()).then(|| name.to_owned()), "ada@example.com".to_owned()));
        assert_eq!(sender("ada@example.com"), ada(""));
        assert_eq!(sender("Ada <ada@example.com>"), ada("Ada"));
        assert_eq!(sender("\"Ada L.\" <Ada@Example.com>"), ada("Ada L."));
        for wrong in ["Ada", "Ada <ada>", "a\r\nBcc: x <ada@example.com>", "ada@example.com>"] {
            assert_eq!(sender(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, own) in [
            ("localhost", true),
            ("127.0.0.2", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(is_loopback(host), own, "{host}");
        }
    }
}
