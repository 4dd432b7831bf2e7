//! Every case of linking, its invariants, and the document that prints them; and the same over HTTP.

use std::fmt::Write as _;

use countersign::signin::linking::{Case, Here, Known, Policy, Refusal, Ruling, SignedIn, decide};
use serde_json::json;

use crate::app::{STRATEGIES, Setup};
use crate::browser::{PASSWORD, Steps as _};
use crate::document;
use crate::idp::Idp;
use crate::oidc::{ERROR, ada, begin, sign_in, start};

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let flags = [false, true];
    for signed_in in [SignedIn::No, SignedIn::Stale, SignedIn::Recently] {
        for known in [Known::No, Known::Own, Known::Somebodys] {
            for here in [Here::NoAddress, Here::Free, Here::Unproven, Here::Proven] {
                for verified_there in flags {
                    for (sign_up, link_by_email) in
                        [(true, false), (true, true), (false, false), (false, true)]
                    {
                        let policy = Policy { sign_up, link_by_email };
                        all.push(Case { signed_in, known, here, verified_there, policy });
                    }
                }
            }
        }
    }
    // Whose the account is cannot be the person's own when nobody is signed in.
    all.retain(|case| case.signed_in != SignedIn::No || case.known != Known::Own);
    all
}

#[test]
fn the_invariants_hold_in_every_case() {
    let all = cases();
    assert_eq!(all.len(), 8 * 4 * 2 * 4);
    for case in all {
        let ruling = decide(case);
        let opens_by_address = matches!(ruling, Ruling::LinkByAddress | Ruling::TakeOver);
        // An address that is not proven there never gains.
        assert!(case.verified_there || !opens_by_address, "{case:?}");
        assert!(case.verified_there || ruling != (Ruling::Create { proven: true }), "{case:?}");
        // Nobody gets two owners.
        if case.known != Known::No {
            assert!(matches!(ruling, Ruling::SignIn | Ruling::Refuse(Refusal::SomebodyElses)), "{case:?}");
        }
        if ruling == Ruling::SignIn {
            assert_ne!(case.known, Known::No, "{case:?}");
        }
        // Whoever holds an address without having proven it is out once its owner arrives.
        let owner_arrives = case.signed_in == SignedIn::No && case.known == Known::No && case.verified_there;
        assert_eq!(ruling == Ruling::TakeOver, owner_arrives && case.here == Here::Unproven, "{case:?}");
        // A proven address is opened by policy alone.
        if case.here == Here::Proven && !case.policy.link_by_email {
            assert!(!opens_by_address, "{case:?}");
        }
        // Whoever is signed in is asked about themselves alone: the address has no say.
        if case.signed_in != SignedIn::No {
            for here in [Here::NoAddress, Here::Free, Here::Unproven, Here::Proven] {
                for verified_there in [false, true] {
                    assert_eq!(decide(Case { here, verified_there, ..case }), ruling, "{case:?}");
                }
            }
        }
        // A new way in only after a recent proof.
        assert!(ruling != Ruling::Link || case.signed_in == SignedIn::Recently, "{case:?}");
        // Nobody new where nobody new is let in.
        if !case.policy.sign_up {
            assert!(!matches!(ruling, Ruling::Create { .. }), "{case:?}");
        }
    }
}

fn word(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::SignIn => "sign in as its owner",
        Ruling::Link => "**link** to the person signed in",
        Ruling::LinkByAddress => "**link** to whoever has the address, and sign in",
        Ruling::Create { proven: true } => "**create** an account with a proven address",
        Ruling::Create { proven: false } => "**create** an account whose address is not proven",
        Ruling::TakeOver => "**take over**: the holder's password, links and sessions end; sign in",
        Ruling::Refuse(Refusal::SomebodyElses) => "refuse: `OAuthAccountNotLinked` (somebody else's account)",
        Ruling::Refuse(Refusal::AddressTaken) => {
            "refuse: `OAuthAccountNotLinked` (the address is somebody's)"
        }
        Ruling::Refuse(Refusal::Stale) => "refuse: a proof of who they are is asked for first",
        Ruling::Refuse(Refusal::NoAddress) => "refuse: `OAuthCreateAccount` (no address)",
        Ruling::Refuse(Refusal::SignUpClosed) => "refuse: `AccessDenied` (`sign_up = false`)",
    }
}

#[test]
fn the_document_prints_every_case() {
    let mut text = String::from(
        "# Linking\n\nWhose account a sign-in at another site opens. Printed by a test from the one function that decides \
         (`src/signin/linking.rs`); the test also holds its invariants: an address that is not proven *there* never gains, nobody \
         gets two owners, whoever holds an address here without having proven it is out once its owner arrives, and what \
         somebody who is signed in began is about them alone.\n\n\"Signed in\" means: when the sign-in began, and still the same person \
         when it came back; \"recently\": within `session.fresh_age` before it began. An account there is known by provider, issuer and subject, never by its address. `sign_up` and \
         `link_by_email` are keys of the provider (docs/configuration.md).\n\n\
         | signed in | the account there is | its address here is | proven there | sign_up | link_by_email | what happens |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let yes = |on| if on { "yes" } else { "no" };
    for case in cases() {
        let known = match case.known {
            Known::No => "nobody's",
            Known::Own => "their own",
            Known::Somebodys => "somebody's",
        };
        let here = match case.here {
            Here::NoAddress => "not told",
            Here::Free => "free",
            Here::Unproven => "taken, not proven",
            Here::Proven => "taken, proven",
        };
        let signed_in = match case.signed_in {
            SignedIn::No => "no",
            SignedIn::Stale => "long ago",
            SignedIn::Recently => "recently",
        };
        let there = yes(case.verified_there);
        let (sign_up, link) = (yes(case.policy.sign_up), yes(case.policy.link_by_email));
        let what = word(decide(case));
        writeln!(text, "| {signed_in} | {known} | {here} | {there} | {sign_up} | {link} | {what} |").unwrap();
    }
    document::compare("linking.md", &text);
}

// ASVS: 6.8.1
/// Pre-account hijacking (CVE-2026-67327, CVE-2026-53516): an attacker signs up with the victim's address.
#[rocket::async_test]
async fn a_squatter_is_out_once_the_owner_arrives() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        let mut squatter = app.browser().enter("ada@example.com").await;
        // A link of the squatter's own to come back by.
        let linked = sign_in(&mut squatter, &idp, &json!({ "sub": "eve", "email": "eve@example.com" })).await;
        assert_eq!(linked.location(), "http://localhost:8000/after");
        let id = app.user("ada@example.com").await.unwrap().id;
        let mut owner = app.browser();
        assert_eq!(sign_in(&mut owner, &idp, &ada()).await.location(), "http://localhost:8000/after");
        assert_eq!(owner.me().await.1, "ada@example.com", "{strategy}");
        let user = app.user("ada@example.com").await.unwrap();
        assert_eq!((user.id, user.name.unwrap().as_str()), (id, "Ada"));
        assert!(user.email_verified_at.is_some());
        assert_eq!(squatter.me().await.0, 401, "{strategy}: the planted session");
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 401, "the password");
        let mut back = app.browser();
        sign_in(
            &mut back,
            &idp,
            &json!({ "sub": "eve", "email": "eve2@example.com", "email_verified": true }),
        )
        .await;
        assert_ne!(back.me().await.1, "ada@example.com", "{strategy}: the planted link");
    }
}

/// An address that is not proven there opens nothing: false, absent, or a text that is not `true`.
#[rocket::async_test]
async fn an_unproven_address_gains_nothing() {
    let idp = Idp::start().await;
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml("link_by_email = true").start().await;
    app.browser().enter("ada@example.com").await;
    for verified in [json!(false), json!(null), json!("false"), json!(0), json!([true]), json!("yes")] {
        let mut eve = app.browser();
        let claims = json!({ "sub": "eve", "email": "ada@example.com", "email_verified": verified });
        let answer = sign_in(&mut eve, &idp, &claims).await;
        assert!(answer.location().ends_with("error=OAuthAccountNotLinked"), "{verified}");
        assert_eq!(eve.me().await.0, 401);
    }
    assert_eq!(
        app.browser().try_sign_in("ada@example.com", PASSWORD).await.status,
        200,
        "the holder is untouched"
    );
    // A free one makes an account of its own, whose address is not proven.
    let mut new = app.browser();
    sign_in(&mut new, &idp, &json!({ "sub": "n", "email": "new@example.com" })).await;
    assert_eq!(new.me().await.1, "new@example.com");
    assert!(app.user("new@example.com").await.unwrap().email_verified_at.is_none());
    // Without any there is none.
    let answer = sign_in(&mut app.browser(), &idp, &json!({ "sub": "x" })).await;
    let page = "error?error=OAuthCreateAccount&reason=address_missing&provider=acme";
    assert!(answer.location().ends_with(page), "{}", answer.location());
}

// ASVS: 6.8.1
#[rocket::async_test]
async fn proven_on_both_sides_is_one_person_only_by_policy() {
    for (policy, linked) in [("link_by_email = false", false), ("link_by_email = true", true)] {
        let (idp, other) = (Idp::start().await, Idp::start().await);
        let toml = format!("{}{policy}\n{}{policy}", idp.toml("acme"), other.toml("other"));
        let app = Setup::new("jwt").toml(&toml).start().await;
        assert_eq!(sign_in(&mut app.browser(), &idp, &ada()).await.location(), "http://localhost:8000/after");
        let mut browser = app.browser();
        let back = other.authorize(&begin(&mut browser, "other", "/").await, &ada());
        let answer = browser.get(&back).await;
        assert_eq!(answer.location() == "http://localhost:8000/", linked, "{policy}: {}", answer.location());
        assert_eq!(browser.me().await.0 == 200, linked);
    }
}

#[rocket::async_test]
async fn sign_up_can_be_closed_and_a_disabled_user_stays_out() {
    let idp = Idp::start().await;
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml("sign_up = false").start().await;
    let answer = sign_in(&mut app.browser(), &idp, &ada()).await;
    assert!(answer.location().ends_with("error=AccessDenied"), "{}", answer.location());
    assert!(app.user("ada@example.com").await.is_none());
    let idp = Idp::start().await;
    let app = start(&idp, "database").await;
    assert_eq!(sign_in(&mut app.browser(), &idp, &ada()).await.location(), "http://localhost:8000/after");
    app.disable("ada@example.com").await;
    let mut browser = app.browser();
    let answer = sign_in(&mut browser, &idp, &ada()).await;
    assert!(answer.location().ends_with("error=AccessDenied"), "{}", answer.location());
    assert_eq!(browser.me().await.0, 401);
}

#[rocket::async_test]
async fn linking_is_for_whoever_began_it() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        let mut ada_here = app.browser().enter("ada@example.com").await;
        let before = ada_here.session().unwrap().to_owned();
        let there =
            json!({ "sub": "1815", "email": "other@example.com", "email_verified": true, "name": "A" });
        // Signed out, or somebody else, when it comes back.
        let back = idp.authorize(&begin(&mut ada_here, "acme", "/").await, &there);
        let mut signed_out = ada_here.clone();
        signed_out.forget("next-auth.session-token");
        assert_eq!(signed_out.get(&back).await.location(), ERROR, "{strategy}");
        let eve = app.browser().enter("eve@example.com").await;
        let mut swapped = ada_here.clone();
        swapped.set_cookie("next-auth.session-token", eve.session().unwrap());
        assert_eq!(swapped.get(&back).await.location(), ERROR, "{strategy}");
        // As it should be: linked, the session goes on, and the account page shows it.
        assert_eq!(ada_here.get(&back).await.location(), "http://localhost:8000/");
        assert_eq!(ada_here.session().unwrap(), before);
        let page = ada_here.visit("/api/auth/account").await.body;
        assert!(
            page.contains("other@example.com") && page.contains("account&#x2F;unlink")
                || page.contains("account/unlink"),
            "{page}"
        );
        let mut again = app.browser();
        sign_in(&mut again, &idp, &there).await;
        assert_eq!(again.me().await.1, "ada@example.com", "{strategy}");
        // Somebody else cannot have it too.
        let mut eve = eve;
        let answer = sign_in(&mut eve, &idp, &there).await;
        assert!(answer.location().ends_with("error=OAuthAccountNotLinked"), "{}", answer.location());
        assert_eq!(eve.me().await.1, "eve@example.com");
    }
}

#[rocket::async_test]
async fn unlinking_leaves_a_way_in_and_other_peoples_links_alone() {
    let idp = Idp::start().await;
    let no_links = "[default.auth.providers.email]\nenabled = false\n";
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml(no_links).start().await;
    let mut newcomer = app.browser();
    sign_in(&mut newcomer, &idp, &ada()).await;
    let id = app.linked_accounts("ada@example.com").await[0].id.clone();
    let mut eve = app.browser().enter("eve@example.com").await;
    let token = eve.csrf().await;
    let answer = eve.form("/api/auth/account/unlink", &[("csrfToken", &token), ("id", &id)]).await;
    assert_eq!(answer.status, 404);
    let token = newcomer.csrf().await;
    assert_eq!(
        newcomer.form("/api/auth/account/unlink", &[("id", &id)]).await.status,
        403,
        "without the token"
    );
    let answer = newcomer.form("/api/auth/account/unlink", &[("csrfToken", &token), ("id", &id)]).await;
    assert!(answer.location().ends_with("notice=last_way_in"), "{}", answer.location());
    assert!(
        newcomer.visit("/api/auth/account?notice=last_way_in").await.body.contains("only way to sign in")
    );
    // With a second account there, the first can go.
    sign_in(&mut newcomer, &idp, &json!({ "sub": "1816" })).await;
    let answer = newcomer.form("/api/auth/account/unlink", &[("csrfToken", &token), ("id", &id)]).await;
    assert!(answer.location().ends_with("notice=account_unlinked"), "{}", answer.location());
    let mut gone = app.browser();
    let answer = sign_in(&mut gone, &idp, &ada()).await;
    assert!(answer.location().ends_with("error=OAuthAccountNotLinked"), "{}", answer.location());
}
