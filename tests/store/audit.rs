//! The audit log: a chain that holds, and what shows when it was tampered with.

use std::sync::Arc;

use countersign::audit::{Finding, VerifyError, verify};
use countersign::clock::Timestamp;
use countersign::model::{AuditEntry, ChainMark, UserId};
use countersign::secret::TokenHash;
use countersign::store::{AuditFilter, Error, Store};

use crate::schema::execute;
use crate::{Fresh, NOW, on_both};

on_both!(
    records_come_back_as_they_were,
    records_are_found_by_person_and_time,
    parallel_writers_make_one_chain,
    what_is_old_goes_and_the_rest_still_verifies,
    tampering_is_found_and_named,
    a_chain_without_its_ends_is_no_chain,
);

fn entry(event: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        event: event.to_owned(),
        outcome: "success".to_owned(),
        user_id: Some(UserId::from_existing("ada")),
        email: Some("ada@example.com".to_owned()),
        address: Some("2001:db8::1".to_owned()),
        request_id: Some("r-1".to_owned()),
        session_id: Some(TokenHash::of("s")),
        details: "{\"method\":\"pwd\"}".to_owned(),
    }
}

fn bare(event: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        user_id: None,
        email: None,
        address: None,
        request_id: None,
        session_id: None,
        details: "{}".to_owned(),
        ..entry(event, at)
    }
}

async fn records_come_back_as_they_were(fresh: &Fresh) {
    let store = &*fresh.store;
    assert_eq!(store.audit_ends().await.unwrap().head, ChainMark::START);
    let entries = [entry("a", NOW), bare("b", NOW)];
    let written = store.append_audit(&entries).await.unwrap();
    let third = store.append_audit(&[entry("c", NOW)]).await.unwrap().remove(0);
    assert!(written[1].follows(&written[0].mark()) && third.follows(&written[1].mark()));
    let read = store.audit_after(0, &AuditFilter::default(), 10).await.unwrap();
    assert_eq!(read, [written[0].clone(), written[1].clone(), third.clone()]);
    assert_eq!(read[1].entry, entries[1]);
    assert_eq!(
        store.audit_after(2, &AuditFilter::default(), 10).await.unwrap(),
        std::slice::from_ref(&third)
    );
    let ends = store.audit_ends().await.unwrap();
    assert_eq!((ends.anchor, ends.head), (ChainMark::START, third.mark()));
    assert!(store.append_audit(&[]).await.unwrap().is_empty());
    let verified = verify(store).await.unwrap();
    assert_eq!((verified.records, verified.head), (3, third.mark()));
}

async fn records_are_found_by_person_and_time(fresh: &Fresh) {
    let store = &*fresh.store;
    let mut eve = entry("eve", NOW.plus(5));
    eve.user_id = Some(UserId::from_existing("eve"));
    store
        .append_audit(&[entry("old", NOW), eve, bare("nobody", NOW), entry("new", NOW.plus(5))])
        .await
        .unwrap();
    let found = async |user: Option<&str>, since| {
        let filter = AuditFilter { user: user.map(UserId::from_existing), since };
        let found = store.audit_after(0, &filter, 10).await.unwrap();
        found.into_iter().map(|record| record.entry.event).collect::<Vec<_>>()
    };
    assert_eq!(found(Some("ada"), None).await, ["old", "new"]);
    assert_eq!(found(Some("ada"), Some(NOW.plus(5))).await, ["new"]);
    assert_eq!(found(None, Some(NOW.plus(1))).await, ["eve", "new"]);
    assert!(found(Some("'; DROP TABLE users; --"), None).await.is_empty());
}

/// Two handles on one database, as two processes have.
async fn parallel_writers_make_one_chain(fresh: &Fresh) {
    let other = countersign::store::open(&fresh.options).await.unwrap();
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = if writer % 2 == 0 { Arc::clone(&fresh.store) } else { Arc::clone(&other) };
            tokio::spawn(async move {
                for number in 0..8 {
                    let batch = [entry(&format!("{writer}"), NOW.plus(number)), bare("x", NOW)];
                    store.append_audit(&batch[..=usize::from(writer % 3 == 0)]).await.unwrap();
                }
            })
        })
        .collect();
    // Whoever verifies meanwhile sees a chain that grows, and never a broken one.
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        verify(&*fresh.store).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(verify(&*fresh.store).await.unwrap().records, 16 * 8 + 6 * 8);
    other.close().await;
}

async fn what_is_old_goes_and_the_rest_still_verifies(fresh: &Fresh) {
    let store = &*fresh.store;
    for number in 0..10 {
        store.append_audit(&[entry("a", NOW.plus(number))]).await.unwrap();
    }
    // A record of a clock that was ahead stays, and so do those after it.
    store.append_audit(&[entry("ahead", NOW.plus(1000)), entry("b", NOW.plus(11))]).await.unwrap();
    assert_eq!(store.prune_audit(NOW, 100).await.unwrap(), 0);
    assert_eq!(store.prune_audit(NOW.plus(5), 3).await.unwrap(), 3);
    assert_eq!(store.prune_audit(NOW.plus(5), 3).await.unwrap(), 2);
    assert_eq!(store.prune_audit(NOW.plus(5), 3).await.unwrap(), 0);
    let verified = verify(store).await.unwrap();
    assert_eq!((verified.records, verified.anchor.sequence), (7, 5));
    assert_eq!(store.prune_audit(NOW.plus(500), 100).await.unwrap(), 5);
    assert_eq!(verify(store).await.unwrap().records, 2);
    assert_eq!(store.prune_audit(NOW.plus(5000), 100).await.unwrap(), 2);
    assert_eq!(verify(store).await.unwrap().records, 0);
    let next = store.append_audit(&[entry("after", NOW)]).await.unwrap();
    assert_eq!((next[0].sequence, verify(store).await.unwrap().records), (13, 1));
}

async fn finding(store: &dyn Store) -> Finding {
    match verify(store).await {
        Err(VerifyError::Broken(finding)) => finding,
        other => panic!("{other:?}"),
    }
}

/// Each statement spoils one thing and the next one mends it: a control that the finding is about that.
async fn tampering_is_found_and_named(fresh: &Fresh) {
    let store = &*fresh.store;
    for number in 0..6 {
        store.append_audit(&[entry("a", NOW.plus(number))]).await.unwrap();
    }
    let cases = [
        (
            "UPDATE audit_records SET user_id = 'adb' WHERE sequence = 3",
            "UPDATE audit_records SET user_id = 'ada' WHERE sequence = 3",
            Finding::Altered { sequence: 3 },
        ),
        (
            "UPDATE audit_records SET at = at + 1 WHERE sequence = 6",
            "UPDATE audit_records SET at = at - 1 WHERE sequence = 6",
            Finding::Altered { sequence: 6 },
        ),
        (
            "UPDATE audit_records SET email = NULL WHERE sequence = 1",
            "UPDATE audit_records SET email = 'ada@example.com' WHERE sequence = 1",
            Finding::Altered { sequence: 1 },
        ),
        (
            "UPDATE audit_records SET details = '{}' WHERE sequence = 2",
            "UPDATE audit_records SET details = '{\"method\":\"pwd\"}' WHERE sequence = 2",
            Finding::Altered { sequence: 2 },
        ),
        (
            "UPDATE audit_records SET sequence = 60 WHERE sequence = 4",
            "UPDATE audit_records SET sequence = 4 WHERE sequence = 60",
            Finding::Missing { sequence: 4 },
        ),
        (
            "UPDATE audit_records SET sequence = CASE sequence WHEN 2 THEN -3 ELSE -2 END WHERE sequence IN (2, 3)",
            "UPDATE audit_records SET sequence = CASE sequence WHEN -3 THEN 2 ELSE 3 END WHERE sequence < 0",
            Finding::Missing { sequence: 2 },
        ),
        (
            "UPDATE audit_chain SET sequence = 4 WHERE mark = 'head'",
            "UPDATE audit_chain SET sequence = 6 WHERE mark = 'head'",
            Finding::HeadAltered { sequence: 4 },
        ),
        (
            "UPDATE audit_chain SET sequence = 1 WHERE mark = 'anchor'",
            "UPDATE audit_chain SET sequence = 0 WHERE mark = 'anchor'",
            Finding::Altered { sequence: 2 },
        ),
    ];
    for (spoil, mend, expected) in cases {
        execute(fresh, spoil).await;
        assert_eq!(finding(store).await, expected, "{spoil}");
        execute(fresh, mend).await;
        assert_eq!(verify(store).await.unwrap().records, 6, "{mend}");
    }
    // Two that changed places.
    execute(fresh, "UPDATE audit_records SET sequence = -sequence WHERE sequence IN (2, 3)").await;
    execute(fresh, "UPDATE audit_records SET sequence = 5 + sequence WHERE sequence < 0").await;
    assert_eq!(finding(store).await, Finding::Altered { sequence: 2 });
    execute(fresh, "UPDATE audit_records SET sequence = -sequence WHERE sequence IN (2, 3)").await;
    execute(fresh, "UPDATE audit_records SET sequence = 5 + sequence WHERE sequence < 0").await;
    // The tail.
    execute(fresh, "DELETE FROM audit_records WHERE sequence > 4").await;
    assert_eq!(finding(store).await, Finding::CutOff { last: 4, head: 6 });
    // Deleting goes no further where somebody else deleted, and one more record does not hide the gap.
    execute(fresh, "DELETE FROM audit_records WHERE sequence = 1").await;
    assert!(matches!(store.prune_audit(NOW.plus(1), 1).await, Err(Error::Corrupt(_))));
    store.append_audit(&[entry("later", NOW)]).await.unwrap();
    assert_eq!(finding(store).await, Finding::Missing { sequence: 1 });
}

async fn a_chain_without_its_ends_is_no_chain(fresh: &Fresh) {
    let store = &*fresh.store;
    store.append_audit(&[entry("a", NOW)]).await.unwrap();
    // An empty log with empty ends would look like one that has just begun.
    execute(fresh, "DELETE FROM audit_records").await;
    assert_eq!(finding(store).await, Finding::CutOff { last: 0, head: 1 });
    execute(fresh, "DELETE FROM audit_chain WHERE mark = 'head'").await;
    assert_eq!(finding(store).await, Finding::EndsMissing);
    assert!(matches!(store.append_audit(&[entry("b", NOW)]).await, Err(Error::Corrupt(_))));
}

/// Only SQLite stores what is no text in a column of texts.
#[tokio::test]
async fn a_record_that_cannot_be_read_is_named() {
    let fresh = crate::fresh("sqlite").await.unwrap();
    for number in 0..4 {
        fresh.store.append_audit(&[entry("a", NOW.plus(number))]).await.unwrap();
    }
    execute(&fresh, "UPDATE audit_records SET event = CAST(x'61ff' AS TEXT) WHERE sequence = 3").await;
    assert_eq!(finding(&*fresh.store).await, Finding::Unreadable { sequence: 3 });
}
