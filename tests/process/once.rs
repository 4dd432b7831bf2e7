//! What may be used once, used thirty-two times at the same moment at two processes that share a database: one wins.

use std::time::Duration;

use countersign::clock::{Clock as _, SystemClock};
use scraper::{Html, Selector};
use totp_rs::{Builder, Secret, Totp};

use crate::races::{MANY, Two, status};
use crate::service::{Address, cookies, csrf, sign_in};
use crate::wire::{at_once, form};

pub(crate) const KINDS: [&str; 2] = ["sqlite", "postgres"];

/// No limit stands between a contender and the race.
pub(crate) const OPEN: [(&str, &str); 6] = [
    ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT_EVERYWHERE", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_LIMITS__MAILS_PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_LIMITS__MAILS_PER_RECIPIENT", "1000000"),
];

/// A browser: its cookies and the CSRF token of its forms.
#[derive(Clone)]
pub(crate) struct Jar {
    pub(crate) cookies: String,
    pub(crate) token: String,
}

impl Jar {
    pub(crate) fn new(service: &Address) -> Self {
        let first = service.get("/api/auth/csrf", "");
        Self { cookies: cookies(&first), token: csrf(&first) }
    }

    /// With further cookies.
    pub(crate) fn with(&self, more: &str) -> Self {
        Self { cookies: format!("{}; {more}", self.cookies), token: self.token.clone() }
    }

    pub(crate) fn post(&self, service: &Address, path: &str, fields: &[(&str, &str)]) -> String {
        let mut all = vec![("csrfToken", self.token.as_str())];
        all.extend(fields);
        service.post(&format!("/api/auth/{path}"), &self.cookies, &String::from_utf8(form(&all)).unwrap())
    }
}

pub(crate) fn select(page: &str, selector: &str) -> Vec<String> {
    let document = Html::parse_document(page);
    let selector = Selector::parse(selector).unwrap();
    let text = |found: scraper::ElementRef<'_>| match found.attr("href").or_else(|| found.attr("value")) {
        Some(value) => value.to_owned(),
        None => found.text().collect(),
    };
    document.select(&selector).map(text).collect()
}

/// The newest mail's link with this path, taken apart, and the code in its text.
pub(crate) struct Mailed {
    pub(crate) email: String,
    pub(crate) token: String,
    pub(crate) code: String,
}

/// The mail that this process would have sent last, once it is there.
pub(crate) fn mailed(service: &Address, path: &str, seen: usize) -> Mailed {
    for _ in 0..600 {
        let page = service.get("/api/auth/outbox", "Accept: text/html\r\n");
        let links = select(&page, "article a");
        if let Some(link) = links.first().filter(|link| links.len() > seen && link.contains(path)) {
            let link = url::Url::parse(link).unwrap();
            let part = |name: &str| {
                let found = link.query_pairs().find(|(key, _)| key == name);
                found.map(|(_, value)| value.into_owned()).unwrap_or_default()
            };
            let text = select(&page, "article pre").remove(0);
            let digits = |line: &str| line.chars().filter(|c| *c != ' ').collect::<String>();
            let code = text.lines().map(|line| digits(line.trim()));
            let is_code = |line: &String| line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
            let code = code.into_iter().find(is_code).unwrap_or_default();
            return Mailed { email: part("email"), token: part("token"), code };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no mail with {path}");
}

/// How many mails this process would have sent so far.
pub(crate) fn mails(service: &Address) -> usize {
    select(&service.get("/api/auth/outbox", "Accept: text/html\r\n"), "article a").len()
}

/// Whether somebody was signed in by this answer.
pub(crate) fn entered(answer: &str) -> bool {
    let set = cookies(answer);
    set.split("; ").any(|pair| pair.contains("session-token") && !pair.ends_with('='))
}

/// The contenders that won; every other one has an answer that says no.
pub(crate) fn winners(label: &str, answers: &[String], won: impl Fn(&str) -> bool) -> usize {
    for answer in answers.iter().filter(|answer| !won(answer)) {
        assert!(matches!(status(answer), 302 | 303 | 400 | 401 | 429), "{label}: {answer}");
        assert!(!entered(answer), "{label}: {answer}");
    }
    answers.iter().filter(|answer| won(answer)).count()
}

#[test]
fn a_mailed_link_and_a_mailed_code_sign_one_in() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        let jar = Jar::new(two.service(0));
        for (round, way) in ["link", "code", "link", "code"].into_iter().enumerate() {
            let label = format!("{kind}, {way}");
            let seen = mails(two.service(0));
            let email = format!("ada{round}@example.com");
            let asked = jar.post(two.service(0), "signin/email", &[("email", &email)]);
            assert_eq!(status(&asked), 302, "{label}: {asked}");
            let jar = jar.with(&cookies(&asked));
            let mail = mailed(two.service(0), "callback/email", seen);
            let answers = at_once(MANY, |number| {
                let service = two.service(number);
                if way == "link" {
                    let fields = [("email", mail.email.as_str()), ("token", &mail.token), ("json", "true")];
                    jar.post(service, "callback/email", &fields)
                } else {
                    jar.post(service, "callback/email", &[("code", &mail.code), ("json", "true")])
                }
            });
            assert_eq!(winners(&label, &answers, entered), 1, "{label}");
        }
        assert_eq!(two.number("SELECT count(*) FROM sessions"), 4, "{kind}");
        assert_eq!(two.number("SELECT count(*) FROM users"), 4, "{kind}: one account for each address");
        assert_eq!(two.number("SELECT count(*) FROM verifications"), 0, "{kind}");
    }
}

#[test]
fn a_reset_link_sets_one_password() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        sign_in(two.service(0));
        let jar = Jar::new(two.service(0));
        let seen = mails(two.service(0));
        jar.post(two.service(0), "forgot-password", &[("email", "ada@example.com")]);
        let mail = mailed(two.service(0), "reset-password", seen);
        let password = |number: usize| format!("correct horse battery {number}");
        let answers = at_once(MANY, |number| {
            let (email, token, password) = (mail.email.as_str(), mail.token.as_str(), password(number));
            let fields = [("email", email), ("token", token), ("password", &password), ("json", "true")];
            jar.post(two.service(number), "reset-password", &fields)
        });
        let won = |answer: &str| answer.contains("notice=password_reset");
        assert_eq!(winners(kind, &answers, won), 1, "{kind}: {answers:?}");
        let winner = answers.iter().position(|answer| won(answer)).unwrap();
        for number in [winner, (winner + 1) % MANY] {
            let password = password(number);
            let fields = [("email", "ada@example.com"), ("password", &password), ("json", "true")];
            let answer = jar.post(two.service(1), "callback/credentials", &fields);
            assert_eq!(entered(&answer), number == winner, "{kind}: {answer}");
        }
    }
}

#[test]
fn a_link_that_confirms_or_changes_an_address_does_so_once() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        let session = sign_in(two.service(0));
        let jar = Jar::new(two.service(0)).with(&session);
        let mail = mailed(two.service(0), "verify-email", 0);
        let press = |path: &str, mail: &Mailed| {
            at_once(MANY, |number| {
                let fields = [("email", mail.email.as_str()), ("token", mail.token.as_str())];
                jar.post(two.service(number), path, &fields)
            })
        };
        let won = |answer: &str| answer.contains("notice=email_verified");
        assert_eq!(winners(kind, &press("verify-email", &mail), won), 1, "{kind}");
        let seen = mails(two.service(0));
        let asked = jar.post(two.service(0), "account/email", &[("email", "lovelace@example.com")]);
        assert_eq!(status(&asked), 303, "{kind}: {asked}");
        let mail = mailed(two.service(0), "change-email", seen);
        let won = |answer: &str| answer.contains("notice=email_changed");
        let answers = press("change-email", &mail);
        assert_eq!(answers.iter().filter(|answer| won(answer)).count(), 1, "{kind}: {answers:?}");
        let changed = "SELECT count(*) FROM users WHERE email = 'lovelace@example.com'";
        assert_eq!(two.number(changed), 1, "{kind}");
    }
}

/// Confirms the address of the person signed in, by the mail that came when they signed up.
pub(crate) fn confirm(service: &Address, jar: &Jar) {
    let mail = mailed(service, "verify-email", 0);
    let fields = [("email", mail.email.as_str()), ("token", &mail.token)];
    let answer = jar.post(service, "verify-email", &fields);
    assert!(answer.contains("notice=email_verified"), "{answer}");
}

/// Switches codes on: the app on the phone, and the recovery codes.
pub(crate) fn switch_on(service: &Address, jar: &Jar) -> (Totp, Vec<String>) {
    let headers = format!("Accept: text/html\r\nCookie: {}\r\n", jar.cookies);
    let page = service.get("/api/auth/account/security/totp", &headers);
    let base32 = select(&page, "code.secret");
    let secret = Secret::try_from_base32(base32.first().unwrap_or_else(|| panic!("{page}"))).unwrap();
    let phone = Builder::new().with_secret(secret).with_account_name("test").build().unwrap();
    let (field, code) = (select(&page, "input[name=secret]").remove(0), code(&phone, 0));
    let shown = jar.post(service, "account/security/totp", &[("secret", &field), ("code", &code)]);
    let codes = select(&shown, ".codes code");
    assert!(!codes.is_empty(), "{shown}");
    (phone, codes)
}

/// What the phone shows so many seconds from now.
pub(crate) fn code(phone: &Totp, later: u64) -> String {
    let now = u64::try_from(SystemClock.now().0).unwrap();
    phone.generate(now + later).to_string()
}

/// The first proof: a browser that is asked for the second.
pub(crate) fn first_proof(service: &Address) -> Jar {
    let jar = Jar::new(service);
    let fields = [("email", "ada@example.com"), ("password", "correct horse battery"), ("json", "true")];
    let answer = jar.post(service, "callback/credentials", &fields);
    assert!(answer.contains("/api/auth/factor") && !entered(&answer), "{answer}");
    jar.with(&cookies(&answer))
}

#[test]
fn a_second_proof_and_a_pending_sign_in_are_used_once() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        let session = sign_in(two.service(0));
        let jar = Jar::new(two.service(0)).with(&session);
        confirm(two.service(0), &jar);
        let (phone, codes) = switch_on(two.service(0), &jar);
        let prove = |jar: &Jar, number: usize, code: &str| {
            jar.post(two.service(number), "factor", &[("code", code), ("json", "true")])
        };
        // Everybody has a first proof of their own, and the same second one.
        for name in ["recovery code", "time-based code"] {
            let halves: Vec<Jar> = (0..MANY).map(|number| first_proof(two.service(number))).collect();
            // The next step's code, which the tolerance accepts already: that of this step was used to switch it on.
            let code = if name == "recovery code" { codes[0].clone() } else { code(&phone, 30) };
            let answers = at_once(MANY, |number| prove(&halves[number], number, &code));
            assert_eq!(winners(name, &answers, entered), 1, "{kind}, {name}");
        }
        // One first proof, and a second one for each of its copies.
        let half = first_proof(two.service(0));
        let left = &codes[1..];
        let answers = at_once(left.len(), |number| prove(&half, number, &left[number]));
        assert_eq!(winners("a pending sign-in", &answers, entered), 1, "{kind}");
    }
}
