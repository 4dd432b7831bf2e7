//! Mail over SMTP.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rocket::async_trait;

use super::{Mail, MailError, Mailer};
use crate::config::{Sender, SiteUrl, SmtpConfig, SmtpTls};
use crate::model::Email;
use crate::secret::{hex, random_bytes};

/// How long one step of the conversation with the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends by a mail server. Its certificate is verified; what would go over the network in clear text, does not go.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Smtp([redacted])")
    }
}

impl Smtp {
    /// As configured, for a site: its host is the name this program greets the server with.
    ///
    /// # Errors
    /// As [`Smtp::new`].
    pub fn of_site(config: &SmtpConfig, url: &SiteUrl) -> Result<Self, String> {
        let host = url.origin.split("://").last().unwrap_or_default();
        Self::new(config, host.split(':').next().unwrap_or_default())
    }

    /// As configured. `host` is the name this program greets the server with.
    ///
    /// # Errors
    /// One sentence: a name that cannot be in a certificate, a sender that is none, a file of certificates that cannot be
    /// read.
    pub fn new(config: &SmtpConfig, host: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("providers.email cannot be used: {error}");
        let tls = match config.tls {
            SmtpTls::Starttls => Tls::Required(tls_of(config)?),
            SmtpTls::Implicit => Tls::Wrapper(tls_of(config)?),
            SmtpTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
            .port(config.port)
            .tls(tls)
            .hello_name(ClientId::Domain(host.to_owned()))
            .timeout(Some(TIMEOUT));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let from = mailbox(&config.from).map_err(|error| wrong(&error))?;
        Ok(Self { transport: builder.build(), from })
    }

    /// Whether the server is there, is who it says, and lets this program in. Nothing is sent.
    ///
    /// # Errors
    /// [`MailError`] in one sentence.
    pub async fn check(&self) -> Result<(), MailError> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailError::Later("it hangs up".to_owned())),
            Err(error) => Err(explain(&error)),
        }
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let refused = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
        let to = address(&mail.to).map_err(|error| refused(&error))?;
        let unique = random_bytes::<16>().map_err(|error| MailError::Later(error.to_string()))?;
        let id = format!("<{}@{}>", hex(&unique), self.from.email.domain());
        // RFC 3834: no holiday notice is sent in answer to this.
        let automatic =
            HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.clone())
            .message_id(Some(id))
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| refused(&error))
    }
}

/// The server is who it says by a certificate for its name, from a public authority or one of the operator's own.
fn tls_of(config: &SmtpConfig) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca {
        let wrong = |error: &dyn std::fmt::Display| {
            format!("`auth.providers.email.ca` cannot be used ({}): {error}", path.display())
        };
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
            return Err(wrong(&"it holds no certificate in PEM"));
        }
        tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| wrong(&error))?);
    }
    tls.build().map_err(|error| format!("providers.email cannot be used: {error}"))
}

/// What went wrong, for whoever reads the log and can mend it.
fn explain(error: &Error) -> MailError {
    let text = error.to_string();
    if let Some(code) = error.status().map(|code| code.to_string())
        && ["530", "534", "535", "538"].contains(&code.as_str())
    {
        let hint = "check providers.email.user and providers.email.password";
        return MailError::Refused(format!("it does not let this program in; {hint}: {text}"));
    }
    if error.is_permanent() {
        return MailError::Refused(text);
    }
    MailError::Later(if text.contains("STARTTLS is not supported") {
        "it offers no STARTTLS, and nothing is sent in clear text (providers.email.tls)".to_owned()
    } else if text.contains("invalid peer certificate") {
        format!("its certificate is not accepted (providers.email.host, providers.email.ca): {text}")
    } else {
        text
    })
}

fn mailbox(sender: &Sender) -> Result<Mailbox, lettre::address::AddressError> {
    Ok(Mailbox::new(sender.name.clone(), address(&sender.email)?))
}

/// Both parsers must read the same two parts, or the mail does not go (GHSA-5jpx-9hw9-2fx4).
fn address(email: &Email) -> Result<Address, lettre::address::AddressError> {
    let (user, domain) = email.as_str().split_once('@').unwrap_or_default();
    Address::new(user, domain)
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        self.transport.send(message).await.map(|_| ()).map_err(|error| explain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn smtp(tls: SmtpTls) -> Smtp {
        let config = SmtpConfig {
            from: Sender {
                name: Some("Fröhlich".to_owned()),
                email: Email::parse("no-reply@example.com").unwrap(),
            },
            host: "mail.example.com".to_owned(),
            port: 587,
            user: Some("u".to_owned()),
            password: Some(Secret::new("hunter2-hunter2")),
            tls,
            ca: None,
        };
        Smtp::new(&config, "app.example.com").unwrap()
    }

    #[rocket::async_test]
    async fn a_message_has_one_recipient_and_the_headers_we_gave_it() {
        let to = Email::parse("o'hara{x}&y@example.com").unwrap();
        let mail = Mail::new(to, "Zeile\r\nBcc: eve@example.com — 한국어", "text", "<p>html</p>");
        let message = smtp(SmtpTls::Starttls).message(&mail).unwrap();
        let envelope: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(envelope, ["o'hara{x}&y@example.com"]);
        let source = String::from_utf8(message.formatted()).unwrap();
        let (headers, _) = source.split_once("\r\n\r\n").unwrap();
        let unfolded = headers.replace("\r\n ", " ");
        let names: Vec<&str> = unfolded.lines().filter_map(|line| line.split(':').next()).collect();
        assert!(!names.contains(&"Bcc") && !names.contains(&"Cc"), "{unfolded}");
        for once in ["To", "From", "Subject", "Message-ID", "Date", "Auto-Submitted", "MIME-Version"] {
            assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{once} in {unfolded}");
        }
    }

    #[rocket::async_test]
    async fn a_transport_does_not_print_its_password() {
        assert_eq!(format!("{:?}", smtp(SmtpTls::Implicit)), "Smtp([redacted])");
    }
}
