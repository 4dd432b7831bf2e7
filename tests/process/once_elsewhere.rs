//! What comes back from elsewhere, from another site or from a passkey, used many times at the same moment at two processes that
//! share a database: one wins, and nobody becomes two people.

use countersign::clock::{Clock as _, ManualClock, SystemClock};
use countersign::testing::{OpenIdProvider, SoftPasskey};
use rocket::tokio::runtime::Runtime;
use serde_json::{Value, json};

use crate::once::{Jar, KINDS, OPEN, confirm, entered, select, winners};
use crate::races::{MANY, Two, status};
use crate::service::{Address, cookies, sign_in};
use crate::wire::at_once;

/// Where both processes stand, as behind a balancer.
const ORIGIN: &str = "http://localhost:8000";

/// Another site, and two processes that ask there.
struct Site {
    two: Two,
    provider: OpenIdProvider,
    _runtime: Runtime,
}

impl Site {
    fn start(kind: &str) -> Option<Self> {
        let runtime = Runtime::new().unwrap();
        let provider = runtime.block_on(OpenIdProvider::start());
        provider.follow(&ManualClock::at(SystemClock.now()));
        let two = start(kind, &provider.toml("acme"))?;
        Some(Self { two, provider, _runtime: runtime })
    }

    /// Sends this browser there, where the person of these claims agrees: the browser with what it was given for the way,
    /// and the address it comes back to.
    fn agree(&self, jar: &Jar, number: usize, claims: &Value) -> (Jar, String) {
        let asked = jar.post(self.two.service(number), "signin/acme", &[("json", "true")]);
        let body: Value = serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let back = self.provider.authorize(body["url"].as_str().unwrap(), claims);
        (jar.with(&cookies(&asked)), back)
    }
}

fn start(kind: &str, toml: &str) -> Option<Two> {
    let mut variables = vec![("COUNTERSIGN_URL", ORIGIN)];
    variables.extend(OPEN);
    Two::configured(kind, &variables, toml)
}

/// Follows a redirect back from there.
fn come_back(service: &Address, jar: &Jar, back: &str) -> String {
    service.get(back, &format!("Cookie: {}\r\n", jar.cookies))
}

fn ada() -> Value {
    json!({ "sub": "1815", "email": "ada@example.com", "email_verified": true })
}

#[test]
fn an_answer_of_another_site_signs_one_in() {
    for kind in KINDS {
        let Some(site) = Site::start(kind) else { continue };
        for round in 1..=3 {
            let (jar, back) = site.agree(&Jar::new(site.two.service(0)), 0, &ada());
            let answers = at_once(MANY, |number| come_back(site.two.service(number), &jar, &back));
            assert_eq!(winners(kind, &answers, entered), 1, "{kind}: {answers:?}");
            assert_eq!(site.provider.asked("/token"), round, "{kind}: the code is exchanged once");
        }
        assert_eq!(site.two.number("SELECT count(*) FROM users"), 1, "{kind}");
        assert_eq!(site.two.number("SELECT count(*) FROM sessions"), 3, "{kind}");
    }
}

#[test]
fn somebody_who_arrives_many_times_at_once_is_one_person() {
    for kind in KINDS {
        let Some(site) = Site::start(kind) else { continue };
        let ways: Vec<(Jar, String)> =
            (0..MANY).map(|number| site.agree(&Jar::new(site.two.service(number)), number, &ada())).collect();
        let answers = at_once(MANY, |number| {
            let (jar, back) = &ways[number];
            come_back(site.two.service(number), jar, back)
        });
        assert!(answers.iter().all(|answer| entered(answer)), "{kind}: {answers:?}");
        assert_eq!(site.two.number("SELECT count(*) FROM users"), 1, "{kind}");
        assert_eq!(site.two.number("SELECT count(*) FROM accounts"), 1, "{kind}");
    }
}

/// Somebody with a password of their own, signed in.
fn person(service: &Address, number: usize) -> Jar {
    let email = format!("p{number}@example.com");
    let fields = [("email", email.as_str()), ("password", "correct horse battery"), ("json", "true")];
    let jar = Jar::new(service);
    assert_eq!(status(&jar.post(service, "signup", &fields)), 200);
    let answer = jar.post(service, "callback/credentials", &fields);
    assert!(entered(&answer), "{answer}");
    let session = cookies(&answer);
    let session = session.split("; ").find(|pair| pair.contains("session-token")).unwrap();
    Jar::new(service).with(session)
}

#[test]
fn an_account_elsewhere_is_linked_to_one_of_those_who_ask() {
    const PEOPLE: usize = MANY;
    for kind in KINDS {
        let Some(site) = Site::start(kind) else { continue };
        let claims = json!({ "sub": "shared", "email": "shared@example.com", "email_verified": true });
        let ways: Vec<(Jar, String)> = (0..PEOPLE)
            .map(|number| site.agree(&person(site.two.service(number), number), number, &claims))
            .collect();
        let answers = at_once(PEOPLE, |number| {
            let (jar, back) = &ways[number];
            come_back(site.two.service(number), jar, back)
        });
        assert!(answers.iter().all(|answer| status(answer) == 302), "{kind}: {answers:?}");
        let linked = answers.iter().filter(|answer| !answer.contains("error="));
        assert_eq!(linked.count(), 1, "{kind}: {answers:?}");
        assert_eq!(site.two.number("SELECT count(*) FROM accounts"), 1, "{kind}");
        assert_eq!(site.two.number("SELECT count(*) FROM users"), i64::try_from(PEOPLE).unwrap(), "{kind}");
    }
}

/// What a page asks of a passkey: the options, and the browser with the challenge it was given.
fn options(service: &Address, jar: &Jar, path: &str) -> (Value, Jar) {
    let asked = jar.post(service, path, &[]);
    let body = asked.split("\r\n\r\n").nth(1).unwrap_or_default();
    (
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {asked}")),
        jar.with(&cookies(&asked)),
    )
}

#[test]
fn an_answer_of_a_passkey_signs_one_in() {
    for kind in KINDS {
        let Some(two) = start(kind, "") else { continue };
        let jar = Jar::new(two.service(0)).with(&sign_in(two.service(0)));
        confirm(two.service(0), &jar);
        let mut key = SoftPasskey::new(ORIGIN, "localhost");
        let (asked, jar) = options(two.service(0), &jar, "account/security/passkeys/options");
        let credential = key.create(&asked);
        // A new passkey's answer is good for one passkey, too.
        let answers = at_once(MANY, |number| {
            let fields = [("credential", credential.as_str()), ("name", "phone")];
            jar.post(two.service(number), "account/security/passkeys", &fields)
        });
        let added = |answer: &str| !select(answer, ".codes code").is_empty();
        assert_eq!(answers.iter().filter(|answer| added(answer)).count(), 1, "{kind}: {answers:?}");
        assert_eq!(two.number("SELECT count(*) FROM passkeys"), 1, "{kind}");
        for _ in 0..3 {
            let (asked, jar) = options(two.service(0), &Jar::new(two.service(0)), "passkey/options");
            let credential = key.get(&asked);
            let answers = at_once(MANY, |number| {
                let fields = [("credential", credential.as_str()), ("json", "true")];
                jar.post(two.service(number), "callback/passkey", &fields)
            });
            assert_eq!(winners(kind, &answers, entered), 1, "{kind}: {answers:?}");
        }
    }
}
