//! Letters put into words: the templates `mail/letter.txt` and `mail/letter.html` in the recipient's language.

use rocket_dyn_templates::tera::{Context, Tera};
use serde_json::json;

use super::{Locales, Pages};
use crate::config::SiteUrl;
use crate::mail::{Compose, ComposeError, Letter, LetterKind, Mail};

/// Writes letters.
pub struct Letters {
    tera: Tera,
    locales: Locales,
    site_name: String,
    home: String,
}

impl std::fmt::Debug for Letters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letters").field("site_name", &self.site_name).finish_non_exhaustive()
    }
}

impl Letters {
    /// With the templates and languages of these pages.
    #[must_use]
    pub fn new(pages: &Pages, site_name: &str, url: &SiteUrl) -> Self {
        Self {
            tera: pages.tera().clone(),
            locales: pages.locales().clone(),
            site_name: site_name.to_owned(),
            home: url.origin.clone(),
        }
    }

    fn text(&self, letter: &Letter, part: &str) -> String {
        let key = format!("mail_{}_{part}", letter.kind.as_str());
        let text = self.fill(&self.locales.text(&letter.language, &key));
        text.replace("{about}", letter.about.as_deref().unwrap_or_default())
    }

    /// When it was done, to the minute.
    fn moment(&self, letter: &Letter) -> Option<String> {
        let at = letter.at?.to_rfc3339();
        let when = format!("{} {} UTC", at.get(..10)?, at.get(11..16)?);
        Some(self.locales.text(&letter.language, "mail_when").replace("{when}", &when))
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{site}", &self.site_name)
    }
}

impl Compose for Letters {
    fn compose(&self, letter: &Letter) -> Result<Mail, ComposeError> {
        let subject = self.text(letter, "subject");
        let closing = match letter.kind {
            LetterKind::AccountExists | LetterKind::OwnerArrived | LetterKind::AccountDeleted => {
                "mail_closing_information"
            }
            kind if kind.is_notice() => "mail_closing_notice",
            _ => "mail_closing_link",
        };
        // In two groups, as people read it out.
        let code = letter.code.as_ref().map(|code| {
            let (left, right) = code.expose().split_at_checked(4).unwrap_or((code.expose(), ""));
            format!("{left} {right}")
        });
        let context = json!({
            "t": *self.locales.texts(&letter.language),
            "lang": letter.language,
            "subject": subject,
            "text": self.text(letter, "text"),
            "when": self.moment(letter),
            "button": letter.link.is_some().then(|| self.text(letter, "button")),
            "link": letter.link,
            "code": code,
            "closing": self.fill(&self.locales.text(&letter.language, closing)),
            "site_name": self.site_name,
            "home": self.home,
        });
        let context = Context::from_value(context).map_err(|error| ComposeError(error.to_string()))?;
        let render = |name: &str| {
            self.tera.render(name, &context).map_err(|error| ComposeError(super::templates::explain(&error)))
        };
        let (text, html) = (render("auth/mail/letter.txt")?, render("auth/mail/letter.html")?);
        Ok(Mail::new(letter.to.clone(), &subject, text, html))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Email;
    use crate::secret::ShortCode;

    fn letters() -> Letters {
        let pages = Pages::load(std::path::Path::new("/nonexistent"), &[]).unwrap();
        let url = SiteUrl::parse("https://app.example.com").unwrap();
        Letters::new(&pages, "Ada & Söhne <b>", &url)
    }

    fn whole(mail: &Mail) -> String {
        format!("{} {} {}", mail.subject, mail.text, mail.html)
    }

    #[test]
    fn every_letter_has_its_words_in_every_language() {
        let letters = letters();
        for language in ["en", "ko"] {
            for kind in LetterKind::ALL {
                let to = Email::parse("ada@example.com").unwrap();
                let letter = Letter::new(kind, to, language).about("Acme <i>".to_owned());
                let link = "https://app.example.com/x?a=1&b=2".to_owned();
                let letter = if kind.is_notice() {
                    letter.at(Timestamp(1_800_000_000))
                } else {
                    letter.link(link.clone()).code(ShortCode::parse("12345678").unwrap())
                };
                let mail = letters.compose(&letter).unwrap();
                let whole = whole(&mail);
                let gaps = ["mail_", "{site}", "{about}", "{when}"];
                assert!(!gaps.iter().any(|gap| whole.contains(gap)), "{language} {kind:?}: {whole}");
                assert!(!mail.html.contains("<b>") && mail.html.contains("&lt;b&gt;"), "{}", mail.html);
                assert!(!mail.html.contains("<i>"), "{}", mail.html);
                if kind.is_notice() {
                    assert!(!mail.html.contains("href"), "{}", mail.html);
                    assert!(whole.matches("2027-01-15 08:00 UTC").count() == 2, "{whole}");
                    continue;
                }
                assert_eq!(mail.link(), Some(link.as_str()), "not escaped in the text");
                assert_eq!(mail.code().as_deref(), Some("12345678"));
                // Tera writes a slash as a character reference, which every reader of HTML takes back.
                let html = mail.html.replace("&#x2F;", "/");
                assert!(html.contains("https://app.example.com/x?a=1&amp;b=2"), "{html}");
            }
        }
    }

    #[test]
    fn languages_have_words_of_their_own() {
        let letters = letters();
        for kind in LetterKind::ALL {
            let compose = |language| {
                let to = Email::parse("ada@example.com").unwrap();
                letters.compose(&Letter::new(kind, to, language).about("Acme".to_owned())).unwrap()
            };
            let (en, ko) = (compose("en"), compose("ko"));
            assert!(en.subject != ko.subject && en.text.lines().next() != ko.text.lines().next(), "{kind:?}");
        }
    }
}
