//! Counting attempts.

use std::sync::Arc;

use countersign::clock::Timestamp;
use countersign::secret::TokenHash;
use countersign::store::Database;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::{Fresh, NOW, on_both};

on_both!(
    each_attempt_is_told_its_own_number,
    a_window_ends_and_starts_anew,
    attempts_can_be_taken_back,
    several_are_counted_up_to_the_first_above_its_limit,
    whoever_counts_several_at_once_waits_for_nobody_who_waits,
    the_oldest_go_first,
);

async fn count(fresh: &Fresh, key: &TokenHash, now: Timestamp) -> (i64, i64) {
    let count = fresh.store.count_attempt(key, now, 100).await.unwrap();
    (count.count, count.window_ends.since(NOW))
}

async fn each_attempt_is_told_its_own_number(fresh: &Fresh) {
    let attempts: Vec<_> = (0..200)
        .map(|_| {
            let store = Arc::clone(&fresh.store);
            tokio::spawn(
                async move { store.count_attempt(&TokenHash::of("k"), NOW, 100).await.unwrap().count },
            )
        })
        .collect();
    let mut numbers = Vec::new();
    for attempt in attempts {
        numbers.push(attempt.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
}

async fn a_window_ends_and_starts_anew(fresh: &Fresh) {
    let key = TokenHash::of("k");
    assert_eq!(count(fresh, &key, NOW).await, (1, 100));
    assert_eq!(count(fresh, &key, NOW.plus(99)).await, (2, 100));
    assert_eq!(count(fresh, &key, NOW.plus(100)).await, (1, 200));
    assert_eq!(count(fresh, &TokenHash::of("other"), NOW).await, (1, 100));
}

async fn several_are_counted_up_to_the_first_above_its_limit(fresh: &Fresh) {
    let [one, two, three] = ["one", "two", "three"].map(TokenHash::of);
    let count = async |limits: [i64; 3]| {
        let counters = [(one, limits[0]), (two, limits[1]), (three, limits[2])];
        let counted = fresh.store.count_attempts(&counters, NOW, 100).await.unwrap();
        counted.iter().map(|count| count.count).collect::<Vec<_>>()
    };
    assert_eq!(count([1, 1, 1]).await, [1, 1, 1]);
    assert_eq!(count([2, 1, 2]).await, [2, 2], "the second is above its limit, and the third not counted");
    assert_eq!(count([1, 9, 9]).await, [3]);
    assert_eq!(count([9, 9, 9]).await, [4, 3, 2]);
    fresh.store.return_attempts(&[one, two, three]).await.unwrap();
    assert_eq!(count([9, 9, 9]).await, [4, 3, 2]);
    assert!(fresh.store.count_attempts(&[], NOW, 100).await.unwrap().is_empty());
    fresh.store.return_attempts(&[]).await.unwrap();
    // Who is above a limit in a window that has ended is above none.
    let counters = [(one, 1), (two, 0), (three, 9)];
    let counted = fresh.store.count_attempts(&counters, NOW.plus(100), 100).await.unwrap();
    assert_eq!(counted.iter().map(|count| count.count).collect::<Vec<_>>(), [1, 1], "a limit of nothing");
    assert_eq!(counted.iter().map(|count| count.window_ends.since(NOW)).collect::<Vec<_>>(), [200, 200]);
}

/// Many people at a few addresses: each holds three counters, and shares two with others.
async fn whoever_counts_several_at_once_waits_for_nobody_who_waits(fresh: &Fresh) {
    let attempts: Vec<_> = (0..60)
        .map(|number| {
            let store = Arc::clone(&fresh.store);
            let (account, address) = (format!("account {}", number % 4), format!("address {}", number % 3));
            let keys = [
                TokenHash::of_parts(&[&account, &address]),
                TokenHash::of(&address),
                TokenHash::of(&account),
            ];
            tokio::spawn(async move {
                for _ in 0..3 {
                    let counters = keys.map(|key| (key, i64::MAX));
                    assert_eq!(store.count_attempts(&counters, NOW, 100).await.unwrap().len(), 3);
                    store.return_attempts(&keys).await.unwrap();
                }
            })
        })
        .collect();
    for attempt in attempts {
        attempt.await.unwrap();
    }
    for key in ["account 0", "address 0"] {
        assert_eq!(count(fresh, &TokenHash::of(key), NOW).await.0, 1, "all were taken back");
    }
}

async fn attempts_can_be_taken_back(fresh: &Fresh) {
    let key = TokenHash::of("k");
    count(fresh, &key, NOW).await;
    count(fresh, &key, NOW).await;
    fresh.store.return_attempts(&[key]).await.unwrap();
    assert_eq!(count(fresh, &key, NOW).await.0, 2);
    fresh.store.forget_attempts(&key).await.unwrap();
    fresh.store.return_attempts(&[key]).await.unwrap();
    assert_eq!(count(fresh, &key, NOW).await.0, 1, "there is no credit");
    fresh.store.return_attempts(&[key]).await.unwrap();
    assert_eq!(
        fresh.store.delete_ended_attempts(NOW.plus(101), 10).await.unwrap(),
        0,
        "nothing is left of it"
    );
    count(fresh, &key, NOW).await;
    assert_eq!(fresh.store.delete_ended_attempts(NOW.plus(100), 10).await.unwrap(), 0);
    assert_eq!(fresh.store.delete_ended_attempts(NOW.plus(101), 10).await.unwrap(), 1);
}

async fn the_oldest_go_first(fresh: &Fresh) {
    let keys = ["c", "a", "b"].map(TokenHash::of);
    for (key, later) in keys.iter().zip([2, 0, 1]) {
        count(fresh, key, NOW.plus(later)).await;
    }
    let after = NOW.plus(1000);
    assert_eq!(fresh.store.delete_ended_attempts(after, 2).await.unwrap(), 2);
    // What is gone is counted from one; what is left goes on.
    assert_eq!(count(fresh, &keys[0], NOW.plus(2)).await.0, 2, "the youngest is left");
    assert_eq!(count(fresh, &keys[1], NOW).await.0, 1);
    assert_eq!(count(fresh, &keys[2], NOW).await.0, 1);
    assert_eq!(fresh.store.delete_ended_attempts(after, 10).await.unwrap(), 3);
}

/// A sign-in that is just counting goes first: the clean-up waits for nobody, and takes no count away that begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_is_held_is_passed_over() {
    let Some(fresh) = crate::fresh("postgres").await else { return };
    let Database::Postgres(url) = &fresh.options.database else { panic!() };
    let held = TokenHash::of("held");
    count(&fresh, &held, NOW).await;
    count(&fresh, &TokenHash::of("other"), NOW).await;
    let mut other = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.unwrap();
    other.execute("BEGIN; UPDATE attempts SET count = 1, window_ends = window_ends + 100000 WHERE key = sha256('held')").await.unwrap();
    let after = NOW.plus(1000);
    assert_eq!(fresh.store.delete_ended_attempts(after, 10).await.unwrap(), 1, "without waiting");
    other.execute("COMMIT").await.unwrap();
    assert_eq!(fresh.store.delete_ended_attempts(after, 10).await.unwrap(), 0);
    assert_eq!(count(&fresh, &held, after).await.0, 2, "its window goes on");
    other.close().await.unwrap();
}
