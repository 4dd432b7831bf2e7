//! What ends sessions also ends the sign-ins that are under way.

use std::sync::Arc;

use countersign::model::{
    ExternalId, NewAccount, PasskeyRecord, Purpose, SecurityStamp, TotpRecord, UserId, Verification,
};
use countersign::secret::{PlainToken, TokenHash};
use countersign::store::{EmailChange, Ends, Inserted, Linked, PasskeyAdded, Redeemed, Redemption};

use crate::{FIRST, Fresh, NOW, email, on_both, record, session, stamp, user};

on_both!(
    whatever_ends_sessions_ends_the_sign_ins_under_way,
    what_ends_one_session_ends_no_sign_in,
    nothing_is_decided_on_an_older_stamp,
    of_sign_ins_and_an_end_of_all_sessions_nothing_is_left,
);

/// Acts that end a user's sessions.
const ACTS: [&str; 13] = [
    "end all",
    "end others",
    "password",
    "disable",
    "reset",
    "address",
    "evicted by mail",
    "taken over",
    "totp on",
    "totp off",
    "passkey added",
    "passkey removed",
    "factors removed",
];

fn external() -> NewAccount {
    NewAccount {
        id: NewAccount::generate_id().unwrap(),
        external: ExternalId {
            provider: "google".to_owned(),
            issuer: "https://accounts.google.com".to_owned(),
            subject: "1".to_owned(),
        },
        label: None,
        linked_at: NOW,
        tokens: None,
    }
}

fn passkey(user: &UserId) -> PasskeyRecord {
    PasskeyRecord {
        id: TokenHash::of("key"),
        user_id: user.clone(),
        name: "key".to_owned(),
        credential: "{}".to_owned(),
        created_at: NOW,
        last_used_at: None,
    }
}

async fn mailed(fresh: &Fresh, purpose: Purpose, address: &str, user: &UserId) -> TokenHash {
    let id = Verification::id_of(purpose, &email(address), &PlainToken::generate().unwrap());
    let verification = Verification {
        id,
        purpose,
        email: email(address),
        user_id: Some(user.clone()),
        code: None,
        created_at: NOW,
        expires_at: NOW.plus(600),
    };
    fresh.store.add_verification(&verification).await.unwrap();
    id
}

/// Whether it took place.
async fn act(fresh: &Fresh, act: &str, ada: &UserId, here: &TokenHash) -> bool {
    let store = &*fresh.store;
    let (seen, until) = (stamp(store, ada).await, NOW.plus(99));
    let ends = Ends { keep: Some(here), until };
    let totp = TotpRecord { secret: "sealed".to_owned(), last_step: 1, created_at: NOW };
    match act {
        "end all" => !store.end_sessions_of(ada, None, until).await.unwrap().is_empty(),
        // This session goes on, so none ends: the sign-ins under way do.
        "end others" => store.end_sessions_of(ada, Some(here), until).await.unwrap().is_empty(),
        "password" => store.change_password(ada, "new", seen, Some(here), until).await.unwrap().is_some(),
        "disable" => {
            store.disable_user(ada, NOW, until).await.unwrap() && store.enable_user(ada).await.unwrap()
        }
        "reset" => {
            let id = mailed(fresh, Purpose::ResetPassword, "ada@example.com", ada).await;
            store.redeem_reset_password(&id, "new", NOW, until).await.unwrap().is_some()
        }
        "address" => {
            let id = mailed(fresh, Purpose::ChangeEmail, "lovelace@example.com", ada).await;
            let change = store.redeem_change_email(&id, ada, here, NOW, until).await.unwrap();
            matches!(change, EmailChange::Changed { .. })
        }
        "evicted by mail" => {
            let id = mailed(fresh, Purpose::SignIn, "ada@example.com", ada).await;
            let (user, stamp) = (ada, seen.next());
            let redemption =
                Redemption { id: &id, now: NOW, newcomer: None, user, stamp, revoke_until: until };
            let redeemed = store.redeem_sign_in(&redemption).await.unwrap();
            let Redeemed::User { user, evicted: Some(_), .. } = redeemed else { return false };
            // The owner's own sign-in is of after the act.
            let own = store.insert_session(&record(ada), user.security_stamp, None).await.unwrap();
            assert_eq!(own, Inserted::Inserted, "the owner gets in");
            user.email_verified_at == Some(NOW)
        }
        "taken over" => {
            let linked = store.take_over(ada, seen, None, &external(), NOW, until).await.unwrap();
            let own = store.insert_session(&record(ada), seen.next(), None).await.unwrap();
            assert_eq!(own, Inserted::Inserted, "the owner gets in");
            linked == Linked::Linked
        }
        "totp on" => store.enable_totp(ada, &totp, &[], ends).await.unwrap(),
        "totp off" => store.remove_totp(ada, ends).await.unwrap(),
        "passkey added" => {
            store.add_passkey(&passkey(ada), 2, &[], ends).await.unwrap() == PasskeyAdded::Added
        }
        "passkey removed" => store.remove_passkey(ada, &TokenHash::of("key"), ends).await.unwrap(),
        "factors removed" => store.remove_factors(ada, ends).await.is_ok(),
        other => panic!("{other}"),
    }
}

/// What must be there before the act, so that it ends something.
async fn prepare(fresh: &Fresh, act: &str, ada: &UserId) {
    let ends = Ends { keep: None, until: NOW };
    let totp = TotpRecord { secret: "sealed".to_owned(), last_step: 1, created_at: NOW };
    match act {
        "totp off" | "factors removed" => {
            assert!(fresh.store.enable_totp(ada, &totp, &[], ends).await.unwrap());
        }
        "passkey removed" => {
            let added = fresh.store.add_passkey(&passkey(ada), 2, &[], ends).await.unwrap();
            assert_eq!(added, PasskeyAdded::Added);
        }
        _ => {}
    }
}

async fn whatever_ends_sessions_ends_the_sign_ins_under_way(fresh: &Fresh) {
    let store = &*fresh.store;
    for name in ACTS {
        let ada = user(store, "ada@example.com").await;
        prepare(fresh, name, &ada).await;
        let here = session(store, &ada).await;
        let seen = stamp(store, &ada).await;
        assert!(act(fresh, name, &ada, &here).await, "{name}: the control: it took place");
        let late = record(&ada);
        let outcome = store.insert_session(&late, seen, None).await.unwrap();
        assert_eq!(outcome, Inserted::UserChanged, "{name}");
        // Nor does it end the session it would have replaced.
        let other = session(store, &ada).await;
        let replaces = Some(countersign::store::Replaced { id: other, revoke_until: NOW.plus(99) });
        let outcome = store.insert_session(&late, seen, replaces).await.unwrap();
        assert_eq!(outcome, Inserted::UserChanged, "{name}");
        assert!(store.find_session(&late.id).await.unwrap().is_none(), "{name}");
        assert!(store.find_session(&other).await.unwrap().is_some(), "{name}");
        assert!(store.delete_user(&ada, NOW, NOW.plus(99)).await.unwrap());
    }
}

async fn what_ends_one_session_ends_no_sign_in(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let (one, two) = (session(store, &ada).await, session(store, &ada).await);
    assert!(store.end_session(&one, Some(&ada), NOW.plus(99)).await.unwrap());
    assert!(store.end_session(&two, None, NOW.plus(99)).await.unwrap());
    assert!(store.set_name(&ada, None).await.unwrap());
    assert_eq!(store.insert_session(&record(&ada), FIRST, None).await.unwrap(), Inserted::Inserted);
}

async fn nothing_is_decided_on_an_older_stamp(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    assert!(store.change_password(&ada, "one", FIRST, None, NOW).await.unwrap().is_some());
    // Two who proved the old password: the second changes nothing.
    assert_eq!(store.change_password(&ada, "two", FIRST, None, NOW).await.unwrap(), None);
    let late = store.take_over(&ada, FIRST, None, &external(), NOW, NOW).await.unwrap();
    assert_eq!(late, Linked::NoSuchUser);
    let found = store.find_user_by_email(&email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!(found.password_hash.as_deref(), Some("one"));
    assert_eq!(found.user.security_stamp, SecurityStamp(1));
}

/// Sign-ins that all saw the same stamp, and an end of all sessions in their midst: some were first and ended, the others
/// begin nothing.
async fn of_sign_ins_and_an_end_of_all_sessions_nothing_is_left(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    for round in 0..8 {
        let seen = stamp(&*fresh.store, &ada).await;
        let sign_ins = (0..16).map(|_| {
            let (store, record) = (Arc::clone(&fresh.store), record(&ada));
            tokio::spawn(async move { store.insert_session(&record, seen, None).await.unwrap() })
        });
        let mut sign_ins: Vec<_> = sign_ins.collect();
        let (store, id) = (Arc::clone(&fresh.store), ada.clone());
        let end = tokio::spawn(async move { store.end_sessions_of(&id, None, NOW.plus(99)).await.unwrap() });
        let mut begun = 0;
        for sign_in in sign_ins.drain(..) {
            begun += usize::from(sign_in.await.unwrap() == Inserted::Inserted);
        }
        let ended = end.await.unwrap();
        assert_eq!(ended.len(), begun, "round {round}");
        assert!(fresh.store.list_sessions(&ada).await.unwrap().is_empty(), "round {round}");
    }
}
