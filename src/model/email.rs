//! E-mail addresses.

use std::fmt;

/// One deliverable address in canonical form: ASCII, lower case, `local@domain.tld`.
///
/// The parser is deliberately narrower than RFC 5322, because every published account take-over by address came from
/// two programs reading one text differently: quoted local parts, comments, routes, encoded words, lists, address
/// literals and look-alike characters are refused. NFKC comes first in meaning: a text that Unicode normalisation
/// would change (a full-width `＠`, a Kelvin sign) is not ASCII and is refused, so what was checked, stored, compared
/// and mailed is the same bytes.
///
/// ```
/// use countersign::model::Email;
///
/// assert_eq!(Email::parse(" Ada@Example.COM ").unwrap().as_str(), "ada@example.com");
/// assert!(Email::parse("attacker@evil.example\u{ff20}example.com").is_err());
/// assert!(Email::parse("a@example.com,b@example.com").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// Why a text is no address we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Not `something@something`.
    #[error("an address has the form name@example.com")]
    Form,
    /// A character outside those we accept before the `@`.
    #[error("the part before the @ holds a character that is not accepted")]
    Local,
    /// The part after the `@` is no host name with a dot.
    #[error("the part after the @ is not a domain name")]
    Domain,
    /// Over 254 characters, or over 64 before the `@` (RFC 5321 section 4.5.3.1).
    #[error("the address is too long")]
    TooLong,
    /// Letters beyond ASCII: a look-alike could stand for another person's address.
    #[error("only plain letters, digits and signs are accepted; write international domains as xn--")]
    NotAscii,
}

impl Email {
    /// Parses one address: blanks around it trimmed, letters lower-cased.
    ///
    /// # Errors
    /// An [`EmailError`] that says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim_matches([' ', '\t']);
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        if text.len() > 254 {
            return Err(EmailError::TooLong);
        }
        let text = text.to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(EmailError::Form)?;
        check_local(local)?;
        check_domain(domain)?;
        Ok(Self(text))
    }

    /// The canonical address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 5322 dot-atom, less the signs that have a meaning in older mail routing (`%`, `!`), in encoded words (`=`, `?`)
/// and at the start of a command's option (`-`).
fn check_local(local: &str) -> Result<(), EmailError> {
    if local.len() > 64 {
        return Err(EmailError::TooLong);
    }
    let atoms_are_whole = local.split('.').all(|atom| !atom.is_empty());
    let signs = b"'+-_.&~#$*/^{}|`";
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || signs.contains(&byte);
    if !atoms_are_whole || local.starts_with('-') || !local.bytes().all(accepted) {
        return Err(EmailError::Local);
    }
    Ok(())
}

/// At least two labels of letters, digits and inner hyphens, which the URL standard also reads as this same name
/// (so punycode is well-formed), the last of them not a number.
fn check_domain(domain: &str) -> Result<(), EmailError> {
    let label_is_sound = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let labels = domain.split('.').count();
    let last_is_name =
        domain.rsplit('.').next().is_some_and(|label| !label.bytes().all(|b| b.is_ascii_digit()));
    if labels >= 2
        && last_is_name
        && domain.split('.').all(label_is_sound)
        && (is_plain(domain) || is_same_to_the_url_standard(domain))
    {
        Ok(())
    } else {
        Err(EmailError::Domain)
    }
}

/// Whether there is nothing in sound labels that the URL standard reads in its own way: it decodes punycode, and takes a name
/// whose end begins like a number for an IPv4 address. Every session's address is read from its row, and few are not plain.
fn is_plain(domain: &str) -> bool {
    let mut labels = domain.split('.');
    let ends_like_a_name =
        labels.clone().next_back().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
    ends_like_a_name && labels.all(|label| !label.starts_with("xn--"))
}

fn is_same_to_the_url_standard(domain: &str) -> bool {
    matches!(url::Host::parse(domain), Ok(url::Host::Domain(read)) if read == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_is_idempotent() {
        for text in ["Ada@Example.COM", " o'hara@example.com", "x_y-z+tag@sub.example.co.uk"] {
            let once = Email::parse(text).unwrap();
            assert_eq!(Email::parse(once.as_str()).unwrap(), once);
        }
    }

    #[test]
    fn each_refusal_names_its_rule() {
        let cases = [
            ("ada", EmailError::Form),
            ("", EmailError::Form),
            ("a@b@example.com", EmailError::Domain),
            ("\"a b\"@example.com", EmailError::Local),
            (".a@example.com", EmailError::Local),
            ("ada@localhost", EmailError::Domain),
            ("ada@example.com.", EmailError::Domain),
            ("ada@[127.0.0.1]", EmailError::Domain),
            ("ada@127.0.0.1", EmailError::Domain),
            ("ada@xn--0049.com", EmailError::Domain),
            ("\u{212a}im@example.com", EmailError::NotAscii),
        ];
        for (text, error) in cases {
            assert_eq!(Email::parse(text), Err(error), "{text}");
        }
        assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::TooLong));
    }

    /// All names of six signs and an end, of which many are sound.
    #[test]
    fn what_is_plain_is_the_same_to_the_url_standard() {
        const SIGNS: [char; 7] = ['a', 'n', 'x', '-', '.', '0', '7'];
        let mut plain = 0;
        for end in ["", ".0", ".0x7", ".com", ".c0", ".xn--a"] {
            for number in 0..SIGNS.len().pow(6) {
                let sign = |at| SIGNS[number / SIGNS.len().pow(at) % SIGNS.len()];
                let domain: String = (0..6).map(sign).chain(end.chars()).collect();
                if check_domain(&domain).is_ok() && is_plain(&domain) {
                    plain += 1;
                    assert!(is_same_to_the_url_standard(&domain), "{domain}");
                }
            }
        }
        assert!(plain > 10_000, "{plain}");
    }
}
