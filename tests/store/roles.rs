//! Roles, access tokens, and finding people.

use countersign::model::{AccessTokenRecord, Permission, UserId};
use countersign::secret::TokenHash;

use crate::{Fresh, NOW, email, on_both, user};

on_both!(
    roles_are_given_and_taken,
    people_are_found_by_the_beginning_of_their_address,
    access_tokens_are_kept_used_and_revoked,
);

fn name(text: &str) -> Permission {
    Permission::parse(text).unwrap()
}

async fn roles_are_given_and_taken(fresh: &Fresh) {
    let store = &fresh.store;
    let ada = user(&**store, "ada@example.com").await;
    assert!(store.roles_of(&ada).await.unwrap().is_empty());
    assert!(store.grant_role(&ada, &name("editor"), NOW).await.unwrap());
    assert!(store.grant_role(&ada, &name("admin"), NOW).await.unwrap());
    assert!(!store.grant_role(&ada, &name("admin"), NOW).await.unwrap(), "she has it");
    let nobody = UserId::from_existing("nobody");
    assert!(!store.grant_role(&nobody, &name("admin"), NOW).await.unwrap());
    assert_eq!(store.roles_of(&ada).await.unwrap(), [name("admin"), name("editor")]);
    assert!(store.take_role(&ada, &name("admin")).await.unwrap());
    assert!(!store.take_role(&ada, &name("admin")).await.unwrap());
    assert_eq!(store.roles_of(&ada).await.unwrap(), [name("editor")]);
}

async fn people_are_found_by_the_beginning_of_their_address(fresh: &Fresh) {
    let store = &fresh.store;
    for address in
        ["ada@example.com", "adam@example.com", "ad-hoc@example.com", "bob@example.com", "a_d@x.org"]
    {
        user(&**store, address).await;
    }
    let found = |beginning: &'static str, after: Option<&'static str>, limit| async move {
        let after = after.map(email);
        let users = store.search_users(beginning, after.as_ref(), limit).await.unwrap();
        users.iter().map(|user| user.email.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("ad", None, 10).await, ["ad-hoc@example.com", "ada@example.com", "adam@example.com"]);
    assert_eq!(found("ad", Some("ad-hoc@example.com"), 1).await, ["ada@example.com"]);
    assert_eq!(found("", None, 10).await.len(), 5);
    assert_eq!(found("", Some("adam@example.com"), 10).await, ["bob@example.com"]);
    for nothing in ["a%", "%", "zz", "ada@example.com.", "' OR 1=1 --"] {
        assert!(found(nothing, None, 10).await.is_empty(), "{nothing}");
    }
    // A sign of LIKE is a letter like any other.
    assert_eq!(found("a_", None, 10).await, ["a_d@x.org"]);
}

async fn access_tokens_are_kept_used_and_revoked(fresh: &Fresh) {
    let store = &fresh.store;
    let (ada, bob) = (user(&**store, "ada@example.com").await, user(&**store, "bob@example.com").await);
    let token = |label: &str, owner: &UserId| AccessTokenRecord {
        id: TokenHash::of(label),
        user_id: owner.clone(),
        name: label.to_owned(),
        scopes: vec![name("notes:read"), name("write")],
        created_at: NOW,
        expires_at: NOW.plus(100),
        last_used_at: None,
    };
    let first = token("first", &ada);
    assert!(store.insert_access_token(&first, None, 2).await.unwrap());
    assert!(!store.insert_access_token(&token("first", &bob), None, 2).await.unwrap(), "never replaced");
    assert!(store.insert_access_token(&token("second", &ada), None, 2).await.unwrap());
    assert!(
        !store.insert_access_token(&token("third", &ada), None, 2).await.unwrap(),
        "as many as are allowed"
    );
    let (found, owner) = store.find_access_token(&first.id).await.unwrap().unwrap();
    assert_eq!((found, owner.id), (first.clone(), ada.clone()));
    store.use_access_token(&first.id, NOW.plus(9)).await.unwrap();
    store.use_access_token(&first.id, NOW.plus(5)).await.unwrap();
    let (found, _) = store.find_access_token(&first.id).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, Some(NOW.plus(9)), "only forward");
    assert_eq!(store.list_access_tokens(&ada).await.unwrap().len(), 2);
    assert!(!store.delete_access_token(&bob, &first.id).await.unwrap(), "somebody else's");
    assert!(store.delete_access_token(&ada, &first.id).await.unwrap());
    assert!(store.find_access_token(&first.id).await.unwrap().is_none());
    assert_eq!(store.delete_expired_access_tokens(NOW.plus(100), 10).await.unwrap(), 0);
    assert_eq!(store.delete_expired_access_tokens(NOW.plus(101), 10).await.unwrap(), 1);
    store.disable_user(&bob, NOW, NOW).await.unwrap();
    assert!(!store.insert_access_token(&token("bobs", &bob), None, 2).await.unwrap());
}
