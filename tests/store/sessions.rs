//! Sessions and revocations.

use std::sync::Arc;

use countersign::model::{DisplayName, SessionRecord, Subject, UserId};
use countersign::secret::TokenHash;
use countersign::store::{Database, Error, Inserted, Replaced};
use rocket::futures::future::join_all;

use crate::schema::execute;
use crate::{FIRST, Fresh, NOW, on_both, record, session, stamp, user};

on_both!(
    a_session_comes_back_with_its_user,
    many_that_are_looked_up_at_once_are_each_told_of_their_own,
    a_row_that_means_nothing_is_nobody_elses_error,
    an_id_never_replaces_another,
    a_session_takes_the_place_of_another_or_does_not,
    a_renewal_only_moves_forward_and_never_resurrects,
    ending_is_for_its_owner,
    ending_without_a_row_is_remembered,
    all_others_end,
    the_oldest_beyond_a_bound_end,
    whoever_comes_in_at_once_is_bounded_too,
    expired_rows_go_in_batches,
    revoking_again_keeps_the_later_times,
    a_reader_misses_no_revocation,
    many_writers_never_fail,
);

async fn a_session_comes_back_with_its_user(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let new = record(&ada);
    assert_eq!(store.insert_session(&new, FIRST, None).await.unwrap(), Inserted::Inserted);
    let (found, owner) = store.find_session(&new.id).await.unwrap().unwrap();
    assert_eq!((found, owner.id), (new, ada));
    assert!(store.find_session(&TokenHash::of("none")).await.unwrap().is_none());
    let nobody = record(&UserId::from_existing("nobody"));
    assert_eq!(store.insert_session(&nobody, FIRST, None).await.unwrap(), Inserted::UserChanged);
}

/// More than one statement looks up, twins and strangers among them, and every column is another.
async fn many_that_are_looked_up_at_once_are_each_told_of_their_own(fresh: &Fresh) {
    let store = &*fresh.store;
    let mut kept = Vec::new();
    for number in 0..40_i64 {
        let owner = user(store, &format!("user{number}@example.com")).await;
        let name = DisplayName::parse(&format!("Name \"{number}\" \\ \u{e9}")).unwrap();
        assert!(store.set_name(&owner, Some(&name)).await.unwrap());
        let mut new = record(&owner);
        new.expires_at = NOW.plus(1000 + number);
        new.renewed_at = NOW.plus(2000 + number);
        new.authenticated_at = NOW.plus(3000 + number);
        new.user_agent = (number % 3 > 0).then(|| format!("agent [{number}], \"\u{1}\u{2028}"));
        new.address = (number % 2 > 0).then(|| format!("192.0.2.{number}"));
        new.claims = format!("{{\"number\":{number}}}");
        assert_eq!(store.insert_session(&new, FIRST, None).await.unwrap(), Inserted::Inserted);
        kept.push((new, name));
    }
    let strangers = (0..5).map(|number| TokenHash::of(&number.to_string()));
    let ids = kept.iter().chain(&kept).map(|(session, _)| session.id).chain(strangers);
    let found = join_all(ids.map(|id| async move { store.find_session(&id).await.unwrap() })).await;
    for (found, (session, name)) in found.iter().zip(kept.iter().chain(&kept)) {
        let (found, owner) = found.as_ref().unwrap();
        assert_eq!((found, &owner.id, owner.name.as_ref()), (session, &session.user_id, Some(name)));
    }
    assert_eq!(found.len(), 85);
    assert!(found[80..].iter().all(Option::is_none));
}

async fn a_row_that_means_nothing_is_nobody_elses_error(fresh: &Fresh) {
    let store = &*fresh.store;
    let mut ids = Vec::new();
    for number in 0..12 {
        let owner = user(store, &format!("user{number}@example.com")).await;
        ids.push(session(store, &owner).await);
    }
    execute(fresh, "UPDATE sessions SET strategy = 'nonsense' WHERE user_id = (SELECT id FROM users WHERE email = 'user3@example.com')").await;
    let mut damaged = 1;
    if let Database::Sqlite(_) = fresh.options.database {
        execute(fresh, "UPDATE users SET name = CAST(x'ff61' AS TEXT) WHERE email = 'user7@example.com'")
            .await;
        damaged += 1;
    }
    let found = join_all(ids.iter().map(|id| store.find_session(id))).await;
    let corrupt = found.iter().filter(|found| matches!(found, Err(Error::Corrupt(_)))).count();
    let there = found.iter().filter(|found| matches!(found, Ok(Some(_)))).count();
    assert_eq!((corrupt, there), (damaged, ids.len() - damaged));
}

async fn an_id_never_replaces_another(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let id = session(store, &ada).await;
    let mut forged = record(&eve);
    forged.id = id;
    assert!(store.insert_session(&forged, FIRST, None).await.is_err());
    assert_eq!(store.find_session(&id).await.unwrap().unwrap().1.id, ada);
}

async fn a_session_takes_the_place_of_another_or_does_not(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let old = session(store, &ada).await;
    let replaces = Some(Replaced { id: old, revoke_until: NOW.plus(9) });
    // A new one that cannot be: the old one goes on, and nothing is remembered as ended.
    let mut twin = record(&ada);
    twin.id = session(store, &ada).await;
    assert!(store.insert_session(&twin, FIRST, replaces).await.is_err());
    let nobody = record(&UserId::from_existing("nobody"));
    assert_eq!(store.insert_session(&nobody, FIRST, replaces).await.unwrap(), Inserted::UserChanged);
    assert!(store.find_session(&old).await.unwrap().is_some());
    assert!(store.revocations_after(0, 10).await.unwrap().is_empty());
    let new = record(&ada);
    assert_eq!(store.insert_session(&new, FIRST, replaces).await.unwrap(), Inserted::Inserted);
    assert!(store.find_session(&old).await.unwrap().is_none());
    assert!(store.find_session(&new.id).await.unwrap().is_some());
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.iter().map(|found| &found.subject).collect::<Vec<_>>(), [&Subject::Session(old)]);
    // A token of another issuer has no row, and is remembered all the same.
    let foreign = TokenHash::of("a token of another issuer");
    let replaces = Some(Replaced { id: foreign, revoke_until: NOW.plus(9) });
    assert_eq!(store.insert_session(&record(&ada), FIRST, replaces).await.unwrap(), Inserted::Inserted);
    assert_eq!(store.revocations_after(1, 10).await.unwrap()[0].subject, Subject::Session(foreign));
}

async fn a_renewal_only_moves_forward_and_never_resurrects(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    let id = session(store, &ada).await;
    assert!(store.renew_session(&id, NOW.plus(10), NOW.plus(2000)).await.unwrap());
    assert!(!store.renew_session(&id, NOW.plus(10), NOW.plus(3000)).await.unwrap());
    assert!(!store.renew_session(&id, NOW.plus(5), NOW.plus(3000)).await.unwrap());
    let (found, _) = store.find_session(&id).await.unwrap().unwrap();
    assert_eq!((found.renewed_at, found.expires_at), (NOW.plus(10), NOW.plus(2000)));
    assert!(store.end_session(&id, None, NOW).await.unwrap());
    assert!(!store.renew_session(&id, NOW.plus(20), NOW.plus(4000)).await.unwrap());
    assert!(store.find_session(&id).await.unwrap().is_none());
}

async fn ending_is_for_its_owner(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let id = session(store, &ada).await;
    assert!(!store.end_session(&id, Some(&eve), NOW.plus(9)).await.unwrap());
    assert!(store.find_session(&id).await.unwrap().is_some());
    assert!(store.revocations_after(0, 10).await.unwrap().is_empty());
    assert!(store.end_session(&id, Some(&ada), NOW.plus(9)).await.unwrap());
    assert!(store.find_session(&id).await.unwrap().is_none());
    assert_eq!(store.revocations_after(0, 10).await.unwrap().len(), 1);
    assert!(!store.end_session(&id, Some(&ada), NOW.plus(9)).await.unwrap());
}

async fn ending_without_a_row_is_remembered(fresh: &Fresh) {
    let id = TokenHash::of("a token of another issuer");
    assert!(!fresh.store.end_session(&id, None, NOW.plus(9)).await.unwrap());
    let revoked = fresh.store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked[0].subject, Subject::Session(id));
}

async fn all_others_end(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let kept = session(store, &ada).await;
    for _ in 0..3 {
        session(store, &ada).await;
    }
    let foreign = session(store, &eve).await;
    assert_eq!(store.list_sessions(&ada).await.unwrap().len(), 4);
    assert_eq!(store.end_sessions_of(&ada, Some(&kept), NOW.plus(9)).await.unwrap().len(), 3);
    let left = store.list_sessions(&ada).await.unwrap();
    assert_eq!(left.iter().map(|record| record.id).collect::<Vec<_>>(), [kept]);
    assert!(store.find_session(&foreign).await.unwrap().is_some());
    assert_eq!(store.revocations_after(0, 10).await.unwrap().len(), 3);
    assert_eq!(store.end_sessions_of(&ada, None, NOW.plus(9)).await.unwrap(), [kept]);
}

/// Sessions of one user, each renewed a second after the one before.
async fn in_turn(fresh: &Fresh, user: &UserId, count: i64) -> Vec<TokenHash> {
    let mut ids = Vec::new();
    for second in 0..count {
        let new = SessionRecord { renewed_at: NOW.plus(second), ..record(user) };
        assert_eq!(fresh.store.insert_session(&new, FIRST, None).await.unwrap(), Inserted::Inserted);
        ids.push(new.id);
    }
    ids
}

async fn the_oldest_beyond_a_bound_end(fresh: &Fresh) {
    let store = &*fresh.store;
    let (ada, eve) = (user(store, "ada@example.com").await, user(store, "eve@example.com").await);
    let (ids, foreign) = (in_turn(fresh, &ada, 6).await, in_turn(fresh, &eve, 6).await);
    let until = NOW.plus(9);
    // The first was used again, the second has just begun by a clock that is behind.
    assert!(store.renew_session(&ids[0], NOW.plus(60), NOW.plus(2000)).await.unwrap());
    let mut ended = store.end_oldest_sessions(&ada, &ids[1], 3, until).await.unwrap();
    ended.sort_by_key(|id| ids.iter().position(|known| known == id));
    assert_eq!(ended, [ids[2], ids[3], ids[4]]);
    let left = store.list_sessions(&ada).await.unwrap();
    assert_eq!(left.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[0], ids[5], ids[1]]);
    let revoked = store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.len(), 3);
    assert!(revoked.iter().all(|found| found.expires_at == until), "{revoked:?}");
    assert!(store.end_oldest_sessions(&ada, &ids[1], 3, until).await.unwrap().is_empty());
    assert_eq!(store.revocations_after(0, 10).await.unwrap().len(), 3, "and nothing is written");
    assert_eq!(store.list_sessions(&eve).await.unwrap().len(), foreign.len());
    assert_eq!(stamp(store, &ada).await, FIRST, "who is about to come in comes in");
}

async fn whoever_comes_in_at_once_is_bounded_too(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    in_turn(fresh, &ada, 8).await;
    let comers: Vec<_> = (0..16)
        .map(|_| {
            let (store, new) = (Arc::clone(&fresh.store), record(&ada));
            let new = SessionRecord { renewed_at: NOW.plus(60), ..new };
            tokio::spawn(async move {
                let _ = store.insert_session(&new, FIRST, None).await.unwrap();
                store.end_oldest_sessions(&new.user_id, &new.id, 8, NOW.plus(9)).await.unwrap().len()
            })
        })
        .collect();
    let mut ended = 0;
    for comer in comers {
        ended += comer.await.unwrap();
    }
    assert_eq!((ended, fresh.store.list_sessions(&ada).await.unwrap().len()), (16, 8));
    assert_eq!(fresh.store.revocations_after(0, 50).await.unwrap().len(), 16, "each once");
}

async fn expired_rows_go_in_batches(fresh: &Fresh) {
    let store = &*fresh.store;
    let ada = user(store, "ada@example.com").await;
    for _ in 0..5 {
        session(store, &ada).await;
    }
    assert_eq!(store.delete_expired_sessions(NOW.plus(1000), 10).await.unwrap(), 0);
    assert_eq!(store.delete_expired_sessions(NOW.plus(1001), 3).await.unwrap(), 3);
    assert_eq!(store.delete_expired_sessions(NOW.plus(1001), 3).await.unwrap(), 2);
    for number in 0..5 {
        store.revoke(&Subject::Session(TokenHash::of(&number.to_string())), NOW, NOW.plus(5)).await.unwrap();
    }
    assert_eq!(store.delete_expired_revocations(NOW.plus(5), 10).await.unwrap(), 0);
    assert_eq!(store.delete_expired_revocations(NOW.plus(6), 4).await.unwrap(), 4);
    assert_eq!(store.delete_expired_revocations(NOW.plus(6), 4).await.unwrap(), 1);
    store.revoke(&Subject::Session(TokenHash::of("after")), NOW, NOW.plus(5)).await.unwrap();
    assert_eq!(store.revocations_after(5, 10).await.unwrap().len(), 1, "a sequence is never used again");
}

async fn revoking_again_keeps_the_later_times(fresh: &Fresh) {
    let subject = Subject::User(UserId::from_existing("ada"));
    for (not_after, expires_at) in [(5, 50), (9, 30), (3, 70)] {
        fresh.store.revoke(&subject, NOW.plus(not_after), NOW.plus(expires_at)).await.unwrap();
    }
    let revoked = fresh.store.revocations_after(0, 10).await.unwrap();
    assert_eq!(revoked.len(), 1);
    assert_eq!(
        (revoked[0].sequence, revoked[0].not_after, revoked[0].expires_at),
        (3, NOW.plus(9), NOW.plus(70))
    );
    assert!(fresh.store.revocations_after(3, 10).await.unwrap().is_empty());
}

/// Sixteen revoke at once while one reads on from the highest sequence it saw: it sees them all.
async fn a_reader_misses_no_revocation(fresh: &Fresh) {
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = Arc::clone(&fresh.store);
            tokio::spawn(async move {
                for number in 0..10 {
                    let id = TokenHash::of(&format!("{writer} {number}"));
                    store.revoke(&Subject::Session(id), NOW, NOW.plus(9)).await.unwrap();
                }
            })
        })
        .collect();
    let (mut seen, mut last) = (0, 0);
    loop {
        // Asked before the read: what is committed after an empty read must not look like the end.
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let batch = fresh.store.revocations_after(last, 7).await.unwrap();
        if batch.is_empty() && done {
            break;
        }
        for revocation in batch {
            assert!(revocation.sequence > last);
            last = revocation.sequence;
            seen += 1;
        }
    }
    assert_eq!(seen, 160);
}

async fn many_writers_never_fail(fresh: &Fresh) {
    let ada = user(&*fresh.store, "ada@example.com").await;
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let (store, ada) = (Arc::clone(&fresh.store), ada.clone());
            tokio::spawn(async move {
                let id = session(&*store, &ada).await;
                store.renew_session(&id, NOW.plus(1), NOW.plus(9)).await.unwrap();
                store.end_session(&id, Some(&ada), NOW.plus(9)).await.unwrap()
            })
        })
        .collect();
    for writer in writers {
        assert!(writer.await.unwrap());
    }
    assert_eq!(fresh.store.revocations_after(0, 100).await.unwrap().len(), 64);
}
