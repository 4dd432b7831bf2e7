//! Second factors.

use std::sync::Arc;

use countersign::model::{PasskeyRecord, TotpRecord, UserId};
use countersign::secret::TokenHash;
use countersign::store::{Ends, PasskeyAdded};

use crate::{Fresh, NOW, on_both, session, user};

on_both!(
    codes_are_switched_on_and_off,
    a_step_is_accepted_once_and_only_forward,
    a_recovery_code_works_once,
    passkeys_are_kept_and_belong_to_somebody,
    what_is_good_for_one_use_is_used_once,
);

fn totp(step: i64) -> TotpRecord {
    TotpRecord { secret: "sealed".to_owned(), last_step: step, created_at: NOW }
}

fn passkey(user: &UserId, name: &str) -> PasskeyRecord {
    PasskeyRecord {
        id: TokenHash::of(name),
        user_id: user.clone(),
        name: name.to_owned(),
        credential: "{}".to_owned(),
        created_at: NOW,
        last_used_at: None,
    }
}

fn codes(names: &[&str]) -> Vec<TokenHash> {
    names.iter().map(|name| TokenHash::of(name)).collect()
}

async fn codes_are_switched_on_and_off(fresh: &Fresh) {
    let store = &fresh.store;
    let ada = user(&**store, "ada@example.com").await;
    let (here, elsewhere) = (session(&**store, &ada).await, session(&**store, &ada).await);
    let ends = Ends { keep: Some(&here), until: NOW.plus(1000) };
    assert!(!store.find_factors(&ada).await.unwrap().is_on());
    assert!(store.enable_totp(&ada, &totp(7), &codes(&["a", "b"]), ends).await.unwrap());
    let found = store.find_factors(&ada).await.unwrap();
    assert!(found.is_on() && found.recovery_codes == 2 && found.totp == Some(totp(7)));
    assert!(store.find_session(&here).await.unwrap().is_some());
    assert!(store.find_session(&elsewhere).await.unwrap().is_none(), "no session from before");
    assert_eq!(store.revocations_after(0, 10).await.unwrap().len(), 1);
    assert!(store.reseal_totp(&ada, "sealed", "anew").await.unwrap());
    assert!(!store.reseal_totp(&ada, "sealed", "lost").await.unwrap());
    assert!(store.remove_totp(&ada, ends).await.unwrap());
    assert!(!store.remove_totp(&ada, ends).await.unwrap());
    let found = store.find_factors(&ada).await.unwrap();
    assert!(!found.is_on() && found.recovery_codes == 0, "with the last factor the codes go");
    let nobody = UserId::from_existing("nobody");
    assert!(!store.enable_totp(&nobody, &totp(7), &codes(&["a"]), ends).await.unwrap());
}

async fn a_step_is_accepted_once_and_only_forward(fresh: &Fresh) {
    let store = &fresh.store;
    let ada = user(&**store, "ada@example.com").await;
    assert!(!store.accept_totp_step(&ada, 8).await.unwrap(), "there is none");
    let ends = Ends { keep: None, until: NOW };
    assert!(store.enable_totp(&ada, &totp(7), &[], ends).await.unwrap());
    assert!(!store.accept_totp_step(&ada, 7).await.unwrap(), "the first code is used up by switching on");
    let attempts: Vec<_> = (0..32)
        .map(|_| {
            let (store, ada) = (Arc::clone(store), ada.clone());
            tokio::spawn(async move { store.accept_totp_step(&ada, 8).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for attempt in attempts {
        winners += usize::from(attempt.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert!(!store.accept_totp_step(&ada, 7).await.unwrap(), "never back");
    assert!(store.accept_totp_step(&ada, 9).await.unwrap());
}

async fn a_recovery_code_works_once(fresh: &Fresh) {
    let store = &fresh.store;
    let (ada, bob) = (user(&**store, "ada@example.com").await, user(&**store, "bob@example.com").await);
    let here = session(&**store, &ada).await;
    assert!(store.replace_recovery_codes(&ada, &here, &codes(&["a", "b"])).await.unwrap());
    assert!(!store.spend_recovery_code(&bob, &TokenHash::of("a")).await.unwrap(), "it is Ada's");
    assert!(!store.has_recovery_code(&bob, &TokenHash::of("a")).await.unwrap(), "it is Ada's");
    for _ in 0..2 {
        assert!(store.has_recovery_code(&ada, &TokenHash::of("a")).await.unwrap(), "a look uses nothing up");
    }
    let attempts: Vec<_> = (0..32)
        .map(|_| {
            let (store, ada) = (Arc::clone(store), ada.clone());
            tokio::spawn(async move { store.spend_recovery_code(&ada, &TokenHash::of("a")).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for attempt in attempts {
        winners += usize::from(attempt.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert!(store.replace_recovery_codes(&ada, &here, &codes(&["c"])).await.unwrap());
    assert!(!store.has_recovery_code(&ada, &TokenHash::of("a")).await.unwrap(), "used up");
    assert!(!store.spend_recovery_code(&ada, &TokenHash::of("b")).await.unwrap(), "replaced");
    assert!(store.spend_recovery_code(&ada, &TokenHash::of("c")).await.unwrap());
}

async fn passkeys_are_kept_and_belong_to_somebody(fresh: &Fresh) {
    let store = &fresh.store;
    let (ada, bob) = (user(&**store, "ada@example.com").await, user(&**store, "bob@example.com").await);
    let elsewhere = session(&**store, &ada).await;
    let ends = Ends { keep: None, until: NOW.plus(1000) };
    let key = passkey(&ada, "key");
    assert_eq!(store.add_passkey(&key, 2, &codes(&["a"]), ends).await.unwrap(), PasskeyAdded::Added);
    assert!(store.find_session(&elsewhere).await.unwrap().is_none(), "no session from before");
    let twin = passkey(&bob, "key");
    assert_eq!(store.add_passkey(&twin, 2, &[], ends).await.unwrap(), PasskeyAdded::Refused, "it is taken");
    assert_eq!(store.add_passkey(&passkey(&ada, "second"), 2, &[], ends).await.unwrap(), PasskeyAdded::Added);
    assert_eq!(
        store.add_passkey(&passkey(&ada, "third"), 2, &[], ends).await.unwrap(),
        PasskeyAdded::Refused
    );
    let (found, owner) = store.find_passkey(&key.id).await.unwrap().unwrap();
    assert_eq!((found, owner.id), (key.clone(), ada.clone()));
    assert!(store.use_passkey(&key.id, "{\"n\":1}", NOW.plus(5)).await.unwrap());
    let listed = store.find_factors(&ada).await.unwrap();
    assert_eq!((listed.passkeys.len(), listed.recovery_codes), (2, 1));
    let used = listed.passkeys.iter().find(|found| found.id == key.id).unwrap();
    assert_eq!((used.credential.as_str(), used.last_used_at), ("{\"n\":1}", Some(NOW.plus(5))));
    assert!(!store.remove_passkey(&bob, &key.id, ends).await.unwrap(), "somebody else's");
    assert!(store.remove_passkey(&ada, &key.id, ends).await.unwrap());
    assert!(!store.use_passkey(&key.id, "{}", NOW).await.unwrap());
    store.remove_factors(&ada, ends).await.unwrap();
    let left = store.find_factors(&ada).await.unwrap();
    assert!(!left.is_on() && left.recovery_codes == 0);
}

async fn what_is_good_for_one_use_is_used_once(fresh: &Fresh) {
    let key = TokenHash::of("challenge");
    let attempts: Vec<_> = (0..32)
        .map(|_| {
            let store = Arc::clone(&fresh.store);
            tokio::spawn(async move { store.spend(&key, NOW).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for attempt in attempts {
        winners += usize::from(attempt.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(fresh.store.delete_spent(NOW, 10).await.unwrap(), 0, "not expired");
    assert_eq!(fresh.store.delete_spent(NOW.plus(1), 10).await.unwrap(), 1);
    assert!(fresh.store.spend(&key, NOW).await.unwrap());
}
