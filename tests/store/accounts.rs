//! Accounts at other sites.

use std::sync::Arc;

use countersign::model::{ExternalId, NewAccount, Subject, TotpRecord, UserId};
use countersign::secret::TokenHash;
use countersign::store::{Ends, Linked, Unlinked};

use crate::{FIRST, Fresh, NOW, email, new_user, on_both, session, stamp, user};

on_both!(
    a_link_comes_back_and_is_one_persons,
    a_user_and_a_link_are_made_together_or_not_at_all,
    one_of_parallel_links_wins,
    the_owner_of_an_address_arrives,
    the_last_way_in_stays,
    a_link_that_is_removed_takes_the_other_sessions_along,
    of_two_parallel_unlinks_one_leaves_a_way_in,
    tokens_are_renewed_by_one,
    a_deleted_or_disabled_user_is_not_linked,
);

/// Everything ends.
const ENDS: Ends<'_> = Ends { keep: None, until: NOW };

fn external(subject: &str) -> ExternalId {
    ExternalId {
        provider: "acme".to_owned(),
        issuer: "https://id.example".to_owned(),
        subject: subject.to_owned(),
    }
}

fn account(subject: &str) -> NewAccount {
    NewAccount {
        id: NewAccount::generate_id().unwrap(),
        external: external(subject),
        label: Some("ada@id.example".to_owned()),
        linked_at: NOW,
        tokens: Some("sealed".to_owned()),
    }
}

async fn a_link_comes_back_and_is_one_persons(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let new = account("1");
    assert_eq!(store.link_account(&ada, &new).await.unwrap(), Linked::Linked);
    assert_eq!(store.link_account(&eve, &account("1")).await.unwrap(), Linked::AccountTaken);
    let (found, owner) = store.find_account(&external("1")).await.unwrap().unwrap();
    assert_eq!(
        (&found.id, &found.external, found.label.as_deref()),
        (&new.id, &new.external, new.label.as_deref())
    );
    assert_eq!((owner.id, found.linked_at), (ada.clone(), NOW));
    // The same subject elsewhere is somebody else.
    for other in [
        ExternalId { provider: "other".to_owned(), ..external("1") },
        ExternalId { issuer: "https://id.example/".to_owned(), ..external("1") },
        external("2"),
        external("1 "),
        external("' OR '1'='1"),
    ] {
        assert!(store.find_account(&other).await.unwrap().is_none(), "{other:?}");
    }
    assert_eq!(store.list_accounts(&ada).await.unwrap(), [found]);
    assert!(store.list_accounts(&eve).await.unwrap().is_empty());
}

async fn a_user_and_a_link_are_made_together_or_not_at_all(fresh: &Fresh) {
    let store = &*fresh.store;
    let new = new_user("ada@example.com");
    let image = Some("https://id.example/ada.png");
    let made = store.create_user_with_account(&new, Some(NOW), image, &account("1")).await.unwrap();
    assert_eq!(made, Linked::Linked);
    let found = store.find_user_by_email(&email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.user.email_verified_at, found.password_hash), (Some(NOW), None));
    assert_eq!(found.user.image.as_deref(), Some("https://id.example/ada.png"));
    let taken = store
        .create_user_with_account(&new_user("ada@example.com"), None, None, &account("2"))
        .await
        .unwrap();
    assert_eq!(taken, Linked::AddressTaken);
    assert!(store.find_account(&external("2")).await.unwrap().is_none());
    let taken = store
        .create_user_with_account(&new_user("eve@example.com"), None, None, &account("1"))
        .await
        .unwrap();
    assert_eq!(taken, Linked::AccountTaken);
    assert!(store.find_user_by_email(&email("eve@example.com")).await.unwrap().is_none(), "no half of it");
}

async fn one_of_parallel_links_wins(fresh: &Fresh) {
    let mut people = Vec::new();
    for number in 0..16 {
        people.push(user(&*fresh.store, &format!("u{number}@example.com")).await);
    }
    let links = people.into_iter().map(|person| {
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move { store.link_account(&person, &account("1")).await.unwrap() })
    });
    let creations = (0..16).map(|number| {
        let store = Arc::clone(&fresh.store);
        let new = new_user(&format!("n{number}@example.com"));
        tokio::spawn(
            async move { store.create_user_with_account(&new, None, None, &account("1")).await.unwrap() },
        )
    });
    let mut linked = 0;
    for attempt in links.chain(creations).collect::<Vec<_>>() {
        linked += usize::from(attempt.await.unwrap() == Linked::Linked);
    }
    assert_eq!(linked, 1);
}

async fn the_owner_of_an_address_arrives(fresh: &Fresh) {
    let store = &*fresh.store;
    let squatted = user(store, "ada@example.com").await;
    let planted = session(store, &squatted).await;
    assert_eq!(store.link_account(&squatted, &account("squatter")).await.unwrap(), Linked::Linked);
    let totp = TotpRecord { secret: "sealed".to_owned(), last_step: 1, created_at: NOW };
    let ends = Ends { keep: Some(&planted), until: NOW.plus(99) };
    assert!(store.enable_totp(&squatted, &totp, &[TokenHash::of("code")], ends).await.unwrap());
    let taken = store
        .take_over(
            &squatted,
            stamp(store, &squatted).await,
            None,
            &account("owner"),
            NOW.plus(5),
            NOW.plus(99),
        )
        .await
        .unwrap();
    assert_eq!(taken, Linked::Linked);
    let found = store.find_user_by_email(&email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.password_hash, found.user.name), (None, None));
    assert_eq!(found.user.email_verified_at, Some(NOW.plus(5)));
    assert!(store.find_session(&planted).await.unwrap().is_none());
    assert!(!store.find_factors(&squatted).await.unwrap().is_on(), "the squatter's factors");
    assert!(store.find_account(&external("squatter")).await.unwrap().is_none());
    assert_eq!(store.find_account(&external("owner")).await.unwrap().unwrap().1.id, squatted);
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.len(), 2, "the session, and whatever has no row");
    // Proven now: nobody takes it over again.
    let again = store
        .take_over(
            &squatted,
            stamp(store, &squatted).await,
            None,
            &account("third"),
            NOW.plus(6),
            NOW.plus(99),
        )
        .await
        .unwrap();
    assert_eq!(again, Linked::NoSuchUser);
    assert!(store.find_account(&external("third")).await.unwrap().is_none());
    // An account that is somebody's already leaves the holder untouched.
    let other = user(store, "eve@example.com").await;
    let refused = store.take_over(&other, FIRST, None, &account("owner"), NOW, NOW.plus(99)).await.unwrap();
    assert_eq!(refused, Linked::AccountTaken);
    let kept = store.find_user_by_email(&email("eve@example.com")).await.unwrap().unwrap();
    assert!(kept.password_hash.is_some() && kept.user.email_verified_at.is_none());
}

async fn the_last_way_in_stays(fresh: &Fresh) {
    let store = &*fresh.store;
    let (one, two) = (account("1"), account("2"));
    let new = new_user("ada@example.com");
    let unlink = async |user: &UserId, id: &str, other_way: bool| {
        store.unlink_account(user, id, other_way, ENDS).await.unwrap()
    };
    let unlinked = |outcome: &Unlinked| matches!(outcome, Unlinked::Unlinked(_));
    assert_eq!(store.create_user_with_account(&new, None, None, &one).await.unwrap(), Linked::Linked);
    assert_eq!(unlink(&new.id, &one.id, false).await, Unlinked::LastWayIn);
    assert_eq!(store.link_account(&new.id, &two).await.unwrap(), Linked::Linked);
    let eve = user(store, "eve@example.com").await;
    assert_eq!(unlink(&eve, &one.id, true).await, Unlinked::NotFound, "not hers");
    assert!(unlinked(&unlink(&new.id, &one.id, false).await));
    assert_eq!(unlink(&new.id, &one.id, false).await, Unlinked::NotFound);
    assert_eq!(unlink(&new.id, &two.id, false).await, Unlinked::LastWayIn);
    let seen = stamp(store, &new.id).await;
    assert!(store.change_password(&new.id, "hash", seen, None, NOW).await.unwrap().is_some());
    assert!(unlinked(&unlink(&new.id, &two.id, false).await));
}

/// What is refused ends nothing, and of what is not the other sessions are told.
async fn a_link_that_is_removed_takes_the_other_sessions_along(fresh: &Fresh) {
    let store = &*fresh.store;
    let (one, two) = (account("1"), account("2"));
    let new = new_user("ada@example.com");
    assert_eq!(store.create_user_with_account(&new, None, None, &one).await.unwrap(), Linked::Linked);
    let (here, elsewhere) = (session(store, &new.id).await, session(store, &new.id).await);
    let ends = Ends { keep: Some(&here), until: NOW.plus(9) };
    let refused = store.unlink_account(&new.id, &one.id, false, ends).await.unwrap();
    assert_eq!(refused, Unlinked::LastWayIn);
    assert_eq!(store.list_sessions(&new.id).await.unwrap().len(), 2);
    assert_eq!(store.link_account(&new.id, &two).await.unwrap(), Linked::Linked);
    let outcome = store.unlink_account(&new.id, &one.id, false, ends).await.unwrap();
    assert_eq!(outcome, Unlinked::Unlinked(vec![elsewhere]));
    let left = store.list_sessions(&new.id).await.unwrap();
    assert_eq!(left.iter().map(|session| session.id).collect::<Vec<_>>(), [here]);
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert_eq!(
        revoked.iter().map(|found| &found.subject).collect::<Vec<_>>(),
        [&Subject::Session(elsewhere)]
    );
}

async fn of_two_parallel_unlinks_one_leaves_a_way_in(fresh: &Fresh) {
    for round in 0..8 {
        let (one, two) = (account(&format!("a{round}")), account(&format!("b{round}")));
        let new = new_user(&format!("u{round}@example.com"));
        assert_eq!(
            fresh.store.create_user_with_account(&new, None, None, &one).await.unwrap(),
            Linked::Linked
        );
        assert_eq!(fresh.store.link_account(&new.id, &two).await.unwrap(), Linked::Linked);
        let unlink = |id: String| {
            let (store, user) = (Arc::clone(&fresh.store), new.id.clone());
            tokio::spawn(async move { store.unlink_account(&user, &id, false, ENDS).await.unwrap() })
        };
        let (first, second) = (unlink(one.id), unlink(two.id));
        let outcomes = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(
            outcomes.iter().filter(|outcome| matches!(outcome, Unlinked::Unlinked(_))).count(),
            1,
            "{outcomes:?}"
        );
        assert_eq!(fresh.store.list_accounts(&new.id).await.unwrap().len(), 1);
    }
}

async fn tokens_are_renewed_by_one(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let new = account("1");
    assert_eq!(store.link_account(&ada, &new).await.unwrap(), Linked::Linked);
    assert_eq!(store.find_tokens(&ada, "acme").await.unwrap().unwrap().sealed, "sealed");
    assert!(store.find_tokens(&ada, "other").await.unwrap().is_none());
    let attempts = (0..32).map(|number| {
        let (store, id) = (Arc::clone(&fresh.store), new.id.clone());
        let lease = TokenHash::of(&format!("lease {number}"));
        tokio::spawn(
            async move { (lease, store.lease_tokens(&id, &lease, NOW, NOW.plus(30)).await.unwrap()) },
        )
    });
    let mut holders = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let (lease, tokens) = attempt.await.unwrap();
        if tokens.is_some() {
            holders.push(lease);
        }
    }
    assert_eq!(holders.len(), 1);
    let other = TokenHash::of("other");
    assert!(!store.renew_tokens(&new.id, &other, "stolen").await.unwrap());
    assert!(store.renew_tokens(&new.id, &holders[0], "renewed").await.unwrap());
    assert!(!store.renew_tokens(&new.id, &holders[0], "twice").await.unwrap(), "the lease was given back");
    assert_eq!(store.lease_tokens(&new.id, &other, NOW, NOW.plus(30)).await.unwrap().unwrap(), "renewed");
    // A holder that died is waited for until its lease ends, and comes too late then.
    assert!(store.lease_tokens(&new.id, &holders[0], NOW.plus(29), NOW.plus(60)).await.unwrap().is_none());
    assert!(store.lease_tokens(&new.id, &holders[0], NOW.plus(30), NOW.plus(60)).await.unwrap().is_some());
    assert!(!store.renew_tokens(&new.id, &other, "late").await.unwrap());
    // A sign-in brings newer tokens than any renewal.
    assert!(store.keep_tokens(&new.id, "fresh").await.unwrap());
    assert!(!store.renew_tokens(&new.id, &holders[0], "older").await.unwrap());
    assert_eq!(store.find_tokens(&ada, "acme").await.unwrap().unwrap().sealed, "fresh");
    assert!(!store.keep_tokens("nobody's", "x").await.unwrap());
}

async fn a_deleted_or_disabled_user_is_not_linked(fresh: &Fresh) {
    let store = &*fresh.store;
    let nobody = UserId::from_existing("nobody");
    assert_eq!(store.link_account(&nobody, &account("1")).await.unwrap(), Linked::NoSuchUser);
    let ada = user(store, "ada@example.com").await;
    assert!(store.disable_user(&ada, NOW, NOW.plus(99)).await.unwrap());
    assert_eq!(store.link_account(&ada, &account("1")).await.unwrap(), Linked::NoSuchUser);
    let taken = store
        .take_over(&ada, stamp(store, &ada).await, None, &account("1"), NOW, NOW.plus(99))
        .await
        .unwrap();
    assert_eq!(taken, Linked::NoSuchUser);
}
