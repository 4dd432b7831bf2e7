//! Codes of eight and six digits, guessed two hundred times at the same moment at two processes that share a database: no more are
//! looked at than the limit allows, and then not even the right one.

use crate::once::{Jar, KINDS, code, confirm, entered, first_proof, mailed, switch_on};
use crate::races::{Two, status};
use crate::service::{cookies, sign_in};
use crate::wire::at_once;

/// Guesses at once.
const GUESSES: usize = 200;
/// Those that are looked at.
const LIMIT: usize = 5;

/// A code of so many digits that is not this one.
fn wrong(right: &str, number: usize) -> String {
    let (digits, width) = (right.parse::<usize>().unwrap(), right.len());
    let all = 10_usize.pow(width.try_into().unwrap());
    format!("{:0width$}", (digits + 1 + number) % all)
}

/// Some were wrong, no more than the limit; all others were not looked at.
fn assert_limited(label: &str, answers: &[String]) {
    // A database that is asked too much at once may say so, with 503.
    let looked: Vec<&String> =
        answers.iter().filter(|answer| ![429, 503].contains(&status(answer))).collect();
    assert!((1..=LIMIT).contains(&looked.len()), "{label}: {} were looked at: {looked:?}", looked.len());
    for answer in answers {
        assert!((400..=503).contains(&status(answer)) && !entered(answer), "{label}: {answer}");
    }
    assert!(answers.iter().any(|answer| status(answer) == 429), "{label}: {answers:?}");
}

#[test]
fn of_two_hundred_mailed_codes_no_more_are_looked_at_than_the_limit_allows() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &[]) else { continue };
        let jar = Jar::new(two.service(0));
        let asked = jar.post(two.service(0), "signin/email", &[("email", "ada@example.com")]);
        let jar = jar.with(&cookies(&asked));
        let mail = mailed(two.service(0), "callback/email", 0);
        let try_code = |number: usize, code: &str| {
            jar.post(two.service(number), "callback/email", &[("code", code), ("json", "true")])
        };
        let answers = at_once(GUESSES, |number| try_code(number, &wrong(&mail.code, number)));
        assert_limited(kind, &answers);
        assert_eq!(status(&try_code(0, &mail.code)), 429, "{kind}: the right one comes too late");
        assert_eq!(two.number("SELECT count(*) FROM sessions"), 0, "{kind}");
        // The control: a fresh one works.
        let again = Jar::new(two.service(1));
        let asked = again.post(two.service(1), "signin/email", &[("email", "ada@example.com")]);
        let mail = mailed(two.service(1), "callback/email", 0);
        let fields = [("code", mail.code.as_str()), ("json", "true")];
        let answer = again.with(&cookies(&asked)).post(two.service(0), "callback/email", &fields);
        assert!(entered(&answer), "{kind}: {answer}");
    }
}

#[test]
fn of_two_hundred_second_proofs_no_more_are_looked_at_than_the_limit_allows() {
    for kind in KINDS {
        let Some(two) = Two::start(kind, &[]) else { continue };
        let session = sign_in(two.service(0));
        let jar = Jar::new(two.service(0)).with(&session);
        confirm(two.service(0), &jar);
        let (phone, _) = switch_on(two.service(0), &jar);
        let halves = [first_proof(two.service(0)), first_proof(two.service(1))];
        // The next step's, which the tolerance accepts already: that of this step was used to switch it on.
        let right = code(&phone, 30);
        let try_code = |number: usize, code: &str| {
            halves[number % 2].post(two.service(number), "factor", &[("code", code), ("json", "true")])
        };
        // Not near the right one, as the codes of the steps around are right, too.
        let answers = at_once(GUESSES, |number| try_code(number, &wrong(&right, 1 + number * 4_321)));
        assert_limited(kind, &answers);
        assert_eq!(status(&try_code(1, &right)), 429, "{kind}: the right one comes too late");
        assert_eq!(two.number("SELECT count(*) FROM sessions"), 1, "{kind}");
    }
}
