//! Users.

use std::sync::Arc;

use countersign::model::{DisplayName, Subject, UserId};
use countersign::store::Created;

use crate::{FIRST, Fresh, NOW, email, new_user, on_both, session, user};

on_both!(
    a_user_comes_back_as_created,
    one_of_parallel_creations_wins,
    hostile_text_comes_back_byte_for_byte,
    a_name_and_a_password_can_be_replaced,
    a_new_password_ends_every_session_but_the_kept_one,
    a_disabled_user_has_no_session_left,
    users_are_listed_in_pages,
    what_was_stored_survives_a_restart,
);

async fn a_user_comes_back_as_created(fresh: &Fresh) {
    let new = new_user("ada@example.com");
    assert_eq!(fresh.store.create_user(&new).await.unwrap(), Created::Created);
    let found = fresh.store.find_user(&new.id).await.unwrap().unwrap();
    assert_eq!((found.id, found.email, found.name), (new.id.clone(), new.email, new.name));
    assert_eq!((found.created_at, found.disabled_at, found.email_verified_at), (NOW, None, None));
    let found = fresh.store.find_user_by_email(&email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.user.id, found.password_hash.as_deref()), (new.id, Some("$argon2id$x")));
    assert!(fresh.store.find_user(&UserId::from_existing("nobody")).await.unwrap().is_none());
    assert!(fresh.store.find_user_by_email(&email("no@example.com")).await.unwrap().is_none());
}

async fn one_of_parallel_creations_wins(fresh: &Fresh) {
    let attempts = (0..32).map(|_| {
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move { store.create_user(&new_user("ada@example.com")).await.unwrap() })
    });
    let mut created = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        created += usize::from(attempt.await.unwrap() == Created::Created);
    }
    assert_eq!(created, 1);
}

async fn hostile_text_comes_back_byte_for_byte(fresh: &Fresh) {
    let id = user(&*fresh.store, "ada@example.com").await;
    for text in
        ["'; DROP TABLE users; --", "\u{202e}evil", "👩‍👧", "\\x00 %s {{ 7*7 }}", "a\r\nb\u{1b}[31m", "é"]
    {
        let name = DisplayName::parse(text).unwrap();
        assert!(fresh.store.set_name(&id, Some(&name)).await.unwrap());
        assert_eq!(fresh.store.find_user(&id).await.unwrap().unwrap().name, Some(name));
    }
    let odd = UserId::from_existing("' OR '1'='1");
    assert!(fresh.store.find_user(&odd).await.unwrap().is_none());
}

async fn a_name_and_a_password_can_be_replaced(fresh: &Fresh) {
    let id = user(&*fresh.store, "ada@example.com").await;
    assert!(fresh.store.set_name(&id, None).await.unwrap());
    assert!(fresh.store.strengthen_hash(&id, "$argon2id$x", "new").await.unwrap());
    assert!(!fresh.store.strengthen_hash(&id, "$argon2id$x", "late").await.unwrap(), "it is another by now");
    let found = fresh.store.find_user_by_email(&email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.user.name, found.password_hash.as_deref()), (None, Some("new")));
    let nobody = UserId::from_existing("nobody");
    assert!(!fresh.store.set_name(&nobody, None).await.unwrap());
    assert!(!fresh.store.strengthen_hash(&nobody, "new", "x").await.unwrap());
    assert_eq!(fresh.store.change_password(&nobody, "x", FIRST, None, NOW).await.unwrap(), None);
    assert!(!fresh.store.disable_user(&nobody, NOW, NOW).await.unwrap());
    assert!(!fresh.store.enable_user(&nobody).await.unwrap());
}

async fn a_new_password_ends_every_session_but_the_kept_one(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let (kept, ended, foreign) =
        (session(store, &ada).await, session(store, &ada).await, session(store, &eve).await);
    let changed = store.change_password(&ada, "new", FIRST, Some(&kept), NOW.plus(99)).await.unwrap();
    assert_eq!(changed, Some(vec![ended]));
    assert!(store.find_session(&kept).await.unwrap().is_some());
    assert!(store.find_session(&foreign).await.unwrap().is_some());
    assert!(store.find_session(&ended).await.unwrap().is_none());
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.len(), 1);
    assert_eq!((&revoked[0].subject, revoked[0].expires_at), (&Subject::Session(ended), NOW.plus(99)));
}

async fn a_disabled_user_has_no_session_left(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let ended = session(store, &ada).await;
    assert!(store.disable_user(&ada, NOW, NOW.plus(99)).await.unwrap());
    assert!(store.disable_user(&ada, NOW.plus(5), NOW.plus(99)).await.unwrap(), "twice is no error");
    assert!(store.find_session(&ended).await.unwrap().is_none());
    assert_eq!(store.find_user(&ada).await.unwrap().unwrap().disabled_at, Some(NOW), "since the first time");
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert!(revoked.iter().any(|revocation| revocation.subject == Subject::User(ada.clone())));
    let seen = crate::stamp(store, &ada).await;
    let refused = store.insert_session(&crate::record(&ada), seen, None).await.unwrap();
    assert_eq!(refused, countersign::store::Inserted::UserChanged);
    assert!(store.enable_user(&ada).await.unwrap());
    session(store, &ada).await;
}

async fn users_are_listed_in_pages(fresh: &Fresh) {
    for name in ["d", "b", "a", "c", "e"] {
        user(&*fresh.store, &format!("{name}@example.com")).await;
    }
    let page = |after: Option<&'static str>| async move {
        let after = after.map(email);
        let users = fresh.store.list_users(after.as_ref(), 2).await.unwrap();
        users.into_iter().map(|user| user.email.as_str()[..1].to_owned()).collect::<String>()
    };
    assert_eq!(page(None).await, "ab");
    assert_eq!(page(Some("b@example.com")).await, "cd");
    assert_eq!(page(Some("d@example.com")).await, "e");
    assert_eq!(page(Some("e@example.com")).await, "");
}

async fn what_was_stored_survives_a_restart(fresh: &Fresh) {
    let id = user(&*fresh.store, "ada@example.com").await;
    let kept = session(&*fresh.store, &id).await;
    fresh.store.close().await;
    let again = countersign::store::open(&fresh.options).await.unwrap();
    again.check_schema().await.unwrap();
    assert!(again.find_user(&id).await.unwrap().is_some());
    assert!(again.find_session(&kept).await.unwrap().is_some());
}
