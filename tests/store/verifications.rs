//! Mailed secrets: redeemed once, for one purpose, by one person.

use std::sync::Arc;

use countersign::clock::Timestamp;
use countersign::model::{
    Email, MailedCode, NewUser, Purpose, SecurityStamp, Subject, User, UserId, Verification,
};
use countersign::secret::{PlainToken, ShortCode, TokenHash};
use countersign::store::{EmailChange, Redeemed, Redemption};

use crate::{Fresh, NOW, email, new_user, on_both, session, user};

on_both!(
    a_secret_comes_back_as_kept,
    no_secret_is_good_for_another_purpose,
    a_secret_ends_at_its_second,
    one_of_many_redeems_a_sign_in,
    one_of_many_redeems_each_other_purpose,
    two_secrets_of_one_new_address_make_one_user,
    what_was_foreseen_otherwise_redeems_nothing,
    a_try_that_was_right_is_taken_back,
    a_code_is_counted_before_it_is_known,
    who_never_proved_the_address_is_shut_out,
    a_proven_user_keeps_password_and_sessions,
    a_disabled_user_and_a_closed_door_are_refused,
    a_reset_ends_everything_of_before,
    an_address_is_changed_to_the_one_that_was_mailed,
    an_address_somebody_has_is_not_taken_over,
    a_deleted_user_leaves_nothing,
    expired_secrets_are_cleaned_up,
);

const UNTIL: Timestamp = Timestamp(NOW.0 + 9999);

fn secret(purpose: Purpose, address: &str, user_id: Option<&UserId>) -> Verification {
    let email = email(address);
    let id = Verification::id_of(purpose, &email, &PlainToken::generate().unwrap());
    let user_id = user_id.cloned();
    Verification { id, purpose, email, user_id, code: None, created_at: NOW, expires_at: NOW.plus(600) }
}

async fn kept(fresh: &Fresh, purpose: Purpose, address: &str, user_id: Option<&UserId>) -> TokenHash {
    let secret = secret(purpose, address, user_id);
    fresh.store.add_verification(&secret).await.unwrap();
    secret.id
}

fn newcomer() -> NewUser {
    NewUser { password_hash: None, name: None, ..new_user("ignored@example.com") }
}

async fn sign_in_at(fresh: &Fresh, id: &TokenHash, now: Timestamp) -> Redeemed {
    let newcomer = newcomer();
    let (user, stamp) = foreseen(fresh, id).await.unwrap_or((newcomer.id.clone(), SecurityStamp::default()));
    let redemption =
        Redemption { id, now, newcomer: Some(&newcomer), user: &user, stamp, revoke_until: UNTIL };
    fresh.store.redeem_sign_in(&redemption).await.unwrap()
}

/// Whose address it is that a secret was mailed to, and their stamp once it is redeemed.
async fn foreseen(fresh: &Fresh, id: &TokenHash) -> Option<(UserId, SecurityStamp)> {
    let mailed = fresh.store.find_verification(id, Purpose::SignIn).await.unwrap()?;
    let user = fresh.store.find_user_by_email(&mailed.email).await.unwrap()?.user;
    let is_proven = user.email_verified_at.is_some();
    Some((user.id, if is_proven { user.security_stamp } else { user.security_stamp.next() }))
}

async fn sign_in(fresh: &Fresh, id: &TokenHash) -> Redeemed {
    sign_in_at(fresh, id, NOW).await
}

async fn found(fresh: &Fresh, address: &str) -> Option<(User, Option<String>)> {
    let found = fresh.store.find_user_by_email(&Email::parse(address).unwrap()).await.unwrap();
    found.map(|found| (found.user, found.password_hash))
}

async fn a_secret_comes_back_as_kept(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let code = MailedCode { browser: TokenHash::of("b"), hash: TokenHash::of("c") };
    let one = Verification { code: Some(code), ..secret(Purpose::SignIn, "ada@example.com", Some(&ada)) };
    let other = Verification {
        created_at: NOW.plus(1),
        ..secret(Purpose::ChangeEmail, "new@example.com", Some(&ada))
    };
    for verification in [&one, &other] {
        fresh.store.add_verification(verification).await.unwrap();
        let back = fresh.store.find_verification(&verification.id, verification.purpose).await.unwrap();
        assert_eq!(back.as_ref(), Some(verification));
    }
    assert_eq!(fresh.store.find_verification(&one.id, Purpose::ResetPassword).await.unwrap(), None);
    assert_eq!(fresh.store.list_verifications(&ada).await.unwrap(), [one, other]);
}

/// Every secret at every redeemer: only its own works.
async fn no_secret_is_good_for_another_purpose(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let session = session(&*fresh.store, &ada).await;
    for purpose in Purpose::ALL {
        let id = kept(fresh, purpose, "ada@example.com", Some(&ada)).await;
        if purpose != Purpose::SignIn {
            assert_eq!(sign_in(fresh, &id).await, Redeemed::Unknown, "{purpose:?}");
        }
        if purpose != Purpose::VerifyEmail {
            assert!(!fresh.store.redeem_verify_email(&id, &ada, NOW).await.unwrap(), "{purpose:?}");
        }
        if purpose != Purpose::ResetPassword {
            let reset = fresh.store.redeem_reset_password(&id, "new", NOW, UNTIL).await.unwrap();
            assert_eq!(reset, None, "{purpose:?}");
        }
        if purpose != Purpose::ChangeEmail {
            let change = fresh.store.redeem_change_email(&id, &ada, &session, NOW, UNTIL).await.unwrap();
            assert_eq!(change, EmailChange::Unknown, "{purpose:?}");
        }
        assert!(
            fresh.store.find_verification(&id, purpose).await.unwrap().is_some(),
            "{purpose:?} is intact"
        );
    }
    // Of another user neither.
    let eve = user(&*fresh.store, "eve@example.com").await;
    let id = kept(fresh, Purpose::VerifyEmail, "ada@example.com", Some(&ada)).await;
    assert!(!fresh.store.redeem_verify_email(&id, &eve, NOW).await.unwrap());
    assert!(fresh.store.redeem_verify_email(&id, &ada, NOW).await.unwrap());
    assert_eq!(found(fresh, "ada@example.com").await.unwrap().0.email_verified_at, Some(NOW));
}

async fn a_secret_ends_at_its_second(fresh: &Fresh) {
    let late = kept(fresh, Purpose::SignIn, "ada@example.com", None).await;
    assert_eq!(sign_in_at(fresh, &late, NOW.plus(600)).await, Redeemed::Unknown);
    let timely = kept(fresh, Purpose::SignIn, "ada@example.com", None).await;
    assert!(matches!(sign_in_at(fresh, &timely, NOW.plus(599)).await, Redeemed::User { .. }));
    assert_eq!(sign_in_at(fresh, &timely, NOW.plus(599)).await, Redeemed::Unknown, "once");
}

async fn one_of_many_redeems_a_sign_in(fresh: &Fresh) {
    let id = kept(fresh, Purpose::SignIn, "ada@example.com", None).await;
    let tries = (0..32).map(|_| {
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move {
            let newcomer = newcomer();
            let redemption = Redemption {
                id: &id,
                now: NOW,
                newcomer: Some(&newcomer),
                user: &newcomer.id,
                stamp: SecurityStamp::default(),
                revoke_until: UNTIL,
            };
            store.redeem_sign_in(&redemption).await.unwrap()
        })
    });
    let mut winners = 0;
    for outcome in tries.collect::<Vec<_>>() {
        match outcome.await.unwrap() {
            Redeemed::User { is_new, evicted, .. } => {
                assert!(is_new && evicted.is_none());
                winners += 1;
            }
            other => assert_eq!(other, Redeemed::Unknown),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(fresh.store.list_users(None, 10).await.unwrap().len(), 1);
}

async fn one_of_many_redeems_each_other_purpose(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let session = session(&*fresh.store, &ada).await;
    for purpose in [Purpose::VerifyEmail, Purpose::ResetPassword, Purpose::ChangeEmail] {
        let id = kept(fresh, purpose, "ada@example.com", Some(&ada)).await;
        let tries = (0..32).map(|_| {
            let (store, ada) = (Arc::clone(&fresh.store), ada.clone());
            tokio::spawn(async move {
                match purpose {
                    Purpose::VerifyEmail => store.redeem_verify_email(&id, &ada, NOW).await.unwrap(),
                    Purpose::ResetPassword => {
                        store.redeem_reset_password(&id, "new", NOW, UNTIL).await.unwrap().is_some()
                    }
                    _ => {
                        let change = store.redeem_change_email(&id, &ada, &session, NOW, UNTIL).await;
                        matches!(change.unwrap(), EmailChange::Changed { .. })
                    }
                }
            })
        });
        let mut winners = 0;
        for outcome in tries.collect::<Vec<_>>() {
            winners += usize::from(outcome.await.unwrap());
        }
        assert_eq!(winners, 1, "{purpose:?}");
    }
}

async fn two_secrets_of_one_new_address_make_one_user(fresh: &Fresh) {
    for round in 0..8 {
        let address = format!("ada{round}@example.com");
        let ids = [
            kept(fresh, Purpose::SignIn, &address, None).await,
            kept(fresh, Purpose::SignIn, &address, None).await,
        ];
        let (one, two) = tokio::join!(sign_in(fresh, &ids[0]), sign_in(fresh, &ids[1]));
        let made =
            [&one, &two].into_iter().filter(|r| matches!(r, Redeemed::User { is_new: true, .. })).count();
        assert_eq!(made, 1, "{one:?} {two:?}");
    }
    assert_eq!(fresh.store.list_users(None, 99).await.unwrap().len(), 8);
}

/// Somebody else than was foreseen, somebody whose proofs have changed meanwhile, a newcomer whose address has a user by now:
/// neither the secret nor anybody's account is touched, and what is foreseen rightly redeems it.
async fn what_was_foreseen_otherwise_redeems_nothing(fresh: &Fresh) {
    let unproven = user(&*fresh.store, "unproven@example.com").await;
    let proven = user(&*fresh.store, "proven@example.com").await;
    let confirmation = kept(fresh, Purpose::VerifyEmail, "proven@example.com", Some(&proven)).await;
    assert!(fresh.store.redeem_verify_email(&confirmation, &proven, NOW).await.unwrap());
    let newcomer = newcomer();
    for (address, owner) in [
        ("new@example.com", None),
        ("unproven@example.com", Some(&unproven)),
        ("proven@example.com", Some(&proven)),
    ] {
        let id = kept(fresh, Purpose::SignIn, address, owner).await;
        let before = found(fresh, address).await;
        let stamp = before.as_ref().map_or_else(SecurityStamp::default, |(user, _)| user.security_stamp);
        let mut wrong =
            vec![(UserId::generate().unwrap(), stamp), (newcomer.id.clone(), stamp.next().next())];
        if let Some(owner) = owner {
            // Right is the present stamp for who is proven, the next one for who will be shut out.
            let other = if owner == &proven { stamp.next() } else { stamp };
            wrong.extend([(owner.clone(), other), (newcomer.id.clone(), stamp)]);
        }
        for (user, stamp) in &wrong {
            let redemption = Redemption {
                id: &id,
                now: NOW,
                newcomer: Some(&newcomer),
                user,
                stamp: *stamp,
                revoke_until: UNTIL,
            };
            let redeemed = fresh.store.redeem_sign_in(&redemption).await.unwrap();
            assert_eq!(redeemed, Redeemed::Overtaken, "{address}: {user:?} {stamp:?}");
            assert_eq!(found(fresh, address).await, before, "{address}: {user:?} {stamp:?}");
        }
        assert!(matches!(sign_in(fresh, &id).await, Redeemed::User { .. }), "{address}");
    }
}

/// It can be taken back as often as it was counted, and never below none.
async fn a_try_that_was_right_is_taken_back(fresh: &Fresh) {
    let (browser, code) = (PlainToken::generate().unwrap(), ShortCode::generate().unwrap());
    let mailed = MailedCode::of(Purpose::SignIn, &email("ada@example.com"), &browser, &code);
    let kept = Verification { code: Some(mailed), ..secret(Purpose::SignIn, "ada@example.com", None) };
    fresh.store.add_verification(&kept).await.unwrap();
    for _ in 0..3 {
        let tried = fresh.store.count_code_attempt(&browser.hash(), Purpose::SignIn, NOW).await.unwrap();
        assert_eq!(tried.unwrap().attempts, 1);
        for _ in 0..2 {
            fresh.store.return_code_attempt(&kept.id).await.unwrap();
        }
    }
    fresh.store.return_code_attempt(&TokenHash::of("nobody's")).await.unwrap();
}

async fn a_code_is_counted_before_it_is_known(fresh: &Fresh) {
    let (browser, code) = (PlainToken::generate().unwrap(), ShortCode::generate().unwrap());
    let address = email("ada@example.com");
    let mailed = MailedCode::of(Purpose::SignIn, &address, &browser, &code);
    let verification =
        Verification { code: Some(mailed), ..secret(Purpose::SignIn, "ada@example.com", None) };
    fresh.store.add_verification(&verification).await.unwrap();
    let tries = (0..32).map(|_| {
        let (store, browser) = (Arc::clone(&fresh.store), browser.hash());
        tokio::spawn(async move {
            store.count_code_attempt(&browser, Purpose::SignIn, NOW).await.unwrap().unwrap().attempts
        })
    });
    let mut numbers = Vec::new();
    for outcome in tries.collect::<Vec<_>>() {
        numbers.push(outcome.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=32).collect::<Vec<_>>());
    let attempt =
        fresh.store.count_code_attempt(&browser.hash(), Purpose::SignIn, NOW).await.unwrap().unwrap();
    assert_eq!((attempt.id, attempt.email, attempt.code), (verification.id, address, mailed.hash));
    let other = fresh.store.count_code_attempt(&browser.hash(), Purpose::ResetPassword, NOW).await.unwrap();
    assert_eq!(other, None);
    let late = fresh.store.count_code_attempt(&browser.hash(), Purpose::SignIn, NOW.plus(600)).await.unwrap();
    assert_eq!(late, None);
    let stranger = fresh.store.count_code_attempt(&TokenHash::of("x"), Purpose::SignIn, NOW).await.unwrap();
    assert_eq!(stranger, None);
}

async fn who_never_proved_the_address_is_shut_out(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let squatted = session(&*fresh.store, &ada).await;
    let pending = kept(fresh, Purpose::ChangeEmail, "evil@example.com", Some(&ada)).await;
    let id = kept(fresh, Purpose::SignIn, "ada@example.com", Some(&ada)).await;
    let Redeemed::User { user, is_new: false, evicted: Some(ended) } = sign_in(fresh, &id).await else {
        panic!("the owner did not get in");
    };
    assert_eq!((user.id, user.email_verified_at, ended), (ada.clone(), Some(NOW), vec![squatted]));
    assert_eq!(found(fresh, "ada@example.com").await.unwrap().1, None, "no password");
    assert!(fresh.store.find_session(&squatted).await.unwrap().is_none());
    assert!(fresh.store.find_verification(&pending, Purpose::ChangeEmail).await.unwrap().is_none());
    let revoked = fresh.store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.iter().map(|r| r.subject.clone()).collect::<Vec<_>>(), [Subject::Session(squatted)]);
}

async fn a_proven_user_keeps_password_and_sessions(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let verify = kept(fresh, Purpose::VerifyEmail, "ada@example.com", Some(&ada)).await;
    assert!(fresh.store.redeem_verify_email(&verify, &ada, NOW).await.unwrap());
    let session = session(&*fresh.store, &ada).await;
    let other = kept(fresh, Purpose::SignIn, "ada@example.com", Some(&ada)).await;
    let id = kept(fresh, Purpose::SignIn, "ada@example.com", Some(&ada)).await;
    assert!(matches!(sign_in(fresh, &id).await, Redeemed::User { is_new: false, evicted: None, .. }));
    assert!(fresh.store.find_session(&session).await.unwrap().is_some());
    assert_eq!(found(fresh, "ada@example.com").await.unwrap().1.as_deref(), Some("$argon2id$x"));
    assert_eq!(sign_in(fresh, &other).await, Redeemed::Unknown, "one sign-in ends the other links");
}

async fn a_disabled_user_and_a_closed_door_are_refused(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    fresh.store.disable_user(&ada, NOW, UNTIL).await.unwrap();
    let id = kept(fresh, Purpose::SignIn, "ada@example.com", Some(&ada)).await;
    assert_eq!(sign_in(fresh, &id).await, Redeemed::Refused);
    assert_eq!(found(fresh, "ada@example.com").await.unwrap().0.email_verified_at, None);
    let reset = kept(fresh, Purpose::ResetPassword, "ada@example.com", Some(&ada)).await;
    assert_eq!(fresh.store.redeem_reset_password(&reset, "new", NOW, UNTIL).await.unwrap(), None);
    let id = kept(fresh, Purpose::SignIn, "new@example.com", None).await;
    let stamp = SecurityStamp::default();
    let closed = Redemption { id: &id, now: NOW, newcomer: None, user: &ada, stamp, revoke_until: UNTIL };
    assert_eq!(fresh.store.redeem_sign_in(&closed).await.unwrap(), Redeemed::Refused);
    assert!(found(fresh, "new@example.com").await.is_none());
}

async fn a_reset_ends_everything_of_before(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let ended = session(&*fresh.store, &ada).await;
    let other = kept(fresh, Purpose::ResetPassword, "ada@example.com", Some(&ada)).await;
    let id = kept(fresh, Purpose::ResetPassword, "ada@example.com", Some(&ada)).await;
    let reset = fresh.store.redeem_reset_password(&id, "new", NOW, UNTIL).await.unwrap();
    let (reset, sessions) = reset.unwrap();
    assert_eq!(sessions, [ended]);
    assert_eq!((reset.id.clone(), reset.email_verified_at), (ada.clone(), Some(NOW)));
    assert_eq!(found(fresh, "ada@example.com").await.unwrap().1.as_deref(), Some("new"));
    assert!(fresh.store.find_session(&ended).await.unwrap().is_none());
    for used in [id, other] {
        assert_eq!(fresh.store.redeem_reset_password(&used, "x", NOW, UNTIL).await.unwrap(), None);
    }
    // A link mailed to a former address is worth nothing.
    let former = kept(fresh, Purpose::ResetPassword, "old@example.com", Some(&ada)).await;
    assert_eq!(fresh.store.redeem_reset_password(&former, "x", NOW, UNTIL).await.unwrap(), None);
}

async fn an_address_is_changed_to_the_one_that_was_mailed(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let (here, there) = (session(&*fresh.store, &ada).await, session(&*fresh.store, &ada).await);
    let one = kept(fresh, Purpose::ChangeEmail, "one@example.com", Some(&ada)).await;
    let two = kept(fresh, Purpose::ChangeEmail, "two@example.com", Some(&ada)).await;
    let reset = kept(fresh, Purpose::ResetPassword, "ada@example.com", Some(&ada)).await;
    let change = fresh.store.redeem_change_email(&one, &ada, &here, NOW, UNTIL).await.unwrap();
    let (old, new) = (email("ada@example.com"), email("one@example.com"));
    assert_eq!(change, EmailChange::Changed { old, new, ended: vec![there] });
    assert_eq!(found(fresh, "one@example.com").await.unwrap().0.email_verified_at, Some(NOW));
    assert!(found(fresh, "ada@example.com").await.is_none());
    assert!(fresh.store.find_session(&here).await.unwrap().is_some());
    assert!(fresh.store.find_session(&there).await.unwrap().is_none());
    let second = fresh.store.redeem_change_email(&two, &ada, &here, NOW, UNTIL).await.unwrap();
    assert_eq!(second, EmailChange::Unknown, "the other pending change is gone");
    assert_eq!(fresh.store.redeem_reset_password(&reset, "x", NOW, UNTIL).await.unwrap(), None);
    // A sign-in link to the former address belongs to nobody any more, and makes no second account of the first user's.
    let former =
        kept(fresh, Purpose::SignIn, "one@example.com", Some(&UserId::from_existing(ada.as_str()))).await;
    assert!(matches!(sign_in(fresh, &former).await, Redeemed::User { is_new: false, .. }));
}

async fn an_address_somebody_has_is_not_taken_over(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let eve = user(&*fresh.store, "eve@example.com").await;
    let here = session(&*fresh.store, &ada).await;
    let id = kept(fresh, Purpose::ChangeEmail, "eve@example.com", Some(&ada)).await;
    let change = fresh.store.redeem_change_email(&id, &ada, &here, NOW, UNTIL).await.unwrap();
    assert_eq!(change, EmailChange::Taken);
    assert_eq!(found(fresh, "eve@example.com").await.unwrap().0.id, eve);
    // Two at the same moment: one.
    let there = session(&*fresh.store, &eve).await;
    let ids = [
        kept(fresh, Purpose::ChangeEmail, "new@example.com", Some(&ada)).await,
        kept(fresh, Purpose::ChangeEmail, "new@example.com", Some(&eve)).await,
    ];
    let (one, two) = tokio::join!(
        fresh.store.redeem_change_email(&ids[0], &ada, &here, NOW, UNTIL),
        fresh.store.redeem_change_email(&ids[1], &eve, &there, NOW, UNTIL),
    );
    let outcomes = [one.unwrap(), two.unwrap()];
    let changed = outcomes.iter().filter(|change| matches!(change, EmailChange::Changed { .. })).count();
    let taken = outcomes.iter().filter(|change| matches!(change, EmailChange::Taken)).count();
    assert_eq!((changed, taken), (1, 1), "{outcomes:?}");
}

async fn a_deleted_user_leaves_nothing(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let ended = session(&*fresh.store, &ada).await;
    let own = kept(fresh, Purpose::ResetPassword, "ada@example.com", Some(&ada)).await;
    let earlier = kept(fresh, Purpose::SignIn, "ada@example.com", None).await;
    assert!(fresh.store.delete_user(&ada, NOW, UNTIL).await.unwrap());
    assert!(!fresh.store.delete_user(&ada, NOW, UNTIL).await.unwrap());
    assert!(fresh.store.find_user(&ada).await.unwrap().is_none());
    assert!(fresh.store.find_session(&ended).await.unwrap().is_none());
    assert!(fresh.store.find_verification(&own, Purpose::ResetPassword).await.unwrap().is_none());
    assert!(fresh.store.find_verification(&earlier, Purpose::SignIn).await.unwrap().is_none());
    let revoked: Vec<Subject> =
        fresh.store.revocations_after(0, 10).await.unwrap().into_iter().map(|r| r.subject).collect();
    assert_eq!(revoked, [Subject::Session(ended), Subject::User(ada.clone())]);
    let refused = fresh.store.insert_session(&crate::record(&ada), crate::FIRST, None).await.unwrap();
    assert_eq!(refused, countersign::store::Inserted::UserChanged);
}

async fn expired_secrets_are_cleaned_up(fresh: &Fresh) {
    for _ in 0..5 {
        kept(fresh, Purpose::SignIn, "ada@example.com", None).await;
    }
    assert_eq!(fresh.store.delete_expired_verifications(NOW.plus(600), 3).await.unwrap(), 0);
    assert_eq!(fresh.store.delete_expired_verifications(NOW.plus(601), 3).await.unwrap(), 3);
    assert_eq!(fresh.store.delete_expired_verifications(NOW.plus(601), 3).await.unwrap(), 2);
}
